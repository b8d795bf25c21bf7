//! A schema with its spellings removed: references followed, `allOf` merged, the ways to say "or
//! null" and "only this value" made one.
//!
//! Pydantic writes `Optional[X]` as `anyOf: [X, {type: null}]`, OpenAPI 3.0 has `nullable`, JSON
//! Schema a list of types. All three come out as [`View::nullable`], so that only a real change is
//! one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document::{Document, Node};

/// Most schemas that one view is put together from.
const MOST_PARTS: usize = 256;

/// What one view was put together from so far.
#[derive(Default)]
struct Parts {
    count: usize,
    /// Where the schemas stand that are being read, outermost first.
    under_way: Vec<String>,
}

/// One level of a schema. What lies below (properties, items, branches) is viewed when it is needed.
#[derive(Debug, Clone, Default)]
pub(super) struct View<'a> {
    /// Where it stands, references followed.
    pub(super) at: String,
    /// Allowed types without `null`; `None` allows every type.
    pub(super) types: Option<BTreeSet<&'a str>>,
    /// Whether `null` is named as allowed.
    pub(super) nullable: bool,
    pub(super) format: Option<&'a str>,
    /// The only values allowed, without `null`.
    pub(super) values: Option<Vec<&'a Value>>,
    pub(super) bounds: BTreeMap<&'static str, f64>,
    pub(super) multiple_of: Option<f64>,
    pub(super) unique_items: bool,
    pub(super) pattern: Option<&'a str>,
    pub(super) properties: BTreeMap<&'a str, Node<'a>>,
    pub(super) required: BTreeSet<&'a str>,
    pub(super) additional: Additional<'a>,
    pub(super) items: Option<Node<'a>>,
    /// Alternatives (`oneOf`, `anyOf`) without `null`; empty when there are none.
    pub(super) branches: Vec<Node<'a>>,
    pub(super) read_only: bool,
    pub(super) write_only: bool,
    pub(super) default: Option<&'a Value>,
    /// It is put together from more parts than are read: what it demands is not known.
    pub(super) is_cut: bool,
}

/// What properties may come that are not named.
#[derive(Debug, Clone, Default)]
pub(super) enum Additional<'a> {
    /// Any.
    #[default]
    Open,
    /// None.
    Closed,
    /// Those that fit.
    Schema(Node<'a>),
}

/// Bounds from below: a greater number allows less.
pub(super) const LOWER: [&str; 5] = [
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
];
/// Bounds from above: a smaller number allows less.
pub(super) const UPPER: [&str; 5] = [
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
];

/// Views a schema.
pub(super) fn view<'a>(document: &'a Document, node: &Node<'a>) -> View<'a> {
    let mut view = View {
        at: document.resolve(node.clone()).at,
        ..View::default()
    };
    let mut parts = Parts::default();
    view.nullable = absorb(document, node, &mut view, &mut parts) == Some(true);
    view
}

/// Adds what a schema demands to what the view demands already. Gives whether it allows `null`;
/// `None` where it says nothing about that.
fn absorb<'a>(
    document: &'a Document,
    node: &Node<'a>,
    view: &mut View<'a>,
    parts: &mut Parts,
) -> Option<bool> {
    parts.count += 1;
    if parts.count > MOST_PARTS {
        view.is_cut = true;
        return None;
    }
    // A schema that is part of itself demands nothing more.
    if parts.under_way.contains(&node.at) {
        return None;
    }
    match node.value {
        Value::Bool(true) => return None,
        Value::Bool(false) => {
            view.types = Some(BTreeSet::new());
            return Some(false);
        }
        _ => {}
    }
    parts.under_way.push(node.at.clone());
    let null = inside(document, node, view, parts);
    parts.under_way.pop();
    // OpenAPI 3.0 has no other way to say "this, or null" of a reference than beside `allOf`.
    if node.is("nullable") {
        Some(true)
    } else {
        null
    }
}

/// What the schema's own keywords and its parts add.
fn inside<'a>(
    document: &'a Document,
    node: &Node<'a>,
    view: &mut View<'a>,
    parts: &mut Parts,
) -> Option<bool> {
    let target = document.follow(node);
    let mut null = target.and_then(|target| absorb(document, &target, view, parts));
    null = both(null, kinds(node, view));
    limits(node, view);
    members(node, view);
    for part in node.child("allOf").iter().flat_map(Node::items) {
        null = both(null, absorb(document, &part, view, parts));
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(list) = node.child(key) {
            null = both(null, union(document, &list, view, parts));
        }
    }
    null
}

/// Whether a value that must fit both may be `null`.
fn both(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left && right),
        (left, right) => left.or(right),
    }
}

/// Types, formats and the only values. Gives whether they allow `null`.
fn kinds<'a>(node: &Node<'a>, view: &mut View<'a>) -> Option<bool> {
    let named: Vec<&str> = match node.value.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut null = (!named.is_empty()).then(|| named.contains(&"null"));
    let types: BTreeSet<&str> = named.into_iter().filter(|&name| name != "null").collect();
    if !types.is_empty() {
        view.types = Some(match view.types.take() {
            Some(before) => before.intersection(&types).copied().collect(),
            None => types,
        });
    }
    view.format = node.text("format").or(view.format);
    let only = node.value.get("const").map(std::slice::from_ref);
    let listed = node.value.get("enum").and_then(Value::as_array);
    if let Some(values) = only.or(listed.map(Vec::as_slice)) {
        null = both(null, Some(values.iter().any(Value::is_null)));
        let values = values.iter().filter(|value| !value.is_null());
        view.values = Some(match view.values.take() {
            Some(before) => {
                let now: Vec<&Value> = values.collect();
                before.into_iter().filter(|it| now.contains(it)).collect()
            }
            None => values.collect(),
        });
    }
    view.default = node.value.get("default").or(view.default);
    view.read_only |= node.is("readOnly");
    view.write_only |= node.is("writeOnly");
    null
}

/// Bounds; where two parts bound the same, the tighter one counts.
fn limits<'a>(node: &Node<'a>, view: &mut View<'a>) {
    let number = |key: &str| node.value.get(key).and_then(Value::as_f64);
    for key in LOWER {
        if let Some(bound) = number(key) {
            let tighter = view.bounds.get(key).map_or(bound, |old| old.max(bound));
            view.bounds.insert(key, tighter);
        }
    }
    for key in UPPER {
        if let Some(bound) = number(key) {
            let tighter = view.bounds.get(key).map_or(bound, |old| old.min(bound));
            view.bounds.insert(key, tighter);
        }
    }
    // OpenAPI 3.0: `exclusiveMinimum: true` turns `minimum` into an exclusive bound.
    for (plain, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        if node.is(exclusive)
            && let Some(bound) = view.bounds.remove(plain)
        {
            view.bounds.insert(exclusive, bound);
        }
    }
    view.multiple_of = number("multipleOf").or(view.multiple_of);
    view.unique_items |= node.is("uniqueItems");
    view.pattern = node.text("pattern").or(view.pattern);
}

/// Properties and items.
fn members<'a>(node: &Node<'a>, view: &mut View<'a>) {
    for (name, property) in node.child("properties").iter().flat_map(Node::entries) {
        view.properties.entry(name).or_insert(property);
    }
    let required = node.value.get("required").and_then(Value::as_array);
    view.required
        .extend(required.into_iter().flatten().filter_map(Value::as_str));
    match node.child("additionalProperties") {
        None => {}
        Some(Node {
            value: Value::Bool(true),
            ..
        }) => {}
        Some(Node {
            value: Value::Bool(false),
            ..
        }) => view.additional = Additional::Closed,
        Some(schema) => view.additional = Additional::Schema(schema),
    }
    if let Some(items) = node.child("items") {
        view.items = Some(items);
    }
}

/// Alternatives. `null` among them is a property of the whole; a single one left is no alternative.
/// Gives whether they allow `null`; several say it each for itself.
fn union<'a>(
    document: &'a Document,
    list: &Node<'a>,
    view: &mut View<'a>,
    parts: &mut Parts,
) -> Option<bool> {
    let mut null = None;
    let mut branches = Vec::new();
    for branch in list.items() {
        if allows_only_null(document.resolve(branch.clone()).value) {
            null = Some(true);
        } else {
            branches.push(branch);
        }
    }
    match branches.as_slice() {
        [] => {}
        [only] => null = null.or(absorb(document, only, view, parts)),
        _ if view.branches.is_empty() => view.branches = branches,
        // Two lists of alternatives at once: the first is compared, which finds most changes.
        _ => {}
    }
    null
}

fn allows_only_null(schema: &Value) -> bool {
    let one_null = |list: &Value| {
        list.as_array()
            .is_some_and(|it| it.len() == 1 && it.iter().all(|value| value.is_null()))
    };
    schema.get("type").is_some_and(|it| it == "null")
        || schema.get("const").is_some_and(Value::is_null)
        || schema.get("enum").is_some_and(one_null)
}
