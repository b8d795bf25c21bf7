//! Credentials by form: found, masked, and what only looks like one left alone.

use std::io::BufReader;

use super::token;
use crate::image::policy::secret::scan::Window;
use crate::image::policy::secret::{Found, Rule, masked, names_secret, redact};

fn base64_of(length: usize) -> String {
    token("", length)
}

fn pem(kind: &str, length: usize, newline: &str) -> String {
    let body = base64_of(length);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {kind}-----{newline}{}{newline}-----END {kind}-----",
        lines.join(newline)
    )
}

fn scan(text: &[u8]) -> Vec<Found> {
    // A small buffer in front, so that pieces end anywhere.
    Window::default()
        .scan(&mut BufReader::with_capacity(1000, text), 100)
        .unwrap()
}

fn rules(text: &str) -> Vec<Rule> {
    scan(text.as_bytes())
        .iter()
        .map(|found| found.rule)
        .collect()
}

#[test]
fn every_kind_is_found() {
    let base32 = format!("{}2J7QXW4RZ5TMN3BK", "AKIA");
    let key_file = format!(
        "{{\"type\": \"service_account\", \"private_key\": \"{}\\n\", \"client_email\": \"a@p.iam.gserviceaccount.com\"}}",
        pem("PRIVATE KEY", 1600, "\\n")
    );
    let user = format!(
        "{{\"client_id\": \"x\", \"refresh_token\": \"1//{}\", \"type\": \"authorized_user\"}}",
        token("", 60)
    );
    let table = [
        (key_file, Rule::GoogleServiceAccountKey),
        (user, Rule::GoogleUserCredentials),
        (token("AIza", 35), Rule::GoogleApiKey),
        (token("ya29.", 120), Rule::GoogleAccessToken),
        (token("GOCSPX-", 28), Rule::GoogleClientSecret),
        (pem("PRIVATE KEY", 64, "\n"), Rule::PrivateKey),
        (pem("RSA PRIVATE KEY", 1588, "\r\n"), Rule::PrivateKey),
        (pem("OPENSSH PRIVATE KEY", 400, "\n"), Rule::PrivateKey),
        (pem("EC PRIVATE KEY", 164, "\n"), Rule::PrivateKey),
        (pem("ENCRYPTED PRIVATE KEY", 400, "\n"), Rule::PrivateKey),
        (token("ghp_", 36), Rule::GithubToken),
        (token("gho_", 36), Rule::GithubToken),
        (token("ghs_", 36), Rule::GithubToken),
        (
            format!(
                "{}.{}.{}",
                token("ghs_", 200),
                token("", 200),
                token("", 100)
            ),
            Rule::GithubToken,
        ),
        (token("github_pat_", 82), Rule::GithubToken),
        (base32, Rule::AwsAccessKey),
        (
            format!("aws_secret_access_key = {}", token("", 40)),
            Rule::AwsSecretKey,
        ),
        (
            format!("xoxb-1234567890-1234567890123-{}", token("", 24)),
            Rule::SlackToken,
        ),
        (
            format!(
                "https://hooks.slack.com/services/T01234567/B01234567/{}",
                token("", 24)
            ),
            Rule::SlackWebhook,
        ),
        (token("npm_", 36), Rule::NpmToken),
        (token("pypi-AgEIcHlwaS5vcmc", 120), Rule::PypiToken),
        (token("hf_", 34), Rule::HuggingFaceToken),
    ];
    for (secret, rule) in &table {
        for text in [
            secret.clone(),
            format!("export TOKEN={secret}\n"),
            format!("key: \"{secret}\"\n"),
            format!(
                "{}\n{secret}\n{}",
                "x".repeat(1_000_000),
                "y".repeat(600_000)
            ),
            format!("first\\n{secret}"),
        ] {
            assert_eq!(
                rules(&text),
                [*rule],
                "{rule:?}: {}",
                &text[..text.len().min(120)]
            );
        }
        let shown = &scan(secret.as_bytes())[0].masked;
        assert!(shown.chars().count() <= 5, "{shown}");
        assert!(!redact(secret).contains(&secret[8..]), "{}", redact(secret));
    }
}

#[test]
fn what_looks_like_one_is_left_alone() {
    let table = [
        // Constants of cryptography libraries.
        "_PKCS1_MARKER = (\"-----BEGIN RSA PRIVATE KEY-----\", \"-----END RSA PRIVATE KEY-----\")".to_owned(),
        "_SK_START = b\"-----BEGIN OPENSSH PRIVATE KEY-----\"\n_SK_END = b\"-----END OPENSSH PRIVATE KEY-----\"".to_owned(),
        "-----BEGIN PRIVATE KEY-----\\n...\\n-----END PRIVATE KEY-----".to_owned(),
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "A".repeat(400)),
        pem("CERTIFICATE", 1200, "\n"),
        pem("PUBLIC KEY", 400, "\n"),
        // Documentation.
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        "aws_secret_access_key=os.environ['AWS_SECRET_ACCESS_KEY']".to_owned(),
        format!("ghp_{}", "x".repeat(36)),
        format!("AIza{}", "0".repeat(35)),
        "\"type\": \"authorized_user\", \"refresh_token\": \"REFRESH\"".to_owned(),
        "hf_hub_download(repo_id, filename)".to_owned(),
        "npm_config_registry".to_owned(),
        "xoxb-your-token".to_owned(),
        // Too short, too long, part of another word.
        token("ghp_", 35),
        token("ghp_", 37),
        format!("a{}", token("AIza", 35)),
        format!("{}{}2J7QXW4RZ5TMN3BK", token("", 40), "AKIA"),
        token("hf_", 33),
    ];
    for text in table {
        assert_eq!(rules(&text), [], "{text}");
    }
}

#[test]
fn positions_are_those_of_the_file() {
    let text = format!("{}\nab {}\n", "line\n".repeat(200_000), token("npm_", 36));
    let found = &scan(text.as_bytes())[0];
    assert_eq!(
        (found.line, found.column, found.offset),
        (200_002, 4, 1_000_004)
    );
}

#[test]
fn names_of_variables() {
    for (name, value, expected) in [
        ("GITHUB_TOKEN", None, true),
        ("DB_PASSWORD", Some("hunter22"), true),
        ("api-key", Some("abcdef"), true),
        ("OPENAI_API_KEY", Some("sk"), true),
        ("MY_SECRET", Some("${OTHER}"), true),
        ("TOKENIZERS_PARALLELISM", Some("false"), false),
        (
            "GPG_KEY",
            Some("E3FF2839C048B25C084DEBE9B26995E310250568"),
            false,
        ),
        ("PASSWORD_FILE", Some("x"), false),
        ("SECRET_NAME", Some("x"), false),
        ("MAX_TOKEN", Some("x"), false),
        ("TOKEN", Some(""), false),
        ("DB_PASSWORD", Some("/run/secrets/db"), false),
        ("PWD", Some("/app"), false),
        ("PATH", Some("/bin"), false),
    ] {
        assert_eq!(names_secret(name, value), expected, "{name}={value:?}");
    }
}

#[test]
fn text_is_redacted() {
    assert_eq!(
        redact("git+https://user:pass@host/x"),
        "git+https://…@host/x"
    );
    assert_eq!(redact("ssh://git@host/x a@b"), "ssh://git@host/x a@b");
    assert_eq!(redact("https://host/a@b"), "https://host/a@b");
    assert_eq!(masked(b"abcdefghijklmnop"), "abcd…");
    assert_eq!(masked(b"abcd"), "a…");
}
