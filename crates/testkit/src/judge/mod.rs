//! Judges what was said to the local cloud, and what it answered, by documents that are not ours:
//! Google's discovery documents and GitHub's OpenAPI description.
//!
//! ```text
//! exchange ─▶ which API? ─┬─ discovery document: method, query, body, answer   (google.rs, value.rs)
//!                         ├─ OpenAPI description: the same                     (github.rs)
//!                         └─ no API of these: the registry, OAuth, OIDC        (passed by, counted)
//! ```
//!
//! The documents come with packages that `scripts/setup` puts into `.tools`; none is kept here.

mod any;
mod discovery;
mod error;
mod github;
mod google;
mod mask;
mod openapi;
mod route;
mod scalar;
mod tools;
mod value;
mod verdict;

use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use emulator::Emulator;
use emulator::admin::Exchange;

pub use tools::{Missing, tools};
pub use verdict::{Part, Verdict, Violation};

use discovery::Document;
use github::GitHub;
use google::Google;

/// The documents, read.
pub struct Judge {
    documents: Vec<Document>,
    github: OnceLock<GitHub>,
    github_text: String,
}

impl Judge {
    /// Reads the documents.
    ///
    /// # Errors
    /// When one is not there, or is no such document.
    pub fn load() -> Result<Self, Missing> {
        Ok(Self {
            documents: tools::discovery_documents()?
                .into_iter()
                .map(|(name, document)| Document::new(name, document))
                .collect(),
            github: OnceLock::new(),
            github_text: tools::github_description()?,
        })
    }

    /// The judge of this process; reading the documents takes a while.
    ///
    /// # Errors
    /// As [`Judge::load`].
    pub fn shared() -> Result<&'static Self, &'static Missing> {
        static SHARED: OnceLock<Result<Judge, Missing>> = OnceLock::new();
        SHARED.get_or_init(Self::load).as_ref()
    }

    /// Judges the exchanges of one world, in their order: what was answered may be sent back.
    pub fn judge(&self, exchanges: &[Exchange]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut google = Google::new(&self.documents);
        for (index, exchange) in exchanges.iter().enumerate() {
            verdict.next(index + 1, exchange);
            if exchange.path.starts_with("/_emulator/") {
                continue;
            }
            if let Some(name) = passed_by(exchange) {
                verdict.passed_by(name);
            } else if github::is_asked(exchange) {
                let github = self.github.get_or_init(|| GitHub::new(&self.github_text));
                github.judge(exchange, &mut verdict);
            } else {
                google.judge(exchange, &mut verdict);
            }
        }
        verdict
    }
}

/// Judges all that a world recorded, and writes it down where `ML_DEPLOY_EXCHANGES` names a folder.
/// Without the documents nothing is judged, and a line says so; in CI that is a failure.
///
/// # Panics
/// When something is not as documented, or was not kept.
pub fn at_the_end(emulator: &Emulator) {
    if let Some(verdict) = verdict_at_the_end(emulator) {
        assert!(
            verdict.violations.is_empty(),
            "not as documented:\n{verdict}"
        );
    }
}

/// As [`at_the_end`], where what is asked is wrong on purpose: judges the answers only.
///
/// # Panics
/// As [`at_the_end`].
pub fn answers_at_the_end(emulator: &Emulator) {
    if let Some(mut verdict) = verdict_at_the_end(emulator) {
        verdict.keep_answers();
        assert!(
            verdict.violations.is_empty(),
            "not as documented:\n{verdict}"
        );
    }
}

fn verdict_at_the_end(emulator: &Emulator) -> Option<Verdict> {
    let exchanges = &emulator.world().exchanges;
    if let Some(folder) = std::env::var_os("ML_DEPLOY_EXCHANGES") {
        let port = emulator.world().config.listen.port();
        let name = format!("{}-{port}.jsonl", std::process::id());
        let written = exchanges.write(&Path::new(&folder).join(name));
        assert!(written.is_ok(), "exchanges cannot be written: {written:?}");
    }
    let judge = match Judge::shared() {
        Ok(judge) => judge,
        Err(missing) => {
            skip(missing);
            return None;
        }
    };
    assert_eq!(
        exchanges.dropped(),
        0,
        "the recorder could not keep everything"
    );
    Some(judge.judge(&exchanges.all()))
}

/// Says that something is not tested here because a tool is missing; in CI, where `scripts/setup`
/// has installed all of them, that is a failure.
///
/// # Panics
/// In CI.
pub fn skip(missing: impl std::fmt::Display) {
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Not captured by the test harness: who runs the tests shall see it.
    let _ = writeln!(std::io::stderr(), "skipped: {missing}");
}

/// What no discovery document describes: protocols with a standard of their own.
fn passed_by(exchange: &Exchange) -> Option<&'static str> {
    let path = exchange.path.as_str();
    let registry = path.strip_prefix("/v2").is_some_and(|rest| {
        let is_distribution = [
            "/manifests/",
            "/blobs/",
            "/tags/list",
            "/referrers/",
            "/_catalog",
        ]
        .iter()
        .any(|part| rest.contains(part));
        matches!(rest, "" | "/" | "/token") || is_distribution
    });
    if registry {
        return Some("OCI distribution");
    }
    if path.starts_with("/_github/") {
        return Some("GitHub's OIDC provider");
    }
    match path {
        // RFC 6749 and RFC 7523: what a service account key asks.
        "/token" => Some("OAuth token endpoint"),
        // RFC 7517.
        "/oauth2/v3/certs" => Some("Google's published keys"),
        _ => None,
    }
}
