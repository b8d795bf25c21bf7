//! What triggered this run. Pure: environment and event payload in, context out.
//!
//! Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>.

use std::collections::BTreeMap;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::Commit;
use delivery::state::RunRef;
use serde_json::Value;

/// What triggered this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `push`, `pull_request`, `workflow_dispatch`, ….
    pub event: String,
    /// The full ref, such as `refs/tags/v1.2.3`.
    pub git_ref: String,
    /// The commit that is built: for a pull request the head of its branch, not the merge commit
    /// that GitHub makes up; `None` when the variable holds no full commit.
    pub commit: Option<Commit>,
    /// The run and its attempt.
    pub run: RunRef,
    /// The number of the run; absent on a terminal.
    pub run_id: Option<u64>,
    /// 1, or more for a re-run.
    pub attempt: u32,
    /// `OWNER/NAME`.
    pub repository: Option<String>,
    /// Its number, which survives a rename.
    pub repository_id: Option<String>,
    /// Who started the run, and who started this attempt of it.
    pub actors: Vec<String>,
    /// The API, such as `https://api.github.com`, without a slash at its end.
    pub api_url: String,
    /// The pages, such as `https://github.com`.
    pub server_url: String,
}

impl Context {
    /// Reads variables and the event's payload. The payload may be absent or empty: what it would
    /// say is then taken from the variables.
    pub fn read(environment: &BTreeMap<String, String>, payload: Option<&str>) -> Self {
        let said = |name: &str| {
            environment
                .get(name)
                .filter(|text| !text.is_empty())
                .cloned()
        };
        let payload: Value = payload
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null);
        let event = said("GITHUB_EVENT_NAME").unwrap_or_default();
        let head = payload
            .pointer("/pull_request/head/sha")
            .and_then(Value::as_str)
            .filter(|_| event.starts_with("pull_request"))
            .map(str::to_owned);
        let attempt = said("GITHUB_RUN_ATTEMPT")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        let run_id = said("GITHUB_RUN_ID").and_then(|text| text.parse().ok());
        Self {
            commit: head
                .or_else(|| said("GITHUB_SHA"))
                .and_then(|sha| Commit::parse(sha).ok()),
            git_ref: said("GITHUB_REF").unwrap_or_default(),
            run: RunRef(match run_id {
                Some(run_id) => format!("{run_id}/{attempt}"),
                None => terminal_run(environment),
            }),
            run_id,
            attempt,
            repository: said("GITHUB_REPOSITORY"),
            repository_id: said("GITHUB_REPOSITORY_ID"),
            actors: ["GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR"]
                .into_iter()
                .filter_map(said)
                .collect(),
            api_url: said("GITHUB_API_URL")
                .unwrap_or_else(|| "https://api.github.com".to_owned())
                .trim_end_matches('/')
                .to_owned(),
            server_url: said("GITHUB_SERVER_URL")
                .unwrap_or_else(|| "https://github.com".to_owned()),
            event,
        }
    }

    /// The commit.
    ///
    /// # Errors
    /// [`Code::InputMissing`] when it is not known.
    pub fn commit(&self) -> Result<&Commit, Diagnostic> {
        self.commit.as_ref().ok_or_else(|| {
            Diagnostic::error(Code::InputMissing, "the commit is not known")
                .at("environment variable `GITHUB_SHA`")
                .help("run inside a Git checkout, or give `--commit` with the full 40 digits")
        })
    }

    /// Owner and name of the repository.
    pub fn owner_and_name(&self) -> Option<(&str, &str)> {
        self.repository.as_deref()?.split_once('/')
    }

    /// The page of the repository, for the image's labels.
    pub fn repository_url(&self) -> Option<String> {
        let repository = self.repository.as_ref()?;
        Some(format!("{}/{repository}", self.server_url))
    }
}

/// `cli/USER@HOST/PROCESS`: two terminals of one person are two runs, and keep off each other.
fn terminal_run(environment: &BTreeMap<String, String>) -> String {
    let said = |name: &str| {
        environment
            .get(name)
            .filter(|text| !text.is_empty())
            .map(String::as_str)
    };
    let user = said("USER")
        .or_else(|| said("LOGNAME"))
        .unwrap_or("somebody");
    let host = said("HOSTNAME")
        .or_else(|| said("HOST"))
        .unwrap_or("terminal");
    format!("cli/{user}@{host}/{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MERGE: &str = "1111111111111111111111111111111111111111";
    const HEAD: &str = "2222222222222222222222222222222222222222";

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_push_is_read_from_the_variables() {
        let context = Context::read(
            &environment(&[
                ("GITHUB_EVENT_NAME", "push"),
                ("GITHUB_REF", "refs/tags/v1.0.0"),
                ("GITHUB_SHA", HEAD),
                ("GITHUB_RUN_ID", "77"),
                ("GITHUB_RUN_ATTEMPT", "2"),
                ("GITHUB_REPOSITORY", "org/repo"),
                ("GITHUB_API_URL", "https://ghe.example/api/v3/"),
            ]),
            None,
        );
        assert_eq!(context.run, RunRef("77/2".to_owned()));
        assert_eq!(context.attempt, 2);
        assert_eq!(context.api_url, "https://ghe.example/api/v3");
        assert_eq!(context.owner_and_name(), Some(("org", "repo")));
        assert_eq!(context.commit().unwrap().as_str(), HEAD);
    }

    #[test]
    fn a_pull_request_is_built_from_its_head_not_from_the_merge_commit() {
        let variables =
            environment(&[("GITHUB_EVENT_NAME", "pull_request"), ("GITHUB_SHA", MERGE)]);
        let payload = format!(r#"{{"pull_request":{{"head":{{"sha":"{HEAD}"}}}}}}"#);
        let context = Context::read(&variables, Some(&payload));
        assert_eq!(context.commit().unwrap().as_str(), HEAD);
        for absent in [None, Some(""), Some("{}"), Some("not json")] {
            let context = Context::read(&variables, absent);
            assert_eq!(context.commit().unwrap().as_str(), MERGE, "{absent:?}");
        }
    }

    #[test]
    fn a_terminal_names_its_user() {
        let context = Context::read(&environment(&[("USER", "ada"), ("HOSTNAME", "lab")]), None);
        let process = std::process::id();
        assert_eq!(context.run, RunRef(format!("cli/ada@lab/{process}")));
        assert!(context.commit().is_err());
    }
}
