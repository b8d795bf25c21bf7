//! API v1 over HTTP.

mod locations;
mod operations;
mod place;
mod revisions;
mod services;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::place::Place;
use super::selector::Selector;
use super::service::API_VERSION;
use crate::error::ApiError;
use crate::world::World;

/// Resources on one page at most.
const LARGEST_PAGE: usize = 1000;

/// The routes of this part. Both families of paths have the same meaning.
pub fn routes() -> Router<Arc<World>> {
    let locations = "/v1/projects/{project}/locations";
    let mut routes = Router::new().route(locations, get(locations::list));
    for parent in [
        "/apis/serving.knative.dev/v1/namespaces/{project}",
        "/v1/projects/{project}/locations/{location}",
    ] {
        let path = |rest: &str| format!("{parent}{rest}");
        routes = routes
            .route(
                &path("/services"),
                get(services::list).post(services::create),
            )
            .route(&path("/revisions"), get(revisions::list))
            .route(
                &path("/revisions/{revision}"),
                get(revisions::get).delete(revisions::delete),
            );
        let service = get(services::get)
            .put(services::replace)
            .delete(services::delete);
        let service = match parent.contains("{location}") {
            true => service.merge(post(crate::run::http::services::post)),
            false => service,
        };
        routes = routes.route(&path("/services/{service}"), service);
    }
    let operations = "/v1/projects/{project}/locations/{location}/operations";
    routes.route(operations, get(operations::list)).route(
        &format!("{operations}/{{operation}}"),
        get(operations::get)
            .post(operations::post)
            .delete(crate::run::http::operations::delete),
    )
}

/// Which part of a list is asked for.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ListQuery {
    limit: Option<usize>,
    r#continue: String,
    label_selector: String,
    field_selector: String,
    watch: bool,
}

impl ListQuery {
    /// The list of `kind` with the selected resources of one page.
    fn list(&self, place: &Place, kind: &str, resources: Vec<Value>) -> Result<Value, ApiError> {
        if self.watch || !self.field_selector.is_empty() {
            return Err(invalid(
                "fieldSelector and watch are not supported by Cloud Run.",
            ));
        }
        let selector = Selector::parse(&self.label_selector)
            .map_err(|part| invalid(&format!("Invalid labelSelector: '{part}'.")))?;
        let start: usize = match self.r#continue.as_str() {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| invalid("Invalid continuation token."))?,
        };
        let size = match self.limit {
            None | Some(0) => LARGEST_PAGE,
            Some(size) => size.min(LARGEST_PAGE),
        };
        let mut selected: Vec<Value> = resources
            .into_iter()
            .filter(|resource| selector.selects(&resource["metadata"]["labels"]))
            .skip(start)
            .collect();
        let mut metadata = Map::new();
        metadata.insert("selfLink".to_owned(), json!(place.link(kind)));
        if selected.len() > size {
            selected.truncate(size);
            let next = start.saturating_add(size).to_string();
            metadata.insert("continue".to_owned(), json!(next));
        }
        Ok(
            json!({"apiVersion": API_VERSION, "kind": format!("{kind}List"),
            "metadata": metadata, "items": selected}),
        )
    }
}

/// Query of a write.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WriteQuery {
    /// `all`: only check.
    dry_run: String,
}

impl WriteQuery {
    /// True when the write is only to be checked.
    fn only_checks(&self) -> Result<bool, ApiError> {
        match self.dry_run.as_str() {
            "" => Ok(false),
            "all" => Ok(true),
            other => Err(invalid(&format!(
                "Invalid dryRun: '{other}'. Expected 'all'."
            ))),
        }
    }
}

/// What a delete answers.
fn deleted(kind: &str, name: &str, uid: &str) -> Value {
    json!({"status": "Success", "details":
        {"group": "serving.knative.dev", "kind": kind, "name": name, "uid": uid}})
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("INVALID_ARGUMENT", message)
}
