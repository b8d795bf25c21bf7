//! Holds one exchange against Google's discovery documents.

use emulator::admin::Exchange;
use reqwest::Url;
use serde_json::Value;

use super::any::types_of_operation;
use super::discovery::{Document, Method};
use super::error;
use super::mask;
use super::scalar::complaint;
use super::value::{Answered, Direction, Walk};
use super::verdict::{Part, Verdict};

/// Judges the exchanges of one world with Google's APIs.
pub(super) struct Google<'a> {
    documents: &'a [Document],
    answered: Answered,
}

impl<'a> Google<'a> {
    pub(super) fn new(documents: &'a [Document]) -> Self {
        Self {
            documents,
            answered: Answered::new(),
        }
    }

    pub(super) fn judge(&mut self, exchange: &Exchange, verdict: &mut Verdict) {
        let (document, method) = match self.find(exchange) {
            Ok(found) => found,
            Err(text) => return verdict.wrong(Part::Route, "", text),
        };
        verdict.judged(&method.id);
        let query = pairs(exchange.query.as_deref().unwrap_or_default());
        for (name, text) in judge_query(document, method, &query) {
            verdict.wrong(Part::Query, name, text);
        }
        for (pointer, text) in self.request(document, method, exchange, &query) {
            verdict.wrong(Part::Request, pointer, text);
        }
        for (pointer, text) in self.answer(document, method, exchange) {
            verdict.wrong(Part::Answer, pointer, text);
        }
    }

    /// The method that is asked for: by the host where it is Google's, by the path otherwise.
    fn find(&self, exchange: &Exchange) -> Result<(&'a Document, &'a Method), String> {
        let Exchange {
            method, path, host, ..
        } = exchange;
        let mut documents: Vec<&Document> = self.documents.iter().collect();
        if host.contains(".googleapis.com") {
            documents.retain(|document| document.is_at(host));
        }
        let mut found: Option<(_, &Document, &Method)> = None;
        let mut other_verbs = Vec::new();
        for document in documents {
            match document.method(method, path) {
                Ok((fit, method)) if found.as_ref().is_none_or(|(best, _, _)| fit > *best) => {
                    found = Some((fit, document, method));
                }
                Ok(_) => {}
                Err(others) => other_verbs.extend(others),
            }
        }
        found
            .map(|(_, document, method)| (document, method))
            .ok_or_else(|| match other_verbs.as_slice() {
                [] => "no document has this path".to_owned(),
                verbs => format!(
                    "the documents have this path with {} only",
                    verbs.join(", ")
                ),
            })
    }

    fn request(
        &mut self,
        document: &Document,
        method: &Method,
        exchange: &Exchange,
        query: &[(String, String)],
    ) -> Vec<(String, String)> {
        let Some(name) = &method.request else {
            let is_empty = exchange.request.as_deref().is_none_or(|body| body == "{}");
            return one((!is_empty).then(|| "this method takes no body".to_owned()));
        };
        let kind = exchange.request_type.as_deref().unwrap_or_default();
        let body = match (&exchange.request, is_json(kind)) {
            (Some(body), true) => body,
            // The token service takes the same fields as a form (RFC 8693).
            (Some(form), false) => return self.form(document, name, form),
            // Who sends nothing, sends an empty message.
            (None, _) => "{}",
        };
        let value: Value = match serde_json::from_str(body) {
            Ok(value) => value,
            Err(error) => return one(Some(format!("is no JSON: {error}"))),
        };
        let mut walk = Walk {
            documents: self.documents,
            direction: Direction::Request {
                root_may_be_partial: method.verb == "PATCH",
            },
            has_enum_numbers: query
                .iter()
                .any(|(_, value)| value.contains("enum-encoding=int")),
            answered: &mut self.answered,
            findings: Vec::new(),
        };
        walk.root(document, name, &value);
        walk.findings
    }

    /// A form has the names of the protocol (`grant_type`), the document those of JSON (`grantType`).
    fn form(&self, document: &Document, name: &str, form: &str) -> Vec<(String, String)> {
        let Some(schema) = document.schema(name) else {
            return one(Some(format!("the document has no schema {name}")));
        };
        pairs(form)
            .into_iter()
            .filter(|(name, _)| schema["properties"].get(camel(name)).is_none())
            .map(|(name, _)| (format!("/{name}"), "is no documented field".to_owned()))
            .collect()
    }

    fn answer(
        &mut self,
        document: &Document,
        method: &Method,
        exchange: &Exchange,
    ) -> Vec<(String, String)> {
        // Dropped on purpose: there was no answer.
        if exchange.status == 0 {
            return Vec::new();
        }
        let kind = exchange.response_type.as_deref().unwrap_or_default();
        if !is_json(kind) {
            return one(Some(format!("has the type {kind:?}, not JSON")));
        }
        let text = exchange.response.as_deref().unwrap_or_default();
        let body: Value = match serde_json::from_str(text) {
            Ok(body) => body,
            Err(error) => return one(Some(format!("is no JSON: {error}"))),
        };
        let mut walk = Walk {
            documents: self.documents,
            direction: Direction::Answer,
            has_enum_numbers: false,
            answered: &mut self.answered,
            findings: Vec::new(),
        };
        if exchange.status >= 400 {
            // What stands before the service answers as before every other.
            let is_before = exchange.status == 403 && body["error"].is_object();
            if document.name == "sts.v1" && exchange.status < 500 && !is_before {
                return error::oauth(&body);
            }
            let mut findings = error::head(exchange.status, &body);
            for detail in body["error"]["details"].as_array().into_iter().flatten() {
                // The schema of an operation's error: every API has the same.
                let status = serde_json::json!({"details": [detail]});
                if let Some(run) = self.documents.iter().find(|it| it.name == "run.v2") {
                    walk.root(run, "GoogleRpcStatus", &status);
                }
            }
            let below = |(pointer, text)| (format!("/error{pointer}"), text);
            findings.extend(walk.findings.into_iter().map(below));
            return findings;
        }
        let Some(name) = &method.response else {
            return one(Some("this method has no documented answer".to_owned()));
        };
        walk.root(document, name, &body);
        let mut findings = walk.findings;
        if name.ends_with("LongrunningOperation") {
            findings.extend(judge_operation(method, &body));
        }
        findings
    }
}

/// What the document cannot say of an operation: its types, and that it ends one way.
fn judge_operation(method: &Method, body: &Value) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    if let Some(wanted) = types_of_operation(&method.id) {
        for part in ["metadata", "response"] {
            let given = body[part].get("@type");
            if given.is_some_and(|given| given != wanted) {
                wrong.push((format!("/{part}/@type"), format!("is not {wanted}")));
            }
        }
    }
    let ends = ["response", "error"]
        .into_iter()
        .filter(|end| body.get(end).is_some())
        .count();
    let wanted = usize::from(body["done"] == true);
    if ends != wanted {
        let text = format!("has {ends} of \"response\" and \"error\", not {wanted}");
        wrong.push(("/done".to_owned(), text));
    }
    wrong
}

fn judge_query(
    document: &Document,
    method: &Method,
    query: &[(String, String)],
) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (index, (name, value)) in query.iter().enumerate() {
        let mut say = |text: String| wrong.push((name.clone(), text));
        // `$alt` is `alt`: <https://cloud.google.com/apis/docs/system-parameters>.
        if name == "$alt" {
            if value.split(';').next() != Some("json") {
                say(format!("{value:?} is no form that this API answers in"));
            }
            continue;
        }
        let Some(parameter) = document.parameter(method, name) else {
            say(format!("{} has no such parameter", method.id));
            continue;
        };
        let is_second = query[..index].iter().any(|(other, _)| other == name);
        if is_second && parameter["repeated"] != true {
            say("is given twice".to_owned());
        }
        if let Some(complaint) = complaint(parameter, &typed(parameter, value)) {
            say(complaint);
        }
        if parameter["format"] == "google-fieldmask"
            && let Some(schema) = &method.request
            && let Some(path) = mask::stray(document, schema, value)
        {
            say(format!("{schema} has no field {path:?}"));
        }
    }
    wrong
}

/// A parameter's text as the value that it stands for.
fn typed(parameter: &Value, text: &str) -> Value {
    match parameter["type"].as_str() {
        Some("boolean" | "integer" | "number") => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        }
        _ => Value::from(text),
    }
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().unwrap_or_default().trim() == "application/json"
}

fn one(text: Option<String>) -> Vec<(String, String)> {
    text.into_iter().map(|text| (String::new(), text)).collect()
}

/// The decoded pairs of a query or form.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    Url::parse(&format!("http://form/?{query}"))
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default()
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &head.to_ascii_uppercase() + tail
    })
}
