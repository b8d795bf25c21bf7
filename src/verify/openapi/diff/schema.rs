//! Two schemas, level by level.

use super::super::change::{Direction, Level};
use super::super::document::Node;
use super::super::view::{Additional, View};
use super::{MOST_COMPARISONS, Walk, kind};

/// Compares two schemas of data that go one way.
pub(super) fn compare<'a>(walk: &mut Walk<'a>, way: Direction, old: &Node<'a>, new: &Node<'a>) {
    walk.comparisons += 1;
    if walk.comparisons > MOST_COMPARISONS {
        return;
    }
    let (was, is) = (walk.view_old(old), walk.view_new(new));
    let pair = (was.at.clone(), is.at.clone(), way);
    if !walk.active.insert(pair.clone()) {
        return;
    }
    views(walk, way, old, new, &was, &is);
    walk.active.remove(&pair);
}

fn views<'a>(
    walk: &mut Walk<'a>,
    way: Direction,
    old: &Node<'a>,
    new: &Node<'a>,
    was: &View<'a>,
    is: &View<'a>,
) {
    if !was.branches.is_empty() || !is.branches.is_empty() {
        kind::nullable(walk, way, was, is);
        alternatives(walk, way, (old, was), (new, is));
        // What is demanded beside the alternatives. Where only one side has any, the other one was
        // compared with them as a whole.
        if !was.branches.is_empty() && !is.branches.is_empty() {
            properties(walk, way, was, is);
        }
        return;
    }
    kind::compare(walk, way, was, is);
    properties(walk, way, was, is);
    additional(walk, way, was, is);
    match (&was.items, &is.items) {
        (Some(old), Some(new)) => compare(walk, way, old, new),
        (None, Some(new)) => {
            let text = format!("the items of {} have a schema now", name(&is.at));
            walk.find("items-constrained", way.narrower(), &new.at, text);
        }
        (Some(old), None) if is.types.as_ref().is_none_or(|it| it.contains("array")) => {
            let text = format!("the items of {} have no schema any more", name(&is.at));
            walk.find("items-freed", way.wider(), &old.at, text);
        }
        _ => {}
    }
}

fn properties<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    for (&name, old) in &was.properties {
        if goes_other_way(walk, way, old, true) {
            continue;
        }
        match is.properties.get(name) {
            Some(new) => {
                became(walk, way, name, was, is);
                compare(walk, way, old, new);
            }
            None => removed(walk, way, name, old, was, is),
        }
    }
    for (&name, new) in &is.properties {
        if was.properties.contains_key(name) || goes_other_way(walk, way, new, false) {
            continue;
        }
        let (rule, level, kind) = match (way, is.required.contains(name)) {
            (Direction::Request, true) => (
                "request-required-property-added",
                Level::Breaking,
                "required",
            ),
            (Direction::Request, false) => (
                "request-optional-property-added",
                Level::Addition,
                "optional",
            ),
            (Direction::Response, _) => ("response-property-added", Level::Addition, "there"),
        };
        let text = format!("the property `{name}` is new and {kind}");
        walk.find(rule, level, &new.at, text);
    }
}

/// `readOnly` properties are never sent, `writeOnly` ones never received.
fn goes_other_way<'a>(walk: &Walk<'a>, way: Direction, property: &Node<'a>, old: bool) -> bool {
    let view = if old {
        walk.view_old(property)
    } else {
        walk.view_new(property)
    };
    match way {
        Direction::Request => view.read_only,
        Direction::Response => view.write_only,
    }
}

fn removed<'a>(
    walk: &mut Walk<'a>,
    way: Direction,
    name: &str,
    old: &Node<'a>,
    was: &View<'a>,
    is: &View<'a>,
) {
    let closed = matches!(is.additional, Additional::Closed);
    let (rule, level) = match (way, was.required.contains(name)) {
        // An open object still takes it, and ignores it.
        (Direction::Request, _) if closed => ("request-property-forbidden", Level::Breaking),
        (Direction::Request, _) => ("request-property-removed", Level::Doubtful),
        (Direction::Response, true) => ("response-required-property-removed", Level::Breaking),
        (Direction::Response, false) => ("response-optional-property-removed", Level::Doubtful),
    };
    walk.find(
        rule,
        level,
        &old.at,
        format!("the property `{name}` is gone"),
    );
}

fn became<'a>(walk: &mut Walk<'a>, way: Direction, name: &str, was: &View<'a>, is: &View<'a>) {
    let at = is
        .properties
        .get(name)
        .map_or(&is.at, |node| &node.at)
        .clone();
    match (was.required.contains(name), is.required.contains(name)) {
        (false, true) => {
            let rule = match way {
                Direction::Request => "request-property-became-required",
                Direction::Response => "response-property-became-required",
            };
            let text = format!("the property `{name}` became required");
            walk.find(rule, way.narrower(), &at, text);
        }
        (true, false) => {
            let rule = match way {
                Direction::Request => "request-property-became-optional",
                Direction::Response => "response-property-became-optional",
            };
            let text = format!("the property `{name}` became optional");
            walk.find(rule, way.wider(), &at, text);
        }
        _ => {}
    }
}

fn additional<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    let text = |how: &str| {
        format!(
            "properties that are not named are {how} in {}",
            name(&is.at)
        )
    };
    match (&was.additional, &is.additional) {
        (Additional::Open | Additional::Schema(_), Additional::Closed) => {
            let rule = "additional-properties-closed";
            walk.find(rule, way.narrower(), &is.at, text("refused now"));
        }
        (Additional::Closed, Additional::Open | Additional::Schema(_)) => {
            // A client that reads an answer skips what it does not know.
            let level = match way {
                Direction::Request => Level::Addition,
                Direction::Response => Level::Note,
            };
            let rule = "additional-properties-opened";
            walk.find(rule, level, &is.at, text("allowed now"));
        }
        (Additional::Open, Additional::Schema(_)) => {
            let rule = "additional-properties-constrained";
            walk.find(rule, way.narrower(), &is.at, text("held to a schema now"));
        }
        (Additional::Schema(_), Additional::Open) => {
            let rule = "additional-properties-freed";
            walk.find(rule, way.wider(), &is.at, text("free now"));
        }
        (Additional::Schema(old), Additional::Schema(new)) => compare(walk, way, old, new),
        (Additional::Open, Additional::Open) | (Additional::Closed, Additional::Closed) => {}
    }
}

/// Alternatives, matched by what they allow, not by their names: a renamed model is no change. A
/// schema without alternatives is the only one.
fn alternatives<'a>(
    walk: &mut Walk<'a>,
    way: Direction,
    (old, was): (&Node<'a>, &View<'a>),
    (new, is): (&Node<'a>, &View<'a>),
) {
    let list = |node: &Node<'a>, view: &View<'a>| match view.branches.is_empty() {
        true => vec![node.clone()],
        false => view.branches.clone(),
    };
    let mut before = list(old, was);
    let mut after = list(new, is);
    pair_off(walk, way, &mut before, &mut after);
    if let ([was], [is]) = (before.as_slice(), after.as_slice()) {
        // One of each is left: it was changed, not replaced.
        let (was, is) = (was.clone(), is.clone());
        compare(walk, way, &was, &is);
        return;
    }
    for gone in &before {
        let text = format!("the alternative {} is gone", name(&gone.at));
        walk.find("alternative-removed", way.narrower(), &gone.at, text);
    }
    for added in &after {
        let text = format!("the alternative {} is new", name(&added.at));
        walk.find("alternative-added", way.wider(), &added.at, text);
    }
}

/// Takes out the pairs that are the same for a client: first those without any change, then those
/// with harmless ones.
fn pair_off<'a>(
    walk: &mut Walk<'a>,
    way: Direction,
    before: &mut Vec<Node<'a>>,
    after: &mut Vec<Node<'a>>,
) {
    for most in [None, Some(Level::Addition)] {
        before.retain(|was| {
            let fits = after.iter().position(|is| {
                let found = walk.trial(|walk| compare(walk, way, was, is));
                found.iter().map(|change| change.level).max() <= most
            });
            match fits {
                Some(index) => {
                    let is = after.remove(index);
                    if most.is_some() {
                        compare(walk, way, was, &is);
                    }
                    false
                }
                None => true,
            }
        });
    }
}

/// The last part of a pointer: what a reader knows the schema by.
pub(super) fn name(pointer: &str) -> String {
    let last = pointer.rsplit('/').next().unwrap_or(pointer);
    format!("`{}`", last.replace("~1", "/").replace("~0", "~"))
}
