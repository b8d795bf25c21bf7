//! Known failures: values and quotas that Cloud Run does not accept.

use super::{Known, Lasts};

pub(super) const KNOWN: &[Known] = &[
    Known {
        id: "reserved-env",
        title: "A reserved environment variable is set",
        says: "The following reserved env names were provided: …. These values are automatically set by the system.",
        needles: &["reserved env names"],
        finds: &[],
        cause: "Cloud Run sets these variables itself",
        help: &["remove these names from `env_vars`: Cloud Run sets them itself"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "tag-too-long",
        title: "Traffic tag and service name are too long together",
        says: "traffic tag '…' and service name '…' together are too long. Combined traffic tag and service name cannot exceed 46 characters.",
        needles: &["Combined traffic tag and service name"],
        finds: &[],
        cause: "tag and service name are one label of the tag's address",
        help: &["choose a shorter service name"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "cpu-quota",
        title: "More CPU or memory than the quota allows",
        says: "Max instances must be set to … or fewer to set the requested total CPU. … Quota violated: …",
        needles: &["Max instances must be set to"],
        finds: &[],
        cause: "instances × CPU or memory is more than the project's quota in this region",
        help: &["lower `max_instances`, or ask for more quota in this region"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "gpu-quota",
        title: "More GPUs than the quota allows",
        says: "Quota exceeded for total allowable count of GPUs per project per region.",
        needles: &["GPU", "uota"],
        finds: &[],
        cause: "the project has fewer GPUs in this region than were asked for",
        help: &["ask for GPU quota in this region, or delete revisions that hold it"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "memory-for-cpu",
        title: "Memory and CPU do not go together",
        says: "Invalid value specified for memory with … execution environment. For … CPU, memory must be between … and … inclusive.",
        needles: &["Invalid value specified for memory"],
        finds: &[],
        cause: "each number of CPUs has its least and its most memory",
        help: &[
            "choose `memory` and `cpu` that go together: more than 4Gi needs 2 CPUs, more than 8Gi needs 4",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "launch-stage",
        title: "The setting needs a launch stage",
        says: "The feature is not supported in the declared launch stage",
        needles: &["not supported in the declared launch stage"],
        finds: &[],
        cause: "a setting in preview works on a service of launch stage BETA only",
        help: &["the setting needs launch stage BETA on the service"],
        lasts: Lasts::UntilMended,
    },
];
