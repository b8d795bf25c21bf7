//! What the registry knows: manifests and tags in memory, blobs as files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use ring::digest::{Context, SHA256, digest};

use super::name::{Reference, repository_of};
use super::upload::Upload;

/// A manifest, byte for byte as it was pushed.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    /// Digests of blobs without which it cannot be pulled.
    pub(super) blobs: Vec<String>,
    /// Digests of the manifests that an index lists.
    pub(super) children: Vec<String>,
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

/// All images by name (`PROJECT/REPOSITORY/IMAGE`), and what is being uploaded.
#[derive(Default)]
pub(super) struct Store {
    pub(super) images: BTreeMap<String, Image>,
    /// By identifier. An upload that a request works on is taken out meanwhile.
    pub(super) uploads: HashMap<String, Upload>,
    /// Repositories (project, repository) whose tags cannot move.
    pub(super) immutable: BTreeSet<(String, String)>,
}

impl Store {
    /// The image, made when it is not there: a repository comes into being with its first push.
    pub(super) fn image_mut(&mut self, name: &str) -> &mut Image {
        self.images.entry(name.to_owned()).or_default()
    }

    /// True when the tags of the image's repository cannot move.
    pub(super) fn is_immutable(&self, name: &str) -> bool {
        repository_of(name).is_some_and(|repository| self.immutable.contains(&repository))
    }
}

/// `sha256:…` of some bytes. ring's code is assembly: fast in unoptimised builds too.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest(&SHA256, bytes)))
}

/// `sha256:…` of what was hashed piece by piece.
pub(super) fn finish(hash: &Context) -> String {
    format!("sha256:{}", hex::encode(hash.clone().finish()))
}
