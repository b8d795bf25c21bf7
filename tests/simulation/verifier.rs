//! Tests by asking the model's data plane, in the place of the program's gates.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::gate::{API_TESTS, CANARY, IDENTITY};
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use ml_deploy::execute::{Identity, UnderTest, UnderWatch, Verifier};

use crate::cloud::Reply;
use crate::world::{Moment, Process, World};

/// How long an address may take to answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// Requests of one test.
const CASES: usize = 2;

/// What is wrong with the tests of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blindness {
    /// Everything passes, nothing is asked.
    PassesAll,
    /// The commit is never compared with what answers.
    AnyIdentity,
}

/// The tests of one run.
pub(crate) struct SimulatedVerifier {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
    pub(crate) tells_commit: bool,
    pub(crate) blindness: Option<Blindness>,
    /// What a blind one claims to have seen.
    pub(crate) claimed: Option<String>,
}

impl SimulatedVerifier {
    /// Asks once.
    async fn ask(&self, url: &str, audience: Option<&str>) -> Reply {
        let arrival = self
            .world
            .arrive(&self.process, &format!("ask {url}"), false);
        tokio::time::sleep(arrival.ways.0).await;
        if arrival.kill == Some(Moment::Before) {
            match self.process.die().await {}
        }
        let reply = {
            let mut inner = self.world.now();
            let roll = u32::try_from(inner.random.below(100)).unwrap_or(0);
            let reply = inner.cloud.ask(url, audience, roll);
            let line = match &reply {
                Reply::From { revision, .. } => format!("#{} → {revision}", arrival.number),
                other => format!("#{} → {other:?}", arrival.number),
            };
            inner.note(&line);
            reply
        };
        if arrival.kill == Some(Moment::After) {
            match self.process.die().await {}
        }
        if arrival.fault.is_some() {
            return Reply::Nothing;
        }
        tokio::time::sleep(arrival.ways.1).await;
        reply
    }

    /// Waits until the wanted commit answers.
    async fn found(&self, what: &UnderTest<'_>) -> Result<(), CaseEnd> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let reply = self.ask(what.url, what.audience).await;
            let end = match reply {
                Reply::From { commit, .. } => {
                    let wanted = what.commit.map(|one| one.as_str());
                    if wanted.is_none_or(|one| one == commit) || !self.tells_commit {
                        return Ok(());
                    }
                    CaseEnd::Failed(vec![format!("commit: expected {wanted:?}, got {commit}")])
                }
                Reply::Forbidden => CaseEnd::Undecided("answered 403".to_owned()),
                Reply::Nothing => CaseEnd::Undecided("no answer".to_owned()),
            };
            if tokio::time::Instant::now() >= until {
                return Err(end);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn evidence(gate: &str, ends: Vec<CaseEnd>) -> Evidence {
    let case = |(number, end)| CaseResult {
        name: format!("case {number}"),
        end,
        millis: 1,
    };
    Evidence::new(gate, ends.into_iter().enumerate().map(case).collect())
}

#[async_trait]
impl Verifier for SimulatedVerifier {
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence> {
        if self.blindness == Some(Blindness::PassesAll) {
            return vec![evidence(API_TESTS, vec![CaseEnd::Passed])];
        }
        if let Err(end) = self.found(what).await {
            return vec![evidence(IDENTITY, vec![end])];
        }
        let mut ends = Vec::new();
        let mut asked = Vec::new();
        for _ in 0..CASES {
            ends.push(match self.ask(what.url, what.audience).await {
                Reply::From {
                    revision, right, ..
                } => {
                    asked.push(revision);
                    if right {
                        CaseEnd::Passed
                    } else {
                        CaseEnd::Failed(vec!["label: expected 1, got 0".to_owned()])
                    }
                }
                Reply::Forbidden => CaseEnd::Undecided("answered 403".to_owned()),
                Reply::Nothing => CaseEnd::Undecided("no answer".to_owned()),
            });
        }
        let passed = ends.iter().all(|end| *end == CaseEnd::Passed);
        asked.dedup();
        if let [only] = asked.as_slice() {
            self.world.now().watch.verified(only, passed);
        }
        vec![evidence(API_TESTS, ends)]
    }

    async fn watch(&self, what: &UnderWatch<'_>) -> Vec<Evidence> {
        if self.blindness == Some(Blindness::PassesAll) {
            return vec![evidence(CANARY, vec![CaseEnd::Passed])];
        }
        let mut ends = Vec::new();
        for _ in 0..CASES {
            tokio::time::sleep(what.soak / 2).await;
            for url in [what.candidate, what.serving] {
                ends.push(match self.ask(url, what.audience).await {
                    Reply::From {
                        right, degrades, ..
                    } if right && !degrades => CaseEnd::Passed,
                    Reply::From { .. } => CaseEnd::Failed(vec!["p95 above its limit".to_owned()]),
                    _ => CaseEnd::Undecided("no answer".to_owned()),
                });
            }
        }
        vec![evidence(CANARY, ends)]
    }

    fn tells_commit(&self) -> bool {
        self.tells_commit
    }

    async fn identity(&self, base_url: &str, audience: Option<&str>) -> Option<Identity> {
        if self.blindness == Some(Blindness::AnyIdentity) {
            return Some(Identity {
                commit: self.claimed.clone()?,
                version: None,
            });
        }
        match self.ask(base_url, audience).await {
            Reply::From {
                commit, version, ..
            } if !commit.is_empty() => Some(Identity { commit, version }),
            _ => None,
        }
    }
}
