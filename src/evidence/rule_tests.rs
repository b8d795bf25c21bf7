//! What is begun, and what is not, where something is wrong with keys and stores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use delivery::attestation::SeenEvidence;
use delivery::name::{ProjectId, Region, RevisionName, ServiceName};
use delivery::plan::Wanted;
use delivery::release::{Commit, ImageReference};
use delivery::target::{Approval, Environment, Tier};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::deliver::{Seen, Told};
use crate::evidence::{Listed, NewEvidence};
use crate::gcp::run::Live;
use crate::gcp::testing::EventList;

/// A place of evidence in which everything has passed, unless something is wrong with it.
#[derive(Default)]
struct Place {
    /// This environment's key cannot be used.
    unfit: Option<&'static str>,
    /// Nothing can be attached.
    full: bool,
    /// How long each takes.
    takes: Duration,
    attached: Mutex<Vec<String>>,
}

struct Borrowed(std::sync::Arc<Place>);

#[async_trait]
impl EvidenceStore for Borrowed {
    async fn list(&self, _digest: &ImageDigest) -> Result<Vec<Listed>, Diagnostic> {
        Ok(Vec::new())
    }

    async fn read(
        &self,
        _digest: &ImageDigest,
        _listed: &Listed,
    ) -> Result<Option<SeenEvidence>, Diagnostic> {
        Ok(None)
    }

    async fn attach(&self, _digest: &ImageDigest, new: &NewEvidence) -> Result<(), Diagnostic> {
        tokio::time::sleep(self.0.takes).await;
        if self.0.full {
            return Err(Diagnostic::error(Code::RegistryFailed, "no room"));
        }
        let kind = new.predicate_type.rsplit('/').nth(1);
        let mut attached = self.0.attached.lock().unwrap();
        attached.push(kind.unwrap_or_default().to_owned());
        Ok(())
    }
}

#[async_trait]
impl Archive for std::sync::Arc<Place> {
    async fn open(&self, environment: &EnvironmentName) -> Result<Shelf, Diagnostic> {
        if self.unfit == Some(environment.as_str()) {
            return Err(Diagnostic::error(Code::SigningKeyUnfit, "unfit"));
        }
        Ok(Shelf {
            store: Box::new(Borrowed(Self::clone(self))),
            key: None,
            signer: None,
        })
    }
}

/// Nobody asks it here.
struct NoCloud;

#[async_trait]
impl Cloud for NoCloud {
    async fn observe(
        &self,
        _target: &Target,
        _wanted: Option<&Wanted>,
        _now: Timestamp,
    ) -> Result<Seen, Diagnostic> {
        Err(Diagnostic::error(Code::Internal, "not asked"))
    }

    async fn read(&self, _target: &Target) -> Result<Option<Live>, Diagnostic> {
        Err(Diagnostic::error(Code::Internal, "not asked"))
    }
}

struct Happened {
    code: Option<Code>,
    delivered: bool,
    warnings: Vec<Code>,
    attached: Vec<String>,
}

fn name(text: &str) -> EnvironmentName {
    EnvironmentName::parse(text).unwrap()
}

fn target() -> Target {
    Target {
        environment: Environment {
            name: name("test"),
            github_environment: "test".to_owned(),
            tier: Tier::Preproduction,
            approval: Approval::None,
        },
        project: ProjectId::parse("demo-project").unwrap(),
        region: Region::parse("us-central1").unwrap(),
        service: ServiceName::parse("api").unwrap(),
    }
}

fn promoted() -> Outcome {
    Outcome::Promoted {
        revision: RevisionName::parse("api-v1-0-0-aaaaaa").unwrap(),
        url: "https://api.example".to_owned(),
    }
}

/// A delivery that goes well, as the first environment; or with one before it.
async fn delivered(
    place: Place,
    before: Option<&str>,
    (mode, next): (Mode, Next),
    cancelled: bool,
    end: Outcome,
) -> Happened {
    let place = std::sync::Arc::new(place);
    let events = EventList::default();
    let token = CancellationToken::new();
    let guard = Guard::new(token.clone(), Instant::now() + Duration::from_secs(60));
    let (here, before) = (name("test"), before.map(name));
    let release = Release {
        image: ImageReference {
            repository: "r/i".to_owned(),
            digest: ImageDigest::parse(format!("sha256:{}", "1".repeat(64))).unwrap(),
        },
        commit: Commit::parse("c".repeat(40)).unwrap(),
        version: None,
    };
    let targets = [target()];
    let proven = Proven {
        rule: Rule {
            environment: &here,
            before: before.as_ref(),
            mode,
            next,
        },
        archive: &place,
        cloud: &NoCloud,
        targets: &targets,
        release: &release,
        configuration: ConfigHash("0".repeat(64)),
        started: Timestamp(1),
        tests: Tests::Here,
        author: Author {
            run: RunRef("7/1".to_owned()),
            repository: None,
            repository_url: None,
            git_ref: None,
            identity: None,
            approval: ApprovalRecord {
                policy: "none".to_owned(),
                approvers: Vec::new(),
                attempt: "unknown".to_owned(),
            },
        },
        measured: &Vec::new,
        sink: &events,
        guard: &guard,
    };
    let begun = AtomicBool::new(false);
    let deliver = async {
        begun.store(true, Ordering::SeqCst);
        let landed = Landed {
            region: targets[0].region.clone(),
            outcome: end.clone(),
            told: Told::default(),
        };
        if cancelled {
            token.cancel();
        }
        (end, vec![landed])
    };
    let ended = proven.carry_out(async { Ok(()) }, deliver).await;
    let warnings = events.0.lock().unwrap();
    let warnings = warnings.iter().filter_map(|event| match event {
        Event::Warning(warning) => Some(warning.code),
        _ => None,
    });
    Happened {
        code: ended.outcome.err().map(|problem| problem.code),
        delivered: begun.load(Ordering::SeqCst),
        warnings: warnings.collect(),
        attached: place.attached.lock().unwrap().clone(),
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_ends_it_before_anything_is_delivered() {
    for (unfit, mode, code, delivered_is) in [
        ("test", Mode::Require, Some(Code::SigningKeyUnfit), false),
        ("dev", Mode::Require, Some(Code::SigningKeyUnfit), false),
        ("test", Mode::Warn, None, true),
        ("dev", Mode::Warn, None, true),
        ("test", Mode::Off, None, true),
    ] {
        let place = Place {
            unfit: Some(unfit),
            ..Place::default()
        };
        let rule = (mode, Next::Asks);
        let told = delivered(place, Some("dev"), rule, false, promoted()).await;
        assert_eq!(told.code, code, "{unfit} {mode:?}");
        assert_eq!(told.delivered, delivered_is, "{unfit} {mode:?}");
        let is_told = told.warnings.contains(&Code::SigningKeyUnfit);
        assert_eq!(is_told, mode == Mode::Warn, "{unfit} {mode:?}");
    }
}

#[tokio::test]
async fn without_the_pass_before_nothing_is_delivered() {
    let rule = (Mode::Require, Next::Asks);
    let told = delivered(Place::default(), Some("dev"), rule, false, promoted()).await;
    assert_eq!(
        (told.code, told.delivered),
        (Some(Code::EvidenceMissing), false)
    );
    assert!(told.attached.is_empty());
    let told = delivered(Place::default(), None, rule, false, promoted()).await;
    assert_eq!((told.code, told.delivered), (None, true));
    assert_eq!(told.attached, ["delivery-record", "test-result"]);
}

/// The signal comes when the release serves.
#[tokio::test(start_paused = true)]
async fn a_signal_leaves_the_evidence_a_moment() {
    let rule = (Mode::Require, Next::Asks);
    let not_attached = Some(Code::EvidenceNotAttached);
    for (millis, code, count) in [(500, None, 2), (60_000, not_attached, 0)] {
        let place = Place {
            takes: Duration::from_millis(millis),
            ..Place::default()
        };
        let begun = Instant::now();
        let told = delivered(place, None, rule, true, promoted()).await;
        assert_eq!((told.code, told.attached.len()), (code, count));
        assert!(begun.elapsed() <= MOMENT, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_is_not_attached_is_an_error_where_somebody_asks_for_it() {
    for (mode, next, code) in [
        (Mode::Require, Next::Asks, Some(Code::EvidenceNotAttached)),
        (Mode::Require, Next::None, None),
        (Mode::Warn, Next::Asks, None),
    ] {
        let place = Place {
            full: true,
            ..Place::default()
        };
        let told = delivered(place, None, (mode, next), false, promoted()).await;
        assert_eq!(told.code, code, "{mode:?} {next:?}");
        assert!(told.attached.is_empty());
        let warned = told.warnings == [Code::EvidenceNotAttached];
        assert_eq!(warned, code.is_none(), "{:?}", told.warnings);
    }
}

#[tokio::test]
async fn what_waits_leaves_what_was_measured_and_what_failed_nothing() {
    let revision = RevisionName::parse("api-v1-0-0-aaaaaa").unwrap();
    let waits = Outcome::Waiting {
        revision,
        url: String::new(),
    };
    let rule = (Mode::Require, Next::Asks);
    let told = delivered(Place::default(), None, rule, false, waits.clone()).await;
    assert_eq!(told.attached, ["candidate-record"]);
    let full = Place {
        full: true,
        ..Place::default()
    };
    let told = delivered(full, None, rule, false, waits).await;
    assert_eq!(
        (told.code, told.warnings),
        (None, vec![Code::EvidenceNotAttached])
    );
    let failed = Outcome::Stopped(vec![Diagnostic::error(Code::TestsFailed, "no")]);
    let told = delivered(Place::default(), None, rule, false, failed).await;
    assert!(told.attached.is_empty() && told.code.is_none());
}
