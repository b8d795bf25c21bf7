//! `/v1/projects/P/locations`: where Cloud Run is. `run.locations.list` is in every role that has
//! anything of Cloud Run, and is not asked for.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use cloud_api::regions::REGIONS;
use serde_json::{Value, json};

use crate::iam::{self, Api};
use crate::run::http::{Answer, Authenticated, Page, project_of};
use crate::world::World;

/// Locations on one page at most.
const LARGEST_PAGE: usize = 1000;

pub(super) async fn list(
    State(world): State<Arc<World>>,
    _caller: Authenticated,
    Path(project): Path<String>,
    Query(page): Query<Page>,
) -> Answer {
    let project = project_of(&world, &project);
    iam::check_api(&world, Api::Run, &project)?;
    let locations = REGIONS.iter().map(|region| {
        json!({"name": format!("projects/{project}/locations/{region}"), "locationId": region,
            "displayName": region, "labels": {"cloud.googleapis.com/region": region}})
    });
    page.cut("locations", locations.collect::<Vec<Value>>(), LARGEST_PAGE)
}
