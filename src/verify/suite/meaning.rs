//! What a schema cannot say: names that must be unique, references that must stand for something,
//! expressions that must be valid.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};

use super::template;
use crate::verify::document::{Content, Key, Node};
use crate::verify::schema_check::{Finding, nearest};

/// The bodies that a request can have.
const BODIES: [&str; 4] = ["json", "body", "form", "body_file"];

/// Finds all that is wrong beyond the schema.
pub(crate) fn check(root: &Node) -> Vec<Finding> {
    let mut check = Check {
        findings: Vec::new(),
        known: BTreeSet::new(),
    };
    check.names_declared(root);
    if root.get("cases").is_none() && root.get("golden").is_none() {
        let message = "one of the keys `cases` and `golden` is wanted".to_owned();
        check.find(root, String::new(), message);
    }
    if let Some(headers) = root.get("defaults").and_then(|node| node.get("headers")) {
        check.headers(headers, "defaults.headers");
        check.references(headers, "defaults.headers");
    }
    let mut names = BTreeSet::new();
    for (index, case) in items(root.get("cases")).iter().enumerate() {
        check.case(case, &format!("cases[{index}]"), &mut names);
    }
    for (index, golden) in items(root.get("golden")).iter().enumerate() {
        check.golden(golden, &format!("golden[{index}]"), &mut names);
    }
    check.findings
}

struct Check {
    findings: Vec<Finding>,
    /// Names that `${…}` may refer to.
    known: BTreeSet<String>,
}

impl Check {
    fn names_declared(&mut self, root: &Node) {
        for part in ["variables", "secrets"] {
            for (key, _) in entries(root.get(part)) {
                let path = format!("{part}.{}", key.text);
                if !template::is_name(&key.text) {
                    let message = "a name has letters, digits, `_` and `-` only".to_owned();
                    self.find_at_key(key, path, message, None);
                } else if !self.known.insert(key.text.clone()) {
                    let message = format!("`{}` is a variable as well", key.text);
                    self.find_at_key(key, path, message, None);
                }
            }
        }
    }

    fn case(&mut self, case: &Node, path: &str, names: &mut BTreeSet<String>) {
        self.name(case, path, names);
        match (case.get("request"), case.get("steps")) {
            (None, None) => {
                let message = "the key `request` is missing (or `steps`)".to_owned();
                self.find(case, path.to_owned(), message);
            }
            (Some(_), Some(steps)) => {
                let message = "`request` and `steps` cannot be given together".to_owned();
                self.find(steps, format!("{path}.steps"), message);
            }
            (None, Some(_)) => {
                for key in ["expect", "retry"] {
                    if let Some(node) = case.get(key) {
                        let message = format!("`{key}` belongs to each of the `steps`");
                        self.find(node, format!("{path}.{key}"), message);
                    }
                }
            }
            (Some(_), None) => {}
        }
        self.exchange(case, path);
        let before = self.known.clone();
        for (index, step) in items(case.get("steps")).iter().enumerate() {
            let path = format!("{path}.steps[{index}]");
            self.exchange(step, &path);
            self.captures(step, &path);
        }
        self.known = before;
    }

    fn golden(&mut self, golden: &Node, path: &str, names: &mut BTreeSet<String>) {
        if golden.get("name").is_some() {
            self.name(golden, path, names);
        }
        if let Some((node, file)) = text_of(golden, "file")
            && !["jsonl", "ndjson", "csv"]
                .iter()
                .any(|end| file.to_ascii_lowercase().ends_with(&format!(".{end}")))
        {
            let message = format!("`{file}` is neither `.jsonl` nor `.csv`");
            self.find(node, format!("{path}.file"), message);
        }
        if let Some(request) = golden.get("request") {
            self.request(request, &format!("{path}.request"));
        }
    }

    fn name(&mut self, node: &Node, path: &str, names: &mut BTreeSet<String>) {
        let Some((node, name)) = text_of(node, "name") else {
            return;
        };
        let path = format!("{path}.name");
        if name.trim().is_empty() {
            self.find(node, path, "a name is wanted".to_owned());
        } else if !names.insert(name.to_owned()) {
            let message = format!("another case is called `{name}` as well");
            self.find(node, path, message);
        }
    }

    fn exchange(&mut self, node: &Node, path: &str) {
        if let Some(request) = node.get("request") {
            self.request(request, &format!("{path}.request"));
        }
        if let Some(expect) = node.get("expect") {
            self.expect(expect, &format!("{path}.expect"));
        }
    }

    fn request(&mut self, request: &Node, path: &str) {
        if let Some((node, text)) = text_of(request, "path")
            && ((!text.starts_with('/') && !text.starts_with("${"))
                || text.contains(char::is_whitespace))
        {
            let message = format!("`{text}` is no path: it begins with `/` and has no spaces");
            self.find(node, format!("{path}.path"), message);
        }
        let bodies: Vec<&str> = BODIES
            .into_iter()
            .filter(|key| request.get(key).is_some())
            .collect();
        if let [first, second, ..] = bodies[..]
            && let Some(node) = request.get(second)
        {
            let message = format!("`{first}` and `{second}` cannot be given together");
            self.find(node, format!("{path}.{second}"), message);
        }
        if let Some(headers) = request.get("headers") {
            self.headers(headers, &format!("{path}.headers"));
        }
        self.references(request, path);
    }

    fn expect(&mut self, expect: &Node, path: &str) {
        if let Some(headers) = expect.get("headers") {
            self.headers(headers, &format!("{path}.headers"));
            for (key, checks) in entries(Some(headers)) {
                self.expression(checks, &format!("{path}.headers.{}", key.text));
            }
        }
        for (index, one) in items(expect.get("jsonpath")).iter().enumerate() {
            let path = format!("{path}.jsonpath[{index}]");
            if let Some((node, text)) = text_of(one, "path") {
                self.json_path(node, text, format!("{path}.path"));
            }
            self.expression(one, &path);
        }
        if let Some(schema) = expect.get("schema") {
            if expect.get("schema_file").is_some() {
                let message = "`schema` and `schema_file` cannot be given together".to_owned();
                self.find(schema, format!("{path}.schema"), message);
            } else if let Err(error) = jsonschema::validator_for(&schema.to_json()) {
                let message = format!("no valid JSON Schema: {error}");
                self.find(schema, format!("{path}.schema"), message);
            }
        }
        for key in ["json", "jsonpath", "headers", "contains"] {
            if let Some(node) = expect.get(key) {
                self.references(node, &format!("{path}.{key}"));
            }
        }
    }

    fn captures(&mut self, step: &Node, path: &str) {
        for (key, node) in entries(step.get("capture")) {
            let path = format!("{path}.capture.{}", key.text);
            if !template::is_name(&key.text) {
                let message = "a name has letters, digits, `_` and `-` only".to_owned();
                self.find_at_key(key, path.clone(), message, None);
            }
            if let Content::Text(text) = &node.content {
                self.json_path(node, text, path);
            }
            self.known.insert(key.text.clone());
        }
    }

    fn json_path(&mut self, node: &Node, text: &str, path: String) {
        if let Err(error) = serde_json_path::JsonPath::parse(text) {
            let message = format!("`{text}` is no JSONPath: {error}");
            self.find(node, path, message);
        }
    }

    fn expression(&mut self, node: &Node, path: &str) {
        if let Some((node, text)) = text_of(node, "matches")
            && let Err(error) = regex::Regex::new(text)
        {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().trim();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            let message = format!("`{text}` is no regular expression: {last}");
            self.find(node, format!("{path}.matches"), message);
        }
    }

    fn headers(&mut self, headers: &Node, path: &str) {
        for (key, value) in entries(Some(headers)) {
            let fits = match &value.content {
                Content::Text(text) => HeaderValue::from_str(text).is_ok(),
                _ => true,
            };
            if HeaderName::from_bytes(key.text.as_bytes()).is_err() || !fits {
                let message = format!("`{}` is no header that HTTP can carry", key.text);
                self.find_at_key(key, path.to_owned(), message, None);
            }
        }
    }

    /// Every `${name}` in a text of this part stands for something.
    fn references(&mut self, node: &Node, path: &str) {
        match &node.content {
            Content::Text(text) => {
                for name in template::names(text) {
                    self.reference(node, name, path);
                }
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.references(item, &format!("{path}[{index}]"));
                }
            }
            Content::Mapping(entries) => {
                for (key, value) in entries {
                    self.references(value, &format!("{path}.{}", key.text));
                }
            }
            Content::Null | Content::Bool(_) | Content::Number(_) | Content::NotFinite(_) => {}
        }
    }

    fn reference(&mut self, node: &Node, name: &str, path: &str) {
        if self.known.contains(name) {
            return;
        }
        let help = match nearest(name, self.known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => {
                "declare it in `variables` or `secrets`, or capture it in an earlier step; `$${` is a plain `${`"
                    .to_owned()
            }
        };
        self.findings.push(Finding {
            place: node.place,
            path: path.to_owned(),
            message: format!("nothing is called `{name}`"),
            help: Some(help),
        });
    }

    fn find(&mut self, node: &Node, path: String, message: String) {
        self.findings.push(Finding {
            place: node.place,
            path,
            message,
            help: None,
        });
    }

    fn find_at_key(&mut self, key: &Key, path: String, message: String, help: Option<String>) {
        self.findings.push(Finding {
            place: key.place,
            path,
            message,
            help,
        });
    }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.content) {
        Some(Content::Sequence(items)) => items,
        _ => &[],
    }
}

fn entries(node: Option<&Node>) -> &[(Key, Node)] {
    match node.map(|node| &node.content) {
        Some(Content::Mapping(entries)) => entries,
        _ => &[],
    }
}

fn text_of<'a>(node: &'a Node, key: &str) -> Option<(&'a Node, &'a str)> {
    let node = node.get(key)?;
    match &node.content {
        Content::Text(text) => Some((node, text)),
        _ => None,
    }
}
