//! Values that a schema allows, and values that it forbids.
//!
//! Nothing is random: the same schema gives the same values. What is made is a proposal; the caller
//! has the validator confirm each one, so a keyword that is not understood here costs a probe and
//! never gives a wrong verdict.

use serde_json::{Map, Value, json};

use super::super::document::{Document, Node};
use super::super::view::{Additional, View, view};

/// How deep optional properties are filled in; below, only required ones. A schema may hold itself.
const DEEP: usize = 6;
/// Where the search ends for good: a schema that requires itself allows no finite value.
const TOO_DEEP: usize = 24;
/// Most values of an enumeration that are tried.
const MOST_VALUES: usize = 20;
/// Longest text or list that is made to stand at an upper bound.
const LONGEST: u64 = 4096;

/// A value and what is special about it, such as `petal_length: at its least`.
pub(super) type Proposal = (String, Value);

/// A value that is allowed, as an example or a caller would write it; `None` when there is no way
/// to make one, such as for a pattern.
pub(super) fn allowed(document: &Document, node: &Node<'_>) -> Option<Value> {
    one(document, node, 0)
}

fn one(document: &Document, node: &Node<'_>, depth: usize) -> Option<Value> {
    if depth > TOO_DEEP {
        return None;
    }
    if let Some(example) = example(document, node) {
        return Some(example.clone());
    }
    let view = view(document, node);
    if let Some(value) = view.values.as_ref().and_then(|values| values.first()) {
        return Some((*value).clone());
    }
    if !view.branches.is_empty() {
        return view
            .branches
            .iter()
            .find_map(|branch| one(document, branch, depth + 1));
    }
    match kind(&view) {
        Some("object") => whole(document, &view, depth),
        Some("array") => list(document, &view, depth),
        Some("string") => text(&view).map(Value::String),
        Some("integer") => number(&view, true),
        Some("number") => number(&view, false),
        Some("boolean") => Some(json!(true)),
        _ => view.nullable.then_some(Value::Null).or(Some(json!({}))),
    }
}

/// The example that the author wrote, where there is one.
fn example<'a>(document: &'a Document, node: &Node<'a>) -> Option<&'a Value> {
    let resolved = document.resolve(node.clone());
    [node, &resolved].into_iter().find_map(|node| {
        let listed = node.value.get("examples").and_then(Value::as_array);
        listed
            .and_then(|examples| examples.first())
            .or_else(|| node.value.get("example"))
    })
}

/// The type that values are made of: the one that is named, or the one that the keywords speak of.
fn kind<'a>(view: &View<'a>) -> Option<&'a str> {
    match &view.types {
        Some(types) => types.iter().next_back().copied(),
        None if !view.properties.is_empty() => Some("object"),
        None if view.items.is_some() => Some("array"),
        None => None,
    }
}

fn whole(document: &Document, view: &View<'_>, depth: usize) -> Option<Value> {
    let mut fields = Map::new();
    for (&name, property) in &view.properties {
        let wanted = view.required.contains(name);
        if is_read_only(document, property) || (!wanted && depth >= DEEP) {
            continue;
        }
        match one(document, property, depth + 1) {
            Some(value) => {
                fields.insert(name.to_owned(), value);
            }
            None if wanted => return None,
            None => {}
        }
    }
    for name in &view.required {
        if !view.properties.contains_key(name) {
            fields.insert((*name).to_owned(), json!("value"));
        }
    }
    Some(Value::Object(fields))
}

fn is_read_only(document: &Document, property: &Node<'_>) -> bool {
    view(document, property).read_only
}

fn list(document: &Document, view: &View<'_>, depth: usize) -> Option<Value> {
    let least = view
        .bounds
        .get("minItems")
        .map_or(0, |&least| as_count(least));
    let count = least.max(u64::from(depth < DEEP)).min(LONGEST);
    let item = match &view.items {
        Some(items) => one(document, items, depth + 1),
        None => Some(json!("value")),
    };
    match item {
        Some(item) => Some(json!(vec![item; usize::try_from(count).ok()?])),
        None if least == 0 => Some(json!([])),
        None => None,
    }
}

/// Texts of the formats that the validator knows (JSON Schema 2020-12 Validation, section 7.3).
fn text(view: &View<'_>) -> Option<String> {
    if view.pattern.is_some() {
        return None;
    }
    let known = match view.format {
        Some("date-time") => Some("2026-01-31T12:00:00Z"),
        Some("date") => Some("2026-01-31"),
        Some("time") => Some("12:00:00Z"),
        Some("duration") => Some("PT1M"),
        Some("email" | "idn-email") => Some("someone@example.com"),
        Some("hostname" | "idn-hostname") => Some("example.com"),
        Some("ipv4") => Some("192.0.2.1"),
        Some("ipv6") => Some("2001:db8::1"),
        Some("uri" | "iri" | "url" | "uri-reference" | "iri-reference") => {
            Some("https://example.com/")
        }
        Some("uuid") => Some("123e4567-e89b-12d3-a456-426614174000"),
        Some("byte" | "base64") => Some("dGV4dA=="),
        _ => None,
    };
    if let Some(known) = known {
        return Some(known.to_owned());
    }
    let least = view
        .bounds
        .get("minLength")
        .map_or(0, |&least| as_count(least));
    let most = view
        .bounds
        .get("maxLength")
        .map_or(LONGEST, |&most| as_count(most));
    let length = 5.clamp(least.min(LONGEST), most.max(least).min(LONGEST));
    Some("a".repeat(usize::try_from(length).ok()?))
}

/// The lowest and the highest number that are allowed, as far as they are bounded.
fn range(view: &View<'_>, whole: bool) -> (Option<f64>, Option<f64>) {
    let step = if whole { 1.0 } else { 1e-3 };
    let bound = |key: &str| view.bounds.get(key).copied();
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|it| it + step));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|it| it - step));
    if whole {
        (low.map(f64::ceil), high.map(f64::floor))
    } else {
        (low, high)
    }
}

fn number(view: &View<'_>, whole: bool) -> Option<Value> {
    let middle = match range(view, whole) {
        (Some(low), Some(high)) => f64::midpoint(low, high),
        (Some(low), None) => low.max(1.0),
        (None, Some(high)) => high.min(1.0),
        (None, None) => 1.0,
    };
    let multiple = match view.multiple_of {
        Some(of) if of > 0.0 => (middle / of).ceil() * of,
        _ => middle,
    };
    as_number(multiple, whole)
}

fn as_number(number: f64, whole: bool) -> Option<Value> {
    if whole {
        // Beyond 2^53 not every integer is a double; no bound of an API lies there.
        let within = number.abs() < 9e15;
        within.then(|| serde_json::from_str(&format!("{number:.0}")).ok())?
    } else {
        serde_json::Number::from_f64(number).map(Value::Number)
    }
}

fn as_count(bound: f64) -> u64 {
    serde_json::from_str(&format!("{:.0}", bound.max(0.0))).unwrap_or(LONGEST)
}

/// Allowed values at the edges: only what is required, each bound, each listed value.
pub(super) fn edges(document: &Document, node: &Node<'_>) -> Vec<Proposal> {
    let view = view(document, node);
    let mut found = own_edges(document, &view);
    let Some(base) = allowed(document, node) else {
        return found;
    };
    if let Value::Object(fields) = &base {
        let mut least = fields.clone();
        least.retain(|name, _| view.required.contains(name.as_str()));
        if least.len() < fields.len() {
            found.push(("only what is required".to_owned(), Value::Object(least)));
        }
        for (&name, property) in &view.properties {
            let inner = view_of(document, property);
            for (what, value) in own_edges(document, &inner) {
                found.push(put(fields, name, &what, value));
            }
        }
    }
    found
}

fn view_of<'a>(document: &'a Document, node: &Node<'a>) -> View<'a> {
    view(document, node)
}

fn own_edges(document: &Document, view: &View<'_>) -> Vec<Proposal> {
    let mut found = Vec::new();
    for value in view.values.iter().flatten().take(MOST_VALUES) {
        found.push((format!("{value}"), (*value).clone()));
    }
    for branch in &view.branches {
        if let Some(value) = allowed(document, branch) {
            found.push(("another alternative".to_owned(), value));
        }
    }
    if view.nullable {
        found.push(("null".to_owned(), Value::Null));
    }
    match kind(view) {
        Some(kind @ ("integer" | "number")) if view.values.is_none() => {
            let (low, high) = range(view, kind == "integer");
            for (what, bound) in [("at its least", low), ("at its most", high)] {
                if let Some(value) = bound.and_then(|bound| as_number(bound, kind == "integer")) {
                    found.push((what.to_owned(), value));
                }
            }
        }
        Some("string") if view.values.is_none() && view.pattern.is_none() => {
            for (what, key) in [
                ("at its shortest", "minLength"),
                ("at its longest", "maxLength"),
            ] {
                let length = view.bounds.get(key).map(|&bound| as_count(bound));
                if let Some(length) = length.filter(|&it| it <= LONGEST) {
                    let length = usize::try_from(length).unwrap_or_default();
                    found.push((what.to_owned(), json!("a".repeat(length))));
                }
            }
        }
        _ => {}
    }
    found
}

/// Forbidden values, each wrong in one way.
pub(super) fn forbidden(document: &Document, node: &Node<'_>) -> Vec<Proposal> {
    let view = view(document, node);
    let mut found = own_faults(&view);
    let Some(Value::Object(fields)) = allowed(document, node) else {
        return found;
    };
    for name in &view.required {
        let mut without = fields.clone();
        without.remove(*name);
        found.push((format!("without `{name}`"), Value::Object(without)));
    }
    for (&name, property) in &view.properties {
        for (what, value) in own_faults(&view_of(document, property)) {
            found.push(put(&fields, name, &what, value));
        }
    }
    if matches!(view.additional, Additional::Closed) {
        let name = "not_in_the_document";
        found.push(put(&fields, name, "not allowed", json!(1)));
    }
    found
}

fn own_faults(view: &View<'_>) -> Vec<Proposal> {
    let mut found = Vec::new();
    let mut add = |what: &str, value: Value| found.push((what.to_owned(), value));
    // Of a type that no lenient reader turns into the right one: "5" or true may pass for a number.
    match kind(view) {
        Some("object") => add("a text", json!("text")),
        Some("array") => add("a text", json!("text")),
        Some(_) => add("an object", json!({"text": []})),
        None => {}
    }
    if !view.nullable {
        add("null", Value::Null);
    }
    match kind(view) {
        Some(kind @ ("integer" | "number")) => {
            let (low, high) = range(view, kind == "integer");
            for (what, bound, step) in [("too small", low, -1.0), ("too large", high, 1.0)] {
                let beyond = bound.map(|bound| bound + step);
                if let Some(value) = beyond.and_then(|it| as_number(it, kind == "integer")) {
                    add(what, value);
                }
            }
            add("a text", json!("not a number"));
        }
        Some("string") => {
            if view.values.is_some() {
                add("a value that is not listed", json!("not-a-listed-value"));
            }
            if let Some(&most) = view.bounds.get("maxLength").filter(|&&it| it < 4096.0) {
                let length = usize::try_from(as_count(most) + 1).unwrap_or_default();
                add("too long", json!("a".repeat(length)));
            }
            if view
                .bounds
                .get("minLength")
                .is_some_and(|&least| least >= 1.0)
            {
                add("empty", json!(""));
            }
        }
        _ => {}
    }
    found
}

fn put(fields: &Map<String, Value>, name: &str, what: &str, value: Value) -> Proposal {
    let mut changed = fields.clone();
    changed.insert(name.to_owned(), value);
    (format!("`{name}` {what}"), Value::Object(changed))
}
