//! How large the image is, and what makes it so.

use std::collections::BTreeMap;

use crate::image::policy::archive::flat::Flat;
use crate::image::policy::archive::saved::Image;
use crate::image::policy::archive::tar::Kind;
use crate::image::policy::finding::{Finding, Policy};

use super::{layer_name, megabytes, whole};

/// Layers and folders that are named.
const MOST_NAMED: usize = 6;
/// Smallest share of the image that a folder must have to be named: one in this many.
const WORTH_NAMING: u64 = 40;

/// The sum of the layers, uncompressed, against the budget.
pub(super) fn check(image: &Image, flat: &Flat<'_>, budget: u64) -> Option<Finding> {
    let total: u64 = image.layers.iter().map(|layer| layer.size).sum();
    if total <= budget {
        return None;
    }
    let title = format!(
        "the image has {}, {} more than its budget of {}",
        megabytes(total),
        megabytes(total - budget),
        megabytes(budget)
    );
    let mut finding = Finding::new(Policy::ImageSize, "size", whole(), title);
    let mut layers: Vec<(u64, usize)> = image
        .layers
        .iter()
        .enumerate()
        .map(|(index, layer)| (layer.size, index))
        .collect();
    layers.sort_by_key(|(size, index)| (std::cmp::Reverse(*size), *index));
    for (size, index) in layers
        .into_iter()
        .take(MOST_NAMED)
        .filter(|(size, _)| *size > 0)
    {
        finding = finding.detail(format!(
            "{:>9}  {}",
            megabytes(size),
            layer_name(image, index)
        ));
    }
    for (size, folder) in folders(flat, total).into_iter().take(MOST_NAMED) {
        finding = finding.detail(format!("{:>9}  /{folder}", megabytes(size)));
    }
    let seen: u64 = flat
        .iter()
        .map(|(_, visible)| data(visible.entry.kind, visible.entry.size))
        .sum();
    if total - seen > total / WORTH_NAMING {
        finding = finding.detail(format!(
            "{:>9}  replaced or deleted by a later layer, and still in the image",
            megabytes(total - seen)
        ));
    }
    Some(
        finding
            .help("leave out what no run loads: build tools, tests and caches, models that are not used; begin at a slim base")
            .help("or raise `image_size_budget`"),
    )
}

fn data(kind: Kind, size: u64) -> u64 {
    if kind == Kind::File { size } else { 0 }
}

/// Folders that say where the bytes are, none inside of another, the largest first: a folder whose
/// bytes are mostly in a few of its own is told by those.
fn folders(flat: &Flat<'_>, total: u64) -> Vec<(u64, String)> {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for (path, visible) in flat.iter() {
        let size = data(visible.entry.kind, visible.entry.size);
        if size == 0 {
            continue;
        }
        for (at, _) in path.match_indices('/') {
            *sizes.entry(path[..at].to_owned()).or_default() += size;
        }
    }
    sizes.retain(|_, size| *size >= total / WORTH_NAMING);
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in sizes.keys() {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        children.entry(parent).or_default().push(path);
    }
    let mut found = Vec::new();
    collect("", &sizes, &children, &mut found);
    found.sort_by(|a, b| b.cmp(a));
    found
}

fn collect(
    path: &str,
    sizes: &BTreeMap<String, u64>,
    children: &BTreeMap<&str, Vec<&str>>,
    found: &mut Vec<(u64, String)>,
) {
    let inner = children.get(path).map(Vec::as_slice).unwrap_or_default();
    let size_of = |path: &str| sizes.get(path).copied().unwrap_or_default();
    let covered: u64 = inner.iter().map(|child| size_of(child)).sum();
    let size = size_of(path);
    if !path.is_empty() && covered * 10 < size * 7 {
        found.push((size, path.to_owned()));
        return;
    }
    for child in inner {
        collect(child, sizes, children, found);
    }
}
