//! Inputs, context and stage of one run, with every problem at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::Commit;
use delivery::stage::{Stage, Trigger, parse_stage};
use delivery::target::Target;
use tokio::time::Instant;

use super::checkout;
use super::limits;
use super::recorder::Recorder;
use super::shell::Shell;
use crate::execute::Guard;
use crate::github::Context;
use crate::inputs::{Chosen, EnvironmentInputs, Inputs, RawInputs, Wish, parse_inputs, typed};
use crate::report::ReportFiles;
use crate::verify::{LoadedSuite, Suite};

/// What decides about the stage.
pub(super) enum Ask {
    /// The event of the job.
    Event,
    /// What a person names: a version tag or a branch, and its commit.
    Reference {
        reference: Option<String>,
        commit: Option<String>,
    },
    /// Back, to what the input `rollback_to` says, or to the previous one.
    Rollback,
}

/// One run.
pub(super) struct Job<'a> {
    pub(super) shell: &'a Shell,
    pub(super) sink: Arc<Recorder>,
    pub(super) inputs: Inputs,
    pub(super) context: Context,
    pub(super) stage: Stage,
    /// The environment of this run; for a pull request, the first one's settings are tried.
    pub(super) environment: EnvironmentInputs,
    /// The service in the first region; `None` for a pull request, which deploys nothing.
    pub(super) target: Option<Target>,
    /// The service in each region.
    pub(super) targets: Vec<Target>,
    /// The tests of the environment.
    pub(super) suites: Vec<LoadedSuite>,
    /// Where the repository is.
    pub(super) root: PathBuf,
    pub(super) guard: Guard,
}

/// Reads what was said: flags, environment, files.
pub(super) fn read_inputs(
    shell: &Shell,
    flags: &BTreeMap<&'static str, String>,
) -> (Inputs, Vec<Diagnostic>) {
    let raw = RawInputs::gather(flags, &shell.environment);
    let (path, _) = raw.config_path();
    let found = std::fs::read_to_string(shell.root().join(path));
    parse_inputs(&raw.with_config(found))
}

/// Reads the job's context.
pub(super) fn read_context(shell: &Shell) -> Context {
    let payload = shell
        .variable("GITHUB_EVENT_PATH")
        .and_then(|path| std::fs::read_to_string(path).ok());
    Context::read(&shell.environment, payload.as_deref())
}

impl<'a> Job<'a> {
    /// Reads everything and checks that the stage has what it needs.
    ///
    /// # Errors
    /// Every problem.
    pub(super) async fn prepare(
        shell: &'a Shell,
        mut flags: BTreeMap<&'static str, String>,
        ask: Ask,
    ) -> Result<Self, Vec<Diagnostic>> {
        if matches!(ask, Ask::Rollback) {
            flags
                .entry("rollback_to")
                .or_insert_with(|| "previous".to_owned());
        }
        let (inputs, mut problems) = read_inputs(shell, &flags);
        let mut context = read_context(shell);
        let root = shell.root();
        let told = match ask {
            Ask::Reference { reference, commit } => {
                take_reference(&mut context, &root, reference, commit).await
            }
            Ask::Event => context.commit().map(drop),
            Ask::Rollback => Ok(()),
        };
        let trigger = Trigger {
            event: if shell.on_github {
                context.event.clone()
            } else {
                String::new()
            },
            git_ref: context.git_ref.clone(),
            branches: inputs.branches.clone(),
            rollback_to: inputs.rollback_to.clone(),
        };
        let stage = kept(parse_stage(&trigger), &mut problems);
        let environment = choose(stage.as_ref(), &inputs, &mut problems);
        problems.extend(match &stage {
            Some(stage) => half_of_nothing(inputs.command, stage),
            None => None,
        });
        if !matches!(stage, Some(Stage::Rollback { .. })) {
            problems.extend(told.err());
        }
        let Some(environment) = environment.cloned() else {
            return Err(problems);
        };
        if matches!(stage, Some(Stage::Branch { .. } | Stage::Release { .. })) {
            let missing = environment.repository().err();
            environment.tell_missing(missing.into_iter().collect(), &mut problems);
        }
        let targets = match stage {
            Some(Stage::PullRequest) => Vec::new(),
            _ => environment.targets().unwrap_or_else(|missing| {
                environment.tell_missing(missing, &mut problems);
                Vec::new()
            }),
        };
        // A rollback brings another commit than the job's; who answers is asked beside the tests.
        let released = match stage {
            Some(Stage::Rollback { .. }) => None,
            _ => context.commit.as_ref(),
        };
        let suites = read_suites(shell, &environment, released);
        let suites = kept(suites, &mut problems).unwrap_or_default();
        let limits = limits::check(&environment.limits, &suites);
        let traffic = limits::check_traffic(&environment.traffic, inputs.deadline, &suites);
        for problem in limits.into_iter().chain(traffic) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        let Some(stage) = stage.filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let guard = Guard::new(shell.stop.clone(), Instant::now() + inputs.deadline);
        Ok(Self {
            sink: Arc::new(Recorder::new(shell.sink())),
            shell,
            inputs,
            context,
            stage,
            environment,
            target: targets.first().cloned(),
            targets,
            suites,
            root,
            guard,
        })
    }

    /// The commit; checked by [`Self::prepare`] for every stage that has one.
    pub(super) fn commit(&self) -> Result<&Commit, Diagnostic> {
        self.context.commit()
    }

    /// The repository of this environment's images.
    pub(super) fn repository(&self) -> Result<&str, Diagnostic> {
        self.environment.repository()
    }

    /// Files for the results.
    pub(super) fn reports(&self) -> ReportFiles {
        let place = |path: &Option<String>| path.as_ref().map(|path| self.root.join(path));
        ReportFiles {
            junit: place(&self.inputs.junit),
            results: place(&self.inputs.results),
        }
    }

    /// Waits for the work, but not beyond a signal or the deadline. For work that changes nothing.
    ///
    /// # Errors
    /// [`Code::Interrupted`] or [`Code::DeadlinePassed`].
    pub(super) async fn guarded<T>(
        &self,
        what: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, Diagnostic> {
        tokio::select! {
            biased;
            stop = self.guard.stopped() => Err(crate::deliver::stopped(stop, what)),
            done = work => Ok(done),
        }
    }
}

/// Only what is deployed forward comes in two parts.
fn half_of_nothing(command: Wish, stage: &Stage) -> Option<Diagnostic> {
    let word = match command {
        Wish::Deploy => "deploy",
        Wish::Promote => "promote",
        Wish::Auto | Wish::Plan | Wish::Status => return None,
    };
    let what = match stage {
        Stage::PullRequest => "a pull request, which deploys nothing",
        Stage::Rollback { .. } => "a rollback, whose target was tested before",
        Stage::Branch { .. } | Stage::Release { .. } => return None,
    };
    let title = format!("`command: {word}` does not go with {what}");
    Some(
        Diagnostic::error(Code::InputInvalid, title)
            .at("input `command`")
            .help("leave `command` out, or let the job run for pushes only: `if: github.event_name == 'push'`"),
    )
}

/// On a terminal nobody else says what is deployed.
pub(super) async fn take_reference(
    context: &mut Context,
    root: &Path,
    reference: Option<String>,
    commit: Option<String>,
) -> Result<(), Diagnostic> {
    let git_ref = match &reference {
        Some(text) => Some(checkout::full_ref(text)),
        None => checkout::current_ref(root).await,
    };
    context.git_ref = git_ref.unwrap_or_default();
    context.commit = Some(match commit {
        Some(text) => Commit::parse(text).map_err(|error| {
            Diagnostic::error(Code::InputInvalid, error.to_string()).at("flag `--commit`")
        })?,
        None => checkout::commit_of(root, reference.as_deref().unwrap_or("HEAD")).await?,
    });
    Ok(())
}

/// The environment that the stage goes to. Where nobody knows which one that is, one that has all it
/// needs, if there is one: what nobody said for any of them is told at once.
fn choose<'a>(
    stage: Option<&Stage>,
    inputs: &'a Inputs,
    problems: &mut Vec<Diagnostic>,
) -> Option<&'a EnvironmentInputs> {
    let names = inputs.names().join(", ");
    let first = inputs.environments.first();
    let named = inputs
        .chosen
        .name()
        .and_then(|name| inputs.environment(name));
    match (stage, named) {
        (Some(Stage::Branch { branch }), Some(named)) => {
            let name = &named.environment.name;
            let first = first.map(|first| &first.environment.name);
            if let Some(first) = first.filter(|first| *first != name) {
                let title = format!("branch `{branch}` is deployed to `{first}`, not to `{name}`");
                problems.push(
                    Diagnostic::error(Code::RefNotDeployable, title)
                        .at("input `environment`")
                        .cause(format!("`{first}` is the first of the environments {names}"))
                        .help(format!("let this job run for version tags only: `if: startsWith(github.ref, 'refs/tags/v')`, or use `environment: {first}`")),
                );
            }
            Some(named)
        }
        (_, Some(named)) => Some(named),
        (Some(Stage::Branch { .. } | Stage::PullRequest), None) => first,
        (Some(Stage::Release { .. } | Stage::Rollback { .. }) | None, None) => {
            if stage.is_some() && inputs.chosen == Chosen::Unsaid {
                let missing = typed::missing("environment");
                problems.push(missing.help(format!("the environments are {names}")));
            }
            let complete = |one: &&EnvironmentInputs| one.targets().is_ok();
            inputs.environments.iter().find(complete).or(first)
        }
    }
}

/// The value, or what is wrong with it, told.
fn kept<T>(read: Result<T, Vec<Diagnostic>>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    read.map_err(|found| problems.extend(found)).ok()
}

/// The environment's test files, or the standard tests.
fn read_suites(
    shell: &Shell,
    environment: &EnvironmentInputs,
    released: Option<&Commit>,
) -> Result<Vec<LoadedSuite>, Vec<Diagnostic>> {
    if environment.tests.is_empty() {
        let version_path = environment.version_path.as_deref();
        let standard = Suite::standard(&environment.health_path, version_path, released);
        return Ok(vec![standard.into()]);
    }
    shell.load_suites(&shell.root(), &environment.tests)
}
