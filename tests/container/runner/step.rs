//! One step: what it is given, and what it left.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::command_files::{SUMMARY_LIMIT_BYTES, parse_pairs};
use super::commands::{Annotation, Interpreter};
use super::environment::{Parts, command_line};
use super::process::Running;
use super::{Job, random_hex};

/// Command files by the name of their context and the prefix of their name.
const COMMAND_FILES: [(&str, &str); 5] = [
    ("output", "set_output_"),
    ("state", "save_state_"),
    ("env", "set_env_"),
    ("path", "add_path_"),
    ("step_summary", "step_summary_"),
];

/// A step that uses the action, before it runs.
pub(crate) struct Step<'a> {
    job: &'a Job,
    inputs: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    state: BTreeMap<String, String>,
    entrypoint: Option<String>,
    arguments: String,
}

impl<'a> Step<'a> {
    pub(super) fn new(job: &'a Job) -> Self {
        Self {
            job,
            inputs: BTreeMap::new(),
            environment: BTreeMap::new(),
            state: BTreeMap::new(),
            entrypoint: None,
            arguments: String::new(),
        }
    }

    /// An entry of `with:`.
    pub(crate) fn with(mut self, input: &str, value: &str) -> Self {
        self.inputs.insert(input.to_owned(), value.to_owned());
        self
    }

    /// An entry of the step's `env:`.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What an earlier stage of the same step saved.
    pub(crate) fn state(mut self, name: &str, value: &str) -> Self {
        self.state.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The post stage of a step whose main stage left this: a new container with command files of its
    /// own and what was saved. `with:` is evaluated anew, so it is given again.
    #[track_caller]
    pub(crate) fn after(mut self, main: &StepEnd) -> Self {
        let runs = &self.job.manifest.runs;
        let program = runs.post_entrypoint.as_deref();
        self.entrypoint = Some(program.expect("a post stage").to_owned());
        self.state = main.state.clone();
        self
    }

    /// `with.entrypoint` and `with.args`, which an action takes that has none of its own.
    pub(crate) fn entrypoint(mut self, program: &str, arguments: &str) -> Self {
        self.entrypoint = Some(program.to_owned());
        self.arguments = arguments.to_owned();
        self
    }

    /// Starts the container.
    pub(crate) fn start(self) -> Running {
        let workflow = self.job.temp().join("_github_workflow/event.json");
        fs::write(workflow, self.job.event.to_string()).expect("the event's file");
        let files = create_command_files(self.job);
        let inputs = self
            .job
            .manifest
            .inputs(&self.inputs, &self.job.github_token);
        let command = command_line(
            self.job,
            &Parts {
                inputs: &inputs,
                environment: &self.environment,
                state: &self.state,
                command_files: &files,
                entrypoint: self.entrypoint.as_deref(),
                arguments: &self.arguments,
            },
        );
        Running::start(command, CommandFiles(files))
    }

    /// Starts the container and waits for its end.
    pub(crate) fn run(self, limit: Duration) -> StepEnd {
        self.start().finish(limit)
    }
}

fn create_command_files(job: &Job) -> Vec<(&'static str, PathBuf)> {
    let suffix = random_hex(16);
    let folder = job.temp().join("_runner_file_commands");
    COMMAND_FILES
        .into_iter()
        .map(|(context, prefix)| {
            let path = folder.join(format!("{prefix}{suffix}"));
            fs::write(&path, "").expect("a command file");
            (context, path)
        })
        .collect()
}

/// The step's command files on the host.
pub(super) struct CommandFiles(Vec<(&'static str, PathBuf)>);

impl CommandFiles {
    fn read(&self, context: &str) -> String {
        let (_, path) = self
            .0
            .iter()
            .find(|(name, _)| *name == context)
            .expect("a known file");
        // A file that was removed counts as empty.
        fs::read_to_string(path).unwrap_or_default()
    }
}

/// What a step left.
#[derive(Debug)]
pub(crate) struct StepEnd {
    /// The docker client's exit code; none when it was killed.
    pub(crate) exit_code: Option<i32>,
    /// Whether the runner would call the step a success.
    pub(crate) succeeded: bool,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) state: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) path: Vec<String>,
    pub(crate) summary: String,
    pub(crate) annotations: Vec<Annotation>,
    /// Values that were declared secret.
    pub(crate) masks: Vec<String>,
    /// The log as GitHub shows it.
    pub(crate) log: Vec<String>,
    /// Every line as it came.
    pub(crate) raw: Vec<String>,
    /// What the runner itself complains about.
    pub(crate) problems: Vec<String>,
    pub(crate) took: Duration,
}

impl StepEnd {
    pub(super) fn read(
        exit_code: Option<i32>,
        interpreter: Interpreter,
        raw: Vec<String>,
        files: &CommandFiles,
        took: Duration,
    ) -> Self {
        let mut problems = interpreter.problems.clone();
        if interpreter.is_stopped() {
            problems.push("commands were stopped and never resumed".to_owned());
        }
        if interpreter.open_groups > 0 {
            problems.push(format!("{} groups were left open", interpreter.open_groups));
        }
        let mut malformed = false;
        let mut pairs = |context: &str| {
            let found = parse_pairs(&files.read(context));
            if let Some(mistake) = found.mistake {
                malformed = true;
                problems.push(format!(
                    "Unable to process file command '{context}' successfully. {mistake}"
                ));
            }
            found.pairs.into_iter().collect::<BTreeMap<_, _>>()
        };
        let outputs = pairs("output");
        let state = pairs("state");
        let environment = pairs("env");
        if outputs.contains_key("") {
            malformed = true;
            problems.push("Value cannot be null. (Parameter 'name')".to_owned());
        }
        let mut summary = files.read("step_summary");
        if summary.len() > SUMMARY_LIMIT_BYTES {
            problems.push(format!(
                "$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k, got {}k",
                summary.len() / 1024
            ));
            summary.clear();
        }
        let summary = interpreter.starred(&summary);
        let path = files.read("path");
        Self {
            exit_code,
            succeeded: exit_code == Some(0) && !malformed,
            outputs,
            state,
            environment,
            path: path
                .lines()
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
            summary,
            annotations: interpreter.annotations,
            masks: interpreter.masks,
            log: interpreter.log,
            raw,
            problems,
            took,
        }
    }

    /// The annotations of one level.
    pub(crate) fn of_level(&self, level: &str) -> Vec<&Annotation> {
        let of = |annotation: &&Annotation| annotation.level == level;
        self.annotations.iter().filter(of).collect()
    }

    /// Everything, to be printed when an assertion fails.
    pub(crate) fn story(&self) -> String {
        format!(
            "exit code {:?} after {:.1?}\n{}\n--- problems: {:#?}\n--- outputs: {:#?}\n--- summary:\n{}",
            self.exit_code,
            self.took,
            self.raw.join("\n"),
            self.problems,
            self.outputs,
            self.summary
        )
    }

    /// Fails the test when the runner itself would complain about anything.
    #[track_caller]
    pub(crate) fn assert_well_formed(&self) -> &Self {
        assert!(self.problems.is_empty(), "{}", self.story());
        self
    }

    /// Fails the test unless the container ended with this code.
    #[track_caller]
    pub(crate) fn assert_exit(&self, code: i32) -> &Self {
        assert_eq!(self.exit_code, Some(code), "{}", self.story());
        self.assert_well_formed()
    }
}
