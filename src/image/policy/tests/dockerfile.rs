//! The table of Dockerfiles: good and bad, with verdict and position.

use std::collections::BTreeMap;

use super::short;
use crate::image::policy::dockerfile::base::{BasePin, judge_base};
use crate::image::policy::dockerfile::{DockerfileRequest, check_dockerfile};
use crate::image::policy::finding::Finding;

const DIGEST: &str = "@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn findings(text: &str) -> Vec<Finding> {
    let request = DockerfileRequest {
        path: "Dockerfile".to_owned(),
        ..DockerfileRequest::default()
    };
    check_dockerfile(text, &request)
}

/// A good build stage, so that a row shows one thing alone. It has three lines.
fn built(last: &str) -> String {
    format!(
        "FROM python:3.13-slim AS build\nRUN pip install --no-cache-dir -r requirements.txt\nFROM python:3.13-slim\n{last}"
    )
}

fn table() -> Vec<(String, Vec<&'static str>)> {
    let copy = "COPY --from=build /opt /opt\n";
    let good_end = format!("{copy}USER appuser\n");
    let row = |text: &str, found: &[&'static str]| (built(text), found.to_vec());
    let whole = |text: &str, found: &[&'static str]| (text.to_owned(), found.to_vec());
    vec![
        // Good.
        row(&good_end, &[]),
        row(&format!("{copy}USER 1000:1000\n"), &[]),
        row(&format!("{copy}USER \"appuser\"\n"), &[]),
        row(
            &format!("ARG APP_USER=appuser\n{copy}USER ${{APP_USER}}\n"),
            &[],
        ),
        row(
            &format!("{copy}USER root\nRUN apt-get update\nUSER appuser\n"),
            &[],
        ),
        row(
            "RUN --mount=type=bind,from=build,source=/w,target=/w pip install --no-cache-dir /w/x.whl\nUSER 10001\n",
            &[],
        ),
        row("COPY --from=0 /opt /opt\nUSER appuser\n", &[]),
        row(
            "COPY \\\n  # a comment inside\n\n  --from=BUILD /opt /opt\nuser appuser\n",
            &[],
        ),
        whole(
            &format!(
                "FROM python:3.13-slim{DIGEST} AS build\nRUN true\nFROM gcr.io/distroless/python3-debian13:nonroot\n{copy}"
            ),
            &[],
        ),
        whole(
            &format!(
                "FROM python:3.13-slim AS build\nRUN true\nFROM python:3.13-slim AS base\nUSER 1000\nFROM base\n{copy}"
            ),
            &[],
        ),
        whole(
            &format!("ARG BASE=python:3.13-slim\nFROM $BASE AS build\nFROM ${{BASE}}\n{good_end}"),
            &[],
        ),
        whole(
            &format!(
                "ARG V=3.13\nFROM --platform=$BUILDPLATFORM python:${{V}}-slim AS build\nFROM python:${{V:-3.12}}-slim\n{good_end}"
            ),
            &[],
        ),
        whole(
            "# syntax=docker/dockerfile:1\n# escape=`\nFROM python:3.13-slim AS build\nFROM scratch\nCOPY `\n --from=build / /\nUSER 65532\n",
            &[],
        ),
        whole(
            &format!(
                "FROM registry.example.org:5000/python:3.13 AS build\nFROM debian:trixie-slim\n{good_end}"
            ),
            &[],
        ),
        row(
            &format!("{copy}ENV PIP_NO_CACHE_DIR=1\nRUN pip install x==1.0\nUSER a\n"),
            &[],
        ),
        row(
            &format!(
                "{copy}RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt\nUSER a\n"
            ),
            &[],
        ),
        row(
            &format!("{copy}RUN pip install -r r.txt && rm -rf /root/.cache\nUSER a\n"),
            &[],
        ),
        row(&format!("{copy}RUN echo 'pip install x'\nUSER a\n"), &[]),
        row(
            &format!(
                "{copy}RUN <<EOF\npip install --no-cache-dir -r r.txt\nUSER root\nEOF\nUSER a\n"
            ),
            &[],
        ),
        row(
            &format!(
                "{copy}ENV TOKENIZERS_PARALLELISM=false GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305\nENV SECRET_FILE=/run/secrets/x MAX_TOKENS=100\nUSER a\n"
            ),
            &[],
        ),
        // One stage, or nothing taken from another.
        whole(
            "FROM python:3.13-slim\nUSER appuser\n",
            &["1:1 multi-stage"],
        ),
        whole(
            "FROM python:3.13-slim AS build\nFROM python:3.13-slim\nCOPY . /app\nUSER a\n",
            &["2:1 multi-stage"],
        ),
        whole(
            "FROM python:3.13-slim AS build\nFROM build\nUSER a\n",
            &["2:1 multi-stage"],
        ),
        whole(
            "FROM python:3.13-slim AS build\nFROM python:3.13-slim\nCOPY --from=nginx:1.27.3 /x /x\nUSER a\n",
            &["2:1 multi-stage"],
        ),
        // User.
        row(copy, &["3:1 user-missing"]),
        row(&format!("{copy}USER root\n"), &["5:6 user-root"]),
        row(&format!("{copy}USER 0\n"), &["5:6 user-root"]),
        row(&format!("{copy}USER 00:1000\n"), &["5:6 user-root"]),
        row(&format!("{copy}USER root:appgroup\n"), &["5:6 user-root"]),
        row(
            &format!("{copy}USER appuser\nUSER  root\n"),
            &["6:7 user-root"],
        ),
        row(
            &format!("ARG U=root\n{copy}USER ${{U}}\n"),
            &["6:6 user-root"],
        ),
        row(&format!("ARG U\n{copy}USER $U\n"), &["6:6 user-unknown"]),
        row(&format!("ENV U=0\n{copy}USER $U:$U\n"), &["6:6 user-root"]),
        whole(
            &format!(
                "FROM python:3.13-slim AS build\nFROM python:3.13-slim AS base\nUSER root\nFROM base\n{copy}"
            ),
            &["3:6 user-root"],
        ),
        // Bases.
        whole(
            &format!("FROM python AS build\nFROM python:3.13-slim\n{good_end}"),
            &["1:6 base-tag"],
        ),
        whole(
            &format!("FROM python:latest AS build\nFROM python:3.13-slim\n{good_end}"),
            &["1:6 base-tag"],
        ),
        whole(
            &format!("FROM python:3 AS build\nFROM python:3.13-slim\n{good_end}"),
            &["1:6 base-tag"],
        ),
        whole(
            &format!("FROM python:slim AS build\nFROM python:3-slim\n{good_end}"),
            &["1:6 base-tag", "2:6 base-tag"],
        ),
        whole(
            &format!("FROM localhost:5000/python AS build\nFROM python:3.13\n{good_end}"),
            &["1:6 base-tag"],
        ),
        whole(
            &format!("ARG BASE\nFROM ${{BASE}} AS build\nFROM python:3.13\n{good_end}"),
            &["2:6 base-unknown"],
        ),
        whole(
            &format!(
                "ARG BASE=python:latest\nFROM --platform=linux/amd64 ${{BASE}} AS build\nFROM python:3.13\n{good_end}"
            ),
            &["2:29 base-tag"],
        ),
        whole(
            &format!("FROM python@sha256:12 AS build\nFROM python:3.13\n{good_end}"),
            &["1:6 base-digest"],
        ),
        row(
            &format!("{copy}COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/\nUSER a\n"),
            &["5:6 base-tag"],
        ),
        row(
            &format!("{copy}RUN --mount=type=bind,from=busybox,target=/b true\nUSER a\n"),
            &["5:5 base-tag"],
        ),
        whole(
            &format!(
                "# syntax=docker/dockerfile\nFROM python:3.13 AS build\nFROM python:3.13\n{good_end}"
            ),
            &["1:10 base-tag"],
        ),
        // pip.
        row(
            &format!("{copy}RUN pip install -r requirements.txt\nUSER a\n"),
            &["5:9 pip-cache"],
        ),
        row(
            &format!("{copy}RUN apt-get update && \\\n    python3 -m pip install x==1.0\nUSER a\n"),
            &["6:20 pip-cache"],
        ),
        row(
            &format!("{copy}RUN [\"/opt/pip/bin/pip3\", \"install\", \"-r\", \"r.txt\"]\nUSER a\n"),
            &["5:5 pip-cache"],
        ),
        row(
            &format!("{copy}RUN <<EOF\nset -e\npip install -r r.txt\nEOF\nUSER a\n"),
            &["7:5 pip-cache"],
        ),
        row(
            &format!("{copy}RUN uv pip install --system -r r.txt\nUSER a\n"),
            &["5:12 pip-cache"],
        ),
        row(
            &format!("{copy}RUN pip install --no-cache-dir --upgrade pip\nUSER a\n"),
            &["5:42 no-version"],
        ),
        row(
            &format!(
                "{copy}RUN pip install --no-cache-dir 'gunicorn>=20' uvicorn==0.54.0 -t /opt\nUSER a\n"
            ),
            &["5:32 range"],
        ),
        // Secrets in variables.
        row(
            &format!("ARG GITHUB_TOKEN\n{good_end}"),
            &["4:5 secret-variable"],
        ),
        row(
            &format!("ENV A=1 DB_PASSWORD=hunter22\n{good_end}"),
            &["4:9 secret-variable"],
        ),
        row(
            &format!("ENV API_KEY abcdef\n{good_end}"),
            &["4:5 secret-variable"],
        ),
        row(
            &format!("ARG NPM_TOKEN=x\nENV NPM_TOKEN=$NPM_TOKEN\n{good_end}"),
            &["4:5 secret-variable", "5:5 secret-variable"],
        ),
    ]
}

#[test]
fn the_table_of_dockerfiles() {
    let rows = table();
    assert!(rows.len() >= 50, "{}", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, expected)| {
            let found = short(&findings(text));
            (found != *expected)
                .then(|| format!("{text}\n  expected {expected:?}\n  found    {found:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn build_arguments_and_target_count() {
    let text = "ARG BASE=python:3.13\nFROM $BASE AS build\nFROM $BASE AS good\nCOPY --from=build /a /a\nUSER a\nFROM $BASE AS bad\n";
    let mut request = DockerfileRequest {
        path: "d".to_owned(),
        ..DockerfileRequest::default()
    };
    assert_eq!(
        short(&check_dockerfile(text, &request)),
        ["6:1 multi-stage", "6:1 user-missing"]
    );
    request.target = Some("good".to_owned());
    assert!(check_dockerfile(text, &request).is_empty());
    request.build_args = BTreeMap::from([("BASE".to_owned(), "python:latest".to_owned())]);
    assert_eq!(short(&check_dockerfile(text, &request)).len(), 3);
}

#[test]
fn names_of_images() {
    let by_digest = format!("python{DIGEST}");
    let table = [
        ("python:3.13-slim-trixie", true),
        ("python:3.13.1", true),
        ("gcr.io/distroless/python3-debian13:nonroot", true),
        ("debian:12-slim", true),
        ("debian:bookworm-20251103", true),
        ("debian:trixie-slim", true),
        ("ubuntu:24.04", true),
        ("ghcr.io/org/base:v1.4.0", true),
        ("org/base:sha-3f2a9c7be01d", true),
        ("nvidia/cuda:12.4.1-runtime-ubuntu22.04", true),
        (by_digest.as_str(), true),
        ("python", false),
        ("python:latest", false),
        ("python:3", false),
        ("python:slim", false),
        ("debian:stable-slim", false),
        ("ubuntu:latest", false),
        ("node:lts", false),
        ("host:5000/python", false),
        ("gcr.io/distroless/python3:nonroot", false),
    ];
    for (image, good) in table {
        assert_eq!(judge_base(image, BasePin::Tag).is_ok(), good, "{image}");
    }
    for (image, _) in table {
        assert_eq!(
            judge_base(image, BasePin::Digest).is_ok(),
            image == by_digest,
            "{image}"
        );
    }
}

#[test]
fn no_value_of_a_variable_is_shown() {
    let told = format!(
        "{:?}",
        findings("FROM python:3.13\nENV DB_PASSWORD=hunter22\nUSER root\n")
    );
    assert!(
        told.contains("DB_PASSWORD") && !told.contains("hunter22"),
        "{told}"
    );
}
