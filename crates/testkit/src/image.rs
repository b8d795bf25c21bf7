//! Images without layers worth speaking of, and what their containers do.

use emulator::runtime::{Answer, App, Behaviour, Call};
use serde_json::{Value, json};

/// The repository of the scenario's API.
pub const API_REPOSITORY: &str = "us-central1-docker.pkg.dev/demo-project/ml/ml-api";

/// An API like the sample: `/health`, `/version` from its environment, `/predict` answers `label`.
pub fn api(label: &str) -> Behaviour {
    let label = label.to_owned();
    Behaviour::Serve(App::new().otherwise(move |call| answer(call, &label)))
}

/// Healthy, but its predictions are wrong.
pub fn wrong_model() -> Behaviour {
    api("virginica")
}

fn answer(call: &Call, label: &str) -> Answer {
    let variable = |name: &str| {
        call.env
            .get(name)
            .cloned()
            .unwrap_or_else(|| "unknown".to_owned())
    };
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/health") => Answer::json(&json!({"status": "ok"})),
        ("GET", "/version") => Answer::json(&json!({
            "version": variable("ML_DEPLOY_VERSION"),
            "commit": variable("ML_DEPLOY_COMMIT"),
        })),
        ("POST", "/predict") => Answer::json(&json!({"label": label})),
        _ => Answer::status(404, &json!({"detail": "Not Found"})),
    }
}

/// A manifest and its blobs, all different for each `seed`.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layer: Vec<u8>,
}

impl Image {
    pub(crate) fn new(seed: &str) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Env": [format!("SEED={seed}")]},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        Self {
            config: config.to_string().into_bytes(),
            layer: format!("layer of {seed}").into_bytes(),
        }
    }

    pub(crate) fn manifest(&self, digest: impl Fn(&[u8]) -> String) -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": self.config.len(), "digest": digest(&self.config),
            },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": self.layer.len(), "digest": digest(&self.layer),
            }],
        })
    }
}
