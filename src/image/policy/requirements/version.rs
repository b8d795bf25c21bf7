//! Version numbers and specifiers of Python packages (PEP 440), as far as "is this one version?"
//! needs them.

/// Whether a text is a version, such as `1.2.3`, `1!2.0rc1.post2.dev3+cpu`, `v1.0`.
pub fn is_version(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_prefix('v').unwrap_or(&text);
    let (public, local) = match text.split_once('+') {
        Some((public, local)) => (public, Some(local)),
        None => (text, None),
    };
    if local.is_some_and(|local| !is_local(local)) {
        return false;
    }
    let (epoch, rest) = match public.split_once('!') {
        Some((epoch, rest)) => (epoch, rest),
        None => ("0", public),
    };
    if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let digits = rest
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let (release, suffix) = rest.split_at(digits);
    // A dot before a suffix belongs to the suffix: `1.0.post1`.
    let release = release
        .strip_suffix('.')
        .filter(|_| !suffix.is_empty())
        .unwrap_or(release);
    let numbers = release.split('.').all(|part| !part.is_empty());
    !release.is_empty() && numbers && is_suffix(suffix)
}

fn is_local(text: &str) -> bool {
    let parts = text.split(['.', '-', '_']);
    text.is_ascii()
        && parts
            .into_iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Pre-release, post-release and development parts, in this order, each at most once.
fn is_suffix(mut rest: &str) -> bool {
    const KINDS: [&[&str]; 3] = [
        &["alpha", "beta", "preview", "pre", "rc", "a", "b", "c"],
        &["post", "rev", "r"],
        &["dev"],
    ];
    for (index, kind) in KINDS.iter().enumerate() {
        let bare = rest.trim_start_matches(['.', '-', '_']);
        if rest.len() - bare.len() > 1 {
            return false;
        }
        // `1.0-1` is a post-release.
        if index == 1 && rest.starts_with('-') && bare.starts_with(|c: char| c.is_ascii_digit()) {
            rest = bare.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        let Some(word) = kind.iter().find(|word| bare.starts_with(**word)) else {
            continue;
        };
        let after = &bare[word.len()..];
        let number = after.strip_prefix(['.', '-', '_']).unwrap_or(after);
        let number_end = number.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = if number_end.len() < number.len() {
            number_end
        } else {
            after
        };
    }
    rest.is_empty()
}

/// What a specifier says about the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// One version.
    Exact(String),
    /// No version at all.
    Bare,
    /// `==1.*`.
    Wildcard(String),
    /// Several clauses, or one that more than one version fits; with the version it begins at.
    Range(Option<String>),
    /// One clause `==`, but what follows is no version.
    NoVersion(String),
    /// It does not follow the grammar.
    Unreadable,
}

const OPERATORS: [&str; 8] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];

/// Reads a specifier: clauses, separated by commas; `(…)` around them as in old metadata.
pub fn read_pin(specifier: &str) -> Pin {
    let text = specifier.trim();
    let text = match text.strip_prefix('(').map(|rest| rest.strip_suffix(')')) {
        Some(Some(inner)) => inner.trim(),
        Some(None) => return Pin::Unreadable,
        None => text,
    };
    if text.is_empty() {
        return Pin::Bare;
    }
    let mut clauses = Vec::new();
    // One comma at the end is allowed by pip's grammar.
    for clause in text.strip_suffix(',').unwrap_or(text).split(',') {
        let clause = clause.trim();
        let Some(operator) = OPERATORS
            .iter()
            .find(|operator| clause.starts_with(**operator))
        else {
            return Pin::Unreadable;
        };
        let version = clause[operator.len()..].trim();
        if version.is_empty() || version.contains(char::is_whitespace) {
            return Pin::Unreadable;
        }
        clauses.push((*operator, version));
    }
    match clauses.as_slice() {
        [("==" | "===", version)] if version.ends_with(".*") => {
            Pin::Wildcard((*version).to_owned())
        }
        [("==", version)] if !is_version(version) => Pin::NoVersion((*version).to_owned()),
        [("==" | "===", version)] => Pin::Exact((*version).to_owned()),
        clauses => {
            let lower = clauses.iter().find(|(operator, version)| {
                matches!(*operator, ">=" | "~=" | "==" | "<=") && is_version(version)
            });
            Pin::Range(lower.map(|(_, version)| (*version).to_owned()))
        }
    }
}
