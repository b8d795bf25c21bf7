//! The routes of Cloud KMS.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::key::SigningKey;
use super::{ALGORITHM, canonical};
use crate::error::{ApiError, parse_json};
use crate::iam::{self, Api, Resource};
use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    let rings = "/v1/projects/{project}/locations/{location}/keyRings";
    let keys = format!("{rings}/{{ring}}/cryptoKeys");
    let versions = format!("{keys}/{{key}}/cryptoKeyVersions");
    Router::new()
        .route(rings, post(create_ring))
        .route(&keys, post(create_key))
        .route(&format!("{keys}/{{key}}"), get(read_key))
        .route(&format!("{versions}/{{version}}"), post(call))
        .route(
            &format!("{versions}/{{version}}/publicKey"),
            get(public_key),
        )
}

type Answer = Result<Json<Value>, ApiError>;
type Shared = State<Arc<World>>;
type InRing = Path<(String, String, String)>;
type InKey = Path<(String, String, String, String)>;
type InVersion = Path<(String, String, String, String, String)>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WantedKey {
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    version_template: Template,
}

#[derive(Default, Deserialize)]
struct Template {
    #[serde(default)]
    algorithm: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignRequest {
    digest: Option<Hashed>,
    digest_crc32c: Option<String>,
    data: Option<String>,
}

#[derive(Deserialize)]
struct Hashed {
    sha256: Option<String>,
}

async fn create_ring(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    authorize(
        &world,
        &headers,
        "cloudkms.keyRings.create",
        &project,
        &Resource::Project(project.clone()),
    )?;
    let id = identifier(&query, "keyRingId")?;
    let name = format!("projects/{project}/locations/{location}/keyRings/{id}");
    let now = world.clock.now();
    let mut state = world.kms.lock();
    if state.rings.contains_key(&canonical(&name)) {
        return Err(exists("KeyRing", &name));
    }
    state.rings.insert(canonical(&name), now);
    Ok(Json(json!({"name": name, "createTime": time(now)})))
}

async fn create_key(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, ring)): InRing,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Answer {
    authorize(
        &world,
        &headers,
        "cloudkms.cryptoKeys.create",
        &project,
        &Resource::Project(project.clone()),
    )?;
    let WantedKey {
        purpose,
        version_template,
    } = parse_json(&body)?;
    let id = identifier(&query, "cryptoKeyId")?;
    if purpose != "ASYMMETRIC_SIGN" || version_template.algorithm != ALGORITHM {
        return Err(ApiError::new(
            "UNIMPLEMENTED",
            format!("the local cloud has keys of ASYMMETRIC_SIGN with {ALGORITHM} only"),
        ));
    }
    let parent = format!("projects/{project}/locations/{location}/keyRings/{ring}");
    let name = format!("{parent}/cryptoKeys/{id}");
    {
        let state = world.kms.lock();
        if !state.rings.contains_key(&canonical(&parent)) {
            return Err(not_found("KeyRing", &parent));
        }
        if state.keys.contains_key(&canonical(&name)) {
            return Err(exists("CryptoKey", &name));
        }
    }
    let now = world.clock.now();
    let made = world.kms.put_key(&name, now);
    made.map_err(|error| ApiError::new("INTERNAL", error.to_string()))?;
    Ok(Json(view(&name, now)))
}

async fn read_key(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, ring, key)): InKey,
) -> Answer {
    let name = key_name(&project, &location, &ring, &key);
    let resource = resource(&name, None);
    authorize(
        &world,
        &headers,
        "cloudkms.cryptoKeys.get",
        &project,
        &resource,
    )?;
    let state = world.kms.lock();
    let found = state.keys.get(&canonical(&name));
    let found = found.ok_or_else(|| not_found("CryptoKey", &name))?;
    Ok(Json(view(&name, found.created)))
}

async fn public_key(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, ring, key, version)): InVersion,
) -> Answer {
    let name = key_name(&project, &location, &ring, &key);
    let permission = "cloudkms.cryptoKeyVersions.viewPublicKey";
    let resource = resource(&name, Some(&version));
    authorize(&world, &headers, permission, &project, &resource)?;
    let pem = pair(&world, &name, &version)?.public_pem();
    Ok(Json(json!({
        "name": version_name(&name, &version),
        "algorithm": ALGORITHM,
        "pem": pem,
        "pemCrc32c": checksum(pem.as_bytes()),
        "protectionLevel": "SOFTWARE",
    })))
}

/// `POST …/cryptoKeyVersions/N:asymmetricSign`.
async fn call(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, ring, key, called)): InVersion,
    body: Bytes,
) -> Answer {
    let Some((version, "asymmetricSign")) = called.split_once(':') else {
        let text = format!("the local cloud has no method POST {called} of key versions");
        return Err(ApiError::new("UNIMPLEMENTED", text));
    };
    let name = key_name(&project, &location, &ring, &key);
    let permission = "cloudkms.cryptoKeyVersions.useToSign";
    let resource = resource(&name, Some(version));
    authorize(&world, &headers, permission, &project, &resource)?;
    let request: SignRequest = parse_json(&body)?;
    if request.data.is_some() {
        let text = "the local cloud signs digests, not data";
        return Err(ApiError::new("UNIMPLEMENTED", text));
    }
    let invalid = |text: &str| ApiError::new("INVALID_ARGUMENT", text);
    let digest = request
        .digest
        .and_then(|digest| digest.sha256)
        .and_then(|text| STANDARD.decode(text).ok())
        .filter(|bytes| bytes.len() == 32)
        .ok_or_else(|| invalid("Digest must be a SHA-256 of 32 bytes."))?;
    let verified = match &request.digest_crc32c {
        None => false,
        Some(told) if *told == checksum(&digest) => true,
        Some(_) => {
            return Err(invalid(
                "The checksum in field digest_crc32c did not match the data in field digest.",
            ));
        }
    };
    let signature = pair(&world, &name, version)?
        .sign(&digest)
        .map_err(|error| ApiError::new("INTERNAL", error.to_string()))?;
    Ok(Json(json!({
        "name": version_name(&name, version),
        "signature": STANDARD.encode(&signature),
        "signatureCrc32c": checksum(&signature),
        "verifiedDigestCrc32c": verified,
        "protectionLevel": "SOFTWARE",
    })))
}

fn authorize(
    world: &World,
    headers: &HeaderMap,
    permission: &str,
    project: &str,
    resource: &Resource,
) -> Result<(), ApiError> {
    let caller = world.tokens.caller(headers)?;
    iam::check_api(world, Api::Kms, project)?;
    iam::check(world, &caller, permission, resource)
}

fn pair(world: &World, key: &str, version: &str) -> Result<SigningKey, ApiError> {
    let state = world.kms.lock();
    let found = state.keys.get(&canonical(key)).filter(|_| version == "1");
    let found = found.ok_or_else(|| not_found("CryptoKeyVersion", &version_name(key, version)))?;
    SigningKey::from_secret(&found.secret)
        .map_err(|error| ApiError::new("INTERNAL", error.to_string()))
}

fn identifier(query: &HashMap<String, String>, field: &str) -> Result<String, ApiError> {
    let id = query.get(field).map(String::as_str).unwrap_or_default();
    let valid = (1..=63).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    valid.then(|| id.to_owned()).ok_or_else(|| {
        let text = format!("{field} must match [a-zA-Z0-9_-]{{1,63}}");
        ApiError::new("INVALID_ARGUMENT", text)
    })
}

fn resource(key: &str, version: Option<&str>) -> Resource {
    Resource::CryptoKey {
        name: key.to_owned(),
        version: version.map(str::to_owned),
    }
}

fn key_name(project: &str, location: &str, ring: &str, key: &str) -> String {
    format!("projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}")
}

fn version_name(key: &str, version: &str) -> String {
    format!("{key}/cryptoKeyVersions/{version}")
}

fn view(name: &str, created: DateTime<Utc>) -> Value {
    json!({
        "name": name,
        "purpose": "ASYMMETRIC_SIGN",
        "createTime": time(created),
        "versionTemplate": {"algorithm": ALGORITHM, "protectionLevel": "SOFTWARE"},
    })
}

fn checksum(bytes: &[u8]) -> String {
    crc32c::crc32c(bytes).to_string()
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn not_found(kind: &str, name: &str) -> ApiError {
    ApiError::new("NOT_FOUND", format!("{kind} {name} not found."))
}

fn exists(kind: &str, name: &str) -> ApiError {
    ApiError::new("ALREADY_EXISTS", format!("{kind} {name} already exists."))
}
