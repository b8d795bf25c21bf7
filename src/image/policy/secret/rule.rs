//! Credentials by their form: a literal that every one of its kind holds, then a check of what
//! stands around it. Pure.
//!
//! The forms are those that the issuers publish, or that scanners agree on. Each rule has a guard
//! against what is common in packages: documentation examples, constants, test keys of libraries.

use super::pem;

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Key file of a Google service account.
    GoogleServiceAccountKey,
    /// Refresh token of a Google user (application default credentials).
    GoogleUserCredentials,
    /// Google API key.
    GoogleApiKey,
    /// Google OAuth access token.
    GoogleAccessToken,
    /// Google OAuth client secret.
    GoogleClientSecret,
    /// Private key in PEM form.
    PrivateKey,
    /// GitHub token of any kind.
    GithubToken,
    /// AWS access key identifier.
    AwsAccessKey,
    /// AWS secret access key beside its name.
    AwsSecretKey,
    /// Slack token.
    SlackToken,
    /// Slack webhook address.
    SlackWebhook,
    /// npm token.
    NpmToken,
    /// Python package index token.
    PypiToken,
    /// Hugging Face token.
    HuggingFaceToken,
}

impl Rule {
    /// In kebab-case, as findings name it.
    pub fn id(self) -> &'static str {
        match self {
            Self::GoogleServiceAccountKey => "google-service-account-key",
            Self::GoogleUserCredentials => "google-user-credentials",
            Self::GoogleApiKey => "google-api-key",
            Self::GoogleAccessToken => "google-access-token",
            Self::GoogleClientSecret => "google-client-secret",
            Self::PrivateKey => "private-key",
            Self::GithubToken => "github-token",
            Self::AwsAccessKey => "aws-access-key",
            Self::AwsSecretKey => "aws-secret-key",
            Self::SlackToken => "slack-token",
            Self::SlackWebhook => "slack-webhook",
            Self::NpmToken => "npm-token",
            Self::PypiToken => "pypi-token",
            Self::HuggingFaceToken => "hugging-face-token",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::GoogleServiceAccountKey => "a key of a Google service account",
            Self::GoogleUserCredentials => "the credentials of a Google user",
            Self::GoogleApiKey => "a Google API key",
            Self::GoogleAccessToken => "a Google access token",
            Self::GoogleClientSecret => "a Google OAuth client secret",
            Self::PrivateKey => "a private key",
            Self::GithubToken => "a GitHub token",
            Self::AwsAccessKey => "an AWS access key",
            Self::AwsSecretKey => "an AWS secret key",
            Self::SlackToken => "a Slack token",
            Self::SlackWebhook => "a Slack webhook",
            Self::NpmToken => "an npm token",
            Self::PypiToken => "a Python package index token",
            Self::HuggingFaceToken => "a Hugging Face token",
        }
    }
}

/// What must stand somewhere in a credential, and which form is checked then.
pub const LITERALS: &[(&[u8], Form)] = &[
    (b"PRIVATE KEY", Form::Pem),
    (b"authorized_user", Form::GoogleUser),
    (
        b"AIza",
        Form::Run {
            rule: Rule::GoogleApiKey,
            least: 35,
            most: 35,
            alphabet: Alphabet::Url,
            entropy: 3.5,
        },
    ),
    (
        b"ya29.",
        Form::Run {
            rule: Rule::GoogleAccessToken,
            least: 20,
            most: 2048,
            alphabet: Alphabet::Url,
            entropy: 3.0,
        },
    ),
    (
        b"GOCSPX-",
        Form::Run {
            rule: Rule::GoogleClientSecret,
            least: 28,
            most: 28,
            alphabet: Alphabet::Url,
            entropy: 3.0,
        },
    ),
    (b"ghp_", GITHUB),
    (b"gho_", GITHUB),
    (b"ghu_", GITHUB),
    (
        b"ghr_",
        Form::Run {
            rule: Rule::GithubToken,
            least: 36,
            most: 76,
            alphabet: Alphabet::Word,
            entropy: 3.0,
        },
    ),
    // Since 2026 longer, with dots: the fixed length of before would miss them.
    (
        b"ghs_",
        Form::Run {
            rule: Rule::GithubToken,
            least: 36,
            most: 1024,
            alphabet: Alphabet::Dotted,
            entropy: 3.0,
        },
    ),
    (
        b"github_pat_",
        Form::Run {
            rule: Rule::GithubToken,
            least: 82,
            most: 82,
            alphabet: Alphabet::Underscored,
            entropy: 3.0,
        },
    ),
    (b"AKIA", AWS),
    (b"ASIA", AWS),
    (b"ABIA", AWS),
    (b"ACCA", AWS),
    (b"aws_secret_access_key", Form::AwsSecret),
    (b"AWS_SECRET_ACCESS_KEY", Form::AwsSecret),
    (b"xoxb-", SLACK),
    (b"xoxp-", SLACK),
    (b"xoxa-", SLACK),
    (b"xoxr-", SLACK),
    (b"xapp-", SLACK),
    (b"hooks.slack.com/services/", Form::SlackHook),
    (
        b"npm_",
        Form::Run {
            rule: Rule::NpmToken,
            least: 36,
            most: 36,
            alphabet: Alphabet::Word,
            entropy: 3.0,
        },
    ),
    (
        b"pypi-AgEIcHlwaS5vcmc",
        Form::Run {
            rule: Rule::PypiToken,
            least: 50,
            most: 1000,
            alphabet: Alphabet::Url,
            entropy: 3.0,
        },
    ),
    (
        b"hf_",
        Form::Run {
            rule: Rule::HuggingFaceToken,
            least: 34,
            most: 37,
            alphabet: Alphabet::Word,
            entropy: 3.3,
        },
    ),
];

const GITHUB: Form = Form::Run {
    rule: Rule::GithubToken,
    least: 36,
    most: 36,
    alphabet: Alphabet::Word,
    entropy: 3.0,
};
const AWS: Form = Form::Run {
    rule: Rule::AwsAccessKey,
    least: 16,
    most: 16,
    alphabet: Alphabet::Base32,
    entropy: 2.5,
};
const SLACK: Form = Form::Slack;

/// How what stands around a literal is checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// A run of characters behind the literal, bounded on both sides.
    Run {
        /// The kind.
        rule: Rule,
        /// Fewest characters.
        least: usize,
        /// Most characters.
        most: usize,
        /// Which characters.
        alphabet: Alphabet,
        /// Least entropy of the run, in bits per character.
        entropy: f64,
    },
    /// A PEM block, with line ends or with `\n` as in JSON.
    Pem,
    /// JSON of a Google user's credentials.
    GoogleUser,
    /// A value of 40 characters beside its name.
    AwsSecret,
    /// Parts of digits and letters, separated by hyphens.
    Slack,
    /// `T…/B…/…`.
    SlackHook,
}

/// Characters of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters and digits.
    Word,
    /// And `_`.
    Underscored,
    /// And `_`, `-`: base64 for addresses.
    Url,
    /// And `_`, `-`, `.`.
    Dotted,
    /// Upper-case letters and 2 to 7.
    Base32,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Word => byte.is_ascii_alphanumeric(),
            Self::Underscored => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Base32 => byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7'),
        }
    }
}

/// A credential in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The kind.
    pub rule: Rule,
    /// Where it begins in the buffer.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Checks what stands around a literal that was found in a buffer.
pub fn examine(form: Form, buffer: &[u8], literal: std::ops::Range<usize>) -> Option<Hit> {
    match form {
        Form::Run {
            rule,
            least,
            most,
            alphabet,
            entropy,
        } => {
            let body = run(buffer, literal.end, alphabet);
            let fits = (least..=most).contains(&body.len());
            let is_bounded = !continues_a_word(buffer, literal.start);
            if !fits || !is_bounded || self::entropy(body) < entropy || is_placeholder(body) {
                return None;
            }
            Some(Hit {
                rule,
                start: literal.start,
                end: literal.end + body.len(),
            })
        }
        Form::Pem => pem::examine(buffer, literal),
        Form::GoogleUser => google_user(buffer, literal),
        Form::AwsSecret => aws_secret(buffer, literal),
        Form::Slack => slack(buffer, literal),
        Form::SlackHook => slack_hook(buffer, literal),
    }
}

/// Whether a literal is part of a longer word: base64, a name. A line's end that is written as `\n`
/// ends a word; so does the slash of `https://host/TOKEN`, other than one inside of base64.
fn continues_a_word(buffer: &[u8], start: usize) -> bool {
    let before = |count: usize| {
        start
            .checked_sub(count)
            .and_then(|at| buffer.get(at))
            .copied()
    };
    match (before(1), before(2)) {
        (Some(b'n' | b'r' | b't'), Some(b'\\')) => false,
        (Some(b'/'), other) => other.is_some_and(|byte| byte.is_ascii_alphanumeric()),
        (Some(byte), _) => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+'),
        (None, _) => false,
    }
}

fn run(buffer: &[u8], from: usize, alphabet: Alphabet) -> &[u8] {
    let rest = buffer.get(from..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| alphabet.has(**byte)).count();
    &rest[..length]
}

/// Bits per character (Shannon).
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let total = text.len() as f64;
    let one = |count: &u32| {
        let share = f64::from(*count) / total;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(one).sum()
}

/// Words of documentation, or one character over and over.
fn is_placeholder(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"example",
        b"xxxxxx",
        b"000000",
        b"aaaaaa",
        b"placeholder",
        b"redacted",
        b"changeme",
        b"dummy",
        b"sample",
        b"yourtoken",
        b"your_",
        b"******",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS
        .iter()
        .any(|word| lower.windows(word.len()).any(|window| window == *word))
}

/// How far around a literal its companions are looked for, in bytes.
const NEAR: usize = 2048;

fn near(buffer: &[u8], at: usize) -> (usize, &[u8]) {
    let start = at.saturating_sub(NEAR);
    (start, &buffer[start..(at + NEAR).min(buffer.len())])
}

/// `"refresh_token": "1//…"` in the same object.
fn google_user(buffer: &[u8], literal: std::ops::Range<usize>) -> Option<Hit> {
    let (start, around) = near(buffer, literal.start);
    let name = b"\"refresh_token\"";
    let at = around
        .windows(name.len())
        .position(|window| window == name)?
        + name.len();
    let rest = &around[at..];
    let skipped = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b':' | b'\n' | b'\t' | b'\r'))
        .count();
    let value = rest.get(skipped..)?.strip_prefix(b"\"")?;
    let length = value
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'.')
        })
        .count();
    let value = &value[..length];
    if length < 20 || entropy(value) < 3.0 || is_placeholder(value) {
        return None;
    }
    let begin = start + at + skipped + 1;
    Some(Hit {
        rule: Rule::GoogleUserCredentials,
        start: begin,
        end: begin + length,
    })
}

fn aws_secret(buffer: &[u8], literal: std::ops::Range<usize>) -> Option<Hit> {
    let rest = buffer.get(literal.end..(literal.end + 64).min(buffer.len()))?;
    let is_between = |byte: &&u8| matches!(**byte, b' ' | b'=' | b':' | b'"' | b'\'' | b'\t');
    let skipped = rest.iter().take_while(is_between).count();
    if skipped == 0 {
        return None;
    }
    let value = &rest[skipped..];
    let length = value
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))
        .count();
    let value = &value[..length];
    let is_hex = value.iter().all(u8::is_ascii_hexdigit);
    if length != 40 || is_hex || entropy(value) < 4.0 || is_placeholder(value) {
        return None;
    }
    let begin = literal.end + skipped;
    Some(Hit {
        rule: Rule::AwsSecretKey,
        start: begin,
        end: begin + length,
    })
}

/// `xoxb-1234567890-1234567890123-AbCdEf…`, `xapp-1-A1234567890-1234567890123-…`.
fn slack(buffer: &[u8], literal: std::ops::Range<usize>) -> Option<Hit> {
    let body = run(buffer, literal.end, Alphabet::Url);
    let parts: Vec<&[u8]> = body.split(|byte| *byte == b'-').collect();
    let long_number = parts
        .iter()
        .any(|part| part.len() >= 10 && part.iter().all(u8::is_ascii_digit));
    let last = parts.last().is_some_and(|part| part.len() >= 16);
    if parts.len() < 2 || !long_number || !last || is_placeholder(body) || entropy(body) < 3.0 {
        return None;
    }
    Some(Hit {
        rule: Rule::SlackToken,
        start: literal.start,
        end: literal.end + body.len(),
    })
}

fn slack_hook(buffer: &[u8], literal: std::ops::Range<usize>) -> Option<Hit> {
    let rest = buffer.get(literal.end..)?;
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'/')
        .count();
    let body = &rest[..length];
    let parts: Vec<&[u8]> = body.split(|byte| *byte == b'/').collect();
    let fits = matches!(parts.as_slice(), [team, bot, key, ..]
        if team.starts_with(b"T") && bot.starts_with(b"B") && team.len() >= 9 && bot.len() >= 9 && key.len() >= 20);
    if !fits || is_placeholder(body) {
        return None;
    }
    Some(Hit {
        rule: Rule::SlackWebhook,
        start: literal.start,
        end: literal.end + length,
    })
}
