//! The OCI registry (Artifact Registry): resolve, tag, confirm.
//!
//! Written directly on the HTTP client and not on `oci-client`: five requests are needed, and that
//! crate does not retry 429 and 5xx, keeps one credential for a registry's lifetime, and its typed
//! manifests change digests. A manifest is moved here byte for byte; no layer is ever read.
//! Protocol: OCI Distribution Specification 1.1.

mod advice;
mod client;
mod error;
mod http;

#[cfg(test)]
mod tests;

pub(crate) use advice::{FREE_SPACE, explain_refusal, names_immutability};
pub use client::{Client, ManifestInfo, TagPut};
pub use error::RegistryError;
pub(crate) use http::TOKEN_USER;

/// How a repository of images is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAddress {
    /// `https://us-central1-docker.pkg.dev` or `http://127.0.0.1:PORT`: for HTTP.
    pub base_url: String,
    /// `us-central1-docker.pkg.dev` or `127.0.0.1:PORT`: for references that dockerd is given.
    pub host: String,
    /// `PROJECT/REPOSITORY/IMAGE`.
    pub path: String,
}
