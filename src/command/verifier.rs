//! Tests a deployed address: runs the gates of its environment, identity first.

use std::sync::Arc;

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::gate::{IDENTITY, Mode};
use delivery::verdict::{CaseEnd, Evidence};
use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::session::Session;
use crate::execute::{Identity, UnderTest, Verifier};
use crate::gcp::auth::TokenSource;
use crate::secret::Secret;
use crate::verify::openapi::{ConformanceGate, SemverGate};
use crate::verify::{self, Caller, Gate, GateContext, GoldenGate, Graces, IdentityGate, SuiteGate};

/// Tests deployed addresses of one environment.
pub(super) struct DeployedVerifier {
    tokens: Arc<dyn TokenSource>,
    gates: Vec<Box<dyn Gate>>,
    /// `None` where the API tells no version.
    version_path: Option<String>,
    /// The release's version, where a version is promoted.
    version: Option<String>,
    sink: Arc<dyn EventSink>,
}

/// The gates of the job's environment, in the order in which they run.
pub(super) fn gates(job: &Job<'_>) -> Vec<Box<dyn Gate>> {
    let environment = &job.environment;
    let mut gates: Vec<Box<dyn Gate>> = vec![
        Box::new(IdentityGate {
            version_path: environment.version_path.clone(),
            health_path: environment.health_path.clone(),
            model_version: environment.model_version.clone(),
            graces: Graces::default(),
        }),
        Box::new(SuiteGate {
            suites: job.suites.clone(),
        }),
    ];
    if GoldenGate::is_wanted(&job.suites) {
        gates.push(Box::new(GoldenGate {
            suites: job.suites.clone(),
        }));
    }
    gates.extend(document_gates(job));
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

impl DeployedVerifier {
    /// The verifier of the job's environment. `version` is that of the release, if it has one.
    pub(super) fn new(job: &Job<'_>, session: &Session, version: Option<String>) -> Self {
        Self {
            tokens: session.tokens.clone(),
            gates: gates(job),
            version_path: job.environment.version_path.clone(),
            version,
            sink: job.sink.clone(),
        }
    }

    async fn caller(&self, base_url: &str, audience: Option<&str>) -> Result<Caller, Diagnostic> {
        let bearer: Option<Secret> = match audience {
            Some(audience) => Some(self.tokens.id_token(audience).await?),
            None => None,
        };
        Caller::new(base_url, bearer)
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

#[async_trait]
impl Verifier for DeployedVerifier {
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence> {
        let sink = self.sink.as_ref();
        let (candidate, serving) = match self.callers(what).await {
            Ok(callers) => callers,
            // Without a token nothing can be said about the candidate.
            Err(error) => {
                sink.emit(Event::GateStarted { gate: IDENTITY });
                let end = CaseEnd::Undecided(in_words(&error));
                let evidence =
                    Evidence::new(IDENTITY, vec![verify::case(sink, "ID token", end, 0)]);
                sink.emit(Event::GateFinished(evidence.clone()));
                return vec![evidence];
            }
        };
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
