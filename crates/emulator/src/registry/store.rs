//! What the registry knows: manifests and tags in memory, blobs as files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, Utc};
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Repository {
    /// Where it was created.
    pub(super) location: String,
    pub(super) description: String,
    /// True: its tags can neither move nor go.
    pub(super) immutable_tags: bool,
    pub(super) created: DateTime<Utc>,
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

/// What holds for every repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Setting {
    /// See [`Store::must_be_created`].
    MustBeCreated,
    /// See [`Store::has_no_referrers`].
    NoReferrers,
}

/// All images by name (`PROJECT/REPOSITORY/IMAGE`), and what is being uploaded.
#[derive(Default)]
pub(super) struct Store {
    pub(super) images: Table<String, Image>,
    /// By identifier. An upload that a request works on is taken out meanwhile.
    pub(super) uploads: HashMap<String, Upload>,
    /// By project and name.
    pub(super) repositories: Table<(String, String), Repository>,
    /// What holds for all of them.
    pub(super) settings: Table<Setting, bool>,
}

impl Keep for Store {
    fn keep(&mut self, changes: &mut Changes) {
        let Self {
            images,
            uploads: _,
            repositories,
            settings,
        } = self;
        images.keep(changes);
        repositories.keep(changes);
        settings.keep(changes);
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
            repositories: storage.table("registry.repositories")?,
            settings: storage.table("registry.settings")?,
        })
    }

    /// Forgets every image; files stay, because an engine may be reading them.
    pub(super) fn clear(&mut self) {
        self.images.clear();
        self.uploads.clear();
        self.repositories.clear();
        self.settings.clear();
    }

    /// True: a push into a repository that was not created is refused, as in the true registry.
    pub(super) fn must_be_created(&self) -> bool {
        self.settings.contains_key(&Setting::MustBeCreated)
    }

    /// True: nothing is listed of what refers to an image, as in registries of before version 1.1 of
    /// the distribution specification.
    pub(super) fn has_no_referrers(&self) -> bool {
        self.settings.contains_key(&Setting::NoReferrers)
    }

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
        if self.must_be_created() && !self.repositories.contains_key(&key) {
            return false;
        }
        self.repositories.get_or_insert_with(key, || Repository {
            location: location.to_owned(),
            description: String::new(),
            immutable_tags: false,
            created: now,
        });
        true
    }

    /// The image, made when it is not there.
    pub(super) fn image_mut(&mut self, name: &str) -> &mut Image {
        self.images
            .get_or_insert_with(name.to_owned(), Image::default)
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
