use delivery::approval::ApprovedAttempt;
use delivery::name::EnvironmentName;

use super::*;

fn environment(tier: Tier, approval: Approval) -> Environment {
    Environment {
        name: EnvironmentName::parse("production").unwrap(),
        github_environment: "Production".to_owned(),
        tier,
        approval,
    }
}

fn production() -> Environment {
    environment(Tier::Production, Approval::Required)
}

fn rules(reviewers: &[&str], prevents_self_review: bool) -> RulesSeen {
    RulesSeen::Known(Rules {
        reviewers: reviewers.iter().map(|it| (*it).to_owned()).collect(),
        prevents_self_review,
    })
}

fn refused(status: u16) -> RulesSeen {
    RulesSeen::Refused {
        status,
        message: "Not Found".to_owned(),
    }
}

fn claim(name: &str) -> ClaimSeen {
    ClaimSeen::Claim(Some(name.to_owned()))
}

fn approved(by: &[&str]) -> ApprovalsSeen {
    ApprovalsSeen::Known(by.iter().map(|it| (*it).to_owned()).collect())
}

/// Everything is as it should be.
fn good() -> GateSeen {
    GateSeen {
        claim: claim("production"),
        rules: rules(&["ada"], true),
        approvals: approved(&["ada"]),
        visibility: Some("public".to_owned()),
        started_by: vec!["bob".to_owned()],
        attempt: 1,
        all: vec![production(), dev()],
    }
}

/// Another environment of the same configuration.
fn dev() -> Environment {
    Environment {
        name: EnvironmentName::parse("dev").unwrap(),
        github_environment: "Development".to_owned(),
        tier: Tier::Preproduction,
        approval: Approval::None,
    }
}

#[test]
fn the_title_of_an_annotation_is_true_where_self_review_only_warns() {
    assert_eq!(
        Code::SelfReviewAllowed.meaning(),
        "Who starts a run can approve it: self-review is allowed."
    );
}

#[test]
fn the_table_of_production() {
    use Code::{
        ApprovalMissing, ApprovalNotRequired, ApprovalUnknown, SelfReviewAllowed,
        WrongGitHubEnvironment,
    };
    let with = |claim: ClaimSeen, rules: RulesSeen, approvals: ApprovalsSeen| GateSeen {
        claim,
        rules,
        approvals,
        ..good()
    };
    let fine = || rules(&["ada"], true);
    let by_ada = || approved(&["ada"]);
    let here = || claim("production");
    let rows: Vec<(GateSeen, Vec<Code>, &str)> = vec![
        (good(), vec![], ""),
        (
            with(claim("staging"), fine(), by_ada()),
            vec![WrongGitHubEnvironment],
            "environment: Production",
        ),
        (
            with(ClaimSeen::Claim(None), fine(), by_ada()),
            vec![WrongGitHubEnvironment],
            "environment: Production",
        ),
        (
            with(ClaimSeen::NoPermission, fine(), by_ada()),
            vec![ApprovalUnknown],
            "id-token: write",
        ),
        (
            with(ClaimSeen::NoJob, fine(), by_ada()),
            vec![ApprovalUnknown],
            "approval: external",
        ),
        (
            with(here(), rules(&[], false), approved(&[])),
            vec![ApprovalNotRequired],
            "Required reviewers",
        ),
        (
            with(here(), RulesSeen::NoToken, ApprovalsSeen::NotAsked),
            vec![ApprovalUnknown],
            "github_token",
        ),
        (
            with(here(), RulesSeen::NoRepository, ApprovalsSeen::NotAsked),
            vec![ApprovalUnknown],
            "GITHUB_REPOSITORY",
        ),
        (
            with(here(), refused(403), ApprovalsSeen::NotAsked),
            vec![ApprovalUnknown],
            "actions: read",
        ),
        (
            with(here(), refused(404), ApprovalsSeen::NotAsked),
            vec![ApprovalUnknown],
            "has an environment",
        ),
        (
            with(here(), fine(), approved(&[])),
            vec![ApprovalMissing],
            "have a required reviewer approve it",
        ),
        (
            with(
                here(),
                fine(),
                ApprovalsSeen::Failed("GitHub answered 403".to_owned()),
            ),
            vec![ApprovalUnknown],
            "actions: read",
        ),
        (
            with(here(), rules(&["ada"], false), by_ada()),
            vec![SelfReviewAllowed],
            "Prevent self-review",
        ),
        (
            with(here(), fine(), approved(&["Bob"])),
            vec![SelfReviewAllowed],
            "another reviewer",
        ),
        (with(here(), fine(), approved(&["bob", "ada"])), vec![], ""),
        (
            with(ClaimSeen::Claim(None), rules(&[], false), approved(&[])),
            vec![WrongGitHubEnvironment, ApprovalNotRequired],
            "",
        ),
    ];
    for (seen, codes, fix) in rows {
        let found = check_gate(&production(), true, Purpose::Promote, &seen);
        let told: Vec<Code> = found.iter().map(|one| one.code).collect();
        assert_eq!(told, codes, "{seen:?}");
        assert!(
            found.iter().all(|one| one.level == Level::Error),
            "{found:?}"
        );
        let help: String = found.iter().flat_map(|one| one.help.clone()).collect();
        assert!(help.contains(fix), "{help}");
    }
}

#[test]
fn a_private_repository_is_told_what_its_plan_means() {
    for (rules, visibility, told) in [
        (refused(404), "private", true),
        (refused(403), "internal", true),
        (rules(&[], false), "private", true),
        (refused(404), "public", false),
        (rules(&[], false), "public", false),
    ] {
        let seen = GateSeen {
            rules,
            visibility: Some(visibility.to_owned()),
            ..good()
        };
        let found = check_gate(&production(), false, Purpose::Promote, &seen);
        let causes: String = found.iter().flat_map(|one| one.cause.clone()).collect();
        assert_eq!(causes.contains("Enterprise"), told, "{seen:?}: {causes}");
    }
}

#[test]
fn self_review_is_an_error_only_when_that_is_asked_for() {
    let seen = GateSeen {
        rules: rules(&["ada"], false),
        ..good()
    };
    for (asked, level) in [(false, Level::Warning), (true, Level::Error)] {
        let found = check_gate(&production(), asked, Purpose::Promote, &seen);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].code, found[0].level),
            (Code::SelfReviewAllowed, level)
        );
    }
}

#[test]
fn other_environments_are_refused_only_in_the_wrong_place() {
    let staging = environment(Tier::Preproduction, Approval::None);
    let seen = |claim: ClaimSeen| GateSeen {
        claim,
        rules: RulesSeen::NotAsked,
        approvals: ApprovalsSeen::NotAsked,
        ..good()
    };
    for harmless in [
        ClaimSeen::NoJob,
        ClaimSeen::NoPermission,
        ClaimSeen::Claim(None),
        claim("PRODUCTION"),
    ] {
        let seen = seen(harmless);
        let found = check_gate(&staging, true, Purpose::Promote, &seen);
        assert_eq!(found, [], "{seen:?}");
    }
    let found = check_gate(&staging, false, Purpose::Promote, &seen(claim("dev")));
    assert_eq!(found[0].code, Code::WrongGitHubEnvironment);
}

#[test]
fn the_way_out_of_the_wrong_place_is_never_another_environments_place() {
    let help = |actual: &str| {
        let seen = GateSeen {
            claim: claim(actual),
            ..good()
        };
        let found = check_gate(&production(), false, Purpose::Promote, &seen);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].help.clone()
    };
    let first = "write `environment: Production` into the job";
    let own = "or, if this job is to deploy dev, give the action `environment: dev`";
    assert_eq!(help("development"), [first, own]);
    let new = "or, if `Live EU` is the GitHub environment of production, say so in the entry of production in .github/ml-deploy.yml: `github_environment: Live EU`";
    assert_eq!(help("Live EU"), [first, new]);
}

#[test]
fn a_rollback_on_a_terminal_is_not_told_to_promote() {
    let seen = GateSeen {
        claim: ClaimSeen::NoJob,
        rules: RulesSeen::NotAsked,
        approvals: ApprovalsSeen::NotAsked,
        ..good()
    };
    let external = "where something else than GitHub approves, say `approval: external`";
    for (purpose, how) in [
        (
            Purpose::RollBack,
            "to have it checked, roll back by the workflow (examples/workflows/rollback.yml)",
        ),
        (
            Purpose::Promote,
            "promote from the workflow, where somebody approves",
        ),
    ] {
        let found = check_gate(&production(), false, purpose, &seen);
        assert_eq!(found[0].code, Code::ApprovalUnknown);
        assert_eq!(found[0].help, [how, external]);
    }
}

#[test]
fn a_rollback_is_held_up_only_in_the_wrong_place() {
    let seen = GateSeen {
        claim: ClaimSeen::NoPermission,
        rules: refused(403),
        approvals: ApprovalsSeen::NotAsked,
        ..good()
    };
    let found = check_gate(&production(), true, Purpose::RollBack, &seen);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|one| one.level == Level::Warning));
    let seen = GateSeen {
        claim: claim("dev"),
        ..good()
    };
    let found = check_gate(&production(), true, Purpose::RollBack, &seen);
    assert_eq!(found[0].level, Level::Error);
}

#[test]
fn a_plan_is_told_what_would_hold_the_promotion_up() {
    let seen = GateSeen {
        claim: ClaimSeen::NotAsked,
        rules: rules(&[], false),
        approvals: ApprovalsSeen::NotAsked,
        ..good()
    };
    let found = check_gate(&production(), true, Purpose::Show, &seen);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].level),
        (Code::ApprovalNotRequired, Level::Warning)
    );
}

#[test]
fn the_row_of_the_approval_does_not_contradict_the_run() {
    let seen = GateSeen {
        rules: rules(&[], false),
        approvals: approved(&[]),
        ..good()
    };
    let row = |purpose| seen.record(&production(), purpose).describe();
    assert_eq!(
        row(Purpose::Promote),
        "GitHub environment Production has no required reviewers"
    );
    assert_eq!(
        row(Purpose::RollBack),
        "not asked: a rollback does not wait for an approval"
    );
    let nobody = GateSeen {
        approvals: approved(&[]),
        ..good()
    };
    assert_eq!(
        nobody.record(&production(), Purpose::Promote).describe(),
        "required by GitHub environment Production: no approval is known"
    );
}

#[test]
fn an_external_approval_is_not_checked_and_is_told() {
    let external = environment(Tier::Production, Approval::External);
    let seen = GateSeen {
        claim: ClaimSeen::NoJob,
        rules: RulesSeen::NotAsked,
        approvals: ApprovalsSeen::NotAsked,
        ..good()
    };
    assert_eq!(check_gate(&external, true, Purpose::Promote, &seen), []);
    assert!(
        seen.record(&external, Purpose::Promote)
            .describe()
            .starts_with("external")
    );
    let again = GateSeen {
        attempt: 2,
        ..good()
    };
    let record = again.record(&production(), Purpose::Promote);
    assert_eq!(record.approvers, ["ada"]);
    assert_eq!(record.attempt, Some(ApprovedAttempt::Unknown));
}
