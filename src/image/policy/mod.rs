//! What must hold before an image is pushed: pinned dependencies, a sound Dockerfile, a small image
//! without root, build tools and credentials.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | findings → diagnostics, as the modes say |
//! | [`finding`] | what breaks a policy, and where |
//! | [`requirements`] | requirements files: is every package pinned to one version? |
//! | [`pyproject`] | manifests and their lock files |
//! | [`dockerfile`] | stages, user, bases, pip cache, secrets in variables |
//! | [`secret`] | credentials by their form, in a stream of bytes |
//! | [`archive`] | tar archives and saved images as streams |
//! | [`sources`] | reads what is checked before the build |

pub mod archive;
pub mod dockerfile;
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
