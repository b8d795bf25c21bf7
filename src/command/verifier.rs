//! Tests a deployed address: runs the gates of its environment, identity first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::gate::{CANARY, IDENTITY, Mode};
use delivery::target::Target;
use delivery::verdict::{CaseEnd, Evidence};
use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::limits;
use super::session::Session;
use crate::execute::{Identity, UnderTest, UnderWatch, Verifier};
use crate::gcp::advice::{self, Facts};
use crate::gcp::auth::TokenSource;
use crate::gcp::run::RunReader;
use crate::inputs::{EnvironmentInputs, Wish};
use crate::secret::Secret;
use crate::verify::canary::{Callers, Canary, Watch};
use crate::verify::openapi::{ConformanceGate, SemverGate};
use crate::verify::{
    self, Caller, Gate, GateContext, GoldenGate, Graces, IdentityGate, Mask, SuiteGate,
};

/// How long a new address may take to answer with its refusal.
const REFUSAL_GRACE: Duration = Duration::from_secs(20);

/// Tests deployed addresses of one environment.
pub(super) struct DeployedVerifier {
    tokens: Arc<dyn TokenSource>,
    gates: Vec<Box<dyn Gate>>,
    /// What watches a candidate with a share of the traffic.
    canary: Canary,
    /// `None` where the API tells no version.
    version_path: Option<String>,
    /// The release's version, where a version is promoted.
    version: Option<String>,
    sink: Arc<dyn EventSink>,
    /// Where the tested service is, and how to ask who may call it.
    reader: RunReader,
    target: Target,
    /// The path that tells who answers, or that the service is healthy.
    path: String,
    /// Secrets of the test files.
    mask: Mask,
    /// What kept the last test from being decided.
    obstacle: Mutex<Option<Diagnostic>>,
}

/// The gates of the job's environment, in the order in which they run.
pub(super) fn gates(job: &Job<'_>) -> Vec<Box<dyn Gate>> {
    let environment = &job.environment;
    let identity = Box::new(IdentityGate {
        version_path: environment.version_path.clone(),
        health_path: environment.health_path.clone(),
        model_version: environment.model_version.clone(),
        graces: Graces::default(),
    });
    if job.inputs.command == Wish::Promote {
        // The planner lets pass only what passed all of them in an earlier step of this run.
        return vec![identity];
    }
    // Every other gate would start an instance.
    let mut gates: Vec<Box<dyn Gate>> = limits::cold_start(&environment.limits, &job.suites);
    gates.push(identity);
    gates.push(Box::new(SuiteGate {
        suites: job.suites.clone(),
    }));
    if GoldenGate::is_wanted(&job.suites) {
        gates.push(Box::new(GoldenGate {
            suites: job.suites.clone(),
        }));
    }
    gates.extend(document_gates(job));
    gates.extend(limits::under_load(&environment.limits, &job.suites));
    gates
}

/// The gates that read the API's OpenAPI document.
fn document_gates(job: &Job<'_>) -> Vec<Box<dyn Gate>> {
    let environment = &job.environment;
    let mut gates: Vec<Box<dyn Gate>> = Vec::new();
    let Some(openapi_path) = &environment.openapi_path else {
        return gates;
    };
    if environment.semver_gate != Mode::Off {
        gates.push(Box::new(SemverGate {
            mode: environment.semver_gate,
            openapi_path: openapi_path.clone(),
            version_path: environment.version_path.clone(),
        }));
    }
    if environment.conformance != Mode::Off {
        gates.push(Box::new(ConformanceGate {
            mode: environment.conformance,
            openapi_path: openapi_path.clone(),
        }));
    }
    gates
}

/// Takes what is measured at the target; of several regions, each is told apart.
fn sink_at(job: &Job<'_>, target: &Target) -> Arc<dyn EventSink> {
    if job.targets.len() > 1 {
        job.sink.at(target.region.as_str())
    } else {
        job.sink.clone()
    }
}

impl DeployedVerifier {
    /// One that asks who answers, and tests nothing.
    pub(super) fn of_identity(
        environment: &EnvironmentInputs,
        session: &Session,
        target: &Target,
        sink: Arc<dyn EventSink>,
    ) -> Self {
        let path = environment.version_path.as_ref();
        Self {
            reader: session.reader(),
            target: target.clone(),
            path: path.unwrap_or(&environment.health_path).clone(),
            mask: Mask::default(),
            obstacle: Mutex::default(),
            tokens: session.tokens.clone(),
            gates: Vec::new(),
            canary: limits::canary(&environment.traffic, &environment.limits, &[]),
            version_path: environment.version_path.clone(),
            version: None,
            sink,
        }
    }

    /// The verifier of the job's environment. `version` is that of the release, if it has one.
    pub(super) fn new(
        job: &Job<'_>,
        session: &Session,
        target: &Target,
        version: Option<String>,
    ) -> Self {
        Self {
            gates: gates(job),
            mask: Mask::default().and_of(&job.suites),
            canary: limits::canary(
                &job.environment.traffic,
                &job.environment.limits,
                &job.suites,
            ),
            version,
            ..Self::of_identity(&job.environment, session, target, sink_at(job, target))
        }
    }

    async fn caller(&self, base_url: &str, audience: Option<&str>) -> Result<Caller, Diagnostic> {
        let bearer: Option<Secret> = match audience {
            Some(audience) => Some(self.tokens.id_token(audience).await?),
            None => None,
        };
        let mut caller = Caller::new(base_url, bearer)?;
        caller.mask = caller.mask.and_mask(&self.mask);
        Ok(caller)
    }

    /// Nothing can be said about the candidate, because of something else.
    fn undecided(&self, gate: &'static str, name: &str, obstacle: Diagnostic) -> Evidence {
        let sink = self.sink.as_ref();
        sink.emit(Event::GateStarted { gate });
        let end = CaseEnd::Undecided(in_words(&obstacle));
        let evidence = Evidence::new(gate, vec![verify::case(sink, name, end, 0)]);
        sink.emit(Event::GateFinished(evidence.clone()));
        *self.kept_obstacle() = Some(obstacle);
        evidence
    }

    fn kept_obstacle(&self) -> MutexGuard<'_, Option<Diagnostic>> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That this identity may not call the service: IAM says so, and the service refuses it. A
    /// refusal alone may be that of a grant that is not in effect yet, which is waited for.
    async fn refused(&self, caller: &Caller) -> Option<Diagnostic> {
        if self.reader.may_invoke(&self.target).await.ok()? {
            return None;
        }
        let path = &self.path;
        if !verify::is_forbidden(caller, path, REFUSAL_GRACE).await {
            return None;
        }
        let Target {
            environment: _,
            project,
            region,
            service,
        } = &self.target;
        let facts = Facts::default()
            .with("project", project.to_string())
            .with("region", region.to_string())
            .with("service", service.to_string())
            .with("member", self.tokens.member().unwrap_or_default());
        let text = format!("GET {path} was answered 403 (run.routes.invoke)");
        let mut diagnostic = Diagnostic::error(
            Code::PermissionDenied,
            format!("`{service}` refuses the ID token: GET {path} is answered 403"),
        );
        if let Some(advice) = advice::for_text(&text, &facts) {
            diagnostic.cause.push(advice.cause);
            diagnostic.help.extend(advice.help);
        }
        Some(diagnostic)
    }

    async fn callers(&self, what: &UnderTest<'_>) -> Result<(Caller, Option<Caller>), Diagnostic> {
        let candidate = self.caller(what.url, what.audience).await?;
        let serving = match what.serving {
            // The audience is the service's own address, so the token is the same.
            Some(url) => Some(Caller::new(url, candidate.bearer.clone())?),
            None => None,
        };
        Ok((candidate, serving))
    }
}

/// A candidate and what serves beside it.
struct Both<'a> {
    verifier: &'a DeployedVerifier,
    candidate: &'a str,
    serving: &'a str,
    audience: Option<&'a str>,
}

#[async_trait]
impl Callers for Both<'_> {
    async fn both(&self) -> Result<(Caller, Caller), Diagnostic> {
        let candidate = self.verifier.caller(self.candidate, self.audience).await?;
        let serving = Caller::new(self.serving, candidate.bearer.clone())?;
        Ok((candidate, serving))
    }
}

#[async_trait]
impl Verifier for DeployedVerifier {
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence> {
        *self.kept_obstacle() = None;
        let sink = self.sink.as_ref();
        let (candidate, serving) = match self.callers(what).await {
            Ok(callers) => callers,
            // Without a token nothing can be said about the candidate.
            Err(error) => return vec![self.undecided(IDENTITY, "ID token", error)],
        };
        if what.audience.is_some()
            && let Some(refused) = self.refused(&candidate).await
        {
            return vec![self.undecided(IDENTITY, "may call the service", refused)];
        }
        let cancelled = CancellationToken::new();
        // Dropped with this future when the run stops: what the gates have spawned stops too.
        let _stop = cancelled.clone().drop_guard();
        let context = GateContext {
            candidate: &candidate,
            serving: serving.as_ref(),
            version: self.version.as_deref(),
            commit: what.commit,
            sink,
            cancelled,
        };
        verify::run_gates(&self.gates, &context).await
    }

    async fn watch(&self, what: &UnderWatch<'_>) -> Vec<Evidence> {
        let cancelled = CancellationToken::new();
        // Dropped with this future when the run stops: the loads stop too.
        let _stop = cancelled.clone().drop_guard();
        let callers = Both {
            verifier: self,
            candidate: what.candidate,
            serving: what.serving,
            audience: what.audience,
        };
        let watch = Watch {
            callers: &callers,
            percent: what.percent,
            soak: what.soak,
            held: what.held,
            sink: self.sink.as_ref(),
            cancelled,
        };
        match self.canary.watch(&watch).await {
            Ok(evidence) => vec![evidence],
            Err(obstacle) => vec![self.undecided(CANARY, "ID token", obstacle)],
        }
    }

    fn obstacle(&self) -> Option<Diagnostic> {
        self.kept_obstacle().clone()
    }

    fn tells_commit(&self) -> bool {
        self.version_path.is_some()
    }

    async fn identity(&self, base_url: &str, audience: Option<&str>) -> Option<Identity> {
        let path = self.version_path.as_deref()?;
        let caller = self.caller(base_url, audience).await.ok()?;
        let seen = verify::identity(&caller, path).await.ok()?;
        Some(Identity {
            commit: seen.commit?,
            version: seen.version,
        })
    }
}

fn in_words(error: &Diagnostic) -> String {
    [vec![error.title.clone()], error.cause.clone()]
        .concat()
        .join(": ")
}
