//! `/_emulator/…`: faults, clock, what happened, and the set-up of the world.
//!
//! | route | what |
//! |---|---|
//! | `GET health` | version and time |
//! | `POST reset` | forgets everything but services, keys and issued tokens |
//! | `GET, PUT clock` | `{"offset_seconds": n}` |
//! | `POST clock/advance` | `{"seconds": n}` |
//! | `GET, POST, DELETE faults` | `{"point": "METHOD path-glob", "count": n, "fault": {…}}`, see [`Rule`] |
//! | `GET, DELETE requests` | method, path, status, caller |
//! | `POST tokens` | `{"email"}`: an access token without proof |
//! | `POST secrets` | `{"project", "name", "value"}`: a new version; served by [`crate::run`] |
//! | `GET, PUT run/quotas/{project}/{region}` | what a project may use, see [`crate::run::Quota`] |
//! | `PUT run/error-codes` | `{"error_codes": "older"}`: as rollouts were answered until 2024, or `newer` |
//! | `POST, DELETE run/troubles` | what goes wrong with the platform, see [`crate::run::TroubleRule`] |
//! | `POST service-accounts` | see [`crate::tokens::ServiceAccount`] |
//! | `POST workload-identity-providers` | see [`crate::tokens::Provider`] |
//! | `PUT registry/repositories/{project}/{repository}` | `{"location", "immutable_tags": bool}`: creates or changes it |
//! | `PUT registry/settings` | `{"create_on_push": bool}`: `false` as in the true registry |
//! | `PUT github/repos/{owner}/{name}/environments/{name}` | see [`crate::github::EnvironmentSettings`] |
//! | `PUT github/repos/{owner}/{name}/runs/{id}` | see [`crate::github::RunSettings`] |
//! | `PUT github/repos/{owner}/{name}/refs/{ref}` | `{"sha"}` |

mod clock;
mod faults;
mod layer;
mod requests;
mod routes;
mod setup;

pub use clock::Clock;
pub use faults::{Fault, Faults, Rule};
pub use layer::layer;
pub use requests::{Requests, Seen};
pub use routes::routes;
