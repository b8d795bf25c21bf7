//! The pure transitions, step by step: writes, settling revisions, moving traffic.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::chance::Chance;
use super::change::{self, Context, PatchOptions, Written};
use super::delete;
use super::failure::Failure;
use super::key::ServiceKey;
use super::reserved::Reserved;
use super::settle::{self, Next};
use super::state::{State, Work};
use super::view;
use crate::error::ApiError;
use crate::registry::Resolved;

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const IMAGE: &str = "us-central1-docker.pkg.dev/demo/ml/api:v1";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// A state with a clock that moves one second per write.
struct Scene {
    state: State,
    chance: Chance,
    now: DateTime<Utc>,
    key: ServiceKey,
}

impl Scene {
    fn new() -> Self {
        Self {
            state: State::default(),
            chance: Chance::new(5),
            now: DateTime::from_timestamp(1_786_872_223, 0).expect("a time"),
            key: ServiceKey::new("demo", "us-central1", "hello"),
        }
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut State, &Context, &ServiceKey) -> Result<Written, ApiError>,
    ) -> Result<Written, ApiError> {
        self.now += TimeDelta::seconds(1);
        let resolve = |image: &str| {
            (!image.contains("missing")).then(|| Resolved {
                digest: DIGEST.to_owned(),
                pull: format!("127.0.0.1:1/x@{DIGEST}"),
            })
        };
        let address = |key: &ServiceKey, tag: Option<&str>| {
            Ok(format!("http://{}.{}", tag.unwrap_or("main"), key.service))
        };
        let context = Context {
            now: self.now,
            chance: &self.chance,
            caller: "deployer@demo.iam",
            resolve: &resolve,
            address: &address,
            permit: &|_| Ok(()),
        };
        write(&mut self.state, &context, &self.key.clone())
    }

    fn create(&mut self, body: Value) -> Result<Written, ApiError> {
        self.write(|state, context, key| {
            change::create(state, context, key, body, Reserved::default(), false)
        })
    }

    fn patch(&mut self, mask: &str, body: Value) -> Result<Written, ApiError> {
        let options = PatchOptions {
            update_mask: (!mask.is_empty()).then(|| mask.to_owned()),
            ..PatchOptions::default()
        };
        self.write(|state, context, key| change::patch(state, context, key, body, &options))
    }

    /// Ends a write: its revision becomes ready or fails, and traffic moves.
    fn settle(&mut self, written: Written, outcome: Result<(), &str>) -> Value {
        let work = written.work.expect("work");
        self.now += TimeDelta::seconds(1);
        if let Some(revision) = work.new_revision.clone() {
            let outcome = outcome.map_err(|_| Failure::not_listening(&self.key, &revision, 8080));
            settle::settle_revision(&mut self.state, &work, &revision, outcome, self.now);
        }
        self.finish(&work);
        let operation = &self.state.operations[&work.operation];
        view::operation(&self.state, operation)
    }

    fn finish(&mut self, work: &Work) {
        match settle::next(&mut self.state, work) {
            Next::Routes(routes) => settle::finish(&mut self.state, work, Ok(&routes), self.now),
            Next::Refused(failure) => settle::finish(&mut self.state, work, Err(failure), self.now),
            Next::Superseded => settle::finish_superseded(&mut self.state, work),
            other => panic!("{other:?}"),
        }
    }

    fn service(&self) -> Value {
        view::service(self.state.service(&self.key).expect("the service"))
    }

    fn revision(&self, name: &str) -> Value {
        let service = self.state.service(&self.key).expect("the service");
        view::revision(service, service.revision(name).expect(name))
    }

    /// A service with one ready revision, `hello-a`, that takes all traffic by name.
    fn pinned() -> Self {
        let mut scene = Self::new();
        let mut body = service("hello-a");
        body["traffic"] = json!([{"type": REVISION, "revision": "hello-a", "percent": 100}]);
        let written = scene.create(body).expect("created");
        assert!(scene.settle(written, Ok(()))["error"].is_null());
        scene
    }
}

fn service(revision: &str) -> Value {
    let mut body = json!({"template": {"containers": [{"image": IMAGE}]}});
    if !revision.is_empty() {
        body["template"]["revision"] = json!(revision);
    }
    body
}

fn short(name: &Value) -> &str {
    name.as_str()
        .and_then(|name| name.rsplit('/').next())
        .unwrap_or_default()
}

#[test]
fn a_create_runs_through_its_stages() {
    let mut scene = Scene::new();
    let written = scene.create(service("")).expect("created");
    let operation = &written.operation;
    assert!(operation.get("done").is_none());
    assert_eq!(
        operation["metadata"]["@type"],
        "type.googleapis.com/google.cloud.run.v2.Service"
    );
    let begun = scene.service();
    assert_eq!(begun["reconciling"], true);
    assert_eq!(begun["generation"], "1");
    assert!(begun.get("observedGeneration").is_none());
    assert_eq!(begun["terminalCondition"]["state"], "CONDITION_RECONCILING");
    assert_eq!(begun["uri"], "http://main.hello");

    let done = scene.settle(written, Ok(()));
    assert_eq!(done["done"], true);
    assert_eq!(
        done["response"]["terminalCondition"]["state"],
        "CONDITION_SUCCEEDED"
    );
    let ended = scene.service();
    assert!(ended.get("reconciling").is_none());
    assert_eq!(ended["observedGeneration"], "1");
    assert_eq!(ended["traffic"], json!([{"type": LATEST, "percent": 100}]));
    assert_eq!(ended["trafficStatuses"], ended["traffic"]);
    let kinds: Vec<_> = ended["conditions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["type"].clone())
        .collect();
    assert_eq!(kinds, ["RoutesReady", "ConfigurationsReady"]);
    let name = short(&ended["latestReadyRevision"]);
    assert!(
        name.starts_with("hello-00001-") && name.len() == 15,
        "{name}"
    );
    let revision = scene.revision(name);
    assert_eq!(
        revision["containers"][0]["image"],
        format!("us-central1-docker.pkg.dev/demo/ml/api@{DIGEST}")
    );
    assert_eq!(
        revision["conditions"][0]["message"],
        "Deploying revision succeeded in 1.00s."
    );
    assert_eq!(revision["service"], "hello");
}

#[test]
fn a_failed_first_deploy_leaves_a_service_without_ready_revision() {
    let mut scene = Scene::new();
    let written = scene.create(service("hello-a")).expect("created");
    let operation = scene.settle(written, Err("crash"));
    assert_eq!(operation["error"]["code"], 9);
    let text = operation["error"]["message"].as_str().expect("a text");
    assert!(text.starts_with("Revision 'hello-a' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable"), "{text}");
    assert!(text.contains("Logs URL: https://console.cloud.google.com/logs/viewer?project=demo&resource=cloud_run_revision/service_name/hello/revision_name/hello-a&advancedFilter="));
    let service = scene.service();
    assert_eq!(short(&service["latestCreatedRevision"]), "hello-a");
    assert!(service.get("latestReadyRevision").is_none());
    assert!(service.get("trafficStatuses").is_none());
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_FAILED");
    assert_eq!(
        service["terminalCondition"]["revisionReason"],
        "HEALTH_CHECK_CONTAINER_ERROR"
    );
    assert!(service["uri"].is_string());
    // At the revision the same text has no prefix.
    let revision = scene.revision("hello-a");
    let ready = &revision["conditions"][0];
    assert_eq!(ready["state"], "CONDITION_FAILED");
    assert!(
        ready["message"]
            .as_str()
            .expect("a text")
            .starts_with("The user-provided")
    );
    assert!(!revision["conditions"].to_string().contains("\"Active\""));
}

#[test]
fn a_failing_revision_leaves_latest_traffic_on_the_old_one() {
    let mut scene = Scene::new();
    let written = scene.create(service("hello-a")).expect("created");
    scene.settle(written, Ok(()));
    let before = scene.service();
    let written = scene.patch("template", json!({"template": {"revision": "hello-b", "timeout": "9s", "containers": [{"image": IMAGE}]}})).expect("accepted");
    let operation = scene.settle(written, Err("crash"));
    assert_eq!(operation["error"]["code"], 9);
    let after = scene.service();
    assert_eq!(short(&after["latestReadyRevision"]), "hello-a");
    assert_eq!(short(&after["latestCreatedRevision"]), "hello-b");
    assert_eq!(after["trafficStatuses"], before["trafficStatuses"]);
    assert_eq!(after["observedGeneration"], "1");
    assert_eq!(after["generation"], "2");
    for condition in after["conditions"].as_array().expect("a list") {
        assert_eq!(condition["state"], "CONDITION_FAILED", "{condition}");
    }
}

#[test]
fn with_pinned_traffic_a_failing_revision_breaks_only_the_configuration() {
    let mut scene = Scene::pinned();
    let mut body = service("hello-c");
    body["template"]["timeout"] = json!("7s");
    let written = scene.patch("template", body).expect("accepted");
    let operation = scene.settle(written, Err("crash"));
    assert_eq!(operation["error"]["code"], 9);
    let service = scene.service();
    assert_eq!(service["trafficStatuses"][0]["revision"], "hello-a");
    let state = |index: usize| service["conditions"][index]["state"].clone();
    assert_eq!(state(0), "CONDITION_SUCCEEDED");
    assert_eq!(state(1), "CONDITION_FAILED");
}

#[test]
fn a_candidate_at_zero_percent_has_an_address_and_retires_without() {
    let mut scene = Scene::pinned();
    let mut body = service("hello-b");
    body["traffic"] = json!([
        {"type": REVISION, "revision": "hello-a", "percent": 100},
        {"type": REVISION, "revision": "hello-b", "tag": "c-1"},
    ]);
    let written = scene.patch("template,traffic", body).expect("accepted");
    assert!(scene.settle(written, Ok(()))["error"].is_null());
    let service = scene.service();
    assert_eq!(
        service["trafficStatuses"][1],
        json!({"type": REVISION, "revision": "hello-b", "tag": "c-1", "uri": "http://c-1.hello"})
    );
    assert!(
        scene.revision("hello-b")["conditions"]
            .to_string()
            .contains("\"Active\"")
    );

    let written = scene
        .patch(
            "traffic",
            json!({"traffic": [{"type": REVISION, "revision": "hello-b", "percent": 100}]}),
        )
        .expect("accepted");
    assert!(scene.settle(written, Ok(()))["error"].is_null());
    let retired = scene.revision("hello-a");
    assert_eq!(retired["conditions"][0]["state"], "CONDITION_SUCCEEDED");
    assert_eq!(retired["conditions"][0]["revisionReason"], "RETIRED");
    let active = &retired["conditions"][1];
    assert_eq!(
        (&active["type"], &active["severity"]),
        (&json!("Active"), &json!("INFO"))
    );
    assert_eq!(active["message"], "Revision retired.");
}

#[test]
fn only_a_changed_template_makes_a_revision() {
    let mut scene = Scene::pinned();
    let count = |scene: &Scene| scene.state.services[&scene.key].revisions.len();
    let etag = scene.service()["etag"].clone();
    for (mask, body) in [
        ("annotations", json!({"annotations": {"a": "b"}})),
        ("labels", json!({"labels": {"a": "b"}})),
        ("template", service("hello-a")),
        // A cleared name alone is no new configuration.
        ("template.revision", json!({})),
        ("invokerIamDisabled", json!({"invokerIamDisabled": true})),
    ] {
        let written = scene.patch(mask, body).expect(mask);
        assert!(scene.settle(written, Ok(()))["error"].is_null());
        assert_eq!(count(&scene), 1, "{mask}");
    }
    assert_ne!(scene.service()["etag"], etag);
    assert_eq!(scene.service()["annotations"], json!({"a": "b"}));
    let mut body = service("");
    body["template"]["timeout"] = json!("5s");
    let written = scene.patch("template", body).expect("accepted");
    scene.settle(written, Ok(()));
    assert_eq!(count(&scene), 2);
}

#[test]
fn a_revision_s_name_stands_for_one_configuration() {
    let mut scene = Scene::pinned();
    let mut other = service("hello-a");
    other["template"]["timeout"] = json!("5s");
    let refused = scene
        .patch("template", other.clone())
        .err()
        .expect("refused");
    assert_eq!(refused.0.code, 409);
    assert_eq!(refused.0.status, "ALREADY_EXISTS");
    assert_eq!(
        refused.0.message,
        "Revision named 'hello-a' with different configuration already exists."
    );
    // The service's own scaling counts when the stored template carries a name.
    let refused = scene.patch(
        "scaling.minInstanceCount",
        json!({"scaling": {"minInstanceCount": 1}}),
    );
    assert_eq!(refused.err().expect("refused").0.code, 409);
    // Another revision, then back to the first one's name and configuration: no new revision.
    other["template"]["revision"] = json!("hello-b");
    let written = scene.patch("template", other).expect("accepted");
    scene.settle(written, Ok(()));
    let written = scene
        .patch("template", service("hello-a"))
        .expect("accepted");
    assert!(written.work.as_ref().expect("work").new_revision.is_none());
    scene.settle(written, Ok(()));
    assert_eq!(short(&scene.service()["latestReadyRevision"]), "hello-a");
}

#[test]
fn a_stale_etag_is_a_conflict() {
    let mut scene = Scene::pinned();
    let stale = scene.service()["etag"].clone();
    let written = scene
        .patch("labels", json!({"labels": {"a": "b"}, "etag": stale}))
        .expect("the first write");
    scene.settle(written, Ok(()));
    let body = json!({"labels": {}, "etag": stale});
    let refused = scene.patch("labels", body).err().expect("refused");
    assert_eq!(
        (refused.0.code, refused.0.status.as_str()),
        (409, "ABORTED")
    );
    assert_eq!(
        refused.0.message,
        "Conflict for resource 'hello': version '1786872224000000' was specified but current version is '1786872226000000'."
    );
    let refused = scene.write(|state, context, key| {
        delete::delete_service(state, context, key, stale.as_str(), false)
    });
    assert_eq!(refused.err().expect("refused").0.code, 409);
}

#[test]
fn traffic_to_a_revision_that_is_not_there_or_not_ready_fails_the_operation() {
    let mut scene = Scene::pinned();
    let to = |revision: &str| json!({"traffic": [{"type": REVISION, "revision": revision, "percent": 100}]});
    let written = scene.patch("traffic", to("hello-x")).expect("accepted");
    let operation = scene.settle(written, Ok(()));
    assert_eq!(
        operation["error"]["message"],
        "Revision 'hello-x' does not exist or is deleted. Update all traffic to route to currently available revisions."
    );
    assert_eq!(scene.service()["trafficStatuses"][0]["revision"], "hello-a");
    // Asked for again, the old traffic is fine.
    let written = scene.patch("traffic", to("hello-a")).expect("accepted");
    assert!(scene.settle(written, Ok(()))["error"].is_null());
}

#[test]
fn after_a_failed_revision_traffic_moves_although_the_operation_reports_it() {
    let mut scene = Scene::pinned();
    let mut body = service("hello-b");
    body["template"]["timeout"] = json!("5s");
    body["traffic"] = json!([
        {"type": REVISION, "revision": "hello-a", "percent": 100},
        {"type": REVISION, "revision": "hello-b", "tag": "c"},
    ]);
    let written = scene.patch("template,traffic", body).expect("accepted");
    scene.settle(written, Err("crash"));
    assert_eq!(
        scene.service()["trafficStatuses"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    let only_a = json!({"traffic": [{"type": REVISION, "revision": "hello-a", "percent": 100}]});
    let written = scene.patch("traffic", only_a.clone()).expect("accepted");
    let operation = scene.settle(written, Ok(()));
    assert_eq!(operation["error"]["code"], 9);
    assert_eq!(scene.service()["trafficStatuses"], only_a["traffic"]);
    // With the old template back, all is well.
    let written = scene
        .patch("template", service("hello-a"))
        .expect("accepted");
    assert!(scene.settle(written, Ok(()))["error"].is_null());
    assert_eq!(
        scene.service()["terminalCondition"]["state"],
        "CONDITION_SUCCEEDED"
    );
}

#[test]
fn a_later_write_takes_over() {
    let mut scene = Scene::pinned();
    let mut body = service("hello-b");
    body["template"]["timeout"] = json!("5s");
    let first = scene.patch("template", body).expect("accepted");
    let second = scene
        .patch("labels", json!({"labels": {"a": "b"}}))
        .expect("accepted");
    let waiting = second.work.clone().expect("work");
    assert_eq!(settle::next(&mut scene.state, &waiting), Next::Wait);
    assert_eq!(scene.settle(first, Ok(()))["done"], true);
    assert_eq!(scene.service()["reconciling"], true);
    assert_eq!(scene.settle(second, Ok(()))["done"], true);
    assert_eq!(scene.service()["observedGeneration"], "3");
}

#[test]
fn deletes_answer_with_what_was_deleted() {
    let mut scene = Scene::pinned();
    let refused = scene.write(|state, context, key| {
        delete::delete_revision(state, context, key, "hello-a", None, false)
    });
    let refused = refused.err().expect("refused");
    assert_eq!(refused.0.status, "FAILED_PRECONDITION");
    assert_eq!(
        refused.0.message,
        "Revision \"hello-a\" cannot be directly deleted because it is actively serving."
    );
    let written = scene
        .write(|state, context, key| delete::delete_service(state, context, key, None, false))
        .expect("accepted");
    let work = written.work.expect("work");
    settle::finish_deleted(&mut scene.state, &work);
    let operation = view::operation(&scene.state, &scene.state.operations[&work.operation]);
    assert_eq!(
        operation["response"]["name"],
        "projects/demo/locations/us-central1/services/hello"
    );
    let gone = scene.state.service(&scene.key).expect_err("gone");
    assert_eq!(
        gone.0.message,
        "Resource 'hello' of kind 'SERVICE' in region 'us-central1' in project 'demo' does not exist."
    );
    let refused = scene.patch("", service("")).err().expect("refused");
    assert_eq!(refused.0.code, 404);
}

#[test]
fn validate_only_and_unknown_fields() {
    let mut scene = Scene::new();
    let written = scene
        .write(|state, context, key| {
            change::create(state, context, key, service(""), Reserved::default(), true)
        })
        .expect("valid");
    assert!(
        written.work.is_none()
            && scene.state.services.is_empty()
            && scene.state.operations.is_empty()
    );
    let mut body = service("");
    body["novel"] = json!({"kept": true});
    body["template"]["novel"] = json!(1);
    body["traffic"] = json!([{"type": 1, "percent": 100}]);
    let written = scene.create(body).expect("created");
    assert!(written.operation["metadata"].get("novel").is_none());
    let service = scene.service();
    assert_eq!(service["novel"], json!({"kept": true}));
    assert_eq!(service["template"]["novel"], 1);
    assert_eq!(service["traffic"][0]["type"], LATEST);
    let refused = scene.create(self::service("")).err().expect("refused");
    assert_eq!(
        (refused.0.status.as_str(), refused.0.message.as_str()),
        ("ALREADY_EXISTS", "Resource 'hello' already exists.")
    );
}
