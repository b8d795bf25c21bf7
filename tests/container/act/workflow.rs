//! What of a workflow file a run needs to know beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

/// A workflow file.
pub(super) struct Workflow {
    text: String,
    jobs: BTreeMap<String, Job>,
}

#[derive(Deserialize)]
struct File {
    jobs: BTreeMap<String, Job>,
}

#[derive(Deserialize)]
struct Job {
    environment: Option<Value>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    uses: Option<String>,
}

impl Workflow {
    #[track_caller]
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: File = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            text,
            jobs: file.jobs,
        }
    }

    /// `OWNER/NAME@REF` of the actions that are not GitHub's own.
    pub(super) fn foreign_actions(&self) -> BTreeSet<&str> {
        let steps = self.jobs.values().flat_map(|job| &job.steps);
        steps
            .filter_map(|step| step.uses.as_deref())
            .filter(|uses| !uses.starts_with("actions/") && !uses.starts_with("./"))
            .collect()
    }

    /// An expression that gives the GitHub environment of the job in which it is evaluated.
    pub(super) fn environment_expression(&self, pretended: &[(String, String)]) -> String {
        let named = |(name, job): (&String, &Job)| {
            let environment = job.environment.as_ref()?;
            let own = environment
                .as_str()
                .or_else(|| environment["name"].as_str())?;
            let pretended = pretended.iter().find(|(job, _)| job == name);
            Some((
                name.clone(),
                pretended.map_or(own, |(_, other)| other).to_owned(),
            ))
        };
        let environments: BTreeMap<String, String> = self.jobs.iter().filter_map(named).collect();
        if let Some(dynamic) = environments.values().find(|name| name.contains("${{")) {
            // A matrix: every job of such a workflow is one.
            return dynamic.clone();
        }
        let table = json!(environments).to_string();
        format!("${{{{ fromJSON('{table}')[github.job] }}}}")
    }

    /// Values for the `vars.` that the file speaks of.
    #[track_caller]
    pub(super) fn variables(&self, provider: &str) -> Vec<(&str, String)> {
        self.names_after("vars.")
            .into_iter()
            .map(|name| (name, value_of(name, provider)))
            .collect()
    }

    fn names_after(&self, context: &str) -> BTreeSet<&str> {
        self.text
            .match_indices(context)
            .map(|(at, _)| {
                let rest = &self.text[at + context.len()..];
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                &rest[..end.unwrap_or(rest.len())]
            })
            .filter(|name| !name.is_empty())
            .collect()
    }
}

/// What a user sets in the repository's settings.
#[track_caller]
fn value_of(name: &str, provider: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper.contains("PROVIDER") {
        return provider.to_owned();
    }
    if upper.contains("SERVICE_ACCOUNT") || upper.contains("DEPLOYER") {
        return "deployer@demo-project.iam.gserviceaccount.com".to_owned();
    }
    if upper.contains("PROJECT") {
        return crate::cloud::PROJECT.to_owned();
    }
    if upper.contains("REGION") {
        return crate::cloud::REGION.to_owned();
    }
    panic!("the workflow uses the variable `{name}`, which this test does not know")
}
