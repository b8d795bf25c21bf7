//! Newtypes for names. A value that exists is valid: parse at the edge, then trust.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {} {kind}: {rule}", article(kind))]
pub struct NameError {
    /// What was wanted.
    pub kind: &'static str,
    /// What was given.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the rule of this kind of name.
            ///
            /// # Errors
            /// [`NameError`] with the rule that the text breaks.
            pub fn parse(value: impl Into<String>) -> Result<Self, NameError> {
                let value = value.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&value) {
                    Ok(Self(value))
                } else {
                    Err(NameError { kind: $kind, value, rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(value: String) -> Result<Self, NameError> {
                Self::parse(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

/// Lower-case letters, digits, inner hyphens; starts with a letter; at most `longest` characters.
fn is_label(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

name!(
    /// Name of an environment in our configuration, such as `staging`.
    EnvironmentName, "environment name",
    "lower-case letters, digits and hyphens, starting with a letter, at most 30 characters",
    |text| is_label(text, 30)
);
name!(
    /// Name of a Cloud Run service: fewer than 50 characters (v2 rule).
    ServiceName, "service name",
    "lower-case letters, digits and hyphens, starting with a letter, not ending with a hyphen, fewer than 50 characters",
    |text| is_label(text, 49)
);
name!(
    /// Name of a revision, without its path: fewer than 64 characters.
    RevisionName, "revision name",
    "lower-case letters, digits and hyphens, starting with a letter, not ending with a hyphen, fewer than 64 characters",
    |text| is_label(text, 63)
);
name!(
    /// A traffic tag. Together with the service name at most 46 characters, which `plan` checks.
    TagName, "traffic tag",
    "lower-case letters, digits and hyphens, starting with a letter, not ending with a hyphen, at most 46 characters",
    |text| is_label(text, 46)
);
name!(
    /// A Google Cloud region, such as `us-central1`.
    Region, "region",
    "lower-case letters, digits and hyphens, such as us-central1",
    |text| is_label(text, 40) && text.contains('-')
);
name!(
    /// A Google Cloud project: its identifier (also `example.com:project`) or its number.
    ProjectId, "project",
    "a project identifier (6 to 30 lower-case letters, digits and hyphens) or a project number",
    |text| {
        let local = text.rsplit_once(':').map_or(text, |(_, local)| local);
        let number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        number || (local.len() >= 4 && is_label(local, 30))
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_article_of_its_kind() {
        let of = |kind| {
            let error = NameError {
                kind,
                value: "x".to_owned(),
                rule: "its rule",
            };
            error.to_string()
        };
        assert_eq!(of("image digest"), "`x` is not an image digest: its rule");
        assert_eq!(of("commit"), "`x` is not a commit: its rule");
    }

    #[test]
    fn a_service_name_has_fewer_than_50_characters() {
        assert!(ServiceName::parse("a".repeat(49)).is_ok());
        assert!(ServiceName::parse("a".repeat(50)).is_err());
    }

    #[test]
    fn a_name_neither_ends_with_a_hyphen_nor_starts_with_a_digit() {
        for wrong in ["", "-a", "a-", "1a", "A", "a_b", "ä"] {
            assert!(ServiceName::parse(wrong).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn a_project_is_an_identifier_or_a_number() {
        for right in ["demo-project", "example.com:demo", "123456789012"] {
            assert!(ProjectId::parse(right).is_ok(), "{right} was refused");
        }
        assert!(ProjectId::parse("Demo").is_err());
    }
}
