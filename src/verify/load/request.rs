//! What is sent, made once; and what counts as a right answer.

use std::cell::RefCell;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::Full;
use reqwest::Url;
use serde_json::Value;

use super::record::Failure;
use crate::verify::caller::Caller;
use crate::verify::sample::Sample;
use crate::verify::suite::StatusSpec;

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// What stands before each path; empty, or without a slash at its end.
    prefix: String,
    authority: String,
}

impl Target {
    /// From a base URL such as `https://ml-api-x.a.run.app`. `None` when it is none.
    pub fn parse(base_url: &str) -> Option<Self> {
        let url = Url::parse(base_url).ok()?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let authority = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        Some(Self {
            host,
            port: url.port_or_known_default()?,
            tls,
            prefix: url.path().trim_end_matches('/').to_owned(),
            authority,
        })
    }
}

/// One request, ready to be sent any number of times.
#[derive(Debug)]
pub struct Prepared {
    /// Its name in reports.
    pub name: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    status: StatusSpec,
    /// Keys and kinds that the answer must have; `None` when any body is right.
    shape: Option<Value>,
    /// The last body that was right: a model that answers the same bytes again is read once.
    known: RefCell<Bytes>,
}

impl Prepared {
    /// From a sample; `None` where its path is none.
    pub fn new(sample: &Sample, caller: &Caller, target: &Target) -> Option<Self> {
        let mut headers = sample.headers_for(caller);
        headers.insert(HOST, HeaderValue::from_str(&target.authority).ok()?);
        let agent = HeaderValue::from_static(concat!("ml-deploy/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(agent);
        Some(Self {
            name: sample.name.clone(),
            method: sample.call.method.clone(),
            uri: format!("{}{}", target.prefix, sample.call.path)
                .parse()
                .ok()?,
            headers,
            body: sample.call.body.clone(),
            status: sample.status.clone(),
            shape: sample.json.clone(),
            known: RefCell::new(Bytes::new()),
        })
    }

    pub(super) fn make(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Whether the answer's text matters at all.
    pub(super) fn reads_body(&self) -> bool {
        self.shape.is_some()
    }

    /// Status, keys and kinds; values are the business of the API tests.
    pub(super) fn check(&self, status: u16, body: Bytes) -> Result<(), Failure> {
        if !self.status.allows(status) {
            return Err(Failure::Status {
                got: status,
                expected: self.status.to_string(),
            });
        }
        let Some(shape) = &self.shape else {
            return Ok(());
        };
        if !body.is_empty() && *self.known.borrow() == body {
            return Ok(());
        }
        let got: Value = serde_json::from_slice(&body)
            .map_err(|_| Failure::Schema("the answer is no JSON".to_owned()))?;
        match differs(shape, &got, "$") {
            Some(line) => Err(Failure::Schema(line)),
            None => {
                *self.known.borrow_mut() = body;
                Ok(())
            }
        }
    }
}

/// The first place where a key is missing or of another kind. A list may have another length; its
/// items are like the first expected one.
fn differs(shape: &Value, got: &Value, at: &str) -> Option<String> {
    match (shape, got) {
        (Value::Object(shape), Value::Object(got)) => {
            shape.iter().find_map(|(key, inner)| match got.get(key) {
                Some(value) => differs(inner, value, &format!("{at}.{key}")),
                None => Some(format!("{at}.{key} is missing")),
            })
        }
        (Value::Array(shape), Value::Array(got)) => {
            let first = shape.first()?;
            got.iter()
                .enumerate()
                .find_map(|(i, value)| differs(first, value, &format!("{at}[{i}]")))
        }
        // Nothing is said about what may be there.
        (Value::Null, _) => None,
        (shape, got) if std::mem::discriminant(shape) == std::mem::discriminant(got) => None,
        (shape, got) => Some(format!("{at}: expected {}, got {}", kind(shape), kind(got))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, host, port, tls, prefix, authority) in [
            (
                "http://127.0.0.1:8080",
                "127.0.0.1",
                8080,
                false,
                "",
                "127.0.0.1:8080",
            ),
            (
                "https://ml-api.a.run.app/",
                "ml-api.a.run.app",
                443,
                true,
                "",
                "ml-api.a.run.app",
            ),
            ("http://[::1]:81/v1/", "::1", 81, false, "/v1", "[::1]:81"),
        ] {
            let got = Target::parse(url).unwrap();
            assert_eq!(
                (got.host.as_str(), got.port, got.tls),
                (host, port, tls),
                "{url}"
            );
            assert_eq!(
                (got.prefix.as_str(), got.authority.as_str()),
                (prefix, authority),
                "{url}"
            );
        }
        assert_eq!(Target::parse("ftp://x"), None);
        assert_eq!(Target::parse("x"), None);
    }

    #[test]
    fn the_shape_of_an_answer_is_checked_and_its_values_are_not() {
        let shape = json!({"label": "a", "scores": [{"p": 0.5}], "extra": null});
        let differs = |got: Value| differs(&shape, &got, "$");
        assert_eq!(
            differs(json!({"label": "b", "scores": [], "extra": 1, "more": 1})),
            None
        );
        assert_eq!(
            differs(json!({"scores": [], "extra": 1})),
            Some("$.label is missing".to_owned())
        );
        let wrong = json!({"label": "b", "scores": [{"p": 1}, {"p": "1"}], "extra": 1});
        assert_eq!(
            differs(wrong),
            Some("$.scores[1].p: expected a number, got a text".to_owned())
        );
        let fractions = json!({"label": "b", "scores": [{"p": 1}], "extra": {}});
        assert_eq!(differs(fractions), None);
    }
}
