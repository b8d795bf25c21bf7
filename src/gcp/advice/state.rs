//! Known failures: what is there, and what somebody else made of it.

use super::{Known, Lasts};

pub(super) const KNOWN: &[Known] = &[
    Known {
        id: "revision-missing",
        title: "The traffic names a revision that is gone",
        says: "Revision '…' does not exist or is deleted. Update all traffic to route to currently available revisions.",
        needles: &["does not exist or is deleted"],
        finds: &[],
        cause: "a revision that the traffic, or a tag, names was deleted",
        help: &[
            "a revision in the traffic was deleted: send the traffic to revisions that exist, then run again",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "revision-exists",
        title: "A revision of this name exists with another configuration",
        says: "Revision named '…' with different configuration already exists.",
        needles: &["with different configuration already exists"],
        finds: &[],
        cause: "a name of a revision is used once",
        help: &[
            "delete the revision that is named in the cause, or run again with another commit or configuration",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "not-found",
        title: "It is not there",
        says: "Resource '…' of kind '…' in region '…' in project '…' does not exist.",
        needles: &["of kind '", "does not exist"],
        finds: &[],
        cause: "project, region or name is another one",
        help: &["check project, region and names"],
        lasts: Lasts::UntilMended,
    },
];
