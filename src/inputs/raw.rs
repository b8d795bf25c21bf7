//! What was said, as text: gathered once from arguments, environment and files.

use std::collections::BTreeMap;

use super::catalogue::{self, DEFAULT_CONFIG, INPUTS};
use super::origin::{Given, Origin};
use super::table::InputSpec;

/// The configuration file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFile {
    /// It is not there, and nobody asked for it by name.
    Absent,
    /// Its text.
    Text {
        /// As it was given.
        path: String,
        /// The whole text.
        text: String,
    },
    /// It was asked for, or is there, and cannot be read.
    Unreadable {
        /// As it was given.
        path: String,
        /// The system's reason.
        reason: String,
    },
}

/// What was said, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawInputs {
    /// Inputs, flags and environment variables by the input's name; one for each, the strongest.
    pub given: BTreeMap<&'static str, Given<String>>,
    /// Names of inputs that no input has.
    pub unknown: Vec<String>,
    /// The configuration file.
    pub config: ConfigFile,
}

/// What the runner itself sets beside the action's inputs, when `with:` has `entrypoint` or `args`.
const RUNNER_INPUTS: [&str; 2] = ["ENTRYPOINT", "ARGS"];

impl RawInputs {
    /// Takes flags (the strongest), `INPUT_*` and the variables that stand in for inputs.
    ///
    /// On a runner every declared input arrives, and an empty one means its default.
    pub fn gather(
        flags: &BTreeMap<&'static str, String>,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let mut given = BTreeMap::new();
        for spec in INPUTS.iter().filter(|spec| spec.action) {
            if let Some(text) = strongest(spec, flags, environment) {
                given.insert(spec.name, text);
            }
        }
        let unknown = environment
            .keys()
            .filter_map(|name| name.strip_prefix("INPUT_"))
            .filter(|name| !RUNNER_INPUTS.contains(name))
            .map(|name| name.to_lowercase())
            .filter(|name| !catalogue::find(name).is_some_and(|spec| spec.action))
            .collect();
        Self {
            given,
            unknown,
            config: ConfigFile::Absent,
        }
    }

    /// Where the configuration file is to be read, and whether it must be there.
    pub fn config_path(&self) -> (String, bool) {
        match self.given.get("config") {
            Some(given) if given.value.trim() != DEFAULT_CONFIG => {
                (given.value.trim().to_owned(), true)
            }
            _ => (DEFAULT_CONFIG.to_owned(), false),
        }
    }

    /// Adds the file, as it was found at [`Self::config_path`].
    #[must_use]
    pub fn with_config(mut self, found: std::io::Result<String>) -> Self {
        let (path, demanded) = self.config_path();
        self.config = match found {
            Ok(text) => ConfigFile::Text { path, text },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !demanded => {
                ConfigFile::Absent
            }
            Err(error) => ConfigFile::Unreadable {
                path,
                reason: error.to_string(),
            },
        };
        self
    }
}

fn strongest(
    spec: &InputSpec,
    flags: &BTreeMap<&'static str, String>,
    environment: &BTreeMap<String, String>,
) -> Option<Given<String>> {
    if let Some(text) = flags.get(spec.name) {
        return Some(Given::new(text.clone(), Origin::Flag(spec.flag())));
    }
    let said = |name: &str| {
        environment
            .get(name)
            .filter(|text| !text.trim().is_empty())
            .cloned()
    };
    if let Some(text) = said(&format!("INPUT_{}", spec.name.to_uppercase())) {
        return Some(Given::new(text, Origin::Input(spec.name.to_owned())));
    }
    spec.variables.iter().find_map(|name| {
        said(name).map(|text| Given::new(text, Origin::Variable((*name).to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn flags_come_before_inputs_and_those_before_variables() {
        let environment = environment(&[
            ("INPUT_REGION", "from-input"),
            ("INPUT_PROJECT_ID", ""),
            ("GOOGLE_CLOUD_PROJECT", "from-variable"),
        ]);
        let flags = BTreeMap::from([("region", "from-flag".to_owned())]);
        let raw = RawInputs::gather(&flags, &environment);
        assert_eq!(raw.given["region"].value, "from-flag");
        assert_eq!(raw.given["project_id"].value, "from-variable");
        assert_eq!(
            raw.given["project_id"].origin.to_string(),
            "environment variable `GOOGLE_CLOUD_PROJECT`"
        );
    }

    #[test]
    fn an_empty_input_means_its_default_and_an_unknown_one_is_kept() {
        let raw = RawInputs::gather(
            &BTreeMap::new(),
            &environment(&[
                ("INPUT_SERVICE", " \n"),
                ("INPUT_SERVCE", "x"),
                ("INPUT_ARGS", "x"),
            ]),
        );
        assert!(raw.given.is_empty());
        assert_eq!(raw.unknown, ["servce"]);
    }

    #[test]
    fn a_missing_file_counts_only_when_it_was_asked_for() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let raw = RawInputs::gather(&BTreeMap::new(), &BTreeMap::new());
        assert_eq!(raw.with_config(Err(missing())).config, ConfigFile::Absent);
        let raw = RawInputs::gather(
            &BTreeMap::from([("config", "x.yml".to_owned())]),
            &BTreeMap::new(),
        );
        assert!(matches!(
            raw.with_config(Err(missing())).config,
            ConfigFile::Unreadable { .. }
        ));
    }
}
