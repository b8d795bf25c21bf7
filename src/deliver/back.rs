//! The way back of a run that has written, met a stranger's change, and must not go on: what it left
//! is open in the service, and no execution holds its undo any more.

use std::time::Duration;

use delivery::diagnostic::Diagnostic;
use delivery::outcome::Outcome;
use delivery::plan::Wanted;
use delivery::plan::recover::{Asker, Despite, Way};
use delivery::target::Target;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Recovered, Told, World, recover};
use crate::execute::Guard;

/// Time for it.
const TIME: Duration = Duration::from_secs(60);
/// Time for it after a signal: the runner kills soon.
const TIME_AFTER_SIGNAL: Duration = Duration::from_millis(4_500);

/// Ends what this run has begun, as `recover` does; `problems` say why it does not go on.
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
    let time = if world.guard.cancelled.is_cancelled() {
        TIME_AFTER_SIGNAL
    } else {
        TIME
    };
    // What ends the run early must not end its way back.
    let guard = Guard {
        cancelled: CancellationToken::new(),
        deadline: Instant::now() + time,
        convoy: None,
        ..world.guard.clone()
    };
    let world = World {
        guard: &guard,
        ..*world
    };
    let asker = Asker {
        run: wanted.run.clone(),
        despite: Despite::Nobody,
    };
    let recovered = recover(&world, target, &asker).await;
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
            problems.extend(more);
            Outcome::Stopped(problems)
        }
        // The first cause first.
        Recovered::Failed(more) => {
            problems.extend(more);
            Outcome::RollbackFailed(problems)
        }
    }
}
