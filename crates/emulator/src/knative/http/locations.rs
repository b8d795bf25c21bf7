//! `/v1/projects/P/locations`: where Cloud Run is.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use serde_json::{Value, json};

use crate::run::http::{Answer, Authenticated, Page, project_of};
use crate::world::World;

/// Locations on one page at most.
const LARGEST_PAGE: usize = 1000;

/// Regions of Cloud Run, <https://cloud.google.com/run/docs/locations>. The local cloud has a
/// service in any region that a request names.
const REGIONS: &[&str] = &[
    "africa-south1",
    "asia-east1",
    "asia-east2",
    "asia-northeast1",
    "asia-northeast2",
    "asia-northeast3",
    "asia-south1",
    "asia-south2",
    "asia-southeast1",
    "asia-southeast2",
    "australia-southeast1",
    "australia-southeast2",
    "europe-central2",
    "europe-north1",
    "europe-southwest1",
    "europe-west1",
    "europe-west10",
    "europe-west12",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-west6",
    "europe-west8",
    "europe-west9",
    "me-central1",
    "me-central2",
    "me-west1",
    "northamerica-northeast1",
    "northamerica-northeast2",
    "southamerica-east1",
    "southamerica-west1",
    "us-central1",
    "us-east1",
    "us-east4",
    "us-east5",
    "us-south1",
    "us-west1",
    "us-west2",
    "us-west3",
    "us-west4",
];

pub(super) async fn list(
    State(world): State<Arc<World>>,
    _caller: Authenticated,
    Path(project): Path<String>,
    Query(page): Query<Page>,
) -> Answer {
    let project = project_of(&world, &project);
    let locations = REGIONS.iter().map(|region| {
        json!({"name": format!("projects/{project}/locations/{region}"), "locationId": region,
            "displayName": region, "labels": {"cloud.googleapis.com/region": region}})
    });
    page.cut("locations", locations.collect::<Vec<Value>>(), LARGEST_PAGE)
}
