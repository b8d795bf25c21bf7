//! GitHub's endpoints, over HTTP and through the client that the tool uses.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use octocrab::models::{RunId, repos, workflows};
use serde_json::{Value, json};
use support::{Local, start};

const REPOSITORY: &str = "/repos/octo-org/ml-api";

async fn get(local: &Local, path: &str) -> (u16, Value) {
    local
        .json("GET", &format!("{REPOSITORY}{path}"), Some("t"), None)
        .await
}

async fn set(local: &Local, path: &str, body: Value) {
    let path = format!("/_emulator/github{REPOSITORY}{path}");
    let (status, answer) = local.json("PUT", &path, None, Some(body)).await;
    assert_eq!(status, 204, "{answer}");
}

#[tokio::test]
async fn a_new_repository_has_a_reviewed_production() {
    let local = start().await;
    let (_, body) = get(&local, "/environments").await;
    let names = body["environments"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["name"]);
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["dev", "production", "staging", "test"]);
    assert_eq!(body["total_count"], 4);
    let (_, production) = get(&local, "/environments/production").await;
    let rule = &production["protection_rules"][0];
    assert_eq!(rule["type"], "required_reviewers");
    assert_eq!(rule["reviewers"][0]["reviewer"]["login"], "release-manager");
    assert_eq!(
        get(&local, "/environments/dev").await.1["protection_rules"],
        json!([])
    );
    local.stop().await;
}

#[tokio::test]
async fn protection_rules_are_answered_as_they_are_set() {
    let local = start().await;
    let settings = json!({
        "wait_timer": 30, "prevent_self_review": true,
        "reviewers": [{"type": "User", "name": "ada"}, {"type": "Team", "name": "sre"}],
        "deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true},
    });
    set(&local, "/environments/prod%2Feu%20west", settings).await;
    let (status, body) = get(&local, "/environments/prod%2Feu%20west").await;
    assert_eq!((status, &body["name"]), (200, &json!("prod/eu west")));
    let rules = body["protection_rules"].as_array().expect("a list");
    let kinds: Vec<_> = rules.iter().map(|rule| &rule["type"]).collect();
    assert_eq!(kinds, ["wait_timer", "required_reviewers", "branch_policy"]);
    assert_eq!(rules[0]["wait_timer"], 30);
    assert_eq!(rules[1]["prevent_self_review"], true);
    assert_eq!(rules[1]["reviewers"][1]["reviewer"]["slug"], "sre");
    assert_eq!(
        body["deployment_branch_policy"]["custom_branch_policies"],
        true
    );
    assert!(
        body["url"]
            .as_str()
            .expect("an address")
            .ends_with("/prod%2Feu%20west")
    );
    local.stop().await;
}

#[tokio::test]
async fn who_asks_needs_a_token_and_an_existing_thing() {
    let local = start().await;
    let path = format!("{REPOSITORY}/environments");
    let (status, body) = local.json("GET", &path, None, None).await;
    assert_eq!((status, &body["message"]), (401, &json!("Bad credentials")));
    let classic = local
        .http
        .get(local.url(&path))
        .header("authorization", "token x");
    let answer = classic.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-type"],
        "application/json; charset=utf-8"
    );
    assert!(answer.headers().contains_key("x-github-request-id"));
    for path in [
        "/environments/none",
        "/actions/runs/9",
        "/deployments/9",
        "/deployments/9/statuses",
        "/git/ref/tags/v9",
    ] {
        let (status, body) = get(&local, path).await;
        assert_eq!(
            (status, &body["message"]),
            (404, &json!("Not Found")),
            "{path}"
        );
        assert_eq!(body["documentation_url"], "https://docs.github.com/rest");
    }
    assert_eq!(get(&local, "/commits/v9").await.0, 422);
    local.stop().await;
}

#[tokio::test]
async fn a_run_that_nobody_set_up_was_approved_where_it_had_to_be() {
    let local = start().await;
    let path = "/actions/runs/9/approvals";
    let (status, approvals) = get(&local, path).await;
    assert_eq!(status, 200);
    assert_eq!(approvals[0]["environments"][0]["name"], "production");
    assert_eq!(approvals[0]["user"]["login"], "release-manager");
    assert_eq!(approvals.as_array().map(Vec::len), Some(1));
    set(&local, "/environments/production", json!({"reviewers": []})).await;
    assert_eq!(get(&local, path).await.1, json!([]));
    set(&local, "/runs/9", json!({})).await;
    assert_eq!(get(&local, path).await.1, json!([]));
    local.stop().await;
}

#[tokio::test]
async fn only_a_reviewer_lets_a_waiting_job_go_on() {
    let local = start().await;
    let reviewers = json!([{"name": "ada"}, {"name": "bob"}]);
    let settings = json!({"reviewers": reviewers, "prevent_self_review": true});
    set(&local, "/environments/production", settings).await;
    let run = json!({"actor": "ada", "waiting_for": ["production"], "head_branch": "v1.0.0"});
    set(&local, "/runs/7", run).await;
    assert_eq!(get(&local, "/actions/runs/7").await.1["status"], "waiting");
    assert_eq!(get(&local, "/actions/runs/7/approvals").await.1, json!([]));

    let path = format!("{REPOSITORY}/actions/runs/7/pending_deployments");
    let (_, pending) = local.json("GET", &path, Some("user:bob"), None).await;
    assert_eq!(pending[0]["environment"]["name"], "production");
    assert_eq!(pending[0]["current_user_can_approve"], true);
    let id = &pending[0]["environment"]["id"];
    let review =
        |state: &str| json!({"environment_ids": [id], "state": state, "comment": "checked"});
    let send = async |token: &str, review: Value| {
        local.json("POST", &path, Some(token), Some(review)).await
    };
    assert_eq!(
        send("t", review("approved")).await.0,
        422,
        "the workflow itself"
    );
    assert_eq!(
        send("user:ada", review("approved")).await.0,
        422,
        "who started the run"
    );
    assert_eq!(send("user:bob", review("perhaps")).await.0, 422);
    let (status, made) = send("user:bob", review("approved")).await;
    assert_eq!(
        (status, &made[0]["environment"]),
        (200, &json!("production")),
        "{made}"
    );
    assert_eq!(
        send("user:bob", review("approved")).await.0,
        422,
        "nothing is pending"
    );

    let (_, approvals) = get(&local, "/actions/runs/7/approvals").await;
    let approval = &approvals[0];
    assert_eq!(
        (&approval["state"], &approval["comment"]),
        (&json!("approved"), &json!("checked"))
    );
    assert_eq!(approval["user"]["login"], "bob");
    assert_eq!(approval["environments"][0]["name"], "production");
    assert_eq!(
        get(&local, "/actions/runs/7").await.1["status"],
        "in_progress"
    );
    assert_eq!(
        get(&local, "/deployments")
            .await
            .1
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    local.stop().await;
}

#[tokio::test]
async fn deployments_and_statuses_are_kept_newest_first() {
    let local = start().await;
    let post = async |path: &str, body: Value| {
        let path = format!("{REPOSITORY}{path}");
        local.json("POST", &path, Some("t"), Some(body)).await
    };
    let (status, body) = post("/deployments", json!({})).await;
    assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("ref")));
    let mut ids = Vec::new();
    for environment in ["dev", "test", "dev"] {
        let body = json!({"ref": "v1.0.0", "environment": environment, "payload": {"a": 1}});
        let (status, made) = post("/deployments", body).await;
        assert_eq!((status, &made["payload"]), (201, &json!({"a": 1})));
        ids.push(made["id"].as_u64().expect("a number"));
    }
    let (_, list) = get(&local, "/deployments?environment=dev").await;
    let found: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["id"])
        .collect();
    assert_eq!(found, [ids[2], ids[0]]);
    let statuses = |id: u64| format!("/deployments/{id}/statuses");
    assert_eq!(
        post(&statuses(ids[0]), json!({"state": "done"})).await.0,
        422
    );
    for (id, state) in [
        (0, "in_progress"),
        (0, "success"),
        (1, "success"),
        (2, "success"),
    ] {
        let body = json!({"state": state, "environment_url": "http://127.0.0.1:1"});
        assert_eq!(post(&statuses(ids[id]), body).await.0, 201);
    }
    for (id, expected) in [
        (0, vec!["inactive", "success", "in_progress"]),
        (1, vec!["success"]),
        (2, vec!["success"]),
    ] {
        let (_, list) = get(&local, &statuses(ids[id])).await;
        let states: Vec<_> = list
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| &it["state"])
            .collect();
        assert_eq!(states, expected);
    }
    let path = local.url(&format!("{REPOSITORY}/deployments?per_page=2"));
    let answer = local
        .http
        .get(path)
        .bearer_auth("t")
        .send()
        .await
        .expect("an answer");
    let link = answer.headers()["link"].to_str().expect("text").to_owned();
    assert!(link.contains("page=2>; rel=\"next\""), "{link}");
    local.stop().await;
}

#[tokio::test]
async fn refs_lead_to_commits() {
    let local = start().await;
    let sha = "0123456789abcdef0123456789abcdef01234567";
    set(&local, "/refs/tags/v1.0.0", json!({"sha": sha})).await;
    for git_ref in ["v1.0.0", "tags/v1.0.0", "refs/tags/v1.0.0", sha] {
        assert_eq!(
            get(&local, &format!("/commits/{git_ref}")).await.1["sha"],
            sha,
            "{git_ref}"
        );
    }
    assert_eq!(
        get(&local, "/git/ref/tags/v1.0.0").await.1["object"]["sha"],
        sha
    );
    let made = json!({"ref": "v1.0.0"});
    let path = format!("{REPOSITORY}/deployments");
    assert_eq!(
        local.json("POST", &path, Some("t"), Some(made)).await.1["sha"],
        sha
    );
    local.stop().await;
}

#[tokio::test]
async fn octocrab_reads_the_answers() {
    let local = start().await;
    set(&local, "/runs/7", json!({"waiting_for": ["production"]})).await;
    let client = octocrab::Octocrab::builder()
        .base_uri(&local.base)
        .expect("an address")
        .personal_token("t")
        .build_with_reqwest(local.http.clone())
        .expect("a client");
    let body = json!({"ref": "main", "environment": "dev"});
    let made: repos::Deployment = client
        .post(format!("{REPOSITORY}/deployments"), Some(&body))
        .await
        .expect("a deployment");
    let statuses = format!("{REPOSITORY}/deployments/{}/statuses", made.id);
    let body = json!({"state": "success"});
    let status: repos::DeploymentStatus =
        client.post(statuses, Some(&body)).await.expect("a status");
    assert_eq!(status.state, repos::DeploymentStatusState::Success);
    let run: workflows::Run = client
        .workflows("octo-org", "ml-api")
        .get(RunId(7))
        .await
        .expect("a run");
    assert_eq!(run.status, "waiting");
    let environment: repos::Environment = client
        .get(format!("{REPOSITORY}/environments/production"), None::<&()>)
        .await
        .expect("an environment");
    assert_eq!(environment.name, "production");
    let absent = client
        .get::<Value, _, _>(format!("{REPOSITORY}/environments/x"), None::<&()>)
        .await;
    let octocrab::Error::GitHub { source, .. } = absent.expect_err("it is absent") else {
        panic!("the error is none of GitHub's");
    };
    assert_eq!(source.status_code, 404);
    local.stop().await;
}
