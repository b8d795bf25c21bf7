//! Variables and secrets that the environment before has, and this one would not have: the release
//! was tested with them, and will miss them here.

use crate::configuration::Configuration;
use crate::diagnostic::{Code, Diagnostic};
use crate::difference::place_in_words;
use crate::name::EnvironmentName;
use crate::plan::RESERVED_VARIABLES;
use crate::policy::Mode;
use crate::spec::SecretPlace;

/// The environment before, as its service is configured now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its name.
    pub environment: EnvironmentName,
    /// What serves there.
    pub configuration: Configuration,
    /// What a difference does to the run.
    pub mode: Mode,
}

/// What would be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Names of variables, sorted.
    pub variables: Vec<String>,
    /// Names or paths of secrets, sorted.
    pub secrets: Vec<String>,
}

impl Drift {
    /// True when nothing would be missing.
    pub fn is_none(&self) -> bool {
        self.variables.is_empty() && self.secrets.is_empty()
    }

    /// Each missing thing in words.
    pub fn lines(&self) -> Vec<String> {
        let Self { variables, secrets } = self;
        let variables = variables.iter().map(|name| format!("variable {name}"));
        let secrets = secrets.iter().map(|name| format!("secret {name}"));
        variables.chain(secrets).collect()
    }
}

/// What `earlier` has and `here` would not. A name counts as there whether it is a plain variable or
/// comes from a secret: environments may differ in that on purpose. The variables of this program and
/// of the platform are no matter.
pub fn drift(earlier: &Configuration, here: &Configuration) -> Drift {
    let has_name = |name: &str| {
        let place = SecretPlace::Variable(name.to_owned());
        here.variables.contains_key(name) || here.secrets.contains_key(&place)
    };
    let variables = earlier
        .variables
        .keys()
        .filter(|name| !RESERVED_VARIABLES.contains(&name.as_str()) && !has_name(name))
        .cloned()
        .collect();
    let secrets = earlier
        .secrets
        .keys()
        .filter(|place| match place {
            SecretPlace::Variable(name) => !has_name(name),
            SecretPlace::File(_) => !here.secrets.contains_key(*place),
        })
        .map(|place| place_in_words(place).to_owned())
        .collect();
    Drift { variables, secrets }
}

/// The same as a finding; none when nothing is missing, or nobody wants to know.
pub fn check_drift(
    earlier: &Earlier,
    here: &Configuration,
    name: &EnvironmentName,
) -> Option<Diagnostic> {
    let Earlier {
        environment,
        configuration,
        mode,
    } = earlier;
    let drift = drift(configuration, here);
    if drift.is_none() || *mode == Mode::Off {
        return None;
    }
    let found = Diagnostic::error(
        Code::ConfigurationDrift,
        format!(
            "{name} would lack what {environment} has: {}",
            drift.lines().join(", ")
        ),
    )
    .cause(format!(
        "the release was tested in {environment} with them; values are not compared"
    ))
    .help(format!(
        "set them for {name} in .github/ml-deploy.yml (`env_vars`, `secrets`), or remove them from {environment}"
    ))
    .help("if the difference is meant, say `drift: off`");
    Some(match mode {
        Mode::Error => found,
        Mode::Warn | Mode::Off => found.as_warning(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::configuration::{Hidden, SecretSource};
    use crate::diagnostic::Level;

    fn configuration(variables: &[&str], secrets: &[&str]) -> Configuration {
        let source = SecretSource {
            secret: "s".to_owned(),
            version: "1".to_owned(),
        };
        let place = |name: &str| {
            if name.starts_with('/') {
                SecretPlace::File(name.to_owned())
            } else {
                SecretPlace::Variable(name.to_owned())
            }
        };
        Configuration {
            variables: variables
                .iter()
                .map(|name| ((*name).to_owned(), Hidden::new("hunter2")))
                .collect(),
            secrets: secrets
                .iter()
                .map(|name| (place(name), source.clone()))
                .collect::<BTreeMap<_, _>>(),
            ..Configuration::default()
        }
    }

    #[test]
    fn the_table_of_what_is_missing() {
        type Names = &'static [&'static str];
        let rows: [(Names, Names, Names, Names, Names); 6] = [
            (&["A"], &[], &["A"], &[], &[]),
            (&["A", "B"], &[], &["B"], &[], &["variable A"]),
            // More here than there is no matter.
            (&[], &[], &["A"], &["K"], &[]),
            // From a secret there, plain here, and the other way round.
            (&["A"], &["K"], &["K"], &["A"], &[]),
            (&[], &["K", "/f"], &[], &[], &["secret K", "secret /f"]),
            (&["ML_DEPLOY_COMMIT", "PORT"], &[], &[], &[], &[]),
        ];
        for (variables, secrets, ours, our_secrets, missing) in rows {
            let there = configuration(variables, secrets);
            let here = configuration(ours, our_secrets);
            assert_eq!(drift(&there, &here).lines(), missing, "{there:?} {here:?}");
        }
    }

    #[test]
    fn the_mode_decides_what_it_does_to_the_run() {
        let name = |text: &str| EnvironmentName::parse(text).unwrap();
        let found = |mode| {
            let earlier = Earlier {
                environment: name("staging"),
                configuration: configuration(&["A"], &[]),
                mode,
            };
            check_drift(&earlier, &Configuration::default(), &name("production"))
        };
        assert_eq!(found(Mode::Off), None);
        assert_eq!(found(Mode::Warn).map(|one| one.level), Some(Level::Warning));
        let error = found(Mode::Error).unwrap();
        assert_eq!(error.level, Level::Error);
        assert_eq!(
            error.title,
            "production would lack what staging has: variable A"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
