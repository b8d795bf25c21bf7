//! The way back of a run that has written, met a stranger's change, and must not go on: what it left
//! is open in the service, and no execution holds its undo any more.

use std::time::Duration;

use delivery::diagnostic::Diagnostic;
use delivery::outcome::Outcome;
use delivery::plan::recover::{Asker, Despite, Recovery, Rescue, Way};
use delivery::plan::render::describe;
use delivery::plan::{Wanted, recover};
use delivery::target::Target;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Seen, World, carry_out};
use crate::execute::{ExecutionEnd, Guard};

/// Time for it.
const TIME: Duration = Duration::from_secs(60);
/// Time for it after a signal: the runner kills soon.
const TIME_AFTER_SIGNAL: Duration = Duration::from_millis(4_500);
/// Tries, as whoever was faster may be once more.
const TRIES: u32 = 4;

/// Ends what this run has begun, as `recover` would; `problems` say why it does not go on.
pub(super) async fn take_back(
    world: &World<'_>,
    target: &Target,
    wanted: &Wanted,
    problems: Vec<Diagnostic>,
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
    for _ in 0..TRIES {
        let observing = world.cloud.observe(target, wanted, guard.clock.now());
        let Ok(Ok(Seen { snapshot, writer })) =
            tokio::time::timeout_at(guard.deadline, observing).await
        else {
            return Outcome::Stopped(problems);
        };
        let rescue = match recover(&asker, &snapshot) {
            Recovery::Proceed(rescue) => rescue,
            // Somebody else has it, or has ended it.
            Recovery::Nothing | Recovery::Waits(_) => return Outcome::Stopped(problems),
            Recovery::Blocked(more) => return failed(problems, more),
        };
        let Rescue { way, plan, .. } = rescue;
        match carry_out(&world, target, &plan, writer).await {
            ExecutionEnd::Done { url, .. } if way == Way::Forward => {
                return Outcome::Promoted {
                    revision: plan.revision,
                    url,
                };
            }
            ExecutionEnd::Done { .. } => {
                let done = plan.steps.iter().map(|step| describe(&step.action));
                let state = format!(
                    "what this run had begun was taken back: {}",
                    done.collect::<Vec<_>>().join("; ")
                );
                return Outcome::Stopped(with_state(problems, &state));
            }
            ExecutionEnd::Conflict { .. } => {}
            ExecutionEnd::Stopped(more) | ExecutionEnd::UndoFailed(more) => {
                return failed(problems, more);
            }
        }
    }
    failed(problems, vec![super::busy(target)])
}

fn with_state(problems: Vec<Diagnostic>, state: &str) -> Vec<Diagnostic> {
    let one = |problem: Diagnostic| problem.state(state);
    problems.into_iter().map(one).collect()
}

/// The first cause first.
fn failed(mut problems: Vec<Diagnostic>, more: Vec<Diagnostic>) -> Outcome {
    problems.extend(more);
    Outcome::RollbackFailed(problems)
}
