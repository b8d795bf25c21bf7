//! The GitHub endpoints in use: environments, approvals, deployments and statuses, commits.
//!
//! Every repository exists. One that was not spoken of so far has the environments dev, test,
//! staging and production, and production has one required reviewer, `release-manager`.
//! In a run that was not set up, the first reviewer of each environment has approved it.
//! Any token is good; `user:NAME` acts as that user, every other as the workflow itself.

mod addresses;
mod answer;
mod deployments;
mod environments;
pub mod identifiers;
mod render;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::get;
use chrono::{DateTime, Utc};

pub use state::{BranchPolicy, EnvironmentSettings, Reviewer, RunSettings};

use render::Render;
use state::{Repository, WorkflowRun};

use crate::storage::{Changes, Keep, Kept, Storage, StorageError, Table};
use crate::world::World;

/// Repositories with environments, approvals, deployments.
pub struct GitHub {
    state: Kept<State>,
}

/// By `owner/name` in lower case: GitHub does not tell them apart by case.
struct State(Table<String, Repository>);

impl Keep for State {
    fn keep(&mut self, changes: &mut Changes) {
        self.0.keep(changes);
    }
}

impl GitHub {
    /// The repositories that were kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(storage: &Storage) -> Result<Self, StorageError> {
        let repositories = storage.table("github.repositories")?;
        Ok(Self {
            state: Kept::new(storage, State(repositories)),
        })
    }

    /// Sets an environment up, or changes it. `now` is the world's time.
    pub fn set_environment(
        &self,
        (owner, name): (&str, &str),
        environment: &str,
        settings: EnvironmentSettings,
        now: DateTime<Utc>,
    ) {
        self.with(owner, name, now, |repository| {
            repository.set_environment(environment, settings, now);
        });
    }

    /// Sets a run of a workflow up, or changes it; what was approved in it stays.
    pub fn set_run(
        &self,
        (owner, name): (&str, &str),
        id: u64,
        settings: RunSettings,
        now: DateTime<Utc>,
    ) {
        self.with(owner, name, now, |repository| {
            let earlier = repository.runs.remove(&id);
            let run = WorkflowRun {
                id,
                settings,
                created: earlier.as_ref().map_or(now, |run| run.created),
                approvals: earlier.map(|run| run.approvals).unwrap_or_default(),
            };
            repository.runs.insert(id, run);
        });
    }

    /// Says which commit a full ref (`refs/tags/v1.0.0`) points at.
    pub fn set_ref(
        &self,
        (owner, name): (&str, &str),
        git_ref: &str,
        sha: &str,
        now: DateTime<Utc>,
    ) {
        self.with(owner, name, now, |repository| {
            repository.refs.insert(git_ref.to_owned(), sha.to_owned());
        });
    }

    /// Forgets every repository.
    pub fn clear(&self) {
        self.state.lock().0.clear();
    }

    fn with<T>(
        &self,
        owner: &str,
        name: &str,
        now: DateTime<Utc>,
        action: impl FnOnce(&mut Repository) -> T,
    ) -> T {
        let mut all = self.state.lock();
        let make = || Repository::new(owner, name, now);
        action(all.0.get_or_insert_with(key(owner, name), make))
    }

    fn write<T>(
        &self,
        world: &World,
        owner: &str,
        name: &str,
        action: impl FnOnce(&mut Repository) -> T,
    ) -> T {
        self.with(owner, name, world.clock.now(), action)
    }

    fn read<T>(
        &self,
        world: &World,
        owner: &str,
        name: &str,
        action: impl FnOnce(Render<'_>) -> T,
    ) -> T {
        let base = world.base_url();
        if let Some(repository) = self.state.lock().0.get(&key(owner, name)) {
            return action(Render { base, repository });
        }
        self.with(owner, name, world.clock.now(), |repository| {
            action(Render { base, repository })
        })
    }
}

fn key(owner: &str, name: &str) -> String {
    format!("{owner}/{name}").to_lowercase()
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    let paths = Router::new()
        .route("/", get(environments::repository))
        .route("/environments", get(environments::list))
        .route("/environments/{environment}", get(environments::get))
        .route("/actions/runs/{id}", get(environments::run))
        .route("/actions/runs/{id}/approvals", get(environments::approvals))
        .route(
            "/actions/runs/{id}/pending_deployments",
            get(environments::pending).post(environments::review),
        )
        .route(
            "/deployments",
            get(deployments::list).post(deployments::create),
        )
        .route("/deployments/{id}", get(deployments::get))
        .route(
            "/deployments/{id}/statuses",
            get(deployments::statuses).post(deployments::create_status),
        )
        .route("/commits/{*git_ref}", get(deployments::commit))
        .route("/git/ref/{*git_ref}", get(deployments::reference));
    Router::new()
        .nest("/repos/{owner}/{name}", paths)
        .layer(map_response(answer::with_headers))
}
