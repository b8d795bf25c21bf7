//! Known failures of the registry. Registries and dockerd spell them in several ways: which row fits
//! is recognised in [`crate::gcp::registry`], by more than one text.

use super::{Known, Lasts};

pub(crate) const REPOSITORY_MISSING: Known = Known {
    id: "repository-missing",
    title: "The repository of the image is not there",
    says: "name unknown: Repository \"…\" not found",
    needles: &["Repository \"", "not found"],
    finds: &[],
    cause: "project {project} has no repository `{repository}` in {location}; Artifact Registry makes none by itself",
    help: &[
        "create it: `gcloud artifacts repositories create {repository} --repository-format=docker --location={location} --project={project}`",
        "if it has another name or place, mend input `image`: LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE",
    ],
    lasts: Lasts::UntilMended,
};

pub(crate) const TAG_IMMUTABLE: Known = Known {
    id: "tag-immutable",
    title: "The tag cannot move",
    says: "manifest invalid: cannot update tag …. The repository has enabled tag immutability",
    needles: &["has enabled tag immutability"],
    finds: &[],
    cause: "the repository does not let a tag move once it was pushed",
    help: &[
        "the tag exists and its repository does not let tags move: deploy what the tag stands for",
        "or release the new image under a new version",
    ],
    lasts: Lasts::UntilMended,
};

pub(crate) const BLOB_UNKNOWN: Known = Known {
    id: "manifest-blob-unknown",
    title: "A layer of the image is not there",
    says: "manifest references unknown blob sha256:…",
    needles: &["unknown blob"],
    finds: &[],
    cause: "the manifest names a layer that the registry does not have: a push was cut off, or a clean-up policy removed it",
    help: &["push the image once more: run again"],
    lasts: Lasts::AWhile,
};

pub(crate) const RATE_LIMITED: Known = Known {
    id: "registry-rate-limit",
    title: "The registry's quota is used up",
    says: "toomanyrequests: Quota exceeded …",
    needles: &["Quota exceeded for quota metric"],
    finds: &[],
    cause: "the project asked Artifact Registry for more than its quota within a minute",
    help: &["the registry's quota is used up: wait a minute, then run again"],
    lasts: Lasts::AWhile,
};

pub(crate) const UNAVAILABLE: Known = Known {
    id: "registry-unavailable",
    title: "The registry fails",
    says: "500, 502, 503 or 504 of the registry",
    needles: &["the registry answered 5"],
    finds: &[],
    cause: "Artifact Registry itself failed",
    help: &["run again in a few minutes; if it stays, look at the status of Artifact Registry"],
    lasts: Lasts::AWhile,
};

pub(super) const KNOWN: &[Known] = &[
    REPOSITORY_MISSING,
    TAG_IMMUTABLE,
    BLOB_UNKNOWN,
    RATE_LIMITED,
    UNAVAILABLE,
];
