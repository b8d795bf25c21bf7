//! Google Cloud: the only place where wire becomes domain.
//!
//! | module | holds |
//! |---|---|
//! | [`endpoint`] | where each API is, or the local cloud in its place |
//! | [`transport`] | the one HTTP seam: client, timeouts, retries |
//! | [`error`] | what an API answered instead of a result |
//! | [`advice`] | text of Google → the way out |
//! | [`auth`] | credentials → access tokens and ID tokens |
//! | [`api`] | transport + tokens: one authenticated call |
//! | [`artifacts`] | which image of a repository has a tag |
//! | [`run`] | Cloud Run Admin API v2: reader, writer, rollout |
//! | [`kms`] | Cloud KMS: signatures, public keys |
//! | [`logging`] | the last lines that a revision wrote |
//! | [`registry`] | the OCI registry |

pub mod advice;
pub mod api;
pub mod artifacts;
pub mod auth;
pub mod endpoint;
pub mod error;
pub mod kms;
pub mod logging;
pub mod registry;
pub mod run;
pub mod transport;

#[cfg(test)]
pub(crate) mod testing;
