//! Checks a document against the JSON Schema of its types and reports everything at once.
//!
//! Only the keywords that `schemars` writes for our types are understood: `$ref`, `properties`,
//! `required`, `additionalProperties`, `type`, `enum`, `items`, `minItems`, `maxItems`, `minimum`,
//! `maximum`,
//! `anyOf`, `oneOf`. Anything else is left to the typed reading that follows.

use serde_json::Value;

use super::document::{Content, Key, Node, Place};

/// Allows everything: still walked, to find what is no JSON.
static ANYTHING: Value = Value::Bool(true);

/// One thing that is wrong in a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) place: Place,
    /// JSON-like path, such as `cases[0].request`.
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Finds all that the schema does not allow, in document order.
pub(crate) fn check(node: &Node, schema: &Value) -> Vec<Finding> {
    let mut check = Check {
        root: schema,
        findings: Vec::new(),
    };
    check.node(node, schema, "");
    check.findings
}

/// The candidate that is nearest to what was written, if any is near enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written_lower = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                edit_distance(&written_lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3 + 1)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, r) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = *cell;
            before = replaced.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

struct Check<'a> {
    root: &'a Value,
    findings: Vec<Finding>,
}

impl<'a> Check<'a> {
    fn node(&mut self, node: &Node, schema: &'a Value, path: &str) {
        let schema = self.resolve(schema);
        if let Content::NotFinite(value) = node.content {
            self.find(node.place, path, format!("{value} is no JSON number"), None);
            return;
        }
        if let Some(branches) = alternatives(schema) {
            self.any_of(node, branches, path);
            return;
        }
        if !self.kind(node, schema, path) {
            return;
        }
        match &node.content {
            Content::Mapping(entries) => self.mapping(node, entries, schema, path),
            Content::Sequence(items) => self.sequence(node, items, schema, path),
            Content::Number(number) => self.range(node, number.as_f64(), schema, path),
            Content::Text(text) => self.choice(node, text, schema, path),
            Content::Null | Content::Bool(_) | Content::NotFinite(_) => {}
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(schema)
    }

    /// Takes the first branch that allows it; if none does, reports what the best branch says.
    fn any_of(&mut self, node: &Node, branches: &'a [Value], path: &str) {
        let mut best: Option<((bool, usize), Vec<Finding>)> = None;
        for branch in branches {
            let mut trial = Check {
                root: self.root,
                findings: Vec::new(),
            };
            trial.node(node, branch, path);
            if trial.findings.is_empty() {
                return;
            }
            // The kind of value that was written says what was meant, then what is deeper.
            let score = (self.allows_kind(node, branch), depth(&trial.findings));
            if best.as_ref().is_none_or(|(old, _)| score > *old) {
                best = Some((score, trial.findings));
            }
        }
        let findings = best.map(|(_, findings)| findings);
        self.findings.extend(findings.unwrap_or_default());
    }

    fn allows_kind(&self, node: &Node, schema: &'a Value) -> bool {
        let mut trial = Check {
            root: self.root,
            findings: Vec::new(),
        };
        trial.kind(node, self.resolve(schema), "")
    }

    /// Whether the kind of value is allowed; reports it if not.
    fn kind(&mut self, node: &Node, schema: &Value, path: &str) -> bool {
        let allowed: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let given = kind_of(node);
        let fits = |kind: &str| kind == given || (kind == "number" && given == "integer");
        if allowed.iter().any(|kind| fits(kind)) {
            return true;
        }
        let wanted = allowed
            .iter()
            .filter(|kind| **kind != "null")
            .map(|kind| with_article(kind));
        let wanted = wanted.collect::<Vec<_>>().join(" or ");
        let message = format!("expected {wanted}, got {}", with_article(given));
        self.find(node.place, path, message, None);
        false
    }

    fn mapping(&mut self, node: &Node, entries: &[(Key, Node)], schema: &'a Value, path: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in entries {
            let inner = join(path, &key.text);
            if let Some(schema) = properties.and_then(|properties| properties.get(&key.text)) {
                self.node(value, schema, &inner);
            } else if others == Some(&Value::Bool(false)) {
                self.unknown_key(key, properties, path);
            } else {
                self.node(value, others.unwrap_or(&ANYTHING), &inner);
            }
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for name in required.filter_map(Value::as_str) {
            if node.get(name).is_none() {
                self.find(
                    node.place,
                    path,
                    format!("the key `{name}` is missing"),
                    None,
                );
            }
        }
    }

    fn unknown_key(
        &mut self,
        key: &Key,
        known: Option<&serde_json::Map<String, Value>>,
        path: &str,
    ) {
        let known: Vec<&str> = known
            .into_iter()
            .flat_map(|k| k.keys())
            .map(String::as_str)
            .collect();
        let help = match nearest(&key.text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Valid here: {}", known.join(", ")),
            None => format!("valid here: {}", known.join(", ")),
        };
        let inner = join(path, &key.text);
        self.find(
            key.place,
            &inner,
            format!("the key `{}` is not known", key.text),
            Some(help),
        );
    }

    fn sequence(&mut self, node: &Node, items: &[Node], schema: &'a Value, path: &str) {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            let message = format!("at least {least} item(s) wanted, got {}", items.len());
            self.find(node.place, path, message, None);
        }
        let most = schema.get("maxItems").and_then(Value::as_u64);
        if let Some(most) = most.filter(|most| (items.len() as u64) > *most) {
            let message = format!("at most {most} item(s) wanted, got {}", items.len());
            self.find(node.place, path, message, None);
        }
        let schema = schema.get("items").unwrap_or(&ANYTHING);
        for (index, item) in items.iter().enumerate() {
            self.node(item, schema, &format!("{path}[{index}]"));
        }
    }

    fn range(&mut self, node: &Node, value: Option<f64>, schema: &Value, path: &str) {
        let Some(value) = value else { return };
        let bound = |name| schema.get(name).and_then(Value::as_f64);
        if let Some(least) = bound("minimum").filter(|least| value < *least) {
            self.find(
                node.place,
                path,
                format!("{value} is less than {least}"),
                None,
            );
        }
        if let Some(most) = bound("maximum").filter(|most| value > *most) {
            self.find(
                node.place,
                path,
                format!("{value} is more than {most}"),
                None,
            );
        }
    }

    fn choice(&mut self, node: &Node, text: &str, schema: &Value, path: &str) {
        let choices: Vec<&str> = match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(values)), _) => values.iter().filter_map(Value::as_str).collect(),
            (_, Some(Value::String(one))) => vec![one],
            _ => return,
        };
        if choices.contains(&text) {
            return;
        }
        let help = match nearest(text, choices.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Valid: {}", choices.join(", ")),
            None => format!("valid: {}", choices.join(", ")),
        };
        self.find(
            node.place,
            path,
            format!("`{text}` is not allowed"),
            Some(help),
        );
    }

    fn find(&mut self, place: Place, path: &str, message: String, help: Option<String>) {
        let path = path.to_owned();
        self.findings.push(Finding {
            place,
            path,
            message,
            help,
        });
    }
}

/// The branches of a schema that is nothing but a choice. A mapping with `oneOf` says which of its
/// keys go together; that is left to the check of the meaning, which says it in better words.
fn alternatives(schema: &Value) -> Option<&[Value]> {
    if schema.get("properties").is_some() {
        return None;
    }
    let branches = schema.get("anyOf").or_else(|| schema.get("oneOf"))?;
    branches.as_array().map(Vec::as_slice)
}

fn depth(findings: &[Finding]) -> usize {
    findings
        .iter()
        .map(|finding| finding.path.len())
        .max()
        .unwrap_or(0)
}

fn kind_of(node: &Node) -> &'static str {
    match &node.content {
        Content::Null => "null",
        Content::Bool(_) => "boolean",
        Content::Number(number) if number.is_f64() => "number",
        Content::Number(_) => "integer",
        Content::NotFinite(_) => "number",
        Content::Text(_) => "string",
        Content::Sequence(_) => "array",
        Content::Mapping(_) => "object",
    }
}

fn with_article(kind: &str) -> String {
    match kind {
        "null" => "nothing".to_owned(),
        "string" => "text".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a mapping".to_owned(),
        "integer" => "a whole number".to_owned(),
        other => format!("a {other}"),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not_guessed() {
        let keys = ["status", "headers", "json", "max_latency_ms"];
        assert_eq!(nearest("statuss", keys), Some("status"));
        assert_eq!(nearest("Header", keys), Some("headers"));
        assert_eq!(nearest("max_latency", keys), Some("max_latency_ms"));
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn the_edit_distance_counts_changes() {
        for (left, right, distance) in [
            ("", "", 0),
            ("a", "", 1),
            ("kitten", "sitting", 3),
            ("json", "jsno", 2),
        ] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
