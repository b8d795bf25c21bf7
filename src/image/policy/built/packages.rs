//! Which folders hold packages of others.

use std::collections::BTreeSet;

use crate::image::policy::archive::saved::Image;

/// Folders that are always so.
const FOLDERS: [&str; 5] = [
    "site-packages",
    "dist-packages",
    "node_modules",
    ".venv",
    "venv",
];

/// The folders of an image that hold packages of others.
pub(super) struct Packages<'a> {
    /// Folders beside whose entries stands a record of an installation (`NAME.dist-info`): what
    /// `pip install --target` filled.
    targets: BTreeSet<&'a str>,
}

impl<'a> Packages<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        let entries = image.layers.iter().flat_map(|layer| &layer.entries);
        let targets = entries.filter_map(|entry| {
            let at = entry.path.find(".dist-info")?;
            entry.path[..at]
                .rfind('/')
                .map(|slash| &entry.path[..slash])
        });
        Self {
            targets: targets.collect(),
        }
    }

    /// Whether a file is part of a package.
    pub(super) fn hold(&self, path: &str) -> bool {
        let by_name = path
            .split('/')
            .any(|part| FOLDERS.contains(&part) || part.starts_with("python3."));
        by_name
            || path
                .match_indices('/')
                .any(|(at, _)| self.targets.contains(&path[..at]))
    }
}
