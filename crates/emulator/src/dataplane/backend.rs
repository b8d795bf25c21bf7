//! A revision that can serve: its instances are started for requests, and ended when none comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::pool::{Entry, Limits, Pool};
use crate::admin::Clock;
use crate::logging::{RevisionLabels, Severity};
use crate::run::{Failure, InstancePlan, ServiceKey};
use crate::runtime::{Check, Exit, Instance, LogSink, ProbeOutcome, StartFailure, probe};
use crate::world::World;

/// Longest time of one request where the template says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a request waits for room when there can be no more instances (Cloud Run: about ten
/// seconds).
const QUEUE: Duration = Duration::from_secs(10);

/// A revision that can serve.
pub(crate) struct Backend {
    key: ServiceKey,
    labels: RevisionLabels,
    /// Why it cannot be started, if it cannot: after a restart a secret may be gone.
    plan: Result<InstancePlan, Failure>,
    pool: Pool,
    /// True while traffic, a tag or a rollout needs it.
    referred: AtomicBool,
}

/// A place in an instance. The instance is not ended before it is given back.
pub(crate) struct Lease {
    backend: Arc<Backend>,
    instance: Arc<dyn Instance>,
    clock: Clock,
}

impl Lease {
    pub(crate) fn address(&self) -> SocketAddr {
        self.instance.address()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.backend.pool.give_back(&self.instance, now);
    }
}

/// Why a request gets no instance.
#[derive(Debug, Clone)]
pub(crate) enum NoInstance {
    /// All are full, and there can be no more.
    Busy,
    /// None could be started.
    Failed(Failure),
}

/// Counts a request among those that wait.
struct Waiting<'b>(&'b Backend);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pool.lock().waiting -= 1;
        self.0.pool.changed.notify_waiters();
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
            pool: Pool::default(),
            referred: AtomicBool::new(false),
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

    /// Makes sure that an instance runs.
    ///
    /// # Errors
    /// Why none became ready.
    pub(crate) async fn ensure(self: &Arc<Self>, world: &Arc<World>) -> Result<(), Failure> {
        if self.pool.lock().has_running() {
            return Ok(());
        }
        match self.acquire(world).await {
            Ok(_) | Err(NoInstance::Busy) => Ok(()),
            Err(NoInstance::Failed(failure)) => Err(failure),
        }
    }

    /// A place in an instance. Starts one where there is no room, and waits for it.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn acquire(self: &Arc<Self>, world: &Arc<World>) -> Result<Lease, NoInstance> {
        let plan = self.plan.as_ref();
        let limits = plan.map_err(|failure| NoInstance::Failed(failure.clone()))?;
        let limits = Limits {
            concurrency: limits.concurrency,
            instances: limits.max_instances.min(world.config.max_instances).max(1),
        };
        let mut waiting = None;
        let known_failures = self.pool.lock().failures;
        let queue = world.clock.sleep(QUEUE);
        tokio::pin!(queue);
        loop {
            let changed = self.pool.changed.notified();
            tokio::pin!(changed);
            // Registered before the look at the pool, so that no change is missed.
            changed.as_mut().enable();
            let is_starting = {
                let mut state = self.pool.lock();
                if let Some(instance) = state.take(limits) {
                    return Ok(Lease {
                        backend: Arc::clone(self),
                        instance,
                        clock: world.clock.clone(),
                    });
                }
                if let (true, Some(failure)) = (state.failures > known_failures, &state.failure) {
                    return Err(NoInstance::Failed(failure.clone()));
                }
                if waiting.is_none() {
                    state.waiting += 1;
                    waiting = Some(Waiting(self));
                }
                if state.wants_another(limits) {
                    state.starting += 1;
                    self.start_in_background(world);
                }
                state.starting > 0
            };
            tokio::select! {
                () = changed => {}
                () = &mut queue, if !is_starting => return Err(NoInstance::Busy),
                () = world.closing.cancelled() => return Err(NoInstance::Failed(stopping())),
            }
        }
    }

    /// In a task of its own: a caller that goes away must not leave half a start behind. The task is
    /// waited for when the local cloud stops, so that no container comes up after that.
    fn start_in_background(self: &Arc<Self>, world: &Arc<World>) {
        let (backend, in_world) = (Arc::clone(self), Arc::clone(world));
        world.spawn_to_end(async move {
            let started = backend.start(&in_world).await;
            let mut state = backend.pool.lock();
            state.starting -= 1;
            match started {
                Ok(instance) => {
                    state.entries.push(Entry {
                        instance: Arc::clone(&instance),
                        in_flight: 0,
                        idle_since: in_world.clock.now(),
                    });
                    let (keeper, its_world) = (Arc::clone(&backend), Arc::clone(&in_world));
                    in_world.spawn(async move { keeper.keep(&its_world, &instance).await });
                }
                Err(failure) => {
                    state.failures += 1;
                    state.failure = Some(failure);
                }
            }
            drop(state);
            backend.pool.changed.notify_waiters();
        });
    }

    async fn start(&self, world: &Arc<World>) -> Result<Arc<dyn Instance>, Failure> {
        if world.closing.is_cancelled() {
            return Err(stopping());
        }
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        let runtime = &world.config.runtime;
        let instance = runtime
            .start(&plan.spec, self.sink(world), &world.closing)
            .await
            .map_err(|failure| self.start_failure(plan, failure))?;
        let outcome = tokio::select! {
            outcome = probe(&plan.probe, instance.address(), instance.exit(), &world.clock) => outcome,
            () = world.closing.cancelled() => return Err(stopping()),
        };
        self.note_probe(world, plan, outcome);
        match outcome {
            ProbeOutcome::Passed { .. } => Ok(Arc::from(instance)),
            ProbeOutcome::Failed { .. } | ProbeOutcome::Exited(_) => {
                // Not waited for: a container that does not mind SIGTERM takes ten seconds.
                world.spawn(async move { instance.stop().await });
                Err(self.unhealthy(plan, outcome))
            }
        }
    }

    /// Waits until an instance has ended, or has had no request for the idle time; removes it.
    async fn keep(self: Arc<Self>, world: &Arc<World>, instance: &Arc<dyn Instance>) {
        let idle = world.config.idle;
        let mut exit = instance.exit();
        let mut pause = idle;
        loop {
            tokio::select! {
                biased;
                exit = exit.wait_for(Option::is_some) => {
                    if let Ok(Some(exit)) = exit.map(|exit| *exit) {
                        let limit = self.plan.as_ref().map_or(0, |plan| plan.spec.memory_bytes);
                        let (severity, text) = exit_line(exit, limit);
                        let now = world.clock.now();
                        world.logging.system(&self.labels, severity, &text, now);
                    }
                    self.pool.lock().remove(instance);
                    break;
                }
                () = world.clock.sleep(pause) => {}
            }
            let least = self.least_instances(world);
            let mut state = self.pool.lock();
            let is_spare = state.entries.len() > least;
            let Some(entry) = state.entry(instance) else {
                // Somebody else has taken it out, and ends it.
                return;
            };
            let idle_for = (world.clock.now() - entry.idle_since).to_std();
            let idle_for = idle_for.unwrap_or_default();
            if entry.in_flight == 0 && idle_for >= idle && is_spare {
                state.remove(instance);
                break;
            }
            pause = match idle.saturating_sub(idle_for) {
                left if entry.in_flight == 0 && !left.is_zero() => left,
                _ => idle,
            };
        }
        self.pool.changed.notify_waiters();
        instance.stop().await;
    }

    /// How many instances are kept without a request.
    fn least_instances(&self, world: &World) -> usize {
        if !self.referred.load(Ordering::Acquire) {
            return 0;
        }
        let of_revision = self.plan.as_ref().map_or(0, |plan| plan.min_instances);
        of_revision.max(world.run.min_instances(&self.key))
    }

    /// Waits until no request is left, then ends the instances, unless they are needed again.
    pub(crate) async fn drain(&self) {
        let ended: Vec<Entry> = loop {
            let changed = self.pool.changed.notified();
            tokio::pin!(changed);
            // Registered before the look at the pool, so that no change is missed.
            changed.as_mut().enable();
            {
                let mut state = self.pool.lock();
                if !state.is_in_use() {
                    if self.referred.load(Ordering::Acquire) {
                        return;
                    }
                    break std::mem::take(&mut state.entries);
                }
            }
            changed.await;
        };
        for entry in ended {
            entry.instance.stop().await;
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
