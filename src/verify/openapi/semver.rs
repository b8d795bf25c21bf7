//! Which version number a difference calls for.
//!
//! Semantic Versioning 2.0.0: a breaking change needs MAJOR, an addition MINOR. Below 1.0.0, where
//! the specification allows anything, MINOR stands for MAJOR and PATCH for MINOR, as Cargo and npm
//! read it. A prerelease promises nothing yet (section 9), so what follows it under the same three
//! numbers may change anything.

use std::fmt;

use semver::Version;

use super::change::{Change, Level};

/// How far a version number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bump {
    /// Not at all, or back.
    None,
    /// The third number.
    Patch,
    /// The second number.
    Minor,
    /// The first number.
    Major,
}

impl fmt::Display for Bump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no",
            Self::Patch => "PATCH",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
        })
    }
}

/// How far the new version lies above the old one. Prerelease and build parts do not count:
/// `2.0.0-rc.1` is on its way to `2.0.0`. From a prerelease to a later version of the same three
/// numbers everything may still change, as after a step of the first number.
pub fn bump(old: &Version, new: &Version) -> Bump {
    let is_same_core = (new.major, new.minor, new.patch) == (old.major, old.minor, old.patch);
    if is_same_core && !old.pre.is_empty() && new.cmp_precedence(old).is_gt() {
        Bump::Major
    } else if (new.major, new.minor, new.patch) <= (old.major, old.minor, old.patch) {
        Bump::None
    } else if new.major > old.major {
        Bump::Major
    } else if new.minor > old.minor {
        Bump::Minor
    } else {
        Bump::Patch
    }
}

/// The least bump that a change of this level calls for, above the old version.
pub fn needed(level: Level, old: &Version) -> Bump {
    match (level, old.major) {
        (Level::Note, _) => Bump::Patch,
        (Level::Addition | Level::Doubtful, 0) => Bump::Patch,
        (Level::Addition | Level::Doubtful, _) => Bump::Minor,
        (Level::Breaking, 0) => Bump::Minor,
        (Level::Breaking, _) => Bump::Major,
    }
}

/// The lowest version above the old one that allows changes of this level.
pub fn right_version(level: Level, old: &Version) -> Version {
    if !old.pre.is_empty() {
        return Version::new(old.major, old.minor, old.patch);
    }
    match needed(level, old) {
        Bump::None => old.clone(),
        Bump::Patch => Version::new(old.major, old.minor, old.patch + 1),
        Bump::Minor => Version::new(old.major, old.minor + 1, 0),
        Bump::Major => Version::new(old.major + 1, 0, 0),
    }
}

/// The changes that the new version does not allow, worst first.
pub fn refused<'a>(changes: &'a [Change], old: &Version, new: &Version) -> Vec<&'a Change> {
    let bump = bump(old, new);
    let mut refused: Vec<&Change> = changes
        .iter()
        .filter(|change| needed(change.level, old) > bump)
        // The same version anew, or an older one, has no room even for a note; it is not asked for.
        .filter(|change| change.level > Level::Note)
        .collect();
    refused.sort_by_key(|change| std::cmp::Reverse(change.level));
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn the_version_must_move_as_far_as_the_change() {
        for (old, new, level, allowed) in [
            ("1.4.2", "1.4.3", Level::Note, true),
            ("1.4.2", "1.4.3", Level::Addition, false),
            ("1.4.2", "1.5.0", Level::Addition, true),
            ("1.4.2", "1.5.0", Level::Doubtful, true),
            ("1.4.2", "1.5.0", Level::Breaking, false),
            ("1.4.2", "2.0.0", Level::Breaking, true),
            ("1.4.2", "2.0.0-rc.1", Level::Breaking, true),
            ("0.3.1", "0.3.2", Level::Addition, true),
            ("0.3.1", "0.3.2", Level::Breaking, false),
            ("0.3.1", "0.4.0", Level::Breaking, true),
            ("0.3.1", "1.0.0", Level::Breaking, true),
            ("1.4.2", "1.4.2", Level::Addition, false),
            ("1.4.2", "1.4.2+build.2", Level::Note, true),
            ("1.4.2", "1.4.1", Level::Breaking, false),
            ("2.0.0-rc.1", "2.0.0-rc.2", Level::Breaking, true),
            ("2.0.0-rc.1", "2.0.0-rc.2", Level::Addition, true),
            ("2.0.0-rc.1", "2.0.0", Level::Breaking, true),
            ("2.0.0-rc.1", "2.0.0-rc.1", Level::Breaking, false),
            ("2.0.0-rc.1", "2.0.0-rc.1+build.2", Level::Breaking, false),
            ("2.0.0-rc.1", "2.0.1", Level::Breaking, false),
            ("2.0.0-rc.1", "2.1.0", Level::Addition, true),
            ("2.0.0", "2.0.0-rc.2", Level::Breaking, false),
            ("0.3.0-rc.1", "0.3.0-rc.2", Level::Breaking, true),
        ] {
            let change = Change {
                rule: "r",
                level,
                operation: "GET /".to_owned(),
                pointer: String::new(),
                text: String::new(),
            };
            let changes = [change];
            let refused = refused(&changes, &version(old), &version(new));
            assert_eq!(refused.is_empty(), allowed, "{old} → {new} with {level}");
        }
    }

    #[test]
    fn the_right_version_allows_what_was_refused() {
        for old in ["0.0.3", "0.9.1", "1.0.0", "3.2.1", "2.0.0-rc.1"] {
            for level in [Level::Addition, Level::Doubtful, Level::Breaking] {
                let old = version(old);
                let right = right_version(level, &old);
                assert!(bump(&old, &right) >= needed(level, &old), "{old} {level}");
            }
        }
    }
}
