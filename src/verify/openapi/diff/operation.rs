//! Parameters and security of one operation; its bodies are in [`super::body`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::change::{Direction, Level};
use super::super::document::{Document, Node, Operation};
use super::{Walk, body, schema};

/// Headers that OpenAPI says are not described as parameters ("Parameter Object", `name`).
const NO_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// Where a parameter goes, and its name; of a path variable its place in the path instead.
type ParameterKey = (String, String);

pub(super) fn compare<'a>(walk: &mut Walk<'a>, old: &Operation<'a>, new: &Operation<'a>) {
    parameters(walk, old, new);
    body::request(walk, &old.node, &new.node);
    body::responses(walk, &old.node, &new.node);
    security(walk, &old.node, &new.node);
    if !old.node.is("deprecated") && new.node.is("deprecated") {
        let (rule, at) = ("operation-deprecated", &new.node.at);
        walk.find(rule, Level::Note, at, "the operation is deprecated now");
    }
}

fn parameters<'a>(walk: &mut Walk<'a>, old: &Operation<'a>, new: &Operation<'a>) {
    let before = named(walk.old, old);
    let after = named(walk.new, new);
    for (key, was) in &before {
        match after.get(key) {
            Some(is) => parameter(walk, key, was, is),
            None => {
                let text = format!("the {} parameter `{}` is gone", key.0, key.1);
                walk.find("parameter-removed", Level::Doubtful, &was.at, text);
            }
        }
    }
    for (key, is) in &after {
        if before.contains_key(key) {
            continue;
        }
        let (rule, level, kind) = if is.is("required") {
            ("required-parameter-added", Level::Breaking, "required")
        } else {
            ("optional-parameter-added", Level::Addition, "optional")
        };
        let text = format!("the {} parameter `{}` is new and {kind}", key.0, key.1);
        walk.find(rule, level, &is.at, text);
    }
}

/// Parameters of the path item and of the operation, which wins.
fn named<'a>(
    document: &'a Document,
    operation: &Operation<'a>,
) -> BTreeMap<ParameterKey, Node<'a>> {
    let mut found = BTreeMap::new();
    for level in [&operation.item, &operation.node] {
        for parameter in level.child("parameters").iter().flat_map(Node::items) {
            let parameter = document.resolve(parameter);
            let place = parameter.text("in").unwrap_or_default();
            let name = parameter.text("name").unwrap_or_default();
            let key = match place {
                "path" => place_in(operation.path, name),
                "header" => name.to_lowercase(),
                _ => name.to_owned(),
            };
            if place == "header" && NO_PARAMETERS.contains(&key.as_str()) {
                continue;
            }
            found.insert((place.to_owned(), key), parameter);
        }
    }
    found
}

/// Which variable of the path it is, counted from 1.
fn place_in(path: &str, name: &str) -> String {
    let mut variables = path
        .split('{')
        .skip(1)
        .filter_map(|it| it.split('}').next());
    match variables.position(|variable| variable == name) {
        Some(index) => format!("#{}", index + 1),
        None => name.to_owned(),
    }
}

fn parameter<'a>(walk: &mut Walk<'a>, key: &ParameterKey, old: &Node<'a>, new: &Node<'a>) {
    let (place, name) = key;
    let path = place == "path";
    match (old.is("required") || path, new.is("required") || path) {
        (false, true) => {
            let text = format!("the {place} parameter `{name}` became required");
            let rule = "parameter-became-required";
            walk.find(rule, Level::Breaking, &new.at, text);
        }
        (true, false) => {
            let text = format!("the {place} parameter `{name}` became optional");
            let rule = "parameter-became-optional";
            walk.find(rule, Level::Addition, &new.at, text);
        }
        _ => {}
    }
    for aspect in ["style", "explode"] {
        let (was, is) = (old.value.get(aspect), new.value.get(aspect));
        if was != is && is_said(was, is) {
            let text = format!(
                "`{aspect}` of the {place} parameter `{name}` changed from {} to {}",
                said(was),
                said(is)
            );
            walk.find("parameter-style-changed", Level::Breaking, &new.at, text);
        }
    }
    if let (Some(was), Some(is)) = (content(old), content(new)) {
        let (before, after) = (walk.view_old(&was).default, walk.view_new(&is).default);
        if before != after {
            let text = format!(
                "the default of the {place} parameter `{name}` changed from {} to {}",
                said(before),
                said(after)
            );
            walk.find("parameter-default-changed", Level::Doubtful, &is.at, text);
        }
        schema::compare(walk, Direction::Request, &was, &is);
    }
}

/// Both say it: a document that begins to spell out the default says nothing new.
fn is_said(was: Option<&Value>, is: Option<&Value>) -> bool {
    was.is_some() && is.is_some()
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), Value::to_string)
}

/// The schema of a parameter, which may stand under a media type.
fn content<'a>(parameter: &Node<'a>) -> Option<Node<'a>> {
    parameter.child("schema").or_else(|| {
        let content = parameter.child("content")?;
        let (_, media) = content.entries().next()?;
        media.child("schema")
    })
}

/// Each alternative is a set of schemes with their scopes; one of the alternatives has to be met.
type Alternatives = Vec<BTreeMap<String, BTreeSet<String>>>;

fn security<'a>(walk: &mut Walk<'a>, old: &Node<'a>, new: &Node<'a>) {
    let before = alternatives(walk.old, old);
    let after = alternatives(walk.new, new);
    let open = |list: &Alternatives| list.is_empty() || list.iter().any(BTreeMap::is_empty);
    match (open(&before), open(&after)) {
        (true, true) => {}
        (true, false) => {
            let text = format!("calls need {} now", in_words(&after));
            walk.find("security-added", Level::Breaking, &new.at, text);
        }
        (false, true) => {
            let (rule, text) = ("security-removed", "calls need no security scheme any more");
            walk.find(rule, Level::Addition, &new.at, text);
        }
        (false, false) => {
            // A client satisfies an old alternative. It goes on when a new one asks no more.
            let lost = before
                .iter()
                .find(|was| !after.iter().any(|is| asks_no_more(is, was)));
            let added = after
                .iter()
                .any(|is| !before.iter().any(|was| asks_no_more(is, was)));
            if lost.is_some() {
                let text = format!(
                    "calls need {} instead of {}",
                    in_words(&after),
                    in_words(&before)
                );
                walk.find("security-tightened", Level::Breaking, &new.at, text);
            } else if added {
                let text = format!("calls may use {}", in_words(&after));
                walk.find("security-alternative-added", Level::Addition, &new.at, text);
            }
        }
    }
}

fn asks_no_more(
    new: &BTreeMap<String, BTreeSet<String>>,
    old: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    new.iter()
        .all(|(scheme, scopes)| old.get(scheme).is_some_and(|had| scopes.is_subset(had)))
}

fn alternatives(document: &Document, operation: &Node<'_>) -> Alternatives {
    let own = operation.value.get("security");
    let listed = own.or_else(|| document.root().get("security"));
    let listed = listed.and_then(Value::as_array).into_iter().flatten();
    listed
        .map(|alternative| {
            let schemes = alternative.as_object().into_iter().flatten();
            schemes
                .map(|(scheme, scopes)| {
                    let scopes = scopes.as_array().into_iter().flatten();
                    let scopes = scopes.filter_map(Value::as_str).map(str::to_owned);
                    (scheme.clone(), scopes.collect())
                })
                .collect()
        })
        .collect()
}

fn in_words(alternatives: &Alternatives) -> String {
    let one = |alternative: &BTreeMap<String, BTreeSet<String>>| {
        let schemes: Vec<String> = alternative
            .iter()
            .map(|(scheme, scopes)| match scopes.is_empty() {
                true => format!("`{scheme}`"),
                false => {
                    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
                    format!("`{scheme}` with {}", scopes.join(", "))
                }
            })
            .collect();
        schemes.join(" and ")
    };
    let words: Vec<String> = alternatives.iter().map(one).collect();
    words.join(" or ")
}
