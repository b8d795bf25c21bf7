//! The few calls to GitHub's API that the gate needs; reads only.

use std::time::Duration;

use octocrab::Octocrab;
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::gate::{Rules, RulesSeen};
use crate::secret::Secret;

/// Longest time to an answer, of a client that has no limit of its own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a repository through GitHub's API.
#[derive(Clone)]
pub struct GitHub {
    octocrab: Octocrab,
    owner: String,
    name: String,
}

/// Who decided on a job that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// Login.
    pub user: String,
    /// `approved` or `rejected`.
    pub state: String,
    /// For which environments.
    pub environments: Vec<String>,
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is no address of GitHub's API")]
pub struct ClientError {
    url: String,
    #[source]
    source: octocrab::Error,
}

#[derive(Deserialize)]
struct EnvironmentAnswer {
    #[serde(default)]
    protection_rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    prevent_self_review: bool,
    #[serde(default)]
    reviewers: Vec<ReviewerEntry>,
}

#[derive(Deserialize)]
struct ReviewerEntry {
    #[serde(default)]
    reviewer: ReviewerName,
}

/// A user has a `login`, a team a `slug`.
#[derive(Deserialize, Default)]
struct ReviewerName {
    login: Option<String>,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct ApprovalAnswer {
    state: String,
    user: Option<User>,
    #[serde(default)]
    environments: Vec<Named>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl GitHub {
    /// Talks to `api_url` (`https://api.github.com`, or an enterprise server's `…/api/v3`) about one
    /// repository, through the given client.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(
        api_url: &str,
        (owner, name): (&str, &str),
        token: &Secret,
        http: reqwest::Client,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError {
            url: api_url.to_owned(),
            source,
        };
        let octocrab = Octocrab::builder()
            .base_uri(api_url)
            .map_err(failed)?
            .personal_token(token.expose().to_owned())
            .build_with_reqwest(http)
            .map_err(failed)?;
        Ok(Self {
            octocrab,
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// What protects an environment. Needs `actions: read`.
    pub async fn rules(&self, environment: &str) -> RulesSeen {
        let route = self.route(&["environments", environment]);
        match self.get(route).await {
            Ok(answer) => RulesSeen::Known(rules(answer)),
            Err(Unread::Refused(octocrab::Error::GitHub { source, .. })) => RulesSeen::Refused {
                status: source.status_code.as_u16(),
                message: source.message,
            },
            Err(error) => RulesSeen::Failed(error.in_words()),
        }
    }

    /// Who approved jobs of a run so far. Needs `actions: read`.
    ///
    /// # Errors
    /// GitHub's answer, in words.
    pub async fn approvals(&self, run_id: u64) -> Result<Vec<Approver>, String> {
        let route = self.route(&["actions", "runs", &run_id.to_string(), "approvals"]);
        let answers: Vec<ApprovalAnswer> =
            self.get(route).await.map_err(|error| error.in_words())?;
        Ok(answers.into_iter().map(approver).collect())
    }

    async fn get<T: DeserializeOwned>(&self, route: String) -> Result<T, Unread> {
        let asked = self.octocrab.get(route, None::<&()>);
        match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
            Ok(answer) => answer.map_err(Unread::Refused),
            Err(_) => Err(Unread::Late),
        }
    }

    /// `/repos/OWNER/NAME/…`. Each part is percent-encoded: a name of an environment may hold
    /// spaces, slashes and question marks.
    fn route(&self, parts: &[&str]) -> String {
        let mut url = Url::parse("http://placeholder").ok();
        if let Some(mut segments) = url.as_mut().and_then(|url| url.path_segments_mut().ok()) {
            segments
                .extend(["repos", &self.owner, &self.name])
                .extend(parts);
        }
        url.map(|url| url.path().to_owned()).unwrap_or_default()
    }
}

fn rules(answer: EnvironmentAnswer) -> Rules {
    let mut rules = Rules::default();
    for rule in answer.protection_rules {
        if rule.kind == "required_reviewers" {
            rules.prevents_self_review = rule.prevent_self_review;
            let names = rule.reviewers.into_iter().map(|entry| {
                let ReviewerName { login, slug } = entry.reviewer;
                login.or(slug).unwrap_or_else(|| "(unnamed)".to_owned())
            });
            rules.reviewers.extend(names);
        }
    }
    rules
}

fn approver(answer: ApprovalAnswer) -> Approver {
    Approver {
        user: answer
            .user
            .map_or_else(|| "(deleted user)".to_owned(), |user| user.login),
        state: answer.state,
        environments: answer
            .environments
            .into_iter()
            .map(|environment| environment.name)
            .collect(),
    }
}

/// Why there is no answer.
enum Unread {
    /// GitHub's refusal, or what went wrong on the way.
    Refused(octocrab::Error),
    /// None came within [`ANSWER_TIMEOUT`].
    Late,
}

impl Unread {
    /// The error and its causes, in one line.
    fn in_words(&self) -> String {
        match self {
            Self::Refused(error) => crate::gcp::error::chain(error).join(": "),
            Self::Late => format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
