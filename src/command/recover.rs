//! `ml-deploy recover`: ends what a run that died has left.

use std::sync::Arc;

use delivery::diagnostic::Diagnostic;
use delivery::outcome::Outcome;
use delivery::plan::recover::{Asker, Despite, Recovery};
use delivery::plan::render::render_plan;
use delivery::state::RunRef;
use delivery::target::Target;
use tokio::time::Instant;

use super::job::read_context;
use super::look::{self, Targets};
use super::recorder::Recorder;
use super::session::Session;
use super::shell::Shell;
use super::verifier::DeployedVerifier;
use crate::cli::RecoverArgs;
use crate::deliver::regions::Site;
use crate::deliver::{Ends, Recovered, World, look_for_unfinished, recover_all};
use crate::execute::Guard;
use crate::inputs::EnvironmentInputs;
use crate::report::{RunSummary, text};

/// Runs the command in each environment, or in the one that is named; gives the exit code.
pub(super) async fn run(shell: &Shell, arguments: &RecoverArgs) -> u8 {
    let RecoverArgs {
        run,
        force,
        plan,
        flags,
    } = arguments;
    let despite = match run {
        Some(run) => Despite::Run(RunRef(run.clone())),
        None if *force => Despite::Anybody,
        None => Despite::Nobody,
    };
    let asker = Asker {
        run: read_context(shell).run,
        despite,
    };
    let (inputs, targets) = match look::targets(shell, &flags.0) {
        Ok(found) => found,
        Err(problems) => return finish(shell, Outcome::Stopped(problems), None, Vec::new()),
    };
    let guard = Guard::new(shell.stop.clone(), Instant::now() + inputs.deadline);
    let sink = Arc::new(Recorder::new(shell.sink()));
    let mut all = Ends::default();
    let named = match targets.as_slice() {
        [(first, _), rest @ ..] => {
            let name = &first.environment.name;
            let is_one = rest
                .iter()
                .all(|(other, _)| other.environment.name == *name);
            is_one.then(|| name.to_string())
        }
        [] => None,
    };
    for (environment, targets) in by_environment(targets) {
        let session = Session::open(shell, &inputs, &environment, sink.clone()).await;
        let session = match session {
            Ok(session) => session,
            Err(problem) => {
                all.stop([problem]);
                continue;
            }
        };
        let scene = Scene {
            session: &session,
            environment: &environment,
            targets: &targets,
            sink: &sink,
            guard: &guard,
        };
        if *plan {
            scene.show(shell, &asker, &mut all).await;
        } else {
            for (target, end) in scene.targets.iter().zip(scene.recover(&asker).await) {
                all.take(scene.sink.as_ref(), target, end);
            }
        }
    }
    match all.outcome() {
        Some(outcome) => finish(shell, outcome, named, sink.warnings()),
        None => 0,
    }
}

/// Tells how it ended; gives the exit code.
pub(super) fn finish(
    shell: &Shell,
    outcome: Outcome,
    environment: Option<String>,
    warnings: Vec<Diagnostic>,
) -> u8 {
    let run = RunSummary {
        release_label: Some("the recovery".to_owned()),
        environment,
        warnings,
        ..RunSummary::default()
    };
    shell.finish(&outcome, &run)
}

/// The regions of each environment, which belong together.
fn by_environment(targets: Targets) -> Vec<(EnvironmentInputs, Vec<Target>)> {
    let mut all: Vec<(EnvironmentInputs, Vec<Target>)> = Vec::new();
    for (environment, target) in targets {
        let name = &environment.environment.name;
        match all
            .iter_mut()
            .find(|(known, _)| known.environment.name == *name)
        {
            Some((_, known)) => known.push(target),
            None => all.push((environment, vec![target])),
        }
    }
    all
}

/// The targets of one environment, and what they are reached with.
pub(super) struct Scene<'a> {
    pub(super) session: &'a Session,
    pub(super) environment: &'a EnvironmentInputs,
    pub(super) targets: &'a [Target],
    pub(super) sink: &'a Arc<Recorder>,
    pub(super) guard: &'a Guard,
}

impl Scene<'_> {
    /// Ends what is unfinished, if `asker` may: one end for each target.
    pub(super) async fn recover(&self, asker: &Asker) -> Vec<Recovered> {
        let (cloud, verifiers) = (self.session.reader(), self.verifiers());
        let Some(first) = verifiers.first() else {
            return Vec::new();
        };
        let sites = self.targets.iter().zip(&verifiers);
        let sites: Vec<Site<'_>> = sites
            .map(|(target, verifier)| Site { target, verifier })
            .collect();
        recover_all(&self.world(&cloud, first), &sites, asker).await
    }

    /// What the delivery is made over.
    pub(super) fn world<'w>(
        &'w self,
        cloud: &'w crate::gcp::run::RunReader,
        verifier: &'w DeployedVerifier,
    ) -> World<'w> {
        World {
            cloud,
            planner: delivery::plan::plan,
            verifier,
            sink: self.sink.as_ref(),
            guard: self.guard,
        }
    }

    pub(super) fn verifiers(&self) -> Vec<DeployedVerifier> {
        let one = |target| {
            DeployedVerifier::of_identity(self.environment, self.session, target, self.sink.clone())
        };
        self.targets.iter().map(one).collect()
    }

    /// Shows what would be done.
    async fn show(&self, shell: &Shell, asker: &Asker, all: &mut Ends) {
        let (cloud, verifiers) = (self.session.reader(), self.verifiers());
        let Some(first) = verifiers.first() else {
            return;
        };
        let (world, sink) = (self.world(&cloud, first), self.sink.as_ref());
        let targets: Vec<&Target> = self.targets.iter().collect();
        let looked = look_for_unfinished(&world, &targets, asker).await;
        for (target, recovery) in self.targets.iter().zip(looked) {
            match recovery {
                Err(problem) => all.stop([problem]),
                Ok(Recovery::Nothing) => all.take(sink, target, Recovered::Nothing),
                Ok(Recovery::Waits(lease)) => all.take(sink, target, Recovered::Held(lease)),
                Ok(Recovery::Blocked(problems)) => all.stop(problems),
                Ok(Recovery::Proceed(rescue)) => {
                    let lines = text::plain_lines(&render_plan(&rescue.plan)).join("\n");
                    if shell.on_github || shell.format == crate::cli::Format::Json {
                        shell.note(lines);
                    } else {
                        shell.streams.out.say(&format!("{lines}\n"));
                    }
                }
            }
        }
    }
}
