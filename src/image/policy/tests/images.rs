//! The table of built images: good and bad, with what is found.

use serde_json::{Value, json};

use super::saved::{FORMS, Form, Member, archive, file, link, read, saved, sized, with_mode};
use super::token;
use crate::image::policy::built::check_image;
use crate::image::policy::finding::{Finding, Weight};

/// Budget of the table in bytes.
const BUDGET: u64 = 1_000_000;

fn passwd() -> Member {
    file(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nappuser:x:1000:1000::/home/appuser:/bin/sh\n",
    )
}

/// A pair of layers: one with the system, one with the row's files.
fn findings_of(user: &str, layers: Vec<Vec<Member>>, extra: &Value, form: Form) -> Vec<Finding> {
    let mut config = json!({"config": {"User": user, "WorkingDir": "/app"}, "history": []});
    if let (Some(config), Some(extra)) = (config.as_object_mut(), extra.as_object()) {
        for (key, value) in extra {
            match (
                config.get_mut(key).and_then(Value::as_object_mut),
                value.as_object(),
            ) {
                (Some(inner), Some(value)) => inner.extend(value.clone()),
                _ => {
                    config.insert(key.clone(), value.clone());
                }
            }
        }
    }
    let base = vec![
        passwd(),
        with_mode("usr/bin/su", "x", 0o4755),
        file("usr/bin/python3.13", "x"),
    ];
    let layers: Vec<Vec<u8>> = std::iter::once(base)
        .chain(layers)
        .map(|members| archive(&members))
        .collect();
    let image = read(&saved(&layers, &config, form)).unwrap();
    check_image(&image, BUDGET)
}

struct Row {
    name: &'static str,
    user: &'static str,
    layers: Vec<Vec<Member>>,
    extra: Value,
    found: Vec<&'static str>,
}

fn row(name: &'static str, files: Vec<Member>, found: &[&'static str]) -> Row {
    Row {
        name,
        user: "appuser",
        layers: vec![files],
        extra: json!({}),
        found: found.to_vec(),
    }
}

fn user(name: &'static str, user: &'static str, found: &[&'static str]) -> Row {
    Row {
        user,
        ..row(name, vec![file("app/main.py", "x")], found)
    }
}

fn config(name: &'static str, extra: Value, found: &[&'static str]) -> Row {
    Row {
        extra,
        ..row(name, vec![file("app/main.py", "x")], found)
    }
}

fn key() -> String {
    let body = token("", 1600);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n",
        "PRIVATE KEY",
        lines.join("\n")
    )
}

fn key_file() -> String {
    json!({"type": "service_account", "private_key": key(), "client_email": "a@p.iam.gserviceaccount.com"}).to_string()
}

fn table() -> Vec<Row> {
    let mut rows = vec![
        // Good.
        row(
            "only what runs",
            vec![file("app/main.py", "x"), sized("app/model.joblib", 900_000)],
            &[],
        ),
        user("a number", "1000", &[]),
        user(
            "a number that is not in the file, and a group",
            "65532:65532",
            &[],
        ),
        user("a name and a group", "appuser:appuser", &[]),
        row(
            "tests of packages",
            vec![
                file(
                    "app/.venv/lib/python3.13/site-packages/numpy/tests/test_a.py",
                    "x",
                ),
                file("opt/packages/numpy/tests/test_b.py", "x"),
                file("app/lib/numpy-2.4.6.dist-info/METADATA", "x"),
                file("app/lib/numpy/tests/test_c.py", "x"),
                file("app/lib/tornado/test/test.key", &key()),
                file("app/lib/transformers/testing_utils.py", &token("hf_", 34)),
            ],
            &[],
        ),
        row(
            "a program that only begins like a tool",
            vec![
                file("usr/bin/gitlab", "x"),
                file("usr/bin/make-password", "x"),
                file("usr/bin/as400", "x"),
                file("app/git", "x"),
            ],
            &[],
        ),
        row(
            "an empty list, a lock",
            vec![
                file("var/lib/apt/lists/lock", "x"),
                file("var/cache/apt/pkgcache.bin", ""),
            ],
            &[],
        ),
        row(
            "a certificate and a published test key",
            vec![
                file(
                    "etc/ssl/certs/ca.pem",
                    &key().replace("PRIVATE KEY", "CERTIFICATE"),
                ),
                file("usr/lib/x86_64-linux-gnu/libgnutls.so.30.40.3", &key()),
                file(
                    "usr/lib/python3/dist-packages/tornado/test/test.key",
                    &key(),
                ),
            ],
            &[],
        ),
        config(
            "harmless variables",
            json!({"config": {"Env": ["PATH=/bin", "GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305", "TOKENIZERS_PARALLELISM=false", "SECRET_FILE=/run/secrets/a"]}}),
            &[],
        ),
        config(
            "a history without secrets",
            json!({"history": [{"created_by": "RUN |1 APP_COMMIT=abc /bin/sh -c true # buildkit"}, {"created_by": "ARG TOKEN", "empty_layer": true}]}),
            &[],
        ),
        // User.
        user("nobody", "", &["user-missing"]),
        user("root", "root", &["user-root"]),
        user("zero", "0", &["user-root"]),
        user("zero and a group", "0:1000", &["user-root"]),
        user("root by another name", "toor", &["user-root"]),
        user("a stranger", "nobody-knows", &["user-unknown"]),
        // Size.
        row(
            "too large",
            vec![sized("app/model.joblib", 999_700), sized("app/b", 400)],
            &["size"],
        ),
        // Contents.
        row(
            "gcc",
            vec![
                file("usr/bin/x86_64-linux-gnu-gcc-14", "x"),
                link("usr/bin/gcc", "gcc-14"),
            ],
            &["build-tools"],
        ),
        row(
            "git and make",
            vec![file("usr/bin/git", "x"), file("usr/local/bin/make", "x")],
            &["build-tools"],
        ),
        row(
            "a package",
            vec![file(
                "var/lib/dpkg/status",
                "Package: gcc\nStatus: install ok installed\nVersion: 1\n\nPackage: git\nStatus: deinstall ok config-files\n",
            )],
            &["build-tools"],
        ),
        row(
            "pip's cache",
            vec![file("root/.cache/pip/http-v2/a", "x")],
            &["pip-cache"],
        ),
        row(
            "pip's cache of a user",
            vec![file("home/appuser/.cache/pip/selfcheck.json", "x")],
            &["pip-cache"],
        ),
        row(
            "uv's cache",
            vec![file("root/.cache/uv/a", "x")],
            &["package-cache"],
        ),
        row(
            "apt's lists",
            vec![file("var/lib/apt/lists/a_Packages", "x")],
            &["apt-lists"],
        ),
        row(
            "apk's cache",
            vec![file("var/cache/apk/APKINDEX.1.tar.gz", "x")],
            &["package-cache"],
        ),
        row(
            "tests",
            vec![file("app/tests/test_api.py", "x")],
            &["tests"],
        ),
        row(
            "tests beside the code",
            vec![
                file("app/api/test_main.py", "x"),
                file("app/conftest.py", "x"),
            ],
            &["tests"],
        ),
        row(
            "a repository",
            vec![file("app/.git/HEAD", "ref")],
            &["git-directory"],
        ),
        row(
            "a new program with its owner's rights",
            vec![with_mode("usr/local/bin/helper", "x", 0o4755)],
            &["setuid"],
        ),
        // Secrets in files.
        row(
            "a private key",
            vec![file("app/tls.pem", &key())],
            &["private-key"],
        ),
        row(
            "a service account",
            vec![file("app/key.json", &key_file())],
            &["google-service-account-key"],
        ),
        row(
            "a token",
            vec![file(
                "root/.netrc",
                &format!("password {}", token("ghp_", 36)),
            )],
            &["github-token"],
        ),
        row(
            "a credential file by its name",
            vec![file("app/gha-creds-0123.json", "{}")],
            &["credential-file"],
        ),
        // Secrets elsewhere.
        config(
            "a variable by name",
            json!({"config": {"Env": ["DB_PASSWORD=hunter22"]}}),
            &["secret-variable"],
        ),
        config(
            "a variable by form",
            json!({"config": {"Env": [format!("X={}", token("hf_", 34))]}}),
            &["hugging-face-token"],
        ),
        config(
            "the history",
            json!({"history": [{"created_by": "RUN |1 NPM_TOKEN=hunter22 /bin/sh -c npm ci", "empty_layer": true}]}),
            &["secret-variable"],
        ),
        config(
            "the history of old",
            json!({"history": [{"created_by": "/bin/sh -c #(nop)  ENV API_KEY=hunter22", "empty_layer": true}]}),
            &["secret-variable"],
        ),
        config(
            "the history by form",
            json!({"history": [{"created_by": format!("RUN curl -H {}", token("npm_", 36))}]}),
            &["npm-token"],
        ),
        config(
            "a label",
            json!({"config": {"Labels": {"deploy": token("AIza", 35)}}}),
            &["google-api-key"],
        ),
    ];
    let later = |name, later: Vec<Member>, first: Vec<Member>, found: &[&'static str]| Row {
        layers: vec![first, later],
        ..row(name, Vec::new(), found)
    };
    rows.extend([
        later(
            "a key that was deleted",
            vec![file("app/.wh.key.json", "")],
            vec![file("app/key.json", &key_file())],
            &["google-service-account-key"],
        ),
        later(
            "a key that was replaced",
            vec![file("app/key.json", "{}")],
            vec![file("app/key.json", &key_file())],
            &["google-service-account-key"],
        ),
        later(
            "a cache that was deleted",
            vec![file("root/.wh..cache", "")],
            vec![file("root/.cache/pip/a", "x")],
            &["pip-cache"],
        ),
        later(
            "a tool that was deleted",
            vec![file("usr/bin/.wh.gcc", "")],
            vec![file("usr/bin/gcc", "x")],
            &[],
        ),
        later(
            "tests that were deleted",
            vec![file("app/.wh.tests", "")],
            vec![file("app/tests/test_a.py", "x")],
            &[],
        ),
    ]);
    rows
}

#[test]
fn the_table_of_images() {
    let rows = table();
    assert!(rows.len() >= 40, "{}", rows.len());
    let mut wrong = Vec::new();
    for (
        index,
        Row {
            name,
            user,
            layers,
            extra,
            found,
        },
    ) in rows.into_iter().enumerate()
    {
        // Each form takes its turn.
        let form = FORMS[index % FORMS.len()];
        let findings = findings_of(user, layers, &extra, form);
        let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
        if rules != found {
            wrong.push(format!(
                "{name} ({form:?}): expected {found:?}, found {rules:?}"
            ));
        }
        let told = format!("{findings:?}");
        assert!(!told.contains("hunter22"), "{name}: {told}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_credential_that_was_deleted_is_told_with_its_layer() {
    let history = json!({"history": [{"created_by": "FROM"}, {"created_by": "COPY . /app # buildkit"}, {"created_by": "RUN |1 T=secretvalue /bin/sh -c rm /app/key.json # buildkit"}]});
    let layers = vec![
        vec![file("app/key.json", &key_file())],
        vec![file("app/.wh.key.json", "")],
    ];
    let finding = findings_of("appuser", layers, &history, Form::Legacy).remove(0);
    assert_eq!(
        finding.place.to_string(),
        "/app/key.json in layer 2 of 3 (COPY . /app)"
    );
    assert_eq!(
        finding.detail,
        ["a later layer deletes the file; it is still in the image"]
    );
    assert_eq!(
        finding.title,
        "a key of a Google service account is in the image"
    );
}

#[test]
fn the_size_names_layers_and_folders() {
    let history = json!({"history": [{"created_by": "base"}, {"created_by": "RUN |1 T=secretvalue /bin/sh -c pip install x # buildkit"}, {"created_by": "COPY model /app"}]});
    let layers = vec![
        vec![
            sized("opt/packages/scipy/a.so", 900_000),
            sized("opt/packages/numpy/b.so", 700_000),
            sized("tmp/c", 500_000),
        ],
        vec![sized("app/model.joblib", 1_200_000), file("tmp/.wh.c", "")],
    ];
    let finding = findings_of("appuser", layers, &history, Form::Gzip).remove(0);
    assert_eq!(
        finding.title,
        "the image has 3.3 MB, 2.3 MB more than its budget of 1.0 MB"
    );
    let detail: Vec<&str> = finding.detail.iter().map(|line| line.trim()).collect();
    assert_eq!(
        detail[..3],
        [
            "2.1 MB  layer 2 of 3 (pip install x)",
            "1.2 MB  layer 3 of 3 (COPY model /app)",
            "0.0 kB  layer 1 of 3 (base)"
        ]
    );
    assert_eq!(
        detail[3..],
        [
            "1.2 MB  /app",
            "900.0 kB  /opt/packages/scipy",
            "700.0 kB  /opt/packages/numpy",
            "500.0 kB  replaced or deleted by a later layer, and still in the image"
        ]
    );
}

#[test]
fn a_right_of_an_owner_ends_no_run() {
    let layers = vec![vec![with_mode("usr/local/bin/helper", "x", 0o2755)]];
    let finding = findings_of("appuser", layers, &json!({}), Form::Zstd).remove(0);
    assert_eq!((finding.rule, finding.weight), ("setuid", Weight::Hint));
}
