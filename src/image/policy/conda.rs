//! `environment.yml` of conda: is every package one version? Pure.
//!
//! The forms of a package are those of conda's match specifications ("Package match specifications"
//! in its documentation): `name==1.2.3` and `name=1.2.3=build` are one version, `name=1.2.3` is every
//! version that begins so.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

use super::finding::{Finding, Place, Policy, Spot, shown};
use super::requirements::is_requirements;
use super::requirements::judge::judge;
use super::requirements::line::{Said, read_line};

/// Files that say which builds are installed.
const LOCKS: [&str; 2] = ["conda-lock.yml", "conda-lock.yaml"];

const HELP: &str = "write the one version that was tested, such as `NAME==1.2.3`, or its build too: `NAME=1.2.3=BUILD`; `conda env export` prints them, `conda-lock` writes a lock file";

/// Whether a file of this name describes an environment of conda.
pub fn is_environment(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, "yml" | "yaml")) = name.rsplit_once('.') else {
        return false;
    };
    stem == "conda" || stem == "environment" || stem.starts_with("environment-")
}

/// Whether a file beside it locks what is installed.
fn is_lock(name: &str) -> bool {
    // `conda-linux-64.lock` lists every package by its address and hash.
    LOCKS.contains(&name) || (name.starts_with("conda-") && name.ends_with(".lock"))
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Environment {
    dependencies: Vec<Spanned<Entry>>,
}

/// One entry of `dependencies`.
enum Entry {
    Package(String),
    /// The lines of `pip:`.
    Pip(Vec<Spanned<String>>),
}

/// Checks a file; `beside` are the names of the files in its directory.
pub fn check_environment(path: &str, text: &str, beside: &[String]) -> Vec<Finding> {
    if beside.iter().any(|name| is_lock(name)) {
        return Vec::new();
    }
    let options = serde_saphyr::options! { with_snippet: false };
    let environment: Environment = match serde_saphyr::from_str_with_options(text, options) {
        Ok(environment) => environment,
        Err(error) => {
            let at = error.location();
            let (line, column) = at.map_or((1, 1), |at| (at.line(), at.column()));
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default().trim().to_owned();
            let title = format!("`{path}` cannot be read: {why}");
            let place = place(path, line, column);
            return vec![Finding::new(Policy::Pins, "manifest", place, title)];
        }
    };
    let mut findings = Vec::new();
    for entry in &environment.dependencies {
        match &entry.value {
            Entry::Package(text) => {
                if let Some(why) = unpinned(text) {
                    findings.push(
                        told(path, &entry.referenced, "conda-unpinned", &why, text).help(HELP),
                    );
                }
            }
            Entry::Pip(lines) => findings.extend(lines.iter().filter_map(|line| pip(path, line))),
        }
    }
    findings
}

/// A line of the `pip` part: as in a requirements file. Files that it includes are checked by
/// themselves, where their names say what they are.
fn pip(path: &str, line: &Spanned<String>) -> Option<Finding> {
    let text = line.value.trim();
    let at = &line.referenced;
    match read_line(text) {
        Said::Package(package) => {
            let unpinned = judge(&package).err()?;
            let why = format!("pip: {}", unpinned.why);
            Some(told(path, at, unpinned.rule, &why, text).help(unpinned.help))
        }
        Said::Editable { target, .. } => {
            let why = format!(
                "pip: `{}` is installed as editable: its files may change",
                shown(&target)
            );
            Some(told(path, at, "editable", &why, text).help("install a published version"))
        }
        Said::Include { target, .. } | Said::Constraint { target, .. }
            if !is_requirements(&target) =>
        {
            let why = format!("pip: `{}` is no file that is looked at", shown(&target));
            Some(told(path, at, "include-missing", &why, text).help("call it `requirements….txt`"))
        }
        Said::Include { .. } | Said::Constraint { .. } | Said::Setting | Said::RequireHashes => {
            None
        }
    }
}

fn told(
    path: &str,
    at: &serde_saphyr::Location,
    rule: &'static str,
    why: &str,
    text: &str,
) -> Finding {
    let title = super::secret::redact(why);
    let place = place(path, at.line(), at.column());
    Finding::new(Policy::Pins, rule, place, title).detail(shown(text))
}

fn place(path: &str, line: u64, column: u64) -> Place {
    let number = |number: u64| usize::try_from(number).unwrap_or(1).max(1);
    Place::File(Spot::new(path, number(line), number(column)))
}

/// Why a package may be of more than one version; `None` where it is one.
fn unpinned(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains("://") {
        let digits = text
            .rsplit_once('#')
            .map(|(_, digits)| digits.trim_start_matches("sha256:"));
        // An MD5 sum can be forged.
        let is_sha256 =
            digits.is_some_and(|it| it.len() == 64 && it.bytes().all(|b| b.is_ascii_hexdigit()));
        return (!is_sha256).then(|| format!("`{}` may be another file tomorrow", shown(text)));
    }
    // `channel::name`, and `name[version='1.2.3', build='…']`.
    let spec = text.rsplit_once("::").map_or(text, |(_, spec)| spec);
    let (name, version) = match spec.split_once('[') {
        Some((name, keys)) => (name.trim(), bracketed(keys.trim_end_matches(']'))),
        None => {
            let end = spec
                .find(['=', '<', '>', '!', '~', ' '])
                .unwrap_or(spec.len());
            (spec[..end].trim(), plain(&spec[end..]))
        }
    };
    let name = shown(name);
    match version {
        Wanted::One => None,
        Wanted::None => Some(format!("`{name}` has no version")),
        Wanted::Prefix(version) => Some(format!(
            "`{name}={}` is every version that begins with {}",
            shown(&version),
            shown(&version)
        )),
        Wanted::Several => Some(format!("`{}` may be of more than one version", shown(spec))),
    }
}

/// How many versions a specification takes.
enum Wanted {
    None,
    One,
    /// All that begin so.
    Prefix(String),
    Several,
}

/// What stands behind the name: `==1.2.3`, `=1.2.3`, `=1.2.3=build`, ` 1.2.3 build`, `>=1,<2`.
fn plain(rest: &str) -> Wanted {
    let rest = rest.trim();
    let one = |version: &str| {
        if is_one(version) {
            Wanted::One
        } else {
            Wanted::Several
        }
    };
    if rest.is_empty() {
        Wanted::None
    } else if let Some(version) = rest.strip_prefix("==") {
        one(version.trim().split(['=', ' ']).next().unwrap_or_default())
    } else if let Some(version) = rest.strip_prefix('=') {
        match version.trim().split_once(['=', ' ']) {
            Some((version, _build)) => one(version),
            None if is_one(version.trim()) => Wanted::Prefix(version.trim().to_owned()),
            None => Wanted::Several,
        }
    } else {
        one(rest.split([' ', '=']).next().unwrap_or_default())
    }
}

fn bracketed(keys: &str) -> Wanted {
    let version = keys.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == "version").then(|| value.trim().trim_matches(['\'', '"']).trim())
    });
    match version {
        None => Wanted::None,
        Some(version) => match version.strip_prefix("==") {
            Some(version) if is_one(version.trim()) => Wanted::One,
            None if version.starts_with('=') => plain(version),
            None if is_one(version) => Wanted::One,
            _ => Wanted::Several,
        },
    }
}

/// A version, and no pattern or range: `1.2.3`, `1!2.0`, `2024a`, `1.0_1`.
fn is_one(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '!' | '+' | '-'))
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a package, or `pip:` with a list")
    }

    fn visit_str<E>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry::Package(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut lines = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "pip" {
                lines.extend(map.next_value::<Option<Vec<_>>>()?.unwrap_or_default());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Entry::Pip(lines))
    }
}
