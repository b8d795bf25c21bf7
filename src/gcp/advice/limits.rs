//! Known failures: values, names and quotas that Cloud Run does not accept.

use super::{Find, Known, Lasts};

const MOST_INSTANCES: Find = Find {
    name: "most",
    after: "Max instances must be set to ",
    until: " or fewer",
};

const QUOTA_HELP: &str = "or ask for more quota in {region}: https://cloud.google.com/run/quotas";

pub(super) const KNOWN: &[Known] = &[
    Known {
        id: "reserved-env",
        title: "A reserved environment variable is set",
        says: "The following reserved env names were provided: …. These values are automatically set by the system.",
        needles: &["reserved env names"],
        finds: &[Find {
            name: "names",
            after: "reserved env names were provided: ",
            until: ". ",
        }],
        cause: "Cloud Run sets {names} itself",
        help: &[
            "take {names} out of input `env_vars`; the port that the container listens on is input `port`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "ports",
        title: "More than one port",
        says: "Violation in …Request.service.template.containers[0].ports: ports should contain 0 or 1 port.",
        needles: &["ports should contain 0 or 1 port"],
        finds: &[],
        cause: "a container of Cloud Run serves on one port",
        help: &["set input `port` to the one port that serves requests"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "registry-host",
        title: "Cloud Run does not pull from this registry",
        says: "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained ….",
        needles: &["Expected an image path like"],
        finds: &[Find {
            name: "image",
            after: "but obtained ",
            until: "",
        }],
        cause: "Cloud Run pulls from Artifact Registry, gcr.io and docker.io only",
        help: &[
            "set input `image` to a repository of Artifact Registry: LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE",
            "for an image of another registry, make a remote repository in Artifact Registry and name that",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "tag-too-long",
        title: "Traffic tag and service name are too long together",
        says: "traffic tag '…' and service name '…' together are too long. Combined traffic tag and service name cannot exceed 46 characters.",
        needles: &["Combined traffic tag and service name"],
        finds: &[],
        cause: "tag and service name are one label of the tag's address",
        help: &["choose a shorter service name: input `service`"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "service-name",
        title: "The service's name is not allowed",
        says: "Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters.",
        needles: &["only lowercase, digits, and hyphens"],
        finds: &[],
        cause: "names of services and revisions become parts of addresses",
        help: &[
            "set input `service` to a name of lower-case letters, digits and hyphens with less than 50 characters",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "gpu-quota",
        title: "More GPUs than the quota allows",
        says: "Max instances must be set to … or fewer in order to set GPU requirements. … Quota violated: …GpuAlloc…PerProjectRegion requested: … allowed: …",
        needles: &["Max instances must be set to", "GPU"],
        finds: &[MOST_INSTANCES],
        cause: "instances × GPUs is more than project {project} may use in {region}; old revisions may count too",
        help: &[
            "set input `max_instances` to `{most}` or less",
            "or ask for GPU quota at g.co/cloudrun/gpu-quota, or delete revisions that hold GPUs",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "gpu-quota-at-rollout",
        title: "No GPU left in the quota",
        says: "Quota exceeded for total allowable count of GPUs per project per region.",
        needles: &["count of GPUs per project"],
        finds: &[],
        cause: "project {project} uses all GPUs that it may use in {region}; old revisions may count too",
        help: &["delete revisions that hold GPUs, or ask for GPU quota at g.co/cloudrun/gpu-quota"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "quota-for-one-instance",
        title: "One instance alone is more than the quota",
        says: "Max instances must be set to 0 or fewer to set the requested total …. … Quota violated: …",
        needles: &["Max instances must be set to 0 or fewer"],
        finds: &[],
        cause: "project {project} may not use as much CPU or memory in {region} as one instance needs",
        help: &["lower input `cpu` or `memory`", QUOTA_HELP],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "cpu-quota",
        title: "More CPU or memory than the quota allows",
        says: "Max instances must be set to … or fewer to set the requested total CPU. … Quota violated: CpuAllocPerProjectRegion requested: … allowed: …",
        needles: &["Max instances must be set to"],
        finds: &[MOST_INSTANCES],
        cause: "instances × CPU or memory is more than project {project} may use in {region}",
        help: &["set input `max_instances` to `{most}` or less", QUOTA_HELP],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "max-scale-for-memory",
        title: "More memory than the quota allows, in older words",
        says: "Invalid value specified for memory. For the specified value, maxScale may not exceed ….",
        needles: &["maxScale may not exceed "],
        finds: &[Find {
            name: "most",
            after: "maxScale may not exceed ",
            until: ".",
        }],
        cause: "instances × memory is more than project {project} may use in {region}",
        help: &["set input `max_instances` to `{most}` or less", QUOTA_HELP],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "memory-for-cpu",
        title: "Memory and CPU do not go together",
        says: "Invalid value specified for memory …. For … CPU, memory must be between … and … inclusive.",
        needles: &["Invalid value specified for memory", "must be between"],
        finds: &[
            Find {
                name: "cpus",
                after: " For ",
                until: " CPU",
            },
            Find {
                name: "least",
                after: "must be between ",
                until: " and ",
            },
            Find {
                name: "largest",
                after: " and ",
                until: " inclusive",
            },
        ],
        cause: "with {cpus} CPU an instance has {least} to {largest} of memory",
        help: &[
            "set input `memory` to `{largest}` or less (at least {least}), or raise input `cpu`: above 4Gi it needs 2, above 8Gi 4, above 16Gi 6, above 24Gi 8",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "cpu-value",
        title: "The number of CPUs is not allowed",
        says: "Invalid value specified for cpu: …",
        needles: &["Invalid value specified for cpu"],
        finds: &[],
        cause: "Cloud Run has instances of 1, 2, 4, 6 and 8 CPUs, and of 0.08 to less than 1",
        help: &["set input `cpu` to `1`, or to 2, 4, 6 or 8"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "launch-stage",
        title: "The setting needs a launch stage",
        says: "The feature is not supported in the declared launch stage",
        needles: &["not supported in the declared launch stage"],
        finds: &[],
        cause: "the service has a setting that is in preview, and does not declare a launch stage that has it",
        help: &[
            "declare it on the service: `gcloud beta run services update {service} --region={region} --project={project}`, or take the setting away",
        ],
        lasts: Lasts::UntilMended,
    },
];
