//! What a run that died has left behind: finished where nothing but its record is missing, else taken
//! back. Never in between.

use super::candidate::is_our_tag;
use super::guard::{self, blocked};
use super::standing::Standing;
use super::{Action, Outlook, Plan, Step, Undo, rollback};
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{Region, RevisionName};
use crate::snapshot::{ServiceSeen, Snapshot};
use crate::spec::Access;
use crate::state::{BroughtBy, OpenIntent, RunRef, StateRecord, Timestamp};
use crate::traffic::{Destination, Tag, TrafficSplit};

/// Who asks, and what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The run that asks. What it, or an earlier attempt of it, left is its own.
    pub run: RunRef,
    /// Whose lease it does not wait for.
    pub despite: Despite,
}

/// Whose lease is not waited for, by the word of a person who knows that the run is dead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Despite {
    /// Nobody's.
    #[default]
    Nobody,
    /// That of this run.
    Run(RunRef),
    /// Anybody's.
    Anybody,
}

/// Whose the unfinished rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunRef,
    /// What it brings.
    pub revision: RevisionName,
    /// Until then, others keep off.
    pub until: Timestamp,
    /// The regions that it is brought to together; empty where it is one alone.
    pub regions: Vec<Region>,
}

/// What is to be done about an unfinished rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one value a run: a box would only cost words"
)]
pub enum Recovery {
    /// There is none.
    Nothing,
    /// It belongs to a run that may still be at work.
    Waits(Lease),
    /// This ends it.
    Proceed(Rescue),
    /// It must not be touched, or cannot be ended.
    Blocked(Vec<Diagnostic>),
}

/// How an unfinished rollout is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    /// Whose it was.
    pub lease: Lease,
    /// Which way.
    pub way: Way,
    /// The steps.
    pub plan: Plan,
}

/// Which way an unfinished rollout is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What served before serves again.
    Back,
    /// Everything was given to a revision that had passed: it is confirmed and recorded, and taken
    /// back only if it cannot be confirmed.
    Forward,
}

/// Says how an unfinished rollout is to be ended, if there is one. Total and pure: "now" is the
/// snapshot's, and after a plan of it was carried out it says [`Recovery::Nothing`]. The revision is
/// not rejected: that its run died says nothing about it.
pub fn recover(asker: &Asker, snapshot: &Snapshot) -> Recovery {
    ended(asker, &Standing::of(snapshot), Ways::Both)
}

/// As [`recover`], but back, however far it has come: another region goes back too.
pub fn take_back(asker: &Asker, snapshot: &Snapshot) -> Recovery {
    ended(asker, &Standing::of(snapshot), Ways::Back)
}

/// Which ways are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    Both,
    Back,
}

pub(super) fn ended(asker: &Asker, standing: &Standing<'_>, ways: Ways) -> Recovery {
    let Some(service) = standing.service else {
        return Recovery::Nothing;
    };
    if let Some(problem) = guard::unreadable(standing) {
        return Recovery::Blocked(vec![problem]);
    }
    let Some(intent) = &standing.record.intent else {
        return Recovery::Nothing;
    };
    let lease = Lease {
        run: intent.run.clone(),
        revision: intent.revision.clone(),
        until: intent.expires,
        regions: intent.regions.clone(),
    };
    let is_foreign = standing.now < intent.expires && !asker.run.continues(&intent.run);
    if is_foreign && !asker.despite.covers(&intent.run) {
        return Recovery::Waits(lease);
    }
    let way_back = WayBack::of(standing, service, intent);
    let finish = match ways {
        Ways::Both => forward(standing, service, intent, &way_back),
        Ways::Back => None,
    };
    let (way, steps, mut warnings) = match finish {
        Some(steps) => (Way::Forward, steps, Vec::new()),
        None => match way_back {
            WayBack::Open { back, warning } => {
                (Way::Back, vec![back.step(intent)], Vec::from_iter(warning))
            }
            WayBack::Barred(problem) => return Recovery::Blocked(vec![*problem]),
        },
    };
    if is_foreign {
        warnings.push(overridden(standing, &lease));
    }
    proceed(asker, standing, service, lease, (way, steps), warnings)
}

/// These steps.
pub(super) fn proceed(
    asker: &Asker,
    standing: &Standing<'_>,
    service: &ServiceSeen,
    lease: Lease,
    (way, steps): (Way, Vec<Step>),
    warnings: Vec<Diagnostic>,
) -> Recovery {
    Recovery::Proceed(Rescue {
        plan: Plan {
            target: standing.target.clone(),
            run: asker.run.clone(),
            etag: Some(service.etag.clone()),
            revision: lease.revision.clone(),
            before: standing.state_in_words(),
            others: standing.others(
                &lease.revision,
                standing
                    .record_of(&lease.revision)
                    .map(|record| &record.commit),
            ),
            steps,
            outlook: Outlook::default(),
            warnings,
        },
        lease,
        way,
    })
}

impl Despite {
    pub(super) fn covers(&self, run: &RunRef) -> bool {
        match self {
            Self::Nobody => false,
            Self::Run(named) => named == run,
            Self::Anybody => true,
        }
    }
}

fn overridden(standing: &Standing<'_>, lease: &Lease) -> Diagnostic {
    let run = &lease.run.0;
    Diagnostic::warning(
        Code::LeaseOverridden,
        format!("the rollout of run `{run}` is ended although its lease has not"),
    )
    .at(standing.place())
    .cause(format!("its lease ends at {}", lease.until))
    .help(format!(
        "if run `{run}` is alive after all, it stops at its next write and leaves what it finds"
    ))
}

/// The steps that finish a rollout of which nothing but confirmation and record are missing: the
/// revision had passed, has everything by its name, and can serve.
fn forward(
    standing: &Standing<'_>,
    service: &ServiceSeen,
    intent: &OpenIntent,
    way_back: &WayBack,
) -> Option<Vec<Step>> {
    let passed = intent.passed.as_ref()?;
    let revision = &intent.revision;
    let has_everything = service.traffic.percent_of(revision) == 100
        && standing.is_ready(&Destination::Revision(revision.clone()));
    if !has_everything {
        return None;
    }
    let record = standing.record_of(revision);
    let state = match (passed.by, record) {
        (BroughtBy::Promotion, record) => standing.record.recorded_healthy(
            record?
                .healthy(standing.now, intent.run.clone(), BroughtBy::Promotion)
                .after_access(intent.access_before())
                .together(&intent.regions),
        ),
        (BroughtBy::Rollback, _) => rollback::end(
            &intent.run,
            &intent.regions,
            standing,
            standing.revision(revision)?,
        ),
    };
    let undo = match way_back {
        WayBack::Open { back, .. } => back.undo(),
        // What served before is gone: what has passed stays, and is not called healthy.
        WayBack::Barred(_) => Back::as_it_is(standing, service, None).undo(),
    };
    let run = &intent.run.0;
    Some(vec![
        Step {
            because: format!(
                "run `{run}` ended after `{revision}` had passed and was given everything: see that callers reach it"
            ),
            undo: undo.clone(),
            action: Action::Confirm {
                revision: revision.clone(),
                commit: record.map(|record| record.commit.clone()),
            },
        },
        Step {
            because: format!("write the record that run `{run}` did not come to write"),
            undo,
            action: Action::Record { state },
        },
    ])
}

/// What is written when a rollout is taken back.
pub(super) struct Back {
    /// `None`: a first deploy, which keeps its traffic and is closed.
    pub(super) traffic: Option<TrafficSplit>,
    pub(super) state: StateRecord,
    pub(super) access: Option<Access>,
}

impl Back {
    /// The traffic stays; our tag and the intent go.
    fn as_it_is(standing: &Standing<'_>, service: &ServiceSeen, access: Option<Access>) -> Self {
        let intent = standing.record.intent.as_ref();
        let tags = match intent.and_then(|intent| intent.undo.as_ref()) {
            Some(undo) => tags_after(standing, undo),
            None => standing.foreign_tags(),
        };
        Self {
            traffic: Some(service.traffic.with_tags(tags)),
            state: standing.record.without_intent(),
            access,
        }
    }

    fn undo(&self) -> Undo {
        let Self {
            traffic,
            state,
            access,
        } = self;
        match traffic {
            Some(traffic) => Undo::Restore {
                traffic: traffic.clone(),
                state: state.clone(),
                rejects: None,
                access: *access,
            },
            None => Undo::KeepClosed {
                state: state.clone(),
                rejects: None,
            },
        }
    }

    fn step(self, intent: &OpenIntent) -> Step {
        let (run, revision) = (&intent.run.0, &intent.revision);
        self.because(format!(
            "run `{run}` ended before `{revision}` was confirmed"
        ))
    }

    /// The step, for a reason.
    pub(super) fn because(self, reason: String) -> Step {
        let then = match &self.traffic {
            Some(_) => "what served before serves again",
            None => "nothing served before it, and the service stays closed",
        };
        Step {
            because: format!("{reason}: {then}"),
            undo: self.undo(),
            action: Action::Restore {
                traffic: self.traffic,
                state: self.state,
                access: self.access,
            },
        }
    }
}

/// Where an unfinished rollout is taken back to.
#[expect(
    clippy::large_enum_variant,
    reason = "one value a run: a box would only cost words"
)]
enum WayBack {
    Open {
        back: Back,
        warning: Option<Diagnostic>,
    },
    /// What served before cannot serve any more, and the candidate has traffic.
    Barred(Box<Diagnostic>),
}

impl WayBack {
    fn of(standing: &Standing<'_>, service: &ServiceSeen, intent: &OpenIntent) -> Self {
        let candidate = &intent.revision;
        let open = |back| Self::Open {
            back,
            warning: None,
        };
        let now = match &service.latest_ready {
            Some(ready) => service.traffic.pinned_to(ready),
            None => service.traffic.clone(),
        };
        // A first deploy is nobody else's before it has passed: it follows LATEST until then.
        let is_begun = intent.undo.is_some() || intent.passed.is_some();
        let is_moved = is_begun && standing.is_moved(intent);
        let strangers: Vec<&RevisionName> = now
            .revisions()
            .filter(|name| is_moved || *name != candidate)
            .filter(|name| match &intent.undo {
                Some(undo) => is_moved || undo.percent_of(name) == 0,
                None => !standing.is_untested(name),
            })
            .collect();
        // Who may call is put back as it was before, whatever became of the traffic.
        let before = intent.access_before();
        let access = before.filter(|access| *access != service.access);
        if !strangers.is_empty() {
            return Self::Open {
                back: Back::as_it_is(standing, service, access),
                warning: Some(left(standing, intent, &now, &strangers)),
            };
        }
        let state = standing.record.without_intent();
        let Some(undo) = &intent.undo else {
            return open(Back {
                traffic: None,
                state,
                access: Some(Access::Private),
            });
        };
        if undo
            .shares()
            .iter()
            .all(|share| standing.is_ready(&share.to))
        {
            return open(Back {
                traffic: Some(undo.with_tags(tags_after(standing, undo))),
                state,
                access,
            });
        }
        if now.percent_of(candidate) == 0 {
            return open(Back::as_it_is(standing, service, access));
        }
        Self::Barred(Box::new(barred(standing, intent, undo)))
    }
}

/// Others' tags as they are now, ours as they were before the rollout.
fn tags_after(standing: &Standing<'_>, undo: &TrafficSplit) -> Vec<Tag> {
    let is_ours = |tag: &&Tag| match &tag.to {
        Destination::Revision(name) => is_our_tag(&tag.name, name) && standing.is_ready(&tag.to),
        Destination::Latest => false,
    };
    let mut tags = standing.foreign_tags();
    let missing: Vec<Tag> = undo
        .tags()
        .iter()
        .filter(is_ours)
        .filter(|tag| tags.iter().all(|kept| kept.name != tag.name))
        .cloned()
        .collect();
    tags.extend(missing);
    tags
}

/// Somebody else moved traffic to a revision that has nothing to do with the rollout.
fn left(
    standing: &Standing<'_>,
    intent: &OpenIntent,
    now: &TrafficSplit,
    strangers: &[&RevisionName],
) -> Diagnostic {
    let names: Vec<String> = strangers.iter().map(|name| format!("`{name}`")).collect();
    let candidate = &intent.revision;
    let warning = Diagnostic::warning(
        Code::ForeignChange,
        format!(
            "somebody moved traffic to {} after run `{}` had begun: the traffic stays as it is",
            names.join(", "),
            intent.run.0
        ),
    )
    .at(standing.place());
    match now.percent_of(candidate) {
        0 => warning,
        percent => warning
            .cause(format!(
                "`{candidate}`, which was not confirmed, gets {percent} % of it"
            ))
            .help("move it with `ml-deploy rollback`, or promote the release again"),
    }
}

fn barred(standing: &Standing<'_>, intent: &OpenIntent, undo: &TrafficSplit) -> Diagnostic {
    let gone: Vec<String> = undo
        .revisions()
        .filter(|name| !standing.is_ready(&Destination::Revision((*name).clone())))
        .map(|name| format!("`{name}` is not ready, or was deleted"))
        .collect();
    let environment = &standing.target.environment.name;
    let mut problem = blocked(
        standing,
        Code::UndoFailed,
        format!(
            "what served before run `{}` began cannot serve any more, and `{}` gets traffic",
            intent.run.0, intent.revision
        ),
    )
    .help(format!(
        "act now: `ml-deploy rollback --environment {environment} --rollback-to REVISION`, or promote a release"
    ));
    problem.cause = gone;
    problem
}
