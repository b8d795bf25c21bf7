//! How the action starts: what is wrong is said at once, in annotations, and nothing is done.

use std::time::Duration;

use serde_json::json;

use crate::engine;
use crate::manifest::Manifest;
use crate::runner::{Job, StepEnd};

const LIMIT: Duration = Duration::from_secs(60);

fn job() -> Job {
    Job::new(engine::action_image(), Manifest::ours())
}

#[test]
fn the_published_action_runs_an_image_of_one_version_and_takes_no_argument() {
    let manifest = Manifest::ours();
    assert_eq!(manifest.runs.using, "docker");
    let image = manifest.runs.image.as_str();
    let version = concat!(":v", env!("CARGO_PKG_VERSION"));
    assert!(
        image.starts_with("docker://") && image.ends_with(version),
        "{image}"
    );
    assert_eq!(
        manifest.runs.post_entrypoint.as_deref(),
        Some("/ml-deploy-post")
    );
    assert_eq!(manifest.runs.post_if.as_deref(), Some("always()"));
}

#[test]
fn every_missing_input_is_an_annotation_of_its_own() {
    let job = job().id_token("http://127.0.0.1:9/token", "request-token");
    let end = job.step().run(LIMIT);
    end.assert_exit(2);
    for input in ["service", "image", "project_id"] {
        assert_told(&end, "D0101", input);
    }
    assert_eq!(
        end.outputs.get("outcome").map(String::as_str),
        Some("stopped"),
        "{}",
        end.story()
    );
    only_declared_outputs(&end);
    assert!(end.summary.contains("service"), "{}", end.story());
}

#[test]
fn every_wrong_input_is_told_with_the_nearest_right_one() {
    let end = complete(&job())
        .with("access", "publik")
        .with("memory", "512 parsecs")
        .with("concurrency", "0")
        .with("envoirnment", "dev")
        .run(LIMIT);
    end.assert_exit(2);
    assert_told(&end, "D0102", "public");
    assert_told(&end, "D0102", "memory");
    assert_told(&end, "D0102", "concurrency");
    assert_told(&end, "D0103", "environment");
}

#[test]
fn a_post_step_after_a_step_that_never_began_is_silent() {
    let job = job();
    let end = job.step().run(LIMIT);
    end.assert_exit(2);
    let post = job.step().after(&end).run(LIMIT);
    post.assert_exit(0);
    assert_eq!(post.log, Vec::<String>::new(), "{}", post.story());
    assert_eq!(post.summary, "");
}

#[test]
fn a_ref_that_is_not_deployable_is_refused() {
    let branch = job().context(&[("ref", "refs/heads/feature/x")]);
    let end = complete(&branch).run(LIMIT);
    end.assert_exit(2);
    assert_told(&end, "D0106", "main");

    let tag = job().context(&[("ref", "refs/tags/release-7")]);
    let end = complete(&tag).with("environment", "test").run(LIMIT);
    end.assert_exit(2);
    assert_told(&end, "D0106", "release-7");
}

#[test]
fn a_value_from_outside_issues_no_command() {
    let forged = "x\n::error::forged\r##[error]forged\n::add-mask::e";
    let job = job()
        .context(&[("ref", "refs/heads/x\r::error::forged")])
        .event(json!({"ref": forged}));
    let end = complete(&job)
        .with("region", forged)
        .with("environment", forged)
        .run(LIMIT);
    end.assert_exit(2);
    for annotation in end.of_level("error") {
        assert_ne!(annotation.message.trim(), "forged", "{}", end.story());
    }
    assert!(!end.masks.iter().any(|mask| mask == "e"), "{}", end.story());
}

/// A step with everything that is required.
fn complete(job: &Job) -> crate::runner::Step<'_> {
    job.step()
        .with("environment", "dev")
        .with("service", "ml-api")
        .with("image", "us-central1-docker.pkg.dev/demo-project/ml/ml-api")
        .with("project_id", "demo-project")
}

/// One of the errors has this code and speaks of this.
#[track_caller]
fn assert_told(end: &StepEnd, code: &str, word: &str) {
    let told = end.of_level("error").into_iter().map(|error| error.text());
    let fits = |text: &String| text.contains(code) && text.contains(word);
    assert!(
        told.into_iter().any(|text| fits(&text)),
        "no {code} about {word}:\n{}",
        end.story()
    );
}

#[track_caller]
fn only_declared_outputs(end: &StepEnd) {
    let declared = Manifest::ours().outputs;
    for name in end.outputs.keys() {
        assert!(
            declared.contains_key(name),
            "action.yml does not declare the output `{name}`"
        );
    }
}
