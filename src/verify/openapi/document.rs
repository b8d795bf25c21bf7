//! An OpenAPI document: read, checked, its references followed.

use serde_json::{Map, Value};

/// Methods that a path item can have (OpenAPI 3.1, "Path Item Object").
pub(super) const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Most references that are followed one after the other; a chain that is longer is a circle.
const LONGEST_CHAIN: usize = 64;

/// Why something is no document to compare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no OpenAPI 3.
    #[error("it is not an OpenAPI 3 document: {0}")]
    NotOpenApi(String),
    /// Comparing took more steps than a document of an API can need.
    #[error("it is too deeply nested to be compared")]
    TooLarge,
    /// One schema is made of more parts than are read, so that what it demands is not known.
    #[error(
        "the schema at #{0} is put together from too many parts by `allOf` and `$ref` to be compared"
    )]
    TooManyParts(String),
}

/// An OpenAPI document of version 3.0 or 3.1.
#[derive(Debug, Clone)]
pub struct Document {
    root: Value,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    /// JSON pointer.
    pub(super) at: String,
    pub(super) value: &'a Value,
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation<'a> {
    pub(super) method: &'static str,
    /// As the document spells it.
    pub(super) path: &'a str,
    pub(super) node: Node<'a>,
    /// The path item, for what all its operations share.
    pub(super) item: Node<'a>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is no JSON, or no OpenAPI document of version 3.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let root: Value = serde_json::from_slice(text)
            .map_err(|error| DocumentError::NotJson(error.to_string()))?;
        Self::new(root)
    }

    /// Takes a document that was read.
    ///
    /// # Errors
    /// When it is no OpenAPI document of version 3.
    pub fn new(root: Value) -> Result<Self, DocumentError> {
        let not = |why: &str| Err(DocumentError::NotOpenApi(why.to_owned()));
        match root.get("openapi").and_then(Value::as_str) {
            Some(version) if version.starts_with("3.") => {}
            Some(version) => return not(&format!("its version is {version:?}, not 3.x")),
            None if root.get("swagger").is_some() => return not("Swagger 2.0 is not compared"),
            None => return not("it has no `openapi` field"),
        }
        if !root.get("paths").is_none_or(Value::is_object) {
            return not("`paths` is no object");
        }
        Ok(Self { root })
    }

    /// The whole document.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Each operation, in the order of the document.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut found = Vec::new();
        for (path, value) in object(self.root.get("paths")) {
            let at = format!("/paths/{}", escape(path));
            let item = self.resolve(Node { at, value });
            for method in METHODS {
                if let Some(node) = item.child(method) {
                    let (item, path) = (item.clone(), path.as_str());
                    found.push(Operation {
                        method,
                        path,
                        node,
                        item,
                    });
                }
            }
        }
        found
    }

    /// Follows `$ref` until something else comes. A reference that leads nowhere, or out of the
    /// document, stays as it is.
    pub(super) fn resolve<'a>(&'a self, node: Node<'a>) -> Node<'a> {
        let mut here = node;
        for _ in 0..LONGEST_CHAIN {
            match self.follow(&here) {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }

    /// What the node's own `$ref` leads to.
    pub(super) fn follow<'a>(&'a self, node: &Node<'a>) -> Option<Node<'a>> {
        let reference = node.value.get("$ref")?.as_str()?;
        let pointer = reference.strip_prefix('#')?;
        let value = self.root.pointer(pointer)?;
        Some(Node {
            at: pointer.to_owned(),
            value,
        })
    }
}

impl<'a> Node<'a> {
    /// The value under a key.
    pub(super) fn child(&self, key: &str) -> Option<Node<'a>> {
        let value = self.value.get(key)?;
        let at = format!("{}/{}", self.at, escape(key));
        Some(Node { at, value })
    }

    /// Each entry of an object.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let at = self.at.clone();
        object(Some(self.value)).map(move |(key, value)| {
            let at = format!("{at}/{}", escape(key));
            (key.as_str(), Node { at, value })
        })
    }

    /// Each item of an array.
    pub(super) fn items(&self) -> impl Iterator<Item = Node<'a>> {
        let at = self.at.clone();
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice);
        items.iter().enumerate().map(move |(index, value)| Node {
            at: format!("{at}/{index}"),
            value,
        })
    }

    /// The text under a key.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key)?.as_str()
    }

    /// Whether the key holds `true`.
    pub(super) fn is(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool) == Some(true)
    }
}

/// A key as a part of a JSON pointer (RFC 6901, section 3).
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}
