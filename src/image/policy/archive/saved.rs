//! An image as `docker save` writes it and the Engine API exports it: the old form
//! (`<id>/layer.tar`), the one with OCI blobs, and an OCI layout alone.
//!
//! The stream is read once, from its start to its end, and the list of layers comes last: so every
//! layer is looked at when it passes, and put in order afterwards. What is kept of a file is its
//! name, size and kind; the contents of a few small files that rules ask for; and what was found in
//! it. The archive comes from the engine that built the image, so digests are not computed again:
//! the push confirms the digest at the registry.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde::Deserialize;

use super::packed::{Content, gunzip, sniff, unzstd};
use super::tar::{Entry, Kind, TarError, TarReader};
use crate::image::policy::secret::Found;
use crate::image::policy::secret::scan::Window;

/// Most entries of all layers together: what is kept of one is about 60 bytes and its path.
const MOST_ENTRIES: usize = 2_000_000;
/// All their paths together, in bytes: one may be a megabyte long.
const MOST_PATH_BYTES: usize = 256 << 20;
/// Largest JSON file, and small file that is kept.
const LARGEST_DOCUMENT: u64 = 8 << 20;
/// All of them together.
const MOST_DOCUMENT_BYTES: u64 = 64 << 20;
/// Most credentials that are told of one file, and of one layer.
const MOST_PER_FILE: usize = 5;
const MOST_PER_LAYER: usize = 200;

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The archive, or a layer's, is broken.
    #[error("{0}")]
    Tar(String, #[source] TarError),
    /// The stream failed.
    #[error("the stream of the image failed")]
    Io(#[from] io::Error),
    /// The list of layers is missing or says something else.
    #[error("{0}")]
    Form(String),
    /// It is larger than anything that is an image.
    #[error("the image holds more than {MOST_ENTRIES} files")]
    TooMany,
    /// The names of its files are larger than those of any image.
    #[error("the names of the image's files are larger than {MOST_PATH_BYTES} bytes")]
    LongNames,
}

/// What is known of an image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// How it is to be run.
    pub config: Config,
    /// Its layers, the lowest one first.
    pub layers: Vec<Arc<Layer>>,
    /// For each layer what made it, where the history says it.
    pub made_by: Vec<String>,
}

/// The image's configuration, as far as rules ask for it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How it is to be run.
    pub config: RunConfig,
    /// What made it.
    pub history: Vec<Made>,
}

/// How the image is to be run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    /// `user`, `uid`, `user:group`; empty is root.
    pub user: Option<String>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Where it starts.
    pub working_dir: Option<String>,
}

/// One line of the history.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Made {
    /// The instruction.
    pub created_by: Option<String>,
    /// It made no layer.
    pub empty_layer: bool,
}

/// A layer.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// Its entries in the order of the archive.
    pub entries: Vec<LayerEntry>,
    /// Credentials, each with the index of its entry.
    pub secrets: Vec<(usize, Found)>,
    /// Contents of the files that rules ask for.
    pub texts: BTreeMap<String, String>,
    /// Bytes of its files.
    pub size: u64,
}

/// What is kept of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerEntry {
    /// Without `/` in front.
    pub path: Box<str>,
    /// What it is.
    pub kind: Kind,
    /// Bytes of data.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
}

/// Whether the data of files is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// It is searched for credentials.
    Searched,
    /// It is skipped.
    Skipped,
}

/// Files whose contents rules ask for.
fn is_asked_for(path: &str) -> bool {
    matches!(path, "etc/passwd" | "var/lib/dpkg/status")
}

/// Reads an image from a stream.
///
/// # Errors
/// When the stream fails, or is no saved image.
pub fn read_image(stream: impl BufRead, secrets: Secrets) -> Result<Image, SavedError> {
    let mut reader = Reader {
        secrets,
        window: Window::default(),
        entries: 0,
        path_bytes: 0,
        document_bytes: 0,
        members: Members::default(),
    };
    let outer = |error| SavedError::Tar("it is no saved image".to_owned(), error);
    let mut archive = TarReader::new(stream);
    while let Some(entry) = archive.next_entry().map_err(outer)? {
        reader.member(&entry, &mut archive)?;
    }
    reader.members.image()
}

struct Reader {
    secrets: Secrets,
    window: Window,
    entries: usize,
    path_bytes: usize,
    document_bytes: u64,
    members: Members,
}

impl Reader {
    /// Reads one member of the saved image: a layer, a document, or something without meaning here.
    fn member(&mut self, entry: &Entry, data: impl BufRead) -> Result<(), SavedError> {
        self.count(entry)?;
        match entry.kind {
            Kind::File => {}
            Kind::SymbolicLink | Kind::HardLink => {
                let target = resolve(&entry.path, &entry.target, entry.kind);
                self.members.links.insert(entry.path.clone(), target);
                return Ok(());
            }
            Kind::Directory | Kind::Other => return Ok(()),
        }
        let (content, data) = sniff(data)?;
        let layer = match content {
            Content::Tar => self.layer(data),
            Content::Gzip => self.layer(gunzip(data)),
            Content::Zstd => self.layer(unzstd(data)),
            Content::Json => {
                if entry.size <= LARGEST_DOCUMENT {
                    let text = self.document(data)?;
                    self.members.documents.insert(entry.path.clone(), text);
                }
                return Ok(());
            }
            Content::Other => return Ok(()),
        };
        let layer = layer.map_err(|error| match error {
            SavedError::Tar(_, source) => {
                SavedError::Tar(format!("the layer `{}` is broken", entry.path), source)
            }
            other => other,
        })?;
        self.members
            .layers
            .insert(entry.path.clone(), Arc::new(layer));
        Ok(())
    }

    /// Holds what is kept to its limits.
    fn count(&mut self, entry: &Entry) -> Result<(), SavedError> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(SavedError::TooMany);
        }
        self.path_bytes += entry.path.len() + entry.target.len();
        if self.path_bytes > MOST_PATH_BYTES {
            return Err(SavedError::LongNames);
        }
        Ok(())
    }

    fn document(&mut self, data: impl Read) -> Result<String, SavedError> {
        let mut bytes = Vec::new();
        data.take(LARGEST_DOCUMENT).read_to_end(&mut bytes)?;
        self.document_bytes += bytes.len() as u64;
        if self.document_bytes > MOST_DOCUMENT_BYTES {
            return Err(SavedError::Form(
                "its documents are larger than those of any image".to_owned(),
            ));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn layer(&mut self, data: impl BufRead) -> Result<Layer, SavedError> {
        let broken = |error| SavedError::Tar(String::new(), error);
        let mut layer = Layer::default();
        let mut archive = TarReader::new(data);
        while let Some(entry) = archive.next_entry().map_err(broken)? {
            self.count(&entry)?;
            if entry.kind == Kind::File {
                layer.size = layer.size.saturating_add(entry.size);
                if is_asked_for(&entry.path) && entry.size <= LARGEST_DOCUMENT {
                    let text = self.document(&mut archive)?;
                    layer.texts.insert(entry.path.clone(), text);
                } else if self.secrets == Secrets::Searched && entry.size > 0 {
                    let most = MOST_PER_FILE.min(MOST_PER_LAYER - layer.secrets.len());
                    let found = self.window.scan(&mut archive, most)?;
                    let index = layer.entries.len();
                    layer
                        .secrets
                        .extend(found.into_iter().map(|found| (index, found)));
                }
            }
            let Entry {
                path,
                kind,
                size,
                mode,
                target: _,
            } = entry;
            layer.entries.push(LayerEntry {
                path: path.into_boxed_str(),
                kind,
                size,
                mode,
            });
        }
        Ok(layer)
    }
}

/// Where a link of the archive points. A hard link names its target from the archive's root.
fn resolve(path: &str, target: &str, kind: Kind) -> String {
    let mut parts: Vec<&str> = match kind {
        Kind::SymbolicLink if !target.starts_with('/') => path.split('/').collect(),
        _ => Vec::new(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What the archive held, by name.
#[derive(Default)]
struct Members {
    layers: HashMap<String, Arc<Layer>>,
    documents: HashMap<String, String>,
    links: HashMap<String, String>,
}

/// One entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    #[serde(default)]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct OciIndex {
    manifests: Option<Vec<OciDescriptor>>,
}

#[derive(Deserialize)]
struct OciManifest {
    config: OciDescriptor,
    layers: Vec<OciDescriptor>,
}

#[derive(Deserialize)]
struct OciDescriptor {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl OciDescriptor {
    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replacen(':', "/", 1))
    }

    /// Signed statements about an image stand beside it in its index.
    fn is_attestation(&self) -> bool {
        self.annotations.contains_key("vnd.docker.reference.type")
    }
}

impl Members {
    fn image(&self) -> Result<Image, SavedError> {
        let (config, layers) = match self.documents.get("manifest.json") {
            Some(text) => {
                let manifests: Vec<DockerManifest> = parsed("manifest.json", text)?;
                let first = manifests.into_iter().next();
                let first = first
                    .ok_or_else(|| SavedError::Form("`manifest.json` names no image".to_owned()))?;
                (first.config, first.layers)
            }
            None => self.listed_by_index()?,
        };
        let text = self
            .documents
            .get(&config)
            .or_else(|| self.documents.get(self.links.get(&config)?));
        let text = text.ok_or_else(|| {
            SavedError::Form(format!(
                "the configuration `{config}` is not in the archive"
            ))
        })?;
        let config: Config = parsed("the configuration", text)?;
        let layers: Vec<Arc<Layer>> = layers
            .iter()
            .map(|name| self.layer(name))
            .collect::<Result<_, _>>()?;
        let mut made_by: Vec<String> = config
            .history
            .iter()
            .filter(|made| !made.empty_layer)
            .map(|made| made.created_by.clone().unwrap_or_default())
            .collect();
        // An image that was imported, or squashed, has a history that does not fit.
        if made_by.len() != layers.len() {
            made_by = vec![String::new(); layers.len()];
        }
        Ok(Image {
            config,
            layers,
            made_by,
        })
    }

    fn layer(&self, name: &str) -> Result<Arc<Layer>, SavedError> {
        let mut name = name;
        // A link to a link is no layout of any engine; 8 is plenty.
        for _ in 0..8 {
            if let Some(layer) = self.layers.get(name) {
                return Ok(Arc::clone(layer));
            }
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        Err(SavedError::Form(format!(
            "the layer `{name}` is not in the archive"
        )))
    }

    /// An OCI layout: index → manifest → configuration and layers.
    fn listed_by_index(&self) -> Result<(String, Vec<String>), SavedError> {
        let missing = |what: &str| {
            SavedError::Form(format!("the archive has no {what}: it is no saved image"))
        };
        let text = self
            .documents
            .get("index.json")
            .ok_or_else(|| missing("`manifest.json`"))?;
        let mut index: OciIndex = parsed("index.json", text)?;
        for _ in 0..4 {
            let manifests = index.manifests.take().unwrap_or_default();
            let chosen = manifests
                .iter()
                .find(|descriptor| !descriptor.is_attestation());
            let chosen = chosen.ok_or_else(|| missing("manifest"))?.path();
            let text = self
                .documents
                .get(&chosen)
                .ok_or_else(|| missing("manifest"))?;
            if let Ok(manifest) = serde_json::from_str::<OciManifest>(text) {
                let layers = manifest.layers.iter().map(OciDescriptor::path).collect();
                return Ok((manifest.config.path(), layers));
            }
            index = parsed("an index of the image", text)?;
        }
        Err(missing("manifest"))
    }
}

fn parsed<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, SavedError> {
    serde_json::from_str(text).map_err(|error| {
        SavedError::Form(format!(
            "`{what}` of the image is not as it should be: {error}"
        ))
    })
}
