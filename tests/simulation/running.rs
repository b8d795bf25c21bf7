//! One run of the program, and what it is made over: the real API client above the simulated network,
//! simulated tests, a simulated clock.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::target::Target;
use ml_deploy::deliver::regions::Site;
use ml_deploy::deliver::{self, Cloud, Ends, Planner, Recovered, Seen};
use ml_deploy::execute::Guard;
use ml_deploy::gcp::api::Api;
use ml_deploy::gcp::auth::TokenSource;
use ml_deploy::gcp::endpoint::Endpoints;
use ml_deploy::gcp::run::{Live, RunReader};
use ml_deploy::gcp::transport::Transport;
use ml_deploy::secret::Secret;
use tokio::time::Instant;

use crate::program::{Program, Wrap};
use crate::verifier::SimulatedVerifier;
use crate::wire::{Network, Wire};
use crate::wishes::Wish;
use crate::world::{Inner, Process, ProcessClock, World};

/// One region: the target, and the world that holds its service.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) world: Arc<World>,
    pub(crate) target: Target,
}

/// One run, and what it is made over.
pub(crate) struct Running<'a> {
    pub(crate) process: Arc<Process>,
    pub(crate) guard: Guard,
    pub(crate) cloud: Box<dyn Cloud>,
    pub(crate) sink: Box<dyn EventSink>,
    pub(crate) verifiers: Vec<SimulatedVerifier>,
    places: &'a [Place],
    planner: Planner,
}

impl<'a> Running<'a> {
    /// A run of the program in these regions; the first one's trace has what it says.
    pub(crate) fn new(program: Program, places: &'a [Place], wish: &Wish) -> Self {
        Self::with(program, places, wish, false)
    }

    /// One that only looks: nothing goes wrong meanwhile, and nobody counts or hears it.
    pub(crate) fn quiet(planner: Planner, places: &'a [Place], wish: &Wish) -> Self {
        let program = Program {
            planner,
            ..Program::real()
        };
        Self::with(program, places, wish, true)
    }

    fn with(program: Program, places: &'a [Place], wish: &Wish, quiet: bool) -> Self {
        let process = Process::new(&wish.wanted.run.0);
        let wires = places.iter().map(|place| {
            let wire = Wire {
                world: Arc::clone(&place.world),
                process: Arc::clone(&process),
                bend: program.bend,
                quiet,
            };
            (place.target.region.to_string(), wire)
        });
        let network = Network {
            wires: wires.collect(),
        };
        let first = &places[0].world;
        let trace = || Trace {
            world: Arc::clone(first),
            run: process.run.clone(),
        };
        let told: Arc<dyn EventSink> = match quiet {
            true => Arc::new(Nobody),
            false => Arc::new(trace()),
        };
        let sink: Box<dyn EventSink> = match quiet {
            true => Box::new(Nobody),
            false => Box::new(trace()),
        };
        let transport = transport().over(Arc::new(network), told);
        let reader = RunReader::new(Api::new(transport, Endpoints::google(), Arc::new(AnyToken)));
        let cloud: Box<dyn Cloud> = match program.wrap {
            Some(wrap) => Box::new(Wrapped { reader, wrap }),
            None => Box::new(reader),
        };
        let verifiers = places.iter().map(|place| SimulatedVerifier {
            world: Arc::clone(&place.world),
            process: Arc::clone(&process),
            tells_commit: wish.tells_commit,
            blindness: program.blindness,
            claimed: wish.commit(),
        });
        Self {
            guard: guard(first, &process, wish),
            cloud,
            sink,
            verifiers: verifiers.collect(),
            places,
            planner: program.planner,
            process,
        }
    }

    /// What a delivery is made over.
    pub(crate) fn over(&self) -> deliver::World<'_> {
        deliver::World {
            cloud: self.cloud.as_ref(),
            planner: self.planner,
            verifier: &self.verifiers[0],
            sink: self.sink.as_ref(),
            guard: &self.guard,
        }
    }

    /// The regions, each with its tests.
    pub(crate) fn sites(&self) -> Vec<Site<'_>> {
        let all = self.places.iter().zip(&self.verifiers);
        all.map(|(place, verifier)| Site {
            target: &place.target,
            verifier,
        })
        .collect()
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        self.places.iter().map(|one| one.target.clone()).collect()
    }

    /// A line for the trace.
    pub(crate) fn note(&self, line: &str) {
        self.places[0].world.now().note(line);
    }

    /// A post step has found nothing of its run.
    pub(crate) fn nothing_was_left(&self, wish: &Wish) {
        self.note(&format!("{} finds nothing", self.process.run));
        for place in self.places {
            let mut inner = place.world.now();
            let Inner { cloud, watch, .. } = &mut *inner;
            watch.nothing_was_left(cloud, &wish.wanted);
            inner.tell_new_violations();
        }
    }

    /// Its machine died.
    pub(crate) fn died(&self) {
        let run = &self.process.run;
        self.note(&format!("{run} is dead"));
        for place in self.places {
            place.world.now().watch.died(run);
        }
    }

    /// What was unfinished is ended in each region: how all of it ended, as it is told. `None`: nothing
    /// was unfinished.
    pub(crate) fn recovered(&self, wish: &Wish, ends: Vec<Recovered>) -> Option<Outcome> {
        let mut all = Ends::default();
        let run = &self.process.run;
        for (place, end) in self.places.iter().zip(ends) {
            {
                let mut inner = place.world.now();
                inner.note(&format!("{run} recovers: {end:?}"));
                let is_calm = inner.trouble.is_over();
                let Inner { cloud, watch, .. } = &mut *inner;
                match &end {
                    // It may fail while things go wrong, and says so.
                    Recovered::Stopped(_) | Recovered::Failed(_) if !is_calm => {
                        watch.in_doubt = true;
                    }
                    _ => watch.recovered(cloud, &wish.wanted, &end),
                }
                inner.tell_new_violations();
            }
            all.take(self.sink.as_ref(), &place.target, end);
        }
        all.outcome()
    }
}

fn guard(world: &World, process: &Arc<Process>, wish: &Wish) -> Guard {
    let deadline = Instant::now() + wish.deadline;
    let mut guard = Guard::new(process.cancelled.clone(), deadline);
    guard.clock = Arc::new(ProcessClock {
        process: Arc::clone(process),
        begun: world.begun,
    });
    guard
}

struct Nobody;

impl EventSink for Nobody {
    fn emit(&self, _event: Event) {}
}

/// What the program says, in the trace.
struct Trace {
    world: Arc<World>,
    run: String,
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
