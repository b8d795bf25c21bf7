//! Whether what a package comes from is one version for ever.

use super::line::{Package, Source, fragment};
use super::version::{Pin, read_pin};

/// What is wrong with a pin: the rule, a sentence's end, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinned {
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong.
    pub why: String,
    /// What would be right.
    pub help: String,
}

impl Unpinned {
    fn new(rule: &'static str, why: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            rule,
            why: why.into(),
            help: help.into(),
        }
    }
}

/// Checks a package by itself; constraints are looked at by the caller.
///
/// # Errors
/// What is wrong.
pub fn judge(package: &Package) -> Result<(), Unpinned> {
    let Package {
        name,
        source,
        hashes,
        ..
    } = package;
    for hash in hashes {
        judge_hash(hash)?;
    }
    match source {
        Source::Unreadable => Err(Unpinned::new(
            "unreadable",
            "is no requirement that can be read",
            "write `NAME==VERSION`",
        )),
        Source::Path(path) => Err(Unpinned::new(
            "local-path",
            format!(
                "`{path}` is a path: what is there may change, and nothing says which version it is"
            ),
            "publish the package and pin its version, or copy the wheel into the image and name it by hash",
        )),
        Source::Address(address) => judge_address(address, !hashes.is_empty()),
        Source::Specifier(specifier) => judge_specifier(name, specifier),
    }
}

fn judge_specifier(name: &str, specifier: &str) -> Result<(), Unpinned> {
    let such_as = |version: &str| {
        format!(
            "write the one version that was tested, such as `{name}=={version}`; `pip freeze` prints what is installed"
        )
    };
    let fix = |rule, why: String, version: Option<&str>| {
        let version = version.map_or_else(|| "VERSION".to_owned(), str::to_owned);
        Err(Unpinned::new(rule, why, such_as(&version)))
    };
    if specifier.contains("${") {
        return fix(
            "variable",
            format!("`{name}` takes its version from a variable"),
            None,
        );
    }
    match read_pin(specifier) {
        Pin::Exact(_) => Ok(()),
        Pin::Bare => fix("no-version", format!("`{name}` names no version"), None),
        Pin::Wildcard(version) => {
            let first = version.trim_end_matches(".*").to_owned() + ".0";
            let why = format!(
                "`{name}=={version}` fits every version that begins with `{}`",
                version.trim_end_matches('*')
            );
            fix("wildcard", why, Some(&first))
        }
        Pin::Range(version) => {
            let why = format!("`{name}{specifier}` fits more than one version");
            fix("range", why, version.as_deref())
        }
        Pin::NoVersion(text) => fix("no-version", format!("`{text}` is no version"), None),
        Pin::Unreadable => Err(Unpinned::new(
            "unreadable",
            format!("`{specifier}` is no version specifier"),
            such_as("VERSION"),
        )),
    }
}

/// `sha256:…`, `sha384:…` or `sha512:…`, of the right length.
fn judge_hash(hash: &str) -> Result<(), Unpinned> {
    let wrong = |why: String| {
        let help = "write `--hash=sha256:` and 64 hexadecimal digits; `pip hash FILE` prints it";
        Err(Unpinned::new("hash", why, help))
    };
    let (kind, digits) = hash.split_once(':').unwrap_or((hash, ""));
    let length = match kind {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        other => return wrong(format!("`{other}` is no hash that pip takes here")),
    };
    if digits.len() == length && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    wrong(format!(
        "a hash of kind {kind} has {length} hexadecimal digits, this one has {}",
        digits.len()
    ))
}

fn judge_address(address: &str, has_hash: bool) -> Result<(), Unpinned> {
    let lower = address.to_ascii_lowercase();
    if let Some((vcs, _)) = lower
        .split_once('+')
        .filter(|(vcs, _)| matches!(*vcs, "git" | "hg" | "svn" | "bzr"))
    {
        return judge_version_control(vcs, address);
    }
    if has_hash {
        return Ok(());
    }
    let strong = [("sha256", 64), ("sha384", 96), ("sha512", 128)]
        .iter()
        .any(|(kind, length)| {
            fragment(address, kind).is_some_and(|digits| {
                digits.len() == *length && digits.bytes().all(|b| b.is_ascii_hexdigit())
            })
        });
    if strong {
        return Ok(());
    }
    if fragment(address, "md5")
        .or_else(|| fragment(address, "sha1"))
        .is_some()
    {
        return Err(Unpinned::new(
            "weak-hash",
            "is named by a hash that can be forged",
            "end the address with `#sha256=` and the file's hash; `pip hash FILE` prints it",
        ));
    }
    let rule = if lower.starts_with("file:") {
        "local-path"
    } else {
        "address-without-hash"
    };
    Err(Unpinned::new(
        rule,
        "is an address whose file may change",
        "end the address with `#sha256=` and the file's hash; `pip hash FILE` prints it",
    ))
}

/// Only a whole commit stands for the same files for ever: tags and branches move, a short hash may
/// fit another commit one day.
fn judge_version_control(vcs: &str, address: &str) -> Result<(), Unpinned> {
    let bare = address.split('#').next().unwrap_or(address);
    let path = bare.split_once("://").map_or(bare, |(_, rest)| rest);
    // The first `@` may belong to a user: `git@github.com`.
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let reference = path.rsplit_once('@').map(|(_, reference)| reference);
    let help =
        "end the address with `@` and the 40 digits of the commit: `git rev-parse TAG` prints them";
    match (vcs, reference) {
        ("git" | "hg", Some(commit))
            if commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            Ok(())
        }
        ("git" | "hg", Some(reference)) => Err(Unpinned::new(
            "reference",
            format!(
                "`{reference}` is a tag, a branch or a short hash, which may stand for other files tomorrow"
            ),
            help,
        )),
        ("git" | "hg", None) => Err(Unpinned::new("reference", "names no commit", help)),
        _ => Err(Unpinned::new(
            "reference",
            format!("{vcs} has no reference that cannot change"),
            "pin a published version, or a file by address and `#sha256=`",
        )),
    }
}
