//! Known failures: the container and its image.

use super::{Find, Known, Lasts};

pub(super) const KNOWN: &[Known] = &[
    Known {
        id: "not-listening",
        title: "The container does not listen on its port",
        says: "The user-provided container failed to start and listen on the port defined provided by the PORT=… environment variable within the allocated timeout.",
        needles: &["ailed to start and", "listen on the port"],
        finds: &[Find {
            name: "port",
            after: "PORT=",
            until: " ",
        }],
        cause: "the container exited, or did not listen on port {port} of 0.0.0.0 in time",
        help: &[
            "bind the server to 0.0.0.0:$PORT, or set input `port` to the port that it listens on",
            "a container that exits at once, or was built for another CPU than linux/amd64, is reported in the same words: read its log lines",
            "a server that loads for long needs a `startup_probe` with a larger failure threshold",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "startup-probe",
        title: "The startup probe failed",
        says: "The user-provided container failed the configured startup probe checks.",
        needles: &["startup probe"],
        finds: &[],
        cause: "the container runs, but did not answer the startup probe as it should in time",
        help: &[
            "set input `startup_probe` to `tcp`, which waits for the port alone, or to a path that the container answers with 200 to 399",
            "a model that loads for long needs a larger `failure_threshold=` or `period=` there",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "image-not-found",
        title: "The image is not there",
        says: "Image '…' not found.",
        needles: &["Image '", "not found"],
        finds: &[Find {
            name: "image",
            after: "Image '",
            until: "'",
        }],
        cause: "the registry holds no {image}: the path is not the one that was pushed to, or the image was deleted",
        help: &[
            "verify that input `image` is the path that was pushed; what is there: `gcloud artifacts docker images list {image_location}-docker.pkg.dev/{image_project}/{image_repository} --include-tags`",
            "if it was deleted: build the commit again on its branch",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "secret-missing",
        title: "A secret or its version is not there",
        says: "…secret_key_ref.name: Secret projects/…/secrets/…/versions/… was not found",
        needles: &["Secret projects/", "was not found"],
        finds: &[
            Find {
                name: "secret",
                after: "/secrets/",
                until: "/versions/",
            },
            Find {
                name: "version",
                after: "/versions/",
                until: " was not found",
            },
        ],
        cause: "project {project} has no version {version} of the secret `{secret}`, or no such secret",
        help: &[
            "create it: `gcloud secrets create {secret} --project={project} --data-file=FILE`; if it exists, add a version: `gcloud secrets versions add {secret} --project={project} --data-file=FILE`",
            "or mend its name and version in input `secrets`: `KEY={secret}:latest`",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "deadline-exceeded",
        title: "Cloud Run was too slow",
        says: "… Resource readiness deadline exceeded.",
        needles: &["readiness deadline exceeded"],
        finds: &[],
        cause: "Cloud Run itself did not get the revision ready in its own time",
        help: &[
            "run again: Cloud Run itself was too slow",
            "if it stays: look at https://status.cloud.google.com, and let the image be smaller",
        ],
        lasts: Lasts::AWhile,
    },
];
