//! The way back of a run that has written, met a stranger's change, and must not go on: what it left
//! is open in the service, and no execution holds its undo any more.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::outcome::Outcome;
use delivery::plan::Wanted;
use delivery::plan::recover::{Asker, Despite, Way};
use delivery::plan::render::place;
use delivery::target::Target;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::recover::{Scope, recover_within};
use super::{Recovered, Told, World};
use crate::execute::{Guard, late, out_of_time};

/// Time for it, where nobody hurries: what is confirmed in it needs time for its own way back.
const TIME: Duration = Duration::from_secs(60);
/// After a signal, how long a look or a write under way may go on before what it does is undone.
const GRACE: Duration = Duration::from_secs(1);

/// Ends what this run has begun, as `recover` does; `problems` say why it does not go on. Together
/// with other regions it goes back, as they do.
pub(super) async fn take_back(
    world: &World<'_>,
    target: &Target,
    wanted: &Wanted,
    mut problems: Vec<Diagnostic>,
    told: &mut Told,
) -> Outcome {
    if let Some(member) = &world.guard.convoy {
        member.fail();
    }
    let signal = &world.guard.cancelled;
    let scope = if world.guard.convoy.is_some() || signal.is_cancelled() {
        Scope::OwnBack
    } else {
        Scope::Own
    };
    let asker = Asker {
        run: wanted.run.clone(),
        despite: Despite::Nobody,
    };
    let recovering = in_own_time(world, async |world| {
        recover_within(world, target, &asker, scope).await
    });
    let recovered = recovering.await;
    let recovered = recovered.unwrap_or_else(|| Recovered::Failed(vec![cut_short(target)]));
    told.left_open = matches!(recovered, Recovered::Stopped(_) | Recovered::Failed(_));
    match recovered {
        // Somebody else has it, or has ended it.
        Recovered::Nothing | Recovered::Held(_) => Outcome::Stopped(problems),
        Recovered::Ended {
            lease,
            way: Way::Forward,
            ..
        } => {
            let live = world.cloud.read(target).await.ok().flatten();
            Outcome::Promoted {
                revision: lease.revision,
                url: live.and_then(|live| live.uri).unwrap_or_default(),
            }
        }
        Recovered::Ended {
            state,
            problems: more,
            ..
        } => {
            problems.extend(more);
            let state = format!("what this run had begun was taken back: {state}");
            let one = |problem: Diagnostic| problem.state(state.clone());
            Outcome::Stopped(problems.into_iter().map(one).collect())
        }
        Recovered::Stopped(more) => {
            problems.extend(more.into_iter().map(unfinished));
            Outcome::Stopped(problems)
        }
        // The first cause first.
        Recovered::Failed(more) => {
            problems.extend(more);
            Outcome::RollbackFailed(problems)
        }
    }
}

/// A way back: what ends the run early must not end it, and a signal, also one that comes now, hurries
/// it. `None`: there was no time for it.
async fn in_own_time<T>(
    world: &World<'_>,
    way_back: impl AsyncFnOnce(&World<'_>) -> T,
) -> Option<T> {
    let hurry = CancellationToken::new();
    let guard = Guard {
        cancelled: hurry.clone(),
        deadline: Instant::now() + TIME,
        convoy: None,
        ..world.guard.clone()
    };
    let hurried = World {
        guard: &guard,
        ..*world
    };
    let signalled = async {
        world.guard.cancelled.cancelled().await;
        tokio::time::sleep(GRACE).await;
        hurry.cancel();
        std::future::pending::<Option<T>>().await
    };
    tokio::select! {
        biased;
        done = way_back(&hurried) => Some(done),
        () = out_of_time(world.guard) => None,
        never = signalled => never,
    }
}

/// The way back was not taken, and what this run has written may stand.
fn unfinished(problem: Diagnostic) -> Diagnostic {
    let open = "what this run had begun may be unfinished: the next run goes on from it";
    let state = match problem.state.as_deref() {
        Some(state) => format!("on the way back: {state}; {open}"),
        None => open.to_owned(),
    };
    problem.state(state)
}

/// Nobody knows what became of the last write.
fn cut_short(target: &Target) -> Diagnostic {
    let environment = &target.environment.name;
    Diagnostic::error(
        Code::UndoFailed,
        format!(
            "whether what served before serves on `{}` is not known",
            target.service
        ),
    )
    .at(format!("undo · {}", place(target)))
    .cause(late().title)
    .state("not known for certain")
    .help(format!(
        "act now: `ml-deploy recover --environment {environment}` ends what is unfinished"
    ))
}
