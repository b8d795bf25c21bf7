//! Cloud Run Admin API v2.
//!
//! | module | holds |
//! |---|---|
//! | `reader` | reads: services, revisions, policies, operations |
//! | `writer` | writes, each guarded by the etag of the last own one |
//! | `change` | what a write is to bring, and how it can end |
//! | `body` | a change → the body and mask of a request |
//! | `template` | a new revision → the service's template, unknown fields kept |
//! | `rollout` | has the change come into effect? (pure) |
//! | `settle` | waits for that: operation, then the service itself |
//! | `seen` | wire → domain |
//! | `configuration` | wire → domain: how a revision is configured, what stands before a service |
//! | `traffic` | traffic, both ways |
//! | `policy` | who may call, by IAM |

mod body;
mod change;
mod configuration;
mod policy;
mod reader;
mod rollout;
mod seen;
mod settle;
mod template;
mod traffic;
mod writer;

pub use change::{Change, Live, Pending, WriteError};
pub use configuration::{entrance, of_template};
pub use policy::is_public;
pub use reader::{RevisionPage, RunReader};
pub use seen::{live, revision_seen};
pub use writer::RunWriter;
