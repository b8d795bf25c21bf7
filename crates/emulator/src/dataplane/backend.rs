//! The instance of a revision: started when it is needed, ended when nothing needs it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, oneshot};

use crate::logging::{RevisionLabels, Severity};
use crate::run::{Failure, InstancePlan, ServiceKey};
use crate::runtime::{Check, Exit, Instance, LogSink, ProbeOutcome, StartFailure, probe};
use crate::world::World;

/// Longest time of one request where the template says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// A revision that can serve, with at most one instance.
pub(crate) struct Backend {
    key: ServiceKey,
    labels: RevisionLabels,
    /// Why it cannot be started, if it cannot: after a restart a secret may be gone.
    plan: Result<InstancePlan, Failure>,
    running: Mutex<Option<Box<dyn Instance>>>,
    /// True while traffic, a tag or a rollout needs it.
    referred: AtomicBool,
    in_flight: AtomicUsize,
    idle: Notify,
}

/// Holds an instance while a request is in it.
pub(crate) struct InFlight(Arc<Backend>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Backend {
    /// For a rollout that starts the first instance now.
    pub(crate) fn new(key: &ServiceKey, revision: &str, plan: InstancePlan) -> Self {
        let backend = Self::asleep(key, revision, Ok(plan));
        backend.refer();
        backend
    }

    /// Without an instance until a request comes.
    pub(crate) fn asleep(
        key: &ServiceKey,
        revision: &str,
        plan: Result<InstancePlan, Failure>,
    ) -> Self {
        Self {
            key: key.clone(),
            labels: RevisionLabels {
                project: key.project.clone(),
                location: key.location.clone(),
                service: key.service.clone(),
                revision: revision.to_owned(),
            },
            plan,
            running: Mutex::new(None),
            referred: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    pub(crate) fn revision(&self) -> &str {
        &self.labels.revision
    }

    pub(crate) fn labels(&self) -> &RevisionLabels {
        &self.labels
    }

    /// Longest time of one request.
    pub(crate) fn timeout(&self) -> Duration {
        let plan = self.plan.as_ref();
        plan.map_or(DEFAULT_TIMEOUT, |plan| plan.timeout)
    }

    /// Says that the instance is needed from now on.
    pub(crate) fn refer(&self) {
        self.referred.store(true, Ordering::Release);
    }

    /// Says that the instance is needed no more.
    pub(crate) fn unrefer(&self) {
        self.referred.store(false, Ordering::Release);
    }

    /// Counts a request in; the instance is not ended before the request is.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }

    /// The address of a running instance; starts one where there is none.
    ///
    /// # Errors
    /// Why no instance became ready.
    pub(crate) async fn ensure(
        self: &Arc<Self>,
        world: &Arc<World>,
    ) -> Result<SocketAddr, Failure> {
        if let Some(address) = running(self.running.lock().await.as_deref()) {
            return Ok(address);
        }
        // In a task of its own: a caller that goes away must not leave half a start behind. The
        // task is waited for when the local cloud stops, so that no container comes up after that.
        let (told, outcome) = oneshot::channel();
        let (backend, in_world) = (Arc::clone(self), Arc::clone(world));
        world.spawn_to_end(async move {
            let _ = told.send(backend.start(&in_world).await);
        });
        outcome.await.unwrap_or_else(|_| Err(stopping()))
    }

    async fn start(&self, world: &Arc<World>) -> Result<SocketAddr, Failure> {
        let mut slot = self.running.lock().await;
        if let Some(address) = running(slot.as_deref()) {
            return Ok(address);
        }
        if let Some(ended) = slot.take() {
            ended.stop().await;
        }
        if world.closing.is_cancelled() {
            return Err(stopping());
        }
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        let runtime = &world.config.runtime;
        let instance = runtime
            .start(&plan.spec, self.sink(world))
            .await
            .map_err(|failure| self.start_failure(plan, failure))?;
        let address = instance.address();
        let outcome = tokio::select! {
            outcome = probe(&plan.probe, address, instance.exit(), &world.clock) => outcome,
            () = world.closing.cancelled() => return Err(stopping()),
        };
        self.note_probe(world, plan, outcome);
        match outcome {
            ProbeOutcome::Passed { .. } => {
                self.watch(world, instance.as_ref());
                *slot = Some(instance);
                Ok(address)
            }
            ProbeOutcome::Failed { .. } | ProbeOutcome::Exited(_) => {
                // Not waited for: a container that does not mind SIGTERM takes ten seconds.
                world.spawn(async move { instance.stop().await });
                Err(self.unhealthy(plan, outcome))
            }
        }
    }

    /// Waits until no request is left, then ends the instance, unless it is needed again.
    pub(crate) async fn drain(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the look at the counter, so that the last exit is not missed.
            idle.as_mut().enable();
            if self.in_flight.load(Ordering::Acquire) > 0 {
                idle.await;
                continue;
            }
            let mut slot = self.running.lock().await;
            if self.referred.load(Ordering::Acquire) {
                return;
            }
            if self.in_flight.load(Ordering::Acquire) == 0 {
                if let Some(instance) = slot.take() {
                    instance.stop().await;
                }
                return;
            }
        }
    }

    fn sink(&self, world: &Arc<World>) -> LogSink {
        let world = Arc::downgrade(world);
        let labels = self.labels.clone();
        Arc::new(move |source, line| {
            if let Some(world) = world.upgrade() {
                world.logging.line(&labels, source, line, world.clock.now());
            }
        })
    }

    /// Notes it in the log when an instance that serves ends by itself.
    fn watch(&self, world: &Arc<World>, instance: &dyn Instance) {
        let mut exit = instance.exit();
        let (weak, labels) = (Arc::downgrade(world), self.labels.clone());
        let limit = self.plan.as_ref().map_or(0, |plan| plan.spec.memory_bytes);
        tokio::spawn(async move {
            let Ok(Some(exit)) = exit.wait_for(Option::is_some).await.map(|exit| *exit) else {
                return;
            };
            if let Some(world) = weak.upgrade() {
                let (severity, text) = exit_line(exit, limit);
                let now = world.clock.now();
                world.logging.system(&labels, severity, &text, now);
            }
        });
    }

    fn start_failure(&self, plan: &InstancePlan, failure: StartFailure) -> Failure {
        match failure {
            StartFailure::ImageNotFound(_) => Failure::image_missing(&plan.image),
            StartFailure::NotExecutable(_) => {
                Failure::not_listening(&self.key, self.revision(), plan.spec.port)
            }
            StartFailure::Engine(cause) => Failure::internal(&cause),
        }
    }

    /// A crash and a missed default probe have the same text; a missed own probe has its own.
    fn unhealthy(&self, plan: &InstancePlan, outcome: ProbeOutcome) -> Failure {
        let crashed = matches!(outcome, ProbeOutcome::Exited(_));
        if plan.probe.configured && !crashed {
            return Failure::probe_failed(&self.key, self.revision());
        }
        Failure::not_listening(&self.key, self.revision(), plan.spec.port)
    }

    fn note_probe(&self, world: &Arc<World>, plan: &InstancePlan, outcome: ProbeOutcome) {
        let InstancePlan {
            probe,
            spec,
            container,
            ..
        } = plan;
        let origin = if probe.configured { "" } else { "Default " };
        let (kind, path) = match &probe.check {
            Check::Tcp => ("TCP", String::new()),
            Check::Http { path, .. } => ("HTTP", format!(" path \"{path}\"")),
        };
        let place = format!("for container \"{container}\" on port {}{path}.", spec.port);
        let (severity, text) = match outcome {
            ProbeOutcome::Passed { attempts } => {
                let s = if attempts == 1 { "" } else { "s" };
                let text = format!(
                    "{origin}STARTUP {kind} probe succeeded after {attempts} attempt{s} {place}"
                );
                (Severity::Info, text)
            }
            ProbeOutcome::Failed { attempts } => {
                let s = if attempts == 1 { "" } else { "s" };
                let text = format!(
                    "{origin}STARTUP {kind} probe failed {attempts} time{s} consecutively {place}"
                );
                (Severity::Error, text)
            }
            ProbeOutcome::Exited(exit) => exit_line(exit, spec.memory_bytes),
        };
        let now = world.clock.now();
        world.logging.system(&self.labels, severity, &text, now);
    }
}

/// What the platform notes when an instance ends by itself.
fn exit_line(exit: Exit, limit: u64) -> (Severity, String) {
    let Exit { code, memory_used } = exit;
    let mib = |bytes: u64| bytes >> 20;
    match memory_used {
        Some(used) => {
            let text = format!(
                "Memory limit of {} MiB exceeded with {} MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits",
                mib(limit),
                mib(used)
            );
            (Severity::Error, text)
        }
        None => (Severity::Warning, format!("Container called exit({code}).")),
    }
}

fn stopping() -> Failure {
    Failure::internal("The local cloud stops.")
}

/// The address of an instance that has not ended.
fn running(instance: Option<&dyn Instance>) -> Option<SocketAddr> {
    let instance = instance?;
    let ended = instance.exit().borrow().is_some();
    (!ended).then(|| instance.address())
}
