//! Reads: services, revisions, policies, operations.

use std::time::Duration;

use cloud_api::rpc::{Operation, WaitOperationRequest};
use cloud_api::run::{ListRevisionsResponse, Policy, Revision, Service};
use delivery::name::RevisionName;
use delivery::target::Target;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::gcp::api::Api;
use crate::gcp::error::GcpError;
use crate::gcp::transport::{Body, Call};

/// Entries asked for in one page.
const PAGE_SIZE: &str = "100";
/// Most pages that are read: Cloud Run keeps at most 1,000 revisions of a service.
const MOST_PAGES: usize = 20;
/// Longest time that the server is asked to hold a `:wait`, in seconds.
const WAIT_SECONDS: u64 = 30;
/// What the network may need on top of that.
const WAIT_RESERVE: Duration = Duration::from_secs(15);

/// Longest time to an answer that says whether the runner is inside.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// Lets its holder call a service.
const INVOKE: &str = "run.routes.invoke";

/// Body and answer of `:testIamPermissions`.
#[derive(Serialize, Deserialize)]
struct Permissions {
    #[serde(default)]
    permissions: Vec<String>,
}

/// Some revisions, newest first.
pub struct RevisionPage {
    /// They.
    pub revisions: Vec<Revision>,
    /// Leads to the next page; empty at the end.
    next: String,
}

impl RevisionPage {
    /// True when there are no others.
    pub fn is_last(&self) -> bool {
        self.next.is_empty()
    }
}

/// Reads only.
#[derive(Clone)]
pub struct RunReader {
    api: Api,
}

impl RunReader {
    /// Reads through `api`.
    pub fn new(api: Api) -> Self {
        Self { api }
    }

    /// The calls' common part.
    pub fn api(&self) -> &Api {
        &self.api
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/v2/{name}", self.api.endpoints().run())
    }

    /// The service; `None` when there is none.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn service(&self, target: &Target) -> Result<Option<Service>, GcpError> {
        let url = self.url(&target.resource_name());
        absent(self.api.get(url, Vec::new()).await)
    }

    /// All revisions, newest first; none when there is no service.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn revisions(&self, target: &Target) -> Result<Vec<Revision>, GcpError> {
        let page = self.newest_revisions(target).await?;
        self.older_revisions(target, page).await
    }

    /// The first page of the revisions, newest first.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn newest_revisions(&self, target: &Target) -> Result<RevisionPage, GcpError> {
        self.revision_page(target, String::new()).await
    }

    /// What follows the first page, behind it.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn older_revisions(
        &self,
        target: &Target,
        newest: RevisionPage,
    ) -> Result<Vec<Revision>, GcpError> {
        let RevisionPage {
            revisions: mut all,
            mut next,
        } = newest;
        for _ in 1..MOST_PAGES {
            if next.is_empty() {
                break;
            }
            let page = self.revision_page(target, next).await?;
            all.extend(page.revisions);
            next = page.next;
        }
        Ok(all)
    }

    async fn revision_page(
        &self,
        target: &Target,
        token: String,
    ) -> Result<RevisionPage, GcpError> {
        let url = self.url(&format!("{}/revisions", target.resource_name()));
        let mut query = vec![("pageSize", PAGE_SIZE.to_owned())];
        if !token.is_empty() {
            query.push(("pageToken", token));
        }
        let page: Option<ListRevisionsResponse> = absent(self.api.get(url, query).await)?;
        let ListRevisionsResponse {
            revisions,
            next_page_token: next,
        } = page.unwrap_or_default();
        Ok(RevisionPage { revisions, next })
    }

    /// One revision; `None` when there is none.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn revision(
        &self,
        target: &Target,
        name: &RevisionName,
    ) -> Result<Option<Revision>, GcpError> {
        let url = self.url(&format!("{}/revisions/{name}", target.resource_name()));
        absent(self.api.get(url, Vec::new()).await)
    }

    /// The service's IAM policy.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn policy(&self, target: &Target) -> Result<Policy, GcpError> {
        let url = self.url(&format!("{}:getIamPolicy", target.resource_name()));
        // Without version 3 conditions would be hidden, and lost when the policy is written back.
        let version = vec![("options.requestedPolicyVersion", "3".to_owned())];
        self.api.get(url, version).await
    }

    /// Whether the caller may call the service itself (its addresses, not the API).
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn may_invoke(&self, target: &Target) -> Result<bool, GcpError> {
        let url = self.url(&format!("{}:testIamPermissions", target.resource_name()));
        let permissions = vec![INVOKE.to_owned()];
        let asked = Permissions { permissions };
        let Permissions { permissions } = self.api.ask(url, &asked).await?;
        Ok(permissions.iter().any(|it| it == INVOKE))
    }

    /// Whether an address of a service with limited ingress answers from here. Google's front end
    /// answers 404 to who is outside, before it looks for a token; whatever else comes is from inside.
    pub async fn answers(&self, uri: &str) -> bool {
        let call = Call::new(Method::GET, uri).timeout(PROBE_TIME);
        self.api.reaches(call).await
    }

    /// An operation as it is now.
    ///
    /// # Errors
    /// [`GcpError`]; a deployer may lack `run.operations.get`.
    pub async fn operation(&self, name: &str) -> Result<Operation, GcpError> {
        self.api.get(self.url(name), Vec::new()).await
    }

    /// An operation, held by the server until it is done or half a minute has passed.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn wait(&self, name: &str) -> Result<Operation, GcpError> {
        let request = WaitOperationRequest {
            timeout: Some(format!("{WAIT_SECONDS}s")),
        };
        let call = Call::new(Method::POST, self.url(&format!("{name}:wait")))
            .body(Body::json(&request)?)
            .timeout(Duration::from_secs(WAIT_SECONDS) + WAIT_RESERVE)
            .repeatable();
        self.api.call(call).await
    }
}

/// 404 → `None`.
fn absent<T>(answer: Result<T, GcpError>) -> Result<Option<T>, GcpError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.http() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}
