//! The OCI registry (Artifact Registry): resolve, tag, confirm.
