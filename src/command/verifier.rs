//! Tests a deployed address: waits for our release to answer, then runs the suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::release::Commit;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};

use crate::execute::{Identity, Verifier};
use crate::gcp::auth::TokenSource;
use crate::secret::Secret;
use crate::verify::{self, Awaited, Caller, GATE, Suite};

/// How long a new address may take to answer as the release it belongs to. Cloud Run's front ends
/// learn of a new tag within seconds; a model that loads on its first request takes longer.
const ANSWER_GRACE: Duration = Duration::from_secs(120);

/// Tests deployed addresses of one environment.
pub(super) struct DeployedVerifier {
    pub(super) tokens: Arc<dyn TokenSource>,
    pub(super) suite: Suite,
    pub(super) health_path: String,
    /// `None` where the API tells no version.
    pub(super) version_path: Option<String>,
    pub(super) sink: Arc<dyn EventSink>,
}

impl DeployedVerifier {
    async fn caller(&self, base_url: &str, audience: Option<&str>) -> Result<Caller, Diagnostic> {
        let bearer: Option<Secret> = match audience {
            Some(audience) => Some(self.tokens.id_token(audience).await?),
            None => None,
        };
        Caller::new(base_url, bearer)
    }

    /// One case that tells how it ended before the suite began.
    fn single(&self, name: &str, end: CaseEnd, millis: u64) -> Evidence {
        let case = CaseResult {
            name: name.to_owned(),
            end,
            millis,
        };
        self.sink.emit(Event::CaseFinished(case.clone()));
        Evidence::new(GATE, vec![case])
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
            Err(error) => return self.single("ID token", CaseEnd::Undecided(in_words(&error)), 0),
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
