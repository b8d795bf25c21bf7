//! Known failures: who may do what.

use super::{Find, Known, Lasts};

/// The way out of a refusal whose text is not known.
pub(super) const BY_CODE: &[&str] = &[
    "grant the deploying identity roles/run.admin (or roles/run.developer for services that stay private) on the project",
    "check the name of the project: a project that is not there is refused in the same way",
];

/// An API that is off; recognised by its `ErrorInfo.reason` as well.
pub(super) const API_DISABLED: Known = Known {
    id: "api-disabled",
    title: "An API is off in the project",
    says: "… has not been used in project … before or it is disabled.",
    needles: &["has not been used in project"],
    finds: &[],
    cause: "the project has not enabled the API",
    help: &[
        "run `gcloud services enable {api} --project={project}`",
        "if it was enabled just now, wait a few minutes and run again",
    ],
    lasts: Lasts::UntilMended,
};

pub(super) const KNOWN: &[Known] = &[
    API_DISABLED,
    Known {
        id: "image-denied-deployer",
        title: "The deploying identity may not read the image",
        says: "User must have permission to read the image, ….",
        needles: &["User must have permission to read the image"],
        finds: &[],
        cause: "whoever deploys must be able to read the image, also in its own project",
        help: &[
            "grant roles/artifactregistry.reader on the image's repository to the deploying identity",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "image-denied-agent",
        title: "Cloud Run may not read the image",
        says: "Google Cloud Run Service Agent … must have permission to read the image, ….",
        needles: &["must have permission to read the image"],
        finds: &[],
        cause: "Cloud Run pulls the image with its own service agent, which lacks the permission",
        help: &[
            "grant roles/artifactregistry.reader on the image's repository to the Cloud Run service agent that is named in the cause",
            "if the Cloud Run API was enabled just now, wait a few minutes and run again",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "secret-denied",
        title: "The run-time service account may not read a secret",
        says: "…secret_key_ref.name: Permission denied on secret: projects/…/secrets/…/versions/… for Revision service account ….",
        needles: &["Permission denied on secret"],
        finds: &[],
        cause: "secrets are read by the run-time service account, not by whoever deploys",
        help: &[
            "grant roles/secretmanager.secretAccessor on the secret to the run-time service account that is named in the cause",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "act-as-denied",
        title: "The deploying identity may not use the run-time service account",
        says: "Permission 'iam.serviceaccounts.actAs' denied on service account … (or it may not exist).",
        needles: &["actAs' denied"],
        finds: &[],
        cause: "whoever deploys a revision must be allowed to act as the account that it runs as",
        help: &[
            "grant roles/iam.serviceAccountUser on the run-time service account (input `runtime_service_account`) to the deploying identity",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "access-token-denied",
        title: "No access token for a service account",
        says: "… iam.serviceAccounts.getAccessToken …",
        needles: &["getAccessToken"],
        finds: &[],
        cause: "the caller may not make tokens for the service account",
        help: &[
            "with impersonation: grant roles/iam.workloadIdentityUser (or roles/iam.serviceAccountTokenCreator) on the service account to the calling principal",
            "if the cause names the Cloud Run service agent: restore its role roles/run.serviceAgent",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "id-token-denied",
        title: "No ID token for a service account",
        says: "… iam.serviceAccounts.getOpenIdToken …",
        needles: &["getOpenIdToken"],
        finds: &[],
        cause: "the caller may not make ID tokens for the service account",
        help: &[
            "grant roles/iam.workloadIdentityUser or roles/iam.serviceAccountOpenIdTokenCreator on the service account to the calling principal",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "set-iam-policy-denied",
        title: "The deploying identity may not open or close a service",
        says: "Permission 'run.services.setIamPolicy' denied on resource '…' (or resource may not exist).",
        needles: &["run.services.setIamPolicy"],
        finds: &[],
        cause: "opening or closing a service needs more than deploying does",
        help: &[
            "opening or closing a service needs roles/run.admin: grant it to the deploying identity on this service or project",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "run-denied",
        title: "The deploying identity lacks a permission of Cloud Run",
        says: "Permission 'run.…' denied on resource '…' (or resource may not exist).",
        needles: &["run.", "denied on resource"],
        finds: &[Find {
            name: "permission",
            after: "Permission '",
            until: "'",
        }],
        cause: "the deploying identity lacks {permission}",
        help: &[
            "grant roles/run.admin (or roles/run.developer for services that stay private) to the deploying identity",
            "check project, region and service name: what is not there is refused in the same way",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "logging-denied",
        title: "The deploying identity may not read logs",
        says: "Permission denied for all log views / Permission 'logging.…' denied …",
        needles: &["logging.", "denied"],
        finds: &[],
        cause: "reading a container's log needs a role of its own",
        help: &["grant roles/logging.viewer to the deploying identity to see container logs here"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "region-denied",
        title: "The region is not there, or not allowed",
        says: "Permission denied on 'locations/…' (or it may not exist)",
        needles: &["Permission denied on 'locations/"],
        finds: &[],
        cause: "no such region, or the organisation's policy forbids it",
        help: &["check the region's name, and that the organisation's policy allows it"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "all-users-blocked",
        title: "The organisation forbids public access",
        says: "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.",
        needles: &["do not belong to a permitted customer"],
        finds: &[],
        cause: "the organisation's policy does not let allUsers into a policy",
        help: &[
            "the organisation's policy forbids allUsers: make the service public with the invoker check off, which this tool does, or ask for an exception",
        ],
        lasts: Lasts::UntilMended,
    },
];
