//! Known lines of a container's log. Cloud Run reports a container that crashed, one that listens on
//! another port and one that was built for another CPU in the same words: only the log tells them
//! apart.

use super::{Advice, Facts, Find, Known, Lasts, fill};

/// When the lines were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The container was to start.
    Start,
    /// It serves, but not as it should.
    Serving,
}

/// What the last lines of a container tell; `None` when none of them is known.
pub fn for_log(lines: &[String], moment: Moment, facts: &Facts) -> Option<Advice> {
    let facts = &with_more_memory(lines, facts);
    let at_start = match moment {
        Moment::Start => STARTING,
        Moment::Serving => &[],
    };
    for known in KNOWN.iter().chain(at_start) {
        let has = |line: &&String| known.needles.iter().all(|needle| line.contains(needle));
        if let Some(line) = lines.iter().rev().find(has) {
            return Some(fill(known, line, facts));
        }
    }
    None
}

/// Adds what to set input `memory` to, where the log says how much was used: the next power of two
/// in MiB that leaves a fifth free.
fn with_more_memory(lines: &[String], facts: &Facts) -> Facts {
    let used = lines.iter().rev().find_map(|line| {
        let (_, rest) = line.split_once(" exceeded with ")?;
        rest.split_once(" MiB used")?.0.parse::<u64>().ok()
    });
    let Some(used) = used.filter(|used| *used < 1 << 20) else {
        return facts.clone();
    };
    let wanted = (used + used / 4).next_power_of_two();
    let text = match wanted {
        0..1024 => format!("{wanted}Mi"),
        _ => format!("{}Gi", wanted / 1024),
    };
    facts.clone().with("memory", text)
}

/// Lines that tell what is wrong, whenever they are written. The specific ones come first.
pub(super) const KNOWN: &[Known] = &[
    Known {
        id: "memory-exceeded",
        title: "The container used more memory than it has",
        says: "Memory limit of … exceeded with … used. Consider increasing the memory limit, …",
        needles: &["Memory limit of ", " exceeded with "],
        finds: &[
            Find {
                name: "limit",
                after: "Memory limit of ",
                until: " MiB exceeded",
            },
            Find {
                name: "used",
                after: "exceeded with ",
                until: " MiB used",
            },
        ],
        cause: "Cloud Run ended the container: it has {limit} MiB of memory and used {used} MiB",
        help: &["set input `memory` to `{memory}` or more; above 4Gi it needs input `cpu` 2"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "model-of-other-scikit-learn",
        title: "The model was saved with another scikit-learn",
        says: "InconsistentVersionWarning: Trying to unpickle estimator … from version … when using version ….",
        needles: &["Trying to unpickle estimator ", " when using version "],
        finds: &[
            Find {
                name: "trained",
                after: " from version ",
                until: " when using",
            },
            Find {
                name: "installed",
                after: " when using version ",
                until: ". ",
            },
        ],
        cause: "dependency mismatch: the model was saved with scikit-learn {trained}, the image has {installed}",
        help: &[
            "write `scikit-learn=={trained}` into requirements.txt and rebuild the image, or train the model again with scikit-learn {installed}",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "model-of-other-numpy",
        title: "The model was saved with another NumPy",
        says: "ModuleNotFoundError: No module named 'numpy._core'",
        needles: &["No module named 'numpy._core"],
        finds: &[],
        cause: "dependency mismatch: the model was saved with NumPy 2, the image has NumPy 1",
        help: &[
            "write the NumPy that the model was trained with into requirements.txt (`numpy>=2`) and rebuild the image",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "module-missing",
        title: "A Python module is missing",
        says: "ModuleNotFoundError: No module named '…'",
        needles: &["No module named '"],
        finds: &[Find {
            name: "module",
            after: "No module named '",
            until: "'",
        }],
        cause: "dependency mismatch: No module named '{module}' in the image",
        help: &[
            "add the package of `{module}`, with its version, to requirements.txt and rebuild the image",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "packages-do-not-fit",
        title: "Two Python packages do not fit each other",
        says: "ImportError: cannot import name '…' from '…'",
        needles: &["ImportError: cannot import name"],
        finds: &[],
        cause: "dependency mismatch: one package expects another version of the package that is named in the log",
        help: &[
            "compare requirements.txt with the one of the last release that served, give each package its version, and rebuild the image",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "compiled-against-other-numpy",
        title: "A package was compiled against another NumPy",
        says: "numpy.dtype size changed, may indicate binary incompatibility. / numpy.core.multiarray failed to import",
        needles: &["numpy", "incompatib"],
        finds: &[],
        cause: "dependency mismatch: a package was compiled against another NumPy than the image has",
        help: &[
            "give numpy and the packages built upon it versions that were released together in requirements.txt, and rebuild the image",
        ],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "model-unreadable",
        title: "The model file cannot be loaded",
        says: "AttributeError: Can't get attribute '…' / ValueError: node array from the pickle has an incompatible dtype",
        needles: &["Can't get attribute '"],
        finds: &[],
        cause: "dependency mismatch: the model file names code that the image does not have",
        help: MODEL_HELP,
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "model-dtype",
        title: "The model file cannot be loaded",
        says: "ValueError: node array from the pickle has an incompatible dtype",
        needles: &["from the pickle has an incompatible dtype"],
        finds: &[],
        cause: "dependency mismatch: the model was saved with another scikit-learn than the image has",
        help: MODEL_HELP,
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "file-missing",
        title: "A file is missing in the image",
        says: "FileNotFoundError: [Errno 2] No such file or directory: '…'",
        needles: &["FileNotFoundError", "No such file or directory: '"],
        finds: &[Find {
            name: "file",
            after: "No such file or directory: '",
            until: "'",
        }],
        cause: "the image lacks the file {file}",
        help: &[
            "copy `{file}` in the Dockerfile, see that .dockerignore does not leave it out, and rebuild the image",
        ],
        lasts: Lasts::UntilMended,
    },
];

const MODEL_HELP: &[&str] = &[
    "write the versions that the model was trained with into requirements.txt and rebuild the image, or train the model again with those that are there",
];

/// Lines that are usual, and tell something only of a container that did not start.
pub(super) const STARTING: &[Known] = &[
    Known {
        id: "other-platform",
        title: "The image was built for another CPU",
        says: "exec format error",
        needles: &["exec format error"],
        finds: &[],
        cause: "the image was built for another CPU than linux/amd64, which Cloud Run runs",
        help: &["set input `platform` to `linux/amd64` and rebuild the image"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "listens-on-loopback",
        title: "The server listens on 127.0.0.1 only",
        says: "… on http://127.0.0.1:…",
        needles: &[" http://127.0.0.1:"],
        finds: &[],
        cause: "the server listens on 127.0.0.1, which nothing outside of the container reaches",
        help: &["start the server with `--host 0.0.0.0 --port $PORT`, and rebuild the image"],
        lasts: Lasts::UntilMended,
    },
    Known {
        id: "listens-on-other-port",
        title: "The server listens on another port",
        says: "… on http://0.0.0.0:…",
        needles: &[" http://0.0.0.0:"],
        finds: &[Find {
            name: "port",
            after: " http://0.0.0.0:",
            until: " ",
        }],
        cause: "the server listens on port {port}, not on the one that PORT names",
        help: &[
            "set input `port` to `{port}`, or start the server with `--port $PORT` and rebuild the image",
        ],
        lasts: Lasts::UntilMended,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str, moment: Moment) -> Option<Advice> {
        let lines = ["before".to_owned(), line.to_owned(), "after".to_owned()];
        for_log(&lines, moment, &Facts::default())
    }

    #[test]
    fn each_known_line_tells_its_cause() {
        for (line, id, piece) in [
            (
                "InconsistentVersionWarning: Trying to unpickle estimator SVC from version 1.3.2 when using version 1.9.1. This might lead to breaking code.",
                "model-of-other-scikit-learn",
                "scikit-learn==1.3.2",
            ),
            (
                "Memory limit of 512 MiB exceeded with 516 MiB used. Consider increasing",
                "memory-exceeded",
                "set input `memory` to `1Gi`",
            ),
            (
                "ModuleNotFoundError: No module named 'uvicorn'",
                "module-missing",
                "`uvicorn`",
            ),
            (
                "ModuleNotFoundError: No module named 'numpy._core'",
                "model-of-other-numpy",
                "numpy>=2",
            ),
            (
                "ImportError: cannot import name 'url_quote' from 'werkzeug.urls'",
                "packages-do-not-fit",
                "requirements.txt",
            ),
            (
                "ValueError: numpy.dtype size changed, may indicate binary incompatibility.",
                "compiled-against-other-numpy",
                "requirements.txt",
            ),
            (
                "AttributeError: Can't get attribute 'Model' on <module '__main__'>",
                "model-unreadable",
                "requirements.txt",
            ),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: 'model.joblib'",
                "file-missing",
                "`model.joblib`",
            ),
            (
                "exec /usr/local/bin/python: exec format error",
                "other-platform",
                "`linux/amd64`",
            ),
            (
                "INFO: Uvicorn running on http://127.0.0.1:8080 (Press CTRL+C to quit)",
                "listens-on-loopback",
                "0.0.0.0",
            ),
            (
                "INFO: Uvicorn running on http://0.0.0.0:9000 (Press CTRL+C to quit)",
                "listens-on-other-port",
                "set input `port` to `9000`",
            ),
        ] {
            let advice = told(line, Moment::Start).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(advice.id, id, "{line}");
            assert!(advice.help[0].contains(piece), "{line}: {:?}", advice.help);
        }
    }

    #[test]
    fn usual_lines_tell_nothing_of_a_container_that_serves() {
        let line = "INFO: Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)";
        assert_eq!(told(line, Moment::Serving), None);
    }
}
