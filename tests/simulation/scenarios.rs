//! The named stories.

use std::time::Duration;

use delivery::diagnostic::Code;
use delivery::stage::RollbackTo;
use delivery::target::Tier;

use crate::cloud::{Behaviour, Pace};
use crate::foreign::Foreign;
use crate::story::{Act, Expect, OpenTo, Story};
use crate::wishes::{promote, rollback, to_revision, to_version};

/// Images: 1 to 5 are good, the others are told.
const BAD: u64 = 11;
const CRASHES: u64 = 12;
const SLOW: u64 = 13;
const FAILS_SERVING: u64 = 14;
const DEGRADES: u64 = 15;

fn story(name: &str, acts: Vec<Act>) -> Story {
    Story {
        name: name.to_owned(),
        tier: Tier::Production,
        pace: Pace::default(),
        behaviours: vec![
            (BAD, Behaviour::Bad),
            (CRASHES, Behaviour::Crashes),
            (SLOW, Behaviour::SlowToAnswer),
            (FAILS_SERVING, Behaviour::FailsWhenServing),
            (DEGRADES, Behaviour::Degrades),
        ],
        acts,
    }
}

fn first() -> Act {
    Act::Run(promote(1, "1.0.0", 1), Expect::Promoted)
}

fn second() -> Act {
    Act::Run(promote(2, "1.1.0", 2), Expect::Promoted)
}

fn made() -> Act {
    Act::Made {
        open_to: OpenTo::EverybodyByBinding,
    }
}

fn first_ones() -> Vec<Story> {
    vec![
        story("first deploy", vec![first()]),
        story(
            "first deploy that fails, then a good one",
            vec![
                Act::Run(promote(BAD, "1.0.0", 1), Expect::Stops(Code::TestsFailed)),
                Act::Run(promote(1, "1.0.1", 2), Expect::Promoted),
            ],
        ),
        story(
            "first deploy that crashes, then a good one",
            vec![
                Act::Run(
                    promote(CRASHES, "1.0.0", 1),
                    Expect::Stops(Code::CandidateNotReady),
                ),
                Act::Run(promote(1, "1.0.1", 2), Expect::Promoted),
            ],
        ),
        story(
            "first deploy in time that runs out",
            vec![
                Act::Run(
                    promote(1, "1.0.0", 1).within(Duration::from_secs(2)),
                    Expect::Stops(Code::DeadlinePassed),
                ),
                Act::Run(promote(1, "1.0.0", 1).again(), Expect::Promoted),
            ],
        ),
        story(
            "private service",
            vec![
                Act::Run(promote(1, "1.0.0", 1).private(), Expect::Promoted),
                Act::Run(promote(2, "1.1.0", 2).private(), Expect::Promoted),
            ],
        ),
        story(
            "private service that is opened",
            vec![
                Act::Run(promote(1, "1.0.0", 1).private(), Expect::Promoted),
                second(),
            ],
        ),
        story(
            "public service that is closed",
            vec![
                first(),
                Act::Run(promote(2, "1.1.0", 2).private(), Expect::Promoted),
            ],
        ),
        story(
            "service that tells no commit",
            vec![
                Act::Run(promote(1, "1.0.0", 1).silent(), Expect::Promoted),
                Act::Run(promote(2, "1.1.0", 2).silent(), Expect::Promoted),
            ],
        ),
    ]
}

fn releases() -> Vec<Story> {
    vec![
        story("second release", vec![first(), second()]),
        story(
            "bad candidate",
            vec![
                first(),
                Act::Run(promote(BAD, "1.1.0", 2), Expect::Stops(Code::TestsFailed)),
            ],
        ),
        story(
            "bad candidate, then a good one",
            vec![
                first(),
                Act::Run(promote(BAD, "1.1.0", 2), Expect::Stops(Code::TestsFailed)),
                Act::Run(promote(2, "1.1.1", 3), Expect::Promoted),
            ],
        ),
        story(
            "candidate that never becomes ready",
            vec![
                first(),
                Act::Run(
                    promote(CRASHES, "1.1.0", 2),
                    Expect::Stops(Code::CandidateNotReady),
                ),
            ],
        ),
        story(
            "candidate that is slow to answer",
            vec![
                first(),
                Act::Run(promote(SLOW, "1.1.0", 2), Expect::Promoted),
            ],
        ),
        story(
            "candidate that fails once it serves",
            vec![
                first(),
                Act::Run(
                    promote(FAILS_SERVING, "1.1.0", 2),
                    Expect::Stops(Code::NotConfirmed),
                ),
            ],
        ),
        story(
            "traffic in steps",
            vec![
                first(),
                Act::Run(promote(2, "1.1.0", 2).in_steps(), Expect::Promoted),
            ],
        ),
        story(
            "traffic in steps to a candidate that degrades",
            vec![
                first(),
                Act::Run(
                    promote(DEGRADES, "1.1.0", 2).in_steps(),
                    Expect::Stops(Code::CanaryFailed),
                ),
            ],
        ),
        story(
            "hotfix",
            vec![
                first(),
                second(),
                Act::Run(promote(3, "1.1.1", 3), Expect::Promoted),
            ],
        ),
        story(
            "older version",
            vec![
                first(),
                second(),
                Act::Run(
                    promote(3, "1.0.9", 3),
                    Expect::Stops(Code::OlderThanProduction),
                ),
            ],
        ),
        story(
            "re-run of an old tag",
            vec![
                first(),
                second(),
                Act::Run(promote(1, "1.0.0", 1).again(), Expect::Promoted),
            ],
        ),
        story(
            "change of configuration only",
            vec![
                first(),
                Act::Run(promote(1, "1.0.0", 2).memory("1Gi"), Expect::Promoted),
            ],
        ),
        story(
            "the same again",
            vec![first(), Act::Run(promote(1, "1.0.0", 2), Expect::UpToDate)],
        ),
    ]
}

fn rollbacks() -> Vec<Story> {
    let previous = || Act::Run(rollback(RollbackTo::Previous, 3), Expect::RolledBack);
    vec![
        story(
            "rollback to the previous one",
            vec![first(), second(), previous()],
        ),
        story(
            "rollback to a version",
            vec![
                first(),
                second(),
                Act::Run(promote(3, "1.2.0", 3), Expect::Promoted),
                Act::Run(rollback(to_version("1.0.0"), 4), Expect::RolledBack),
            ],
        ),
        story(
            "rejected digest, then told to retry",
            vec![
                first(),
                second(),
                previous(),
                Act::Run(promote(2, "1.1.0", 4), Expect::Stops(Code::DigestRejected)),
                Act::Run(promote(2, "1.1.0", 5).retry_rejected(), Expect::Promoted),
            ],
        ),
        story(
            "rollback of a configuration",
            vec![
                first(),
                Act::Run(promote(1, "1.0.0", 2).memory("1Gi"), Expect::Promoted),
                previous(),
            ],
        ),
        story(
            "rollback where there is nothing earlier",
            vec![
                first(),
                Act::Run(
                    rollback(RollbackTo::Previous, 2),
                    Expect::Stops(Code::NoRollbackTarget),
                ),
            ],
        ),
        story(
            "rollback to a revision of another tool",
            vec![
                made(),
                second(),
                Act::Run(
                    rollback(to_revision("api-00001-abc"), 3),
                    Expect::RolledBack,
                ),
            ],
        ),
    ]
}

fn strangers() -> Vec<Story> {
    let shift = Act::Stranger(Foreign::Shift { percent: 90 });
    vec![
        story("service made by gcloud", vec![made(), second()]),
        story(
            "private service made by gcloud",
            vec![
                Act::Made {
                    open_to: OpenTo::TokenHolders,
                },
                Act::Run(promote(2, "1.1.0", 2).private(), Expect::Promoted),
            ],
        ),
        story(
            "service made by gcloud, bad candidate",
            vec![
                made(),
                Act::Run(promote(BAD, "1.1.0", 2), Expect::Stops(Code::TestsFailed)),
            ],
        ),
        story(
            "foreign tags",
            vec![
                first(),
                Act::Stranger(Foreign::Tag { latest: true }),
                Act::Stranger(Foreign::Tag { latest: false }),
                second(),
            ],
        ),
        story(
            "foreign split of 90 and 10",
            vec![
                first(),
                second(),
                shift.clone(),
                Act::Run(promote(BAD, "1.2.0", 3), Expect::Stops(Code::TestsFailed)),
                Act::Run(promote(3, "1.2.1", 4), Expect::Promoted),
            ],
        ),
        story(
            "service that follows LATEST",
            vec![
                first(),
                Act::Stranger(Foreign::FollowLatest),
                Act::Run(promote(BAD, "1.1.0", 2), Expect::Stops(Code::TestsFailed)),
                Act::Run(promote(2, "1.1.1", 3), Expect::Promoted),
            ],
        ),
        story(
            "foreign deployment between two releases",
            vec![
                first(),
                Act::Stranger(Foreign::FollowLatest),
                Act::Stranger(Foreign::Deploy),
                second(),
            ],
        ),
        story(
            "erased record",
            vec![first(), Act::Stranger(Foreign::EraseRecord), second()],
        ),
        story(
            "two runs at once",
            vec![
                first(),
                Act::Together(
                    promote(2, "1.1.0", 2),
                    promote(3, "1.2.0", 3),
                    Duration::from_millis(700),
                ),
            ],
        ),
        story(
            "two runs at the same moment",
            vec![
                first(),
                Act::Together(
                    promote(2, "1.1.0", 2),
                    promote(3, "1.2.0", 3),
                    Duration::ZERO,
                ),
            ],
        ),
        story(
            "two first runs at the same moment",
            vec![Act::Together(
                promote(2, "1.1.0", 2),
                promote(3, "1.2.0", 3),
                Duration::ZERO,
            )],
        ),
    ]
}

/// All of them.
pub(crate) fn all() -> Vec<Story> {
    [first_ones(), releases(), rollbacks(), strangers()].concat()
}
