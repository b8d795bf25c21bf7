//! What is promoted: one digest, its commit, its version.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::name::NameError;

/// `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageDigest(String);

impl ImageDigest {
    /// Checks the form.
    ///
    /// # Errors
    /// [`NameError`] when it is not `sha256:` with 64 hexadecimal digits.
    pub fn parse(value: impl Into<String>) -> Result<Self, NameError> {
        let value = value.into();
        let hex = value.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            Ok(Self(value))
        } else {
            Err(NameError {
                kind: "image digest",
                value,
                rule: "sha256: and 64 lower-case hexadecimal digits",
            })
        }
    }

    /// The text, with `sha256:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.0[7..19]
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ImageDigest {
    type Error = NameError;
    fn try_from(value: String) -> Result<Self, NameError> {
        Self::parse(value)
    }
}

impl From<ImageDigest> for String {
    fn from(digest: ImageDigest) -> Self {
        digest.0
    }
}

/// An image by digest. A tag is built; only a digest is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageReference {
    /// `REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE`, without tag and digest.
    pub repository: String,
    /// The digest.
    pub digest: ImageDigest,
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

/// A full Git commit: 40 (or, in SHA-256 repositories, 64) hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl Commit {
    /// Checks the form.
    ///
    /// # Errors
    /// [`NameError`] when it is no full hexadecimal object name.
    pub fn parse(value: impl Into<String>) -> Result<Self, NameError> {
        let value = value.into();
        if matches!(value.len(), 40 | 64)
            && value.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        {
            Ok(Self(value))
        } else {
            Err(NameError {
                kind: "commit",
                value,
                rule: "the full 40 (or 64) lower-case hexadecimal digits",
            })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 7 digits, for people and tags.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Commit {
    type Error = NameError;
    fn try_from(value: String) -> Result<Self, NameError> {
        Self::parse(value)
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0
    }
}

/// What is promoted. Immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The image, by digest.
    pub image: ImageReference,
    /// The commit that it was built from.
    pub commit: Commit,
    /// The semantic version; absent for a build of a branch.
    pub version: Option<Version>,
}

impl Release {
    /// `v1.2.3`, or `sha-1234567` for a build of a branch.
    pub fn label(&self) -> String {
        match &self.version {
            Some(version) => format!("v{version}"),
            None => format!("sha-{}", self.commit.short()),
        }
    }
}
