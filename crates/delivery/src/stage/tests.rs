use super::*;

fn trigger(event: &str, git_ref: &str) -> Trigger {
    Trigger {
        event: event.to_owned(),
        git_ref: git_ref.to_owned(),
        branches: vec!["main".to_owned(), "develop".to_owned()],
        rollback_to: None,
    }
}

fn refused(event: &str, git_ref: &str) -> Diagnostic {
    let mut diagnostics = parse_stage(&trigger(event, git_ref)).unwrap_err();
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    diagnostics.remove(0)
}

#[test]
fn stages_follow_from_event_and_ref() {
    let branch = |branch: &str| Stage::Branch {
        branch: branch.to_owned(),
    };
    let tagged = |tag: &str| Stage::Release {
        tag: tag.to_owned(),
        version: Version::parse(&tag[1..]).unwrap(),
    };
    for (event, git_ref, expected) in [
        ("pull_request", "refs/pull/7/merge", Stage::PullRequest),
        ("push", "refs/heads/main", branch("main")),
        ("workflow_dispatch", "refs/heads/develop", branch("develop")),
        ("", "refs/heads/main", branch("main")),
        ("push", "refs/tags/v1.2.3", tagged("v1.2.3")),
        ("release", "refs/tags/v1.2.3", tagged("v1.2.3")),
        (
            "workflow_dispatch",
            "refs/tags/v2.0.0-rc.1",
            tagged("v2.0.0-rc.1"),
        ),
        ("", "refs/tags/v0.1.0+build.7", tagged("v0.1.0+build.7")),
    ] {
        assert_eq!(
            parse_stage(&trigger(event, git_ref)),
            Ok(expected),
            "{event} {git_ref}"
        );
    }
}

#[test]
fn what_is_not_deployable_is_said_with_the_nearest_valid_value() {
    for (event, git_ref, title, help) in [
        ("push", "refs/tags/1.2.3", "lacks the `v`", "`v1.2.3`"),
        ("push", "refs/tags/v1.2", "no semantic version", "`v1.2.0`"),
        (
            "push",
            "refs/tags/v01.2.3",
            "no semantic version",
            "`v1.2.3`",
        ),
        (
            "push",
            "refs/tags/release-1.4",
            "no semantic version",
            "`v1.4.0`",
        ),
        (
            "push",
            "refs/tags/nightly",
            "no semantic version",
            "`v1.0.0`",
        ),
        (
            "push",
            "refs/heads/mian",
            "`mian` is not configured",
            "did you mean `main`?",
        ),
        (
            "push",
            "refs/heads/feature",
            "`feature` is not configured",
            "add `feature`",
        ),
        ("push", "", "no Git ref", "`main`, `develop`"),
        ("", "main", "no full Git ref", "`refs/heads/main`"),
        ("", "v1.2.3", "no full Git ref", "`refs/tags/v1.2.3`"),
        (
            "push",
            "refs/pull/7/merge",
            "is a pull request",
            "on: pull_request",
        ),
        (
            "pull_request",
            "refs/heads/main",
            "pull request is closed",
            "on: push",
        ),
        (
            "pull_request_target",
            "refs/heads/main",
            "is refused",
            "on: pull_request",
        ),
        (
            "issue_comment",
            "refs/heads/main",
            "deploys nothing",
            "on: push",
        ),
    ] {
        let diagnostic = refused(event, git_ref);
        assert_eq!(diagnostic.code, Code::RefNotDeployable);
        assert!(
            diagnostic.title.contains(title),
            "{event} {git_ref}: {diagnostic:?}"
        );
        assert!(
            diagnostic.help.iter().any(|line| line.contains(help)),
            "{event} {git_ref}: {diagnostic:?}"
        );
    }
}

#[test]
fn pull_request_target_says_why() {
    let diagnostic = refused("pull_request_target", "refs/heads/main");
    assert!(diagnostic.cause[0].contains("secrets"), "{diagnostic:?}");
}

#[test]
fn a_rollback_comes_first_and_an_empty_one_is_none() {
    let mut rollback = trigger("workflow_dispatch", "refs/heads/feature");
    rollback.rollback_to = Some("previous".to_owned());
    let to = RollbackTo::Previous;
    assert_eq!(parse_stage(&rollback), Ok(Stage::Rollback { to }));
    let mut none = trigger("push", "refs/heads/main");
    none.rollback_to = Some("  ".to_owned());
    assert!(matches!(parse_stage(&none), Ok(Stage::Branch { .. })));
}

#[test]
fn a_rollback_names_previous_a_version_or_a_revision() {
    let revision = |name: &str| RollbackTo::Revision(RevisionName::parse(name).unwrap());
    for (text, expected) in [
        ("previous", RollbackTo::Previous),
        (" v1.2.3 ", RollbackTo::Version(Version::new(1, 2, 3))),
        ("1.2.3", RollbackTo::Version(Version::new(1, 2, 3))),
        (
            "ml-api-prod-v1-2-3-3f9c2a",
            revision("ml-api-prod-v1-2-3-3f9c2a"),
        ),
        ("ml-api-00007-xyz", revision("ml-api-00007-xyz")),
    ] {
        assert_eq!(parse_rollback_to(text), Ok(expected), "{text}");
    }
    for (text, help) in [
        ("previus", "`previous`"),
        ("Previous", "`previous`"),
        ("v1.2", "`v1.2.0`"),
        ("v1-4-0", "`v1.4.0`"),
        ("1", "`v1.0.0`"),
        ("Not A Name", "ml-deploy revisions"),
        ("main", "ml-deploy revisions"),
    ] {
        let diagnostic = parse_rollback_to(text).unwrap_err();
        assert_eq!(diagnostic.code, Code::InputInvalid);
        assert!(diagnostic.help[0].contains(help), "{text}: {diagnostic:?}");
    }
}
