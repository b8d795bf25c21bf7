//! Each ending: a fault at each step, cancel, deadline, conflict, and a way back that fails.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::Code;
use delivery::event::Event;
use delivery::name::{EnvironmentName, ProjectId, Region, RevisionName, ServiceName, TagName};
use delivery::plan::{Action, Address, NewRevision, Plan, Step, Undo};
use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::snapshot::{ServiceCondition, Serving, StateSeen};
use delivery::spec::{Access, ServiceSpec};
use delivery::state::{OpenIntent, RevisionRecord, RunRef, StateRecord, Timestamp};
use delivery::target::{Approval, Environment, Target, Tier};
use delivery::traffic::{Destination, TrafficSplit};
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::gcp::run::{Change, Pending};
use crate::gcp::testing::EventList;

const OLD: &str = "api-v1";
const NEW: &str = "api-v2";

mod endings;
mod interruptions;

fn revision(name: &str) -> RevisionName {
    RevisionName::parse(name).unwrap()
}

fn commit() -> Commit {
    Commit::parse("c".repeat(40)).unwrap()
}

fn tag() -> TagName {
    TagName::parse("c-1").unwrap()
}

fn all_to(name: &str) -> TrafficSplit {
    TrafficSplit::all_to(Destination::Revision(revision(name)), Vec::new())
}

fn record() -> RevisionRecord {
    RevisionRecord {
        revision: revision(NEW),
        digest: ImageDigest::parse(format!("sha256:{}", "d".repeat(64))).unwrap(),
        config: ServiceSpec::default().hash(),
        attempt: 1,
        version: None,
        commit: commit(),
    }
}

fn run_ref() -> RunRef {
    RunRef("7/1".to_owned())
}

fn under_way() -> StateRecord {
    StateRecord::default().with_intent(OpenIntent {
        run: run_ref(),
        revision: revision(NEW),
        tag: tag(),
        undo: Some(all_to(OLD)),
        expires: Timestamp(1),
    })
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

fn new_revision() -> Box<NewRevision> {
    Box::new(NewRevision {
        record: record(),
        release: Release {
            image: ImageReference {
                repository: "us-docker.pkg.dev/p/r/api".to_owned(),
                digest: record().digest,
            },
            commit: commit(),
            version: None,
        },
        spec: ServiceSpec::default(),
    })
}

/// deploy-candidate, verify, shift-traffic, confirm, record.
fn promotion() -> Plan {
    let undo = Undo::Restore {
        traffic: all_to(OLD),
        state: StateRecord::default(),
        rejects: Some(record()),
        access: None,
    };
    let step = |action| Step {
        action,
        because: "it is a test".to_owned(),
        undo: undo.clone(),
    };
    Plan {
        target: target(),
        etag: Some("0".to_owned()),
        revision: revision(NEW),
        before: "api-v1 serves 100 %".to_owned(),
        steps: vec![
            step(Action::DeployCandidate {
                revision: new_revision(),
                traffic: all_to(OLD).with_tag(tag(), Destination::Revision(revision(NEW))),
                state: under_way(),
                access: None,
            }),
            step(Action::Verify {
                revision: revision(NEW),
                address: Address::Tag(tag()),
                commit: Some(commit()),
            }),
            step(Action::ShiftTraffic {
                revision: revision(NEW),
                traffic: all_to(NEW),
                state: under_way(),
                access: None,
            }),
            step(Action::Confirm {
                revision: revision(NEW),
                commit: Some(commit()),
            }),
            step(Action::Record {
                state: StateRecord::default()
                    .recorded_healthy(record().healthy(Timestamp(1), run_ref())),
            }),
        ],
        warnings: Vec::new(),
    }
}

/// create-service, verify, shift-traffic (opens).
fn first_deploy() -> Plan {
    let undo = Undo::KeepClosed {
        state: StateRecord::default(),
        rejects: Some(record()),
    };
    let step = |action| Step {
        action,
        because: "it is a test".to_owned(),
        undo: undo.clone(),
    };
    Plan {
        etag: None,
        before: "nothing serves".to_owned(),
        steps: vec![
            step(Action::CreateService {
                revision: new_revision(),
                state: under_way(),
            }),
            step(Action::Verify {
                revision: revision(NEW),
                address: Address::Service,
                commit: Some(commit()),
            }),
            step(Action::ShiftTraffic {
                revision: revision(NEW),
                traffic: all_to(NEW),
                state: under_way(),
                access: Some(Access::Public),
            }),
        ],
        ..promotion()
    }
}

/// What a call of the fake does instead of going well.
enum Fault {
    Send(WriteError),
    /// The write takes effect in the cloud, but the answer is this.
    SendAfter(WriteError),
    SendSlowly(Duration),
    Settle(WriteError),
    SettleNever,
}

/// A service in memory.
struct FakeCloud {
    live: Option<Live>,
    /// Taken one at each write; `None` goes well.
    faults: VecDeque<Option<Fault>>,
    settle: Option<Fault>,
    writes: Vec<String>,
    version: u32,
    logs: Vec<String>,
    reload_fails: bool,
}

impl FakeCloud {
    fn new(exists: bool) -> Self {
        let mut cloud = Self {
            live: None,
            faults: VecDeque::new(),
            settle: None,
            writes: Vec::new(),
            version: 0,
            logs: vec!["Traceback: boom".to_owned()],
            reload_fails: false,
        };
        if exists {
            cloud.put(all_to(OLD), StateSeen::Absent);
        }
        cloud
    }

    fn with(exists: bool, faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        let mut cloud = Self::new(exists);
        cloud.faults.extend(faults);
        cloud
    }

    fn put(&mut self, traffic: TrafficSplit, state: StateSeen) {
        let resolve = |to: &Destination| match to {
            Destination::Latest => revision(NEW),
            Destination::Revision(name) => name.clone(),
        };
        let shares = traffic.shares().iter().map(|share| Serving {
            revision: resolve(&share.to),
            percent: share.percent,
            tag: None,
            uri: None,
        });
        let tags = traffic.tags().iter().map(|tag| Serving {
            revision: resolve(&tag.to),
            percent: 0,
            tag: Some(tag.name.clone()),
            uri: Some(format!("http://{}---api", tag.name)),
        });
        self.live = Some(Live {
            etag: self.version.to_string(),
            uri: Some("http://api".to_owned()),
            serving: shares.chain(tags).collect(),
            traffic,
            condition: ServiceCondition::Ready,
            latest_ready: Some(revision(NEW)),
            latest_created: Some(revision(NEW)),
            invoker_check_off: false,
            state,
        });
    }

    fn apply(&mut self, change: &Change<'_>) {
        self.version += 1;
        let before = self.live.as_ref().map(|live| live.traffic.clone());
        let latest = TrafficSplit::all_to(Destination::Latest, Vec::new());
        let traffic = change.traffic.cloned().or(before).unwrap_or(latest);
        self.put(traffic, StateSeen::Known(change.state.clone()));
    }

    fn state(&self) -> StateRecord {
        match &self.live.as_ref().unwrap().state {
            StateSeen::Known(record) => record.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn traffic(&self) -> &TrafficSplit {
        &self.live.as_ref().unwrap().traffic
    }
}

#[async_trait]
impl CloudWriter for FakeCloud {
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        let live = self.live.clone();
        if live.as_ref().map(|live| live.etag.as_str()) == etag {
            Ok(live)
        } else {
            Err(WriteError::Conflict)
        }
    }

    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        let kind = match (change.create, change.revision, change.traffic) {
            (true, _, _) => "create",
            (_, Some(_), _) => "deploy",
            (_, None, Some(split)) if split.shares() == all_to(OLD).shares() => "traffic old",
            (_, None, Some(_)) => "traffic new",
            (_, None, None) => "record",
        };
        let access = change.access.map_or("", |access| match access {
            Access::Public => " open",
            Access::Private => " closed",
        });
        self.writes.push(format!("{kind}{access}"));
        match self.faults.pop_front().flatten() {
            Some(Fault::Send(error)) => return Err(error),
            Some(Fault::SendAfter(error)) => {
                self.apply(change);
                return Err(error);
            }
            Some(Fault::SendSlowly(time)) => tokio::time::sleep(time).await,
            settle => self.settle = settle,
        }
        self.apply(change);
        Ok(Pending::default())
    }

    async fn settle(&mut self, _pending: &Pending) -> Result<Live, WriteError> {
        match self.settle.take() {
            Some(Fault::Settle(error)) => Err(error),
            Some(Fault::SettleNever) => std::future::pending().await,
            _ => Ok(self.live.clone().unwrap()),
        }
    }

    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        if self.reload_fails {
            return Err(Diagnostic::error(Code::CloudFailed, "the API is gone"));
        }
        self.read().await
    }

    async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        Ok(self.live.clone())
    }

    async fn log_lines(
        &self,
        _revision: &RevisionName,
        _count: u32,
    ) -> Result<Vec<String>, Diagnostic> {
        Ok(self.logs.clone())
    }
}

/// Answers as told.
struct FakeVerifier {
    end: CaseEnd,
    commits: Mutex<VecDeque<Option<String>>>,
    asked: Mutex<Vec<String>>,
    hangs: bool,
}

impl Default for FakeVerifier {
    fn default() -> Self {
        Self {
            end: CaseEnd::Passed,
            commits: Mutex::default(),
            asked: Mutex::default(),
            hangs: false,
        }
    }
}

#[async_trait]
impl Verifier for FakeVerifier {
    async fn verify(
        &self,
        base_url: &str,
        audience: Option<&str>,
        _commit: Option<&Commit>,
    ) -> Evidence {
        let asked = format!("{base_url} for {}", audience.unwrap_or("nobody"));
        self.asked.lock().unwrap().push(asked);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Evidence {
            gate: "api-tests".to_owned(),
            cases: vec![CaseResult {
                name: "predict".to_owned(),
                end: self.end.clone(),
                millis: 1,
            }],
        }
    }

    async fn identity(&self, _base_url: &str, _audience: Option<&str>) -> Option<Identity> {
        let mut commits = self.commits.lock().unwrap();
        let next = commits.pop_front();
        let commit = next.unwrap_or_else(|| Some(commit().to_string()))?;
        Some(Identity {
            commit,
            version: None,
        })
    }
}

fn guard() -> Guard {
    Guard {
        confirm_grace: Duration::from_millis(400),
        ..Guard::new(
            CancellationToken::new(),
            Instant::now() + Duration::from_secs(60),
        )
    }
}

async fn run(plan: &Plan, cloud: &mut FakeCloud, verifier: &FakeVerifier) -> ExecutionEnd {
    execute(plan, cloud, verifier, &EventList::default(), &guard()).await
}

fn stopped(end: ExecutionEnd) -> Diagnostic {
    match end {
        ExecutionEnd::Stopped(mut diagnostics) => {
            assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
            diagnostics.remove(0)
        }
        other => panic!("{other:?}"),
    }
}
