//! What must hold before an image is pushed: pinned dependencies, a sound Dockerfile, a small image
//! without root, build tools and credentials.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | findings → diagnostics, as the modes say |
//! | [`finding`] | what breaks a policy, and where |
//! | [`requirements`] | requirements files: is every package pinned to one version? |
//! | [`pyproject`] | manifests and their lock files |
//! | [`conda`] | environments of conda |
//! | [`dockerfile`] | stages, user, bases, pip cache, secrets in variables |
//! | [`secret`] | credentials by their form, in a stream of bytes |
//! | [`archive`] | tar archives and saved images as streams |
//! | [`built`] | the built image: user, size, contents, credentials |
//! | [`engine`] | the built image, as the engine exports it |
//! | [`sources`] | reads what is checked before the build |

pub mod archive;
pub mod built;
pub mod conda;
pub mod dockerfile;
pub mod engine;
pub mod finding;
pub mod placed;
pub mod pyproject;
pub mod requirements;
pub mod secret;
pub mod settings;
pub mod sources;

pub use finding::{Finding, Place};
pub use settings::{Judged, judge};
pub use sources::Sources;

#[cfg(test)]
mod tests;
