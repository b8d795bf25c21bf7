//! An OCI registry that answers for every `*-docker.pkg.dev` path.
//!
//! Names have Artifact Registry's form `PROJECT/REPOSITORY/IMAGE`; the region is ignored.
//! Deviations: repositories come into being with the first push (unless the world says otherwise); pulls need no credential;
//! blobs are served here and not from a storage host. The list of referrers can be switched off, so
//! that clients use the tag `sha256-<hex>` of the distribution specification's fallback.

mod access;
mod blob;
mod error;
mod manifest;
mod name;
mod path;
mod referrers;
mod rest;
mod store;
mod tags;
mod upload;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{self, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use access::Action;
use error::RegistryError;
use path::Resource;
use store::{Repository, Setting, Store};

use crate::error::ApiError;
use crate::iam;
use crate::storage::{self, Kept, KeptGuard, Storage, StorageError};
use crate::world::{Config, World};

/// An image that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// `sha256:…`.
    pub digest: String,
    /// `127.0.0.1:PORT/P/R/I@sha256:…`: what an engine on this machine can pull.
    pub pull: String,
}

/// Repositories, manifests, blobs.
pub struct Registry {
    address: SocketAddr,
    /// Holds blobs and manifests, named by their digest.
    blobs: PathBuf,
    /// On the same file system.
    uploads: PathBuf,
    /// Removed with the registry, where nothing is to be kept.
    _temporary: Option<TempDir>,
    is_durable: bool,
    uploads_begun: AtomicU64,
    store: Kept<Store>,
}

impl Registry {
    /// The repositories that were kept.
    ///
    /// # Errors
    /// When they cannot be read, or the directory for blobs cannot be made.
    pub(crate) fn new(config: &Config, storage: &Storage) -> Result<Self, StorageError> {
        let (blobs, uploads, temporary) = match storage.root() {
            Some(root) => (root.join(storage::BLOBS), root.join(storage::UPLOADS), None),
            None => {
                let directory = TempDir::with_prefix("ml-deploy-registry-");
                let directory = directory.map_err(StorageError::io(&std::env::temp_dir()))?;
                let path = directory.path().to_path_buf();
                (path.clone(), path, Some(directory))
            }
        };
        Ok(Self {
            address: config.listen,
            store: Kept::new(storage, Store::load(storage, &blobs)?),
            blobs,
            uploads,
            _temporary: temporary,
            is_durable: storage.is_durable(),
            uploads_begun: AtomicU64::new(0),
        })
    }

    /// The same image, pulled from where the registry is now.
    pub(crate) fn relocated(&self, image: &Resolved) -> Resolved {
        let path = image.pull.split_once('/').map_or("", |(_, path)| path);
        Resolved {
            digest: image.digest.clone(),
            pull: format!("127.0.0.1:{}/{path}", self.address.port()),
        }
    }

    /// Finds an image, named `REGION-docker.pkg.dev/P/R/I[:tag|@digest]` or with this registry's
    /// own address in the host's place. The region does not matter.
    pub fn resolve(&self, image: &str) -> Option<Resolved> {
        let (name, reference) = name::parse_image(image)?;
        let digest = self.lock().images.get(&name)?.digest(&reference)?;
        let pull = format!("127.0.0.1:{}/{name}@{digest}", self.address.port());
        Some(Resolved { digest, pull })
    }

    /// Creates a repository, or changes the one that is there.
    pub fn put_repository(
        &self,
        project: &str,
        repository: &str,
        location: &str,
        immutable_tags: bool,
        now: DateTime<Utc>,
    ) {
        let key = (project.to_owned(), repository.to_owned());
        let mut store = self.lock();
        let found = store.repositories.get_or_insert_with(key, || Repository {
            location: location.to_owned(),
            description: String::new(),
            immutable_tags,
            created: now,
        });
        found.immutable_tags = immutable_tags;
    }

    /// Says whether a push needs a repository that was created before, as in the true registry. It
    /// does not until this is called.
    pub fn set_must_be_created(&self, must_be_created: bool) {
        let mut store = self.lock();
        if must_be_created {
            store.settings.insert(Setting::MustBeCreated, true);
        } else {
            store.settings.remove(&Setting::MustBeCreated);
        }
    }

    /// Says whether the registry lists referrers. It does until this is called.
    pub fn set_lists_referrers(&self, lists_referrers: bool) {
        let mut store = self.lock();
        if lists_referrers {
            store.settings.remove(&Setting::NoReferrers);
        } else {
            store.settings.insert(Setting::NoReferrers, true);
        }
    }

    /// Forgets every repository. Files of blobs stay until the end: an engine may be reading them.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn uploads(&self) -> &Path {
        &self.uploads
    }

    fn blob_file(&self, digest: &str) -> PathBuf {
        self.blobs.join(store::file_name(digest))
    }

    fn next_upload_id(&self) -> String {
        let number = self.uploads_begun.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{} {number}", self.blobs.display());
        let digest = store::digest_of(seed.as_bytes());
        digest.chars().skip("sha256:".len()).take(32).collect()
    }

    /// Makes a file of the folder of blobs durable, name and content, where that is asked for.
    async fn make_durable(&self, digest: &str) -> std::io::Result<()> {
        if !self.is_durable {
            return Ok(());
        }
        let (file, folder) = (self.blob_file(digest), self.blobs.clone());
        let synced = tokio::task::spawn_blocking(move || {
            std::fs::File::open(file)?.sync_all()?;
            storage::sync_folder(&folder)
        });
        synced.await.map_err(std::io::Error::other)?
    }

    /// Keeps the bytes of a manifest as a file, where that is asked for.
    async fn keep_manifest(&self, digest: &str, bytes: &[u8]) -> std::io::Result<()> {
        if !self.is_durable {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.uploads)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(self.blob_file(digest))?;
        self.make_durable(digest).await
    }

    fn lock(&self) -> KeptGuard<'_, Store> {
        self.store.lock()
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
        .merge(rest::routes())
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
    let now = world.clock.now();
    if action == Action::Push && method != Method::DELETE {
        let location = access::location(headers);
        let name = resource.name();
        if !registry.lock().ensure_repository(name, &location, now) {
            return Err(RegistryError::name_unknown(name));
        }
    }
    match (method, resource) {
        (method @ (Method::GET | Method::HEAD), Resource::Manifest(name, reference)) => {
            manifest::read(registry, &method, &name, &reference)
        }
        (Method::PUT, Resource::Manifest(name, reference)) => {
            manifest::write(registry, &name, &reference, headers, body, now).await
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
        (Method::GET, Resource::Referrers(name, digest)) => {
            referrers::list(registry, &name, &digest, query)
        }
        (method, _) => Err(RegistryError::unsupported(format!(
            "the registry does not support {method} here"
        ))),
    }
}
