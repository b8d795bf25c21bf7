//! The program under test: the rule around the real delivery. A mutant differs in one part of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::attestation::record::ApprovalRecord;
use delivery::diagnostic::Diagnostic;
use delivery::gate::Mode;
use delivery::outcome::Outcome;
use delivery::plan::Intent;
use delivery::target::Target;
use delivery::verdict::Evidence;
use ml_deploy::deliver::regions::{Landed, Site, deliver_all, together};
use ml_deploy::deliver::{Planner, Told};
use ml_deploy::evidence::rule::{Author, Next, Proven, Rule, Tests};
use ml_deploy::execute::{Identity, UnderTest, UnderWatch, Verifier};

use super::vault::{SimulatedArchive, Vault, environment};
use crate::program::{self, End, Program};
use crate::running::{Place, Running};
use crate::verifier::SimulatedVerifier;
use crate::wishes::Wish;

/// The environment that is delivered to, and the one before it.
pub(super) const HERE: &str = "test";
pub(super) const BEFORE: &str = "dev";
/// One that comes after: its passes are never asked for here.
pub(super) const AFTER: &str = "staging";
/// How often it is looked what serves.
const LOOK: Duration = Duration::from_millis(500);

/// Which part of a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Deploy,
    Promote,
}

/// What a program lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Nothing: it is the real one.
    None,
    NoCheck,
    CheckedAfterwards,
    AnyEnvironmentsPassCounts,
    UnsignedCounts,
    AttachedBeforeConfirmed,
    AttachedWhateverTheEnd,
    NothingMadeUpFor,
    NotAttached,
    EarlierRunsAreOurs,
    WaitingHasPassed,
}

/// What was measured, as the program's recorder keeps it.
struct Recording<'a> {
    inner: &'a SimulatedVerifier,
    kept: Mutex<Vec<Evidence>>,
}

impl Recording<'_> {
    fn keep(&self, evidence: &[Evidence]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| evidence.iter().all(|new| new.gate != one.gate));
        kept.extend(evidence.iter().cloned());
    }

    fn kept(&self) -> Vec<Evidence> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }
}

#[async_trait]
impl Verifier for Recording<'_> {
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence> {
        let evidence = self.inner.verify(what).await;
        self.keep(&evidence);
        evidence
    }

    async fn watch(&self, what: &UnderWatch<'_>) -> Vec<Evidence> {
        let evidence = self.inner.watch(what).await;
        self.keep(&evidence);
        evidence
    }

    fn tells_commit(&self) -> bool {
        self.inner.tells_commit()
    }

    async fn identity(&self, base_url: &str, audience: Option<&str>) -> Option<Identity> {
        self.inner.identity(base_url, audience).await
    }
}

fn planner(part: Part) -> Planner {
    match part {
        Part::Whole => delivery::plan::plan,
        Part::Deploy => delivery::plan::plan_to_verified,
        Part::Promote => delivery::plan::plan_from_verified,
    }
}

/// One run of it.
pub(super) struct Run<'a> {
    pub(super) place: &'a Place,
    pub(super) vault: &'a Arc<Vault>,
    pub(super) mutant: Mutant,
    pub(super) next: Next,
    pub(super) mode: Mode,
}

impl Run<'_> {
    /// Runs it to its end, or until its machine dies; looks all the while at what serves.
    pub(super) async fn run(&self, wish: &Wish, part: Part) -> End {
        let world = &self.place.world;
        let program = Program {
            planner: planner(part),
            ..Program::real()
        };
        let running = Running::new(program, std::slice::from_ref(self.place), wish);
        let run = &running.process.run;
        running.note(&format!("{part:?} of {run} begins"));
        if let Intent::Rollback { .. } = wish.wanted.intent {
            let mut inner = world.now();
            let cloud = inner.cloud.clone();
            inner.watch.rollback_begins(run, &cloud);
        }
        let mut let_in = BTreeSet::new();
        let watching = async {
            loop {
                self.look(&mut let_in);
                tokio::time::sleep(LOOK).await;
            }
        };
        let end = tokio::select! {
            biased;
            () = running.process.died.notified() => End::Killed,
            () = watching => unreachable!(),
            outcome = self.carried(&running, wish, part) => End::Ended(outcome),
        };
        self.look(&mut let_in);
        let words = program::in_words(&end);
        {
            let mut inner = world.now();
            let crate::world::Inner { cloud, watch, .. } = &mut *inner;
            match &end {
                End::Killed => watch.died(run),
                End::Ended(outcome) => watch.ended(cloud, &wish.wanted, outcome),
            }
        }
        running.note(&format!("{run} ends: {words}"));
        end
    }

    /// No image is there whose evidence is missing: none was let in.
    fn look(&self, let_in: &mut BTreeSet<String>) {
        if self.mode != Mode::Require {
            return;
        }
        let digests: Vec<String> = {
            let inner = self.place.world.now();
            let service = inner.cloud.service.iter();
            let revisions = service.flat_map(|one| &one.revisions);
            let digests = revisions.map(|one| one.digest());
            let new = digests.filter(|one| !let_in.contains(*one));
            new.map(str::to_owned).collect()
        };
        for digest in digests {
            let image = delivery::release::ImageDigest::parse(digest.as_str()).unwrap();
            if self.vault.has_passed(&image, BEFORE) {
                // Nothing is taken away.
                let_in.insert(digest);
            } else {
                self.vault.breaks(format!(
                    "{digest} is there, and {BEFORE} has not passed with it"
                ));
            }
        }
    }

    async fn carried(&self, running: &Running<'_>, wish: &Wish, part: Part) -> Outcome {
        let target = &self.place.target;
        let verifier = Recording {
            inner: &running.verifiers[0],
            kept: Mutex::default(),
        };
        let over = running.over();
        let sites = [Site {
            target,
            verifier: &verifier,
        }];
        let deliver = async {
            let landed = deliver_all(&over, &sites, &wish.wanted).await;
            (together(&landed), landed)
        };
        let Intent::Promote { release, spec } = &wish.wanted.intent else {
            // A rollback is not asked.
            return deliver.await.0;
        };
        let archive = SimulatedArchive {
            vault: Arc::clone(self.vault),
            world: Arc::clone(&self.place.world),
            process: Arc::clone(&running.process),
            trusting: self.mutant == Mutant::UnsignedCounts,
        };
        let (here, before) = (environment(HERE), environment(self.asks()));
        let measured = || verifier.kept();
        let proven = Proven {
            rule: Rule {
                environment: &here,
                before: Some(&before),
                mode: self.mode,
                next: self.next,
            },
            archive: &archive,
            cloud: running.cloud.as_ref(),
            targets: std::slice::from_ref(target),
            release,
            configuration: spec.hash(),
            started: running.guard.clock.now(),
            tests: if part == Part::Promote {
                Tests::Before
            } else {
                Tests::Here
            },
            author: author(wish),
            measured: &measured,
            sink: running.sink.as_ref(),
            guard: &running.guard,
        };
        let outcome = self.around(&proven, target, deliver).await;
        outcome.unwrap_or_else(|problem| Outcome::Stopped(vec![problem]))
    }

    /// The pass of which environment is asked for.
    fn asks(&self) -> &'static str {
        match self.mutant {
            Mutant::AnyEnvironmentsPassCounts => AFTER,
            _ => BEFORE,
        }
    }

    async fn around(
        &self,
        proven: &Proven<'_>,
        target: &Target,
        deliver: impl Future<Output = (Outcome, Vec<Landed>)>,
    ) -> Result<Outcome, Diagnostic> {
        match self.mutant {
            Mutant::None | Mutant::AnyEnvironmentsPassCounts | Mutant::UnsignedCounts => {
                let bring = async { Ok(()) };
                return proven.carry_out(bring, deliver).await.outcome;
            }
            Mutant::NoCheck => {
                let (outcome, landed) = deliver.await;
                proven.attach(&outcome, &landed).await?;
                return Ok(outcome);
            }
            Mutant::CheckedAfterwards => {
                let (outcome, landed) = deliver.await;
                proven.admit().await?;
                proven.attach(&outcome, &landed).await?;
                return Ok(outcome);
            }
            _ => {}
        }
        proven.admit().await?;
        if self.mutant == Mutant::AttachedBeforeConfirmed {
            let (outcome, landed) = pretended(target);
            proven.attach(&outcome, &landed).await?;
            return Ok(deliver.await.0);
        }
        let (outcome, landed) = deliver.await;
        let (told, of) = match (self.mutant, &outcome) {
            (Mutant::NotAttached, _) | (Mutant::NothingMadeUpFor, Outcome::UpToDate { .. }) => {
                return Ok(outcome);
            }
            (Mutant::AttachedWhateverTheEnd, Outcome::Stopped(_)) => pretended(target),
            (Mutant::WaitingHasPassed, Outcome::Waiting { revision, url })
            | (Mutant::EarlierRunsAreOurs, Outcome::UpToDate { revision, url }) => {
                let promoted = Outcome::Promoted {
                    revision: revision.clone(),
                    url: url.clone(),
                };
                let mut of = landed.clone();
                of[0].outcome = promoted.clone();
                (promoted, of)
            }
            _ => (outcome.clone(), landed.clone()),
        };
        proven.attach(&told, &of).await?;
        Ok(outcome)
    }
}

/// A promotion that nobody carried out.
fn pretended(target: &Target) -> (Outcome, Vec<Landed>) {
    let outcome = Outcome::Promoted {
        revision: delivery::name::RevisionName::parse("api-v0-0-0-aaaaaa").unwrap(),
        url: String::new(),
    };
    let landed = Landed {
        region: target.region.clone(),
        outcome: outcome.clone(),
        told: Told::default(),
    };
    (outcome, vec![landed])
}

fn author(wish: &Wish) -> Author {
    Author {
        run: wish.wanted.run.clone(),
        repository: Some("org/api".to_owned()),
        repository_url: Some("https://github.com/org/api".to_owned()),
        git_ref: None,
        identity: None,
        approval: ApprovalRecord {
            policy: "none".to_owned(),
            approvers: Vec::new(),
            attempt: "unknown".to_owned(),
        },
    }
}
