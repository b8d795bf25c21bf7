//! The OCI registry (Artifact Registry): resolve, tag, confirm.
//!
//! Written directly on the HTTP client and not on `oci-client`: few requests are needed, and that
//! crate does not retry 429 and 5xx, keeps one credential for a registry's lifetime, and its typed
//! manifests change digests. A manifest is moved here byte for byte; no layer is ever read.
//! Protocol: OCI Distribution Specification 1.1.

mod advice;
mod artifact;
mod client;
mod copy;
mod error;
mod http;

#[cfg(test)]
mod tests;

pub(crate) use advice::{FREE_SPACE, explain_refusal, names_immutability};
pub(crate) use artifact::{RawManifest, Referrers, SubjectSeen, descriptors};
pub use client::{Client, ManifestInfo, TagPut};
pub use error::RegistryError;

pub use super::endpoint::RegistryAddress;
pub(crate) use http::TOKEN_USER;
