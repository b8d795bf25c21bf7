//! The real gcloud against the local cloud in this process: what people type, and what they get.
//!
//! Where gcloud is not installed, each test says so and passes; with `CI` set it fails.

mod api;
mod deploy;
mod gcloud;
mod interplay;
mod refused;
mod runbook;
mod traffic;

use serde_json::Value;
use testkit::World;

use gcloud::Gcloud;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Told = Result<(), Failure>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ml-deploy");
/// Where the images of the API are.
const IMAGE: &str = "us-central1-docker.pkg.dev/demo-project/ml/ml-api";

/// A world and its gcloud; `None` when gcloud is not installed and need not be.
async fn scene() -> Result<Option<(World, Gcloud)>, Failure> {
    let world = World::start(PROGRAM).await?;
    let Some(gcloud) = Gcloud::of(&world).await? else {
        world.end().await;
        return Ok(None);
    };
    Ok(Some((world, gcloud)))
}

/// Asserts that a text has each of these in it.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

/// The service as the API v2 shows it.
async fn service(world: &World, name: &str) -> Result<Value, Failure> {
    let service = world.service(name).await?;
    Ok(service.ok_or_else(|| format!("there is no service {name}"))?)
}

/// Status and body of `/version` at a tag's own address.
async fn at_tag(world: &World, name: &str, tag: &str) -> Result<(u16, String), Failure> {
    let service = service(world, name).await?;
    let statuses = service["trafficStatuses"].as_array().into_iter().flatten();
    let uri = statuses
        .filter(|status| status["tag"] == tag)
        .find_map(|status| status["uri"].as_str())
        .ok_or_else(|| format!("{name} has no tag {tag}: {service}"))?;
    let answer = reqwest::get(format!("{uri}/version")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}
