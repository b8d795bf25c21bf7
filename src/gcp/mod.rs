//! Google Cloud: the only place where wire becomes domain.

pub mod auth;
pub mod registry;
