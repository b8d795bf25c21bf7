//! Build, push and local trial of images through the Docker Engine API.
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | the connection, and which builder the engine has |
//! | [`ignore`] | `.dockerignore`: what belongs to the build context |
//! | [`context`] | a directory as a tar stream |
//! | [`build`] | request → image in the engine |
//! | [`policy`] | what must hold before an image is pushed |
//! | [`push`] | image → digest at the registry, confirmed there |
//! | [`trial`] | the image, started beside us and reached |

pub mod build;
pub mod context;
pub mod engine;
mod error;
pub mod ignore;
pub mod policy;
mod progress;
pub mod push;
pub mod trial;

pub use build::{BuildRequest, BuiltImage, ImageOrigin, PLATFORM, RegistryLogin};
pub use context::Context;
pub use engine::{Builder, Engine};
pub use trial::{RunningTrial, TrialRequest};
