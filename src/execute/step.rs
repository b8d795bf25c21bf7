//! One step.

use std::time::Duration;

use delivery::decide::Watched;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink, Unit};
use delivery::gate::judge_gates;
use delivery::name::{RevisionName, TagName};
use delivery::plan::render::{closed_in_words, serving_in_words};
use delivery::plan::{Action, Address, NewRevision, Step};
use delivery::release::Commit;
use delivery::snapshot::Serving;
use delivery::spec::Access;
use delivery::state::StateRecord;
use delivery::traffic::{Destination, TrafficSplit};
use delivery::verdict::Evidence;
use tokio::time::Instant;

use super::failure::Failure;
use super::seam::UnderTest;
use super::undo::Back;
use super::watch::Share;
use super::{Execution, Stop};
use crate::gcp::run::{Change, Live, WriteError};

/// How long a write under way is waited for when the run must end: its outcome decides the way back.
const SEND_GRACE: Duration = Duration::from_secs(2);
/// How often long work says that it goes on.
const PROGRESS: Duration = Duration::from_secs(10);
/// How long an address may be missing after its tag is in effect.
const ADDRESS_GRACE: Duration = Duration::from_secs(10);

/// Where a check is sent to.
pub(super) struct Place {
    pub(super) url: String,
    /// `None` when no ID token is needed.
    pub(super) audience: Option<String>,
}

impl<'a> Execution<'a> {
    /// Does the step; gives its result in one line.
    pub(super) async fn step(&mut self, step: &'a Step) -> Result<String, Failure> {
        match &step.action {
            Action::CreateService { revision, state } => {
                let change = Change {
                    create: true,
                    access: Some(Access::Private),
                    ..new_revision(revision, None, state)
                };
                self.deploy(step, change, revision).await
            }
            Action::DeployCandidate {
                revision,
                traffic,
                state,
                access,
            } => {
                let change = Change {
                    access: *access,
                    ..new_revision(revision, Some(traffic), state)
                };
                self.deploy(step, change, revision).await
            }
            Action::TagRevision {
                revision,
                is_ready,
                traffic,
                state,
                access,
            } => {
                let change = Change {
                    expects: Some(revision).filter(|_| !is_ready),
                    traffic: Some(traffic),
                    access: *access,
                    ..record_only(state)
                };
                let live = self.write(step, change, "tag").await?;
                Ok(with_address(&live, revision))
            }
            Action::Verify {
                revision,
                address,
                commit,
            } => {
                self.undo = &step.undo;
                self.verify(revision, address, commit.as_ref()).await
            }
            Action::ShiftTraffic {
                revision: _,
                traffic,
                state,
                access,
            } => {
                let change = Change {
                    traffic: Some(traffic),
                    access: *access,
                    ..record_only(state)
                };
                let live = self.write(step, change, "traffic").await?;
                Ok(serving_in_words(&live.serving))
            }
            Action::Watch {
                revision,
                tag,
                serving,
                percent,
                next,
                soak,
                on_inconclusive,
            } => {
                self.undo = &step.undo;
                let share = Share {
                    revision,
                    tag,
                    serving,
                    percent: *percent,
                    soak: *soak,
                };
                let at = Watched {
                    next: *next,
                    on_inconclusive: *on_inconclusive,
                    held: 0,
                };
                self.watch(share, at).await
            }
            Action::Confirm { revision, commit } => {
                self.undo = &step.undo;
                self.confirm(revision, commit.as_ref()).await
            }
            Action::Record { state } => self.record(step, state).await,
            Action::Restore {
                traffic,
                state,
                access,
            } => {
                // What is to be restored is due before its first write too.
                self.undo = &step.undo;
                let change = Change {
                    traffic: traffic.as_ref(),
                    access: *access,
                    ..record_only(state)
                };
                let live = self.write(step, change, "restore").await?;
                Ok(match traffic {
                    Some(_) => serving_in_words(&live.serving),
                    None => closed_in_words(&live.serving),
                })
            }
        }
    }

    /// Writes the record. With one that closes the rollout accepted, it is over: nothing is left to be
    /// stopped, nor to be undone if that record is slow to take effect, as it changes nothing that
    /// serves.
    async fn record(&mut self, step: &'a Step, state: &'a StateRecord) -> Result<String, Failure> {
        let written = self.write(step, record_only(state), "record").await;
        let is_over = state.intent.is_none() && self.accepted.as_ref() == Some(state);
        match written {
            Ok(_) => {}
            Err(
                Failure::Stopped(Stop::Cancelled | Stop::Deadline)
                | Failure::NotReady { .. }
                | Failure::Problem(_),
            ) if is_over => {}
            Err(failure) => return Err(failure),
        }
        Ok(match (&state.intent, state.healthy.first()) {
            (Some(intent), _) => format!("`{}` passed and waits", intent.revision),
            (None, Some(newest)) => format!("`{}` is recorded healthy", newest.revision),
            (None, None) => "recorded".to_owned(),
        })
    }

    async fn deploy(
        &mut self,
        step: &'a Step,
        change: Change<'a>,
        revision: &NewRevision,
    ) -> Result<String, Failure> {
        let name = &revision.record.revision;
        let live = self.write(step, change, name.as_str()).await?;
        Ok(with_address(&live, name))
    }

    /// Sends the write, then waits until it is in effect.
    async fn write(
        &mut self,
        step: &'a Step,
        change: Change<'a>,
        what: &str,
    ) -> Result<Live, Failure> {
        let started = Instant::now();
        let failure = |error, started: Instant| match error {
            WriteError::Conflict => Failure::Conflict,
            WriteError::NotReady(text) => Failure::NotReady {
                text,
                seconds: started.elapsed().as_secs(),
            },
            WriteError::Failed(problem) | WriteError::Unknown(problem) => Failure::Problem(problem),
        };
        let sent = {
            let mut send = self.cloud.send(&change);
            tokio::select! {
                biased;
                stop = self.guard.stopped() => {
                    Err((stop, tokio::time::timeout(SEND_GRACE, &mut send).await.ok()))
                }
                sent = &mut send => Ok(sent),
            }
        };
        let outcome = match &sent {
            Ok(sent) => Some(sent),
            Err((_, sent)) => sent.as_ref(),
        };
        // Accepted, or perhaps accepted: from here on this step's own undo is the right one.
        if !matches!(
            outcome,
            Some(Err(WriteError::Failed(_) | WriteError::Conflict))
        ) {
            self.undo = &step.undo;
            let before = self.own_traffic.last().map(|(_, split)| split.clone());
            let traffic = written_traffic(&change).or(before);
            let record = change.state;
            self.own_traffic
                .extend(traffic.map(|split| (Some(record.clone()), split)));
            self.own_records.push(record.clone());
        }
        if let Some(Ok(_)) = outcome {
            // Our own record stands from now on.
            self.taken_over = None;
            self.began = change.state.intent.is_some();
            self.accepted = Some(change.state.clone());
        }
        let pending = match sent {
            Err((stop, _)) => return Err(Failure::Stopped(stop)),
            Ok(sent) => sent.map_err(|error| failure(error, started))?,
        };
        let settled = tokio::select! {
            biased;
            stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
            settled = self.cloud.settle(&pending) => settled,
            never = tick(self.sink, what) => match never {},
        };
        let live = match settled {
            Err(WriteError::Conflict) => self.overtaken(&change).await?,
            settled => settled.map_err(|error| failure(error, started))?,
        };
        self.live = Some(live.clone());
        if written_traffic(&change).is_some() {
            self.moved.at = Instant::now();
        }
        Ok(live)
    }

    /// Somebody wrote after a write of this run that was accepted. Where that one closes the record and
    /// stands, with the traffic as it was left, the run goes on: nothing is left to be planned anew, and
    /// no intent is left by which a new plan could tell what served before.
    async fn overtaken(&mut self, change: &Change<'_>) -> Result<Live, Failure> {
        if change.state.intent.is_some() {
            return Err(Failure::Conflict);
        }
        let stands = Back {
            traffic: self.own_traffic.last().map(|(_, split)| split),
            state: change.state.clone(),
            access: change.access,
        };
        let read = tokio::select! {
            biased;
            stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
            read = self.cloud.reload() => read.ok().flatten(),
        };
        // Recorded, and the next run has begun upon it.
        let revision = &self.plan.revision;
        let is_built_upon = |live: &Live| {
            let entry = super::record(live).and_then(|record| record.healthy_entry(revision));
            let serves = live.traffic.percent_of(revision) == 100;
            serves && entry.is_some_and(|entry| entry.run == self.plan.run)
        };
        read.filter(|live| stands.is_led_to(live) || is_built_upon(live))
            .ok_or(Failure::Conflict)
    }

    async fn verify(
        &mut self,
        revision: &RevisionName,
        address: &Address,
        commit: Option<&Commit>,
    ) -> Result<String, Failure> {
        let place = self.place(address).await?;
        if let Address::Tag(_) = address {
            self.tag_url = Some(place.url.clone());
        }
        let serving = match address {
            Address::Tag(_) => self
                .live
                .as_ref()
                .and_then(|live| other_serves(live, revision)),
            Address::Service => None,
        };
        let until = match address {
            Address::Service => self.lags_until(revision, commit),
            Address::Tag(_) => serving.as_ref().and_then(|_| self.split_until(revision)),
        };
        self.await_callers(until).await?;
        let what = UnderTest {
            url: &place.url,
            audience: place.audience.as_deref(),
            commit,
            serving: serving.as_deref(),
        };
        let evidence = tokio::select! {
            biased;
            stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
            evidence = self.verifier.verify(&what) => evidence,
        };
        let judged = judge_gates(revision.as_str(), &evidence);
        let (passed, cases) = evidence
            .iter()
            .map(Evidence::passed_of)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        self.evidence.extend(evidence);
        match judged {
            Ok(()) => Ok(format!("{passed} of {cases} cases passed at {}", place.url)),
            Err(problem) => Err(Failure::Problem(self.with_obstacle(problem))),
        }
    }

    /// What kept the tests from being decided says more than that they were not.
    pub(super) fn with_obstacle(&self, mut problem: Box<Diagnostic>) -> Box<Diagnostic> {
        if let Some(obstacle) = self.verifier.obstacle() {
            problem.cause = std::iter::once(obstacle.title)
                .chain(obstacle.cause)
                .collect();
            problem.help = obstacle.help;
        }
        problem
    }

    /// The address, as the cloud answered it. It may come a moment after the tag.
    pub(super) async fn place(&mut self, address: &Address) -> Result<Place, Failure> {
        let until = Instant::now() + ADDRESS_GRACE;
        let mut pause = Duration::from_millis(100);
        loop {
            if let Some(place) = self.live.as_ref().and_then(|live| place_in(live, address)) {
                return Ok(place);
            }
            if Instant::now() >= until {
                let diagnostic = Diagnostic::error(
                    Code::CloudFailed,
                    format!("Cloud Run gives no address for {}", in_words(address)),
                )
                .help("check that the service's default URL is not disabled");
                return Err(Failure::Problem(Box::new(diagnostic)));
            }
            tokio::select! {
                biased;
                stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(1));
            let read = tokio::select! {
                biased;
                stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
                read = self.cloud.read() => read,
            };
            self.live = read.map_err(|problem| Failure::Problem(Box::new(problem)))?;
        }
    }
}

fn new_revision<'a>(
    revision: &'a NewRevision,
    traffic: Option<&'a TrafficSplit>,
    state: &'a StateRecord,
) -> Change<'a> {
    Change {
        revision: Some(revision),
        traffic,
        ..record_only(state)
    }
}

/// A change of nothing but the record.
pub(super) fn record_only(state: &StateRecord) -> Change<'_> {
    Change {
        create: false,
        revision: None,
        expects: None,
        traffic: None,
        state,
        access: None,
    }
}

/// The traffic that the service has after this change.
fn written_traffic(change: &Change<'_>) -> Option<TrafficSplit> {
    match change.traffic {
        Some(split) => Some(split.clone()),
        None if change.create => Some(TrafficSplit::all_to(Destination::Latest, Vec::new())),
        None => None,
    }
}

fn with_address(live: &Live, revision: &RevisionName) -> String {
    let own = live
        .serving
        .iter()
        .find(|entry| entry.revision == *revision && entry.uri.is_some());
    let address = own
        .and_then(|entry| entry.uri.as_ref())
        .or(live.uri.as_ref());
    match address {
        Some(address) => format!("`{revision}` is ready at {address}"),
        None => format!("`{revision}` is ready"),
    }
}

fn place_in(live: &Live, address: &Address) -> Option<Place> {
    let base = live.uri.clone()?;
    let url = match address {
        Address::Service => base.clone(),
        Address::Tag(tag) => tag_uri(live, tag)?,
    };
    Some(Place {
        url,
        // Also for a tag's address the audience is the service's.
        audience: (!live.invoker_check_off).then_some(base),
    })
}

/// The service's address, when another revision serves there.
fn other_serves(live: &Live, revision: &RevisionName) -> Option<String> {
    let other = |entry: &Serving| entry.percent > 0 && entry.revision != *revision;
    let alone = !live.serving.iter().any(other);
    live.uri.clone().filter(|_| !alone)
}

fn tag_uri(live: &Live, tag: &TagName) -> Option<String> {
    let entry = live
        .serving
        .iter()
        .find(|entry| entry.tag.as_ref() == Some(tag))?;
    entry.uri.clone()
}

fn in_words(address: &Address) -> String {
    match address {
        Address::Service => "the service".to_owned(),
        Address::Tag(tag) => format!("the tag `{tag}`"),
    }
}

/// Says from time to time that work goes on. Never returns.
pub(super) async fn tick(sink: &dyn EventSink, what: &str) -> std::convert::Infallible {
    let started = Instant::now();
    loop {
        tokio::time::sleep(PROGRESS).await;
        sink.emit(Event::Progress {
            what: what.to_owned(),
            done: started.elapsed().as_secs(),
            total: None,
            unit: Unit::Seconds,
        });
    }
}
