//! The JSON of GitHub's resources.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::addresses;
use super::identifiers::{hex_digest, number};
use super::state::{
    Approval, Deployment, DeploymentStatus, Environment, Repository, Reviewer, WorkflowRun,
};

/// Renders what belongs to one repository.
pub(super) struct Render<'r> {
    /// `http://ADDRESS:PORT`.
    pub(super) base: String,
    pub(super) repository: &'r Repository,
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_{id}")
}

impl Render<'_> {
    /// The repository's address in the API.
    pub(super) fn api(&self) -> String {
        format!("{}/repos/{}", self.base, self.repository.full_name())
    }

    fn html(&self) -> String {
        format!("https://github.com/{}", self.repository.full_name())
    }

    /// A user in the short form.
    pub(super) fn user(&self, login: &str) -> Value {
        let api = format!("{}/users/{}", self.base, percent_encode(login));
        let id = number(login);
        let (kind, html) = match login.strip_suffix("[bot]") {
            Some(app) => ("Bot", format!("https://github.com/apps/{app}")),
            None => ("User", format!("https://github.com/{login}")),
        };
        json!({
            "login": login, "id": id, "node_id": node_id("U", id),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
            "gravatar_id": "", "url": api, "html_url": html,
            "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following{{/other_user}}"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{api}/subscriptions"),
            "organizations_url": format!("{api}/orgs"),
            "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events{{/privacy}}"),
            "received_events_url": format!("{api}/received_events"),
            "type": kind, "site_admin": false,
        })
    }

    /// The repository in the short form.
    pub(super) fn repository(&self) -> Value {
        let id = number(&self.repository.full_name());
        let mut repository = json!({
            "id": id, "node_id": node_id("R", id), "name": self.repository.name,
            "full_name": self.repository.full_name(), "private": true, "visibility": "private",
            "owner": self.user(&self.repository.owner), "fork": false, "description": null,
            "html_url": self.html(), "url": self.api(), "default_branch": "main",
        });
        if let Value::Object(fields) = &mut repository {
            fields.extend(addresses::of_a_repository(&self.api()));
        }
        repository
    }

    /// A team of the organisation that the repository belongs to.
    fn team(&self, name: &str) -> Value {
        let (id, owner) = (number(name), &self.repository.owner);
        let url = format!("{}/organizations/{}/team/{id}", self.base, number(owner));
        json!({
            "id": id, "node_id": node_id("T", id), "name": name, "slug": name,
            "description": null, "privacy": "closed", "permission": "pull", "parent": null,
            "type": "organization", "url": url,
            "html_url": format!("https://github.com/orgs/{owner}/teams/{name}"),
            "members_url": format!("{url}/members{{/member}}"),
            "repositories_url": format!("{url}/repos"),
        })
    }

    /// A commit, of which only the hash is known.
    pub(super) fn commit(&self, sha: &str) -> Value {
        let url = format!("{}/commits/{sha}", self.api());
        let git = format!("{}/git", self.api());
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": url,
            "html_url": format!("{}/commit/{sha}", self.html()),
            "comments_url": format!("{url}/comments"),
            "author": null, "committer": null,
            "commit": {
                "url": format!("{git}/commits/{sha}"), "message": "", "comment_count": 0,
                "author": null, "committer": null,
                "tree": {"sha": sha, "url": format!("{git}/trees/{sha}")},
            },
            "parents": [],
        })
    }

    /// An environment without its rules, as approvals name it.
    pub(super) fn environment_short(&self, environment: &Environment) -> Value {
        let path = percent_encode(&environment.name);
        let id = self.environment_id(&environment.name);
        json!({
            "id": id, "node_id": node_id("EN", id), "name": environment.name,
            "url": format!("{}/environments/{path}", self.api()),
            "html_url":
                format!("{}/deployments/activity_log?environments_filter={path}", self.html()),
            "created_at": time(environment.created), "updated_at": time(environment.updated),
        })
    }

    pub(super) fn environment_id(&self, name: &str) -> u64 {
        number(&format!(
            "{} environment {name}",
            self.repository.full_name()
        ))
    }

    /// An environment with its protection rules.
    pub(super) fn environment(&self, environment: &Environment) -> Value {
        let settings = &environment.settings;
        let id = self.environment_id(&environment.name);
        let mut rules = Vec::new();
        let mut rule = |kind: &str, mut fields: Value| {
            let id = id * 10 + rules.len() as u64;
            fields["id"] = id.into();
            fields["node_id"] = node_id("GA", id).into();
            fields["type"] = kind.into();
            rules.push(fields);
        };
        if settings.wait_timer > 0 {
            rule("wait_timer", json!({"wait_timer": settings.wait_timer}));
        }
        if !settings.reviewers.is_empty() {
            let fields = json!({
                "prevent_self_review": settings.prevent_self_review,
                "reviewers": self.reviewers(&settings.reviewers),
            });
            rule("required_reviewers", fields);
        }
        if settings.deployment_branch_policy.is_some() {
            rule("branch_policy", json!({}));
        }
        let mut value = self.environment_short(environment);
        value["protection_rules"] = rules.into();
        value["deployment_branch_policy"] = json!(settings.deployment_branch_policy);
        value
    }

    fn reviewers(&self, reviewers: &[Reviewer]) -> Vec<Value> {
        let render = |reviewer: &Reviewer| {
            let (kind, name) = (&reviewer.kind, &reviewer.name);
            let who = if kind == "Team" {
                self.team(name)
            } else {
                self.user(name)
            };
            json!({"type": kind, "reviewer": who})
        };
        reviewers.iter().map(render).collect()
    }

    /// An environment that holds jobs of a run back.
    pub(super) fn pending(&self, run: &WorkflowRun, name: &str, asker: &str) -> Option<Value> {
        let environment = self.repository.environment(name)?;
        let settings = &environment.settings;
        let id = self.environment_id(&environment.name);
        let path = percent_encode(&environment.name);
        let has_timer = settings.wait_timer > 0;
        Some(json!({
            "environment": {
                "id": id, "node_id": node_id("EN", id), "name": environment.name,
                "url": format!("{}/environments/{path}", self.api()),
                "html_url": format!(
                    "{}/deployments/activity_log?environments_filter={path}", self.html()
                ),
            },
            "wait_timer": settings.wait_timer,
            "wait_timer_started_at": has_timer.then(|| time(run.created)),
            "current_user_can_approve": self.can_approve(run, environment, asker),
            "reviewers": self.reviewers(&settings.reviewers),
        }))
    }

    /// True when the user is a reviewer, and not the one who started the run where that counts.
    /// Who is in a team is not modelled: a team's member is who has the team's name.
    pub(super) fn can_approve(
        &self,
        run: &WorkflowRun,
        environment: &Environment,
        user: &str,
    ) -> bool {
        let settings = &environment.settings;
        let is_reviewer = settings
            .reviewers
            .iter()
            .any(|it| it.name.eq_ignore_ascii_case(user));
        let is_own = user.eq_ignore_ascii_case(self.actor(run));
        is_reviewer && !(settings.prevent_self_review && is_own)
    }

    fn actor<'v>(&'v self, run: &'v WorkflowRun) -> &'v str {
        run.settings
            .actor
            .as_deref()
            .unwrap_or(&self.repository.owner)
    }

    /// What somebody said about waiting jobs. GitHub tells neither when nor for which attempt.
    pub(super) fn approval(&self, approval: &Approval) -> Value {
        let names = approval.environments.iter();
        let environments: Vec<Value> = names
            .filter_map(|name| self.repository.environment(name))
            .map(|environment| self.environment_short(environment))
            .collect();
        json!({
            "environments": environments, "state": approval.state,
            "user": self.user(&approval.user), "comment": approval.comment,
        })
    }

    /// The commit that a run is for.
    pub(super) fn head_sha(&self, run: &WorkflowRun) -> String {
        let branch = run.settings.head_branch.as_deref().unwrap_or("main");
        let made = || hex_digest(&format!("{} {branch}", self.repository.full_name()), 40);
        run.settings.head_sha.clone().unwrap_or_else(made)
    }

    /// A run of a workflow.
    pub(super) fn run(&self, run: &WorkflowRun) -> Value {
        let settings = &run.settings;
        let url = format!("{}/actions/runs/{}", self.api(), run.id);
        let sha = self.head_sha(run);
        let actor = self.user(self.actor(run));
        let is_waiting = !settings.waiting_for.is_empty();
        let status = settings.status.as_deref();
        let person = json!({"name": self.actor(run), "email": "user@example.com"});
        let workflow = number(&format!("{} workflow", self.repository.full_name()));
        json!({
            "id": run.id, "node_id": node_id("WFR", run.id), "name": "deploy",
            "display_title": "deploy", "path": ".github/workflows/deploy.yml",
            "head_branch": settings.head_branch.as_deref().unwrap_or("main"), "head_sha": sha,
            "run_number": 1, "run_attempt": settings.run_attempt.max(1),
            "event": settings.event.as_deref().unwrap_or("push"),
            "status": status.unwrap_or(if is_waiting { "waiting" } else { "in_progress" }),
            "conclusion": settings.conclusion, "workflow_id": workflow,
            "check_suite_id": run.id, "pull_requests": [],
            "created_at": time(run.created), "updated_at": time(run.created),
            "run_started_at": time(run.created),
            "url": url, "html_url": format!("{}/actions/runs/{}", self.html(), run.id),
            "jobs_url": format!("{url}/jobs"), "logs_url": format!("{url}/logs"),
            "check_suite_url": format!("{}/check-suites/{}", self.api(), run.id),
            "artifacts_url": format!("{url}/artifacts"), "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"),
            "workflow_url": format!("{}/actions/workflows/{workflow}", self.api()),
            "actor": actor, "triggering_actor": actor,
            "head_commit": {
                "id": sha, "tree_id": sha, "message": "", "timestamp": time(run.created),
                "author": person, "committer": person,
            },
            "repository": self.repository(), "head_repository": self.repository(),
        })
    }

    /// A deployment.
    pub(super) fn deployment(&self, it: &Deployment) -> Value {
        let url = format!("{}/deployments/{}", self.api(), it.id);
        let updated = it
            .statuses
            .last()
            .map_or(it.created, |status| status.created);
        json!({
            "url": url, "id": it.id, "node_id": node_id("DE", it.id), "sha": it.sha,
            "ref": it.git_ref, "task": it.task, "payload": it.payload,
            "original_environment": it.environment, "environment": it.environment,
            "description": it.description, "creator": self.user(&it.creator),
            "created_at": time(it.created), "updated_at": time(updated),
            "statuses_url": format!("{url}/statuses"), "repository_url": self.api(),
            "transient_environment": it.is_transient,
            "production_environment": it.is_production,
        })
    }

    /// A status of a deployment.
    pub(super) fn status(&self, deployment: u64, it: &DeploymentStatus) -> Value {
        let deployment = format!("{}/deployments/{deployment}", self.api());
        json!({
            "url": format!("{deployment}/statuses/{}", it.id), "id": it.id,
            "node_id": node_id("DES", it.id), "state": it.state,
            "creator": self.user(&it.creator), "description": it.description,
            "environment": it.environment, "environment_url": it.environment_url,
            "target_url": it.log_url, "log_url": it.log_url,
            "created_at": time(it.created), "updated_at": time(it.created),
            "deployment_url": deployment, "repository_url": self.api(),
        })
    }
}

/// A name as one segment of a path (RFC 3986, unreserved characters stay).
fn percent_encode(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}
