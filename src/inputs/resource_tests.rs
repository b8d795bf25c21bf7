use super::*;

#[test]
fn secrets() {
    let right = [
        ("KEY", "api-key:latest", "api-key", "latest"),
        ("KEY", "api-key:7", "api-key", "7"),
        (
            "/etc/keys/file",
            "projects/p-1/secrets/k:latest",
            "projects/p-1/secrets/k",
            "latest",
        ),
        (
            "KEY",
            "projects/p-1/secrets/k/versions/3",
            "projects/p-1/secrets/k",
            "3",
        ),
    ];
    for (place, text, secret, version) in right {
        let binding = parse_secret(place, text).unwrap();
        assert_eq!(
            (binding.secret.as_str(), binding.version.as_str()),
            (secret, version),
            "{text}"
        );
    }
    let wrong = [
        ("KEY", "api-key", Some("use `KEY=api-key:latest`")),
        ("KEY", "api-key:", Some("use `KEY=api-key:latest`")),
        ("KEY", "a/b:1", None),
        ("/file", "k:1", Some("use `/etc/secrets/file`")),
    ];
    for (place, text, help) in wrong {
        assert_eq!(
            parse_secret(place, text).unwrap_err().help.as_deref(),
            help,
            "{place}={text}"
        );
    }
}

#[test]
fn images() {
    assert!(parse_image("us-central1-docker.pkg.dev/p/r/i").is_ok());
    assert!(parse_image("europe-docker.pkg.dev/p/r/deep/i").is_ok());
    let wrong = [
        (
            "us-docker.pkg.dev/p/r/i:v1",
            "use `us-docker.pkg.dev/p/r/i`",
        ),
        (
            "us-docker.pkg.dev/p/r/i@sha256:00",
            "use `us-docker.pkg.dev/p/r/i`",
        ),
        (
            "https://us-docker.pkg.dev/p/r/i",
            "use `us-docker.pkg.dev/p/r/i`",
        ),
        ("us-docker.pkg.dev/p/r/ML", "use `us-docker.pkg.dev/p/r/ml`"),
        (
            "docker.io/me/i",
            "push to Artifact Registry, such as `us-central1-docker.pkg.dev/my-project/ml/ml-api`",
        ),
    ];
    for (text, help) in wrong {
        assert_eq!(
            parse_image(text).unwrap_err().help.as_deref(),
            Some(help),
            "{text}"
        );
    }
    assert!(
        parse_image("us-docker.pkg.dev/p/r")
            .unwrap_err()
            .why
            .contains("1 parts")
    );
}

#[test]
fn paths_accounts_and_providers() {
    assert_eq!(parse_url_path("/health"), Ok("/health".to_owned()));
    assert_eq!(
        parse_url_path("health").unwrap_err().help.as_deref(),
        Some("use `/health`")
    );
    assert_eq!(
        parse_url_path("https://x.example/h")
            .unwrap_err()
            .help
            .as_deref(),
        Some("use `/h`")
    );
    assert!(parse_service_account("a@p.iam.gserviceaccount.com").is_ok());
    assert_eq!(
        parse_service_account("a").unwrap_err().help.as_deref(),
        Some("use `a@PROJECT.iam.gserviceaccount.com`")
    );
    let provider = "projects/123/locations/global/workloadIdentityPools/p/providers/q";
    assert_eq!(parse_provider(provider), Ok(provider.to_owned()));
    assert_eq!(
        parse_provider(&format!("//iam.googleapis.com/{provider}")),
        Ok(provider.to_owned())
    );
    assert!(
        parse_provider(&provider.replace("123", "my-project"))
            .unwrap_err()
            .why
            .contains("number")
    );
    assert!(parse_provider("pool/provider").is_err());
}
