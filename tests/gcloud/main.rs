//! The real gcloud against the local cloud in this process: what people type, and what they get.

mod deploy;
mod gcloud;

use testkit::World;

use gcloud::Gcloud;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Told = Result<(), Failure>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ml-deploy");
const PROJECT: &str = "demo-project";
const REGION: &str = "us-central1";
/// Where the images of the API are.
const IMAGE: &str = "us-central1-docker.pkg.dev/demo-project/ml/ml-api";

/// A world and its gcloud; `None` when gcloud is not installed and need not be.
async fn scene() -> Result<Option<(World, Gcloud)>, Failure> {
    let world = World::start(PROGRAM).await?;
    let Some(gcloud) = Gcloud::of(&world)? else {
        world.end().await;
        return Ok(None);
    };
    Ok(Some((world, gcloud)))
}
