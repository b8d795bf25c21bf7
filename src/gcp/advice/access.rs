//! Known failures: who may do what. `{member}` is who was refused, as policies name it.

use super::{Find, Known, Lasts};

/// The way out of a refusal whose text is not known.
pub(super) const BY_CODE: &[&str] = &[
    "give the deploying identity roles/run.admin (or roles/run.developer for services that stay private) on the project: `gcloud projects add-iam-policy-binding {project} --member={member} --role=roles/run.admin --condition=None`",
    "check the name of the project: a project that is not there is refused in the same way",
];

/// An API that is off; recognised by its `ErrorInfo.reason` as well.
pub(super) const API_DISABLED: Known = Known {
    id: "api-disabled",
    title: "An API is off in the project",
    says: "… has not been used in project … before or it is disabled.",
    needles: &["has not been used in project"],
    finds: &[
        Find {
            name: "consumer",
            after: "used in project ",
            until: " ",
        },
        Find {
            name: "api",
            after: "console.developers.google.com/apis/api/",
            until: "/",
        },
    ],
    cause: "project {project} has not enabled the API {api}",
    help: &[
        "switch it on: `gcloud services enable {api} --project={project}`",
        "if it was switched on just now, wait a few minutes and run again",
    ],
    lasts: Lasts::UntilMended,
};

/// The region is real, but the organization does not let anything be created there.
pub(super) const REGION_FORBIDDEN: Known = Known {
    id: "region-forbidden",
    title: "The organization does not allow the region",
    says: "Permission denied on 'locations/…' (or it may not exist). (LOCATION_POLICY_VIOLATED)",
    needles: &["LOCATION_POLICY_VIOLATED"],
    finds: &[REGION],
    cause: "the organization's policy constraints/gcp.resourceLocations does not allow {region} for project {project}",
    help: &[
        "set input `region` to a region that the policy allows",
        "or ask the organization's administrator to allow {region}",
    ],
    lasts: Lasts::UntilMended,
};

const REGION: Find = Find {
    name: "region",
    after: "Permission denied on 'locations/",
    until: "'",
};

const IMAGE: Find = Find {
    name: "image",
    after: "read the image, ",
    until: ". ",
};

const PERMISSION: Find = Find {
    name: "permission",
    after: "Permission '",
    until: "'",
};

pub(super) const KNOWN: &[Known] = &[
    API_DISABLED,
    REGION_FORBIDDEN,
    Known {
        id: "image-denied-agent",
        title: "Cloud Run may not pull the image",
        says: "Google Cloud Run Service Agent … must have permission to read the image, ….",
        needles: &["Service Agent ", "must have permission to read the image"],
        finds: &[
            IMAGE,
            Find {
                name: "agent",
                after: "Google Cloud Run Service Agent ",
                until: " must",
            },
        ],
        cause: "Cloud Run pulls the image as its service agent {agent}, which lacks artifactregistry.repositories.downloadArtifacts on the repository `{image_repository}` of project {image_project}",
        help: &[
            "grant Artifact Registry Reader to the service agent: `gcloud artifacts repositories add-iam-policy-binding {image_repository} --location={image_location} --project={image_project} --member=serviceAccount:{agent} --role=roles/artifactregistry.reader`",
            "if the Cloud Run API was enabled just now, wait a few minutes and run again",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "image-denied-deployer",
        title: "The deploying identity may not read the image",
        says: "User must have permission to read the image, ….",
        needles: &["must have permission to read the image"],
        finds: &[IMAGE],
        cause: "who deploys must be able to read the image, since January 2025 also in its own project: {caller} lacks artifactregistry.repositories.downloadArtifacts on the repository `{image_repository}` of project {image_project}",
        help: &[
            "grant Artifact Registry Reader to the deploying identity: `gcloud artifacts repositories add-iam-policy-binding {image_repository} --location={image_location} --project={image_project} --member={member} --role=roles/artifactregistry.reader`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "secret-denied",
        title: "The run-time service account may not read a secret",
        says: "…secret_key_ref.name: Permission denied on secret: projects/…/secrets/…/versions/… for Revision service account ….",
        needles: &["Permission denied on secret"],
        finds: &[
            Find {
                name: "secret",
                after: "/secrets/",
                until: "/",
            },
            Find {
                name: "secret_project",
                after: "Permission denied on secret: projects/",
                until: "/",
            },
            Find {
                name: "account",
                after: "Revision service account ",
                until: ". ",
            },
        ],
        cause: "the run-time service account {account} lacks secretmanager.versions.access on the secret `{secret}`; secrets are read by this account, not by who deploys",
        help: &[
            "grant Secret Manager Secret Accessor to the run-time service account: `gcloud secrets add-iam-policy-binding {secret} --project={secret_project} --member=serviceAccount:{account} --role=roles/secretmanager.secretAccessor`",
            "or run the service as an account that has the role: input `runtime_service_account`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "act-as-denied",
        title: "The deploying identity may not use the run-time service account",
        says: "Permission 'iam.serviceaccounts.actAs' denied on service account … (or it may not exist).",
        needles: &["actAs' denied"],
        finds: &[Find {
            name: "account",
            after: "denied on service account ",
            until: " ",
        }],
        cause: "{caller} deploys a service that runs as {account}, and lacks iam.serviceAccounts.actAs on that account",
        help: &[
            "grant Service Account User to the deploying identity: `gcloud iam service-accounts add-iam-policy-binding {account} --project={account_project} --member={member} --role=roles/iam.serviceAccountUser`",
            "or check the name of the account (input `runtime_service_account`): one that is not there is refused in the same way",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "agent-token-denied",
        title: "Cloud Run's service agent has lost its role",
        says: "Google Cloud Run Service Agent does not have permission to get access tokens for the service account ….",
        needles: &["Service Agent does not have permission to get access tokens"],
        finds: &[
            Find {
                name: "account",
                after: "for the service account ",
                until: ". ",
            },
            Find {
                name: "agent",
                after: "Please give ",
                until: " permission",
            },
        ],
        cause: "the service agent {agent} lacks iam.serviceAccounts.getAccessToken on the run-time service account {account}; it comes with the role that Google gives the agent when the API is enabled",
        help: &[
            "give the service agent its role back: `gcloud projects add-iam-policy-binding {project} --member=serviceAccount:{agent} --role=roles/run.serviceAgent --condition=None`",
            "if the run-time service account is of another project: `gcloud iam service-accounts add-iam-policy-binding {account} --project={account_project} --member=serviceAccount:{agent} --role=roles/iam.serviceAccountTokenCreator`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "access-token-denied",
        title: "No access token for a service account",
        says: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
        needles: &["getAccessToken"],
        finds: &[],
        cause: "{caller} lacks iam.serviceAccounts.getAccessToken on {account}",
        help: &[
            "run the job in the GitHub environment whose account this is (`environment:` in the workflow): let no other environment, and no whole repository, act as it",
            "if it runs there, let it act as the account: `gcloud iam service-accounts add-iam-policy-binding {account} --project={account_project} --member={member} --role=roles/iam.workloadIdentityUser`",
            "or check the name of the account (input `service_account`): one that is not there is refused in the same way",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "id-token-denied",
        title: "No ID token for a service account",
        says: "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource (or it may not exist).",
        needles: &["getOpenIdToken"],
        finds: &[],
        cause: "{caller} lacks iam.serviceAccounts.getOpenIdToken on {account}; private services, and each service at its first deploy, are tested with an ID token",
        help: &[
            "run the job in the GitHub environment whose account this is (`environment:` in the workflow): let no other environment, and no whole repository, act as it",
            "if it runs there, let it make ID tokens of the account: `gcloud iam service-accounts add-iam-policy-binding {account} --project={account_project} --member={member} --role=roles/iam.workloadIdentityUser`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "invoker-denied",
        title: "The deploying identity may not call the service",
        says: "403: Your client does not have permission to get URL … from this server. (run.routes.invoke)",
        needles: &["run.routes.invoke"],
        finds: &[],
        cause: "{caller} lacks run.routes.invoke on the service `{service}`, which asks for it of every caller until it is opened",
        help: &[
            "grant Cloud Run Invoker to the deploying identity: `gcloud run services add-iam-policy-binding {service} --project={project} --region={region} --member={member} --role=roles/run.invoker`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "set-iam-policy-denied",
        title: "The deploying identity may not open or close a service",
        says: "Permission 'run.services.setIamPolicy' denied on resource '…' (or resource may not exist).",
        needles: &["run.services.setIamPolicy"],
        finds: &[],
        cause: "{caller} lacks run.services.setIamPolicy, which opening (`access: public`) and closing a service need",
        help: &[
            "grant Cloud Run Admin to the deploying identity: `gcloud projects add-iam-policy-binding {project} --member={member} --role=roles/run.admin --condition=None`",
            "on this service alone, once it exists: `gcloud run services add-iam-policy-binding {service} --project={project} --region={region} --member={member} --role=roles/run.admin`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "run-denied",
        title: "The deploying identity lacks a permission of Cloud Run",
        says: "Permission 'run.…' denied on resource '…' (or resource may not exist).",
        needles: &["run.", "denied on resource"],
        finds: &[PERMISSION],
        cause: "{caller} lacks {permission} in project {project}",
        help: &[
            "grant the role to the deploying identity: `gcloud projects add-iam-policy-binding {project} --member={member} --role={role} --condition=None` (with `access: public` the deployer needs roles/run.admin in its place)",
            "check project, region and service name: what is not there is refused in the same way",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "logging-denied",
        title: "The deploying identity may not read logs",
        says: "Permission 'logging.logEntries.list' denied on resource (or it may not exist).",
        needles: &["logging.", "denied"],
        finds: &[PERMISSION],
        cause: "{caller} lacks {permission} in project {project}",
        help: &[
            "to see container logs here, grant Logs Viewer to the deploying identity: `gcloud projects add-iam-policy-binding {project} --member={member} --role=roles/logging.viewer --condition=None`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "region-denied",
        title: "There is no such region",
        says: "Permission denied on 'locations/…' (or it may not exist).",
        needles: &["Permission denied on 'locations/"],
        finds: &[REGION],
        cause: "Cloud Run has no region `{region}`, or this project may not use it",
        help: &[
            "set input `region` to `{nearest_region}`, if that is what was meant; all of them: `gcloud run regions list --project={project}`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "public-forbidden",
        title: "The organization forbids services that everybody may call",
        says: "Operation denied by org policy on resource '…': [\"constraints/run.managed.requireInvokerIam\": …].",
        needles: &["run.managed.requireInvokerIam"],
        finds: &[],
        cause: "the organization's policy constraints/run.managed.requireInvokerIam does not let project {project} switch the invoker check of a service off, which is how this tool opens one",
        help: &[
            "keep the service closed: set input `access` to `private`",
            "or ask the organization's administrator for an exception for project {project}",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "members-forbidden",
        title: "The organization forbids members of the service's policy",
        says: "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.",
        needles: &["do not belong to a permitted customer"],
        finds: &[],
        cause: "the organization's policy constraints/iam.allowedPolicyMemberDomains does not permit a member that the policy of the service `{service}` names: allUsers, or somebody outside the organization",
        help: &[
            "look who it is: `gcloud run services get-iam-policy {service} --project={project} --region={region}`, and take the member out with `gcloud run services remove-iam-policy-binding`",
            "for a public service no member is needed: this tool opens it by switching the invoker check off",
        ],
        lasts: Lasts::UntilMended,
    },
];
