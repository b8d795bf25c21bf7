//! How one document differs from another.
//!
//! The law behind the table: to ask more of a client, or to promise it less, breaks it; to ask less,
//! or to promise more, is an addition. The rows follow the published rules of oasdiff and
//! OpenAPITools/openapi-diff; where these contradict each other, `docs/semver-gate.md` says which
//! way was chosen and why.

mod body;
mod kind;
mod operation;
mod schema;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Direction, Level};
use super::document::{Document, DocumentError, Node, Operation};
use super::view::{View, view};

/// Most pairs of schemas that are compared in one run. FastAPI documents of hundreds of routes need
/// some tens of thousands.
const MOST_COMPARISONS: usize = 500_000;

/// Compares two documents; changes come in the order of the document, each once.
///
/// # Errors
/// [`DocumentError::TooLarge`] when they need more comparisons than any API has use for, and
/// [`DocumentError::TooManyParts`] when a schema cannot be read as a whole.
pub fn compare(old: &Document, new: &Document) -> Result<Vec<Change>, DocumentError> {
    let mut walk = Walk::new(old, new);
    let before = by_endpoint(old);
    let after = by_endpoint(new);
    for (endpoint, operation) in &before {
        match after.get(endpoint) {
            Some(now) => {
                walk.enter(now);
                operation::compare(&mut walk, operation, now);
            }
            None => {
                walk.enter(operation);
                let gone = !after.keys().any(|(path, _)| *path == endpoint.0);
                let (rule, what) = if gone {
                    ("path-removed", "the path is gone")
                } else {
                    ("method-removed", "the method is gone")
                };
                walk.find(rule, Level::Breaking, &operation.node.at, what);
            }
        }
    }
    for (endpoint, operation) in &after {
        if !before.contains_key(endpoint) {
            walk.enter(operation);
            let (at, what) = (&operation.node.at, "the operation is new");
            walk.find("operation-added", Level::Addition, at, what);
        }
    }
    walk.end()
}

/// Operations by path and method. The names of path variables do not matter to a client.
fn by_endpoint(document: &Document) -> BTreeMap<(String, &'static str), Operation<'_>> {
    let operations = document.operations().into_iter();
    operations
        .map(|operation| ((anonymous(operation.path), operation.method), operation))
        .collect()
}

/// The path with its variables made nameless, such as `/models/{}`.
fn anonymous(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '{' => {
                inside = true;
                text.push_str("{}");
            }
            '}' => inside = false,
            _ if inside => {}
            other => text.push(other),
        }
    }
    text
}

/// The walk over both documents at once.
struct Walk<'a> {
    old: &'a Document,
    new: &'a Document,
    operation: String,
    found: Vec<Change>,
    /// The pairs under comparison: a schema that holds itself is compared once on each way down.
    active: BTreeSet<(String, String, Direction)>,
    comparisons: usize,
    /// The first schema that was not read as a whole.
    cut: RefCell<Option<String>>,
}

impl<'a> Walk<'a> {
    fn new(old: &'a Document, new: &'a Document) -> Self {
        Self {
            old,
            new,
            operation: String::new(),
            found: Vec::new(),
            active: BTreeSet::new(),
            comparisons: 0,
            cut: RefCell::new(None),
        }
    }

    fn enter(&mut self, operation: &Operation<'_>) {
        let Operation { method, path, .. } = operation;
        self.operation = format!("{} {path}", method.to_uppercase());
    }

    fn find(&mut self, rule: &'static str, level: Level, at: &str, text: impl Into<String>) {
        self.found.push(Change {
            rule,
            level,
            operation: self.operation.clone(),
            pointer: at.to_owned(),
            text: text.into(),
        });
    }

    fn view_old(&self, node: &Node<'a>) -> View<'a> {
        self.whole(view(self.old, node))
    }

    fn view_new(&self, node: &Node<'a>) -> View<'a> {
        self.whole(view(self.new, node))
    }

    fn whole(&self, view: View<'a>) -> View<'a> {
        if view.is_cut {
            let mut cut = self.cut.borrow_mut();
            cut.get_or_insert_with(|| view.at.clone());
        }
        view
    }

    /// What a comparison would find, without keeping it.
    fn trial(&mut self, compare: impl FnOnce(&mut Self)) -> Vec<Change> {
        let kept = std::mem::take(&mut self.found);
        compare(self);
        std::mem::replace(&mut self.found, kept)
    }

    /// A schema that several operations share is found at each of them; it is told once.
    fn end(self) -> Result<Vec<Change>, DocumentError> {
        if self.comparisons > MOST_COMPARISONS {
            return Err(DocumentError::TooLarge);
        }
        if let Some(pointer) = self.cut.into_inner() {
            return Err(DocumentError::TooManyParts(pointer));
        }
        let mut told = BTreeSet::new();
        let mut found = self.found;
        found.retain(|change| {
            told.insert((change.rule, change.pointer.clone(), change.text.clone()))
        });
        Ok(found)
    }
}
