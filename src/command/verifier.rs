//! Tests a deployed address: waits for our release to answer, then runs the suite.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::release::Commit;
use delivery::target::Target;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};

use crate::execute::{Identity, Verifier};
use crate::gcp::advice::{self, Facts};
use crate::gcp::auth::TokenSource;
use crate::gcp::run::RunReader;
use crate::secret::Secret;
use crate::verify::{self, Awaited, Caller, GATE, Suite};

/// How long a new address may take to answer as the release it belongs to. Cloud Run's front ends
/// learn of a new tag within seconds; a model that loads on its first request takes longer.
const ANSWER_GRACE: Duration = Duration::from_secs(120);

/// How long a new address may take to answer with its refusal.
const REFUSAL_GRACE: Duration = Duration::from_secs(20);

/// Tests deployed addresses of one environment.
pub(super) struct DeployedVerifier {
    pub(super) tokens: Arc<dyn TokenSource>,
    pub(super) suite: Suite,
    pub(super) health_path: String,
    /// `None` where the API tells no version.
    pub(super) version_path: Option<String>,
    pub(super) sink: Arc<dyn EventSink>,
    /// Where the tested service is, and how to ask who may call it.
    pub(super) reader: RunReader,
    pub(super) target: Target,
    /// What kept the last test from being decided.
    pub(super) obstacle: Mutex<Option<Diagnostic>>,
}

impl DeployedVerifier {
    async fn caller(&self, base_url: &str, audience: Option<&str>) -> Result<Caller, Diagnostic> {
        let bearer: Option<Secret> = match audience {
            Some(audience) => Some(self.tokens.id_token(audience).await?),
            None => None,
        };
        Caller::new(base_url, bearer)
    }

    /// Nothing can be said about the candidate, because of something else.
    fn undecided(&self, name: &str, obstacle: Diagnostic) -> Evidence {
        let why = in_words(&obstacle);
        let mut kept = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(obstacle);
        drop(kept);
        self.single(name, CaseEnd::Undecided(why), 0)
    }

    /// That this identity may not call the service: IAM says so, and the service refuses it. A
    /// refusal alone may be that of a grant that is not in effect yet, which is waited for.
    async fn refused(&self, caller: &Caller, awaited: &Awaited) -> Option<Diagnostic> {
        if self.reader.may_invoke(&self.target).await.ok()? {
            return None;
        }
        let path = awaited.path();
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

    /// One case that tells how it ended before the suite began.
    fn single(&self, name: &str, end: CaseEnd, millis: u64) -> Evidence {
        let case = CaseResult {
            name: name.to_owned(),
            end,
            millis,
        };
        self.sink.emit(Event::CaseFinished(case.clone()));
        Evidence {
            gate: GATE.to_owned(),
            cases: vec![case],
        }
    }
}

#[async_trait]
impl Verifier for DeployedVerifier {
    async fn verify(
        &self,
        base_url: &str,
        audience: Option<&str>,
        commit: Option<&Commit>,
    ) -> Evidence {
        let caller = match self.caller(base_url, audience).await {
            Ok(caller) => caller,
            // Without a token nothing can be said about the candidate.
            Err(error) => return self.undecided("ID token", error),
        };
        let awaited = match (&self.version_path, commit) {
            (Some(path), Some(commit)) => Awaited::Commit {
                path: path.clone(),
                commit: commit.clone(),
            },
            _ => Awaited::Success {
                path: self.health_path.clone(),
            },
        };
        if audience.is_some()
            && let Some(refused) = self.refused(&caller, &awaited).await
        {
            return self.undecided("may call the service", refused);
        }
        match verify::wait_until_answers(&caller, &awaited, ANSWER_GRACE, self.sink.as_ref()).await
        {
            Ok(_) => verify::run_suite(&self.suite, &caller, self.sink.as_ref()).await,
            Err(error) => {
                let millis = u64::try_from(ANSWER_GRACE.as_millis()).unwrap_or(u64::MAX);
                let why = [vec![error.title], error.cause].concat();
                self.single("answers as the release", CaseEnd::Failed(why), millis)
            }
        }
    }

    fn obstacle(&self) -> Option<Diagnostic> {
        let obstacle = self.obstacle.lock();
        obstacle.unwrap_or_else(PoisonError::into_inner).clone()
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
