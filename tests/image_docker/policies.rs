//! The policies on what a real engine builds and exports.

use delivery::policy::{Mode, Policies, Policy};
use emulator::runner::{Job, Runner};
use ml_deploy::image::policy::Finding;
use ml_deploy::image::{BuildRequest, Engine};

use crate::{Events, PYTHON, build, context, remove, write};

/// A private key's form, with letters that are no key.
fn key() -> String {
    let letters = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let body = vec![letters; 20].join("\n");
    format!(
        "-----BEGIN {0}-----\n{body}\n-----END {0}-----\n",
        "PRIVATE KEY"
    )
}

fn told(findings: &[Finding]) -> Vec<String> {
    let mut told: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}: {}", finding.rule, finding.place))
        .collect();
    told.sort();
    told
}

const BAD: &str = "\
ARG NPM_TOKEN
ENV DB_PASSWORD=hunter22
COPY key.pem /app/key.pem
RUN rm /app/key.pem && mkdir -p /root/.cache/pip/http && echo x > /root/.cache/pip/http/a
COPY tests /app/tests
RUN printf x > /usr/bin/gcc-14 && printf x > /app/tool && chmod u+s /app/tool
WORKDIR /app
";

/// Both builders write their own form of history.
#[tokio::test]
async fn everything_is_found_in_what_either_builder_makes() {
    let engine = Engine::connect().await.unwrap();
    let files = [
        ("key.pem", key()),
        ("tests/test_api.py", "def test(): pass\n".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    for engine in [engine.clone(), engine.with_classic_builder()] {
        let root = context(&format!("FROM {PYTHON}\n{BAD}"), &files);
        let mut request = BuildRequest::new(root.path());
        request
            .build_args
            .insert("NPM_TOKEN".to_owned(), "hunter23".to_owned());
        let image = build(&engine, &request, &Events::default()).await;
        let mut policies = Policies::default();
        // The engine counts the names of links as well: a few kilobytes.
        policies.size_budget = image.bytes / 100 * 99;
        let findings = engine.check(&image.id, &policies).await.unwrap();
        let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
        for rule in [
            "user-missing",
            "size",
            "build-tools",
            "pip-cache",
            "tests",
            "setuid",
            "private-key",
            "secret-variable",
        ] {
            assert!(
                rules.contains(&rule),
                "{rule} is missing in {:#?}",
                told(&findings)
            );
        }
        let key = findings
            .iter()
            .find(|finding| finding.rule == "private-key")
            .unwrap();
        assert!(
            key.place.to_string().starts_with("/app/key.pem in layer "),
            "{key:?}"
        );
        assert!(
            key.detail.iter().any(|line| line.contains("deletes")),
            "{key:?}"
        );
        let all = format!("{findings:?}");
        assert!(
            all.contains("NPM_TOKEN") && all.contains("DB_PASSWORD"),
            "{all}"
        );
        assert!(!all.contains("hunter2"), "{all}");
        // With what the engine says, the budget is kept.
        policies.size_budget = image.bytes;
        let findings = engine.check(&image.id, &policies).await.unwrap();
        assert!(
            !findings.iter().any(|finding| finding.rule == "size"),
            "{:#?}",
            told(&findings)
        );
        remove(&image.id).await;
    }
}

#[tokio::test]
async fn a_sound_image_passes_and_what_is_off_is_not_read() {
    let engine = Engine::connect().await.unwrap();
    let dockerfile = format!(
        "FROM {PYTHON} AS build\nCOPY main.py /\nFROM {PYTHON}\nRUN useradd -m appuser\nCOPY --from=build /main.py /app/\nUSER appuser\n"
    );
    let root = context(&dockerfile, &[("main.py", "print()\n")]);
    let image = build(&engine, &BuildRequest::new(root.path()), &Events::default()).await;
    let findings = engine.check(&image.id, &Policies::default()).await.unwrap();
    assert!(findings.is_empty(), "{:#?}", told(&findings));
    remove(&image.id).await;
    let unreadable = engine
        .check("no/such:image", &Policies::default())
        .await
        .unwrap_err();
    assert_eq!(unreadable.code.id(), "D0608", "{unreadable:?}");
    assert!(
        engine
            .check("no/such:image", &Policies::off())
            .await
            .unwrap()
            .is_empty()
    );
}

const CONFIG: &str = "\
service: ml-api
project_id: demo-project
image: us-central1-docker.pkg.dev/demo-project/ml/ml-api
";

/// A pull request's job on a checkout with these files.
async fn job(files: &[(&str, &str)], config: &str) -> (Option<i32>, String) {
    let checkout = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(checkout.path(), name, text);
    }
    write(
        checkout.path(),
        ".github/ml-deploy.yml",
        &format!("{CONFIG}{config}"),
    );
    let scratch = tempfile::tempdir().unwrap();
    let runner = Runner {
        program: env!("CARGO_BIN_EXE_ml-deploy").into(),
        repository: "octo-org/ml-api".to_owned(),
        cloud_url: "http://127.0.0.1:9".to_owned(),
        workspace: checkout.path().to_owned(),
        scratch: scratch.path().to_owned(),
    };
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let mut job = Job::push("try", "refs/pull/7/merge", commit, 7).env("ML_DEPLOY_CLOUD_URL", "");
    job.event = "pull_request".to_owned();
    job.id_token = false;
    let end = runner.run(&job, |_| Ok(())).await.unwrap();
    (end.code, end.log)
}

#[tokio::test]
async fn a_job_stops_before_the_build_with_one_annotation_for_each_finding() {
    let dockerfile = format!("FROM {PYTHON}\nRUN pip install -r requirements.txt\n");
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("requirements.txt", "fastapi==0.129.0\nnumpy>=2\n"),
        ("key.pem", &key()),
        // Left out of every context, so that it is nobody's finding.
        ("gha-creds-0123456789abcdef.json", &key()),
    ];
    let (code, log) = job(&files, "").await;
    assert_eq!(code, Some(3), "{log}");
    for expected in [
        "::error file=requirements.txt,line=2,col=6,title=D0601",
        "::error file=Dockerfile,line=1,col=1,title=D0602",
        "::error file=Dockerfile,line=2,col=9,title=D0602",
        "::error file=key.pem,line=1,col=1,title=D0607",
        "nothing was built, pushed or deployed",
    ] {
        assert!(log.contains(expected), "{expected} is missing in:\n{log}");
    }
    assert!(
        !log.contains("gha-creds") && !log.contains("MIIEvQ"),
        "{log}"
    );
    assert_eq!(log.matches("::error ").count(), 5, "{log}");
}

#[tokio::test]
async fn a_warning_lets_the_build_go_on_and_the_built_image_stops_it() {
    let dockerfile = format!(
        "FROM {PYTHON} AS build\nCOPY a /\nFROM {PYTHON}\nCOPY --from=build /a /\nUSER nobody-knows\n"
    );
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("a", "a"),
        ("requirements.txt", "numpy\n"),
    ];
    let (code, log) = job(&files, "policy_pins: warn\n").await;
    assert_eq!(code, Some(3), "{log}");
    assert!(
        log.contains("::warning file=requirements.txt,line=1,col=1,title=D0601"),
        "{log}"
    );
    assert!(
        log.contains("::error title=D0604") && log.contains("nobody-knows"),
        "{log}"
    );
    assert!(
        log.contains("the image was built; nothing was pushed or deployed"),
        "{log}"
    );
}

#[test]
fn the_modes_are_those_of_the_inputs() {
    let mut policies = Policies::default();
    assert!(
        Policy::ALL
            .iter()
            .all(|policy| policies.mode(*policy) == Mode::Error)
    );
    policies.set(Policy::Pins, Mode::Warn);
    assert_eq!(policies.mode(Policy::Pins), Mode::Warn);
}
