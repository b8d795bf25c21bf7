//! Workers on one thread of its own: what the rest of the program does cannot delay them, and they
//! need no locks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::connection::{Connector, Sender};
use super::pacer::{Pacer, Timetable};
use super::record::{Failure, Measured, micros};
use super::request::{Prepared, Target};
use crate::verify::caller::{MOST_ANSWER_BYTES, chain};

/// How requests follow one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// The open model: so many requests a second, evenly spaced, whatever the answers do.
    Rate {
        /// Requests a second; above 0.
        per_second: f64,
        /// Most requests under way at once. What is due beyond waits, and the wait counts as
        /// latency.
        most_at_once: usize,
    },
    /// The closed model: so many requests under way at once, each followed by the next.
    Concurrency(usize),
}

/// What is generated.
#[derive(Debug)]
pub struct Load {
    /// Where to.
    pub target: Target,
    /// What, in turn; at least one.
    pub requests: Vec<Prepared>,
    /// How requests follow one another.
    pub pace: Pace,
    /// Before it is measured.
    pub warm_up: Duration,
    /// While it is measured.
    pub duration: Duration,
    /// Longest time for one answer, from the time it was sent.
    pub timeout: Duration,
}

/// Why there was no load at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLoad {
    /// The load was stopped.
    #[error("stopped")]
    Stopped,
    /// It could not begin.
    #[error("{0}")]
    CannotBegin(String),
}

/// Generates the load and measures. Ends early, with [`NoLoad::Stopped`], when cancelled or when the
/// future is dropped; after the last request was due, answers are awaited for as long as one may
/// take.
///
/// # Errors
/// [`NoLoad`]; a server that does not answer is a measurement and no error.
pub async fn generate(load: Load, cancelled: CancellationToken) -> Result<Measured, NoLoad> {
    let (tell, told) = oneshot::channel();
    let stop = cancelled.child_token();
    let _guard = stop.clone().drop_guard();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let _ = tell.send(on_this_thread(load, &stop));
        })
        .map_err(|error| NoLoad::CannotBegin(format!("no thread: {error}")))?;
    told.await
        .unwrap_or_else(|_| Err(NoLoad::CannotBegin("the load's thread broke".to_owned())))
}

fn on_this_thread(load: Load, stop: &CancellationToken) -> Result<Measured, NoLoad> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NoLoad::CannotBegin(format!("no event loop: {error}")))?;
    let local = LocalSet::new();
    let done = local.block_on(&runtime, async {
        tokio::select! {
            measured = drive(load) => measured,
            () = stop.cancelled() => Err(NoLoad::Stopped),
        }
    });
    // Connections that a slow server holds open are dropped with their set.
    drop(local);
    done
}

/// What the workers share.
struct Shared {
    load: Load,
    connector: Connector,
    /// Connections that wait for a request; the one used last is on top, so that no more stay open
    /// than are needed.
    idle: RefCell<Vec<Sender>>,
    measured: RefCell<Measured>,
    next: Cell<u64>,
    under_way: Cell<usize>,
    /// From here on it is measured.
    measured_from: Instant,
    /// From here on nothing begins.
    end: Instant,
}

/// One request's turn.
struct Turn {
    number: u64,
    due: Instant,
}

async fn drive(load: Load) -> Result<Measured, NoLoad> {
    if load.requests.is_empty() {
        return Err(NoLoad::CannotBegin("there is nothing to send".to_owned()));
    }
    let connector = Connector::new(&load.target)
        .await
        .map_err(NoLoad::CannotBegin)?;
    let start = Instant::now();
    let measured_from = start + load.warm_up;
    let shared = Rc::new(Shared {
        connector,
        idle: RefCell::default(),
        measured: RefCell::default(),
        next: Cell::new(0),
        under_way: Cell::new(0),
        measured_from,
        end: measured_from + load.duration,
        load,
    });
    let last = match shared.load.pace {
        Pace::Rate {
            per_second,
            most_at_once,
        } => open(&shared, start, per_second, most_at_once).await?,
        Pace::Concurrency(workers) => closed(&shared, workers).await,
    };
    let mut measured = shared.measured.take();
    measured.elapsed = last.saturating_duration_since(measured_from);
    Ok(measured)
}

async fn closed(shared: &Rc<Shared>, workers: usize) -> Instant {
    let run = |shared: Rc<Shared>| async move {
        loop {
            let now = Instant::now();
            if now >= shared.end {
                return;
            }
            let number = shared.next.replace(shared.next.get() + 1);
            shared.serve(Turn { number, due: now }).await;
        }
    };
    join(
        (0..workers.max(1))
            .map(|_| tokio::task::spawn_local(run(shared.clone())))
            .collect(),
    )
    .await;
    Instant::now()
}

async fn open(
    shared: &Rc<Shared>,
    start: Instant,
    rate: f64,
    most: usize,
) -> Result<Instant, NoLoad> {
    let seconds = (shared.load.warm_up + shared.load.duration).as_secs_f64();
    let timetable = Timetable {
        start,
        rate,
        count: ((seconds * rate).round() as u64).max(1),
    };
    let due = Arc::new(Semaphore::new(0));
    let _pacer = Pacer::start(timetable, due.clone())
        .map_err(|error| NoLoad::CannotBegin(format!("no thread: {error}")))?;
    let deadline = shared.end + shared.load.timeout;
    let run = |shared: Rc<Shared>, due: Arc<Semaphore>| async move {
        while shared.next.get() < timetable.count {
            let Ok(permit) = due.acquire().await else {
                return;
            };
            permit.forget();
            let number = shared.next.replace(shared.next.get() + 1);
            let turn = Turn {
                number,
                due: timetable.due(number),
            };
            if Instant::now() >= deadline {
                shared.record(&turn, None, Instant::now(), Err(Failure::TimedOut));
            } else {
                shared.serve(turn).await;
            }
            if number + 1 >= timetable.count {
                // Those who still wait for a turn will get none.
                due.close();
            }
        }
    };
    let workers = most.clamp(1, usize::try_from(timetable.count).unwrap_or(usize::MAX));
    join(
        (0..workers)
            .map(|_| tokio::task::spawn_local(run(shared.clone(), due.clone())))
            .collect(),
    )
    .await;
    Ok(Instant::now())
}

async fn join(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        let _ = task.await;
    }
}

impl Shared {
    async fn serve(&self, turn: Turn) {
        let sent = Instant::now();
        let request = self.request(turn.number);
        self.under_way.set(self.under_way.get() + 1);
        {
            let mut measured = self.measured.borrow_mut();
            measured.peak = measured.peak.max(self.under_way.get());
        }
        let end = match tokio::time::timeout(self.load.timeout, self.exchange(request)).await {
            Ok(end) => end,
            Err(_) => Err(Failure::TimedOut),
        };
        self.under_way.set(self.under_way.get() - 1);
        self.record(&turn, Some(sent), Instant::now(), end);
    }

    fn request(&self, number: u64) -> &Prepared {
        let count = self.load.requests.len() as u64;
        &self.load.requests[usize::try_from(number % count).unwrap_or(0)]
    }

    fn record(&self, turn: &Turn, sent: Option<Instant>, done: Instant, end: Result<(), Failure>) {
        let name = &self.request(turn.number).name;
        let mut measured = self.measured.borrow_mut();
        if turn.due < self.measured_from {
            measured.warm_up += 1;
            if let Err(failure) = end {
                measured.warm_up_failures.add(name, &failure);
            }
            return;
        }
        let mut took = done.saturating_duration_since(turn.due);
        if let Err(failure) = end {
            if !failure.was_answered() {
                took = took.max(self.load.timeout);
            }
            measured.failures.add(name, &failure);
        }
        measured.latency.add(micros(took));
        if let Some(sent) = sent {
            measured
                .lateness
                .add(micros(sent.saturating_duration_since(turn.due)));
        }
    }

    /// Sends on an idle connection, or on a new one. Where the server closed the connection before the
    /// request went out, it goes out on another. One that the server may have received is never sent
    /// again, since a prediction may be billed or stored: it counts as an error.
    async fn exchange(&self, request: &Prepared) -> Result<(), Failure> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let (mut sender, used_before) = match idle {
                Some(sender) => (sender, true),
                None => (self.connect().await?, false),
            };
            if sender.ready().await.is_err() {
                if used_before {
                    continue;
                }
                return Err(Failure::Broken("closed at once".to_owned()));
            }
            let response = match sender.try_send_request(request.make()).await {
                Ok(response) => response,
                Err(error) => {
                    // Given back: nothing of it was written.
                    if used_before && error.message().is_some() {
                        continue;
                    }
                    return Err(Failure::Broken(chain(&error.into_error())));
                }
            };
            let status = response.status().as_u16();
            let body = self
                .read(response.into_body(), request.reads_body())
                .await?;
            self.idle.borrow_mut().push(sender);
            return request.check(status, body);
        }
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let (sender, took) = self.connector.connect().await?;
        self.measured.borrow_mut().connect.add(micros(took));
        Ok(sender)
    }

    /// The whole body; its text only where it matters.
    async fn read(&self, mut body: hyper::body::Incoming, keep: bool) -> Result<Bytes, Failure> {
        let mut first = Bytes::new();
        let mut all: Vec<u8> = Vec::new();
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(chain(&error)))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            size += data.len();
            if size > MOST_ANSWER_BYTES {
                return Err(Failure::TooLarge);
            }
            if !keep {
                continue;
            }
            // Most answers come in one piece, which is then not copied.
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&data);
            }
        }
        self.measured.borrow_mut().bytes += size as u64;
        Ok(if all.is_empty() {
            first
        } else {
            Bytes::from(all)
        })
    }
}
