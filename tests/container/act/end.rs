//! What a run of `act` said, by job.

use std::collections::BTreeMap;

use serde_json::Value;

/// A workflow run.
#[derive(Debug, Default)]
pub(crate) struct ActEnd {
    /// Whether act ended with 0: every job that ran succeeded.
    pub(crate) succeeded: bool,
    /// By the identifier of the job; a job of a matrix as `job (value, …)`.
    jobs: BTreeMap<String, JobEnd>,
    /// What belongs to no job.
    other: Vec<String>,
}

/// One job of it.
#[derive(Debug, Default)]
pub(crate) struct JobEnd {
    /// `success` or `failure`; nothing for a job that was skipped or did not come to its end.
    pub(crate) result: Option<String>,
    /// Output of its steps.
    pub(crate) log: Vec<String>,
    /// `error`, `warning`, `notice`; title; message.
    pub(crate) annotations: Vec<(String, String, String)>,
    /// Outputs of its steps, by name.
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) summary: String,
}

impl JobEnd {
    /// Title and message of each error.
    pub(crate) fn errors(&self) -> Vec<String> {
        let errors = self
            .annotations
            .iter()
            .filter(|(level, ..)| level == "error");
        errors
            .map(|(_, title, message)| format!("{title}\n{message}"))
            .collect()
    }
}

impl ActEnd {
    /// Takes a line of act's.
    pub(super) fn line(&mut self, line: &str) {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        let Ok(said) = parsed else {
            self.other.push(line.to_owned());
            return;
        };
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        let Some(id) = said["jobID"].as_str() else {
            self.other.push(text("msg"));
            return;
        };
        let values = said["matrix"]
            .as_object()
            .into_iter()
            .flat_map(|matrix| matrix.values());
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let name = if values.is_empty() {
            id.to_owned()
        } else {
            format!("{id} ({})", values.join(", "))
        };
        let job = self.jobs.entry(name).or_default();
        if let Some(result) = said["jobResult"].as_str() {
            job.result = Some(result.to_owned());
        }
        match said["command"].as_str() {
            Some(level @ ("error" | "warning" | "notice")) => {
                let title = said["kvPairs"]["title"].as_str().unwrap_or_default();
                job.annotations
                    .push((level.to_owned(), title.to_owned(), text("arg")));
            }
            Some("set-output") => {
                job.outputs.insert(text("name"), text("arg"));
            }
            Some("summary") => job.summary.push_str(&text("content")),
            _ => {}
        }
        job.log.push(text("msg").trim_end_matches('\n').to_owned());
    }

    /// A job that ran.
    #[track_caller]
    pub(crate) fn job(&self, name: &str) -> &JobEnd {
        self.jobs
            .get(name)
            .unwrap_or_else(|| panic!("the job `{name}` did not run:\n{}", self.story()))
    }

    /// Names of the jobs that came to an end, with their results.
    pub(crate) fn results(&self) -> BTreeMap<&str, &str> {
        self.jobs
            .iter()
            .filter_map(|(name, job)| Some((name.as_str(), job.result.as_deref()?)))
            .collect()
    }

    /// Fails the test unless exactly these jobs ran, with these results.
    #[track_caller]
    pub(crate) fn assert_results(&self, expected: &[(&str, &str)]) -> &Self {
        let expected: BTreeMap<&str, &str> = expected.iter().copied().collect();
        assert_eq!(self.results(), expected, "{}", self.story());
        self
    }

    /// One line.
    pub(super) fn digest(&self) -> String {
        format!("{:?}", self.results())
    }

    /// Everything, to be printed when an assertion fails.
    pub(crate) fn story(&self) -> String {
        let mut story = self.other.join("\n");
        for (name, job) in &self.jobs {
            story.push_str(&format!(
                "\n--- job {name}: {:?}\n{}",
                job.result,
                job.log.join("\n")
            ));
        }
        story
    }
}
