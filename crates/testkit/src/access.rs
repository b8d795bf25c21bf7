//! Who may do what in a scenario: the documented roles, and taking one permission away.

use emulator::iam::{OrganizationPolicy, Resource, service_agent};
use emulator::run::project_number;

use crate::World;

/// The project of every scenario.
pub const PROJECT: &str = "demo-project";
/// The repository of the API's image.
pub const REPOSITORY: &str = "projects/demo-project/locations/us-central1/repositories/ml";
/// Everything of the scenario's project.
const WHOLE_PROJECT: &str = "projects/demo-project";
/// The pool of the jobs' identities.
const POOL: &str = "iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github";

/// Who deploys an environment, as policies name it.
pub fn deployer(environment: &str) -> String {
    format!("serviceAccount:deploy-{environment}@{PROJECT}.iam.gserviceaccount.com")
}

/// The jobs of a GitHub environment, as policies name them.
pub fn jobs(environment: &str) -> String {
    format!("principalSet://{POOL}/attribute.environment/{environment}")
}

/// The service account that deploys an environment, as a resource.
pub fn deployer_account(environment: &str) -> String {
    let member = deployer(environment);
    let email = member.trim_start_matches("serviceAccount:");
    format!("projects/{PROJECT}/serviceAccounts/{email}")
}

/// E-mail of the account that services run as unless they say otherwise.
pub fn runtime_account() -> String {
    let number = project_number(PROJECT);
    format!("{number}-compute@developer.gserviceaccount.com")
}

/// Cloud Run's service agent of the scenario's project, as policies name it.
pub fn agent() -> String {
    format!("serviceAccount:{}", service_agent(PROJECT))
}

impl World {
    /// Makes the project enforced, and gives the scenario's own tools what they need: whoever looks
    /// on is an owner, whoever builds may push.
    pub fn enforce(&self) {
        for tool in ["owner", "tester", "other-tool"] {
            let member = format!("serviceAccount:{tool}@{PROJECT}.iam.gserviceaccount.com");
            self.grant(WHOLE_PROJECT, "roles/owner", &member);
        }
        let builder = format!("serviceAccount:builder@{PROJECT}.iam.gserviceaccount.com");
        self.grant(REPOSITORY, "roles/artifactregistry.writer", &builder);
    }

    /// Gives the deployer of an environment what `docs/permissions.md` lists, and nothing more.
    pub fn set_up_deployer(&self, environment: &str) {
        self.enforce();
        let member = deployer(environment);
        for role in [
            "roles/run.admin",
            "roles/run.invoker",
            "roles/logging.viewer",
        ] {
            self.grant(WHOLE_PROJECT, role, &member);
        }
        self.grant(REPOSITORY, "roles/artifactregistry.writer", &member);
        let runtime = format!("projects/{PROJECT}/serviceAccounts/{}", runtime_account());
        self.grant(&runtime, "roles/iam.serviceAccountUser", &member);
        self.grant(
            &deployer_account(environment),
            "roles/iam.workloadIdentityUser",
            &jobs(environment),
        );
    }

    /// Gives a role on a resource, such as `projects/P` or `projects/P/secrets/S`.
    ///
    /// # Panics
    /// When the name is none of a resource that has a policy.
    pub fn grant(&self, resource: &str, role: &str, member: &str) {
        self.iam().grant(&resource_of(resource), role, member);
    }

    /// Takes a role on a resource away.
    ///
    /// # Panics
    /// When the name is none of a resource that has a policy.
    pub fn revoke(&self, resource: &str, role: &str, member: &str) {
        self.iam().revoke(&resource_of(resource), role, member);
    }

    /// Takes one permission on a resource away from a member: each of its roles there that has it is
    /// replaced by a custom role that has all the others.
    ///
    /// # Panics
    /// When the member does not have the permission there.
    pub fn take_permission(&self, resource: &str, member: &str, permission: &str) {
        let resource = resource_of(resource);
        let policy = self.iam().policy(&resource).unwrap_or_default();
        let mut taken = false;
        for binding in &policy.bindings {
            let all = self.iam().permissions_of(&binding.role).unwrap_or_default();
            if !binding.members.iter().any(|it| it == member) || !all.contains(permission) {
                continue;
            }
            let rest = all.into_iter().filter(|it| it != permission);
            let name = binding.role.replace(['/', '.'], "_");
            let custom = format!("projects/{PROJECT}/roles/{name}_without_{permission}");
            self.iam().set_custom_role(&custom, rest);
            self.iam().revoke(&resource, &binding.role, member);
            self.iam().grant(&resource, &custom, member);
            taken = true;
        }
        assert!(taken, "{member} has no {permission} to take away");
    }

    /// Switches an API of the project off.
    pub fn disable_api(&self, api: &str) {
        self.iam().set_api(PROJECT, api, false);
    }

    /// Sets what the organization forbids in the project.
    pub fn organization(&self, policy: OrganizationPolicy) {
        self.iam().set_organization_policy(PROJECT, policy);
    }

    fn iam(&self) -> &emulator::iam::Iam {
        &self.emulator.world().iam
    }
}

#[allow(
    clippy::expect_used,
    reason = "a wrong name is a mistake of the test itself"
)]
fn resource_of(name: &str) -> Resource {
    Resource::parse(name).expect("the name of a resource that has a policy")
}
