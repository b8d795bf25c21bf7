//! Variables whose names say that they hold a secret.

/// Words of a name that say so.
const SECRET_WORDS: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "APIKEY",
    "CREDENTIALS",
    "CREDENTIAL",
    "PRIVATEKEY",
    "ACCESSKEY",
];

/// Two words that say so together.
const SECRET_PAIRS: [(&str, &str); 5] = [
    ("API", "KEY"),
    ("ACCESS", "KEY"),
    ("PRIVATE", "KEY"),
    ("AUTH", "KEY"),
    ("ENCRYPTION", "KEY"),
];

/// Last words of names that say where a secret is, or something about it.
const ABOUT: [&str; 22] = [
    "FILE",
    "PATH",
    "DIR",
    "URL",
    "URI",
    "NAME",
    "ID",
    "TTL",
    "HEADER",
    "EXPIRY",
    "EXPIRES",
    "EXPIRATION",
    "LENGTH",
    "LIMIT",
    "TYPE",
    "VERSION",
    "ENABLED",
    "REQUIRED",
    "ALGORITHM",
    "COUNT",
    "MAX",
    "PROVIDER",
];

/// Whether a variable is likely to hold a secret: by its name, unless its value says otherwise.
/// Without a value (`ARG TOKEN`) somebody is to give one, and it stays in the history.
pub fn names_secret(name: &str, value: Option<&str>) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper
        .split(['_', '-', '.'])
        .filter(|word| !word.is_empty())
        .collect();
    let Some(last) = words.last() else {
        return false;
    };
    // `PWD` alone is the shell's working directory.
    let is_secret = words
        .iter()
        .any(|word| SECRET_WORDS.contains(word) && (*word != "PWD" || words.len() > 1))
        || words
            .windows(2)
            .any(|pair| SECRET_PAIRS.contains(&(pair[0], pair[1])));
    let is_public = words
        .iter()
        .any(|word| matches!(*word, "PUBLIC" | "MAX" | "NUM"));
    if !is_secret || is_public || ABOUT.contains(last) {
        return false;
    }
    value.is_none_or(|value| !is_harmless(value))
}

/// Empty, a switch, a number, a path.
fn is_harmless(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let lower = value.to_ascii_lowercase();
    value.is_empty()
        || matches!(
            lower.as_str(),
            "true" | "false" | "none" | "null" | "yes" | "no"
        )
        || (value.len() < 8 && value.bytes().all(|b| b.is_ascii_digit()))
        || value.starts_with("/run/secrets/")
        || (value.starts_with('/') && value[1..].contains('/'))
}
