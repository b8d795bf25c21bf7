//! Layers → the files that a container sees. Pure.
//!
//! Source: OCI image specification, "Image Layer Filesystem Changeset": `.wh.NAME` hides NAME of the
//! layers below, `.wh..wh..opq` hides everything below its directory there, whatever its place in
//! the archive; what is no directory replaces whatever had its name.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::saved::{Layer, LayerEntry};
use super::tar::Kind;

/// Marks a file that hides another one.
const HIDES: &str = ".wh.";
/// Hides everything below.
const OPAQUE: &str = ".wh..wh..opq";

/// A file that a container sees.
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a> {
    /// Index of the layer that it comes from.
    pub layer: usize,
    /// The file.
    pub entry: &'a LayerEntry,
}

/// The files that a container sees, by path.
#[derive(Debug, Default)]
pub struct Flat<'a> {
    files: BTreeMap<&'a str, Visible<'a>>,
}

/// Whether an entry hides others and is no file itself.
pub fn is_whiteout(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with(HIDES))
}

impl<'a> Flat<'a> {
    /// Puts layers on top of each other, the lowest one first.
    pub fn new(layers: &'a [Arc<Layer>]) -> Self {
        let mut flat = Self::default();
        for (index, layer) in layers.iter().enumerate() {
            for entry in &layer.entries {
                flat.hide(&entry.path);
            }
            for entry in layer
                .entries
                .iter()
                .filter(|entry| !is_whiteout(&entry.path))
            {
                if entry.kind != Kind::Directory {
                    flat.remove_below(&entry.path);
                }
                flat.files.insert(
                    &entry.path,
                    Visible {
                        layer: index,
                        entry,
                    },
                );
            }
        }
        flat
    }

    /// The file of this path.
    pub fn get(&self, path: &str) -> Option<&Visible<'a>> {
        self.files.get(path)
    }

    /// Every file, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &Visible<'a>)> {
        self.files.iter().map(|(path, visible)| (*path, visible))
    }

    fn hide(&mut self, path: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == OPAQUE {
            self.remove_below(directory);
        } else if let Some(hidden) = name.strip_prefix(HIDES).filter(|name| !name.is_empty()) {
            let hidden = if directory.is_empty() {
                hidden.to_owned()
            } else {
                format!("{directory}/{hidden}")
            };
            self.files.remove(hidden.as_str());
            self.remove_below(&hidden);
        }
    }

    /// Everything in a directory, but not the directory; the empty path is the root.
    fn remove_below(&mut self, directory: &str) {
        if directory.is_empty() {
            self.files.clear();
            return;
        }
        // `0` is the character behind `/`.
        let (from, to) = (format!("{directory}/"), format!("{directory}0"));
        let range = (Bound::Included(from.as_str()), Bound::Excluded(to.as_str()));
        let below: Vec<&str> = self
            .files
            .range::<str, _>(range)
            .map(|(path, _)| *path)
            .collect();
        for path in below {
            self.files.remove(path);
        }
    }
}
