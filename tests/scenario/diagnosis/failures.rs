//! Failures of images and containers.

use std::time::Duration;

use serde_json::json;
use testkit::{Answer, Behaviour, Job, World, api};

use super::gcloud::admin;
use super::{Expected, Failure, Printed, Told, fails, once_more, passes};
use crate::{release, world};

/// A world in which v1.0.0 serves in dev, and the commit of the next release.
pub(super) async fn serving() -> Result<(World, String), Failure> {
    let world = world().await?;
    let good = World::commit(1);
    world.built(&good, api("setosa")).await?;
    release(&world, "v1.0.0", &good, "dev", 0).await?;
    Ok((world, World::commit(2)))
}

/// What served before serves after a failure.
pub(super) const STATE: &str = "ml-api-dev-v1-0-0-";

/// A release of an image that behaves like this.
async fn next(world: &World, commit: &str, behaviour: Behaviour) -> Result<Job, Failure> {
    world.built(commit, behaviour).await?;
    Ok(world.release_job("v1.1.0", commit, "dev"))
}

/// Mends requirements.txt or the Dockerfile: a new commit, a new image, a new version.
async fn rebuilt(world: &World) -> Told {
    let commit = World::commit(3);
    world.built(&commit, api("setosa")).await?;
    passes(world, &world.release_job("v1.1.1", &commit, "dev")).await?;
    Ok(())
}

/// Runs a job that must fail once Cloud Run's four minutes for the port are over.
async fn fails_after_four_minutes(world: &World, job: &Job) -> Result<Printed, Failure> {
    let mut running = world.start_job(job)?;
    let before = world.started();
    let mut log = String::new();
    let mut advanced = false;
    while let Some(line) = running.next_line().await? {
        log.push_str(&line);
        log.push('\n');
        if line.contains("deploy-candidate") && !advanced {
            while world.started() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            world
                .emulator
                .world()
                .clock
                .advance(Duration::from_secs(241));
            advanced = true;
        }
    }
    let end = running.finish(|_| Ok(())).await?;
    Printed::parse(&log, end.code)
}

#[tokio::test]
async fn a_missing_dependency_is_named_and_a_rebuild_mends_it() -> Told {
    let (world, commit) = serving().await?;
    let crash = Behaviour::crash(&[
        "Traceback (most recent call last):",
        "ModuleNotFoundError: No module named 'uvicorn'",
    ]);
    let job = next(&world, &commit, crash).await?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "failed to start and listen on the port",
            "No module named 'uvicorn'",
        ],
        state: STATE,
        help: &["add the package of `uvicorn`, with its version, to requirements.txt"],
        logs: &["No module named 'uvicorn'"],
    })?;
    rebuilt(&world).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn tests_that_fail_by_a_model_of_another_scikit_learn_name_both_versions() -> Told {
    let (world, commit) = serving().await?;
    let broken = Answer::status(500, &json!({"detail": "Internal Server Error"})).writing(&[
        "InconsistentVersionWarning: Trying to unpickle estimator DecisionTreeClassifier from version 1.3.2 when using version 1.9.1. This might lead to breaking code.",
        "AttributeError: 'DecisionTreeClassifier' object has no attribute 'monotonic_cst'",
    ]);
    let good = api("setosa");
    let Behaviour::Serve(app) = good else {
        return Err("the API serves".into());
    };
    let app = app.answer("POST", "/predict", broken);
    let job = next(&world, &commit, Behaviour::Serve(app)).await?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0302",
        cause: &[
            "predicts setosa",
            "the model was saved with scikit-learn 1.3.2, the image has 1.9.1",
        ],
        state: STATE,
        help: &["write `scikit-learn==1.3.2` into requirements.txt and rebuild the image"],
        logs: &["Trying to unpickle estimator"],
    })?;
    rebuilt(&world).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn another_port_is_found_in_the_log_and_the_printed_input_mends_it() -> Told {
    let (world, commit) = serving().await?;
    let Behaviour::Serve(app) = api("setosa") else {
        return Err("the API serves".into());
    };
    let app = app
        .listening_on(9000)
        .log("INFO:     Uvicorn running on http://0.0.0.0:9000 (Press CTRL+C to quit)");
    let job = next(&world, &commit, Behaviour::Serve(app)).await?;
    let told = fails_after_four_minutes(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &["PORT=8080", "the server listens on port 9000"],
        state: STATE,
        help: &["set input `port` to `9000`"],
        logs: &[
            "http://0.0.0.0:9000",
            "Default STARTUP TCP probe failed 1 time",
        ],
    })?;
    passes(&world, &told.set("port", once_more(&job))?).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_server_on_loopback_is_told_from_one_that_crashed() -> Told {
    let (world, commit) = serving().await?;
    let line = "INFO:     Uvicorn running on http://127.0.0.1:8080 (Press CTRL+C to quit)";
    let deaf = Behaviour::NeverListens {
        lines: vec![line.to_owned()],
    };
    let job = next(&world, &commit, deaf).await?;
    let told = fails_after_four_minutes(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &["listens on 127.0.0.1, which nothing outside of the container reaches"],
        state: STATE,
        help: &["`--host 0.0.0.0 --port $PORT`"],
        logs: &["127.0.0.1:8080"],
    })?;
    rebuilt(&world).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_image_for_another_cpu_and_one_without_its_model() -> Told {
    for (line, cause, help) in [
        (
            "exec /usr/local/bin/uvicorn: exec format error",
            "built for another CPU than linux/amd64",
            "set input `platform` to `linux/amd64` and rebuild",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'model.joblib'",
            "the image lacks the file model.joblib",
            "copy `model.joblib` in the Dockerfile",
        ),
    ] {
        let (world, commit) = serving().await?;
        let job = next(&world, &commit, Behaviour::crash(&[line])).await?;
        let told = fails(&world, &job).await?;
        told.expect(&Expected {
            exit: 4,
            code: "D0301",
            cause: &[cause],
            state: STATE,
            help: &[help],
            logs: &[line],
        })?;
        rebuilt(&world).await?;
        world.end().await;
    }
    Ok(())
}

#[tokio::test]
async fn memory_that_is_exceeded_at_start_and_at_serving() -> Told {
    let Behaviour::Serve(app) = api("setosa") else {
        return Err("the API serves".into());
    };
    let at_start = app.clone().taking_memory(600 << 20);
    let answer = Answer::json(&json!({"label": "setosa"})).taking_memory(600 << 20);
    let at_serving = app.answer("POST", "/predict", answer);
    for (app, code) in [(at_start, "D0301"), (at_serving, "D0302")] {
        let (world, commit) = serving().await?;
        let job = next(&world, &commit, Behaviour::Serve(app)).await?;
        let told = fails(&world, &job).await?;
        told.expect(&Expected {
            exit: 4,
            code,
            cause: &["it has 512 MiB of memory and used 600 MiB"],
            state: STATE,
            help: &["set input `memory` to `1Gi`"],
            logs: &["Memory limit of 512 MiB exceeded with 600 MiB used."],
        })?;
        passes(&world, &told.set("memory", once_more(&job))?).await?;
        world.end().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_startup_probe_that_asks_a_path_that_is_not_there() -> Told {
    let (world, commit) = serving().await?;
    let job = next(&world, &commit, api("setosa")).await?.with(
        "startup_probe",
        "http:/ready period=1 timeout=1 failure_threshold=2",
    );
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "failed the configured startup probe checks",
            "did not answer the startup probe",
        ],
        state: STATE,
        help: &["set input `startup_probe` to `tcp`"],
        logs: &["STARTUP HTTP probe failed 2 times consecutively"],
    })?;
    passes(&world, &told.set("startup_probe", once_more(&job))?).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_wrong_image_path_ends_at_once_and_names_the_right_one() -> Told {
    let (world, commit) = serving().await?;
    let job = next(&world, &commit, api("setosa"))
        .await?
        .with("image", "us-central1-docker.pkg.dev/demo-project/ml/mlapi");
    let asked = std::time::Instant::now();
    let told = fails(&world, &job).await?;
    assert!(asked.elapsed() < Duration::from_secs(30), "it was waited");
    told.expect(&Expected {
        exit: 3,
        code: "D0212",
        cause: &["incorrect image path", testkit::API_REPOSITORY],
        state: STATE,
        help: &["set input `image` to `us-central1-docker.pkg.dev/demo-project/ml/ml-api`"],
        logs: &[],
    })?;
    passes(&world, &told.set("image", once_more(&job))?).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_codes_of_before_2024_are_understood_as_well() -> Told {
    let (world, commit) = serving().await?;
    let codes = json!({"error_codes": "older"});
    admin(&world, "PUT", "run/error-codes", &codes).await?;
    let line = "ModuleNotFoundError: No module named 'fastapi'";
    let job = next(&world, &commit, Behaviour::crash(&[line])).await?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &["Cloud Run error: Container failed to start.", "'fastapi'"],
        state: STATE,
        help: &["requirements.txt"],
        logs: &[line],
    })?;
    rebuilt(&world).await?;
    world.end().await;
    Ok(())
}
