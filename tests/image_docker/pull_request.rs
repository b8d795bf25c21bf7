//! A pull request's job: the image is built, started beside the program and tested. No cloud, no
//! credential; nothing is pushed.

use emulator::runner::{Job, JobEnd, Runner};

use crate::{PYTHON, context, write};

/// An API with a health path, a version and one prediction.
const SERVER: &str = "import json, os, http.server\n\
class H(http.server.BaseHTTPRequestHandler):\n\
\x20   def do_GET(self):\n\
\x20       answers = {'/health': {'status': 'ok'}, '/answer': {'label': 'setosa'}}\n\
\x20       body = answers.get(self.path)\n\
\x20       self.send_response(200 if body else 404)\n\
\x20       self.send_header('content-type', 'application/json')\n\
\x20       self.end_headers()\n\
\x20       self.wfile.write(json.dumps(body).encode())\n\
http.server.HTTPServer(('0.0.0.0', int(os.environ['PORT'])), H).serve_forever()\n";

const CONFIG: &str = "\
service: ml-api
project_id: demo-project
image: us-central1-docker.pkg.dev/demo-project/ml/ml-api
tests: tests.yaml
version_path: none
";

fn suite(label: &str) -> String {
    format!(
        "cases:\n  - name: answers\n    request: {{ path: /answer }}\n    expect: {{ status: 200, json: {{ label: {label} }} }}\n"
    )
}

/// Runs the job on a checkout whose test expects `label`.
async fn pull_request(program: &str, label: &str) -> JobEnd {
    let dockerfile = format!(
        "FROM {PYTHON} AS build\nCOPY main.py /\n\
         FROM {PYTHON}\nCOPY --from=build /main.py /\nUSER 65534\nCMD [\"python3\", \"/main.py\"]\n"
    );
    let checkout = context(&dockerfile, &[("main.py", program)]);
    write(checkout.path(), ".github/ml-deploy.yml", CONFIG);
    write(checkout.path(), "tests.yaml", &suite(label));
    let scratch = tempfile::tempdir().unwrap();
    let runner = Runner {
        program: env!("CARGO_BIN_EXE_ml-deploy").into(),
        repository: "octo-org/ml-api".to_owned(),
        // Nobody listens on the discard port: a job that asked the cloud or GitHub would fail.
        cloud_url: "http://127.0.0.1:9".to_owned(),
        workspace: checkout.path().to_owned(),
        scratch: scratch.path().to_owned(),
    };
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let mut job = Job::push("try", "refs/pull/7/merge", commit, 7).env("ML_DEPLOY_CLOUD_URL", "");
    job.event = "pull_request".to_owned();
    job.id_token = false;
    runner.run(&job, |_| Ok(())).await.unwrap()
}

#[tokio::test]
async fn an_image_that_passes_is_verified_without_cloud_or_credential() {
    let end = pull_request(SERVER, "setosa").await;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert_eq!(end.output("outcome").as_deref(), Some("verified"));
}

#[tokio::test]
async fn an_image_that_fails_its_tests_stops_with_the_difference() {
    let end = pull_request(SERVER, "virginica").await;
    assert_eq!(end.code, Some(4), "{}", end.log);
    for expected in ["D0308", "/label", "virginica", "setosa"] {
        assert!(
            end.log.contains(expected),
            "{expected} is missing in:\n{}",
            end.log
        );
    }
}

#[tokio::test]
async fn a_container_that_ends_at_once_shows_its_last_lines() {
    let end = pull_request("raise SystemExit('the model file is missing')\n", "setosa").await;
    assert_eq!(end.code, Some(4), "{}", end.log);
    assert!(end.log.contains("the model file is missing"), "{}", end.log);
}
