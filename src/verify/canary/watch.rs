//! The two loads.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink, Unit};
use delivery::gate::CANARY;
use delivery::verdict::{CaseEnd, Evidence};
use tokio_util::sync::CancellationToken;

use super::judge::{CanaryLimits, is_hopeless, judge_canary};
use crate::verify::caller::Caller;
use crate::verify::gate::case;
use crate::verify::load::{Load, Measured, NoLoad, generate, open_load};
use crate::verify::sample::{Sample, Samples};

/// Longest part of a window that is measured in one go. Then the ID token is looked at again, which
/// ends within an hour, and a candidate that fails nearly always is not left to its callers.
const SLICE: Duration = Duration::from_secs(30);
/// Load before the first slice is measured, at most a quarter of the window: see the gate `slo`.
const WARM_UP: Duration = Duration::from_secs(3);
/// Load before a further slice is measured: connections are made anew.
const WARM_UP_AGAIN: Duration = Duration::from_secs(1);
/// How long the address of a new tag may take to answer.
const GRACE: Duration = Duration::from_secs(30);
/// Longest time for such an answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two of them.
const PAUSE: Duration = Duration::from_millis(200);

/// Watches candidates of one environment.
pub struct Canary {
    limits: CanaryLimits,
    /// Requests a second to each of both.
    rate: f64,
    samples: Box<dyn Samples>,
    /// What was measured of the share that is watched.
    pooled: Mutex<Pooled>,
}

#[derive(Default)]
struct Pooled {
    candidate: Measured,
    serving: Measured,
}

/// Candidate and what serves, with a token that is valid for some minutes more.
#[async_trait]
pub trait Callers: Send + Sync {
    /// Both, in this order.
    ///
    /// # Errors
    /// When there is no token.
    async fn both(&self) -> Result<(Caller, Caller), Diagnostic>;
}

/// One watch.
pub struct Watch<'a> {
    /// Whom it is about.
    pub callers: &'a dyn Callers,
    /// What the candidate has of the traffic.
    pub percent: u32,
    /// How long.
    pub soak: Duration,
    /// How often this share was watched before: that is pooled.
    pub held: u32,
    /// Takes events as they happen.
    pub sink: &'a dyn EventSink,
    /// Cancelled when nobody waits any more.
    pub cancelled: CancellationToken,
}

/// Why a window ended without measurements.
enum NoWindow {
    Stopped,
    Undecided(String),
    Obstacle(Diagnostic),
}

impl Canary {
    /// `rate` is in requests a second, to each of both; above 0.
    pub fn new(limits: CanaryLimits, rate: f64, samples: Box<dyn Samples>) -> Self {
        Self {
            limits,
            rate,
            samples,
            pooled: Mutex::default(),
        }
    }

    /// Sends the load for as long as said, and judges.
    ///
    /// # Errors
    /// What keeps both from being asked at all.
    pub async fn watch(&self, at: &Watch<'_>) -> Result<Evidence, Diagnostic> {
        at.sink.emit(Event::GateStarted { gate: CANARY });
        let started = Instant::now();
        if at.held == 0 {
            self.with_pooled(|pooled| *pooled = Pooled::default());
        }
        let evidence = match self.window(at).await {
            Ok(()) => {
                let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (ends, mut evidence) = self.with_pooled(|pooled| {
                    judge_canary(&self.limits, at.percent, &pooled.candidate, &pooled.serving)
                });
                let told = ends.into_iter();
                evidence.cases = told
                    .map(|(name, end)| case(at.sink, &name, end, millis))
                    .collect();
                evidence
            }
            Err(NoWindow::Stopped) => Evidence::skipped(CANARY, "the run was stopped"),
            Err(NoWindow::Undecided(why)) => {
                let name = format!("load at {} %", at.percent);
                let end = CaseEnd::Undecided(why);
                Evidence::new(CANARY, vec![case(at.sink, &name, end, 0)])
            }
            Err(NoWindow::Obstacle(problem)) => return Err(problem),
        };
        at.sink.emit(Event::GateFinished(evidence.clone()));
        Ok(evidence)
    }

    fn with_pooled<T>(&self, work: impl FnOnce(&mut Pooled) -> T) -> T {
        let mut pooled = self.pooled.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut pooled)
    }

    async fn window(&self, at: &Watch<'_>) -> Result<(), NoWindow> {
        let slices =
            u32::try_from(at.soak.as_nanos().div_ceil(SLICE.as_nanos())).unwrap_or(u32::MAX);
        let slice = at.soak / slices.max(1);
        for number in 0..slices.max(1) {
            let (candidate, serving) = at.callers.both().await.map_err(NoWindow::Obstacle)?;
            let warm_up = if number == 0 {
                self.both_answer(&candidate, &serving).await;
                WARM_UP.min(at.soak / 4)
            } else {
                WARM_UP_AGAIN
            };
            let load = |caller: &Caller| {
                let load = open_load(caller, self.samples.as_ref(), self.rate, slice);
                load.map(|load| Load { warm_up, ..load })
                    .map_err(NoWindow::Undecided)
            };
            let (candidate, serving) = (load(&candidate)?, load(&serving)?);
            // Half a step apart, so that the requests of one side fall between those of the other.
            let half = Duration::from_secs_f64(0.5 / self.rate);
            let (candidate, serving) =
                tokio::join!(generate(candidate, at.cancelled.clone()), async {
                    tokio::time::sleep(half).await;
                    generate(serving, at.cancelled.clone()).await
                });
            let (candidate, serving) = (candidate.map_err(no_load)?, serving.map_err(no_load)?);
            let hopeless = self.with_pooled(|pooled| {
                pooled.candidate.merge(&candidate);
                pooled.serving.merge(&serving);
                is_hopeless(&pooled.candidate, &pooled.serving)
            });
            at.sink.emit(Event::Progress {
                what: format!("canary at {} %", at.percent),
                done: (slice * (number + 1)).as_secs(),
                total: Some(at.soak.as_secs()),
                unit: Unit::Seconds,
            });
            if hopeless {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits, within the grace, until both addresses answer: those of new tags are not there at once.
    /// What does not answer by then is measured as it is.
    async fn both_answer(&self, candidate: &Caller, serving: &Caller) {
        let Some(Ok(sample)) = self.samples.read().next() else {
            return;
        };
        let both = async { tokio::join!(answers(&sample, candidate), answers(&sample, serving)) };
        let _ = tokio::time::timeout(GRACE, both).await;
    }
}

/// Returns once the address answers as it should.
async fn answers(sample: &Sample, caller: &Caller) {
    loop {
        if let Ok(answer) = sample.send(caller, ASK_TIMEOUT).await
            && sample.status.allows(answer.status.as_u16())
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn no_load(error: NoLoad) -> NoWindow {
    match error {
        NoLoad::Stopped => NoWindow::Stopped,
        NoLoad::CannotBegin(why) => NoWindow::Undecided(why),
    }
}
