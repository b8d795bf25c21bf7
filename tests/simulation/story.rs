//! A story: what is there, what happens, how it must end.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use delivery::diagnostic::Code;
use delivery::outcome::Outcome;
use delivery::plan::recover::Despite;
use delivery::target::Tier;
use serde_json::{Value, json};

use crate::cloud::{Behaviour, HttpRequest, Pace, SERVICE};
use crate::foreign::Foreign;
use crate::program::{End, Left, Program, in_words};
use crate::running::Place;
use crate::watch::{Invariant, Violation};
use crate::wishes::{Wish, digest, promote, target};
use crate::world::{Happening, Inner, Trouble, World};

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A run, and how it must end where nothing goes wrong.
    Run(Wish, Expect),
    /// Two runs; the second sets out so much later.
    Together(Wish, Wish, Duration),
    /// Another tool made the service, following LATEST.
    Made { open_to: OpenTo },
    /// Another tool writes.
    Stranger(Foreign),
    /// Time passes.
    Wait(Duration),
}

/// Who may call a service that another tool made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenTo {
    TokenHolders,
    EverybodyByBinding,
}

/// How a run must end where nothing goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Promoted,
    RolledBack,
    UpToDate,
    Stops(Code),
    Anything,
}

#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) tier: Tier,
    pub(crate) pace: Pace,
    pub(crate) behaviours: Vec<(u64, Behaviour)>,
    pub(crate) acts: Vec<Act>,
}

/// Who brings order after a run died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Successor {
    /// The next attempt of the same run, at once.
    Rerun,
    /// Another run of the same, after the lease.
    Same,
    /// Another run of the next release, after the lease.
    Next,
    /// The same, and that release fails its tests.
    NextBad,
    /// The post step of the same run, at once.
    Post,
    /// A person with `ml-deploy recover --force`, at once.
    Forced,
}

impl Successor {
    pub(crate) const ALL: [Self; 6] = [
        Self::Rerun,
        Self::Same,
        Self::Next,
        Self::NextBad,
        Self::Post,
        Self::Forced,
    ];

    /// It ends what is open at once, and promotes nothing.
    pub(crate) fn recovers(self) -> bool {
        matches!(self, Self::Post | Self::Forced)
    }
}

/// Image of the successor's release, and of one that fails.
const NEXT: u64 = 90;
const NEXT_BAD: u64 = 91;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) violations: Vec<Violation>,
    pub(crate) trace: Vec<String>,
    pub(crate) hash: u64,
}

/// Plays a story in a world of its own, on a clock of its own.
pub(crate) fn play(
    program: Program,
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
        let calm = trouble.is_over();
        let world = World::new(seed, story.pace.clone(), trouble);
        let place = Place {
            world: Arc::clone(&world),
            target: target(story.tier),
        };
        let stage = Stage {
            program,
            places: [place],
            story,
            successor,
            calm,
        };
        stage.play().await;
        let inner = world.now();
        let mut hasher = DefaultHasher::new();
        inner.trace.hash(&mut hasher);
        Report {
            requests: inner.requests,
            violations: inner.watch.violations.clone(),
            trace: inner.trace.clone(),
            hash: hasher.finish(),
        }
    })
}

struct Stage<'a> {
    program: Program,
    places: [Place; 1],
    story: &'a Story,
    successor: Successor,
    /// Nothing goes wrong: each run ends as told.
    calm: bool,
}

impl Stage<'_> {
    fn now(&self) -> MutexGuard<'_, Inner> {
        self.places[0].world.now()
    }

    async fn play(&self) {
        {
            let mut inner = self.now();
            let all = self.story.behaviours.iter().copied();
            for (number, behaviour) in all.chain([(NEXT_BAD, Behaviour::Bad)]) {
                let digest = digest(number).as_str().to_owned();
                inner.cloud.behaviours.insert(digest, behaviour);
            }
        }
        let mut last = None;
        for act in &self.story.acts {
            match act {
                Act::Run(wish, expect) => {
                    let left = self.run(wish, *expect).await;
                    if left.is_none() {
                        self.bring_order(wish, None).await;
                    }
                    last = Some((wish, left));
                }
                Act::Together(first, second, later) => {
                    let second_run = async {
                        tokio::time::sleep(*later).await;
                        self.program.run(&self.places, second).await
                    };
                    let first_run = self.program.run(&self.places, first);
                    let ((_, left), _) = tokio::join!(first_run, second_run);
                    last = Some((first, left));
                }
                Act::Made { open_to } => self.made(*open_to).await,
                Act::Stranger(foreign) => {
                    self.now().stranger(*foreign);
                    tokio::time::sleep(Duration::from_secs(30)).await;
                }
                Act::Wait(time) => tokio::time::sleep(*time).await,
            }
        }
        self.rest().await;
        if let Some((wish, main)) = last.filter(|_| self.in_doubt()) {
            self.bring_order(wish, main).await;
        }
        self.rest().await;
        let mut inner = self.now();
        let Inner { cloud, watch, .. } = &mut *inner;
        watch.at_rest(cloud);
        inner.tell_new_violations();
    }

    fn in_doubt(&self) -> bool {
        self.now().watch.in_doubt
    }

    async fn rest(&self) {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }

    /// What it says that it has left; `None` where it died.
    async fn run(&self, wish: &Wish, expect: Expect) -> Option<Left> {
        let (end, left) = self.program.run(&self.places, wish).await;
        let End::Ended(outcome) = &end else {
            return None;
        };
        if self.calm && !as_told(outcome, expect) {
            self.broken(
                Invariant::WrongEnd,
                format!("{expect:?} was told, it is {}", in_words(&end)),
            );
        }
        if outcome.exit_code() as u8 == 0 {
            self.plan_again(wish).await;
        }
        left
    }

    /// A finished run leaves nothing to do, unless another tool has moved the traffic since its last write.
    async fn plan_again(&self, wish: &Wish) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        if self.now().watch.moved_since {
            return;
        }
        let said = self.program.look(&self.places[0], wish).await;
        if said != "up to date" {
            self.broken(Invariant::NotIdempotent, format!("planned again: {said}"));
        }
    }

    fn broken(&self, invariant: Invariant, text: String) {
        let mut inner = self.now();
        inner.watch.broken(invariant, text);
        inner.tell_new_violations();
    }

    /// Somebody comes after a run that died or could not restore, which ended so. Nothing goes wrong any
    /// more.
    async fn bring_order(&self, wish: &Wish, main: Option<Left>) {
        {
            let mut inner = self.now();
            inner.calm_down();
            inner.note(&format!("{:?} comes to bring order", self.successor));
        }
        let next = || promote(NEXT, "9.0.0", 900);
        let lease = wish.lease() + Duration::from_secs(10_000);
        if self.successor != Successor::Rerun && !self.successor.recovers() {
            tokio::time::sleep(lease).await;
        }
        match self.successor {
            Successor::Rerun => self.order(&wish.clone().again()).await,
            Successor::Same => self.order(&wish.clone().by(901)).await,
            Successor::Next => self.order(&next()).await,
            Successor::NextBad => self.order(&promote(NEXT_BAD, "8.1.0", 902)).await,
            // Nothing is promoted: what is open is ended, and nothing of it is left to the next run.
            Successor::Post => drop(self.program.post(&self.places, wish, main).await),
            Successor::Forced => {
                let person = wish.clone().by(903);
                let recovering = self
                    .program
                    .recover(&self.places, &person, Despite::Anybody);
                recovering.await;
            }
        }
        // What the dead run sent may still arrive, and no etag refuses it where nothing was written since.
        self.rest().await;
        if self.in_doubt() {
            tokio::time::sleep(lease).await;
            self.run(&next(), Expect::Anything).await;
        }
    }

    async fn order(&self, wish: &Wish) {
        self.run(wish, Expect::Anything).await;
    }

    /// Another tool makes the service.
    async fn made(&self, open_to: OpenTo) {
        {
            let mut inner = self.now();
            let template = json!({
                "revision": "api-00001-abc",
                "annotations": {"client": "gcloud"},
                "containers": [{"image": "gcr.io/foreign/api@sha256:0", "env": []}]
            });
            let request = HttpRequest {
                run: "gcloud".to_owned(),
                method: "POST".to_owned(),
                path: format!("/v2/{}", SERVICE.rsplit_once('/').unwrap().0),
                query: vec![("serviceId".to_owned(), "api".to_owned())],
                body: json!({"template": template, "labels": {"team": "ml"}}),
            };
            inner.cloud.handle(&request);
            let service = inner.cloud.service.as_mut().unwrap();
            service
                .others
                .insert("description".to_owned(), Value::from("kept"));
            if open_to == OpenTo::EverybodyByBinding {
                let members = vec!["allUsers".to_owned()];
                service
                    .bindings
                    .push(("roles/run.invoker".to_owned(), members));
            }
            let name = "api-00001-abc".to_owned();
            inner.watch.tested.insert(name.clone());
            inner.watch.foreign_revisions.insert(name);
            inner
                .watch
                .foreign_labels
                .insert("team".to_owned(), "ml".to_owned());
        }
        self.rest().await;
    }
}

/// Whether a run has ended as told.
pub(crate) fn as_told(outcome: &Outcome, expect: Expect) -> bool {
    match (outcome, expect) {
        (_, Expect::Anything)
        | (Outcome::Promoted { .. }, Expect::Promoted)
        | (Outcome::RolledBack { .. }, Expect::RolledBack)
        | (Outcome::UpToDate { .. }, Expect::UpToDate) => true,
        (Outcome::Stopped(problems), Expect::Stops(code)) => {
            problems.first().is_some_and(|one| one.code == code)
        }
        _ => false,
    }
}

/// Trouble at one request only.
pub(crate) fn at(request: u64, happening: Happening) -> Trouble {
    Trouble {
        at: [(request, happening)].into(),
        ..Trouble::default()
    }
}
