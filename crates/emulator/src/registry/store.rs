//! What the registry knows: manifests and tags in memory, blobs as files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bytes::Bytes;
use ring::digest::{Context, SHA256, digest};
use serde::{Deserialize, Serialize};

use super::name::{Reference, repository_of};
use super::upload::Upload;
use crate::storage::{Changes, Keep, Storage, StorageError, Table};

/// A manifest, byte for byte as it was pushed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    /// Kept as a file beside the blobs.
    #[serde(skip)]
    pub(super) bytes: Bytes,
    /// Digests of blobs without which it cannot be pulled.
    pub(super) blobs: Vec<String>,
    /// Digests of the manifests that an index lists.
    pub(super) children: Vec<String>,
}

/// One image name: what was pushed under it.
#[derive(Default, Serialize, Deserialize)]
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

impl Image {
    /// Reads the manifests, and lets go of what somebody has removed from the directory.
    fn find_files(&mut self, name: &str, blobs: &Path) {
        self.blobs.retain(|digest| {
            let is_here = blobs.join(file_name(digest)).exists();
            if !is_here {
                tracing::warn!(name, digest, "the file of a blob is gone");
            }
            is_here
        });
        self.manifests.retain(|digest, manifest| {
            let bytes = std::fs::read(blobs.join(file_name(digest))).unwrap_or_default();
            let is_whole = digest_of(&bytes) == *digest;
            if !is_whole {
                tracing::warn!(name, digest, "the file of a manifest is gone or damaged");
            }
            manifest.bytes = bytes.into();
            is_whole
        });
        let manifests = &self.manifests;
        self.tags.retain(|_, digest| manifests.contains_key(digest));
    }
}

/// Name of the file that holds what has this digest.
pub(super) fn file_name(digest: &str) -> String {
    digest.replace(':', "-")
}

/// All images by name (`PROJECT/REPOSITORY/IMAGE`), and what is being uploaded.
#[derive(Default)]
pub(super) struct Store {
    pub(super) images: Table<String, Image>,
    /// By identifier. An upload that a request works on is taken out meanwhile.
    pub(super) uploads: HashMap<String, Upload>,
    /// Repositories (project, repository) whose tags cannot move.
    pub(super) immutable: Table<(String, String), ()>,
}

impl Keep for Store {
    fn keep(&mut self, changes: &mut Changes) {
        let Self {
            images,
            uploads: _,
            immutable,
        } = self;
        images.keep(changes);
        immutable.keep(changes);
    }
}

impl Store {
    /// The images that were kept. What has lost its file is not there any more.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub(super) fn load(storage: &Storage, blobs: &Path) -> Result<Self, StorageError> {
        let mut images: Table<String, Image> = storage.table("registry.images")?;
        let names: Vec<String> = images.keys().cloned().collect();
        for name in names {
            if let Some(image) = images.get_mut(&name) {
                image.find_files(&name, blobs);
            }
        }
        Ok(Self {
            images,
            uploads: HashMap::new(),
            immutable: storage.table("registry.immutable")?,
        })
    }

    /// Forgets every image; files stay, because an engine may be reading them.
    pub(super) fn clear(&mut self) {
        self.images.clear();
        self.uploads.clear();
        self.immutable.clear();
    }

    /// The image, made when it is not there: a repository comes into being with its first push.
    pub(super) fn image_mut(&mut self, name: &str) -> &mut Image {
        self.images
            .get_or_insert_with(name.to_owned(), Image::default)
    }

    /// True when the tags of the image's repository cannot move.
    pub(super) fn is_immutable(&self, name: &str) -> bool {
        repository_of(name).is_some_and(|repository| self.immutable.contains_key(&repository))
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
