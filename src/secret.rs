//! Text that must never be shown.

use std::fmt;
use std::sync::Arc;

/// A token, key or password. It has no `Display`, and its `Debug` is starred.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Told about each secret the moment it comes to be, so that logs can mask it
/// (`::add-mask::` on a GitHub runner).
pub trait Masker: Send + Sync {
    /// Masks the text in everything that is printed from now on.
    fn mask(&self, secret: &Secret);
}

/// Masks nothing: on a terminal no secret is printed in the first place.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMasker;

impl Masker for NoMasker {
    fn mask(&self, _secret: &Secret) {}
}
