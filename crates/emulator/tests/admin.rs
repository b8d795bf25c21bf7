//! Faults, clock, request log, health and reset.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Local, start};

const ENVIRONMENTS: &str = "/repos/octo-org/ml-api/environments";

async fn add_fault(local: &Local, rule: Value) -> (u16, Value) {
    local
        .json("POST", "/_emulator/faults", None, Some(rule))
        .await
}

async fn get(local: &Local) -> (u16, Value) {
    local.json("GET", ENVIRONMENTS, Some("t"), None).await
}

#[tokio::test]
async fn a_fault_hits_as_often_as_it_says_and_in_the_form_of_the_service() {
    let local = start().await;
    let unavailable = |point: &str| {
        json!({
            "point": point, "count": 1,
            "fault": {"status": "UNAVAILABLE", "message": "try again"},
        })
    };
    assert_eq!(add_fault(&local, unavailable("GET /repos/**")).await.0, 201);
    let (status, body) = get(&local).await;
    assert_eq!((status, &body["message"]), (503, &json!("try again")));
    assert_eq!(get(&local).await.0, 200);

    add_fault(&local, unavailable("POST /v1/token")).await;
    let (status, body) = local.json("POST", "/v1/token", None, Some(json!({}))).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (503, &json!("UNAVAILABLE"))
    );
    add_fault(&local, unavailable("* /v2/**")).await;
    let (_, body) = local.json("GET", "/v2/p/r/i/tags/list", None, None).await;
    assert_eq!(body["errors"][0]["code"], "UNAVAILABLE");

    add_fault(&local, unavailable("GET /repos/**")).await;
    assert_eq!(
        local
            .json("DELETE", "/_emulator/faults", None, None)
            .await
            .0,
        204
    );
    assert_eq!(get(&local).await.0, 200);
    local.stop().await;
}

#[tokio::test]
async fn a_connection_drops_before_or_after_the_effect() {
    let local = start().await;
    let deployments = "/repos/octo-org/ml-api/deployments";
    let create = async || {
        let request = local.http.post(local.url(deployments)).bearer_auth("t");
        request.json(&json!({"ref": "main"})).send().await
    };
    let count = async || {
        let (_, body) = local.json("GET", deployments, Some("t"), None).await;
        body.as_array().expect("a list").len()
    };
    for (is_after, expected) in [(false, 0), (true, 1)] {
        let fault = json!({"drop": true, "after": is_after});
        let rule = json!({"point": format!("POST {deployments}"), "count": 1, "fault": fault});
        assert_eq!(add_fault(&local, rule).await.0, 201);
        let error = create().await.expect_err("the connection drops");
        assert!(!error.is_connect(), "{error}");
        assert_eq!(count().await, expected);
    }
    let (_, body) = local.json("GET", "/_emulator/requests", None, None).await;
    let requests = body["requests"].as_array().expect("a list");
    let statuses = requests
        .iter()
        .filter(|it| it["method"] == "POST")
        .map(|it| &it["status"]);
    assert_eq!(statuses.collect::<Vec<_>>(), [0, 0]);
    local.stop().await;
}

#[tokio::test]
async fn exchanges_are_recorded_while_somebody_wants_them() {
    let local = start().await;
    let record = async |recording: bool| {
        let wish = json!({"recording": recording});
        let path = "/_emulator/exchanges";
        assert_eq!(local.json("PUT", path, None, Some(wish)).await.0, 204);
    };
    let recorded = async || {
        let (_, body) = local.json("GET", "/_emulator/exchanges", None, None).await;
        body
    };
    local
        .json("DELETE", "/_emulator/exchanges", None, None)
        .await;
    record(false).await;
    get(&local).await;
    assert_eq!(recorded().await["exchanges"], json!([]));

    record(true).await;
    let deployments = "/repos/octo-org/ml-api/deployments";
    let (status, answer) = local
        .json("POST", deployments, Some("t"), Some(json!({"ref": "main"})))
        .await;
    assert_eq!(status, 201);
    let blob = local.url("/v2/p/r/i/blobs/uploads/?digest=sha256:0");
    let pushed = local.http.post(blob).body("a layer").send().await;
    assert_eq!(pushed.expect("an answer").status(), 401);
    record(false).await;
    get(&local).await;

    let body = recorded().await;
    assert_eq!(
        (&body["recording"], &body["dropped"]),
        (&json!(false), &json!(0))
    );
    let exchanges = body["exchanges"].as_array().expect("a list");
    assert_eq!(exchanges.len(), 2, "{exchanges:?}");
    let said = |part: &str| exchanges[0][part].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (said("method"), said("path")),
        ("POST".to_owned(), deployments.to_owned())
    );
    assert_eq!(said("request"), r#"{"ref":"main"}"#);
    assert_eq!(
        serde_json::from_str::<Value>(&said("response")).expect("JSON"),
        answer
    );
    assert_eq!(exchanges[0]["status"], 201);
    assert!(
        exchanges[0]["host"]
            .as_str()
            .is_some_and(|host| host == local.host())
    );
    // What is no text of an API passes by unread.
    assert_eq!(exchanges[1].get("request"), None);
    assert!(!body.to_string().contains("Bearer"), "no header is kept");
    local.stop().await;
}

#[tokio::test]
async fn a_delay_holds_the_answer_back() {
    let local = start().await;
    let rule = json!({"point": "GET /repos/**", "count": 1, "fault": {"delay_ms": 200}});
    add_fault(&local, rule).await;
    let begun = Instant::now();
    assert_eq!(get(&local).await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    local.stop().await;
}

#[tokio::test]
async fn requests_are_noted_with_their_caller() {
    let local = start().await;
    let email = "ci@demo-project.iam.gserviceaccount.com";
    let token = local.token(email);
    local.json("GET", "/v2/", Some(&token), None).await;
    local
        .json("GET", &format!("{ENVIRONMENTS}?per_page=1"), None, None)
        .await;
    local.json("GET", "/nowhere", None, None).await;
    let (_, body) = local.json("GET", "/_emulator/requests", None, None).await;
    let requests = body["requests"].as_array().expect("a list");
    let seen = |at: usize, field: &str| requests[at][field].clone();
    assert_eq!(requests.len(), 3, "the log does not note who reads it");
    assert_eq!(
        (seen(0, "path"), seen(0, "caller")),
        (json!("/v2/"), json!(email))
    );
    assert_eq!(
        (seen(1, "status"), seen(1, "caller")),
        (json!(401), Value::Null)
    );
    assert_eq!(
        (seen(1, "path"), seen(1, "query")),
        (json!(ENVIRONMENTS), json!("per_page=1"))
    );
    assert_eq!(
        (seen(2, "path"), seen(2, "status")),
        (json!("/nowhere"), json!(501))
    );
    assert_eq!(
        local
            .json("DELETE", "/_emulator/requests", None, None)
            .await
            .0,
        204
    );
    assert!(local.emulator.world().requests.all().is_empty());
    local.stop().await;
}

#[tokio::test]
async fn the_clock_is_set_and_advanced() {
    let local = start().await;
    let put = Some(json!({"offset_seconds": 60}));
    let (_, body) = local.json("PUT", "/_emulator/clock", None, put).await;
    assert_eq!(body["offset_seconds"], 60);
    let advance = Some(json!({"seconds": 30}));
    let (_, body) = local
        .json("POST", "/_emulator/clock/advance", None, advance)
        .await;
    assert_eq!(body["offset_seconds"], 90);
    let token = local.token("ci@demo-project.iam.gserviceaccount.com");
    assert_eq!(local.json("GET", "/v2/", Some(&token), None).await.0, 200);
    let hour = Some(json!({"seconds": 3600}));
    local
        .json("POST", "/_emulator/clock/advance", None, hour)
        .await;
    assert_eq!(
        local.json("GET", "/v2/", Some(&token), None).await.0,
        401,
        "the token ended"
    );
    local.stop().await;
}

#[tokio::test]
async fn health_answers_and_reset_forgets() {
    let local = start().await;
    let (status, body) = local.json("GET", "/_emulator/health", None, None).await;
    assert_eq!((status, &body["status"]), (200, &json!("ok")));
    let body = Some(json!({"email": "ci@demo-project.iam.gserviceaccount.com"}));
    let (_, body) = local.json("POST", "/_emulator/tokens", None, body).await;
    let token = body["access_token"].as_str().expect("a token").to_owned();
    let account = json!({"email": "x@p.iam.gserviceaccount.com", "environment": "production"});
    local
        .json("POST", "/_emulator/service-accounts", None, Some(account))
        .await;
    let path = format!("{ENVIRONMENTS}/extra");
    let settings = Some(json!({}));
    assert_eq!(
        local
            .json("PUT", &format!("/_emulator/github{path}"), None, settings)
            .await
            .0,
        204
    );
    assert_eq!(local.json("GET", &path, Some("t"), None).await.0, 200);
    let rule = json!({"point": "GET /v2/", "fault": {"status": "ABORTED"}});
    add_fault(&local, rule).await;

    assert_eq!(
        local.json("POST", "/_emulator/reset", None, None).await.0,
        204
    );
    assert_eq!(local.json("GET", &path, Some("t"), None).await.0, 404);
    assert_eq!(
        local.json("GET", "/v2/", Some(&token), None).await.0,
        200,
        "the token goes on"
    );
    let path = "/v1/projects/-/serviceAccounts/x@p.iam.gserviceaccount.com:generateIdToken";
    let body = Some(json!({"audience": "x"}));
    assert_eq!(
        local.json("POST", path, Some(&token), body).await.0,
        200,
        "no binding is left"
    );
    local.stop().await;
}

#[tokio::test]
async fn bad_input_is_answered_with_what_is_wrong() {
    let local = start().await;
    let sa = "/_emulator/service-accounts";
    let wip = "/_emulator/workload-identity-providers";
    let github = "/_emulator/github/repos/o/r";
    let cases = [
        (
            "POST",
            "/_emulator/faults",
            json!({"point": "GET /x"}),
            "missing field `fault`",
        ),
        (
            "POST",
            "/_emulator/faults",
            json!({"point": "/x", "fault": {"drop": true}}),
            "point",
        ),
        (
            "POST",
            "/_emulator/faults",
            json!({"point": "GET /x", "fault": {}}),
            "does nothing",
        ),
        (
            "POST",
            "/_emulator/faults",
            json!({"point": "GET /x", "fault": {"status": "503"}}),
            "canonical code",
        ),
        (
            "POST",
            "/_emulator/faults",
            json!({"point": "GET /x", "count": 0, "fault": {"drop": true}}),
            "count",
        ),
        (
            "POST",
            "/_emulator/faults",
            json!({"point": "GET /x", "fault": {"delay": 1}}),
            "unknown field `delay`",
        ),
        ("PUT", "/_emulator/clock", json!({}), "offset_seconds"),
        (
            "POST",
            "/_emulator/clock/advance",
            json!({"seconds": -1}),
            "not negative",
        ),
        (
            "POST",
            "/_emulator/tokens",
            json!({"email": "me"}),
            "\"me\"",
        ),
        (
            "POST",
            sa,
            json!({"email": "a@b", "public_key_pem": "x"}),
            "no RSA public key",
        ),
        ("POST", wip, json!({"name": "projects/p"}), "projects/p"),
        (
            "PUT",
            "/_emulator/registry/repositories/p/r",
            json!({"immutable": true}),
            "unknown field",
        ),
        (
            "PUT",
            &format!("{github}/environments/x"),
            json!({"reviewers": [{"type": "Robot", "name": "r"}]}),
            "Robot",
        ),
        ("PUT", &format!("{github}/runs/x"), json!({}), "no run id"),
        (
            "PUT",
            &format!("{github}/refs/tags/v1"),
            json!({"sha": "1"}),
            "full commit hash",
        ),
    ];
    for (method, path, body, text) in cases {
        let (status, answer) = local.json(method, path, None, Some(body)).await;
        assert_eq!(status, 400, "{path}: {answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(text), "{path}: {message}");
    }
    assert_eq!(
        local.json("GET", "/_emulator/nothing", None, None).await.0,
        404
    );
    local.stop().await;
}
