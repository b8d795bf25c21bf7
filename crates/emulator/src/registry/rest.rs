//! Artifact Registry's own API: repositories, images, packages and tags, to be read; repositories to
//! be created and deleted as well.
//!
//! Source: <https://cloud.google.com/artifact-registry/docs/reference/rest>. Deviation: one repository
//! answers in every location, as the registry itself ignores the region.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store::{Image, Manifest, Repository, Store};
use crate::error::{ApiError, parse_json};
use crate::iam::{self, Api, Resource};
use crate::run::Page;
use crate::world::World;

/// Entries on one page at most.
const LARGEST_PAGE: usize = 1000;

type Answer = Result<Json<Value>, ApiError>;
type InRepository = Path<(String, String, String)>;
type InItem = Path<(String, String, String, String)>;
type Shared = State<Arc<World>>;

/// The routes of this part.
pub(super) fn routes() -> Router<Arc<World>> {
    const PARENT: &str = "/v1/projects/{project}/locations/{location}/repositories";
    let path = |rest: &str| format!("{PARENT}/{{repository}}{rest}");
    Router::new()
        .route(PARENT, get(list).post(create))
        .route(&path(""), get(read).delete(delete))
        .route(&path("/dockerImages"), get(list_images))
        .route(&path("/dockerImages/{image}"), get(read_image))
        .route(&path("/packages"), get(list_packages))
        .route(&path("/packages/{package}"), get(read_package))
        .route(&path("/packages/{package}/tags"), get(list_tags))
        .route(
            "/v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/tags/{tag}",
            get(read_tag),
        )
}

/// The place of a repository as its names spell it.
struct Place {
    project: String,
    location: String,
    repository: String,
}

impl Place {
    fn name(&self) -> String {
        let Self {
            project,
            location,
            repository,
        } = self;
        format!("projects/{project}/locations/{location}/repositories/{repository}")
    }

    /// `LOCATION-docker.pkg.dev/PROJECT/REPOSITORY`.
    fn uri(&self) -> String {
        let Self {
            project,
            location,
            repository,
        } = self;
        format!(
            "{location}-docker.pkg.dev/{}/{repository}",
            project.replace(':', "/")
        )
    }

    fn resource(&self) -> Resource {
        Resource::Repository {
            project: self.project.clone(),
            location: self.location.clone(),
            repository: self.repository.clone(),
        }
    }

    /// What the names of its images begin with.
    fn prefix(&self) -> String {
        format!("{}/{}/", self.project.replace(':', "/"), self.repository)
    }

    /// `NOT_FOUND` in Artifact Registry's words.
    fn not_found() -> ApiError {
        ApiError::new("NOT_FOUND", "Requested entity was not found.")
    }

    /// The repository, which must exist.
    fn found<'s>(&self, store: &'s Store) -> Result<&'s Repository, ApiError> {
        let key = (self.project.clone(), self.repository.clone());
        store.repositories.get(&key).ok_or_else(Self::not_found)
    }

    /// Its images by their names within it.
    fn images<'s>(&self, store: &'s Store) -> Vec<(String, &'s Image)> {
        let prefix = self.prefix();
        let images = store.images.iter();
        images
            .filter_map(|(name, image)| Some((name.strip_prefix(&prefix)?.to_owned(), image)))
            .collect()
    }

    fn image<'s>(&self, store: &'s Store, name: &str) -> Result<&'s Image, ApiError> {
        let name = format!("{}{name}", self.prefix());
        store.images.get(&name).ok_or_else(Self::not_found)
    }
}

/// Lets the caller through, or says what it lacks.
fn authorize(
    world: &World,
    headers: &HeaderMap,
    permission: &str,
    resource: &Resource,
) -> Result<(), ApiError> {
    let caller = world.tokens.caller(headers)?;
    let project = resource.project().unwrap_or_default();
    iam::check_api(world, Api::ArtifactRegistry, &project)?;
    iam::check(world, &caller, permission, resource)
}

fn place((project, location, repository): (String, String, String)) -> Place {
    Place {
        project,
        location,
        repository,
    }
}

async fn list(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer {
    let parent = Resource::Location {
        project: project.clone(),
        location: location.clone(),
    };
    authorize(
        &world,
        &headers,
        "artifactregistry.repositories.list",
        &parent,
    )?;
    let store = world.registry.lock();
    let repositories = store.repositories.iter();
    let found: Vec<Value> = repositories
        .filter(|((of, _), _)| *of == project)
        .map(|((_, name), repository)| {
            // `-` means every location; then each one tells its own.
            let location = match location.as_str() {
                "-" => repository.location.clone(),
                asked => asked.to_owned(),
            };
            let place = place((project.clone(), location, name.clone()));
            view(&place, repository, &store)
        })
        .collect();
    page.cut("repositories", found, LARGEST_PAGE)
}

async fn read(State(world): Shared, headers: HeaderMap, Path(path): InRepository) -> Answer {
    let place = place(path);
    authorize(
        &world,
        &headers,
        "artifactregistry.repositories.get",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    let repository = place.found(&store)?;
    Ok(Json(view(&place, repository, &store)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateQuery {
    repository_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct NewRepository {
    format: String,
    description: String,
    docker_config: DockerConfig,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    immutable_tags: bool,
}

async fn create(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location)): Path<(String, String)>,
    Query(CreateQuery { repository_id }): Query<CreateQuery>,
    body: Bytes,
) -> Answer {
    let parent = Resource::Location {
        project: project.clone(),
        location: location.clone(),
    };
    authorize(
        &world,
        &headers,
        "artifactregistry.repositories.create",
        &parent,
    )?;
    let NewRepository {
        format,
        description,
        docker_config,
    } = parse_json(&body)?;
    if format != "DOCKER" {
        return Err(ApiError::new(
            "UNIMPLEMENTED",
            format!("the local cloud has no repositories of format {format}"),
        ));
    }
    let key = (project.clone(), repository_id.clone());
    let mut store = world.registry.lock();
    if store.repositories.contains_key(&key) {
        return Err(ApiError::new(
            "ALREADY_EXISTS",
            "the repository already exists",
        ));
    }
    let now = world.clock.now();
    let repository = Repository {
        location: location.clone(),
        description,
        immutable_tags: docker_config.immutable_tags,
        created: now,
    };
    store.repositories.insert(key.clone(), repository);
    let place = place((project, location, repository_id));
    let repository = place.found(&store)?;
    let resource = view(&place, repository, &store);
    Ok(Json(done(
        &place,
        now.timestamp_micros(),
        "Repository",
        &resource,
    )))
}

async fn delete(State(world): Shared, headers: HeaderMap, Path(path): InRepository) -> Answer {
    let place = place(path);
    authorize(
        &world,
        &headers,
        "artifactregistry.repositories.delete",
        &place.resource(),
    )?;
    let mut store = world.registry.lock();
    place.found(&store)?;
    let key = (place.project.clone(), place.repository.clone());
    let prefix = place.prefix();
    store.repositories.remove(&key);
    store.images.retain(|name, _| !name.starts_with(&prefix));
    let now = world.clock.now().timestamp_micros();
    let mut operation = done(&place, now, "", &json!({}));
    operation["response"] = json!({"@type": "type.googleapis.com/google.protobuf.Empty"});
    Ok(Json(operation))
}

/// An operation that is done at once.
fn done(place: &Place, number: i64, kind: &str, resource: &Value) -> Value {
    let Place {
        project, location, ..
    } = place;
    let mut response = resource.clone();
    response["@type"] = json!(format!(
        "type.googleapis.com/google.devtools.artifactregistry.v1.{kind}"
    ));
    json!({
        "name": format!("projects/{project}/locations/{location}/operations/{number}"),
        "metadata": {"@type": "type.googleapis.com/google.devtools.artifactregistry.v1.OperationMetadata"},
        "done": true,
        "response": response,
    })
}

fn view(place: &Place, repository: &Repository, store: &Store) -> Value {
    let Repository {
        location: _,
        description,
        immutable_tags,
        created,
    } = repository;
    let images = place.images(store);
    let manifests = images
        .iter()
        .flat_map(|(_, image)| image.manifests.values());
    let updated = manifests
        .clone()
        .map(|manifest| manifest.uploaded)
        .max()
        .unwrap_or(*created);
    let bytes: u64 = manifests.map(Manifest::size).sum();
    let mut view = json!({
        "name": place.name(), "format": "DOCKER", "mode": "STANDARD_REPOSITORY",
        "createTime": time(*created), "updateTime": time(updated),
        "sizeBytes": bytes.to_string(), "registryUri": place.uri(),
    });
    if !description.is_empty() {
        view["description"] = json!(description);
    }
    if *immutable_tags {
        view["dockerConfig"] = json!({"immutableTags": true});
    }
    view
}

fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn list_images(
    State(world): Shared,
    headers: HeaderMap,
    Path(path): InRepository,
    Query(page): Query<Page>,
) -> Answer {
    let place = place(path);
    authorize(
        &world,
        &headers,
        "artifactregistry.dockerimages.list",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    place.found(&store)?;
    let images = place.images(&store);
    let found: Vec<Value> = images
        .iter()
        .flat_map(|(name, image)| {
            let digests = image.manifests.iter();
            digests.map(|(digest, manifest)| image_view(&place, name, image, digest, manifest))
        })
        .collect();
    page.cut("dockerImages", found, LARGEST_PAGE)
}

/// `NAME@sha256:…`.
async fn read_image(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, repository, wanted)): InItem,
) -> Answer {
    let place = place((project, location, repository));
    authorize(
        &world,
        &headers,
        "artifactregistry.dockerimages.get",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    place.found(&store)?;
    let (name, digest) = wanted.split_once('@').ok_or_else(Place::not_found)?;
    let image = place.image(&store, name)?;
    let manifest = image.manifests.get(digest).ok_or_else(Place::not_found)?;
    Ok(Json(image_view(&place, name, image, digest, manifest)))
}

fn image_view(
    place: &Place,
    name: &str,
    image: &Image,
    digest: &str,
    manifest: &Manifest,
) -> Value {
    let tags: Vec<&String> = image
        .tags
        .iter()
        .filter(|(_, at)| *at == digest)
        .map(|(tag, _)| tag)
        .collect();
    let uploaded = time(manifest.uploaded);
    let mut view = json!({
        "name": format!("{}/dockerImages/{}@{digest}", place.name(), escaped(name)),
        "uri": format!("{}/{name}@{digest}", place.uri()),
        "mediaType": manifest.media_type, "uploadTime": uploaded, "updateTime": uploaded,
        "imageSizeBytes": manifest.size().to_string(),
    });
    // As protocol buffers' JSON form has it, an empty list is left out.
    if !tags.is_empty() {
        view["tags"] = json!(tags);
    }
    view
}

/// A `/` in the name of an image is written `%2F` in resource names.
fn escaped(name: &str) -> String {
    name.replace('/', "%2F")
}

async fn list_packages(
    State(world): Shared,
    headers: HeaderMap,
    Path(path): InRepository,
    Query(page): Query<Page>,
) -> Answer {
    let place = place(path);
    authorize(
        &world,
        &headers,
        "artifactregistry.packages.list",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    place.found(&store)?;
    let images = place.images(&store);
    let found = images
        .iter()
        .map(|(name, image)| package_view(&place, name, image))
        .collect();
    page.cut("packages", found, LARGEST_PAGE)
}

async fn read_package(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, repository, package)): InItem,
) -> Answer {
    let place = place((project, location, repository));
    authorize(
        &world,
        &headers,
        "artifactregistry.packages.get",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    place.found(&store)?;
    let image = place.image(&store, &package)?;
    Ok(Json(package_view(&place, &package, image)))
}

fn package_view(place: &Place, name: &str, image: &Image) -> Value {
    let times = image.manifests.values().map(|manifest| manifest.uploaded);
    let mut view = json!({
        "name": format!("{}/packages/{}", place.name(), escaped(name)),
    });
    if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
        view["createTime"] = json!(time(first));
        view["updateTime"] = json!(time(last));
    }
    view
}

async fn list_tags(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, repository, package)): InItem,
    Query(page): Query<Page>,
) -> Answer {
    let place = place((project, location, repository));
    authorize(
        &world,
        &headers,
        "artifactregistry.tags.list",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    place.found(&store)?;
    let image = place.image(&store, &package)?;
    let tags = image.tags.iter();
    let found = tags
        .map(|(tag, digest)| tag_view(&place, &package, tag, digest))
        .collect();
    page.cut("tags", found, LARGEST_PAGE)
}

async fn read_tag(
    State(world): Shared,
    headers: HeaderMap,
    Path((project, location, repository, package, tag)): Path<(
        String,
        String,
        String,
        String,
        String,
    )>,
) -> Answer {
    let place = place((project, location, repository));
    authorize(
        &world,
        &headers,
        "artifactregistry.tags.get",
        &place.resource(),
    )?;
    let store = world.registry.lock();
    place.found(&store)?;
    let image = place.image(&store, &package)?;
    let digest = image.tags.get(&tag).ok_or_else(Place::not_found)?;
    Ok(Json(tag_view(&place, &package, &tag, digest)))
}

fn tag_view(place: &Place, package: &str, tag: &str, digest: &str) -> Value {
    let package = format!("{}/packages/{}", place.name(), escaped(package));
    json!({
        "name": format!("{package}/tags/{tag}"),
        "version": format!("{package}/versions/{digest}"),
    })
}
