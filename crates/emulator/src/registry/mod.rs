//! An OCI registry that answers for every `*-docker.pkg.dev` path.
//!
//! Names have Artifact Registry's form `PROJECT/REPOSITORY/IMAGE`; the region is ignored.
//! Deviations: repositories come into being with the first push; pulls need no credential;
//! blobs are served here and not from a storage host; `/referrers/` answers 404, so that clients
//! use the tag `sha256-<hex>` of the distribution specification's fallback.

mod access;
mod blob;
mod error;
mod manifest;
mod name;
mod path;
mod store;
mod tags;
mod upload;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{self, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tempfile::TempDir;

use access::Action;
use error::RegistryError;
use path::Resource;
use store::Store;

use crate::error::ApiError;
use crate::iam;
use crate::world::{Config, World};

/// An image that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// `sha256:…`.
    pub digest: String,
    /// `127.0.0.1:PORT/P/R/I@sha256:…`: what an engine on this machine can pull.
    pub pull: String,
}

/// Repositories, manifests, blobs.
pub struct Registry {
    address: SocketAddr,
    /// Holds blobs (named by their digest) and uploads; removed with the registry.
    directory: TempDir,
    uploads_begun: AtomicU64,
    store: Mutex<Store>,
}

impl Registry {
    /// No repository exists.
    ///
    /// # Errors
    /// When the directory for blobs cannot be made.
    pub fn new(config: &Config) -> std::io::Result<Self> {
        Ok(Self {
            address: config.listen,
            directory: TempDir::with_prefix("ml-deploy-registry-")?,
            uploads_begun: AtomicU64::new(0),
            store: Mutex::new(Store::default()),
        })
    }

    /// Finds an image, named `REGION-docker.pkg.dev/P/R/I[:tag|@digest]` or with this registry's
    /// own address in the host's place. The region does not matter.
    pub fn resolve(&self, image: &str) -> Option<Resolved> {
        let (name, reference) = name::parse_image(image)?;
        let digest = self.lock().images.get(&name)?.digest(&reference)?;
        let pull = format!("127.0.0.1:{}/{name}@{digest}", self.address.port());
        Some(Resolved { digest, pull })
    }

    /// Says whether the tags of a repository can move. They can until this is called.
    pub fn set_immutable_tags(&self, project: &str, repository: &str, is_immutable: bool) {
        let key = (project.to_owned(), repository.to_owned());
        let mut store = self.lock();
        if is_immutable {
            store.immutable.insert(key);
        } else {
            store.immutable.remove(&key);
        }
    }

    /// Forgets every repository. Files of blobs stay until the end: an engine may be reading them.
    pub fn clear(&self) {
        *self.lock() = Store::default();
    }

    fn uploads(&self) -> &Path {
        self.directory.path()
    }

    fn blob_file(&self, digest: &str) -> PathBuf {
        self.directory.path().join(digest.replace(':', "-"))
    }

    fn next_upload_id(&self) -> String {
        let number = self.uploads_begun.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{} {number}", self.directory.path().display());
        let digest = store::digest_of(seed.as_bytes());
        digest.chars().skip("sha256:".len()).take(32).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The repository that an image of Artifact Registry's form lies in; `None` for another image.
pub(crate) fn repository(image: &str) -> Option<iam::Resource> {
    let (name, _) = name::parse_image(image)?;
    let (project, repository) = name::repository_of(&name)?;
    let host = image.split('/').next().unwrap_or_default();
    Some(iam::Resource::Repository {
        project,
        location: host
            .strip_suffix("-docker.pkg.dev")
            .unwrap_or("-")
            .to_owned(),
        repository,
    })
}

/// The routes of this part. Cloud Run has paths under `/v2/` too; its routes are more specific.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/v2/", get(access::ping))
        .route("/v2/token", get(access::token))
        .route("/v2/{*path}", any(serve))
}

async fn serve(
    State(world): State<Arc<World>>,
    extract::Path(path): extract::Path<String>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut response = match path::parse(&path) {
        None => {
            let message = format!("the local cloud has no route {method} /v2/{path}");
            return ApiError::new("UNIMPLEMENTED", message).into_response();
        }
        Some(Err(error)) => error.into_response(),
        Some(Ok(resource)) => act(&world, resource, &query, method, &headers, body)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    };
    response.headers_mut().insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

async fn act(
    world: &World,
    resource: Resource,
    query: &HashMap<String, String>,
    method: Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, RegistryError> {
    let action = match method {
        Method::GET | Method::HEAD => Action::Pull,
        // To cancel an upload takes no more than to begin one.
        Method::DELETE if !matches!(resource, Resource::Upload(..)) => Action::Delete,
        _ => Action::Push,
    };
    access::check(world, headers, resource.name(), action)?;
    let registry = &world.registry;
    match (method, resource) {
        (method @ (Method::GET | Method::HEAD), Resource::Manifest(name, reference)) => {
            manifest::read(registry, &method, &name, &reference)
        }
        (Method::PUT, Resource::Manifest(name, reference)) => {
            manifest::write(registry, &name, &reference, headers, body).await
        }
        (Method::DELETE, Resource::Manifest(name, reference)) => {
            manifest::delete(registry, &name, &reference)
        }
        (method @ (Method::GET | Method::HEAD), Resource::Blob(name, digest)) => {
            blob::read(registry, &method, &name, &digest, headers).await
        }
        (Method::DELETE, Resource::Blob(name, digest)) => blob::delete(registry, &name, &digest),
        (Method::POST, Resource::Uploads(name)) => {
            upload::begin(registry, &name, query, body).await
        }
        (Method::PATCH, Resource::Upload(name, id)) => {
            upload::append(registry, &name, &id, headers, body).await
        }
        (Method::PUT, Resource::Upload(name, id)) => {
            upload::finish_upload(registry, &name, &id, query, headers, body).await
        }
        (Method::GET, Resource::Upload(name, id)) => upload::status(registry, &name, &id),
        (Method::DELETE, Resource::Upload(name, id)) => upload::cancel(registry, &name, &id),
        (Method::GET, Resource::Tags(name)) => tags::list(registry, &name, query),
        (Method::GET, Resource::Referrers(_)) => Err(RegistryError::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "this registry has no referrers API",
        )),
        (method, _) => Err(RegistryError::unsupported(format!(
            "the registry does not support {method} here"
        ))),
    }
}
