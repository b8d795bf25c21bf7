//! What goes wrong at a registry.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::ImageDigest;

use super::RegistryAddress;
use super::advice::explain_refusal;
use crate::gcp::error::{START_LOCAL_CLOUD, Tries};

/// `503 UNAVAILABLE: its own text`; a proxy's answer has neither code nor text.
fn answer(status: u16, code: &str, message: &str) -> String {
    let gap = if code.is_empty() { "" } else { " " };
    let colon = if message.is_empty() { "" } else { ": " };
    format!("{status}{gap}{code}{colon}{message}")
}

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It answered with an error.
    #[error("the registry answered {}{}", answer(*status, code, message), tries.in_words())]
    Refused {
        /// How often it was asked.
        tries: Tries,
        /// HTTP status.
        status: u16,
        /// Code of the distribution specification, such as `DENIED`; may be empty.
        code: String,
        /// The registry's own text.
        message: String,
    },
    /// It did not answer, also not when asked again.
    #[error("the registry did not answer{}", tries.in_words())]
    Unanswered {
        /// How often it was asked.
        tries: Tries,
        /// The causes, outermost first.
        causes: Vec<String>,
    },
    /// A registry on this machine, or in its network, that is not there.
    #[error("nothing listens there")]
    NobodyListens,
    /// It answered something else than the specification says.
    #[error("the registry's answer is not understood: {0}")]
    Unexpected(String),
    /// The tag stands for another image.
    #[error("the tag `{tag}` stands for {existing} already, not for {wanted}")]
    TagTaken {
        /// The tag.
        tag: String,
        /// What it stands for.
        existing: ImageDigest,
        /// What it was to stand for.
        wanted: ImageDigest,
    },
    /// After the tag was put, the registry answered another digest for it.
    #[error("the registry answers {got} for `{reference}`, not {wanted}")]
    Mismatch {
        /// What was asked for.
        reference: String,
        /// What the registry answers.
        got: String,
        /// What it should be.
        wanted: ImageDigest,
    },
    /// There is no such image.
    #[error("there is no image {0}")]
    NoSuchImage(ImageDigest),
}

impl RegistryError {
    /// Says how often it was asked before it was given up.
    pub(super) fn after(mut self, told: Tries) -> Self {
        if let Self::Refused { tries, .. } = &mut self {
            *tries = told;
        }
        self
    }

    /// Whether a tag could not be moved because its repository forbids it. The substring is the
    /// one that Artifact Registry answers.
    pub(crate) fn is_immutable_tag(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if super::advice::names_immutability(message))
    }

    /// For people; `doing` completes "cannot …", such as `tag the image v1.2.3`.
    pub(crate) fn into_diagnostic(self, doing: &str, address: &RegistryAddress) -> Diagnostic {
        let title = format!("cannot {doing}");
        let place = format!("{}/{}", address.host, address.path);
        match self {
            Self::Refused { status, ref code, ref message, tries: _ } => {
                let text = format!("{status} {code} {message}");
                let mut diagnostic = explain_refusal(Code::RegistryFailed, &title, &text, address);
                diagnostic.cause.insert(0, self.to_string());
                diagnostic.at(place)
            }
            Self::Unanswered { ref causes, .. } => {
                let mut diagnostic = Diagnostic::error(Code::RegistryFailed, title)
                    .at(place)
                    .cause(self.to_string())
                    .help(format!("check that {} can be reached from here, then run again", address.base_url));
                diagnostic.cause.extend(causes.iter().cloned());
                diagnostic
            }
            Self::NobodyListens => Diagnostic::error(Code::RegistryFailed, title)
                .at(place)
                .cause(self.to_string())
                .help(START_LOCAL_CLOUD),
            Self::TagTaken { ref tag, .. } => Diagnostic::error(Code::RegistryFailed, title)
                .at(place)
                .help(format!(
                    "`{tag}` was released from another image before; a release keeps its image: give the new one a new version"
                ))
                .cause(self.to_string()),
            Self::Mismatch { .. } => Diagnostic::error(Code::DigestMismatch, title)
                .at(place)
                .cause(self.to_string())
                .help("another run may push to the same tag: see that only one does, then run again"),
            Self::NoSuchImage(_) => Diagnostic::error(Code::RegistryFailed, title)
                .at(place)
                .cause(self.to_string())
                .help("it may have been deleted by a clean-up policy: build the commit again on its branch"),
            Self::Unexpected(_) => Diagnostic::error(Code::RegistryFailed, title)
                .at(place)
                .cause(self.to_string())
                .help("a proxy may answer in the registry's place: check the address and the proxy variables"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_code_or_text_leaves_no_gap() {
        let told = |code: &str, message: &str| {
            let error = RegistryError::Refused {
                tries: Tries::default(),
                status: 503,
                code: code.to_owned(),
                message: message.to_owned(),
            };
            error.to_string()
        };
        assert_eq!(
            told("DENIED", "not you"),
            "the registry answered 503 DENIED: not you"
        );
        assert_eq!(told("", "not you"), "the registry answered 503: not you");
        assert_eq!(told("DENIED", ""), "the registry answered 503 DENIED");
        assert_eq!(told("", ""), "the registry answered 503");
    }
}
