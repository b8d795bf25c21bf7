//! Plans as text for people.

use std::fmt::Write;
use std::time::Duration;

use super::{Action, Address, Baseline, NewRevision, Outlook, Plan, Step, Undo};
use crate::diagnostic::Diagnostic;
use crate::release::Commit;
use crate::snapshot::Serving;
use crate::spec::Access;
use crate::strategy::OnInconclusive;
use crate::target::Target;
use crate::traffic::{Destination, TrafficSplit};

/// A plan: where, traffic before and after, numbered steps with their reasons, warnings.
pub fn render_plan(plan: &Plan) -> String {
    let Plan {
        target,
        run: _,
        etag: _,
        revision,
        before,
        others: _,
        steps,
        warnings,
        outlook,
    } = plan;
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("plan for {}", place(target)));
    line(format!("  before: {before}"));
    let taken_back = steps.iter().find_map(|step| match &step.action {
        Action::Restore { traffic, .. } => Some(traffic),
        _ => None,
    });
    if let Some(traffic) = taken_back {
        line(match traffic {
            Some(_) => format!("  after:  without {revision}"),
            None => format!(
                "  after:  closed to all but callers with an ID token; {revision} has not passed"
            ),
        });
    } else {
        line(format!("  after:  {revision} serves 100 %"));
        outlook_lines(outlook).into_iter().for_each(&mut line);
    }
    let mut undo_before: Option<(usize, &Undo)> = None;
    for (index, step) in steps.iter().enumerate() {
        let Step {
            action,
            because,
            undo,
        } = step;
        line(format!(
            "{:>3}. {}: {}",
            index + 1,
            action.id(),
            describe(action)
        ));
        line(format!("     because: {because}"));
        let undone = match undo_before {
            Some((number, same)) if same == undo => format!("as in step {number}"),
            _ => {
                undo_before = Some((index + 1, undo));
                describe_undo(undo)
            }
        };
        line(format!("     on failure: {undone}"));
    }
    for warning in warnings {
        let Diagnostic {
            title, cause, help, ..
        } = warning;
        line(format!("warning: {title}"));
        for cause in cause {
            line(format!("  cause: {cause}"));
        }
        for help in help {
            line(format!("   help: {help}"));
        }
    }
    text
}

/// What changes in the configuration, and where traffic could return to.
fn outlook_lines(outlook: &Outlook) -> Vec<String> {
    let mut lines = Vec::new();
    let changes = outlook.changes();
    let before = match &outlook.serving {
        Some(serving) => format!("against {serving}"),
        None => "nothing serves yet".to_owned(),
    };
    if changes.is_empty() {
        lines.push(format!("  configuration, {before}: no change"));
    } else {
        lines.push(format!("  configuration, {before}:"));
        lines.extend(
            changes
                .iter()
                .map(|change| format!("    {}", change.describe())),
        );
    }
    lines.push(match &outlook.rollback_target {
        Some(target) => format!("  rollback: `rollback_to: previous` returns to {target}"),
        None => "  rollback: no earlier revision is recorded healthy here".to_owned(),
    });
    lines
}

/// `test · us-central1/ml-api-test`.
pub fn place(target: &Target) -> String {
    let Target {
        environment,
        project: _,
        region,
        service,
    } = target;
    format!("{} · {region}/{service}", environment.name)
}

/// `a 90 %, b 10 %; tag blue → a`.
pub fn traffic(split: &TrafficSplit) -> String {
    let shares: Vec<String> = split
        .shares()
        .iter()
        .map(|share| format!("{} {} %", destination(&share.to), share.percent))
        .collect();
    let mut text = shares.join(", ");
    for tag in split.tags() {
        // Writing to a String cannot fail.
        let _ = write!(text, "; tag {} → {}", tag.name, destination(&tag.to));
    }
    text
}

fn destination(to: &Destination) -> String {
    match to {
        Destination::Latest => "LATEST".to_owned(),
        Destination::Revision(name) => name.to_string(),
    }
}

/// `a serves 100 %`, `a serves 90 %, b 10 %`, or `nothing serves`.
pub fn serving_in_words(serving: &[Serving]) -> String {
    let mut shares: Vec<(&str, u32)> = Vec::new();
    for entry in serving.iter().filter(|entry| entry.percent > 0) {
        match shares
            .iter_mut()
            .find(|(name, _)| *name == entry.revision.as_str())
        {
            Some((_, percent)) => *percent += entry.percent,
            None => shares.push((entry.revision.as_str(), entry.percent)),
        }
    }
    let Some(((first, percent), rest)) = shares.split_first() else {
        return "nothing serves".to_owned();
    };
    let mut text = format!("{first} serves {percent} %");
    for (name, percent) in rest {
        let _ = write!(text, ", {name} {percent} %");
    }
    text
}

/// As [`serving_in_words`], of a service whose first deploy has not passed: what has its traffic reaches
/// nobody else.
pub fn closed_in_words(serving: &[Serving]) -> String {
    format!(
        "nothing tested serves: the service is closed to all but callers with an ID token ({})",
        serving_in_words(serving)
    )
}

/// What a step does, in one line.
pub fn describe(action: &Action) -> String {
    match action {
        Action::CreateService { revision, state: _ } => {
            format!("service with {}, closed", new_revision(revision))
        }
        Action::DeployCandidate {
            revision,
            traffic: split,
            state: _,
            access,
        } => format!(
            "{}; traffic {}{}",
            new_revision(revision),
            traffic(split),
            access_in_words(*access)
        ),
        Action::TagRevision {
            revision,
            is_ready: _,
            traffic: split,
            state: _,
            access,
        } => format!(
            "{revision}; traffic {}{}",
            traffic(split),
            access_in_words(*access)
        ),
        Action::Verify {
            revision,
            address,
            commit,
        } => {
            let address = match address {
                Address::Tag(tag) => format!("the address of tag {tag}"),
                Address::Service => "the service's address".to_owned(),
            };
            format!(
                "API tests against {revision}{} at {address}",
                of(commit.as_ref())
            )
        }
        Action::ShiftTraffic {
            revision: _,
            traffic: split,
            state: _,
            access,
        } => format!("traffic {}{}", traffic(split), access_in_words(*access)),
        Action::Watch {
            revision,
            tag,
            serving:
                Baseline {
                    revision: baseline,
                    tag: baseline_tag,
                },
            percent,
            next: _,
            soak,
            on_inconclusive,
        } => format!(
            "{revision} at {percent} % for {}, beside {baseline}, at the addresses of tags {tag} and {baseline_tag}; {}",
            duration(*soak),
            when_undecided(*on_inconclusive)
        ),
        Action::Confirm { revision, commit } => {
            format!(
                "{revision}{} answers at the service's address",
                of(commit.as_ref())
            )
        }
        Action::Record { state } if state.intent.as_ref().is_some_and(|it| it.verified) => {
            "the candidate has passed and waits".to_owned()
        }
        Action::Record { state } => match state.healthy.first() {
            Some(newest) => format!("newest healthy revision {}", newest.revision),
            None => "no healthy revision".to_owned(),
        },
        Action::Restore {
            traffic: split,
            state: _,
            access,
        } => {
            let split = split.as_ref().map_or_else(
                || "traffic as it is".to_owned(),
                |split| format!("traffic {}", traffic(split)),
            );
            format!("{split}{}", access_in_words(*access))
        }
    }
}

fn when_undecided(mode: OnInconclusive) -> &'static str {
    match mode {
        OnInconclusive::Fail => "undecided counts as failed",
        OnInconclusive::Hold => "undecided is watched again",
        OnInconclusive::Proceed => "undecided goes on, with a warning",
    }
}

/// `90 s`, `1.5 s`, `10 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 120.0 && time.as_secs().is_multiple_of(60) && time.subsec_nanos() == 0 {
        format!("{} min", time.as_secs() / 60)
    } else {
        format!("{} s", (seconds * 1000.0).round() / 1000.0)
    }
}

/// What an undo does, in one line.
pub fn describe_undo(undo: &Undo) -> String {
    match undo {
        Undo::Nothing => "nothing was changed".to_owned(),
        Undo::Restore {
            traffic: split,
            state: _,
            rejects,
            access,
        } => {
            let rejected = rejects.as_ref().map_or_else(String::new, |record| {
                format!(
                    "; {} is recorded as failed, or as rejected once callers have reached it",
                    record.revision
                )
            });
            format!(
                "traffic {}{}{rejected}",
                traffic(split),
                access_in_words(*access)
            )
        }
        Undo::KeepClosed { state: _, rejects } => {
            let rejected = rejects.as_ref().map_or_else(String::new, |record| {
                format!("; {} is recorded as failed", record.revision)
            });
            format!("the service stays closed{rejected}")
        }
    }
}

fn new_revision(new: &NewRevision) -> String {
    let NewRevision {
        record,
        release,
        spec: _,
    } = new;
    format!(
        "{} from {} (digest {}, attempt {})",
        record.revision,
        release.label(),
        release.image.digest.short(),
        record.attempt
    )
}

fn of(commit: Option<&Commit>) -> String {
    commit.map_or_else(String::new, |commit| {
        format!(" (commit {})", commit.short())
    })
}

fn access_in_words(access: Option<Access>) -> &'static str {
    match access {
        None => "",
        Some(Access::Public) => "; everybody may call",
        Some(Access::Private) => "; only callers with an ID token",
    }
}
