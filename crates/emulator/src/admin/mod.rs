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
//! | `GET, PUT, DELETE exchanges` | `{"recording": bool}`; whole requests and answers, see [`Exchange`] |
//! | `POST tokens` | `{"email"}`: an access token without proof |
//! | `POST secrets` | `{"project", "name", "value"}`: a new version; served by [`crate::run`] |
//! | `GET, PUT run/quotas/{project}/{region}` | what a project may use, see [`crate::run::Quota`] |
//! | `PUT run/error-codes` | `{"error_codes": "older"}`: as rollouts were answered until 2024, or `newer` |
//! | `POST, DELETE run/troubles` | what goes wrong with the platform, see [`crate::run::TroubleRule`] |
//! | `POST service-accounts` | see [`crate::tokens::ServiceAccount`] |
//! | `POST workload-identity-providers` | see [`crate::tokens::Provider`] |
//! | `GET, PUT, DELETE iam/{resource}` | the policy of `projects/P`, `projects/P/serviceAccounts/EMAIL`, `projects/P/locations/L/repositories/R` or `projects/P/secrets/S`, see [`crate::iam`] |
//! | `POST iam/{resource}` | `{"action": "grant" or "revoke", "role", "member"}` |
//! | `PUT projects/{project}/roles/{role}` | `{"includedPermissions": […]}`: a custom role |
//! | `GET, PUT projects/{project}/services/{api}` | `{"state": "DISABLED"}` |
//! | `GET, PUT projects/{project}/organization-policy` | see [`crate::iam::OrganizationPolicy`] |
//! | `PUT registry/repositories/{project}/{repository}` | `{"location", "immutable_tags": bool}`: creates or changes it |
//! | `PUT registry/settings` | `{"create_on_push": bool}`: `false` as in the true registry |
//! | `PUT github/repos/{owner}/{name}/environments/{name}` | see [`crate::github::EnvironmentSettings`] |
//! | `PUT github/repos/{owner}/{name}/runs/{id}` | see [`crate::github::RunSettings`] |
//! | `PUT github/repos/{owner}/{name}/refs/{ref}` | `{"sha"}` |

mod clock;
mod exchanges;
mod faults;
mod layer;
mod requests;
mod routes;
mod setup;

pub use clock::Clock;
pub use exchanges::{Exchange, Exchanges};
pub use faults::{Fault, Faults, Rule};
pub use layer::layer;
pub use requests::{Requests, Seen};
pub use routes::routes;
