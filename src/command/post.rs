//! The action's post step: ends what its main step left unfinished, and is silent where that is
//! nothing.
//!
//! The runner starts it after the main step, whatever became of that: failed, cancelled, or killed.
//! After a kill the main step's container may go on; it gets a moment to end by itself.

use std::sync::Arc;
use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::recover::{Asker, Despite};
use delivery::plan::render::place;
use delivery::state::OpenIntent;
use delivery::target::Target;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::job::{read_context, read_inputs};
use super::look;
use super::recorder::Recorder;
use super::recover::{Scene, finish};
use super::session::Session;
use super::shell::Shell;
use crate::deliver::{Ends, Recovered, left_open};
use crate::execute::Guard;
use crate::inputs::{EnvironmentInputs, Inputs, Wish};

/// Name of the program as the action's `post-entrypoint`: the runner hands the same arguments to every
/// stage, so that only the name tells them apart.
pub(super) const PROGRAM: &str = "ml-deploy-post";
/// What the main step saves before anything is changed: where.
const ROLLOUT: &str = "rollout";
/// What the main step saves at its end: whether it may have left something open.
const ENDED: &str = "ended";
/// How long a main step that has not told its end may take to close its record. The runner kills the
/// docker client 10 s after its first signal, and within 7 s of it the main step is done: this is for
/// what is still on its way.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest time for all of it. What is left of a cancelled job's five minutes is shared by every post
/// step of it.
const TIME: Duration = Duration::from_secs(120);
/// Longest time for the release to be confirmed, where only its record is missing.
const CONFIRM_TIME: Duration = Duration::from_secs(30);

/// How the main step ended, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MainEnd {
    /// Nothing is under way.
    Closed,
    /// A rollout of it may be unfinished.
    Open,
}

/// Saves where a rollout is about to begin.
pub(super) fn save_rollout(shell: &Shell, targets: &[Target]) {
    if let Ok(text) = serde_json::to_string(targets) {
        shell.save_state(ROLLOUT, text);
    }
}

/// Saves how the main step ends.
pub(super) fn save_end(shell: &Shell, end: MainEnd) {
    let text = match end {
        MainEnd::Closed => "closed",
        MainEnd::Open => "open",
    };
    shell.save_state(ENDED, text.to_owned());
}

/// Runs the post step; gives the exit code.
pub(super) async fn run(shell: &Shell) -> u8 {
    let main = saved(shell, ENDED).and_then(|text| match text.as_str() {
        "closed" => Some(MainEnd::Closed),
        "open" => Some(MainEnd::Open),
        _ => None,
    });
    if main == Some(MainEnd::Closed) {
        return 0;
    }
    let (inputs, places) = places(shell);
    let guard = Guard {
        confirm_grace: CONFIRM_TIME,
        ..Guard::new(shell.stop.clone(), Instant::now() + TIME)
    };
    let sink = Arc::new(Recorder::new(shell.sink()));
    let mut all = Ends::default();
    if let Some((environment, targets)) = &places {
        let opened = Session::open(shell, &inputs, environment, sink.clone()).await;
        match &opened {
            Err(problem) => {
                all.stop(targets.iter().map(|one| unknown(one, problem.clone())));
            }
            Ok(session) => {
                let scene = Scene {
                    session,
                    environment,
                    targets,
                    sink: &sink,
                    guard: &guard,
                };
                look_and_end(shell, &scene, main, &mut all).await;
            }
        }
    }
    let environment = places
        .as_ref()
        .map(|(environment, _)| environment.environment.name.to_string());
    match all.outcome() {
        Some(outcome) => finish(shell, outcome, environment, sink.warnings()),
        None => 0,
    }
}

/// One read of each region where nothing is open, which is nearly always.
async fn look_and_end(shell: &Shell, scene: &Scene<'_>, main: Option<MainEnd>, all: &mut Ends) {
    let asker = Asker {
        run: read_context(shell).run,
        despite: Despite::Nobody,
    };
    let patience = match main {
        Some(_) => Duration::ZERO,
        None => PATIENCE,
    };
    let (cloud, verifiers) = (scene.session.reader(), scene.verifiers());
    let Some(first) = verifiers.first() else {
        return;
    };
    let world = scene.world(&cloud, first);
    let left = left_open(&world, scene.targets, &asker.run, patience).await;
    for (target, intent) in &left.open {
        shell.note(what_is_left(target, intent, main));
    }
    if left.is_nothing() {
        let unread = left.unread.into_iter();
        all.stop(unread.map(|(target, problem)| unknown(&target, problem)));
        return;
    }
    for (target, end) in scene.targets.iter().zip(scene.recover(&asker).await) {
        match end {
            // The main step, or another run, has ended it in this moment.
            Recovered::Nothing | Recovered::Held(_) => {}
            end => all.take(scene.sink.as_ref(), target, end),
        }
    }
}

fn what_is_left(target: &Target, intent: &OpenIntent, main: Option<MainEnd>) -> String {
    let (place, revision) = (place(target), &intent.revision);
    match main {
        Some(_) if intent.verified => {
            format!("{place}: `{revision}` passed and was not promoted: taking it back")
        }
        Some(_) => format!(
            "{place}: the step could not take back its rollout of `{revision}`: trying again"
        ),
        None => format!("{place}: the step left its rollout of `{revision}` unfinished"),
    }
}

/// What the main step saved. Values of a step are shown to nobody else.
fn saved(shell: &Shell, name: &str) -> Option<String> {
    shell.variable(&format!("STATE_{name}"))
}

/// Where to look: where the main step said that it would begin. Where it said nothing, the inputs tell:
/// it was killed before it could, or the runner does not hand on what a container saves (`act`
/// 0.2.89).
fn places(shell: &Shell) -> (Inputs, Option<(EnvironmentInputs, Vec<Target>)>) {
    let none = std::collections::BTreeMap::new();
    let (inputs, _) = read_inputs(shell, &none);
    let told: Option<Vec<Target>> =
        saved(shell, ROLLOUT).and_then(|text| serde_json::from_str(&text).ok());
    let places = match told {
        Some(targets) => targets
            .first()
            .and_then(|first| reached_by(&inputs, first))
            .map(|environment| (environment, targets)),
        // These change nothing, and a rollout of another job of the run is not theirs.
        None if matches!(inputs.command, Wish::Status | Wish::Plan) => None,
        None if inputs.chosen.name().is_none() => None,
        None => look::targets(shell, &none).ok().and_then(|(_, all)| {
            let environment = all.first()?.0.clone();
            Some((environment, all.into_iter().map(|(_, one)| one).collect()))
        }),
    };
    (inputs, places)
}

/// The inputs are evaluated anew for this step, and may name another environment by now.
fn reached_by(inputs: &Inputs, target: &Target) -> Option<EnvironmentInputs> {
    let named = inputs.environment(&target.environment.name);
    named.or_else(|| inputs.environments.first()).cloned()
}

/// The step did not end as it should, and what it left cannot be seen.
fn unknown(target: &Target, problem: Diagnostic) -> Diagnostic {
    let environment = &target.environment.name;
    let mut diagnostic = Diagnostic::error(
        Code::RecoveryUnknown,
        format!("the step was cut short, and whether it left a rollout of `{}` unfinished could not be found out", target.service),
    )
    .at(place(target))
    .cause(problem.title)
    .state("not known")
    .help(format!(
        "look, and end what is unfinished: `ml-deploy recover --environment {environment}`"
    ));
    diagnostic.cause.extend(problem.cause);
    diagnostic.help.extend(problem.help);
    diagnostic
}
