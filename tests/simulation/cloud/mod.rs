//! A compact model of one Cloud Run service, written from Google's documentation and from answers
//! that were seen, not from this program: it shares no code with the planner.
//!
//! | module | holds |
//! |---|---|
//! | `reconcile` | what happens by itself: revisions become ready, routes follow |
//! | `api` | the v2 Admin API: paths, permissions, reads |
//! | `write` | create, patch, policy |
//! | `render` | the model as JSON |
//! | `data_plane` | who answers at an address |

mod api;
mod data_plane;
mod reconcile;
mod render;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

pub(crate) use api::{HttpAnswer, HttpRequest, error};
pub(crate) use data_plane::Reply;
pub(crate) use reconcile::Event;

/// Host of the service's address.
pub(crate) const HOST: &str = "api-4x7k2m9q1z-uc.a.run.app";
/// Full name of the service.
pub(crate) const SERVICE: &str = "projects/demo-project/locations/us-central1/services/api";
/// Annotation that holds what the program remembers.
pub(crate) const STATE: &str = "ml-deploy/state";

/// Percent of each revision.
pub(crate) type Split = BTreeMap<String, u32>;

/// How a container of an image behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Good,
    /// Answers, but wrongly.
    Bad,
    /// Never becomes ready.
    Crashes,
    /// Becomes ready, and answers only much later.
    SlowToAnswer,
    /// Passes its tests, then answers nothing once it serves everything.
    FailsWhenServing,
    /// Passes its tests, and is slow as soon as it has a share of the traffic.
    Degrades,
}

/// Where a share or tag leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    Latest,
    Revision(String),
}

/// One entry of the wanted traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) to: To,
    pub(crate) percent: u32,
    pub(crate) tag: Option<String>,
}

/// One entry of the traffic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) revision: String,
    pub(crate) percent: u32,
    pub(crate) tag: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    Pending,
    Ready,
    Failed(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) name: String,
    pub(crate) template: Value,
    pub(crate) created: Duration,
    pub(crate) ready_since: Option<Duration>,
    pub(crate) readiness: Readiness,
}

impl Revision {
    /// The digest of its image.
    pub(crate) fn digest(&self) -> &str {
        let image = self.template.pointer("/containers/0/image");
        let image = image.and_then(Value::as_str).unwrap_or_default();
        image.rsplit_once('@').map_or(image, |(_, digest)| digest)
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let env = self.template.pointer("/containers/0/env")?.as_array()?;
        let one = env.iter().find(|one| one["name"] == name)?;
        one["value"].as_str()
    }
}

/// How the last change stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Reconciling,
    Succeeded,
    Failed(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) generation: u64,
    pub(crate) observed: u64,
    pub(crate) etag: u64,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) template: Value,
    pub(crate) traffic: Vec<Target>,
    pub(crate) invoker_iam_disabled: bool,
    /// Fields that nobody here writes.
    pub(crate) others: Map<String, Value>,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) latest_created: Option<String>,
    pub(crate) latest_ready: Option<String>,
    /// As the API tells it.
    pub(crate) shown: Vec<Entry>,
    /// As callers meet it.
    pub(crate) routed: Vec<Entry>,
    /// What both of them become.
    pub(crate) programmed: Vec<Entry>,
    /// Numbers of the last events that changed them.
    pub(crate) shown_by: u64,
    pub(crate) routed_by: u64,
    pub(crate) condition: Condition,
    /// When it was written last, and when the condition changed last.
    pub(crate) updated: Duration,
    pub(crate) ended: Duration,
    pub(crate) bindings: Vec<(String, Vec<String>)>,
    pub(crate) policy_etag: u64,
}

impl Service {
    /// True when anybody may call.
    pub(crate) fn is_public(&self) -> bool {
        let everybody = |(role, members): &(String, Vec<String>)| {
            role == "roles/run.invoker" && members.iter().any(|one| one == "allUsers")
        };
        self.invoker_iam_disabled || self.bindings.iter().any(everybody)
    }

    pub(crate) fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().find(|one| one.name == name)
    }

    /// What the program remembers, as JSON.
    pub(crate) fn record(&self) -> Value {
        let text = self.annotations.get(STATE);
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null)
    }

    /// What is wanted and remembered, for the trace.
    pub(crate) fn in_words(&self) -> String {
        let record = self.record();
        let text = |path: &str| record.pointer(path).and_then(Value::as_str);
        let names = |list: &str, more: &str| -> Vec<String> {
            let entries = record[list].as_array().cloned().unwrap_or_default();
            let one = |entry: &Value| {
                let name = entry["revision"].as_str().unwrap_or_default();
                format!("{name} {}", entry[more])
            };
            entries.iter().map(one).collect()
        };
        let intent = match (text("/intent/run"), text("/intent/revision")) {
            (Some(run), Some(name)) => {
                let passed = record.pointer("/intent/passed").map(Value::to_string);
                format!("{run} brings {name}, passed: {passed:?}")
            }
            _ => "none".to_owned(),
        };
        let tags = self.traffic.iter().filter_map(|one| one.tag.as_deref());
        format!(
            "wanted {:?}{}, tags {:?}, intent {intent}, healthy {:?}, rejected {:?}",
            self.wanted(),
            if self.is_public() { ", public" } else { "" },
            tags.collect::<Vec<_>>(),
            names("healthy", "at"),
            names("rejected", "kind"),
        )
    }

    /// The wanted shares, LATEST as the latest ready revision.
    pub(crate) fn wanted(&self) -> Split {
        let mut split = Split::new();
        for target in self.traffic.iter().filter(|one| one.percent > 0) {
            let name = match &target.to {
                To::Latest => self.latest_ready.clone().unwrap_or_default(),
                To::Revision(name) => name.clone(),
            };
            *split.entry(name).or_default() += target.percent;
        }
        split
    }
}

/// Shares of entries.
pub(crate) fn shares(entries: &[Entry]) -> Split {
    let mut split = Split::new();
    for entry in entries.iter().filter(|one| one.percent > 0) {
        *split.entry(entry.revision.clone()).or_default() += entry.percent;
    }
    split
}

/// How operations can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operations {
    Honest,
    /// They never end, although the service does.
    NeverEnd,
    /// The caller may not read them.
    Forbidden,
    /// The server does not hold `:wait`, and answers at once.
    Impatient,
}

/// How quick the cloud is, and what is peculiar about it.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// From a revision's making to its readiness.
    pub(crate) ready: Duration,
    /// From there, or from a write, to the new route.
    pub(crate) route: Duration,
    /// How long the API goes on telling the old split.
    pub(crate) show_lag: Duration,
    /// How long callers go on meeting the old split.
    pub(crate) route_lag: Duration,
    pub(crate) operations: Operations,
    /// Whether a failed change counts as observed.
    pub(crate) observes_failures: bool,
    /// Revisions in one page.
    pub(crate) page: usize,
    /// The generation whose change never comes to an end, if any.
    pub(crate) stuck: Option<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ready: Duration::from_millis(3_000),
            route: Duration::from_millis(400),
            show_lag: Duration::ZERO,
            route_lag: Duration::from_millis(1_500),
            operations: Operations::Honest,
            observes_failures: false,
            page: 3,
            stuck: None,
        }
    }
}

/// A running change.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) generation: u64,
    /// `Some` when it has ended, with the text of its error.
    pub(crate) ended: Option<Result<(), String>>,
}

/// One service and all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    pub(crate) now: Duration,
    pub(crate) service: Option<Service>,
    pub(crate) operations: BTreeMap<String, Operation>,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    pub(crate) pace: Pace,
}

impl Cloud {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            now: Duration::ZERO,
            service: None,
            operations: BTreeMap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            behaviours: BTreeMap::new(),
            pace,
        }
    }

    pub(crate) fn behaviour(&self, revision: &Revision) -> Behaviour {
        let known = self.behaviours.get(revision.digest());
        known.copied().unwrap_or(Behaviour::Good)
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}
