//! Known failures: what is there, and what somebody else made of it.

use super::{Find, Known, Lasts};

/// `{quoted}` in `…'{quoted}'…`.
const fn quoted(name: &'static str, after: &'static str) -> Find {
    Find {
        name,
        after,
        until: "'",
    }
}

pub(super) const KNOWN: &[Known] = &[
    Known {
        id: "revision-missing",
        title: "The traffic names a revision that is gone",
        says: "Revision '…' does not exist or is deleted. Update all traffic to route to currently available revisions.",
        needles: &["does not exist or is deleted"],
        finds: &[quoted("revision", "Revision '")],
        cause: "`{revision}` was deleted, and the traffic, or one of its tags, still leads to it",
        help: &[
            "take the tag away: `gcloud run services update-traffic {service} --remove-tags={tag} --region={region} --project={project}`",
            "if it has a share of the traffic: `gcloud run services update-traffic {service} --to-latest --region={region} --project={project}`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "revision-exists",
        title: "A revision of this name exists with another configuration",
        says: "Revision named '…' with different configuration already exists.",
        needles: &["with different configuration already exists"],
        finds: &[quoted("revision", "Revision named '")],
        cause: "somebody else made `{revision}` with another configuration: a name of a revision is used once",
        help: &[
            "delete it: `gcloud run revisions delete {revision} --region={region} --project={project} --quiet`",
            "or run again with another commit or configuration",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "revision-name-conflict",
        title: "Another service has a revision of this name",
        says: "Found a conflicting revision name …. Revision names must be unique within the namespace.",
        needles: &["Found a conflicting revision name"],
        finds: &[Find {
            name: "revision",
            after: "Found a conflicting revision name ",
            until: ". ",
        }],
        cause: "another service of project {project} in {region} has a revision named `{revision}`",
        help: &[
            "delete that revision, or give one of the services a name that the other does not begin with: input `service`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "revision-serves",
        title: "A revision that serves cannot be deleted",
        says: "Revision \"…\" cannot be directly deleted because it is actively serving.",
        needles: &["cannot be directly deleted"],
        finds: &[Find {
            name: "revision",
            after: "Revision \"",
            until: "\"",
        }],
        cause: "`{revision}` has traffic, or is the newest",
        help: &["send the traffic elsewhere first, then delete it"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "etag-conflict",
        title: "Somebody else changed the service at the same time",
        says: "Conflict for resource '…': version '…' was specified but current version is '…'.",
        needles: &["Conflict for resource '"],
        finds: &[],
        cause: "another run or tool wrote to the service after this run had looked at it",
        help: &[
            "run again: it looks at the service anew; let one workflow deploy an environment at a time with `concurrency`",
        ],
        lasts: Lasts::AWhile,
    },
    Known {
        id: "service-exists",
        title: "The service was created meanwhile",
        says: "Resource '…' already exists.",
        needles: &["Resource '", "already exists"],
        finds: &[],
        cause: "another run or tool created the service after this run had looked for it",
        help: &["run again: it goes on from the service that is there now"],
        lasts: Lasts::AWhile,
    },
    Known {
        id: "not-found",
        title: "It is not there",
        says: "Resource '…' of kind '…' in region '…' in project '…' does not exist.",
        needles: &["of kind '", "does not exist"],
        finds: &[
            quoted("name", "Resource '"),
            quoted("region", "in region '"),
            quoted("project", "in project '"),
        ],
        cause: "project {project} has no {name} in {region}",
        help: &[
            "check inputs `project_id`, `region` and `service`; what is there: `gcloud run services list --region={region} --project={project}`",
        ],
        lasts: Lasts::UntilMended,
    },
];
