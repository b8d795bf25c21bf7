//! A story about evidence: what is there, what happens, who comes after.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use delivery::diagnostic::Code;
use delivery::gate::Mode;
use delivery::outcome::Outcome;
use delivery::plan::Intent;
use delivery::release::ImageDigest;
use delivery::target::Tier;
use ml_deploy::evidence::rule::Next;

use super::runs::{AFTER, BEFORE, HERE, Mutant, Part, Run};
use super::vault::{Keys, Vault};
use crate::cloud::{Behaviour, Pace};
use crate::program::{End, in_words};
use crate::running::Place;
use crate::story::Successor;
use crate::wishes::{Wish, digest, target};
use crate::world::{Trouble, World};

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A run, and the exit code that it must have where nothing goes wrong.
    Run(Wish, Option<u8>),
    /// The same in two steps of one job.
    Halves(Wish, Option<u8>),
    /// The environment before passes with an image.
    Passes(u64),
    /// Somebody without its key says so.
    Claimed(u64),
    /// Another environment passes with an image.
    PassesElsewhere(u64),
    /// Time passes.
    Wait(Duration),
}

/// What is there.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) name: String,
    pub(super) keys: Keys,
    pub(super) mode: Mode,
    pub(super) next: Next,
    pub(super) pace: Pace,
    pub(super) behaviours: Vec<(u64, Behaviour)>,
    pub(super) acts: Vec<Act>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) requests: u64,
    pub(super) broken: Vec<String>,
    pub(super) trace: Vec<String>,
    pub(super) hash: u64,
    pub(super) counts: Counts,
}

/// How often what happened: a simulation in which nothing is refused shows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) refused: usize,
    pub(super) not_attached: usize,
    pub(super) made_up_for: usize,
}

impl Counts {
    pub(super) fn plus(&mut self, other: &Self) {
        let Self {
            passed,
            refused,
            not_attached,
            made_up_for,
        } = other;
        self.passed += passed;
        self.refused += refused;
        self.not_attached += not_attached;
        self.made_up_for += made_up_for;
    }
}

/// Plays a story in a world of its own, on a clock of its own.
pub(super) fn play(
    mutant: Mutant,
    story: &Story,
    seed: u64,
    trouble: Trouble,
    successor: Successor,
) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let calm = trouble.at.is_empty() && trouble.faults == 0;
        let world = World::new(seed, story.pace.clone(), trouble);
        let mut stage = Stage {
            mutant,
            vault: Vault::new(story.keys),
            place: Place {
                world: Arc::clone(&world),
                target: target(Tier::Preproduction),
            },
            story,
            successor,
            calm,
            counts: Counts::default(),
        };
        stage.play().await;
        let inner = world.now();
        let mut hasher = DefaultHasher::new();
        inner.trace.hash(&mut hasher);
        Report {
            requests: inner.requests,
            broken: stage.vault.broken(),
            trace: inner.trace.clone(),
            hash: hasher.finish(),
            counts: stage.counts,
        }
    })
}

struct Stage<'a> {
    mutant: Mutant,
    vault: Arc<Vault>,
    place: Place,
    story: &'a Story,
    successor: Successor,
    /// Nothing goes wrong.
    calm: bool,
    counts: Counts,
}

fn image_of(wish: &Wish) -> Option<&ImageDigest> {
    match &wish.wanted.intent {
        Intent::Promote { release, .. } => Some(&release.image.digest),
        Intent::Rollback { .. } => None,
    }
}

fn serves(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Promoted { .. } | Outcome::UpToDate { .. })
}

fn has(outcome: &Outcome, code: Code) -> bool {
    outcome.diagnostics().iter().any(|one| one.code == code)
}

impl Stage<'_> {
    async fn play(&mut self) {
        for (number, behaviour) in &self.story.behaviours {
            let digest = digest(*number).as_str().to_owned();
            let mut inner = self.place.world.now();
            inner.cloud.behaviours.insert(digest, *behaviour);
        }
        let key_of_before = (self.story.keys == Keys::Each).then_some(BEFORE);
        for act in &self.story.acts {
            match act {
                Act::Run(wish, code) => self.told(wish, &[Part::Whole], *code).await,
                Act::Halves(wish, code) => {
                    self.told(wish, &[Part::Deploy, Part::Promote], *code).await;
                }
                Act::Passes(number) => self.vault.vouch(&digest(*number), BEFORE, key_of_before),
                Act::Claimed(number) => {
                    self.vault.vouch(&digest(*number), BEFORE, None);
                    self.vault.vouch(&digest(*number), BEFORE, Some("nobody"));
                    self.vault.vouch(&digest(*number), AFTER, key_of_before);
                }
                Act::PassesElsewhere(number) => {
                    let key = (self.story.keys == Keys::Each).then_some(AFTER);
                    self.vault.vouch(&digest(*number), AFTER, key);
                }
                Act::Wait(time) => tokio::time::sleep(*time).await,
            }
        }
    }

    /// A run in its parts; whoever comes after one that died, or that did not attach its evidence,
    /// brings order.
    async fn told(&mut self, wish: &Wish, parts: &[Part], code: Option<u8>) {
        let end = self.parts(wish, parts).await;
        let is_missing = match &end {
            End::Killed => true,
            End::Ended(outcome) => {
                if let Some(code) = code.filter(|_| self.calm) {
                    let was = outcome.exit_code() as u8;
                    if was != code {
                        let told = format!("exit {code} was told, it is {}", in_words(&end));
                        self.vault.breaks(told);
                    }
                }
                has(outcome, Code::EvidenceNotAttached)
            }
        };
        if is_missing {
            self.bring_order(wish, parts, code).await;
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
    }

    async fn parts(&mut self, wish: &Wish, parts: &[Part]) -> End {
        let mut end = End::Killed;
        for part in parts {
            end = self.run(wish, *part).await;
            let goes_on = match &end {
                End::Killed => false,
                End::Ended(outcome) => outcome.exit_code() as u8 == 0,
            };
            if !goes_on {
                break;
            }
        }
        end
    }

    async fn run(&mut self, wish: &Wish, part: Part) -> End {
        let passed = image_of(wish).is_some_and(|image| self.vault.has_passed(image, HERE));
        let run = Run {
            place: &self.place,
            vault: &self.vault,
            mutant: self.mutant,
            next: self.story.next,
            mode: self.story.mode,
        };
        let end = run.run(wish, part).await;
        let (End::Ended(outcome), Some(image)) = (&end, image_of(wish)) else {
            return end;
        };
        let passes = self.vault.has_passed(image, HERE);
        let made_up_for = matches!(outcome, Outcome::UpToDate { .. }) && !passed && passes;
        self.counts.plus(&Counts {
            passed: usize::from(passes && !passed),
            refused: usize::from(has(outcome, Code::EvidenceMissing)),
            not_attached: usize::from(has(outcome, Code::EvidenceNotAttached)),
            made_up_for: usize::from(made_up_for),
        });
        // Where nobody asks for it, missing evidence is a warning, and the next run makes up for it.
        let must = self.story.mode == Mode::Require && self.story.next == Next::Asks;
        if serves(outcome) && !passes && (must || self.is_calm()) {
            let told = in_words(&end);
            self.vault
                .breaks(format!("it serves, and has no pass: {told}"));
        }
        if serves(outcome) && part == Part::Promote && self.calm {
            let names = |one: &delivery::attestation::TestResult| {
                let mut names = one.passed_tests.iter();
                names.any(|name| name.starts_with("api-tests/"))
            };
            if !self.vault.verdicts(image, HERE).iter().any(names) {
                let told = "a promotion in two steps names none of the tests of the first";
                self.vault.breaks(told);
            }
        }
        end
    }

    /// Nothing goes wrong, or not any more.
    fn is_calm(&self) -> bool {
        self.place.world.now().trouble.is_over()
    }

    /// Somebody comes after a run that died. Nothing goes wrong any more.
    async fn bring_order(&mut self, wish: &Wish, parts: &[Part], code: Option<u8>) {
        {
            let mut inner = self.place.world.now();
            inner.calm_down();
            inner.note(&format!("{:?} comes to bring order", self.successor));
        }
        let again = match self.successor {
            Successor::Rerun => wish.clone().again(),
            _ => {
                let lease = wish.lease() + Duration::from_secs(10_000);
                tokio::time::sleep(lease).await;
                wish.clone().by(901)
            }
        };
        let end = self.parts(&again, parts).await;
        let End::Ended(outcome) = &end else {
            return;
        };
        // Another run of a rollback to the previous one would go one further.
        let code = code.filter(|_| image_of(wish).is_some());
        let is = outcome.exit_code() as u8;
        // What failed may be rejected by now, which is another code.
        if let Some(code) = code
            && (code != is && (code != 4 || is == 0))
        {
            let told = format!("exit {code} was told, it is at last {}", in_words(&end));
            self.vault.breaks(told);
        }
    }
}
