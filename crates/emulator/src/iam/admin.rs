//! Admin routes of identities: policies, custom roles, APIs, organization policies.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use cloud_api::run::Policy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{OrganizationPolicy, Resource};
use crate::error::{ApiError, parse_json};
use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(
            "/_emulator/iam/{*resource}",
            get(policy)
                .put(set_policy)
                .delete(clear_policy)
                .post(change_role),
        )
        .route(
            "/_emulator/projects/{project}/roles/{role}",
            put(set_custom_role),
        )
        .route(
            "/_emulator/projects/{project}/services/{api}",
            get(api).put(set_api),
        )
        .route(
            "/_emulator/projects/{project}/organization-policy",
            get(organization_policy).put(set_organization_policy),
        )
}

fn invalid(text: String) -> ApiError {
    ApiError::new("INVALID_ARGUMENT", text)
}

/// A resource whose policy is kept here.
fn parse(name: &str) -> Result<Resource, ApiError> {
    match Resource::parse(name) {
        Some(Resource::Service(_)) | None => Err(invalid(format!(
            "\"{name}\" is none of projects/P, projects/P/serviceAccounts/EMAIL, projects/P/locations/L/repositories/R, projects/P/secrets/S (a service's policy is set through Cloud Run itself)"
        ))),
        Some(resource) => Ok(resource),
    }
}

/// `GET /_emulator/iam/RESOURCE`.
async fn policy(
    State(world): State<Arc<World>>,
    Path(name): Path<String>,
) -> Result<Json<Policy>, ApiError> {
    let policy = world.iam.policy(&parse(&name)?);
    policy
        .map(Json)
        .ok_or_else(|| ApiError::new("NOT_FOUND", format!("no policy is set for {name}")))
}

/// `PUT /_emulator/iam/RESOURCE` with a policy.
async fn set_policy(
    State(world): State<Arc<World>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Policy>, ApiError> {
    let resource = parse(&name)?;
    let policy: Policy = parse_json(&body)?;
    for binding in &policy.bindings {
        check_role(&world, &binding.role)?;
    }
    world.iam.set_policy(&resource, policy);
    Ok(Json(world.iam.policy(&resource).unwrap_or_default()))
}

/// `DELETE /_emulator/iam/RESOURCE`.
async fn clear_policy(
    State(world): State<Arc<World>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    world.iam.clear_policy(&parse(&name)?);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Grant,
    Revoke,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleChange {
    action: Action,
    role: String,
    member: String,
}

/// `POST /_emulator/iam/RESOURCE` with `{"action": "grant" or "revoke", "role", "member"}`.
async fn change_role(
    State(world): State<Arc<World>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Policy>, ApiError> {
    let resource = parse(&name)?;
    let RoleChange {
        action,
        role,
        member,
    } = parse_json(&body)?;
    check_role(&world, &role)?;
    match action {
        Action::Grant => world.iam.grant(&resource, &role, &member),
        Action::Revoke => world.iam.revoke(&resource, &role, &member),
    }
    Ok(Json(world.iam.policy(&resource).unwrap_or_default()))
}

/// A role that this world does not know gives nothing, which would be taken for a refusal of the
/// cloud.
fn check_role(world: &World, role: &str) -> Result<(), ApiError> {
    if world.iam.permissions_of(role).is_some() {
        return Ok(());
    }
    Err(invalid(format!(
        "Role {role} is not modelled; make it with PUT /_emulator/projects/P/roles/NAME"
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CustomRole {
    included_permissions: Vec<String>,
}

/// `PUT /_emulator/projects/P/roles/NAME` with `{"includedPermissions": […]}`.
async fn set_custom_role(
    State(world): State<Arc<World>>,
    Path((project, role)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let CustomRole {
        included_permissions,
    } = parse_json(&body)?;
    let name = format!("projects/{project}/roles/{role}");
    world.iam.set_custom_role(&name, included_permissions);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum ApiState {
    Enabled,
    Disabled,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedApi {
    state: ApiState,
}

/// `GET /_emulator/projects/P/services/API`.
async fn api(
    State(world): State<Arc<World>>,
    Path((project, api)): Path<(String, String)>,
) -> Json<Value> {
    let state = if world.iam.is_enabled(&project, &api) {
        ApiState::Enabled
    } else {
        ApiState::Disabled
    };
    Json(json!({ "state": state }))
}

/// `PUT /_emulator/projects/P/services/API` with `{"state": "DISABLED" or "ENABLED"}`.
async fn set_api(
    State(world): State<Arc<World>>,
    Path((project, api)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let WantedApi { state } = parse_json(&body)?;
    if super::Api::parse(&api).is_none() {
        return Err(invalid(format!("{api} cannot be switched off here")));
    }
    world
        .iam
        .set_api(&project, &api, state == ApiState::Enabled);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /_emulator/projects/P/organization-policy`.
async fn organization_policy(
    State(world): State<Arc<World>>,
    Path(project): Path<String>,
) -> Json<OrganizationPolicy> {
    Json(world.iam.organization_policy(&project))
}

/// `PUT /_emulator/projects/P/organization-policy`.
async fn set_organization_policy(
    State(world): State<Arc<World>>,
    Path(project): Path<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let policy: OrganizationPolicy = parse_json(&body)?;
    world.iam.set_organization_policy(&project, policy);
    Ok(StatusCode::NO_CONTENT)
}
