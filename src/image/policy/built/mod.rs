//! The built image: its user, its size, what it holds, and credentials. Pure.

mod contents;
mod leaks;
mod packages;
mod size;
mod user;

use super::archive::flat::Flat;
use super::archive::saved::Image;
use super::finding::{Finding, Place, shown};

/// Every finding in a built image, of all policies that look at it; `budget` is its largest size in
/// bytes.
pub fn check_image(image: &Image, budget: u64) -> Vec<Finding> {
    let flat = Flat::new(&image.layers);
    let mut findings = Vec::new();
    findings.extend(user::check(image, &flat));
    findings.extend(size::check(image, &flat, budget));
    contents::check(image, &flat, &mut findings);
    leaks::check(image, &flat, &mut findings);
    findings
}

/// The whole image as a place.
fn whole() -> Place {
    Place::Image("the built image".to_owned())
}

/// A file of one layer as a place.
fn in_layer(image: &Image, layer: usize, path: &str) -> Place {
    Place::Image(format!("/{path} in {}", layer_name(image, layer)))
}

/// `layer 3 of 9 (COPY app /app)`.
fn layer_name(image: &Image, layer: usize) -> String {
    let (number, count) = (layer + 1, image.layers.len());
    match image.made_by.get(layer).map(|made| instruction(made)) {
        Some(made) if !made.is_empty() => format!("layer {number} of {count} ({made})"),
        _ => format!("layer {number} of {count}"),
    }
}

/// Longest instruction that a place repeats, in characters.
const SHOWN_CHARACTERS: usize = 72;

/// A line of the history without what builders add, and without values of arguments.
fn instruction(made: &str) -> String {
    let text = made.trim().trim_end_matches("# buildkit").trim();
    let text = text
        .strip_prefix("/bin/sh -c #(nop)")
        .unwrap_or(text)
        .trim();
    let text = match text.strip_prefix("RUN ").unwrap_or(text).strip_prefix('|') {
        // `|2 NAME=value NAME=value /bin/sh -c …`: the values are what may be secret.
        Some(rest) => rest
            .split_once("/bin/sh -c ")
            .map_or("RUN …", |(_, command)| command),
        None => text,
    };
    let text = text.replacen("/bin/sh -c ", "", 1);
    // The values of variables may be secret as well.
    let text = match text.split_once('=') {
        Some((name, _)) if text.starts_with("ENV ") || text.starts_with("ARG ") => {
            format!("{name}=…")
        }
        _ => text,
    };
    let text = shown(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text;
    }
    let mut short: String = text.chars().take(SHOWN_CHARACTERS).collect();
    short.push('…');
    short
}

/// `12.3 MB`, in powers of 1000 as `docker images` counts.
fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 {
        return format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100);
    }
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
