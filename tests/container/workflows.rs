//! The example workflows, unchanged, run by `act` with the action built from its Dockerfile.

use crate::act::{Act, ActEnd, Trigger};
use crate::cloud::{Cloud, Reach, Service};
use crate::sample::Sample;

const SERVICES: [&str; 4] = ["ml-api-dev", "ml-api-test", "ml-api-staging", "ml-api-prod"];
const MAIN: &str = "refs/heads/main";
const ALL: [(&str, &str); 4] = [
    ("dev", "success"),
    ("test", "success"),
    ("staging", "success"),
    ("production", "success"),
];

/// A repository with the example workflows, whose first commit was pushed to main.
struct Project {
    cloud: Cloud,
    sample: Sample,
}

impl Project {
    fn create() -> Self {
        Self {
            cloud: Cloud::start(Reach::Host),
            sample: Sample::create().with_workflows(),
        }
    }

    fn act(&self) -> Act<'_> {
        Act::new(&self.cloud, &self.sample)
    }

    #[track_caller]
    fn service(&self, name: &str) -> Service {
        self.cloud
            .service(name)
            .unwrap_or_else(|| panic!("there is no service {name}"))
    }

    /// Version and commit that a service answers with.
    fn identity(&self, name: &str) -> (String, String) {
        let (status, answer) = self.cloud.call(&self.service(name), "/version", None);
        assert_eq!(status, 200, "{name}: {answer}");
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        (text("version"), text("commit"))
    }

    /// Commits, and lets the push to main go to DEV.
    #[track_caller]
    fn push(&self, act: &Act<'_>, message: &str) -> String {
        let commit = self.sample.commit(message);
        act.run(&Trigger::push(MAIN))
            .assert_results(&[("dev", "success")]);
        commit
    }

    #[track_caller]
    fn release(&self, act: &Act<'_>, tag: &str) -> ActEnd {
        self.sample.tag(tag);
        act.run(&Trigger::push(&format!("refs/tags/{tag}")))
    }
}

#[test]
fn one_digest_goes_from_main_to_production_and_the_next_one_back() {
    let project = Project::create();
    let act = project.act();
    let first = project.push(&act, "One");
    assert!(project.cloud.service("ml-api-test").is_none());
    project.release(&act, "v1.0.0").assert_results(&ALL);

    let digests = SERVICES.map(|name| project.service(name).digest());
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
    for name in SERVICES {
        let expected = ("v1.0.0".to_owned(), first.clone());
        assert_eq!(project.identity(name), expected, "{name}");
    }
    let production = project.service("ml-api-prod");
    assert_eq!(project.cloud.predict(&production)["label"], "setosa");

    project.sample.change();
    let second = project.push(&act, "Two");
    let end = project.release(&act, "v1.1.0");
    end.assert_results(&ALL);
    let job = end.job("production");
    assert_eq!(job.outputs["url"], production.url());
    assert_eq!(job.outputs["version"], "1.1.0");
    assert!(job.summary.contains("1.1.0"), "{}", job.summary);
    assert_eq!(project.identity("ml-api-prod").1, second);

    // The same release as a matrix: nothing is left to do, in any environment.
    let matrix = Trigger {
        workflow: "matrix.yml",
        ..Trigger::push("refs/tags/v1.1.0")
    };
    let names = ["dev", "test", "staging", "production"].map(|name| format!("promote ({name})"));
    let expected: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "success"))
        .collect();
    let end = act.run(&matrix);
    end.assert_results(&expected);
    for name in &names {
        assert_eq!(end.job(name).outputs["outcome"], "up-to-date", "{name}");
    }

    let back = act.run(&Trigger {
        workflow: "rollback.yml",
        event: "workflow_dispatch",
        git_ref: MAIN,
        inputs: &[("environment", "production"), ("rollback_to", "previous")],
        job: None,
    });
    back.assert_results(&[("rollback", "success")]);
    assert_eq!(back.job("rollback").outputs["outcome"], "rolled-back");
    assert_eq!(
        project.identity("ml-api-prod"),
        ("v1.0.0".to_owned(), first)
    );
    assert_eq!(project.identity("ml-api-staging").1, second);
}

#[test]
fn a_bad_release_stops_where_it_is_found_out() {
    let project = Project::create();
    let act = project.act();
    project.push(&act, "Good");
    project.release(&act, "v1.0.0").assert_results(&ALL);
    let good = SERVICES.map(|name| project.service(name).traffic());

    // Healthy, and wrong: DEV asks only for health, TEST asks for predictions.
    project.sample.break_model();
    project.push(&act, "Wrong model");
    let end = project.release(&act, "v1.1.0");
    end.assert_results(&[("dev", "success"), ("test", "failure")]);
    let told = end.job("test").errors();
    assert_eq!(told.len(), 1, "{}", end.story());
    for part in ["D0302", "predicts", "state:", &good[1][0].0] {
        assert!(told[0].contains(part), "no {part}:\n{}", told[0]);
    }
    assert!(
        end.job("test").summary.contains("predicts"),
        "{}",
        end.job("test").summary
    );
    for (name, traffic) in SERVICES.iter().zip(&good).skip(1) {
        assert_eq!(project.service(name).traffic(), *traffic, "{name}");
    }

    // Ends at once: DEV's revision never becomes ready.
    let serving = project.service("ml-api-dev").traffic();
    project.sample.break_start();
    project.sample.commit("Crash");
    let end = act.run(&Trigger::push(MAIN));
    end.assert_results(&[("dev", "failure")]);
    let told = end.job("dev").errors();
    assert_eq!(told.len(), 1, "{}", end.story());
    for part in ["D0301", "failed to start", "state:", &serving[0].0] {
        assert!(told[0].contains(part), "no {part}:\n{}", told[0]);
    }
    // The container's last words stand in the log and in the summary, for they may be long.
    let words = "RuntimeError: no licence";
    let job = end.job("dev");
    assert!(
        job.log.iter().any(|line| line.contains(words)),
        "{}",
        end.story()
    );
    assert!(job.summary.contains(words), "{}", job.summary);
    assert_eq!(project.service("ml-api-dev").traffic(), serving);
}

#[test]
fn production_is_refused_without_its_gate() {
    let project = Project::create();
    let act = project.act();
    project.push(&act, "Good");

    project.cloud.set_reviewers("production", &[]);
    let end = project.release(&act, "v1.0.0");
    assert_eq!(
        end.results().get("production"),
        Some(&"failure"),
        "{}",
        end.story()
    );
    let told = end.job("production").errors().join("\n");
    for part in ["D0209", "required reviewers", "production"] {
        assert!(told.contains(part), "no {part}:\n{told}");
    }
    assert!(project.cloud.service("ml-api-prod").is_none());

    project
        .cloud
        .set_reviewers("production", &["release-manager"]);
    let elsewhere = project.act().pretend("production", "staging");
    let end = elsewhere.run(&Trigger::push("refs/tags/v1.0.0"));
    assert_eq!(
        end.results().get("production"),
        Some(&"failure"),
        "{}",
        end.story()
    );
    let told = end.job("production").errors().join("\n");
    for part in ["D0210", "staging", "environment: production"] {
        assert!(told.contains(part), "no {part}:\n{told}");
    }
    assert!(project.cloud.service("ml-api-prod").is_none());
}

/// What would go to production is read before somebody approves it; then it goes there.
#[test]
fn a_plan_is_read_before_the_approval() {
    let project = Project::create();
    let act = project.act();
    project.push(&act, "One");
    project.sample.tag("v1.0.0");
    let planned = |git_ref: &str| {
        act.run(&Trigger {
            workflow: "plan-then-approve.yml",
            ..Trigger::push(git_ref)
        })
    };
    let all = [
        ("dev", "success"),
        ("test", "success"),
        ("staging", "success"),
        ("plan-production", "success"),
        ("production", "success"),
    ];
    planned("refs/tags/v1.0.0").assert_results(&all);
    let old = project.service("ml-api-prod").digest();
    let serving = project.service("ml-api-prod").traffic()[0].0.clone();

    project.sample.change();
    project.push(&act, "Two");
    project.sample.tag("v1.1.0");
    let end = planned("refs/tags/v1.1.0");
    end.assert_results(&all);
    let new = project.service("ml-api-prod").digest();
    assert_ne!(old, new);
    let summary = &end.job("plan-production").summary;
    for part in [
        "### What changes",
        old.as_str(),
        new.as_str(),
        "### Before you approve",
        "release-manager",
        "**evidence**: staging",
        serving.as_str(),
        "shift-traffic",
    ] {
        assert!(summary.contains(part), "no {part}:\n{summary}");
    }
    let job = end.job("production");
    assert_eq!(job.outputs["outcome"], "promoted", "{}", end.story());
    assert!(
        job.summary.contains("release-manager approved this run"),
        "{}",
        job.summary
    );
}

/// One job for every environment, one after the other; what fails keeps the later ones from starting.
#[test]
fn the_matrix_goes_in_order_and_stops_at_what_fails() {
    let project = Project::create();
    let act = project.act();
    project.push(&act, "One");
    project.sample.tag("v1.0.0");
    let matrix = |git_ref: &str| {
        act.run(&Trigger {
            workflow: "matrix.yml",
            ..Trigger::push(git_ref)
        })
    };
    let job = |environment: &str| format!("promote ({environment})");
    let names = ["dev", "test", "staging", "production"].map(job);
    let all: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "success"))
        .collect();
    let end = matrix("refs/tags/v1.0.0");
    end.assert_results(&all);
    for name in &names[1..] {
        assert_eq!(
            end.job(name).outputs["outcome"],
            "promoted",
            "{}",
            end.story()
        );
    }
    let good = project.service("ml-api-prod").traffic();

    // Healthy, and wrong: TEST asks for predictions, and STAGING is not even asked.
    project.sample.break_model();
    project.push(&act, "Wrong model");
    project.sample.tag("v1.1.0");
    let end = matrix("refs/tags/v1.1.0");
    let results = end.results();
    assert_eq!(
        results.get(names[0].as_str()),
        Some(&"success"),
        "{}",
        end.story()
    );
    assert_eq!(
        results.get(names[1].as_str()),
        Some(&"failure"),
        "{}",
        end.story()
    );
    for name in &names[2..] {
        assert_ne!(
            results.get(name.as_str()),
            Some(&"success"),
            "{name}: {}",
            end.story()
        );
    }
    assert_eq!(project.service("ml-api-prod").traffic(), good);
}

/// Between the candidate and its traffic, the job asks the candidate itself: two steps of the action,
/// one rollout. What the job finds wrong is taken back by the action's post step.
#[test]
fn own_tests_ask_the_candidate_before_its_traffic() {
    let project = Project::create();
    let act = project.act();
    let settings = ("  - staging\n", "  - name: staging\n    access: public\n");
    project
        .sample
        .replace(".github/ml-deploy.yml", settings.0, settings.1);
    project.push(&act, "One");
    project.release(&act, "v1.0.0").assert_results(&ALL);
    let old = project.service("ml-api-staging");

    project.sample.change();
    own_tests_by_curl(&project.sample);
    project.push(&act, "Two");
    project.sample.tag("v1.1.0");
    act.run(&Trigger {
        job: Some("test"),
        ..Trigger::push("refs/tags/v1.1.0")
    })
    .assert_results(&[("dev", "success"), ("test", "success")]);
    let own = || {
        act.run(&Trigger {
            workflow: "own-tests.yml",
            ..Trigger::push("refs/tags/v1.1.0")
        })
    };

    let right = "= v1.1.0 &&";
    project.sample.replace(OWN_TESTS, right, "= v7.0.0 &&");
    let end = own();
    end.assert_results(&[("staging", "failure")]);
    let taken_back = &end.job("staging").outputs["outcome"];
    assert_eq!(taken_back, "recovered", "{}", end.story());
    let after = project.service("ml-api-staging");
    assert_eq!(after.traffic(), old.traffic(), "{}", end.story());

    project.sample.replace(OWN_TESTS, "= v7.0.0 &&", right);
    let end = own();
    end.assert_results(&[("staging", "success")]);
    assert_eq!(project.identity("ml-api-staging").0, "v1.1.0");
    assert_ne!(project.service("ml-api-staging").digest(), old.digest());
    let outcome = &end.job("staging").outputs["outcome"];
    assert_eq!(outcome, "promoted", "{}", end.story());
}

const OWN_TESTS: &str = ".github/workflows/own-tests.yml";

/// A public service takes no token, and a job here cannot fetch pytest: curl asks, both what serves and
/// the candidate.
fn own_tests_by_curl(sample: &Sample) {
    let text = std::fs::read_to_string(sample.path().join(OWN_TESTS)).unwrap();
    let (before, rest) = text.split_once("      # The audience").unwrap();
    let (_, after) = rest.split_once("      - name: Own tests").unwrap();
    sample.write(
        OWN_TESTS,
        &format!("{before}      - name: Own tests{after}"),
    );
    sample.replace(
        OWN_TESTS,
        "ID_TOKEN: ${{ steps.token.outputs.id_token }}",
        "SERVING: ${{ steps.candidate.outputs.url }}",
    );
    sample.replace(
        OWN_TESTS,
        "pipx run --spec pytest==8.4.2 pytest tests/acceptance",
        "test \"$(curl -fsS \"$BASE_URL/version\" | jq -r .version)\" = v1.1.0 && \
         test \"$(curl -fsS \"$SERVING/version\" | jq -r .version)\" = v1.0.0",
    );
}
