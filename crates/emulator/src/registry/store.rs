//! What the registry knows: manifests and tags in memory, blobs as files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use chrono::{DateTime, Utc};
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
    /// Bytes of the blobs, as the manifest tells them.
    pub(super) content_bytes: u64,
    /// When it came first.
    pub(super) uploaded: DateTime<Utc>,
}

impl Manifest {
    /// Bytes of the manifest and of what it refers to.
    pub(super) fn size(&self) -> u64 {
        self.content_bytes + self.bytes.len() as u64
    }
}

/// A repository of Artifact Registry.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    /// Where it was created.
    pub(super) location: String,
    pub(super) description: String,
    /// True: its tags can neither move nor go.
    pub(super) immutable_tags: bool,
    pub(super) created: DateTime<Utc>,
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
    /// By project and name.
    pub(super) repositories: BTreeMap<(String, String), Repository>,
    /// True: a push into a repository that was not created is refused, as in the true registry.
    pub(super) must_be_created: bool,
}

impl Store {
    /// Makes the image's repository when it is not there: unless the world says otherwise, it comes
    /// into being with its first push. False: it is not there, and must be created.
    pub(super) fn ensure_repository(
        &mut self,
        name: &str,
        location: &str,
        now: DateTime<Utc>,
    ) -> bool {
        let Some(key) = repository_of(name) else {
            return true;
        };
        if self.must_be_created && !self.repositories.contains_key(&key) {
            return false;
        }
        self.repositories.entry(key).or_insert_with(|| Repository {
            location: location.to_owned(),
            description: String::new(),
            immutable_tags: false,
            created: now,
        });
        true
    }

    /// The image, made when it is not there.
    pub(super) fn image_mut(&mut self, name: &str) -> &mut Image {
        self.images.entry(name.to_owned()).or_default()
    }

    /// True when the tags of the image's repository cannot move.
    pub(super) fn is_immutable(&self, name: &str) -> bool {
        repository_of(name)
            .and_then(|key| self.repositories.get(&key))
            .is_some_and(|repository| repository.immutable_tags)
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
