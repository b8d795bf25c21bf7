//! `ml-deploy recover`: ends what a run that died has left.

use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::Event;
use delivery::outcome::Outcome;
use delivery::plan::recover::{Asker, Despite, Lease, Recovery};
use delivery::plan::render::{place, render_plan};
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
use crate::deliver::{Recovered, World, look_for_unfinished, recover_all, recovered};
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
                // What keeps it from one environment mostly keeps it from all.
                if !all.stopped.contains(&problem) {
                    all.stopped.push(problem);
                }
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
            all.take_all(&scene, scene.recover(&asker).await);
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
        let world = self.world(&cloud, first);
        let targets: Vec<&Target> = self.targets.iter().collect();
        let looked = look_for_unfinished(&world, &targets, asker).await;
        for (target, recovery) in self.targets.iter().zip(looked) {
            match recovery {
                Err(problem) => all.stopped.push(problem),
                Ok(Recovery::Nothing) => all.take(self.sink, target, Recovered::Nothing),
                Ok(Recovery::Waits(lease)) => all.take(self.sink, target, Recovered::Held(lease)),
                Ok(Recovery::Blocked(problems)) => all.stopped.extend(problems),
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

/// How it ended in each target.
#[derive(Default)]
pub(super) struct Ends {
    states: Vec<String>,
    pub(super) stopped: Vec<Diagnostic>,
    failed: Vec<Diagnostic>,
}

impl Ends {
    /// Tells how it ended in each target of a scene.
    fn take_all(&mut self, scene: &Scene<'_>, ends: Vec<Recovered>) {
        for (target, end) in scene.targets.iter().zip(ends) {
            self.take(scene.sink, target, end);
        }
    }

    /// Tells how it ended in one target.
    pub(super) fn take(&mut self, sink: &Recorder, target: &Target, end: Recovered) {
        match end {
            Recovered::Nothing => {
                let note = format!("{}: nothing is unfinished", place(target));
                sink.emit_note(note);
            }
            Recovered::Held(lease) => self.stopped.push(held(target, &lease)),
            Recovered::Ended {
                lease,
                way,
                state,
                problems,
            } => {
                for problem in problems {
                    sink.warn(problem.as_warning());
                }
                sink.warn(recovered(target, &lease, way, &state));
                self.states.push(state);
            }
            Recovered::Stopped(problems) => self.stopped.extend(problems),
            Recovered::Failed(problems) => self.failed.extend(problems),
        }
    }

    /// How all of it ended; `None` where there was nothing to do. The worst counts.
    pub(super) fn outcome(mut self) -> Option<Outcome> {
        if !self.failed.is_empty() {
            self.failed.append(&mut self.stopped);
            return Some(Outcome::RollbackFailed(self.failed));
        }
        if !self.stopped.is_empty() {
            return Some(Outcome::Stopped(self.stopped));
        }
        let state = self.states.join("; ");
        (!state.is_empty()).then_some(Outcome::Recovered { state })
    }
}

impl Recorder {
    fn emit_note(&self, note: String) {
        delivery::event::EventSink::emit(self, Event::Note(note));
    }

    fn warn(&self, warning: Diagnostic) {
        delivery::event::EventSink::emit(self, Event::Warning(warning));
    }
}

/// Somebody may still be at work.
fn held(target: &Target, lease: &Lease) -> Diagnostic {
    let Lease {
        run,
        revision,
        until,
        regions: _,
    } = lease;
    let run = &run.0;
    let environment = &target.environment.name;
    Diagnostic::error(
        Code::LeaseLives,
        format!("run `{run}` is bringing `{revision}`, and may still be at work"),
    )
    .at(place(target))
    .cause(format!("its lease ends at {until}"))
    .state("nothing was changed")
    .help(format!("wait until {until}, and run this again"))
    .help(format!(
        "or, if it is known to be dead: `ml-deploy recover --environment {environment} --run {run}`"
    ))
}
