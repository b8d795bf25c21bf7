//! Reads a golden file once before anything is sent: what is wrong with it is bad input, not a failed
//! release.

use std::path::Path;

use serde_json::Value;

use super::rows::{BadRow, Rows};
use super::spec::GoldenSpec;
use crate::verify::schema_check::nearest;

/// Most bad rows that are told; the rest is counted.
const MOST_TOLD: usize = 20;

/// Everything that is wrong with the file, at its lines.
pub(crate) fn check_file(path: &Path, spec: &GoldenSpec) -> Vec<BadRow> {
    let mut rows = match Rows::open(path, spec) {
        Ok(rows) => rows,
        Err(bad) => return vec![bad],
    };
    let mut bad = Vec::new();
    let mut more = 0_u64;
    let mut count = 0_u64;
    let mut names: Option<Vec<String>> = None;
    let mut tell = |found: BadRow| {
        if bad.len() < MOST_TOLD {
            bad.push(found);
        } else {
            more += 1;
        }
    };
    while let Some(row) = rows.next() {
        count += 1;
        match row {
            Err(found) => tell(found),
            Ok(row) => match &row.expected {
                Some(expected) => {
                    names.get_or_insert_with(|| leaves(expected));
                }
                None => tell(BadRow {
                    line: row.line,
                    message: "it has no `expected`: record it with `ml-deploy verify --record`"
                        .to_owned(),
                }),
            },
        }
    }
    if count == 0 {
        bad.push(BadRow {
            line: 1,
            message: "it has no rows".to_owned(),
        });
    }
    if more > 0 {
        bad.push(BadRow {
            line: count,
            message: format!("and {more} more bad rows"),
        });
    }
    bad.extend(unknown_columns(spec, &names.unwrap_or_default()));
    bad
}

/// Columns that the suite names and the first row does not have.
fn unknown_columns(spec: &GoldenSpec, names: &[String]) -> Vec<BadRow> {
    if names.is_empty() {
        return Vec::new();
    }
    let known = names.iter().map(String::as_str);
    spec.columns
        .keys()
        .filter(|column| !names.contains(column))
        .map(|column| {
            let near = nearest(column, known.clone());
            let near = near.map_or_else(
                || format!("; there are {}", names.join(", ")),
                |near| format!("; did you mean `{near}`?"),
            );
            BadRow {
                line: 1,
                message: format!("no expected column is called `{column}`{near}"),
            }
        })
        .collect()
}

fn leaves(expected: &Value) -> Vec<String> {
    fn walk(name: &str, value: &Value, out: &mut Vec<String>) {
        let inner = |key: &str| match name {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        };
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    walk(&inner(key), value, out);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(&inner(&index.to_string()), value, out);
                }
            }
            _ => out.push(name.to_owned()),
        }
    }
    let mut names = Vec::new();
    walk("", expected, &mut names);
    names.retain(|name| !name.is_empty());
    names
}
