//! The simulated world: the cloud, who watches it, and what goes wrong when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use delivery::state::Timestamp;
use delivery::statistics::random::Random;
use ml_deploy::execute::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::{Cloud, Event, HttpAnswer, HttpRequest, Pace, Service};
use crate::foreign::Foreign;
use crate::watch::Watch;

/// When every story begins, in seconds since 1970.
pub(crate) const START: i64 = 1_795_000_000;

/// What can go wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection.
    NotConnected,
    /// The connection breaks before the request has an effect.
    ResetBefore,
    /// The request has its effect, and the answer is lost.
    ResetAfter,
    /// 429, with this `Retry-After` in seconds.
    TooMany(u64),
    /// This status, and no effect.
    Broken(u16),
    /// This status, and the effect all the same.
    BrokenAfter(u16),
    /// No answer in time, and no effect.
    TimeoutBefore,
    /// No answer in time, but the effect.
    TimeoutAfter,
    /// No answer in time, and the effect so much later.
    Late(Duration),
}

/// Just before or just after the request has its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// What happens at a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Happening {
    Fault(Fault),
    /// Another tool writes, just before the request.
    Foreign(Foreign),
    /// The clock of the machine jumps by so many seconds.
    Jump(i64),
    /// From here on the caller lacks every permission.
    Revoke,
    /// SIGTERM.
    Signal,
    /// The machine dies.
    Kill(Moment),
}

/// What goes wrong, by the number of the request, and how likely at every other one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) at: BTreeMap<u64, Happening>,
    /// Requests of a thousand that meet a fault.
    pub(crate) faults: u64,
    /// Requests of a thousand at which another tool writes.
    pub(crate) foreign: u64,
    pub(crate) revoked: bool,
}

impl Trouble {
    /// Nothing goes wrong any more.
    pub(crate) fn is_over(&self) -> bool {
        self.at.is_empty() && self.faults + self.foreign == 0 && !self.revoked
    }
}

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) run: String,
    pub(crate) cancelled: CancellationToken,
    dead: AtomicBool,
    pub(crate) died: Notify,
    offset: AtomicI64,
    /// The latest that its clock has told.
    told: AtomicI64,
}

impl Process {
    pub(crate) fn new(run: &str) -> Arc<Self> {
        Arc::new(Self {
            run: run.to_owned(),
            cancelled: CancellationToken::new(),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            offset: AtomicI64::new(0),
            told: AtomicI64::new(0),
        })
    }

    /// Nothing of it goes on.
    pub(crate) async fn die(&self) -> std::convert::Infallible {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending().await
    }

    pub(crate) fn jump(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn told(&self) -> i64 {
        self.told.load(Ordering::SeqCst)
    }
}

/// What its clock tells.
#[derive(Debug)]
pub(crate) struct ProcessClock {
    pub(crate) process: Arc<Process>,
    pub(crate) begun: Instant,
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.begun.elapsed().as_secs()).unwrap_or(i64::MAX);
        let now = START + elapsed + self.process.offset.load(Ordering::SeqCst);
        self.process.told.fetch_max(now, Ordering::SeqCst);
        Timestamp(now)
    }
}

/// How one request fares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) fault: Option<Fault>,
    pub(crate) kill: Option<Moment>,
    /// On the way there, and back.
    pub(crate) ways: (Duration, Duration),
}

/// Everything, behind one lock.
pub(crate) struct Inner {
    pub(crate) cloud: Cloud,
    pub(crate) watch: Watch,
    pub(crate) random: Random,
    pub(crate) trouble: Trouble,
    pub(crate) requests: u64,
    pub(crate) trace: Vec<String>,
    /// Counts what other tools did.
    pub(crate) strangers: u32,
}

/// The world of one story.
pub(crate) struct World {
    pub(crate) begun: Instant,
    inner: Mutex<Inner>,
}

impl World {
    pub(crate) fn new(seed: u64, pace: Pace, trouble: Trouble) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            inner: Mutex::new(Inner {
                cloud: Cloud::new(pace),
                watch: Watch::default(),
                random: Random::new(seed),
                trouble,
                requests: 0,
                trace: Vec::new(),
                strangers: 0,
            }),
        })
    }

    /// The world as it is at this moment.
    pub(crate) fn now(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.advance(self.begun.elapsed());
        inner
    }

    /// A request sets out.
    pub(crate) fn arrive(&self, process: &Process, what: &str, writes: bool) -> Arrival {
        let mut inner = self.now();
        inner.requests += 1;
        let number = inner.requests;
        let ways = (inner.way(), inner.way());
        let mut arrival = Arrival {
            number,
            fault: None,
            kill: None,
            ways,
        };
        let happening = match inner.trouble.at.get(&number).cloned() {
            Some(happening) => Some(happening),
            None => inner.by_chance(writes),
        };
        inner.note(&format!("#{number} {} {what}", process.run));
        match happening {
            None => {}
            Some(Happening::Fault(fault)) => arrival.fault = Some(fault),
            Some(Happening::Kill(moment)) => arrival.kill = Some(moment),
            Some(Happening::Foreign(foreign)) => inner.stranger(foreign),
            Some(Happening::Jump(seconds)) => {
                inner.note(&format!(
                    "the clock of {} jumps by {seconds} s",
                    process.run
                ));
                process.jump(seconds);
            }
            Some(Happening::Revoke) => {
                inner.note("every permission is lost");
                inner.trouble.revoked = true;
            }
            Some(Happening::Signal) => {
                inner.note(&format!("SIGTERM to {}", process.run));
                process.cancelled.cancel();
            }
        }
        if let Some(fault) = arrival.fault {
            inner.note(&format!("#{number} meets {fault:?}"));
        }
        if let Some(moment) = arrival.kill {
            inner.note(&format!("#{number} {} is killed {moment:?}", process.run));
        }
        arrival
    }
}

impl Inner {
    /// Nothing goes wrong any more.
    pub(crate) fn calm_down(&mut self) {
        self.trouble = Trouble::default();
        self.cloud.unstick();
    }

    /// A line for the trace.
    pub(crate) fn note(&mut self, line: &str) {
        let now = self.cloud.now;
        self.trace
            .push(format!("{:>9.3} {line}", now.as_secs_f64()));
    }

    /// Lets happen what is due until then.
    pub(crate) fn advance(&mut self, until: Duration) {
        while let Some((number, event)) = self.cloud.take_due(until) {
            if let Event::Late(request) = event {
                let answer = self.carry_out(&request, i64::MAX);
                self.note(&format!("late: {} → {}", request.in_words(), answer.status));
                if request.writes() && answer.status == 200 {
                    self.watch.wrote_late(&request.run);
                }
                continue;
            }
            let settles = matches!(event, Event::Settle(_));
            let line = self.cloud.happen(number, event);
            self.note(&line);
            if settles {
                self.watch.settled(&self.cloud);
            }
            self.check();
        }
    }

    /// Carries out a request; `told` is the latest that the sender's clock has told.
    pub(crate) fn carry_out(&mut self, request: &HttpRequest, told: i64) -> HttpAnswer {
        if !request.writes() {
            return self.cloud.handle(request);
        }
        let before = self.cloud.service.clone();
        let answer = self.cloud.handle(request);
        if answer.status == 200 && !request.path.ends_with(":setIamPolicy") {
            if let Some(line) = self.cloud.service.as_ref().map(Service::in_words) {
                self.note(&line);
            }
            self.watch
                .written(before.as_ref(), &self.cloud, &request.run, told);
        }
        self.check();
        answer
    }

    pub(crate) fn check(&mut self) {
        let Self { cloud, watch, .. } = self;
        for line in watch.check(cloud) {
            self.note(&line);
        }
    }

    pub(crate) fn tell_new_violations(&mut self) {
        for line in self.watch.untold() {
            self.note(&line);
        }
    }

    fn way(&mut self) -> Duration {
        Duration::from_millis(5 + self.random.below(60))
    }

    fn by_chance(&mut self, writes: bool) -> Option<Happening> {
        let roll = self.random.below(1_000);
        let Trouble {
            faults, foreign, ..
        } = self.trouble;
        if roll < faults {
            return Some(Happening::Fault(self.fault(writes)));
        }
        (roll < faults + foreign).then(|| Happening::Foreign(Foreign::any(&mut self.random)))
    }

    /// Any fault.
    pub(crate) fn fault(&mut self, writes: bool) -> Fault {
        match self.random.below(if writes { 11 } else { 9 }) {
            0 => Fault::NotConnected,
            1 => Fault::ResetBefore,
            2 => Fault::ResetAfter,
            3 => Fault::TooMany(self.random.below(9)),
            4 => Fault::Broken(500),
            5 => Fault::Broken(503),
            6 => Fault::BrokenAfter(503),
            7 => Fault::TimeoutBefore,
            8 => Fault::TimeoutAfter,
            _ => Fault::Late(Duration::from_millis(self.random.below(3_000))),
        }
    }
}
