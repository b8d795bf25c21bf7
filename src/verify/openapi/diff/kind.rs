//! What values are allowed: types, `null`, formats, only values, bounds.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::change::{Direction, Level};
use super::super::view::{LOWER, UPPER, View};
use super::Walk;
use super::schema::name;

pub(super) fn compare<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    if !types(walk, way, was, is) {
        // Of another type: what else is said of the values cannot be compared.
        return;
    }
    nullable(walk, way, was, is);
    format(walk, way, was, is);
    values(walk, way, was, is);
    bounds(walk, way, was, is);
    pattern(walk, way, was, is);
    multiple(walk, way, was, is);
    if was.unique_items != is.unique_items {
        let (rule, level, how) = if is.unique_items {
            (
                "unique-items-demanded",
                way.narrower(),
                "must be unique now",
            )
        } else {
            ("unique-items-dropped", way.wider(), "may repeat now")
        };
        walk.find(
            rule,
            level,
            &is.at,
            format!("the items of {} {how}", name(&is.at)),
        );
    }
    if way == Direction::Request && was.default != is.default {
        let text = format!(
            "the default of {} changed from {} to {}",
            name(&is.at),
            said(was.default),
            said(is.default)
        );
        walk.find("property-default-changed", Level::Note, &is.at, text);
    }
}

/// Says whether the types have anything in common.
fn types<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) -> bool {
    let (old, new) = (of_view(was), of_view(is));
    let wider = allows(&new, &old);
    let narrower = allows(&old, &new);
    let text = || {
        format!(
            "the type of {} changed from {} to {}",
            name(&is.at),
            in_words(&old),
            in_words(&new)
        )
    };
    match (wider, narrower) {
        (true, true) => true,
        (true, false) => {
            walk.find("type-widened", way.wider(), &is.at, text());
            true
        }
        (false, true) => {
            walk.find("type-narrowed", way.narrower(), &is.at, text());
            true
        }
        (false, false) => {
            walk.find("type-changed", Level::Breaking, &is.at, text());
            false
        }
    }
}

/// Declared types, or those of the only values; `None` is every type.
fn of_view<'a>(view: &View<'a>) -> Option<BTreeSet<&'a str>> {
    if view.types.is_some() {
        return view.types.clone();
    }
    let of = |value: &&Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    view.values
        .as_ref()
        .map(|values| values.iter().map(of).collect())
}

/// Whether `these` allow every value that `those` allow. Each integer is a number.
fn allows(these: &Option<BTreeSet<&str>>, those: &Option<BTreeSet<&str>>) -> bool {
    match (these, those) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(these), Some(those)) => those
            .iter()
            .all(|&it| these.contains(it) || (it == "integer" && these.contains("number"))),
    }
}

fn in_words(types: &Option<BTreeSet<&str>>) -> String {
    match types {
        None => "any".to_owned(),
        Some(types) if types.is_empty() => "none".to_owned(),
        Some(types) => types.iter().copied().collect::<Vec<_>>().join(" or "),
    }
}

/// Whether `null` became allowed or forbidden. A schema that allows every type allows it anyway.
pub(super) fn nullable<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    let free =
        |view: &View<'_>| view.types.is_none() && view.values.is_none() && view.branches.is_empty();
    let (old, new) = (was.nullable || free(was), is.nullable || free(is));
    if free(was) || free(is) || old == new {
        return;
    }
    if new {
        let text = format!("{} may be null now", name(&is.at));
        walk.find("null-allowed", way.wider(), &is.at, text);
    } else {
        let text = format!("{} must not be null any more", name(&is.at));
        walk.find("null-forbidden", way.narrower(), &is.at, text);
    }
}

/// Formats of which the second holds every value of the first.
const WIDENING: [(&str, &str); 3] = [
    ("int32", "int64"),
    ("float", "double"),
    // RFC 3339: a full date is not a date-time, but oasdiff's rules count it as the wider one.
    ("date", "date-time"),
];

fn format<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    let holds = |old: &str, new: &str| WIDENING.contains(&(old, new));
    let (rule, level) = match (was.format, is.format) {
        (old, new) if old == new => return,
        (Some(_), None) => ("format-dropped", way.wider()),
        (None, Some(_)) => ("format-demanded", way.narrower()),
        (Some(old), Some(new)) if holds(old, new) => ("format-widened", way.wider()),
        (Some(old), Some(new)) if holds(new, old) => ("format-narrowed", way.narrower()),
        _ => ("format-changed", Level::Breaking),
    };
    let text = format!(
        "the format of {} changed from {} to {}",
        name(&is.at),
        was.format.unwrap_or("none"),
        is.format.unwrap_or("none")
    );
    walk.find(rule, level, &is.at, text);
}

fn values<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    match (&was.values, &is.values) {
        (None, None) => {}
        (None, Some(new)) => {
            let text = format!("{} only takes {} now", name(&is.at), list(new));
            walk.find("enum-introduced", way.narrower(), &is.at, text);
        }
        (Some(old), None) => {
            let text = format!("{} takes other values than {} now", name(&is.at), list(old));
            walk.find("enum-dropped", way.wider(), &is.at, text);
        }
        (Some(old), Some(new)) => {
            let gone: Vec<&Value> = old.iter().filter(|it| !new.contains(it)).copied().collect();
            let added: Vec<&Value> = new.iter().filter(|it| !old.contains(it)).copied().collect();
            if !gone.is_empty() {
                let text = format!("{} has no value {} any more", name(&is.at), list(&gone));
                walk.find("enum-value-removed", way.narrower(), &is.at, text);
            }
            if !added.is_empty() {
                // A client may or may not be ready for values that it does not know.
                let level = match way {
                    Direction::Request => Level::Addition,
                    Direction::Response => Level::Doubtful,
                };
                let text = format!("{} has the new value {}", name(&is.at), list(&added));
                walk.find("enum-value-added", level, &is.at, text);
            }
        }
    }
}

fn bounds<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    let from_below = LOWER.iter().map(|&key| (key, true));
    let from_above = UPPER.iter().map(|&key| (key, false));
    for (key, below) in from_below.chain(from_above) {
        let (old, new) = (was.bounds.get(key), is.bounds.get(key));
        let (rule, level) = match (old, new) {
            (None, None) => continue,
            (Some(old), Some(new)) if (old - new).abs() < f64::EPSILON => continue,
            (None, Some(_)) => ("bound-introduced", way.narrower()),
            (Some(_), None) => ("bound-dropped", way.wider()),
            (Some(old), Some(new)) if (new > old) == below => ("bound-tightened", way.narrower()),
            (Some(_), Some(_)) => ("bound-loosened", way.wider()),
        };
        let number = |bound: Option<&f64>| bound.map_or_else(|| "none".to_owned(), f64::to_string);
        let text = format!(
            "`{key}` of {} changed from {} to {}",
            name(&is.at),
            number(old),
            number(new)
        );
        walk.find(rule, level, &is.at, text);
    }
}

fn pattern<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    let (rule, level) = match (was.pattern, is.pattern) {
        (old, new) if old == new => return,
        (None, _) => ("pattern-introduced", way.narrower()),
        (Some(_), None) => ("pattern-dropped", way.wider()),
        // Which of two regular expressions allows more is not decided here.
        (Some(_), Some(_)) => ("pattern-changed", Level::Doubtful),
    };
    let text = format!(
        "the pattern of {} changed from {} to {}",
        name(&is.at),
        was.pattern.unwrap_or("none"),
        is.pattern.unwrap_or("none")
    );
    walk.find(rule, level, &is.at, text);
}

fn multiple<'a>(walk: &mut Walk<'a>, way: Direction, was: &View<'a>, is: &View<'a>) {
    let is_multiple = |of: f64, number: f64| (number / of).fract().abs() < 1e-9;
    let (rule, level) = match (was.multiple_of, is.multiple_of) {
        (old, new) if old == new => return,
        (None, _) => ("multiple-of-introduced", way.narrower()),
        (Some(_), None) => ("multiple-of-dropped", way.wider()),
        (Some(old), Some(new)) if is_multiple(old, new) => {
            ("multiple-of-tightened", way.narrower())
        }
        (Some(old), Some(new)) if is_multiple(new, old) => ("multiple-of-loosened", way.wider()),
        (Some(_), Some(_)) => ("multiple-of-changed", Level::Breaking),
    };
    let number = |it: Option<f64>| it.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let text = format!(
        "`multipleOf` of {} changed from {} to {}",
        name(&is.at),
        number(was.multiple_of),
        number(is.multiple_of)
    );
    walk.find(rule, level, &is.at, text);
}

fn list(values: &[&Value]) -> String {
    let values: Vec<String> = values.iter().map(|value| value.to_string()).collect();
    values.join(", ")
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), Value::to_string)
}
