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
        cause: "the container listens, but did not answer the startup probe as it should in time",
        help: &[
            "check path, port, timeout and failure threshold of `startup_probe` against what the container answers",
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
        cause: "the registry holds no {image}: its path is not the one that was pushed, or it was deleted",
        help: &["push the image to the repository that is named in the cause, and check its name"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "secret-missing",
        title: "A secret or its version is not there",
        says: "…secret_key_ref.name: Secret projects/…/secrets/…/versions/… was not found",
        needles: &["ecret", "not found"],
        finds: &[],
        cause: "the revision names a secret, or a version of one, that does not exist",
        help: &["create the secret and a version of it, or mend its name in input `secrets`"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "deadline-exceeded",
        title: "Cloud Run was too slow",
        says: "… Resource readiness deadline exceeded.",
        needles: &["readiness deadline exceeded"],
        finds: &[],
        cause: "Cloud Run itself did not get the revision ready in its own time",
        help: &["Cloud Run itself was too slow: run again"],
        lasts: Lasts::AWhile,
    },
];
