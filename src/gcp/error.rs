//! What an API answered instead of a result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloud_api::rpc::{ErrorBody, ErrorStatus, OperationError};
use cloud_api::token::OAuthError;
use delivery::diagnostic::{Code, Diagnostic};
use serde_json::Value;

use super::advice::{self, Facts};

/// Longest text of a server that is carried on, in characters.
const LONGEST_MESSAGE: usize = 2_000;

/// Why a call brought no result. Holds neither tokens nor request bodies.
#[derive(Debug, thiserror::Error)]
pub enum GcpError {
    /// The API answered with an error.
    #[error("{call}: {refusal}")]
    Refused {
        /// What was asked, such as `GET services/ml-api`.
        call: String,
        /// The answer.
        refusal: Box<Refusal>,
    },
    /// No answer came.
    #[error("{call}: {failure}")]
    Unanswered {
        /// What was asked.
        call: String,
        /// What went wrong on the way.
        failure: Failure,
        /// How often it was asked.
        tries: Tries,
        /// The client's error, without the URL.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not what the API documents.
    #[error("{call}: the answer cannot be read")]
    Unreadable {
        /// What was asked.
        call: String,
        /// Where it stops making sense.
        #[source]
        source: serde_json::Error,
    },
    /// There was no token to call with.
    #[error("{0}")]
    Credentials(Box<Diagnostic>),
}

/// What went wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A host on this machine or in its network refused the connection: nothing listens there, and
    /// nothing will unless somebody starts it.
    NobodyListens,
    /// The request cannot be sent at all, as with a URL that is none.
    NotSent,
    /// The request was surely not received.
    NotConnected,
    /// No answer within the time given; the request may have been received.
    TimedOut,
    /// The connection was lost; the request may have been received.
    Lost,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NobodyListens => "nothing listens there",
            Self::NotSent => "it cannot be sent",
            Self::NotConnected => "no connection could be made",
            Self::TimedOut => "no answer came in time",
            Self::Lost => "the connection was lost",
        })
    }
}

/// How often something was asked, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Times that it was asked; 0 and 1 mean once.
    pub count: u32,
    /// From the first time to the last failure.
    pub elapsed: Duration,
}

impl Tries {
    /// ` (asked 5 times within 6.2 s)`, or nothing for a single time.
    pub(crate) fn in_words(self) -> String {
        let Self { count, elapsed } = self;
        match count {
            0 | 1 => String::new(),
            _ => format!(
                " (asked {count} times within {:.1} s)",
                elapsed.as_secs_f64()
            ),
        }
    }
}

/// An error that an API answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub http: u16,
    /// Canonical code name such as `ABORTED`, or an OAuth code such as `invalid_grant`.
    pub status: String,
    /// The server's text.
    pub message: String,
    /// `ErrorInfo.reason`, such as `SERVICE_DISABLED`.
    pub reason: Option<String>,
    /// `ErrorInfo.metadata.service`, such as `run.googleapis.com`.
    pub service: Option<String>,
    /// Who was refused, as IAM policies name it, where that is known.
    pub caller: Option<String>,
    /// The project that was asked about, where the call's path does not name it.
    pub project: Option<String>,
    /// `BadRequest` violations as `field: description`.
    pub violations: Vec<String>,
    /// How often it was asked.
    pub tries: Tries,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.http)?;
        if !self.status.is_empty() {
            write!(f, " {}", self.status)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl Refusal {
    /// Reads an error answer: `google.rpc.Status`, the OAuth form, or any other text.
    pub fn parse(http: u16, body: &[u8]) -> Self {
        if let Ok(ErrorBody { error }) = serde_json::from_slice::<ErrorBody>(body) {
            return Self::from_status(http, error);
        }
        if let Ok(OAuthError {
            error,
            error_description,
        }) = serde_json::from_slice::<OAuthError>(body)
        {
            return Self {
                http,
                status: error,
                message: cut(&error_description),
                ..Self::default()
            };
        }
        let text = String::from_utf8_lossy(body);
        Self {
            http,
            message: cut(text.trim()),
            ..Self::default()
        }
    }

    fn from_status(http: u16, error: ErrorStatus) -> Self {
        let ErrorStatus {
            code: _,
            message,
            status,
            details,
        } = error;
        let mut refusal = Self {
            http,
            status,
            message: cut(&message),
            ..Self::default()
        };
        for detail in &details {
            refusal.read_detail(detail);
        }
        refusal
    }

    fn read_detail(&mut self, detail: &Value) {
        let text = |path: &str| {
            detail
                .pointer(path)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let kind = text("/@type").unwrap_or_default();
        if kind.ends_with("google.rpc.ErrorInfo") {
            self.reason = text("/reason");
            self.service = text("/metadata/service");
        } else if kind.ends_with("google.rpc.BadRequest") {
            let violations = detail.get("fieldViolations").and_then(Value::as_array);
            for violation in violations.into_iter().flatten() {
                let part = |key: &str| violation.get(key).and_then(Value::as_str).unwrap_or("");
                let line = format!("{}: {}", part("field"), part("description"));
                self.violations.push(cut(&line));
            }
        }
    }

    /// The API is off in the project.
    pub fn is_disabled(&self) -> bool {
        self.reason.as_deref() == Some("SERVICE_DISABLED")
    }

    /// Somebody else wrote in between: the etag no longer fits.
    pub fn is_conflict(&self) -> bool {
        self.status == "ABORTED"
            || (self.http == 409 && self.message.starts_with("Conflict for resource"))
    }

    /// It exists already.
    pub fn already_exists(&self) -> bool {
        self.http == 409 && !self.is_conflict()
    }
}

impl GcpError {
    /// Says who called, so that the way out can name it.
    #[must_use]
    pub fn of_caller(mut self, caller: Option<String>) -> Self {
        if let Self::Refused { refusal, .. } = &mut self {
            refusal.caller = caller;
        }
        self
    }

    /// Says which project was asked about, where the call's path does not name it.
    #[must_use]
    pub fn of_project(mut self, project: impl Into<String>) -> Self {
        if let Self::Refused { refusal, .. } = &mut self {
            refusal.project = Some(project.into());
        }
        self
    }

    /// Says how often it was asked before it was given up.
    #[must_use]
    pub(crate) fn after(mut self, told: Tries) -> Self {
        match &mut self {
            Self::Refused { refusal, .. } => refusal.tries = told,
            Self::Unanswered { tries, .. } => *tries = told,
            Self::Unreadable { .. } | Self::Credentials(_) => {}
        }
        self
    }

    /// The refusal, if the API answered one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// HTTP status of the refusal, if the API answered one.
    pub fn http(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.http)
    }

    /// True when a write may have been carried out although no good answer came.
    pub fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.http >= 500 && refusal.http != 501,
            Self::Unanswered { failure, .. } => {
                matches!(failure, Failure::TimedOut | Failure::Lost)
            }
            Self::Unreadable { .. } => true,
            Self::Credentials(_) => false,
        }
    }

    /// The diagnostic; `doing` completes "cannot …", such as `read the service ml-api`.
    pub fn into_diagnostic(self, doing: &str) -> Diagnostic {
        let title = format!("cannot {doing}");
        match self {
            Self::Credentials(diagnostic) => *diagnostic,
            Self::Refused { call, refusal } => refusal_diagnostic(&title, &call, &refusal),
            Self::Unanswered {
                call,
                failure,
                tries,
                source,
            } => unanswered_diagnostic(&title, &call, failure, tries, source.as_ref()),
            Self::Unreadable { call, source } => Diagnostic::error(Code::CloudFailed, title)
                .cause(format!("{call}: the answer cannot be read"))
                .cause(without_quote(&source.to_string()))
                .help("run again; if it stays, a proxy may answer in the API's place"),
        }
    }
}

/// The parser's text without what it quotes from the answer, which may be a token.
fn without_quote(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}…{}", &text[..=first], &text[last..])
        }
        _ => text.to_owned(),
    }
}

/// What to do when nothing listens where the local cloud should be.
pub(crate) const START_LOCAL_CLOUD: &str = "start the local cloud: `ml-deploy emulator`; or take input `cloud_url` (variable ML_DEPLOY_CLOUD_URL) away to reach Google";

fn unanswered_diagnostic(
    title: &str,
    call: &str,
    failure: Failure,
    tries: Tries,
    source: &dyn std::error::Error,
) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(Code::CloudFailed, title)
        .cause(format!("{call}: {failure}{}", tries.in_words()));
    // A refused connection has no further cause, only more words.
    if failure != Failure::NobodyListens {
        diagnostic.cause.extend(chain(source));
    }
    diagnostic.help(match failure {
        Failure::NobodyListens => START_LOCAL_CLOUD,
        Failure::NotSent | Failure::NotConnected | Failure::TimedOut | Failure::Lost => {
            "check the network, the proxy variables and the API's status, then run again"
        }
    })
}

fn refusal_diagnostic(title: &str, call: &str, refusal: &Refusal) -> Diagnostic {
    let code = match (refusal.http, refusal.status.as_str()) {
        (401, _) | (_, "UNAUTHENTICATED") => Code::CredentialsRefused,
        (403, _) | (_, "PERMISSION_DENIED") => Code::PermissionDenied,
        _ => Code::CloudFailed,
    };
    let tries = refusal.tries.in_words();
    let mut diagnostic =
        Diagnostic::error(code, title).cause(format!("{call} was answered {refusal}{tries}"));
    diagnostic.cause.extend(refusal.violations.iter().cloned());
    explained(diagnostic, refusal, &Facts::of_call(call))
}

/// Adds what is known about a refusal: why it happens, and the way out.
pub(crate) fn explained(
    mut diagnostic: Diagnostic,
    refusal: &Refusal,
    facts: &Facts,
) -> Diagnostic {
    let advice::Advice { id: _, cause, help } = advice::for_refusal(refusal, facts);
    if !cause.is_empty() {
        diagnostic.cause.push(cause);
    }
    diagnostic.help.extend(help);
    diagnostic
}

/// The texts of an error and of everything below it, outermost first.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        source = error.source();
    }
    texts
}

/// An operation's error as a refusal: gRPC code → canonical name.
pub fn operation_refusal(error: &OperationError) -> Refusal {
    let OperationError {
        code,
        message,
        details,
    } = error;
    let (http, status) = match code {
        3 => (400, "INVALID_ARGUMENT"),
        5 => (404, "NOT_FOUND"),
        6 => (409, "ALREADY_EXISTS"),
        7 => (403, "PERMISSION_DENIED"),
        8 => (429, "RESOURCE_EXHAUSTED"),
        9 => (400, "FAILED_PRECONDITION"),
        10 => (409, "ABORTED"),
        13 => (500, "INTERNAL"),
        14 => (503, "UNAVAILABLE"),
        16 => (401, "UNAUTHENTICATED"),
        _ => (500, "UNKNOWN"),
    };
    let mut refusal = Refusal {
        http,
        status: status.to_owned(),
        message: cut(message),
        ..Refusal::default()
    };
    for detail in details {
        refusal.read_detail(detail);
    }
    refusal
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
