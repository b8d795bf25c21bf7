//! Each ending: a fault at each step, cancel, deadline, conflict, and a way back that fails.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::Code;
use delivery::event::Event;
use delivery::name::{EnvironmentName, ProjectId, Region, RevisionName, ServiceName, TagName};
use delivery::plan::{Action, Address, NewRevision, Others, Plan, Step, Undo};
use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::snapshot::{ServiceCondition, Serving, StateSeen};
use delivery::spec::{Access, ServiceSpec};
use delivery::state::{BroughtBy, OpenIntent, RevisionRecord, RunRef, StateRecord, Timestamp};
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

mod beside;
mod emulated;
mod endings;
mod fake;
mod interruptions;

use fake::{FakeCloud, FakeVerifier, Fault};

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
        share: None,
        passed: None,
        verified: false,
        access_before: None,
        regions: Vec::new(),
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
        run: run_ref(),
        etag: Some("0".to_owned()),
        revision: revision(NEW),
        before: "api-v1 serves 100 %".to_owned(),
        others: Others::Apart,
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
                state: StateRecord::default().recorded_healthy(record().healthy(
                    Timestamp(1),
                    run_ref(),
                    BroughtBy::Promotion,
                )),
            }),
        ],
        warnings: Vec::new(),
        outlook: delivery::plan::Outlook::default(),
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
        others: Others::None,
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

fn problem() -> Box<Diagnostic> {
    Box::new(Diagnostic::error(Code::CloudFailed, "refused"))
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
