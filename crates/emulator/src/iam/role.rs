//! Which permissions a role has: those of Google's predefined roles that concern what is modelled
//! here.
//!
//! Source: <https://cloud.google.com/iam/docs/roles-permissions>.

/// The permissions of a predefined or basic role; `None` when there is no such role here.
pub(super) fn permissions(role: &str) -> Option<Vec<&'static str>> {
    let parts: &[&[&'static str]] = match role {
        "roles/run.viewer" => &[RUN_READ, PROJECT],
        "roles/run.developer" | "roles/run.sourceDeveloper" => {
            &[RUN_READ, RUN_WRITE, INVOKE, PROJECT]
        }
        "roles/run.admin" => &[RUN_READ, RUN_WRITE, RUN_POLICY, INVOKE, PROJECT],
        "roles/run.invoker" => &[INVOKE],
        "roles/run.serviceAgent" => &[REGISTRY_READ, REGISTRY_UPLOAD, AGENT, INVOKE, PROJECT],
        "roles/artifactregistry.reader" => &[REGISTRY_READ],
        "roles/artifactregistry.writer" => &[REGISTRY_READ, REGISTRY_UPLOAD, REGISTRY_WRITE],
        "roles/artifactregistry.repoAdmin" => &[
            REGISTRY_READ,
            REGISTRY_UPLOAD,
            REGISTRY_WRITE,
            REGISTRY_DELETE,
        ],
        "roles/artifactregistry.admin" => &[
            REGISTRY_READ,
            REGISTRY_UPLOAD,
            REGISTRY_WRITE,
            REGISTRY_DELETE,
            REGISTRY_ADMIN,
        ],
        "roles/iam.serviceAccountUser" => &[ACT_AS, ACCOUNT_READ, PROJECT],
        "roles/iam.serviceAccountTokenCreator" => {
            &[ACCESS_TOKEN, ID_TOKEN, SIGN, ACCOUNT_READ, PROJECT]
        }
        "roles/iam.serviceAccountOpenIdTokenCreator" => &[ID_TOKEN],
        "roles/iam.workloadIdentityUser" => &[ACCESS_TOKEN, ID_TOKEN, ACCOUNT_READ],
        "roles/logging.viewer" => &[LOGS, PROJECT],
        "roles/secretmanager.secretAccessor" => &[SECRET_ACCESS, PROJECT],
        "roles/secretmanager.viewer" => &[SECRET_READ, PROJECT],
        "roles/cloudkms.signer" => &[KEY_SIGN, PROJECT],
        "roles/cloudkms.signerVerifier" => &[KEY_SIGN, KEY_VERIFY, KEY_PUBLIC, PROJECT],
        "roles/cloudkms.publicKeyViewer" => &[KEY_PUBLIC, PROJECT],
        "roles/cloudkms.viewer" => &[KEY_READ, PROJECT],
        "roles/cloudkms.admin" => &[KEY_READ, KEY_ADMIN, PROJECT],
        "roles/serviceusage.serviceUsageAdmin" => &[API_READ, API_WRITE],
        "roles/serviceusage.serviceUsageViewer" => &[API_READ],
        // The basic roles neither make tokens of an account nor, but for the owner, set policies.
        "roles/viewer" => &[
            RUN_READ,
            REGISTRY_READ,
            ACCOUNT_READ,
            LOGS,
            SECRET_READ,
            API_READ,
            PROJECT,
        ],
        "roles/editor" => EDITOR,
        "roles/owner" => &[
            RUN_READ,
            RUN_WRITE,
            RUN_POLICY,
            INVOKE,
            REGISTRY_READ,
            REGISTRY_UPLOAD,
            REGISTRY_WRITE,
            REGISTRY_DELETE,
            REGISTRY_ADMIN,
            ACCOUNT_READ,
            ACT_AS,
            LOGS,
            SECRET_READ,
            SECRET_ACCESS,
            KEY_READ,
            KEY_ADMIN,
            KEY_SIGN,
            KEY_VERIFY,
            KEY_PUBLIC,
            API_READ,
            API_WRITE,
            PROJECT,
        ],
        _ => return None,
    };
    Some(parts.concat())
}

const EDITOR: &[&[&str]] = &[
    RUN_READ,
    RUN_WRITE,
    INVOKE,
    REGISTRY_READ,
    REGISTRY_UPLOAD,
    REGISTRY_WRITE,
    REGISTRY_DELETE,
    ACCOUNT_READ,
    ACT_AS,
    LOGS,
    SECRET_READ,
    API_READ,
    API_WRITE,
    PROJECT,
];
const PROJECT: &[&str] = &["resourcemanager.projects.get"];
const RUN_READ: &[&str] = &[
    "run.configurations.get",
    "run.configurations.list",
    "run.locations.list",
    "run.operations.get",
    "run.operations.list",
    "run.revisions.get",
    "run.revisions.list",
    "run.routes.get",
    "run.routes.list",
    "run.services.get",
    "run.services.getIamPolicy",
    "run.services.list",
];
const RUN_WRITE: &[&str] = &[
    "run.operations.delete",
    "run.revisions.delete",
    "run.services.create",
    "run.services.delete",
    "run.services.update",
];
const RUN_POLICY: &[&str] = &["run.services.setIamPolicy"];
const INVOKE: &[&str] = &["run.routes.invoke"];
const REGISTRY_READ: &[&str] = &[
    "artifactregistry.dockerimages.get",
    "artifactregistry.dockerimages.list",
    "artifactregistry.files.get",
    "artifactregistry.files.list",
    "artifactregistry.locations.get",
    "artifactregistry.locations.list",
    "artifactregistry.packages.get",
    "artifactregistry.packages.list",
    "artifactregistry.repositories.downloadArtifacts",
    "artifactregistry.repositories.get",
    "artifactregistry.repositories.list",
    "artifactregistry.tags.get",
    "artifactregistry.tags.list",
    "artifactregistry.versions.get",
    "artifactregistry.versions.list",
];
const REGISTRY_UPLOAD: &[&str] = &["artifactregistry.repositories.uploadArtifacts"];
const REGISTRY_WRITE: &[&str] = &[
    "artifactregistry.tags.create",
    "artifactregistry.tags.update",
];
const REGISTRY_DELETE: &[&str] = &[
    "artifactregistry.packages.delete",
    "artifactregistry.repositories.deleteArtifacts",
    "artifactregistry.tags.delete",
    "artifactregistry.versions.delete",
];
const REGISTRY_ADMIN: &[&str] = &[
    "artifactregistry.repositories.create",
    "artifactregistry.repositories.delete",
    "artifactregistry.repositories.getIamPolicy",
    "artifactregistry.repositories.setIamPolicy",
    "artifactregistry.repositories.update",
];
const KEY_READ: &[&str] = &[
    "cloudkms.cryptoKeyVersions.get",
    "cloudkms.cryptoKeyVersions.list",
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeys.list",
    "cloudkms.keyRings.get",
    "cloudkms.keyRings.list",
];
const KEY_ADMIN: &[&str] = &["cloudkms.cryptoKeys.create", "cloudkms.keyRings.create"];
const KEY_SIGN: &[&str] = &["cloudkms.cryptoKeyVersions.useToSign"];
const KEY_VERIFY: &[&str] = &["cloudkms.cryptoKeyVersions.useToVerify"];
const KEY_PUBLIC: &[&str] = &["cloudkms.cryptoKeyVersions.viewPublicKey"];
const ACCOUNT_READ: &[&str] = &["iam.serviceAccounts.get", "iam.serviceAccounts.list"];
const ACT_AS: &[&str] = &["iam.serviceAccounts.actAs"];
const ACCESS_TOKEN: &[&str] = &["iam.serviceAccounts.getAccessToken"];
const ID_TOKEN: &[&str] = &["iam.serviceAccounts.getOpenIdToken"];
const SIGN: &[&str] = &[
    "iam.serviceAccounts.implicitDelegation",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
];
/// What Cloud Run's service agent does with accounts.
const AGENT: &[&str] = &[
    "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.getAccessToken",
    "iam.serviceAccounts.getOpenIdToken",
    "iam.serviceAccounts.signBlob",
    "serviceusage.services.get",
    "serviceusage.services.use",
];
const LOGS: &[&str] = &[
    "logging.logEntries.list",
    "logging.logs.list",
    "logging.views.get",
    "logging.views.list",
];
const SECRET_READ: &[&str] = &[
    "secretmanager.secrets.get",
    "secretmanager.secrets.list",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
];
const SECRET_ACCESS: &[&str] = &["secretmanager.versions.access"];
const API_READ: &[&str] = &["serviceusage.services.get", "serviceusage.services.list"];
const API_WRITE: &[&str] = &[
    "serviceusage.services.disable",
    "serviceusage.services.enable",
    "serviceusage.services.use",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_differ_where_google_s_do() {
        let has = |role: &str, permission: &str| {
            permissions(role).is_some_and(|all| all.contains(&permission))
        };
        for (role, permission, expected) in [
            ("roles/run.developer", "run.services.update", true),
            ("roles/run.developer", "run.services.setIamPolicy", false),
            ("roles/run.admin", "run.services.setIamPolicy", true),
            ("roles/run.viewer", "run.services.create", false),
            ("roles/run.invoker", "run.services.get", false),
            ("roles/run.admin", "iam.serviceAccounts.actAs", false),
            (
                "roles/artifactregistry.reader",
                "artifactregistry.repositories.uploadArtifacts",
                false,
            ),
            (
                "roles/artifactregistry.writer",
                "artifactregistry.repositories.deleteArtifacts",
                false,
            ),
            ("roles/editor", "run.services.setIamPolicy", false),
            ("roles/editor", "secretmanager.versions.access", false),
            ("roles/owner", "iam.serviceAccounts.getAccessToken", false),
        ] {
            assert_eq!(has(role, permission), expected, "{role} {permission}");
        }
        assert_eq!(permissions("roles/no.such"), None);
    }
}
