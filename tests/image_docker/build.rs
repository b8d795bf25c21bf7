//! Builds that go wrong, and the builder of old.

use delivery::diagnostic::Code;
use ml_deploy::image::{BuildRequest, Engine};

use crate::{Events, PYTHON, build, context, remove};

#[tokio::test]
async fn a_failing_build_ends_with_its_last_lines() {
    let engine = Engine::connect().await.unwrap();
    let script = "RUN echo the-line-before-the-end && exit 7\n";
    for engine in [engine.clone(), engine.with_classic_builder()] {
        let root = context(&format!("FROM {PYTHON}\n{script}"), &[]);
        let events = Events::default();
        let error = engine
            .build(&BuildRequest::new(root.path()), &events)
            .await
            .unwrap_err()
            .remove(0);
        assert_eq!(error.code, Code::BuildFailed, "{error:?}");
        assert!(
            error
                .logs
                .iter()
                .any(|line| line.contains("the-line-before-the-end")),
            "{error:#?}"
        );
        assert!(error.cause.join(" ").contains('7'), "{error:?}");
    }
}

#[tokio::test]
async fn an_unknown_base_image_and_a_broken_dockerfile_are_build_failures() {
    let engine = Engine::connect().await.unwrap();
    for (dockerfile, part) in [
        (
            "FROM 127.0.0.1:1/no/such:image\n",
            "the base image cannot be pulled",
        ),
        ("FROM scratch AS a\nFRMO b\n", "FRMO"),
    ] {
        let root = context(dockerfile, &[]);
        let events = Events::default();
        let error = engine
            .build(&BuildRequest::new(root.path()), &events)
            .await
            .unwrap_err()
            .remove(0);
        assert_eq!(error.code, Code::BuildFailed, "{error:?}");
        assert!(format!("{error:?}").contains(part), "{error:#?}");
    }
}

#[tokio::test]
async fn the_builder_of_old_builds_the_same_files() {
    let engine = Engine::connect().await.unwrap().with_classic_builder();
    let root = context("FROM scratch\nCOPY text /\n", &[("text", "classic")]);
    let events = Events::default();
    let image = build(&engine, &BuildRequest::new(root.path()), &events).await;
    assert!(image.id.starts_with("sha256:"), "{image:?}");
    remove(&image.id).await;
}
