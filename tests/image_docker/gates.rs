//! The gates by hand (`ml-deploy verify`) on the sample API, in real containers: what each one is for
//! is stopped by it, with a report that names it.

use std::path::Path;
use std::process::Command;

use ml_deploy::image::{BuildRequest, BuiltImage, Engine, RunningTrial, TrialRequest};

use crate::conformance::{GRACE, sample};
use crate::{Events, build, remove};

/// What was built, to be started as one release or another.
struct Built {
    engine: Engine,
    image: BuiltImage,
}

impl Built {
    async fn new(folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let engine = Engine::connect().await.unwrap();
        let image = build(&engine, &BuildRequest::new(folder), &Events::default()).await;
        Self { engine, image }
    }

    /// Started as this version.
    async fn start(&self, version: &str) -> (RunningTrial, String) {
        let mut request = TrialRequest::new("ml-api");
        let named = ("ML_DEPLOY_VERSION".to_owned(), version.to_owned());
        request.env.extend([named]);
        let trial = self.engine.try_locally(&self.image, &request).await;
        let trial = trial.unwrap();
        let url = trial.reach("/health", GRACE, &Events::default()).await;
        (trial, url.unwrap())
    }
}

/// Runs `ml-deploy verify` in the folder; gives exit code and what it wrote.
async fn verify(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ml-deploy"));
    command.arg("verify").args(arguments).current_dir(folder);
    let end = tokio::task::spawn_blocking(move || command.output());
    let end = end.await.unwrap().unwrap();
    let said = [end.stdout, end.stderr].concat();
    (
        end.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[track_caller]
fn assert_said(end: &(Option<i32>, String), code: i32, parts: &[&str]) {
    let (got, said) = end;
    assert_eq!(*got, Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}

/// 400 flowers; sepal lengths from 4.0 to 6.4 cm come equally often.
fn inputs() -> String {
    let rows = (0..400_u32).map(|row| {
        let tenths = |number: u32| f64::from(number) / 10.0;
        format!(
            "{{\"sepal_length\": {}, \"sepal_width\": {}, \"petal_length\": {}, \"petal_width\": {}}}\n",
            tenths(40 + row % 25),
            tenths(25 + row % 13),
            tenths(12 + row % 53),
            tenths(2 + row % 22),
        )
    });
    rows.collect()
}

const GOLDEN: &str = "golden:\n- {file: golden.jsonl, request: {method: POST, path: /predict}}\n";
/// The same rows, only as inputs.
const INPUTS: &str = "golden:\n- {file: golden.jsonl, request: {method: POST, path: /predict}, max_mismatch_rate: 1}\n";

#[tokio::test]
async fn a_retrained_model_that_flips_8_percent_is_stopped_by_golden_and_by_replay() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("inputs.jsonl"), inputs()).unwrap();
    std::fs::write(work.path().join("golden.yaml"), GOLDEN).unwrap();
    std::fs::write(work.path().join("replay.yaml"), INPUTS).unwrap();
    let label = "label=artefact.labels[int(probabilities.argmax())],";
    // 4.8 and 6.0 cm: two of the 25 lengths.
    let flipped = "label=artefact.labels[(int(probabilities.argmax()) + (round(measures.sepal_length * 10) % 12 == 0)) % 3],";
    let good = Built::new(sample("app/model.py", label, label).path()).await;
    let flipping = Built::new(sample("app/model.py", label, flipped).path()).await;
    let (serving_trial, serving) = good.start("1.4.2").await;
    let (trial, candidate) = flipping.start("1.5.0").await;
    let record = ["--record", "golden.jsonl", "--inputs", "inputs.jsonl"];
    let end = verify(work.path(), &[&[serving.as_str()], &record[..]].concat()).await;
    assert_said(&end, 0, &["recorded 400 rows"]);

    let end = verify(work.path(), &[&serving, "--tests", "golden.yaml"]).await;
    assert_said(&end, 0, &[]);
    let end = verify(work.path(), &[&candidate, "--tests", "golden.yaml"]).await;
    assert_said(
        &end,
        4,
        &["D0633", "32 of 400 rows differ", "label: expected"],
    );

    let replay = ["--tests", "replay.yaml", "--replay", "--serving", &serving];
    let end = verify(work.path(), &[&[candidate.as_str()], &replay[..]].concat()).await;
    assert_said(&end, 4, &["D0642", "flips of /label", "8 %"]);
    let end = verify(work.path(), &[&[serving.as_str()], &replay[..]].concat()).await;
    assert_said(&end, 0, &[]);

    trial.stop().await.unwrap();
    serving_trial.stop().await.unwrap();
    remove(&flipping.image.id).await;
}

#[tokio::test]
async fn a_removed_response_field_needs_a_major_version() {
    let work = tempfile::tempdir().unwrap();
    let field = "probabilities: dict[Species, float]\n    model_version: str\n";
    let folder = sample(
        "app/schema.py",
        field,
        "probabilities: dict[Species, float]\n",
    );
    let model = folder.path().join("app/model.py");
    let text = std::fs::read_to_string(&model).unwrap();
    let argument = "            model_version=artefact.version,\n";
    assert!(text.contains(argument));
    std::fs::write(&model, text.replace(argument, "")).unwrap();
    let good = Built::new(sample("app/schema.py", field, field).path()).await;
    let less = Built::new(folder.path()).await;
    let (serving_trial, serving) = good.start("1.4.2").await;
    for (version, code, parts) in [
        (
            "1.4.3",
            4,
            &["D0651", "`model_version` is gone", "release it as 2.0.0"][..],
        ),
        ("2.0.0", 0, &[][..]),
    ] {
        let (trial, candidate) = less.start(version).await;
        let end = verify(
            work.path(),
            &[&candidate, "--semver-gate", "--serving", &serving],
        )
        .await;
        assert_said(&end, code, parts);
        trial.stop().await.unwrap();
    }
    serving_trial.stop().await.unwrap();
    remove(&less.image.id).await;
}

#[tokio::test]
async fn a_slow_model_is_stopped_by_the_slo() {
    let work = tempfile::tempdir().unwrap();
    let case = "cases:\n- name: predicts\n  request: {method: POST, path: /predict, json: {sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2}}\n";
    std::fs::write(work.path().join("tests.yaml"), case).unwrap();
    let quick = "        return model.predict(measures)\n";
    let slow =
        "        import time\n\n        time.sleep(0.2)\n        return model.predict(measures)\n";
    let built = Built::new(sample("app/api.py", quick, slow).path()).await;
    let (trial, candidate) = built.start("1.5.0").await;
    let load = [
        "--tests",
        "tests.yaml",
        "--slo-p95",
        "150ms",
        "--load-rate",
        "20",
        "--load-duration",
        "5s",
        // The fewest errors that 100 requests can tell.
        "--max-error-rate",
        "5%",
    ];
    let end = verify(work.path(), &[&[candidate.as_str()], &load[..]].concat()).await;
    assert_said(&end, 4, &["D0641", "at most 150 ms is allowed"]);
    trial.stop().await.unwrap();
    remove(&built.image.id).await;
}

#[tokio::test]
async fn a_healthy_but_wrong_model_is_stopped_by_identity() {
    let work = tempfile::tempdir().unwrap();
    let quick = "        return model.predict(measures)\n";
    let built = Built::new(sample("app/api.py", quick, quick).path()).await;
    let (trial, candidate) = built.start("1.4.2").await;
    let end = verify(work.path(), &[&candidate, "--release", "1.4.2"]).await;
    assert_said(&end, 0, &[]);
    for wrong in [["--release", "1.5.0"], ["--model-version", "iris-other"]] {
        let end = verify(work.path(), &[&candidate, wrong[0], wrong[1]]).await;
        assert_said(&end, 4, &["D0631", wrong[1]]);
    }
    trial.stop().await.unwrap();
}
