//! Is an image named so that it stays the same?

pub use delivery::policy::BasePin;

/// Why an image may be another one tomorrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong.
    pub why: String,
    /// What would be right.
    pub help: String,
}

/// Tags that move by their meaning.
const MOVING: [&str; 22] = [
    "latest", "stable", "edge", "nightly", "main", "master", "dev", "devel", "develop", "rolling",
    "current", "lts", "mainline", "canary", "beta", "alpha", "unstable", "testing", "sid",
    "release", "debug", "snapshot",
];

/// Systems whose releases have one number.
const ONE_NUMBER: [&str; 9] = [
    "debian",
    "fedora",
    "rockylinux",
    "almalinux",
    "centos",
    "oraclelinux",
    "amazonlinux",
    "ubi",
    "opensuse",
];

/// Releases of Debian and Ubuntu that are known by a word.
const CODENAMES: [&str; 9] = [
    "bullseye", "bookworm", "trixie", "forky", "focal", "jammy", "noble", "buster", "resolute",
];

struct Reference<'a> {
    /// Last part of the repository.
    name: &'a str,
    /// With host and path.
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

fn read(image: &str) -> Reference<'_> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash is a port.
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (repository, tag) = match rest[last..].find(':') {
        Some(at) => (&rest[..last + at], Some(&rest[last + at + 1..])),
        None => (rest, None),
    };
    Reference {
        name: &repository[last..],
        repository,
        tag,
        digest,
    }
}

/// Checks an image's name.
///
/// # Errors
/// Why it may be another image tomorrow.
pub fn judge_base(image: &str, wanted: BasePin) -> Result<(), Moving> {
    let Reference {
        name,
        repository,
        tag,
        digest,
    } = read(image);
    let moving = |rule, why: String, help: String| Err(Moving { rule, why, help });
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(());
        }
        return moving(
            "base-digest",
            format!("`{digest}` is no digest"),
            format!("write `{repository}@sha256:` and 64 hexadecimal digits"),
        );
    }
    let digest_help = format!(
        "write `{repository}{}@sha256:…`; `docker buildx imagetools inspect {image}` prints the digest",
        tag.map_or_else(String::new, |tag| format!(":{tag}"))
    );
    if wanted == BasePin::Digest {
        return moving(
            "base-digest",
            format!("`{image}` is not named by digest"),
            digest_help,
        );
    }
    let Some(tag) = tag.filter(|tag| !tag.is_empty()) else {
        return moving(
            "base-tag",
            format!("`{image}` has no tag, which means `latest`"),
            format!(
                "write a tag that names a version, such as `{}`, or a digest",
                example(name, repository)
            ),
        );
    };
    let parts: Vec<&str> = tag.split(['-', '_']).collect();
    if MOVING
        .iter()
        .any(|word| parts.iter().any(|part| part.eq_ignore_ascii_case(word)))
        && !has_version(name, tag)
    {
        return moving(
            "base-tag",
            format!("`{tag}` is a tag that moves"),
            format!(
                "write a tag that names a version, such as `{}`, or a digest",
                example(name, repository)
            ),
        );
    }
    if has_version(name, tag) || is_versioned_name(name) {
        return Ok(());
    }
    moving(
        "base-tag",
        format!("the tag `{tag}` of `{repository}` names no version, or only a part of one"),
        format!(
            "write a tag that names a version, such as `{}`, or a digest",
            example(name, repository)
        ),
    )
}

/// Whether a tag names a version: two numbers, a date, a long number, a codename, or one number
/// where releases have no more.
fn has_version(name: &str, tag: &str) -> bool {
    let one_is_enough = ONE_NUMBER.iter().any(|system| name.starts_with(system));
    let is_system = one_is_enough || name.starts_with("ubuntu");
    tag.split(['-', '_']).enumerate().any(|(index, part)| {
        let bare = part.strip_prefix(['v', 'V']).unwrap_or(part);
        let numbers: Vec<&str> = bare.split('.').collect();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let leading = numbers
            .iter()
            .take_while(|number| is_number(number))
            .count();
        let begins_with_digit = numbers
            .get(1)
            .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        let is_long = leading >= 1 && numbers[0].len() >= 6;
        // A commit: `sha-3f2a…`.
        let is_commit = bare.len() >= 12
            && bare.bytes().all(|b| b.is_ascii_hexdigit())
            && bare.bytes().any(|b| b.is_ascii_digit());
        (leading >= 1 && begins_with_digit && (leading >= 2 || !numbers[1].is_empty()))
            || is_long
            || is_commit
            || (leading == 1 && index == 0 && one_is_enough)
            || (index == 0 && is_system && CODENAMES.contains(&part))
    })
}

/// Distroless puts the release into the name: `python3-debian13`.
fn is_versioned_name(name: &str) -> bool {
    ["debian", "ubuntu", "alpine", "ubi"].iter().any(|system| {
        name.rsplit('-').next().is_some_and(|part| {
            part.strip_prefix(system)
                .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        })
    })
}

fn example(name: &str, repository: &str) -> String {
    let tag = match name {
        "python" => "3.13-slim",
        "debian" => "trixie-slim",
        "ubuntu" => "24.04",
        "node" => "22.14",
        "alpine" => "3.22",
        _ => "1.2.3",
    };
    format!("{repository}:{tag}")
}

/// The frontend of `# syntax=` runs the build and is no part of the image; its major version keeps
/// what it promises.
///
/// # Errors
/// As [`judge_base`].
pub fn judge_frontend(image: &str, wanted: BasePin) -> Result<(), Moving> {
    let Reference { tag, digest, .. } = read(image);
    let is_major = tag.is_some_and(|tag| tag.starts_with(|c: char| c.is_ascii_digit()));
    if wanted == BasePin::Tag && digest.is_none() && is_major {
        return Ok(());
    }
    judge_base(image, wanted)
}
