//! The program under test: the real delivery over the simulated world. A mutant differs in one part.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::plan::recover::{Asker, Despite};
use delivery::target::Target;
use ml_deploy::deliver::{self, Cloud, Planner, Prospect, Seen};
use ml_deploy::execute::{CloudWriter, Guard};
use ml_deploy::gcp::api::Api;
use ml_deploy::gcp::auth::TokenSource;
use ml_deploy::gcp::endpoint::Endpoints;
use ml_deploy::gcp::run::{Live, RunReader};
use ml_deploy::gcp::transport::Transport;
use ml_deploy::secret::Secret;
use tokio::time::Instant;

use crate::verifier::{Blindness, SimulatedVerifier};
use crate::wire::{Bend, Wire};
use crate::wishes::Wish;
use crate::world::{Process, ProcessClock, World};

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The machine died.
    Killed,
    /// By itself.
    Ended(Outcome),
}

/// Stands between the loop and the cloud.
pub(crate) type Wrap = fn(Box<dyn CloudWriter>) -> Box<dyn CloudWriter>;

/// The parts that a mutant may differ in.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) planner: Planner,
    pub(crate) bend: Option<Bend>,
    pub(crate) blindness: Option<Blindness>,
    pub(crate) wrap: Option<Wrap>,
    pub(crate) tell: Option<fn(Outcome) -> Outcome>,
}

impl Program {
    /// As it is.
    pub(crate) const fn real() -> Self {
        Self {
            planner: delivery::plan::plan,
            bend: None,
            blindness: None,
            wrap: None,
            tell: None,
        }
    }
}

struct Nobody;

impl EventSink for Nobody {
    fn emit(&self, _event: Event) {}
}

/// What the program says, in the trace.
pub(crate) struct Trace {
    pub(crate) world: Arc<World>,
    pub(crate) run: String,
}

impl EventSink for Trace {
    fn emit(&self, event: Event) {
        let line = match event {
            Event::StepStarted { id, .. } => format!("step {id}"),
            Event::StepFinished { id, result, .. } => format!("step {id}: {result}"),
            Event::Note(text) => text,
            Event::Warning(warning) => format!("warning: {}", warning.title),
            _ => return,
        };
        self.world.now().note(&format!("   {}: {line}", self.run));
    }
}

struct AnyToken;

#[async_trait]
impl TokenSource for AnyToken {
    async fn access_token(&self) -> Result<Secret, Diagnostic> {
        Ok(Secret::new("token"))
    }

    async fn id_token(&self, _audience: &str) -> Result<Secret, Diagnostic> {
        Ok(Secret::new("token"))
    }

    fn describe(&self) -> String {
        "the simulated deployer".to_owned()
    }
}

/// The cloud with another writer.
struct Wrapped {
    reader: RunReader,
    wrap: Wrap,
}

#[async_trait]
impl Cloud for Wrapped {
    async fn observe(
        &self,
        target: &Target,
        wanted: Option<&delivery::plan::Wanted>,
        now: delivery::state::Timestamp,
    ) -> Result<Seen, Diagnostic> {
        let seen = Cloud::observe(&self.reader, target, wanted, now).await?;
        Ok(Seen {
            writer: (self.wrap)(seen.writer),
            ..seen
        })
    }

    async fn read(&self, target: &Target) -> Result<Option<Live>, Diagnostic> {
        Cloud::read(&self.reader, target).await
    }
}

fn transport() -> &'static Transport {
    static TRANSPORT: OnceLock<Transport> = OnceLock::new();
    TRANSPORT.get_or_init(|| Transport::new(Arc::new(Nobody)).unwrap())
}

pub(crate) fn reader(
    world: &Arc<World>,
    process: &Arc<Process>,
    bend: Option<Bend>,
    quiet: bool,
) -> RunReader {
    let wire = Wire {
        world: Arc::clone(world),
        process: Arc::clone(process),
        bend,
        quiet,
    };
    let sink: Arc<dyn EventSink> = if quiet {
        Arc::new(Nobody)
    } else {
        Arc::new(Trace {
            world: Arc::clone(world),
            run: process.run.clone(),
        })
    };
    let transport = transport().over(Arc::new(wire), sink);
    RunReader::new(Api::new(transport, Endpoints::google(), Arc::new(AnyToken)))
}

pub(crate) fn guard(world: &World, process: &Arc<Process>, wish: &Wish) -> Guard {
    let deadline = Instant::now() + wish.deadline;
    let mut guard = Guard::new(process.cancelled.clone(), deadline);
    guard.clock = Arc::new(ProcessClock {
        process: Arc::clone(process),
        begun: world.begun,
    });
    guard
}

impl Program {
    /// Runs it to its end, or until its machine dies.
    pub(crate) async fn run(self, world: &Arc<World>, target: &Target, wish: &Wish) -> End {
        let run = &wish.wanted.run.0;
        let process = Process::new(run);
        let reader = reader(world, &process, self.bend, false);
        let wrapped = self.wrap.map(|wrap| Wrapped {
            reader: reader.clone(),
            wrap,
        });
        let cloud: &dyn Cloud = match &wrapped {
            Some(wrapped) => wrapped,
            None => &reader,
        };
        let verifier = SimulatedVerifier {
            world: Arc::clone(world),
            process: Arc::clone(&process),
            tells_commit: wish.tells_commit,
            blindness: self.blindness,
            claimed: wish.commit(),
        };
        let sink = Trace {
            world: Arc::clone(world),
            run: run.clone(),
        };
        let guard = guard(world, &process, wish);
        let over = deliver::World {
            cloud,
            planner: self.planner,
            verifier: &verifier,
            sink: &sink,
            guard: &guard,
        };
        if let delivery::plan::Intent::Rollback { .. } = wish.wanted.intent {
            let mut inner = world.now();
            let cloud = inner.cloud.clone();
            inner.watch.rollback_begins(run, &cloud);
        }
        {
            let mut inner = world.now();
            inner.note(&format!("{run} begins"));
        }
        let end = tokio::select! {
            biased;
            () = process.died.notified() => End::Killed,
            (outcome, _) = deliver::deliver(&over, target, &wish.wanted) => {
                End::Ended(self.tell.map_or_else(|| outcome.clone(), |tell| tell(outcome.clone())))
            }
        };
        let mut inner = world.now();
        let words = in_words(&end);
        inner.note(&format!("{run} ends: {words}"));
        let crate::world::Inner { cloud, watch, .. } = &mut *inner;
        match &end {
            End::Killed => watch.died(run),
            End::Ended(outcome) => watch.ended(cloud, &wish.wanted, outcome),
        }
        inner.tell_new_violations();
        end
    }

    /// Ends what a run has left open, if it may.
    pub(crate) async fn recover(
        self,
        world: &Arc<World>,
        target: &Target,
        wish: &Wish,
        despite: Despite,
    ) {
        let process = Process::new(&wish.wanted.run.0);
        let reader = reader(world, &process, self.bend, false);
        let verifier = SimulatedVerifier {
            world: Arc::clone(world),
            process: Arc::clone(&process),
            tells_commit: wish.tells_commit,
            blindness: self.blindness,
            claimed: wish.commit(),
        };
        let sink = Trace {
            world: Arc::clone(world),
            run: process.run.clone(),
        };
        let guard = guard(world, &process, wish);
        let over = deliver::World {
            cloud: &reader,
            planner: self.planner,
            verifier: &verifier,
            sink: &sink,
            guard: &guard,
        };
        if despite == Despite::Anybody {
            world.now().watch.forced.insert(process.run.clone());
        }
        let asker = Asker {
            run: wish.wanted.run.clone(),
            despite,
        };
        let recovered = deliver::recover(&over, target, &asker).await;
        let mut inner = world.now();
        inner.note(&format!("{} recovers: {recovered:?}", process.run));
        let crate::world::Inner { cloud, watch, .. } = &mut *inner;
        watch.recovered(cloud, &wish.wanted, &recovered);
        inner.tell_new_violations();
    }

    /// What it would do now; nothing goes wrong meanwhile.
    pub(crate) async fn look(self, world: &Arc<World>, target: &Target, wish: &Wish) -> String {
        let process = Process::new(&wish.wanted.run.0);
        let reader = reader(world, &process, None, true);
        let verifier = SimulatedVerifier {
            world: Arc::clone(world),
            process: Arc::clone(&process),
            tells_commit: wish.tells_commit,
            blindness: None,
            claimed: None,
        };
        let guard = guard(world, &process, wish);
        let over = deliver::World {
            cloud: &reader,
            planner: self.planner,
            verifier: &verifier,
            sink: &Nobody,
            guard: &guard,
        };
        match deliver::look(&over, target, &wish.wanted).await {
            Ok(Prospect::UpToDate { .. }) => "up to date".to_owned(),
            Ok(Prospect::Blocked(problems)) => format!("blocked: {}", problems[0]),
            Ok(Prospect::Plan(plan)) => {
                let steps: Vec<_> = plan.steps.iter().map(|one| one.action.id()).collect();
                format!("a plan: {steps:?}")
            }
            Err(problem) => format!("no look: {problem}"),
        }
    }
}

/// How it ended, in a line.
pub(crate) fn in_words(end: &End) -> String {
    match end {
        End::Killed => "killed".to_owned(),
        End::Ended(outcome) => {
            let code = outcome.exit_code() as u8;
            let problems: Vec<String> = outcome
                .diagnostics()
                .iter()
                .map(|one| format!("{one} [{}]", one.state.as_deref().unwrap_or("no state")))
                .collect();
            match outcome {
                Outcome::Promoted { revision, .. } => format!("{code} promoted {revision}"),
                Outcome::UpToDate { revision, .. } => format!("{code} up to date {revision}"),
                Outcome::RolledBack { revision, .. } => format!("{code} rolled back to {revision}"),
                _ => format!("{code} {}", problems.join(" | ")),
            }
        }
    }
}
