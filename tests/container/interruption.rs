//! Users at a held rate, and runs that are killed: nobody notices, and what served serves, or the
//! release does.

use std::time::{Duration, Instant};

use crate::cloud::{Cloud, Reach, Service};
use crate::held_rate::{HeldRate, RATE};
use crate::promotion::{push, to_dev};
use crate::runner::{Job, Step, StepEnd};
use crate::sample::Sample;

/// The first build of the sample on a machine installs its packages.
const LIMIT: Duration = Duration::from_secs(600);
/// A run without a build, and a post step.
const SHORT: Duration = Duration::from_secs(120);
const SERVICE: &str = "ml-api-dev";
const PATCH: &str = "PATCH /v2/**/services/*";
const STEPS: [&str; 5] = [
    "deploy-candidate",
    "verify",
    "shift-traffic",
    "confirm",
    "record",
];

/// One service, its users, and what is promoted to it in turn.
struct Story {
    cloud: Cloud,
    sample: Sample,
    /// Jobs of two commits, whose images are built.
    jobs: Vec<(Job, String)>,
    /// Counts what was tried: each try is another configuration, and so another revision.
    tried: usize,
}

impl Story {
    /// Two commits are built and promoted, one after the other, the second one under the users' eyes.
    fn begin() -> (Self, HeldRate) {
        let cloud = Cloud::start(Reach::Bridge);
        let sample = Sample::create();
        let mut story = Self {
            jobs: vec![(push(&cloud, &sample), sample.head())],
            cloud,
            sample,
            tried: 0,
        };
        story.step(0).run(LIMIT).assert_exit(0);
        let users = HeldRate::start(story.service().url());
        story.sample.change();
        story.sample.commit("Another commit");
        let second = push(&story.cloud, &story.sample);
        story.jobs.push((second, story.sample.head()));
        story.step(1).run(LIMIT).assert_exit(0);
        (story, users)
    }

    fn step(&self, job: usize) -> Step<'_> {
        self.dressed(&self.jobs[job].0)
    }

    fn dressed<'a>(&self, job: &'a Job) -> Step<'a> {
        to_dev(job, &self.cloud)
            .with("access", "public")
            .with("tests", "golden.yaml")
            // The story has rolled it back, and goes on with it.
            .with("retry_rejected", "true")
            .with("env_vars", &format!("TRY={}", self.tried))
    }

    #[track_caller]
    fn service(&self) -> Service {
        self.cloud.service(SERVICE).expect("the service")
    }

    /// What serves, which is one revision with everything.
    #[track_caller]
    fn serving(&self) -> String {
        let traffic = self.service().traffic();
        let [(revision, 100)] = traffic.as_slice() else {
            panic!("in between: {traffic:?}")
        };
        revision.clone()
    }

    /// A release that predicts something else gets no traffic.
    fn wrong_candidate(&self) {
        let before = self.serving();
        self.sample.break_model();
        self.sample.commit("Wrong");
        let job = push(&self.cloud, &self.sample);
        let end = self.dressed(&job).run(LIMIT);
        end.assert_exit(4);
        assert_eq!(self.serving(), before);
    }

    /// Back to the first commit.
    fn roll_back(&self) {
        let before = self.serving();
        let end = self.step(0).with("rollback_to", "previous").run(SHORT);
        end.assert_exit(0);
        assert_ne!(self.serving(), before);
    }

    /// Another run, which gets a signal when a step begins; then its post step.
    fn interrupted(&mut self, signal: &str, step: &str) {
        self.tried += 1;
        let job = self.tried % self.jobs.len();
        let before = self.serving();
        let mut running = self.step(job).start();
        running.wait_for(SHORT, |line| line.contains(&format!("/5] {step}:")));
        running.signal_container(signal);
        let main = running.finish(SHORT);
        let said = if signal == "TERM" { vec![4] } else { vec![137] };
        let code = main.exit_code.unwrap_or_default();
        // The signal may come after the last write: then it is done, all but its evidence perhaps.
        let is_done = code == 0 || (code == 6 && main.story().contains("D0676"));
        assert!(said.contains(&code) || is_done, "{}", main.story());
        self.ended(job, signal, step, &main, &before);
    }

    /// The post step of a main step that left this.
    fn ended(&self, job: usize, signal: &str, step: &str, main: &StepEnd, before: &str) {
        let post = self.step(job).after(main).run(SHORT);
        let story = || format!("{signal} at {step}\n{}\n{}", main.story(), post.story());
        assert_eq!(post.exit_code, Some(0), "{}", story());
        post.assert_well_formed();
        let record = self.service().record();
        assert!(record["intent"].is_null(), "{record}\n{}", story());
        let serving = self.serving();
        assert_eq!(record["healthy"][0]["revision"], serving, "{}", story());
        let finished = serving != before;
        if signal == "TERM" {
            assert!(post.log.is_empty(), "the main step was done: {}", story());
            assert_eq!(finished, main.exit_code == Some(0), "{}", story());
        } else if finished {
            // The kill may come when the shift was accepted already.
            let passed = matches!(step, "shift-traffic" | "confirm" | "record");
            assert!(passed && signal == "KILL", "{}", story());
        }
    }

    /// The docker client is killed, and the container, which knows nothing of it, goes on while the
    /// post step runs.
    fn orphaned(&mut self) {
        self.tried += 1;
        let job = self.tried % self.jobs.len();
        let before = self.serving();
        // Its second write, the shift of the traffic, is held meanwhile.
        self.cloud.hold(PATCH, 1, Duration::from_millis(1));
        self.cloud.hold(PATCH, 1, Duration::from_secs(20));
        let mut running = self.step(job).start();
        running.wait_for(SHORT, |line| line.contains("/5] shift-traffic:"));
        let main = running.abandon();
        assert!(running.container_is_left());
        assert!(main.state.contains_key("rollout"), "{}", main.story());
        self.ended(job, "none", "shift-traffic", &main, &before);
        assert_eq!(self.serving(), before);
        let deadline = Instant::now() + SHORT;
        while running.container_is_left() {
            assert!(Instant::now() < deadline, "the orphan does not end");
            std::thread::sleep(Duration::from_millis(100));
        }
        // It has lost, and has not begun anew.
        assert_eq!(self.serving(), before);
        assert!(self.service().record()["intent"].is_null());
    }
}

#[test]
fn users_notice_nothing_of_releases_failures_rollbacks_and_kills() {
    let begun = Instant::now();
    let (mut story, users) = Story::begin();
    story.wrong_candidate();
    story.roll_back();
    let told = |what: &str| eprintln!("{what} after {:.1?}", begun.elapsed());
    told("a promotion, a failed candidate and a rollback");
    for step in STEPS {
        for signal in ["TERM", "KILL"] {
            story.interrupted(signal, step);
        }
    }
    told("SIGTERM and SIGKILL at each step");
    story.orphaned();
    told("an orphan beside its post step");
    let held = users.end();
    eprintln!(
        "{} requests at {RATE}/s, 0 failed; answered by {:?}",
        held.asked, held.commits
    );
    for (_, commit) in &story.jobs {
        assert!(held.commits.contains_key(commit), "{held:?}");
    }
    assert_eq!(
        held.commits.len(),
        2,
        "an untested commit answered: {held:?}"
    );
}
