//! Images in a real Docker engine: built, pushed to the local cloud's registry, pulled back, started.
//! Without an engine these tests fail.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where its helpers cannot go on"
)]

mod build;
mod conformance;
mod foreign_registry;
mod gates;
mod policies;
mod pull_request;
mod registry;
mod trial;

use std::path::Path;
use std::sync::Mutex;

use bollard::Docker;
use bollard::query_parameters::RemoveImageOptions;
use delivery::event::{Event, EventSink};
use ml_deploy::image::{BuildRequest, BuiltImage, Engine};

/// A base image with a shell and Python, which the set-up puts in place.
const PYTHON: &str = "python:3.13-slim-trixie";

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    fn text(&self) -> String {
        let events = self.0.lock().unwrap();
        let lines = events.iter().map(|event| match event {
            Event::ForeignText { text, .. } => text.clone(),
            other => format!("{other:?}"),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn context(dockerfile: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "Dockerfile", dockerfile);
    for (name, text) in files {
        write(root.path(), name, text);
    }
    root
}

async fn build(engine: &Engine, request: &BuildRequest, events: &Events) -> BuiltImage {
    match engine.build(request, events).await {
        Ok(image) => image,
        Err(diagnostics) => panic!("{diagnostics:#?}\n{}", events.text()),
    }
}

async fn docker() -> Docker {
    let docker = Docker::connect_with_defaults().unwrap();
    docker.negotiate_version().await.unwrap()
}

async fn remove(image: &str) {
    let options = RemoveImageOptions {
        force: true,
        ..RemoveImageOptions::default()
    };
    // Another test may use the same layers; what is left has no name and is pruned by anybody.
    let _ = docker()
        .await
        .remove_image(image, Some(options), None)
        .await;
}
