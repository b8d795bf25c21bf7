//! `pyproject.toml` and `Pipfile`: a lock file beside them says which versions are installed; without
//! one their dependencies must be exact themselves. Pure.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

use super::finding::{Finding, Place, Policy, Spot, shown};
use super::requirements::judge::judge;
use super::requirements::line::{Said, read_line};
use super::requirements::version::is_version;

/// Files that say which versions are installed.
const LOCKS: [&str; 6] = [
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "Pipfile.lock",
    "conda-lock.yml",
];

/// Whether a file of this name is a project's manifest.
pub fn is_manifest(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("pyproject.toml" | "Pipfile"))
}

/// Whether a file beside a manifest locks its versions. Requirements files count: they are checked
/// by themselves, and tools compile them from the manifest.
pub fn is_lock(name: &str) -> bool {
    let is_named_pylock = name.starts_with("pylock.") && name.ends_with(".toml");
    LOCKS.contains(&name)
        || is_named_pylock
        || (name.starts_with("requirements") && name.ends_with(".txt"))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Manifest {
    project: Project,
    #[serde(rename = "dependency-groups")]
    groups: BTreeMap<String, Vec<Spanned<toml::Value>>>,
    tool: Tools,
    // Pipfile
    packages: BTreeMap<Spanned<String>, toml::Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Project {
    dependencies: Vec<Spanned<toml::Value>>,
    #[serde(rename = "optional-dependencies")]
    optional: BTreeMap<String, Vec<Spanned<toml::Value>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tools {
    poetry: Poetry,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Poetry {
    dependencies: BTreeMap<Spanned<String>, toml::Value>,
}

const HELP: &str = "commit a lock file and install from it (`uv lock`, `poetry lock`), or pin each dependency with `==`";

/// Checks a manifest; `beside` are the names of the files in its directory.
pub fn check_manifest(path: &str, text: &str, beside: &[String]) -> Vec<Finding> {
    if beside.iter().any(|name| is_lock(name)) {
        return Vec::new();
    }
    let manifest: Manifest = match toml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            let (line, column) = place(text, error.span().map_or(0, |span| span.start));
            let title = format!("`{path}` cannot be read: {}", error.message());
            let place = Place::File(Spot::new(path, line, column));
            return vec![Finding::new(Policy::Pins, "manifest", place, title)];
        }
    };
    let Manifest {
        project,
        groups,
        tool,
        packages,
    } = &manifest;
    let lists = project.optional.values().chain(groups.values());
    let listed = project.dependencies.iter().chain(lists.flatten());
    let mut findings = Vec::new();
    let mut tell = |at: usize, why: String| {
        let (line, column) = place(text, at);
        let shown_line = shown(text.lines().nth(line - 1).unwrap_or_default());
        let place = Place::File(Spot::new(path, line, column));
        let finding = Finding::new(Policy::Pins, "no-lock", place, super::secret::redact(&why));
        findings.push(finding.detail(shown_line).help(HELP));
    };
    for dependency in listed {
        // Other values of a group are includes of another group.
        let Some(text) = dependency.get_ref().as_str() else {
            continue;
        };
        if let Said::Package(package) = read_line(text.trim())
            && let Err(unpinned) = judge(&package)
        {
            tell(
                dependency.span().start,
                format!("{}, and no lock file is beside it", unpinned.why),
            );
        }
    }
    for (name, value) in tool.poetry.dependencies.iter().chain(packages) {
        if name.get_ref() != "python" && !is_exact(value) {
            let why = format!(
                "`{}` may be of more than one version, and no lock file is beside it",
                name.get_ref()
            );
            tell(name.span().start, why);
        }
    }
    findings
}

/// `"1.2.3"`, `"==1.2.3"`, or a table with such a `version`, or with a whole commit as `rev` or `ref`.
fn is_exact(value: &toml::Value) -> bool {
    let text = |key: &str| value.get(key).and_then(toml::Value::as_str);
    if let Some(commit) = text("rev").or_else(|| text("ref")) {
        return commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    }
    let version = value.as_str().or_else(|| text("version"));
    version.is_some_and(|version| {
        is_version(
            version
                .trim()
                .trim_start_matches("==")
                .trim_start_matches('='),
        )
    })
}

/// Line and column of a byte.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}
