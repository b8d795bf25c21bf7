//! An API that sends back every secret it was sent, in everything it says: no gate shows one.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use delivery::gate::Mode;
use delivery::release::Commit;
use delivery::verdict::{CaseEnd, Evidence};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{Events, Server, serve};
use crate::secret::Secret;
use crate::verify::openapi::{ConformanceGate, SemverGate};
use crate::verify::replay::{Ignore, Limits, ReplayGate};
use crate::verify::{
    Caller, Gate, GateContext, GoldenGate, GoldenRequest, GoldenSpec, Graces, IdentityGate,
    Recording, Sample, SuiteGate, load_suites, record, run_gates,
};

const TOKEN: &str = "eyTOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKEN";
const KEY: &str = "kéyKEYKEYKEY\"KEY/KEYKEYKEYKEY";

/// `padding` moves what is echoed, so that every cut falls into it once. `side` tells the two apart.
fn echo(side: &'static str, padding: usize) -> Router {
    Router::new().fallback(move |uri: Uri, headers: HeaderMap| async move {
        let sent = |name: &str| {
            let value = headers.get(name);
            value.map_or_else(String::new, |value| {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            })
        };
        let (token, key) = (sent("authorization"), sent("x-api-key"));
        let said = format!("{side}{}{token} {key} {token}", ".".repeat(padding));
        let status = |status: u16| StatusCode::from_u16(status).unwrap();
        match uri.path() {
            "/version" => axum::Json(json!({"commit": said})).into_response(),
            "/openapi.json" => axum::Json(document(&said)).into_response(),
            "/predict" => axum::Json(json!({"label": said, "list": [said]})).into_response(),
            "/refused" => (status(500), said).into_response(),
            "/moved" => moved(&format!("{}{token}", ".".repeat(padding))),
            _ => ([("content-type", "text/plain")], said).into_response(),
        }
    })
}

fn moved(said: &str) -> Response {
    let location = [("location", format!("/{}", said.replace("Bearer ", "")))];
    (StatusCode::FOUND, location).into_response()
}

fn document(said: &str) -> Value {
    let properties = json!({said: {"type": "string"}, "label": {"type": "integer"}});
    let schema = json!({"type": "object", "properties": properties, "required": [said]});
    json!({"openapi": "3.1.0", "info": {"version": "1.0.0"}, "paths": {"/predict": {"post": {
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}}})
}

/// Each case fails in another way: the text, the JSON, the header, the redirect, the schema.
const SUITE: &str = r#"
secrets: {key: KEY}
defaults: {headers: {x-api-key: '${key}'}}
cases:
- {name: status, request: {path: /refused}}
- {name: text, request: {path: /text}, expect: {json: {a: 1}}}
- {name: moved, request: {path: /moved}}
- {name: held, request: {path: /text, query: {k: '${key}'}}, expect: {contains: ['${key}${key}${key}${key}${key}${key}']}}
- name: json
  request: {method: POST, path: /predict, json: {sent: '${key}'}}
  expect:
    json: {label: other, list: ['${key}']}
    jsonpath: [{path: $.label, one_of: [a, '${key}']}, {path: $.label, matches: '^no'}]
    schema: {properties: {label: {maxLength: 1}}}
golden:
- {file: rows.jsonl, request: {path: /predict}}
- {file: rows.jsonl, name: refused, request: {path: /refused}}
"#;

fn gates(folder: &std::path::Path) -> (Vec<Box<dyn Gate>>, Caller, Caller) {
    let rows = format!(
        "{}\n",
        json!({"input": {"k": KEY}, "expected": {"label": 1}})
    );
    std::fs::write(folder.join("rows.jsonl"), rows).unwrap();
    std::fs::write(folder.join("t.yaml"), SUITE).unwrap();
    let lookup = |name: &str| (name == "KEY").then(|| KEY.to_owned());
    let suites = load_suites(folder, &["t.yaml".to_owned()], &lookup).unwrap();
    let caller = || {
        let token = Some(Secret::new(TOKEN));
        Caller::new("http://127.0.0.1:9", token)
            .unwrap()
            .keeping(&suites)
    };
    let input = |path: &str| {
        let mut sample = Sample::get(path, path).post(&json!({"x": 1}));
        let value = axum::http::HeaderValue::from_bytes(KEY.as_bytes()).unwrap();
        sample.call.headers.insert("x-api-key", value);
        sample
    };
    let replay = |path: &str| ReplayGate {
        limits: Limits {
            flip_rate: 0.0,
            delta: None,
            psi: Some(0.1),
            latency_ratio: None,
        },
        ignore: Ignore::default(),
        samples: Box::new(vec![input(path); 40]),
    };
    let identity = IdentityGate {
        version_path: Some("/version".to_owned()),
        health_path: "/text".to_owned(),
        model_version: Some("m".to_owned()),
        graces: Graces::none(),
    };
    let not_json = IdentityGate {
        version_path: Some("/text".to_owned()),
        ..identity.clone()
    };
    let openapi_path = "/openapi.json".to_owned();
    let semver = SemverGate {
        mode: Mode::Require,
        openapi_path: openapi_path.clone(),
        version_path: None,
    };
    let conformance = |mode| ConformanceGate {
        mode,
        openapi_path: openapi_path.clone(),
    };
    let gates: Vec<Box<dyn Gate>> = vec![
        Box::new(SuiteGate {
            suites: suites.clone(),
        }),
        Box::new(GoldenGate {
            suites: suites.clone(),
        }),
        Box::new(identity),
        Box::new(not_json),
        Box::new(semver),
        Box::new(conformance(Mode::Require)),
        Box::new(conformance(Mode::Warn)),
        Box::new(replay("/predict")),
        Box::new(replay("/text")),
        Box::new(replay("/refused")),
    ];
    (gates, caller(), caller())
}

/// Eight characters of a secret are a leak; fewer may be chance.
fn assert_hidden(shown: &str, what: &str) {
    for secret in [TOKEN, KEY] {
        let characters: Vec<char> = secret.chars().collect();
        for part in characters.windows(8) {
            let part: String = part.iter().collect();
            let escaped = part.replace('"', "\\\"");
            for form in [&part, &escaped] {
                assert!(
                    !shown.contains(form.as_str()),
                    "{what} shows {form:?}:\n{shown}"
                );
            }
        }
    }
}

fn at(url: &Server, mut caller: Caller) -> Caller {
    caller.base_url.clone_from(&url.url);
    caller
}

#[tokio::test]
async fn no_gate_shows_a_secret_that_the_api_sends_back() {
    for padding in [0, 60, 85, 110, 250, 280, 340] {
        let (new, old) = (echo("new", padding), echo("old", padding));
        let (new, old) = (serve(new).await, serve(old).await);
        let folder = tempfile::tempdir().unwrap();
        let (gates, candidate, serving) = gates(folder.path());
        let (candidate, serving) = (at(&new, candidate), at(&old, serving));
        let commit = Commit::parse("0123456789012345678901234567890123456789").unwrap();
        for gate in gates {
            let name = gate.name();
            let events = Arc::new(Events::default());
            let context = GateContext {
                candidate: &candidate,
                serving: Some(&serving),
                version: Some("1.0.0"),
                commit: Some(&commit),
                sink: events.as_ref(),
                cancelled: CancellationToken::new(),
            };
            let found = run_gates(&[gate], &context).await;
            let passed = |one: &Evidence| one.cases.iter().all(|one| one.end == CaseEnd::Passed);
            assert!(!found.iter().all(passed), "{name}: {found:?}");
            assert_hidden(&format!("{found:?}"), name);
            assert_hidden(&format!("{:?}", events.0.lock().unwrap()), name);
        }
        for path in ["/refused", "/text"] {
            let inputs = folder.path().join("rows.jsonl");
            let recording = Recording {
                spec: GoldenSpec {
                    file: inputs.display().to_string(),
                    request: GoldenRequest {
                        path: path.to_owned(),
                        ..GoldenRequest::default()
                    },
                    ..GoldenSpec::default()
                },
                to: folder.path().join("out.jsonl"),
            };
            let why = record(&recording, &candidate, &Events::default()).await;
            assert_hidden(&why.unwrap_err(), "record");
        }
    }
}
