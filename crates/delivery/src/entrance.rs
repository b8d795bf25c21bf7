//! Whether a runner outside the cloud's network can reach a service at all.
//!
//! Source: <https://cloud.google.com/run/docs/securing/ingress>,
//! <https://cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run>.

use crate::target::Target;

/// Where requests to a service may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ingress {
    /// Everywhere.
    #[default]
    All,
    /// The project's networks only.
    Internal,
    /// The project's networks, and an external load balancer in front of the service.
    InternalAndLoadBalancer,
    /// Nowhere: only the platform's own triggers.
    None,
    /// A value that this program does not know.
    Other(String),
}

/// What stands between the service's addresses and a caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entrance {
    /// Where requests may come from.
    pub ingress: Ingress,
    /// The service's own address, and those of its tags, are switched off.
    pub url_disabled: bool,
    /// Identity-Aware Proxy asks every caller for a login first.
    pub iap: bool,
    /// The service answered this runner although its ingress is limited: the runner is inside.
    pub answers: bool,
}

/// One thing that keeps the runner out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barrier {
    /// Ingress that does not admit it.
    Ingress(Ingress),
    /// There is no address to call.
    UrlDisabled,
    /// A login that no deployment tool can make.
    Iap,
}

/// What is said of the runner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: the service's settings decide.
    #[default]
    Check,
    /// It can reach the service, whatever its settings look like.
    Assume,
}

impl Entrance {
    /// Everything that keeps a runner out, in the order in which a request meets it.
    pub fn barriers(&self) -> Vec<Barrier> {
        let Self {
            ingress,
            url_disabled,
            iap,
            answers,
        } = self;
        let admits = matches!(ingress, Ingress::All) || *answers;
        [
            url_disabled.then_some(Barrier::UrlDisabled),
            (!admits).then(|| Barrier::Ingress(ingress.clone())),
            iap.then_some(Barrier::Iap),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Barrier {
    /// What is set, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Ingress(ingress) => {
                let admitted = match ingress {
                    Ingress::All => "requests from everywhere",
                    Ingress::Internal => "requests from the project's networks only",
                    Ingress::InternalAndLoadBalancer => {
                        "requests from the project's networks and through its load balancer only"
                    }
                    Ingress::None => "no requests at all",
                    Ingress::Other(text) => return format!("its ingress is `{text}`"),
                };
                format!("its ingress admits {admitted}")
            }
            Self::UrlDisabled => {
                "its default URL is disabled, and with it the address of every tag".to_owned()
            }
            Self::Iap => "Identity-Aware Proxy demands a login before every request".to_owned(),
        }
    }

    /// Ways out; what the service is goes into commands.
    pub fn ways_out(&self, target: &Target) -> Vec<String> {
        let Target {
            environment: _,
            project,
            region,
            service,
        } = target;
        let update =
            format!("gcloud run services update {service} --region={region} --project={project}");
        match self {
            Self::Ingress(Ingress::None) => {
                vec![format!("admit callers: `{update} --ingress=internal`, or `all`")]
            }
            Self::Ingress(_) => vec![
                "run the job on a self-hosted runner in the project's VPC: `runs-on: [self-hosted, …]`; what reaches the service is let through".to_owned(),
                "if the runner is inside and this check does not see it, say `reachable: assume`".to_owned(),
                format!("or admit callers from outside: `{update} --ingress=all`; `access: private` still keeps strangers out"),
            ],
            Self::UrlDisabled => vec![format!(
                "give the service its address back: `{update} --default-url`; keep strangers out with `access: private`, or with internal ingress and a runner in the VPC"
            )],
            Self::Iap => vec![
                format!("switch it off on the service: `{update} --no-iap`; keep it at a load balancer in front, and strangers out with `access: private`"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{EnvironmentName, ProjectId, Region, ServiceName};
    use crate::target::{Approval, Environment, Tier};

    fn target() -> Target {
        Target {
            environment: Environment {
                name: EnvironmentName::parse("dev").unwrap(),
                github_environment: "dev".to_owned(),
                tier: Tier::Preproduction,
                approval: Approval::None,
            },
            project: ProjectId::parse("demo-project").unwrap(),
            region: Region::parse("us-central1").unwrap(),
            service: ServiceName::parse("api").unwrap(),
        }
    }

    #[test]
    fn the_table_of_barriers() {
        let entrance = |ingress: Ingress, url_disabled, iap, answers| Entrance {
            ingress,
            url_disabled,
            iap,
            answers,
        };
        let rows = [
            (entrance(Ingress::All, false, false, false), vec![]),
            (
                entrance(Ingress::Internal, false, false, false),
                vec![Barrier::Ingress(Ingress::Internal)],
            ),
            // A runner that got an answer is inside.
            (entrance(Ingress::Internal, false, false, true), vec![]),
            (
                entrance(Ingress::InternalAndLoadBalancer, false, false, false),
                vec![Barrier::Ingress(Ingress::InternalAndLoadBalancer)],
            ),
            (
                entrance(
                    Ingress::Other("INGRESS_NEW".to_owned()),
                    false,
                    false,
                    false,
                ),
                vec![Barrier::Ingress(Ingress::Other("INGRESS_NEW".to_owned()))],
            ),
            (
                entrance(Ingress::All, true, false, false),
                vec![Barrier::UrlDisabled],
            ),
            (
                entrance(Ingress::All, false, true, false),
                vec![Barrier::Iap],
            ),
            // Being inside opens neither of the others.
            (
                entrance(Ingress::Internal, true, true, true),
                vec![Barrier::UrlDisabled, Barrier::Iap],
            ),
        ];
        for (seen, expected) in rows {
            assert_eq!(seen.barriers(), expected, "{seen:?}");
            for barrier in seen.barriers() {
                assert!(!barrier.describe().is_empty());
                let ways = barrier.ways_out(&target());
                let command = "gcloud run services update api --region=us-central1 --project=demo";
                assert!(ways.iter().any(|way| way.contains(command)), "{ways:?}");
            }
        }
    }
}
