//! What the registry knows: manifests and tags in memory, blobs as files.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::name::Reference;

/// A manifest, byte for byte as it was pushed.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

/// One image name: what was pushed under it.
#[derive(Default)]
pub(super) struct Image {
    pub(super) blobs: BTreeSet<String>,
    pub(super) manifests: BTreeMap<String, Manifest>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Image {
    /// The digest that a reference points at, if it is known.
    pub(super) fn digest(&self, reference: &Reference) -> Option<String> {
        match reference {
            Reference::Tag(tag) => self.tags.get(tag).cloned(),
            Reference::Digest(digest) => {
                self.manifests.contains_key(digest).then(|| digest.clone())
            }
        }
    }
}

/// All images by name (`PROJECT/REPOSITORY/IMAGE`).
#[derive(Default)]
pub(super) struct Store {
    pub(super) images: BTreeMap<String, Image>,
}
