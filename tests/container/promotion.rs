//! A promotion and its interruption, by the image as the runner starts it: on Docker's default network,
//! with the socket, against a local cloud on this machine.

use std::process::Command;
use std::time::Duration;

use crate::cloud::{Cloud, PROVIDER, Reach};
use crate::engine;
use crate::manifest::Manifest;
use crate::runner::{Job, Step, StepEnd};
use crate::sample::Sample;

/// The first build of the sample on a machine installs its packages.
const LIMIT: Duration = Duration::from_secs(600);
/// What is left of the runner's 7.5 s between its first two signals.
const GRACE: Duration = Duration::from_secs(7);

/// A push to main.
pub(crate) fn push(cloud: &Cloud, sample: &Sample) -> Job {
    let commit = sample.head();
    let url = format!("{}dev", cloud.id_token_url("refs/heads/main", &commit));
    let job = Job::new(engine::action_image(), Manifest::ours())
        .context(&[
            ("ref", "refs/heads/main"),
            ("sha", &commit),
            ("api_url", &cloud.url()),
        ])
        .id_token(&url, "request-token");
    clone(sample, &job);
    job
}

/// As actions/checkout does.
fn clone(sample: &Sample, job: &Job) {
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--no-local"])
        .arg(sample.path())
        .arg(job.workspace())
        .status()
        .expect("git");
    assert!(cloned.success());
}

pub(crate) fn to_dev<'a>(job: &'a Job, cloud: &Cloud) -> Step<'a> {
    job.step()
        .with("environment", "dev")
        .with("cloud_url", &cloud.url())
        .with("workload_identity_provider", PROVIDER)
        .with(
            "service_account",
            "deployer@demo-project.iam.gserviceaccount.com",
        )
}

#[test]
fn a_push_is_built_deployed_and_told_and_an_interruption_leaves_what_served() {
    let cloud = Cloud::start(Reach::Bridge);
    let sample = Sample::create();
    let job = push(&cloud, &sample);
    let first = to_dev(&job, &cloud).run(LIMIT);
    first.assert_exit(0);
    assert_told_well(&first);
    let service = cloud.service("ml-api-dev").expect("the service");
    assert_eq!(first.outputs["url"], service.url());
    assert_eq!(first.outputs["digest"], service.digest());
    assert_eq!(first.outputs["environment"], "dev");
    assert_eq!(
        service.traffic(),
        [(first.outputs["revision"].clone(), 100)]
    );
    assert_eq!(cloud.predict(&service)["label"], "setosa");
    let (_, version) = cloud.call(&service, "/version", None);
    assert_eq!(version["commit"], sample.head(), "{version}");
    assert!(first.summary.contains("ml-api-dev"), "{}", first.story());

    let again = to_dev(&job, &cloud).run(LIMIT);
    again.assert_exit(0);
    assert_eq!(again.outputs["outcome"], "up-to-date", "{}", again.story());
    assert_eq!(again.outputs["revision"], first.outputs["revision"]);

    interrupt(&cloud, &sample, &first.outputs["revision"]);
}

/// A pull request of a fork: no credentials, no OIDC, no cloud.
fn pull_request(sample: &Sample) -> Job {
    let job = Job::new(engine::action_image(), Manifest::ours()).context(&[
        ("event_name", "pull_request"),
        ("ref", "refs/pull/7/merge"),
        ("ref_name", "7/merge"),
        ("base_ref", "main"),
        ("head_ref", "better"),
        ("sha", &sample.head()),
    ]);
    clone(sample, &job);
    job
}

#[test]
fn a_pull_request_is_tried_beside_the_action_without_any_credential() {
    let sample = Sample::create();
    let job = pull_request(&sample);
    let end = job.step().run(LIMIT);
    end.assert_exit(0);
    assert_eq!(end.outputs["outcome"], "verified", "{}", end.story());
    assert!(end.of_level("error").is_empty(), "{}", end.story());
}

#[test]
fn a_pull_request_is_tried_in_the_network_that_the_job_has_for_its_services() {
    let sample = Sample::create();
    sample.break_model();
    // DEV's tests would let it pass, and they are the ones of a pull request.
    sample.replace(".github/ml-deploy.yml", "    tests: smoke.yaml\n", "");
    sample.commit("Wrong");
    let network = Network::create();
    let job = pull_request(&sample).on_network(&network.0);
    let end = job.step().run(LIMIT);
    end.assert_exit(4);
    let told = end.of_level("error").into_iter().map(|error| error.text());
    let told = told.collect::<String>();
    assert!(
        told.contains("D0308") && told.contains("predicts"),
        "{}",
        end.story()
    );
}

/// A network of a job, as the runner makes it; removed at the end.
struct Network(String);

impl Network {
    fn create() -> Self {
        let name = format!("ml-deploy-test-{}", std::process::id());
        engine::docker(&["network", "create", &name]);
        Self(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["network", "rm", &self.0])
            .output();
    }
}

/// Cancels the promotion of another commit while its candidate starts.
fn interrupt(cloud: &Cloud, sample: &Sample, serving: &str) {
    sample.change();
    sample.commit("Another commit");
    let job = push(cloud, sample);
    let mut running = to_dev(&job, cloud).start();
    running.wait_until(LIMIT, || {
        let service = cloud.service("ml-api-dev").expect("the service");
        service
            .revision_being_made()
            .is_some_and(|made| made != serving)
    });
    let cancelled = running.cancel();
    assert_eq!(cancelled.signals, ["INT"]);
    assert!(cancelled.took < GRACE, "{cancelled:?}");
    assert!(!running.container_is_left());
    let end = running.finish(LIMIT);
    end.assert_exit(4);
    assert_eq!(end.outputs["outcome"], "stopped", "{}", end.story());
    let told = end
        .of_level("error")
        .into_iter()
        .map(|error| error.text())
        .collect::<String>();
    assert!(
        told.contains("D0305") && told.contains(serving),
        "{}",
        end.story()
    );
    let service = cloud.service("ml-api-dev").expect("the service");
    assert_eq!(service.traffic(), [(serving.to_owned(), 100)]);
}

/// Every output is declared, and no secret stands in a line after it was masked.
#[track_caller]
fn assert_told_well(end: &StepEnd) {
    let declared = Manifest::ours().outputs;
    for (name, value) in &end.outputs {
        assert!(
            declared.contains_key(name),
            "action.yml does not declare the output `{name}`"
        );
        let masked = end.masks.iter().any(|mask| value.contains(mask));
        assert!(
            !masked,
            "GitHub would drop the output `{name}`:\n{}",
            end.story()
        );
    }
    assert!(
        !end.masks.is_empty(),
        "no token was masked:\n{}",
        end.story()
    );
    for line in &end.raw {
        let command = line.starts_with("::add-mask::");
        let secret = end.masks.iter().find(|mask| line.contains(mask.as_str()));
        assert!(command || secret.is_none(), "a secret is shown: {line}");
    }
    assert!(end.of_level("error").is_empty(), "{}", end.story());
}
