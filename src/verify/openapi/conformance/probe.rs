//! Requests made from a document.

use std::fmt;

use serde_json::{Value, json};

use super::super::document::{Document, Node, Operation};
use super::checker::Checker;
use super::generate::{self, Proposal};
use crate::verify::suite::template::{encode, plain};

/// Most requests of one kind for one operation. Beyond, the first ones stand for the others.
const MOST_PER_KIND: usize = 40;

/// Whether the document allows the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does: a documented answer is owed.
    Allowed,
    /// It does not: 4xx is owed.
    Forbidden,
}

/// What is sent as body.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// JSON.
    Json(Value),
    /// Text that is no JSON, sent as `application/json`.
    Broken(&'static str),
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Unique in its document, such as ``POST /predict, `x` too large``.
    pub name: String,
    /// Upper case.
    pub method: &'static str,
    /// Path and query, ready to be sent.
    pub path: String,
    /// Headers that the operation requires.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Body>,
    /// What is owed.
    pub kind: Kind,
    /// JSON pointer of the operation.
    pub operation: String,
}

/// An operation that is not tried, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotProbed {
    /// Method and path.
    pub operation: String,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for NotProbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.reason)
    }
}

/// The requests of a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probes {
    /// What is sent.
    pub probes: Vec<Probe>,
    /// What is left out.
    pub left_out: Vec<NotProbed>,
}

/// Makes the requests of every operation. DELETE is left out, for what it deletes would be gone, and
/// so are TRACE and OPTIONS, which no model answers.
pub fn probes(document: &Document, checker: &Checker) -> Probes {
    let mut all = Probes::default();
    for operation in document.operations() {
        let name = format!("{} {}", operation.method.to_uppercase(), operation.path);
        let made = match operation.method {
            "delete" => Err("not sent: it deletes".to_owned()),
            "trace" | "options" => Err("not sent".to_owned()),
            _ => of_operation(document, checker, &operation, &name),
        };
        match made {
            Ok(probes) => all.probes.extend(probes),
            Err(reason) => all.left_out.push(NotProbed {
                operation: name,
                reason,
            }),
        }
    }
    all
}

/// A parameter and a value that it allows.
struct Parameter<'a> {
    name: &'a str,
    place: &'a str,
    required: bool,
    value: Value,
    schema: Option<Node<'a>>,
}

/// Everything of one request but what varies.
struct Frame<'a> {
    operation: &'a Operation<'a>,
    name: &'a str,
    parameters: Vec<Parameter<'a>>,
}

fn of_operation<'a>(
    document: &'a Document,
    checker: &Checker,
    operation: &'a Operation<'a>,
    name: &'a str,
) -> Result<Vec<Probe>, String> {
    let frame = Frame {
        operation,
        name,
        parameters: parameters(document, operation)?,
    };
    let body = operation
        .node
        .child("requestBody")
        .map(|it| document.resolve(it));
    let Some(body) = body else {
        let mut found = vec![frame.probe("", &frame.parameters, None, Kind::Allowed)];
        found.extend(frame.parameter_faults(None));
        return Ok(found);
    };
    let (schema, written) = json_schema(&body).ok_or("its body is not JSON")?;
    let base = match written {
        Some(example) => example,
        None => generate::allowed(document, &schema)
            .ok_or("no request could be made from its schema; give it an example")?,
    };
    let fits = |value: &Value| {
        checker
            .errors(&schema.at, value)
            .map(|found| found.is_empty())
    };
    if !fits(&base).map_err(|error| error.to_string())? {
        return Err("no request could be made that fits its schema; give it an example".to_owned());
    }
    let mut found = vec![frame.with_body("", base.clone(), Kind::Allowed)];
    let keep = |list: Vec<Proposal>, kind: Kind| {
        let wanted = kind == Kind::Allowed;
        list.into_iter()
            .filter(|(_, value)| fits(value) == Ok(wanted) && *value != base)
            .take(MOST_PER_KIND)
            .map(|(what, value)| frame.with_body(&what, value, kind))
            .collect::<Vec<_>>()
    };
    found.extend(keep(generate::edges(document, &schema), Kind::Allowed));
    found.extend(keep(
        generate::forbidden(document, &schema),
        Kind::Forbidden,
    ));
    let broken = Some(Body::Broken("{\"cut off\": "));
    found.push(frame.probe("a body cut off", &frame.parameters, broken, Kind::Forbidden));
    if body.is("required") {
        found.push(frame.probe("without a body", &frame.parameters, None, Kind::Forbidden));
    }
    found.extend(frame.parameter_faults(Some(Body::Json(base.clone()))));
    Ok(found)
}

/// The JSON schema of a body, and the example beside it, if one is written.
fn json_schema<'a>(body: &Node<'a>) -> Option<(Node<'a>, Option<Value>)> {
    let content = body.child("content")?;
    let (_, media) = content.entries().find(|(name, _)| {
        let bare = name.split(';').next().unwrap_or(name).trim().to_lowercase();
        bare == "application/json" || bare.ends_with("+json")
    })?;
    let named = media.child("examples").and_then(|examples| {
        let first = examples.entries().next();
        first.and_then(|(_, example)| example.value.get("value").cloned())
    });
    let written = named.or_else(|| media.value.get("example").cloned());
    Some((media.child("schema")?, written))
}

/// Parameters with values; those that are optional and cannot be filled are left out.
fn parameters<'a>(
    document: &'a Document,
    operation: &Operation<'a>,
) -> Result<Vec<Parameter<'a>>, String> {
    let mut found: Vec<Parameter<'a>> = Vec::new();
    for level in [&operation.node, &operation.item] {
        for node in level.child("parameters").iter().flat_map(Node::items) {
            let node = document.resolve(node);
            let name = node.text("name").unwrap_or_default();
            let place = node.text("in").unwrap_or_default();
            if found.iter().any(|it| it.name == name && it.place == place) {
                continue;
            }
            let required = node.is("required") || place == "path";
            let schema = node.child("schema");
            let value = generate::allowed(document, &node_of_example(&node, schema.as_ref()));
            match value.filter(|value| !value.is_object() && !value.is_array()) {
                Some(value) => found.push(Parameter {
                    name,
                    place,
                    required,
                    value,
                    schema,
                }),
                None if required => {
                    return Err(format!("no value could be made for its parameter `{name}`"));
                }
                None => {}
            }
        }
    }
    Ok(found)
}

/// The parameter itself where it carries an example, else its schema.
fn node_of_example<'a>(parameter: &Node<'a>, schema: Option<&Node<'a>>) -> Node<'a> {
    match (parameter.value.get("example"), schema) {
        (None, Some(schema)) => schema.clone(),
        _ => parameter.clone(),
    }
}

impl Frame<'_> {
    fn with_body(&self, what: &str, value: Value, kind: Kind) -> Probe {
        self.probe(what, &self.parameters, Some(Body::Json(value)), kind)
    }

    fn probe(
        &self,
        what: &str,
        parameters: &[Parameter<'_>],
        body: Option<Body>,
        kind: Kind,
    ) -> Probe {
        let mut path = self.operation.path.to_owned();
        let mut query = Vec::new();
        let mut headers = Vec::new();
        for Parameter {
            name, place, value, ..
        } in parameters
        {
            let text = plain(value);
            match *place {
                "path" => path = path.replace(&format!("{{{name}}}"), &encode(&text)),
                "query" => query.push(format!("{}={}", encode(name), encode(&text))),
                "header" => headers.push(((*name).to_owned(), text)),
                _ => {}
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let name = match what {
            "" => self.name.to_owned(),
            what => format!("{}, {what}", self.name),
        };
        Probe {
            name,
            method: upper(self.operation.method),
            path,
            headers,
            body,
            kind,
            operation: self.operation.node.at.clone(),
        }
    }

    /// Required query parameters left out, and numbers that are none. Elsewhere every text is
    /// something: a wrong path variable may well be another resource.
    fn parameter_faults(&self, body: Option<Body>) -> Vec<Probe> {
        let mut found = Vec::new();
        for (index, parameter) in self.parameters.iter().enumerate() {
            if parameter.place != "query" {
                continue;
            }
            let without = |value: Option<Value>| -> Vec<Parameter<'_>> {
                let others = self.parameters.iter().enumerate();
                others
                    .filter_map(|(other, it)| {
                        let changed = if other == index {
                            value.clone()?
                        } else {
                            it.value.clone()
                        };
                        Some(Parameter {
                            value: changed,
                            schema: it.schema.clone(),
                            ..*it
                        })
                    })
                    .collect()
            };
            let name = parameter.name;
            if parameter.required {
                let what = format!("without the parameter `{name}`");
                found.push(self.probe(&what, &without(None), body.clone(), Kind::Forbidden));
            }
            if parameter.value.is_number() {
                let what = format!("the parameter `{name}` no number");
                let wrong = without(Some(json!("not-a-number")));
                found.push(self.probe(&what, &wrong, body.clone(), Kind::Forbidden));
            }
        }
        found
    }
}

fn upper(method: &str) -> &'static str {
    match method {
        "get" => "GET",
        "put" => "PUT",
        "post" => "POST",
        "head" => "HEAD",
        _ => "PATCH",
    }
}
