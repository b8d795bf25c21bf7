//! What a suite can say about an answer, each way right and wrong; scenarios, retries, secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use delivery::verdict::CaseEnd;
use serde_json::json;

use super::server::{Server, failure, run_loaded, serve};
use crate::verify::{LoadedSuite, load_suites};

fn api() -> Router {
    let prediction = || async {
        let body = json!({
            "label": "churn", "probability": 0.731, "scores": [0.2, 0.731],
            "rows": [{"id": 1, "ok": true}, {"id": 2, "ok": false}],
        });
        (
            [("x-model", "iris-3"), ("x-trace", "abc")],
            axum::Json(body),
        )
    };
    let echo = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        axum::Json(json!({
            "uri": uri.to_string(), "kind": text("content-type"), "key": text("x-key"),
            "body": String::from_utf8_lossy(&body),
        }))
    };
    Router::new()
        .route("/predict", post(prediction))
        .route("/echo", any(echo))
        .route("/created", post(|| async { StatusCode::CREATED }))
        .route(
            "/leak",
            get(|headers: HeaderMap| async move {
                let key = headers.get("x-key").map(|v| v.to_str().unwrap().to_owned());
                (
                    StatusCode::BAD_GATEWAY,
                    format!("upstream refused key {}", key.unwrap()),
                )
            }),
        )
}

/// What `expect` says, and the part of the difference that must be told; empty: it passes.
#[tokio::test]
async fn each_assertion_holds_or_tells_the_difference() {
    let server = serve(api()).await;
    let rows = [
        ("status: 2xx", ""),
        ("status: [201, 200]", ""),
        ("status: [201, 4xx]", "status: expected 201 or 4xx, got 200"),
        ("json: {label: churn, probability: 0.7310000001}", ""),
        (
            "json: {probability: 0.74}",
            "/probability: expected 0.74, got 0.731, difference 0.0090",
        ),
        ("json: {probability: 0.74}, tolerance: {relative: 0.02}", ""),
        ("headers: {x-model: iris-3}", ""),
        ("headers: {x-model: {contains: iris}}", ""),
        (
            "headers: {x-model: {contains: rose}}",
            "header x-model: expected a value with `rose`, got `iris-3`",
        ),
        (r"headers: {x-model: {matches: '^iris-\d+$'}}", ""),
        (
            r"headers: {x-model: {matches: '^\d+$'}}",
            r"expected a value like `^\d+$`, got `iris-3`",
        ),
        ("headers: {x-none: {absent: true}}", ""),
        (
            "headers: {x-model: {absent: true}}",
            "header x-model: expected nothing, got `iris-3`",
        ),
        ("contains: [churn, scores]", ""),
        ("contains: [iris]", "body: expected to hold `iris`"),
        (
            "jsonpath: [{path: '$.scores[*]', count: 2, between: [0, 1]}]",
            "",
        ),
        (
            "jsonpath: [{path: '$.scores[*]', between: [0, 0.5]}]",
            "$.scores[*]: expected a number from 0 to 0.5, got 0.731",
        ),
        (
            "jsonpath: [{path: '$.scores[*]', count: 3}]",
            "$.scores[*]: expected 3 value(s), got 2",
        ),
        ("jsonpath: [{path: $.label, one_of: [churn, stay]}]", ""),
        (
            "jsonpath: [{path: $.label, one_of: [stay]}]",
            "$.label: expected one of \"stay\", got \"churn\"",
        ),
        ("jsonpath: [{path: $.gone, exists: false}]", ""),
        (
            "jsonpath: [{path: $.label, exists: false}]",
            "$.label: expected nothing, got \"churn\"",
        ),
        (
            "jsonpath: [{path: $.gone}]",
            "$.gone: expected a value, got nothing",
        ),
        ("jsonpath: [{path: $.gone, count: 0}]", ""),
        (
            "jsonpath: [{path: '$.rows[?@.ok == true].id', equals: 1}]",
            "",
        ),
        (
            "jsonpath: [{path: '$.rows[*].id', equals: 1}]",
            "$.rows[*].id: expected 1, got 2",
        ),
        (
            "jsonpath: [{path: $.label, type: string, matches: ^ch}]",
            "",
        ),
        (
            "jsonpath: [{path: $.label, type: number}]",
            "$.label: expected number, got \"churn\"",
        ),
        (
            "jsonpath: [{path: $.label, matches: ^x}]",
            "$.label: expected text like `^x`, got \"churn\"",
        ),
        (
            "schema: {type: object, required: [label], properties: {probability: {maximum: 1}}}",
            "",
        ),
        (
            "schema: {properties: {probability: {maximum: 0.5}}}",
            "schema: /probability: 0.731 is greater than the maximum of 0.5",
        ),
    ];
    for (expect, wanted) in rows {
        let cases = format!(
            "- name: c\n  request: {{method: POST, path: /predict, json: {{age: 3}}}}\n  expect: {{{expect}}}\n"
        );
        let text = format!("cases:\n{cases}");
        if wanted.is_empty() {
            let evidence = run_loaded(&server.url, loaded(&text)).await;
            assert_eq!(evidence.cases[0].end, CaseEnd::Passed, "{expect}");
            continue;
        }
        let lines = failure(&server.url, &cases).await;
        assert!(lines.contains(wanted), "{expect}: {lines}");
        let context = "\n  request: POST /predict [content-type: application/json] {\"age\":3}\n  answer: 200 application/json {\"label\":\"churn\"";
        assert!(lines.contains(context), "{expect}: {lines}");
    }
}

fn loaded(text: &str) -> LoadedSuite {
    crate::verify::Suite::parse(text, "tests.yaml")
        .unwrap()
        .into()
}

async fn ends(server: &Server, text: &str) -> Vec<CaseEnd> {
    let evidence = run_loaded(&server.url, loaded(text)).await;
    evidence.cases.into_iter().map(|case| case.end).collect()
}

#[tokio::test]
async fn requests_are_built_from_variables_queries_and_forms() {
    let server = serve(api()).await;
    let text = "
variables: {name: 'a b', age: 41, list: [1, 2]}
defaults: {headers: {x-key: 'for ${name}'}}
cases:
- name: path and query
  request: {path: '/echo?fixed=1', query: {q: '${name}', n: ['${age}', x&y]}}
  expect: {json: {uri: '/echo?fixed=1&n=41&n=x%26y&q=a%20b', key: for a b}}
- name: typed json
  request: {method: POST, path: /echo, json: {age: '${age}', text: 'is ${age}', all: '${list}'}}
  expect: {json: {body: '{\"age\":41,\"all\":[1,2],\"text\":\"is 41\"}'}}
- name: form
  request: {method: POST, path: /echo, form: {a: '${name}', b: 2}}
  expect: {json: {body: 'a=a%20b&b=2', kind: application/x-www-form-urlencoded}}
- name: the case's own header wins
  request: {path: /echo, headers: {X-Key: own}}
  expect: {json: {key: own}}
- name: the expectation knows variables
  request: {path: '/echo?v=${age}'}
  expect: {json: {uri: '/echo?v=${age}'}, contains: ['v=${age}'], jsonpath: [{path: $.uri, equals: '/echo?v=${age}'}]}
";
    for (number, end) in ends(&server, text).await.into_iter().enumerate() {
        assert_eq!(end, CaseEnd::Passed, "case {number}");
    }
}

fn jobs() -> Router {
    let polls = Arc::new(AtomicUsize::new(0));
    let create = || async {
        (
            StatusCode::CREATED,
            [("location", "/jobs/7")],
            axum::Json(json!({"id": 7, "items": [1, 2]})),
        )
    };
    let poll = move |Path(id): Path<u32>| {
        let polls = polls.clone();
        async move {
            if id != 7 {
                return StatusCode::NOT_FOUND.into_response();
            }
            let done = polls.fetch_add(1, Ordering::SeqCst) >= 2;
            axum::Json(json!({"state": if done { "done" } else { "running" }})).into_response()
        }
    };
    Router::new()
        .route("/jobs", post(create))
        .route("/jobs/{id}", get(poll))
}

#[tokio::test]
async fn a_scenario_hands_values_on_and_waits_only_where_it_says_so() {
    let server = serve(jobs()).await;
    let text = "
cases:
- name: no retry
  steps:
  - name: create
    request: {method: POST, path: /jobs}
    expect: {status: 201}
    capture: {id: $.id, place: {header: Location}}
  - name: poll
    request: {path: '/jobs/${id}'}
    expect: {json: {state: done}}
  - name: never
    request: {path: /nowhere}
";
    let found = ends(&server, text).await;
    let CaseEnd::Failed(lines) = &found[0] else {
        panic!("{found:?}")
    };
    assert_eq!(
        lines[0],
        "step 2 `poll`: /state: expected \"done\", got \"running\""
    );
    assert_eq!(lines[1], "  request: GET /jobs/7");
    let text = text
        .replace("'/jobs/${id}'", "'${place}'")
        .replace(
            "state: done}}",
            "state: done}}\n    retry: {times: 5, pause_ms: 1}",
        )
        .replace("/nowhere", "/jobs/7");
    assert_eq!(ends(&server, &text).await, [CaseEnd::Passed]);
    for (capture, wanted) in [
        ("$.none", "step 1: capture `id`: $.none selects nothing"),
        ("'$.items[*]'", "selects 2 values, not one"),
        ("{header: x-none}", "the answer has no header `x-none`"),
    ] {
        let text = format!(
            "cases:\n- name: c\n  steps:\n  - request: {{method: POST, path: /jobs}}\n    expect: {{status: 201}}\n    capture: {{id: {capture}}}\n  - request: {{path: '/jobs/${{id}}'}}\n"
        );
        let found = ends(&server, &text).await;
        assert!(
            matches!(&found[0], CaseEnd::Failed(lines) if lines[0].contains(wanted)),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn retries_end_and_are_counted() {
    let server = serve(api()).await;
    let text = "cases:\n- name: c\n  request: {path: /none}\n  retry: {times: 2, pause_ms: 1}\n";
    let found = ends(&server, text).await;
    assert!(
        matches!(&found[0], CaseEnd::Failed(lines) if lines.contains(&"  tried 3 times".to_owned())),
        "{found:?}"
    );
}

#[tokio::test]
async fn files_beside_the_suite_are_read_and_its_secrets_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("tests/body.json", "{\"a\": 1}");
    write("tests/schema.json", "{\"required\": [\"kind\"]}");
    write(
        "tests/a.yaml",
        "cases:\n- name: file\n  request: {method: POST, path: /echo, body_file: body.json}\n  \
         expect: {json: {body: '{\"a\": 1}', kind: application/json}, schema_file: schema.json}\n",
    );
    write(
        "tests/deep/b.yaml",
        "secrets: {key: API_KEY}\ncases:\n- name: secret\n  request: {path: /leak, headers: {x-key: '${key}'}, query: {k: '${key}'}}\n",
    );
    let lookup = |name: &str| (name == "API_KEY").then(|| "hunter 2".to_owned());
    let patterns = ["tests/**/*.yaml".to_owned(), "tests/a.yaml".to_owned()];
    let suites = load_suites(folder.path(), &patterns, &lookup).unwrap();
    assert_eq!(suites.len(), 2, "each file once");
    let server = serve(api()).await;
    let first = run_loaded(&server.url, suites[0].clone()).await;
    assert_eq!(first.cases[0].name, "tests/a.yaml: file");
    assert_eq!(first.cases[0].end, CaseEnd::Passed);
    let second = run_loaded(&server.url, suites[1].clone()).await;
    let CaseEnd::Failed(lines) = &second.cases[0].end else {
        panic!("{second:?}")
    };
    let text = lines.join("\n");
    assert!(text.contains("upstream refused key ***"), "{text}");
    assert!(text.contains("GET /leak?k=*** [x-key: ***]"), "{text}");
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn what_is_wrong_with_the_files_comes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = "secrets: {key: API_KEY}\ncases:\n- name: a\n  request: {path: /, body_file: none.bin}\n  expect: {schema_file: bad.json}\ngolden:\n- file: none.csv\n  request: {path: /}\n";
    std::fs::write(folder.path().join("a.yaml"), text).unwrap();
    std::fs::write(folder.path().join("b.yaml"), "case: 1\n").unwrap();
    std::fs::write(folder.path().join("bad.json"), "{").unwrap();
    let patterns = ["*.yaml", "none/*.yaml", "none.yaml"].map(str::to_owned);
    let problems = load_suites(folder.path(), &patterns, &|_| None).unwrap_err();
    let lines: Vec<String> = problems
        .into_iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one.at.unwrap_or_default(),
                one.title,
                one.cause.join(" ")
            )
        })
        .collect();
    for wanted in [
        "no API test file matches `none/*.yaml`",
        "the API test file `none.yaml` cannot be read",
        "a.yaml:1:16 `secrets.key`: the environment variable `API_KEY` is not set",
        "a.yaml:4:33 `cases[0].request.body_file`: `none.bin` cannot be read",
        "a.yaml:5:25 `cases[0].expect.schema_file`: `bad.json` is no JSON",
        "a.yaml:7:9 `golden[0].file`: `none.csv` cannot be read",
        "b.yaml:1:1",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(wanted)),
            "{wanted} not in {lines:#?}"
        );
    }
}
