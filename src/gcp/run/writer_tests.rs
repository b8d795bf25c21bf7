use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delivery::name::{EnvironmentName, ProjectId, Region, ServiceName};
use delivery::snapshot::StateSeen;
use delivery::state::StateRecord;
use delivery::target::{Approval, Environment, Tier};
use delivery::traffic::{Destination, TrafficSplit};
use serde_json::json;

use super::*;
use crate::gcp::api::Api;
use crate::gcp::auth::TokenSource;
use crate::gcp::endpoint::Endpoints;
use crate::gcp::testing::{Answer, Seen, TestServer, quick_transport};
use crate::secret::Secret;

const SERVICE: &str = "/v2/projects/demo-project/locations/us-central1/services/api";
const OPERATION: &str = "projects/demo-project/locations/us-central1/operations/1";

struct FixedToken;

#[async_trait]
impl TokenSource for FixedToken {
    async fn access_token(&self) -> Result<Secret, Diagnostic> {
        Ok(Secret::new("token"))
    }
    async fn id_token(&self, _audience: &str) -> Result<Secret, Diagnostic> {
        Ok(Secret::new("token"))
    }
    fn describe(&self) -> String {
        "a test".to_owned()
    }
}

fn target() -> Target {
    Target {
        environment: Environment {
            name: EnvironmentName::parse("test").unwrap(),
            github_environment: "test".to_owned(),
            tier: Tier::Preproduction,
            approval: Approval::None,
        },
        project: ProjectId::parse("demo-project").unwrap(),
        region: Region::parse("us-central1").unwrap(),
        service: ServiceName::parse("api").unwrap(),
    }
}

/// A service that takes PATCHes; faults are put in by path.
struct World {
    service: Value,
    /// Line of a request → answers that come first.
    first: Vec<(String, u16, Value)>,
    /// A PATCH takes effect although its answer is taken from `first`.
    applies: bool,
    policy: Value,
}

impl World {
    fn new() -> Self {
        Self {
            service: json!({
                "name": &SERVICE[4..], "etag": "e1", "generation": "1", "observedGeneration": "1",
                "uri": "http://api",
                "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
                    "revision": "api-1", "percent": 100}],
                "trafficStatuses": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
                    "revision": "api-1", "percent": 100}],
                "latestReadyRevision": "x/api-2",
                "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"}
            }),
            first: Vec::new(),
            applies: false,
            policy: json!({"etag": "ACAB"}),
        }
    }

    fn patch(&mut self, body: &Value) {
        for key in ["traffic", "annotations", "invokerIamDisabled"] {
            if let Some(field) = body.get(key) {
                self.service[key] = field.clone();
            }
        }
        self.service["trafficStatuses"] = self.service["traffic"].clone();
        let next = self.service["generation"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            + 1;
        for key in ["generation", "observedGeneration"] {
            self.service[key] = json!(next.to_string());
        }
        self.service["etag"] = json!(format!("e{next}"));
    }

    fn answer(&mut self, request: &Seen) -> Answer {
        let line = request.line();
        let planned = self.first.iter().position(|(wanted, _, _)| *wanted == line);
        if let Some(index) = planned {
            let (_, status, body) = self.first.remove(index);
            if self.applies && request.method == "PATCH" {
                self.patch(&request.json());
            }
            return Answer::json(status, &body);
        }
        if request.path.ends_with(":getIamPolicy") || request.path.ends_with(":setIamPolicy") {
            if request.method == "POST" {
                self.policy = request.json()["policy"].clone();
            }
            return Answer::json(200, &self.policy);
        }
        if request.path.contains("/operations/") {
            return Answer::json(200, &json!({"name": OPERATION, "done": true}));
        }
        if request.method == "PATCH" {
            if request.json()["etag"] != self.service["etag"] {
                return conflict();
            }
            self.patch(&request.json());
            return Answer::json(
                200,
                &json!({"name": OPERATION, "metadata": {"generation": self.service["generation"]}}),
            );
        }
        Answer::json(200, &self.service)
    }
}

fn conflict() -> Answer {
    let message =
        "Conflict for resource 'api': version '1' was specified but current version is '2'.";
    Answer::json(
        409,
        &json!({"error": {"code": 409, "status": "ABORTED", "message": message}}),
    )
}

fn error(code: u16) -> Value {
    json!({"error": {"code": code, "message": "told to"}})
}

async fn start(world: World) -> (TestServer, Arc<Mutex<World>>, RunWriter) {
    let world = Arc::new(Mutex::new(world));
    let shared = Arc::clone(&world);
    let server = TestServer::start(move |seen, _| shared.lock().unwrap().answer(seen)).await;
    let endpoints = Endpoints::local(&server.base).unwrap();
    let api = Api::new(quick_transport().0, endpoints, Arc::new(FixedToken));
    let writer = RunWriter::new(RunReader::new(api), target());
    (server, world, writer)
}

fn shift() -> TrafficSplit {
    let to = delivery::name::RevisionName::parse("api-2").unwrap();
    TrafficSplit::all_to(Destination::Revision(to), Vec::new())
}

fn change<'a>(traffic: &'a TrafficSplit, state: &'a StateRecord) -> Change<'a> {
    Change {
        create: false,
        revision: None,
        expects: None,
        traffic: Some(traffic),
        state,
        access: None,
    }
}

async fn write(writer: &mut RunWriter, change: &Change<'_>) -> Result<Live, WriteError> {
    let pending = writer.send(change).await?;
    writer.settle(&pending).await
}

#[tokio::test]
async fn writes_are_chained_by_etag_and_wait_first() {
    let (server, _, mut writer) = start(World::new()).await;
    let (split, state) = (shift(), StateRecord::default());
    writer.begin(Some("e1")).await.unwrap();
    let live = write(&mut writer, &change(&split, &state)).await.unwrap();
    assert_eq!(live.traffic, split);
    assert_eq!(live.state, StateSeen::Known(state.clone()));
    write(&mut writer, &change(&split, &state)).await.unwrap();
    let wait = format!("POST /v2/{OPERATION}:wait");
    assert_eq!(
        server.lines()[..4],
        [
            format!("GET {SERVICE}"),
            format!("PATCH {SERVICE}"),
            wait,
            format!("GET {SERVICE}")
        ]
    );
    let seen = server.seen();
    assert_eq!(seen[1].query, "updateMask=annotations%2Ctraffic");
    assert_eq!(seen[1].json()["etag"], "e1");
    assert_eq!(seen[1].authorization, "Bearer token");
    assert_eq!(seen[4].json()["etag"], "e2");
}

#[tokio::test]
async fn operations_that_may_not_be_read_are_done_without() {
    for status in [404, 403, 501] {
        let mut world = World::new();
        world.first = vec![
            (format!("POST /v2/{OPERATION}:wait"), status, error(status)),
            (format!("GET /v2/{OPERATION}"), 403, error(403)),
        ];
        let (server, _, mut writer) = start(world).await;
        let (split, state) = (shift(), StateRecord::default());
        writer.begin(Some("e1")).await.unwrap();
        write(&mut writer, &change(&split, &state)).await.unwrap();
        let last = server.lines().pop().unwrap();
        assert_eq!(last, format!("GET {SERVICE}"), "{status}");
    }
}

#[tokio::test]
async fn a_strangers_write_is_a_conflict() {
    let (_server, world, mut writer) = start(World::new()).await;
    let (split, state) = (shift(), StateRecord::default());
    assert!(matches!(
        writer.begin(Some("e0")).await,
        Err(WriteError::Conflict)
    ));
    assert!(matches!(
        writer.begin(None).await,
        Err(WriteError::Conflict)
    ));
    writer.begin(Some("e1")).await.unwrap();
    world.lock().unwrap().service["etag"] = json!("e9");
    let refused = write(&mut writer, &change(&split, &state)).await;
    assert!(matches!(refused, Err(WriteError::Conflict)), "{refused:?}");
}

#[tokio::test]
async fn a_write_after_ours_is_a_conflict_too() {
    let (_server, world, mut writer) = start(World::new()).await;
    let (split, state) = (shift(), StateRecord::default());
    writer.begin(Some("e1")).await.unwrap();
    let pending = writer.send(&change(&split, &state)).await.unwrap();
    let stranger = json!({"traffic": [], "annotations": {}});
    world.lock().unwrap().patch(&stranger);
    let settled = writer.settle(&pending).await;
    assert!(matches!(settled, Err(WriteError::Conflict)), "{settled:?}");
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    for applies in [true, false] {
        let mut world = World::new();
        world.first = vec![(format!("PATCH {SERVICE}"), 503, error(503))];
        world.applies = applies;
        let (server, _, mut writer) = start(world).await;
        let (split, state) = (shift(), StateRecord::default());
        writer.begin(Some("e1")).await.unwrap();
        let live = write(&mut writer, &change(&split, &state)).await.unwrap();
        assert_eq!(live.traffic, split);
        let patch = format!("PATCH {SERVICE}");
        let patches = server.lines().iter().filter(|line| **line == patch).count();
        assert_eq!(patches, if applies { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_rollout_that_fails_gives_the_clouds_text() {
    let mut world = World::new();
    let text = "Revision 'api-2' does not exist or is deleted.";
    world.first = vec![(
        format!("POST /v2/{OPERATION}:wait"),
        200,
        json!({"name": OPERATION, "done": true, "error": {"code": 13, "message": text}}),
    )];
    let (_server, world, mut writer) = start(world).await;
    let (split, state) = (shift(), StateRecord::default());
    writer.begin(Some("e1")).await.unwrap();
    let pending = writer.send(&change(&split, &state)).await.unwrap();
    world.lock().unwrap().service["trafficStatuses"] =
        json!([{"revision": "api-1", "percent": 100}]);
    let failed = writer.settle(&pending).await;
    let Err(WriteError::Failed(diagnostic)) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(diagnostic.cause[0], text);
    assert!(!diagnostic.help.is_empty());
}

#[tokio::test]
async fn closing_removes_everybody_from_the_callers_once() {
    let mut world = World::new();
    world.policy = json!({"etag": "ACAB", "bindings": [
        {"role": "roles/run.invoker", "members": ["allUsers"]}]});
    let (server, world, mut writer) = start(world).await;
    let (split, state) = (shift(), StateRecord::default());
    writer.begin(Some("e1")).await.unwrap();
    let closing = Change {
        access: Some(Access::Private),
        ..change(&split, &state)
    };
    write(&mut writer, &closing).await.unwrap();
    write(&mut writer, &closing).await.unwrap();
    assert_eq!(world.lock().unwrap().policy, json!({"etag": "ACAB"}));
    let lines = server.lines();
    assert_eq!(lines[1], format!("GET {SERVICE}:getIamPolicy"));
    assert_eq!(lines[2], format!("POST {SERVICE}:setIamPolicy"));
    assert_eq!(lines[3], format!("PATCH {SERVICE}"));
    let policies = lines.iter().filter(|line| line.ends_with("IamPolicy"));
    assert_eq!(policies.count(), 2);
}

#[tokio::test]
async fn a_write_that_is_refused_leaves_the_callers_as_they_were() {
    let mut world = World::new();
    let open = json!({"etag": "ACAB", "bindings": [
        {"role": "roles/run.invoker", "members": ["allUsers"]}]});
    world.policy = open.clone();
    let refusal = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}});
    world.first = vec![(format!("PATCH {SERVICE}"), 403, refusal)];
    let (_server, world, mut writer) = start(world).await;
    let (split, state) = (shift(), StateRecord::default());
    writer.begin(Some("e1")).await.unwrap();
    let closing = Change {
        access: Some(Access::Private),
        ..change(&split, &state)
    };
    assert!(matches!(
        writer.send(&closing).await,
        Err(WriteError::Failed(_))
    ));
    assert_eq!(world.lock().unwrap().policy, open);
    // Nothing is taken for closed that is not.
    write(&mut writer, &closing).await.unwrap();
    assert_eq!(world.lock().unwrap().policy, json!({"etag": "ACAB"}));
}

#[tokio::test]
async fn a_service_that_stays_closed_after_a_refused_write_is_left_to_the_undo() {
    let mut world = World::new();
    world.policy = json!({"etag": "ACAB", "bindings": [
        {"role": "roles/run.invoker", "members": ["allUsers"]}]});
    let set = format!("POST {SERVICE}:setIamPolicy");
    world.first = vec![
        (format!("PATCH {SERVICE}"), 403, error(403)),
        (set.clone(), 200, json!({"etag": "ACAC"})),
        (set, 403, error(403)),
    ];
    let (_server, _world, mut writer) = start(world).await;
    let (split, state) = (shift(), StateRecord::default());
    writer.begin(Some("e1")).await.unwrap();
    let closing = Change {
        access: Some(Access::Private),
        ..change(&split, &state)
    };
    let Err(WriteError::Unknown(problem)) = writer.send(&closing).await else {
        panic!("its own undo is due");
    };
    let last = problem.cause.last().unwrap();
    assert!(last.contains("could not be put back"), "{problem:?}");
}

#[tokio::test]
async fn what_was_seen_for_the_plan_is_not_read_again() {
    let (server, world, writer) = start(World::new()).await;
    let service = serde_json::from_value(world.lock().unwrap().service.clone()).unwrap();
    let mut writer = RunWriter::upon(writer.reader().clone(), target(), Some(service));
    assert!(matches!(
        writer.begin(Some("e0")).await,
        Err(WriteError::Conflict)
    ));
    assert!(server.lines().is_empty());
}
