//! in-toto Statement v1.
//!
//! Source: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md> and
//! `resource_descriptor.md` beside it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::release::ImageDigest;

/// `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Something that is said of what has these digests. Unknown fields are ignored, as the
/// specification asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement<P = Value> {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// Of what it is said; matched by digest only, a name is for people.
    pub subject: Vec<ResourceDescriptor>,
    /// What is said: the URI of its kind.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: P,
}

/// A thing, by digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceDescriptor {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Algorithm → lower-case hexadecimal digits, without a prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Whatever else its writer says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

impl ResourceDescriptor {
    /// An image by its digest.
    pub fn image(name: impl Into<String>, digest: &ImageDigest) -> Self {
        Self::hashed(name, hex_of(digest))
    }

    /// A thing by its SHA-256, as hexadecimal digits.
    pub fn hashed(name: impl Into<String>, sha256: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            digest: BTreeMap::from([("sha256".to_owned(), sha256.into())]),
            ..Self::default()
        }
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }
}

impl<P> Statement<P> {
    /// A statement about one image.
    pub fn about(subject: ResourceDescriptor, predicate_type: &str, predicate: P) -> Self {
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![subject],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// True when it is said of this digest.
    pub fn is_about(&self, digest: &ImageDigest) -> bool {
        let wanted = hex_of(digest);
        self.subject
            .iter()
            .any(|one| one.digest.get("sha256").is_some_and(|it| it == wanted))
    }
}

impl<P: Serialize> Statement<P> {
    /// The bytes that are signed. Empty only for a predicate that has no JSON form; ours have.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Statement {
    /// Reads a statement; `None` when the bytes are none of version 1.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let statement: Self = serde_json::from_slice(bytes).ok()?;
        (statement.kind == STATEMENT_TYPE).then_some(statement)
    }

    /// What is said, if it is of this kind and has its fields.
    pub fn predicate_as<P: DeserializeOwned>(&self, predicate_type: &str) -> Option<P> {
        if self.predicate_type != predicate_type {
            return None;
        }
        serde_json::from_value(self.predicate.clone()).ok()
    }
}

fn hex_of(digest: &ImageDigest) -> &str {
    digest.as_str().trim_start_matches("sha256:")
}
