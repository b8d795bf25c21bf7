//! Images, started beside us.

use std::time::{Duration, Instant};

use bollard::query_parameters::InspectContainerOptions;
use delivery::diagnostic::Code;
use ml_deploy::image::{BuildRequest, BuiltImage, Engine, RunningTrial, TrialRequest};

use crate::{Events, PYTHON, build, context, docker, remove};

/// Time for a small server to start on a busy machine.
const GRACE: Duration = Duration::from_secs(60);

const SERVER: &str = "import os, http.server\n\
class H(http.server.BaseHTTPRequestHandler):\n\
\x20   def do_GET(self):\n\
\x20       body = (os.environ['K_SERVICE'] + ' ' + os.environ['COLOUR']).encode()\n\
\x20       self.send_response(200)\n\
\x20       self.end_headers()\n\
\x20       self.wfile.write(body)\n\
print('listening', flush=True)\n\
http.server.HTTPServer(('0.0.0.0', int(os.environ['PORT'])), H).serve_forever()\n";

async fn start(
    program: &str,
    change: impl FnOnce(&mut TrialRequest),
) -> (Engine, BuiltImage, RunningTrial) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = Engine::connect().await.unwrap();
    let dockerfile = format!("FROM {PYTHON}\nCOPY main.py /\nCMD [\"python3\", \"/main.py\"]\n");
    let root = context(&dockerfile, &[("main.py", program)]);
    let image = build(&engine, &BuildRequest::new(root.path()), &Events::default()).await;
    let mut request = TrialRequest::new("ml-api");
    request.env.insert("COLOUR".to_owned(), "blue".to_owned());
    change(&mut request);
    let trial = engine.try_locally(&image, &request).await.unwrap();
    (engine, image, trial)
}

async fn exists(container: &str) -> bool {
    let found = docker()
        .await
        .inspect_container(container, None::<InspectContainerOptions>)
        .await;
    found.is_ok()
}

#[tokio::test]
async fn a_trial_is_reached_and_removed() {
    let (_, image, trial) = start(SERVER, |request| request.port = 9090).await;
    let address = trial.reach("/", GRACE, &Events::default()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client
        .get(format!("{address}/"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(text, "ml-api blue");
    assert!(
        trial
            .logs(5)
            .await
            .unwrap()
            .contains(&"listening".to_owned())
    );
    let id = trial.id().to_owned();
    let begin = Instant::now();
    trial.stop().await.unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(7),
        "stopping took {:?}",
        begin.elapsed()
    );
    assert!(!exists(&id).await);
    remove(&image.id).await;
}

#[tokio::test]
async fn a_container_that_exits_is_told_at_once_with_its_log() {
    let (_, image, trial) = start("print('no model here'); raise SystemExit(3)\n", |_| {}).await;
    let begin = Instant::now();
    let error = trial
        .reach("/", GRACE, &Events::default())
        .await
        .unwrap_err();
    assert!(begin.elapsed() < GRACE);
    assert_eq!(error.code, Code::LocalTestsFailed);
    assert_eq!(error.cause, ["exit code 3"]);
    assert_eq!(error.logs, ["no model here"]);
    trial.stop().await.unwrap();
    remove(&image.id).await;
}

#[tokio::test]
async fn a_container_that_needs_too_much_memory_says_so() {
    let (_, image, trial) = start("x = b'x' * (200 << 20)\nprint(len(x))\n", |request| {
        request.memory_bytes = 32 << 20
    })
    .await;
    let error = trial
        .reach("/", GRACE, &Events::default())
        .await
        .unwrap_err();
    assert!(
        error
            .cause
            .iter()
            .any(|cause| cause.contains("memory limit of 32 MiB")),
        "{error:?}"
    );
    trial.stop().await.unwrap();
    remove(&image.id).await;
}

#[tokio::test]
async fn a_container_that_listens_elsewhere_says_which_port() {
    let program = SERVER.replace("'0.0.0.0', int(os.environ['PORT'])", "'127.0.0.1', 1234");
    let (_, image, trial) = start(&program, |_| {}).await;
    let error = trial
        .reach("/", Duration::from_secs(2), &Events::default())
        .await
        .unwrap_err();
    assert!(
        error.title.contains("did not answer on port 8080"),
        "{error:?}"
    );
    assert!(error.help[0].contains("0.0.0.0:$PORT"), "{error:?}");
    trial.stop().await.unwrap();
    remove(&image.id).await;
}

#[tokio::test]
async fn a_dropped_trial_is_removed_too() {
    let (_, image, trial) = start(SERVER, |_| {}).await;
    let id = trial.id().to_owned();
    assert!(exists(&id).await);
    drop(trial);
    let deadline = Instant::now() + Duration::from_secs(30);
    while exists(&id).await {
        assert!(Instant::now() < deadline, "the container is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    remove(&image.id).await;
}

#[tokio::test]
async fn a_program_that_the_image_lacks_and_a_missing_engine_are_explained() {
    let engine = Engine::connect().await.unwrap();
    let root = context(
        "FROM scratch\nCOPY text /\nCMD [\"/no-such-program\"]\n",
        &[("text", "x")],
    );
    let image = build(&engine, &BuildRequest::new(root.path()), &Events::default()).await;
    let error = engine
        .try_locally(&image, &TrialRequest::new("ml-api"))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::LocalTestsFailed, "{error:?}");
    assert!(error.cause[0].contains("no-such-program"), "{error:?}");
    remove(&image.id).await;

    let error = Engine::connect_to("unix:///nowhere/docker.sock")
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::DockerUnavailable);
    assert!(
        error
            .help
            .iter()
            .any(|line| line.contains("runs-on: ubuntu-latest")),
        "{error:?}"
    );
    let error = Engine::connect_to("tcp://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.code, Code::DockerUnavailable);
}
