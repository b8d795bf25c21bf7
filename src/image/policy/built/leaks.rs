//! Credentials in layers, variables, history and labels.

use crate::image::policy::archive::flat::{Flat, is_whiteout};
use crate::image::policy::archive::saved::Image;
use crate::image::policy::archive::tar::Kind;
use crate::image::policy::finding::{Finding, Place, Policy};
use crate::image::policy::secret::scan::Scanner;
use crate::image::policy::secret::{Rule, described, masked, names_secret};

use super::in_layer;
use super::packages::Packages;

const REVOKE: &str =
    "revoke it: who can pull the image, or reach the machine that built it, can read it";
const KEEP_OUT: &str =
    "take secrets in a build by `RUN --mount=type=secret`, at run time by the input `secrets`";

pub(super) fn check(image: &Image, flat: &Flat<'_>, findings: &mut Vec<Finding>) {
    in_files(image, flat, findings);
    in_variables(image, findings);
    in_history(image, findings);
    in_labels(image, findings);
}

fn leak(rule: &'static str, place: Place, title: String) -> Finding {
    Finding::new(Policy::Secrets, rule, place, title)
        .help(REVOKE)
        .help(KEEP_OUT)
}

fn in_files(image: &Image, flat: &Flat<'_>, findings: &mut Vec<Finding>) {
    let packages = Packages::new(image);
    for (index, layer) in image.layers.iter().enumerate() {
        let fate = |path: &str| match flat.get(path) {
            Some(visible) if visible.layer == index => None,
            Some(_) => Some("a later layer replaces the file; it is still in the image"),
            None => Some("a later layer deletes the file; it is still in the image"),
        };
        let tell = |rule: &'static str, path: &str, title: String| {
            let finding = leak(rule, in_layer(image, index, path), title);
            match fate(path) {
                Some(words) => finding.detail(words),
                None => finding,
            }
        };
        for (entry, found) in &layer.secrets {
            let path = &layer.entries[*entry].path;
            if !is_published(path, found.rule, &packages) {
                let title = format!("{} is in the image", described(found.rule, &found.masked));
                findings.push(tell(found.rule.id(), path, title));
            }
        }
        for entry in layer
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::File && !is_whiteout(&entry.path))
        {
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            let is_credential = crate::image::ignore::is_credential(&entry.path)
                || name == "application_default_credentials.json";
            if is_credential {
                findings.push(tell(
                    "credential-file",
                    &entry.path,
                    format!("the credential file `{name}` is in the image"),
                ));
            }
        }
    }
}

/// Libraries publish what they test themselves with: keys and tokens of sandboxes in their tests,
/// and, as GnuTLS does, keys that are compiled in.
fn is_published(path: &str, rule: Rule, packages: &Packages) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_library = name.starts_with("lib") && (name.ends_with(".so") || name.contains(".so."));
    let in_tests = folders
        .split('/')
        .any(|part| matches!(part, "tests" | "test" | "testing"));
    let is_test = in_tests || name.starts_with("test_") || name.starts_with("testing");
    match rule {
        Rule::PrivateKey => is_library || (is_test && packages.hold(path)),
        Rule::HuggingFaceToken => is_test && packages.hold(path),
        _ => false,
    }
}

fn in_variables(image: &Image, findings: &mut Vec<Finding>) {
    for pair in image.config.config.env.as_deref().unwrap_or_default() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        variable(
            &Place::Image(format!("variable `{name}` of the built image")),
            name,
            value,
            findings,
        );
    }
}

fn variable(place: &Place, name: &str, value: &str, findings: &mut Vec<Finding>) {
    let by_form = in_text(place, value, findings);
    if !by_form && names_secret(name, Some(value)) && !is_reference(value) {
        findings.push(leak(
            "secret-variable",
            place.clone(),
            format!("`{name}` is in the image with its value"),
        ));
    }
}

/// `$NAME`: the value stands elsewhere.
fn is_reference(value: &str) -> bool {
    value.starts_with('$')
}

/// Credentials by form in a text; tells whether there are any.
fn in_text(place: &Place, text: &str, findings: &mut Vec<Finding>) -> bool {
    let hits = Scanner::shared().hits(text.as_bytes());
    for hit in &hits {
        let shown = masked(&text.as_bytes()[hit.start..hit.end]);
        findings.push(leak(
            hit.rule.id(),
            place.clone(),
            format!("{} is in the image", described(hit.rule, &shown)),
        ));
    }
    !hits.is_empty()
}

fn in_history(image: &Image, findings: &mut Vec<Finding>) {
    for (index, made) in image.config.history.iter().enumerate() {
        let text = made.created_by.as_deref().unwrap_or_default();
        let place = Place::Image(format!("line {} of the built image's history", index + 1));
        let by_form = in_text(&place, text, findings);
        if by_form {
            continue;
        }
        for (name, value) in arguments(text) {
            if names_secret(name, Some(value)) && !is_reference(value) {
                findings.push(leak(
                    "secret-variable",
                    place.clone(),
                    format!("`{name}` is in the image's history with its value"),
                ));
            }
        }
    }
}

/// Variables of a line of the history: `ARG A=b`, `ENV A=b`, `RUN |1 A=b /bin/sh -c …`.
fn arguments(text: &str) -> Vec<(&str, &str)> {
    let text = text
        .strip_prefix("/bin/sh -c #(nop)")
        .unwrap_or(text)
        .trim();
    let pairs = if let Some(rest) = text
        .strip_prefix("ARG ")
        .or_else(|| text.strip_prefix("ENV "))
    {
        rest
    } else if let Some(rest) = text.strip_prefix("RUN ").unwrap_or(text).strip_prefix('|') {
        rest.split("/bin/sh").next().unwrap_or(rest)
    } else {
        return Vec::new();
    };
    pairs
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .collect()
}

fn in_labels(image: &Image, findings: &mut Vec<Finding>) {
    for (name, value) in image.config.config.labels.iter().flatten() {
        in_text(
            &Place::Image(format!("label `{name}` of the built image")),
            value,
            findings,
        );
    }
}
