use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::*;
use crate::github::gate::RulesSeen;

/// Answers each path with a status and a body, and remembers what was asked.
#[derive(Clone)]
struct Answers {
    status: StatusCode,
    body: Value,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn answer(State(answers): State<Answers>, uri: Uri) -> Response {
    answers.asked.lock().unwrap().push(uri.path().to_owned());
    (answers.status, axum::Json(answers.body)).into_response()
}

/// A server on a free loopback port; it ends with the test's runtime.
async fn server(status: StatusCode, body: Value) -> (GitHub, Arc<Mutex<Vec<String>>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers = Answers {
        status,
        body,
        asked: Arc::clone(&asked),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(answers);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let api_url = format!("http://{address}/api/v3");
    let github = GitHub::new(&api_url, ("org", "repo"), &Secret::new("t"), http).unwrap();
    (github, asked)
}

#[tokio::test]
async fn reviewers_are_read_and_names_are_encoded() {
    let body = json!({"protection_rules": [
        {"type": "wait_timer", "wait_timer": 5},
        {"type": "required_reviewers", "prevent_self_review": true, "reviewers": [
            {"type": "User", "reviewer": {"login": "ada"}},
            {"type": "Team", "reviewer": {"slug": "ml"}}]}]});
    let (github, asked) = server(StatusCode::OK, body).await;
    let rules = github.rules("Prod / EU?").await;
    let expected = Rules {
        reviewers: vec!["ada".to_owned(), "ml".to_owned()],
        prevents_self_review: true,
    };
    assert_eq!(rules, RulesSeen::Known(expected));
    assert_eq!(
        *asked.lock().unwrap(),
        ["/api/v3/repos/org/repo/environments/Prod%20%2F%20EU%3F"]
    );
}

#[tokio::test]
async fn a_refusal_keeps_its_status() {
    let (github, _) = server(
        StatusCode::FORBIDDEN,
        json!({"message": "Resource not accessible by integration"}),
    )
    .await;
    let refused = RulesSeen::Refused {
        status: 403,
        message: "Resource not accessible by integration".to_owned(),
    };
    assert_eq!(github.rules("production").await, refused);
    assert!(github.approvals(1).await.is_err());
}

#[tokio::test]
async fn approvers_are_named() {
    let body = json!([{"state": "approved", "user": {"login": "ada"}, "environments": [{"name": "production"}], "comment": "ok"}]);
    let (github, asked) = server(StatusCode::OK, body).await;
    let expected = Approver {
        user: "ada".to_owned(),
        state: "approved".to_owned(),
        environments: vec!["production".to_owned()],
    };
    assert_eq!(github.approvals(77).await.unwrap(), [expected]);
    assert_eq!(
        *asked.lock().unwrap(),
        ["/api/v3/repos/org/repo/actions/runs/77/approvals"]
    );
}
