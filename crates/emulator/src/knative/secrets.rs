//! Names of secrets: v2 takes a path, v1 an alias that an annotation explains.

use crate::error::ApiError;
use crate::run::check::refuse;

/// The annotation with the aliases: `ALIAS:projects/P/secrets/NAME,…`.
pub(super) const ANNOTATION: &str = "run.googleapis.com/secrets";

/// Aliases and what they stand for, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Aliases {
    known: Vec<(String, String)>,
    /// Those that were asked for.
    used: Vec<String>,
}

impl Aliases {
    /// Reads the annotation.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for another form; `field` is the path of the annotations.
    pub(super) fn parse(field: &str, text: Option<&str>) -> Result<Self, ApiError> {
        let entries = text.unwrap_or_default().split(',').map(str::trim);
        let known =
            entries
                .filter(|entry| !entry.is_empty())
                .map(|entry| match entry.split_once(':') {
                    Some((alias, path)) if path.starts_with("projects/") => {
                        Ok((alias.to_owned(), path.to_owned()))
                    }
                    _ => Err(refuse(
                        &format!("{field}[{ANNOTATION}]"),
                        &format!(
                            "'{entry}' must have the form ALIAS:projects/PROJECT/secrets/NAME."
                        ),
                    )),
                });
        Ok(Self {
            known: known.collect::<Result<_, _>>()?,
            used: Vec::new(),
        })
    }

    /// The name in v2 of a name in v1.
    pub(super) fn path(&self, name: &str) -> String {
        let known = self.known.iter().find(|(alias, _)| alias == name);
        known.map_or(name, |(_, path)| path).to_owned()
    }

    /// The name in v1 of a name in v2; a path gets an alias if it has none.
    pub(super) fn name(&mut self, secret: &str) -> String {
        if !secret.contains('/') {
            return secret.to_owned();
        }
        let known = self.known.iter().find(|(_, path)| path == secret);
        let alias = match known {
            Some((alias, _)) => alias.clone(),
            None => {
                let alias = format!("secret-{:016x}", hash(secret));
                self.known.push((alias.clone(), secret.to_owned()));
                alias
            }
        };
        self.used.push(alias.clone());
        alias
    }

    /// The annotation for the names that were asked for; `None`: no alias is needed.
    pub(super) fn write(&self) -> Option<String> {
        let used = self.known.iter();
        let used = used.filter(|(alias, _)| self.used.contains(alias));
        let entries: Vec<String> = used
            .map(|(alias, path)| format!("{alias}:{path}"))
            .collect();
        (!entries.is_empty()).then(|| entries.join(","))
    }
}

/// FNV-1a: the same path gets the same alias.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_an_alias_and_an_alias_a_path() {
        let mut aliases =
            Aliases::parse("f", Some("k:projects/p/secrets/key,x:projects/p/secrets/y"))
                .expect("aliases");
        assert_eq!(aliases.path("k"), "projects/p/secrets/key");
        assert_eq!(aliases.path("plain"), "plain");
        assert_eq!(aliases.name("plain"), "plain");
        assert_eq!(aliases.write(), None);
        assert_eq!(aliases.name("projects/p/secrets/key"), "k");
        assert_eq!(aliases.write().as_deref(), Some("k:projects/p/secrets/key"));
        let made = aliases.name("projects/q/secrets/other");
        let again = Aliases::parse("f", aliases.write().as_deref()).expect("aliases");
        assert_eq!(again.path(&made), "projects/q/secrets/other");
        assert!(Aliases::parse("f", Some("k=projects/p/secrets/key")).is_err());
    }
}
