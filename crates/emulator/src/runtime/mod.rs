//! Where containers run.

/// Starts and stops containers.
pub trait Runtime: Send + Sync {}
