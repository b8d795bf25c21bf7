//! The program under test: the real delivery over the simulated world, in one region or in several
//! together. A mutant differs in one part.

use std::time::Duration;

use delivery::outcome::Outcome;
use delivery::plan::Wanted;
use delivery::plan::recover::{Asker, Despite};
use futures_util::future::LocalBoxFuture;
use ml_deploy::deliver::regions::{Landed, Site, deliver_all, together};
use ml_deploy::deliver::{self, Planner, Prospect, Recovered, left_open, recover_all};
use ml_deploy::execute::CloudWriter;
use tokio::time::Instant;

use crate::running::{Place, Running};
use crate::verifier::Blindness;
use crate::wire::Bend;
use crate::wishes::Wish;

/// How long a post step waits for a main step that has not told its end, how long it may take, and how
/// long a release may take to be confirmed, as the program has it.
const PATIENCE: Duration = Duration::from_secs(3);
const POST_TIME: Duration = Duration::from_secs(120);
const POST_CONFIRM: Duration = Duration::from_secs(30);

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The machine died.
    Killed,
    /// By itself.
    Ended(Outcome),
}

/// What a run says that it may have left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    Open,
}

/// Stands between the loop and the cloud.
pub(crate) type Wrap = fn(Box<dyn CloudWriter>) -> Box<dyn CloudWriter>;

/// Delivers to all sites together.
pub(crate) type Deliver = for<'a> fn(
    &'a deliver::World<'a>,
    &'a [Site<'a>],
    &'a Wanted,
) -> LocalBoxFuture<'a, Vec<Landed>>;

/// Ends what is unfinished in the sites.
pub(crate) type Recover = for<'a> fn(
    &'a deliver::World<'a>,
    &'a [Site<'a>],
    &'a Asker,
) -> LocalBoxFuture<'a, Vec<Recovered>>;

/// The parts that a mutant may differ in.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) planner: Planner,
    pub(crate) deliver: Deliver,
    pub(crate) recover: Recover,
    pub(crate) together: fn(&[Landed]) -> Outcome,
    pub(crate) bend: Option<Bend>,
    pub(crate) blindness: Option<Blindness>,
    pub(crate) wrap: Option<Wrap>,
    pub(crate) tell: Option<fn(Outcome) -> Outcome>,
}

impl Program {
    /// As it is.
    pub(crate) fn real() -> Self {
        Self {
            planner: delivery::plan::plan,
            deliver: |world, sites, wanted| Box::pin(deliver_all(world, sites, wanted)),
            recover: |world, sites, asker| Box::pin(recover_all(world, sites, asker)),
            together,
            bend: None,
            blindness: None,
            wrap: None,
            tell: None,
        }
    }

    /// Runs it to its end, or until its machine dies: how it ended, and what it said that it has left, if
    /// it came to say so.
    pub(crate) async fn run(self, places: &[Place], wish: &Wish) -> (End, Option<Left>) {
        let running = Running::new(self, places, wish);
        let run = running.process.run.clone();
        for place in places {
            let mut inner = place.world.now();
            if let delivery::plan::Intent::Rollback { .. } = wish.wanted.intent {
                let cloud = inner.cloud.clone();
                inner.watch.rollback_begins(&run, &cloud);
            }
        }
        running.note(&format!("{run} begins"));
        let (over, sites) = (running.over(), running.sites());
        let landed = tokio::select! {
            biased;
            () = running.process.died.notified() => None,
            landed = (self.deliver)(&over, &sites, &wish.wanted) => Some(landed),
        };
        let end = match &landed {
            None => End::Killed,
            Some(landed) => End::Ended(self.as_told(&(self.together)(landed))),
        };
        let left = landed.as_deref().map(left);
        let words = in_words(&end);
        running.note(&format!("{run} ends: {words}"));
        for (index, place) in places.iter().enumerate() {
            let mut inner = place.world.now();
            let crate::world::Inner { cloud, watch, .. } = &mut *inner;
            match &landed {
                None => watch.died(&run),
                Some(landed) => {
                    let outcome = self.as_told(&landed[index].outcome);
                    watch.ended(cloud, &wish.wanted, &outcome);
                }
            }
            if left == Some(Left::Nothing) {
                watch.says_that_nothing_is_open(cloud, &wish.wanted);
            }
            inner.tell_new_violations();
        }
        (end, left)
    }

    fn as_told(self, outcome: &Outcome) -> Outcome {
        let tell = self.tell;
        tell.map_or_else(|| outcome.clone(), |tell| tell(outcome.clone()))
    }

    /// `ml-deploy recover`: ends what is open, if it may. `None`: nothing was.
    pub(crate) async fn recover(
        self,
        places: &[Place],
        wish: &Wish,
        despite: Despite,
    ) -> Option<Outcome> {
        let running = Running::new(self, places, wish);
        let is_forced = despite == Despite::Anybody;
        for place in places {
            let run = &running.process.run;
            place.world.now().watch.recovery_begins(run, is_forced);
        }
        tokio::select! {
            biased;
            () = running.process.died.notified() => {
                running.died();
                None
            }
            ends = self.ended(&running, wish, despite) => running.recovered(wish, ends),
        }
    }

    /// The post step of a run that ended so: ends what it has left open, and looks only where that may be
    /// something.
    pub(crate) async fn post(
        self,
        places: &[Place],
        wish: &Wish,
        main: Option<Left>,
    ) -> Option<Outcome> {
        let mut running = Running::new(self, places, wish);
        let patience = match main {
            None => PATIENCE,
            Some(Left::Open) => Duration::ZERO,
            Some(Left::Nothing) => {
                running.note("its post step does not look");
                return None;
            }
        };
        running.guard.deadline = Instant::now() + POST_TIME;
        running.guard.confirm_grace = POST_CONFIRM;
        tokio::select! {
            biased;
            () = running.process.died.notified() => {
                running.died();
                None
            }
            ended = self.looked_and_ended(&running, wish, patience) => ended,
        }
    }

    async fn looked_and_ended(
        self,
        running: &Running<'_>,
        wish: &Wish,
        patience: Duration,
    ) -> Option<Outcome> {
        let (run, targets) = (&wish.wanted.run, running.targets());
        let left = left_open(&running.over(), &targets, run, patience).await;
        if !left.is_nothing() {
            let ends = self.ended(running, wish, Despite::Nobody).await;
            return running.recovered(wish, ends);
        }
        if let Some((_, problem)) = left.unread.first() {
            let end = Recovered::Stopped(vec![problem.clone()]);
            return running.recovered(wish, vec![end; targets.len()]);
        }
        running.nothing_was_left(wish);
        None
    }

    async fn ended(self, running: &Running<'_>, wish: &Wish, despite: Despite) -> Vec<Recovered> {
        let asker = Asker {
            run: wish.wanted.run.clone(),
            despite,
        };
        (self.recover)(&running.over(), &running.sites(), &asker).await
    }

    /// What it would do now in a region; nothing goes wrong meanwhile.
    pub(crate) async fn look(self, place: &Place, wish: &Wish) -> String {
        let places = std::slice::from_ref(place);
        let running = Running::quiet(self.planner, places, wish);
        match deliver::look(&running.over(), &place.target, &wish.wanted).await {
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

fn left(landed: &[Landed]) -> Left {
    if landed.iter().any(|one| one.told.left_open) {
        Left::Open
    } else {
        Left::Nothing
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
                Outcome::Recovered { state } => format!("{code} recovered: {state}"),
                _ => format!("{code} {}", problems.join(" | ")),
            }
        }
    }
}
