//! One logical line of a requirements file → what it says.

/// What a line says. Positions are byte indexes into the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// `-r FILE`.
    Include {
        /// The path or address, as written.
        target: String,
        /// Where it begins.
        at: usize,
    },
    /// `-c FILE`.
    Constraint {
        /// The path or address, as written.
        target: String,
        /// Where it begins.
        at: usize,
    },
    /// `-e …`.
    Editable {
        /// What is installed.
        target: String,
        /// Where it begins.
        at: usize,
    },
    /// `--require-hashes`.
    RequireHashes,
    /// Another option of the whole run, such as `--index-url`.
    Setting,
    /// A package.
    Package(Package),
}

/// A package that is to be installed, or constrained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// As written; empty where only an address or a path is given.
    pub name: String,
    /// Where its version comes from.
    pub source: Source,
    /// Where that begins: the specifier, the address, or the name when there is nothing else.
    pub at: usize,
    /// The environment marker, without space around it.
    pub marker: String,
    /// The values of `--hash`.
    pub hashes: Vec<String>,
}

/// Where a package's version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A specifier, perhaps empty.
    Specifier(String),
    /// An address: `https://…`, `git+ssh://…`, `file:…`.
    Address(String),
    /// A path of this machine.
    Path(String),
    /// It does not follow the grammar.
    Unreadable,
}

/// Endings of files that pip installs.
const ARCHIVES: [&str; 9] = [
    ".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar",
];

/// Reads one line.
pub fn read_line(text: &str) -> Said {
    if text.starts_with('-') {
        return read_option(text);
    }
    // Options begin at the first word, separated by spaces, that begins with a hyphen.
    let cut = text.match_indices(" -").map(|(at, _)| at).next();
    let (requirement, options) = match cut {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, ""),
    };
    Said::Package(Package {
        hashes: hashes(options),
        ..read_package(requirement)
    })
}

/// Makes what an option with a value says, from the value and its place.
type Make = fn(String, usize) -> Said;

fn read_option(text: &str) -> Said {
    const TAKING: [(&str, &str, Make); 3] = [
        ("-r", "--requirement", |target, at| Said::Include {
            target,
            at,
        }),
        ("-c", "--constraint", |target, at| Said::Constraint {
            target,
            at,
        }),
        ("-e", "--editable", |target, at| Said::Editable {
            target,
            at,
        }),
    ];
    for (short, long, make) in TAKING {
        let after = match text.strip_prefix(long) {
            Some(rest) if rest.starts_with(['=', ' ', '\t']) => Some(long.len()),
            Some(_) => None,
            None => text
                .strip_prefix(short)
                .filter(|_| !text.starts_with("--"))
                .map(|_| short.len()),
        };
        if let Some(after) = after {
            let rest = &text[after..];
            let value = rest.trim_start_matches(['=', ' ', '\t']);
            let at = after + rest.len() - value.len();
            let target = value.trim().trim_matches(['"', '\'']).to_owned();
            return make(target, at);
        }
    }
    if text
        .split_whitespace()
        .any(|word| word == "--require-hashes")
    {
        return Said::RequireHashes;
    }
    Said::Setting
}

/// `--hash=sha256:…` and `--hash sha256:…`.
fn hashes(options: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--hash") {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        found.extend(value.map(|value| value.trim_matches(['"', '\'']).to_owned()));
    }
    found
}

fn read_package(text: &str) -> Package {
    let package = |name: &str, source, at, marker: &str| Package {
        name: name.to_owned(),
        source,
        at,
        marker: marker.trim().to_owned(),
        hashes: Vec::new(),
    };
    if is_address(text) {
        let (address, marker) = address_and_marker(text);
        let name = fragment(address, "egg").unwrap_or_default();
        return package(&name, Source::Address(address.to_owned()), 0, marker);
    }
    let name_end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
        .unwrap_or(text.len());
    let name = &text[..name_end];
    let (bare, path_marker) = text.split_once(';').unwrap_or((text, ""));
    if is_path(bare.trim()) {
        return package("", Source::Path(bare.trim().to_owned()), 0, path_marker);
    }
    if !is_name(name) {
        return package(name, Source::Unreadable, 0, "");
    }
    let Some(after) = skip_extras(text, name_end) else {
        return package(name, Source::Unreadable, name_end, "");
    };
    let rest = &text[after..];
    let start = after + rest.len() - rest.trim_start().len();
    let rest = &text[start..];
    if let Some(address) = rest.strip_prefix('@') {
        let at = start + 1 + address.len() - address.trim_start().len();
        let (address, marker) = address_and_marker(address.trim());
        let source = if is_address(address) {
            Source::Address(address.to_owned())
        } else {
            Source::Path(address.to_owned())
        };
        return package(name, source, at, marker);
    }
    let (specifier, marker) = rest.split_once(';').unwrap_or((rest, ""));
    let specifier = specifier.trim();
    let at = if specifier.is_empty() { 0 } else { start };
    package(name, Source::Specifier(specifier.to_owned()), at, marker)
}

/// Behind `[a, b]`, if there is one; `None` when it is not closed.
fn skip_extras(text: &str, from: usize) -> Option<usize> {
    let rest = &text[from..];
    let trimmed = rest.trim_start();
    if !trimmed.starts_with('[') {
        return Some(from);
    }
    let start = from + rest.len() - trimmed.len();
    text[start..].find(']').map(|end| start + end + 1)
}

fn is_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next()) && ends(text.chars().next_back())
}

/// A scheme, or one of the version control forms without `//`.
fn is_address(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    const SCHEMES: [&str; 6] = ["http", "https", "file", "ftp", "ssh", "git"];
    let lower = scheme.to_ascii_lowercase();
    SCHEMES.contains(&lower.as_str())
        || ["git+", "hg+", "svn+", "bzr+"]
            .iter()
            .any(|vcs| lower.starts_with(vcs))
}

fn is_path(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    // `name @ https://…/x.whl` is no path: its slash comes behind an `@`.
    let has_slash = text.split('@').next().unwrap_or(text).contains(['/', '\\']);
    let is_archive = ARCHIVES.iter().any(|ending| lower.ends_with(ending))
        && !lower.contains(['=', '<', '>', '~', '@', ' ']);
    text.starts_with('.') || has_slash || is_archive
}

/// In an address a `;` needs a space in front: it may be part of the address.
fn address_and_marker(text: &str) -> (&str, &str) {
    let cut = text.find(" ;").or_else(|| text.find("; "));
    match cut {
        Some(at) => (text[..at].trim(), text[at..].trim_start_matches([' ', ';'])),
        None => (text.trim(), ""),
    }
}

/// The value of `KEY` in an address's fragment.
pub fn fragment(address: &str, key: &str) -> Option<String> {
    let (_, fragment) = address.split_once('#')?;
    fragment
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key))
        .map(|(_, value)| value.to_owned())
}
