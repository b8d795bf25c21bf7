//! The simulation bites: programs that lack one safety each, and the seed that shows it.

use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::name::RevisionName;
use delivery::outcome::Outcome;
use delivery::plan::{Action, Plan, Planned, Undo, Wanted, plan};
use delivery::snapshot::{Snapshot, StateSeen};
use delivery::state::{StateRecord, Timestamp};
use delivery::traffic::{Destination, TrafficSplit};
use ml_deploy::execute::CloudWriter;
use ml_deploy::gcp::run::{Change, Live, Pending, WriteError};
use serde_json::{Value, json};

use crate::cloud::{HttpRequest, STATE};
use crate::program::Program;
use crate::rollouts::rollout;
use crate::verifier::Blindness;

/// Seeds that each mutant is given.
const MOST_SEEDS: u64 = 2_000;
/// No invariant is hurt by them yet.
const OPEN: &[&str] = &["what a rollback leaves is not rejected"];

fn planned(wanted: &Wanted, snapshot: &Snapshot, change: impl FnOnce(&mut Plan)) -> Planned {
    let mut planned = plan(wanted, snapshot);
    if let Planned::Proceed(plan) = &mut planned {
        change(plan);
    }
    planned
}

fn traffic_of(action: &mut Action) -> Option<&mut TrafficSplit> {
    match action {
        Action::DeployCandidate { traffic, .. }
        | Action::TagRevision { traffic, .. }
        | Action::ShiftTraffic { traffic, .. } => Some(traffic),
        _ => None,
    }
}

fn state_of(action: &mut Action) -> Option<&mut StateRecord> {
    match action {
        Action::CreateService { state, .. }
        | Action::DeployCandidate { state, .. }
        | Action::TagRevision { state, .. }
        | Action::ShiftTraffic { state, .. } => Some(state),
        _ => None,
    }
}

fn undone(plan: &mut Plan, change: impl Fn(&mut TrafficSplit)) {
    for step in &mut plan.steps {
        if let Undo::Restore { traffic, .. } = &mut step.undo {
            change(traffic);
        }
    }
}

fn with_record(snapshot: &Snapshot, change: impl FnOnce(&mut StateRecord)) -> Snapshot {
    let mut snapshot = snapshot.clone();
    if let Some(service) = &mut snapshot.service
        && let StateSeen::Known(record) = &mut service.state
    {
        change(record);
    }
    snapshot
}

fn lease_ignored(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    let seen = with_record(snapshot, |record| {
        if let Some(intent) = &mut record.intent {
            intent.expires = Timestamp(0);
        }
    });
    plan(wanted, &seen)
}

fn dead_run_forgotten(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    let seen = with_record(snapshot, |record| record.intent = None);
    plan(wanted, &seen)
}

fn rejection_ignored(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    let wanted = Wanted {
        retry_rejected: true,
        ..wanted.clone()
    };
    plan(&wanted, snapshot)
}

fn foreign_tag_dropped(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        let ours = |split: &TrafficSplit| {
            let tags = split.tags().iter();
            let ours = tags.filter(|tag| tag.name.as_str().starts_with("c-"));
            split.with_tags(ours.cloned().collect())
        };
        for step in &mut plan.steps {
            if let Some(traffic) = traffic_of(&mut step.action) {
                *traffic = ours(traffic);
            }
        }
    })
}

fn undo_forgets_the_tag(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        let first = plan.steps.first_mut();
        let tag = first
            .and_then(|step| traffic_of(&mut step.action))
            .and_then(|traffic| traffic.tags().last().cloned());
        let candidate = Destination::Revision(plan.revision.clone());
        if let Some(tag) = tag.filter(|tag| tag.to == candidate) {
            undone(plan, |split| {
                *split = split.with_tag(tag.name.clone(), tag.to.clone());
            });
        }
    })
}

fn split_not_restored(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        undone(plan, |split| {
            let largest = split.shares().iter().max_by_key(|share| share.percent);
            if let Some(largest) = largest {
                *split = TrafficSplit::all_to(largest.to.clone(), split.tags().to_vec());
            }
        });
    })
}

fn access_not_restored(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        for step in &mut plan.steps {
            if let Undo::Restore { access, .. } = &mut step.undo {
                *access = None;
            }
        }
    })
}

fn no_confirm(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        plan.steps
            .retain(|step| !matches!(step.action, Action::Confirm { .. }));
    })
}

fn recorded_before_confirmed(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        let end = plan.steps.iter().find_map(|step| match &step.action {
            Action::Record { state } => Some(state.clone()),
            _ => None,
        });
        for step in &mut plan.steps {
            if let (Action::ShiftTraffic { state, .. }, Some(end)) = (&mut step.action, &end) {
                state.clone_from(end);
            }
        }
    })
}

fn intent_not_written(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        for step in &mut plan.steps {
            if let Some(state) = state_of(&mut step.action) {
                state.intent = None;
            }
        }
    })
}

fn left_not_rejected(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    planned(wanted, snapshot, |plan| {
        for step in &mut plan.steps {
            if let Action::Record { state } = &mut step.action {
                state.rejected.clear();
            }
        }
    })
}

fn no_etag(request: &mut HttpRequest) {
    if request.method == "PATCH"
        && let Some(body) = request.body.as_object_mut()
    {
        body.remove("etag");
    }
}

fn public_at_once(request: &mut HttpRequest) {
    if request.method == "POST" && request.path.ends_with("/services") {
        request.body["invokerIamDisabled"] = json!(true);
    }
}

fn is_template(request: &HttpRequest) -> bool {
    request.method == "PATCH" && request.body.get("template").is_some()
}

fn traffic_at_once(request: &mut HttpRequest) {
    if is_template(request) {
        request.body["traffic"] =
            json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]);
    }
}

/// Everything that is pinned follows LATEST instead.
fn no_pin(request: &mut HttpRequest) {
    let traffic = request
        .body
        .get_mut("traffic")
        .and_then(Value::as_array_mut);
    for entry in traffic.into_iter().flatten() {
        if entry["percent"] == 100
            && let Some(entry) = entry.as_object_mut()
        {
            entry.remove("revision");
            let latest = json!("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST");
            entry.insert("type".to_owned(), latest);
        }
    }
}

fn others_annotations_dropped(request: &mut HttpRequest) {
    if request.method == "PATCH"
        && let Some(annotations) = request.body["annotations"].as_object_mut()
    {
        annotations.retain(|key, _| key == STATE);
    }
}

/// Says that it went back, and did nothing.
struct NoUndo {
    inner: Box<dyn CloudWriter>,
    on_the_way_back: bool,
}

#[async_trait]
impl CloudWriter for NoUndo {
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        self.inner.begin(etag).await
    }

    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        if self.on_the_way_back {
            return Ok(Pending::default());
        }
        self.inner.send(change).await
    }

    async fn settle(&mut self, pending: &Pending) -> Result<Live, WriteError> {
        if self.on_the_way_back {
            let live = self.inner.read().await;
            let live = live.map_err(|problem| WriteError::Unknown(Box::new(problem)))?;
            return live.ok_or(WriteError::Conflict);
        }
        self.inner.settle(pending).await
    }

    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        self.on_the_way_back = true;
        self.inner.reload().await
    }

    async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        self.inner.read().await
    }

    fn propagation(&self) -> Duration {
        self.inner.propagation()
    }

    async fn log_lines(
        &self,
        revision: &RevisionName,
        count: u32,
    ) -> Result<Vec<String>, Diagnostic> {
        self.inner.log_lines(revision, count).await
    }
}

fn no_undo(inner: Box<dyn CloudWriter>) -> Box<dyn CloudWriter> {
    Box::new(NoUndo {
        inner,
        on_the_way_back: false,
    })
}

fn exit_5_hidden(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::RollbackFailed(problems) => Outcome::Stopped(problems),
        other => other,
    }
}

fn planner(planner: ml_deploy::deliver::Planner) -> Program {
    Program {
        planner,
        ..Program::real()
    }
}

fn bend(bend: crate::wire::Bend) -> Program {
    Program {
        bend: Some(bend),
        ..Program::real()
    }
}

fn blind(blindness: Blindness) -> Program {
    Program {
        blindness: Some(blindness),
        ..Program::real()
    }
}

/// Every mutant.
fn mutants() -> Vec<(&'static str, Program)> {
    vec![
        ("no etag", bend(no_etag)),
        (
            "no undo",
            Program {
                wrap: Some(no_undo),
                ..Program::real()
            },
        ),
        ("no pin", bend(no_pin)),
        ("no confirm", planner(no_confirm)),
        ("confirmed whatever answers", blind(Blindness::AnyIdentity)),
        ("no verify", blind(Blindness::PassesAll)),
        ("lease ignored", planner(lease_ignored)),
        ("undo of a dead run forgotten", planner(dead_run_forgotten)),
        ("foreign tag dropped", planner(foreign_tag_dropped)),
        (
            "annotations of others dropped",
            bend(others_annotations_dropped),
        ),
        ("first deploy public at once", bend(public_at_once)),
        ("candidate gets traffic at once", bend(traffic_at_once)),
        (
            "intent not written with its effect",
            planner(intent_not_written),
        ),
        ("rejected digest rolled forward", planner(rejection_ignored)),
        (
            "what a rollback leaves is not rejected",
            planner(left_not_rejected),
        ),
        ("undo forgets the tag", planner(undo_forgets_the_tag)),
        ("partial split not restored", planner(split_not_restored)),
        ("access not restored", planner(access_not_restored)),
        (
            "recorded before it is confirmed",
            planner(recorded_before_confirmed),
        ),
        (
            "exit 5 hidden",
            Program {
                tell: Some(exit_5_hidden),
                ..Program::real()
            },
        ),
    ]
}

#[test]
fn each_mutant_is_killed_by_a_seed() {
    let mut survivors = Vec::new();
    for (name, program) in mutants() {
        let killed = (1..=MOST_SEEDS).find_map(|seed| {
            let report = rollout(seed).play(program);
            let violation = report.violations.first()?.clone();
            // What the program itself does is no merit of the mutant's.
            let real = rollout(seed).play(Program::real());
            real.violations.is_empty().then_some((seed, violation))
        });
        match killed {
            Some((seed, violation)) => println!(
                "{name} → seed {seed} → {:?}: {}",
                violation.invariant, violation.text
            ),
            None if OPEN.contains(&name) => println!("{name} → survives"),
            None => survivors.push(name),
        }
    }
    assert!(
        survivors.is_empty(),
        "not killed within {MOST_SEEDS} seeds: {survivors:?}"
    );
}
