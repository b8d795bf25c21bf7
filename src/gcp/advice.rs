//! Text of Google → the way out. The text is looked at first, the code second: the codes of one and
//! the same failure have changed over the years, the texts hardly.
//!
//! Source: <https://cloud.google.com/run/docs/troubleshooting>.

use super::error::Refusal;

/// What to do about a refused call; one line a possibility.
pub fn for_refusal(refusal: &Refusal) -> Vec<String> {
    if refusal.reason.as_deref() == Some("SERVICE_DISABLED")
        || refusal.message.contains("has not been used in project")
    {
        let service = refusal.service.as_deref().unwrap_or("run.googleapis.com");
        return vec![
            format!("run `gcloud services enable {service}`"),
            "if it was enabled just now, wait a few minutes and run again".to_owned(),
        ];
    }
    let known = for_text(&refusal.message);
    if !known.is_empty() {
        return known;
    }
    let help: &[&str] = match (refusal.http, refusal.status.as_str()) {
        (401, _) | (_, "UNAUTHENTICATED") => &[
            "the token was refused: check that the credentials belong to this cloud and have not been revoked",
        ],
        (403, _) | (_, "PERMISSION_DENIED") => &[
            "grant the deploying identity roles/run.admin (or roles/run.developer for services that stay private) on the project",
            "check the name of the project: a project that is not there is refused in the same way",
        ],
        (404, _) => &["check project, region and names"],
        (409, _) => &["somebody else changed it at the same time: run again"],
        (429, _) => &["a quota is used up: run again later, or ask for more quota"],
        (501, _) => &["check the region: an unknown region is answered like this"],
        (500.., _) => &["this is a failure of the API: run again in a few minutes"],
        _ => &[],
    };
    help.iter().map(|&line| line.to_owned()).collect()
}

/// One known text: all of `needles` are in it.
struct Known {
    needles: &'static [&'static str],
    help: &'static [&'static str],
}

/// The specific ones come first.
const KNOWN: &[Known] = &[
    Known {
        needles: &["ailed to start and", "listen on the port"],
        help: &[
            "bind the server to 0.0.0.0:$PORT, or set input `port` to the port that it listens on",
            "a container that exits at once, or was built for another CPU than linux/amd64, is reported in the same words: read its log lines",
            "a server that loads for long needs a `startup_probe` with a larger failure threshold",
        ],
    },
    Known {
        needles: &["startup probe"],
        help: &[
            "check path, port, timeout and failure threshold of `startup_probe` against what the container answers",
        ],
    },
    Known {
        needles: &["User must have permission to read the image"],
        help: &[
            "grant roles/artifactregistry.reader on the image's repository to the deploying identity",
        ],
    },
    Known {
        needles: &["must have permission to read the image"],
        help: &[
            "grant roles/artifactregistry.reader on the image's repository to the Cloud Run service agent that is named in the cause",
            "if the Cloud Run API was enabled just now, wait a few minutes and run again",
        ],
    },
    Known {
        needles: &["Image '", "not found"],
        help: &["push the image to the repository that is named in the cause, and check its name"],
    },
    Known {
        needles: &["Permission denied on secret"],
        help: &[
            "grant roles/secretmanager.secretAccessor on the secret to the run-time service account that is named in the cause",
        ],
    },
    Known {
        needles: &["secret", "not found"],
        help: &["create the secret and a version of it, or mend its name in input `secrets`"],
    },
    Known {
        needles: &["actAs' denied"],
        help: &[
            "grant roles/iam.serviceAccountUser on the run-time service account (input `runtime_service_account`) to the deploying identity",
        ],
    },
    Known {
        needles: &["getAccessToken"],
        help: &[
            "with impersonation: grant roles/iam.workloadIdentityUser (or roles/iam.serviceAccountTokenCreator) on the service account to the calling principal",
            "if the cause names the Cloud Run service agent: restore its role roles/run.serviceAgent",
        ],
    },
    Known {
        needles: &["getOpenIdToken"],
        help: &[
            "grant roles/iam.workloadIdentityUser or roles/iam.serviceAccountOpenIdTokenCreator on the service account to the calling principal",
        ],
    },
    Known {
        needles: &["run.services.setIamPolicy"],
        help: &[
            "opening or closing a service needs roles/run.admin: grant it to the deploying identity on this service or project",
        ],
    },
    Known {
        needles: &["run.", "denied on resource"],
        help: &[
            "grant roles/run.admin (or roles/run.developer for services that stay private) to the deploying identity",
            "check project, region and service name: what is not there is refused in the same way",
        ],
    },
    Known {
        needles: &["logging.", "denied"],
        help: &["grant roles/logging.viewer to the deploying identity to see container logs here"],
    },
    Known {
        needles: &["Permission denied on 'locations/"],
        help: &["check the region's name, and that the organisation's policy allows it"],
    },
    Known {
        needles: &["do not belong to a permitted customer"],
        help: &[
            "the organisation's policy forbids allUsers: make the service public with the invoker check off, which this tool does, or ask for an exception",
        ],
    },
    Known {
        needles: &["reserved env names"],
        help: &["remove these names from `env_vars`: Cloud Run sets them itself"],
    },
    Known {
        needles: &["Combined traffic tag and service name"],
        help: &["choose a shorter service name"],
    },
    Known {
        needles: &["Max instances must be set to"],
        help: &["lower `max_instances`, or ask for more quota in this region"],
    },
    Known {
        needles: &["GPU", "uota"],
        help: &["ask for GPU quota in this region, or delete revisions that hold it"],
    },
    Known {
        needles: &["Invalid value specified for memory"],
        help: &[
            "choose `memory` and `cpu` that go together: more than 4Gi needs 2 CPUs, more than 8Gi needs 4",
        ],
    },
    Known {
        needles: &["Memory limit of"],
        help: &["raise `memory`"],
    },
    Known {
        needles: &["does not exist or is deleted"],
        help: &[
            "a revision in the traffic was deleted: send the traffic to revisions that exist, then run again",
        ],
    },
    Known {
        needles: &["with different configuration already exists"],
        help: &[
            "delete the revision that is named in the cause, or run again with another commit or configuration",
        ],
    },
    Known {
        needles: &["readiness deadline exceeded"],
        help: &["Cloud Run itself was too slow: run again"],
    },
    Known {
        needles: &["not supported in the declared launch stage"],
        help: &["the setting needs launch stage BETA on the service"],
    },
    Known {
        needles: &["of kind '", "does not exist"],
        help: &["check project, region and names"],
    },
];

/// What to do about a text of Google's; empty when it is not known.
pub fn for_text(text: &str) -> Vec<String> {
    KNOWN
        .iter()
        .find(|known| known.needles.iter().all(|needle| text.contains(needle)))
        .map(|known| known.help.iter().map(|&line| line.to_owned()).collect())
        .unwrap_or_default()
}
