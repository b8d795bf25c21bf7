//! The configuration file → what it says, by input, for all environments and for each.

use std::collections::BTreeMap;

use delivery::diagnostic::{Code, Diagnostic};

use super::catalogue::{self, ENVIRONMENT_KEYS, INPUTS};
use super::origin::{Given, Origin};
use super::raw::ConfigFile;
use super::suggest;
use super::table::{InFile, Kind};
use super::yaml::{self, Entry, Node, Place, Value};

/// What one place says for one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text, as in an action's input.
    Text(String),
    /// A mapping of texts.
    Pairs(Vec<(String, Given<String>)>),
    /// A sequence of texts.
    Items(Vec<Given<String>>),
}

/// What one level of the file says, by the input's name.
pub type Level = BTreeMap<&'static str, Given<Said>>;

/// One entry of `environments:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentEntry {
    /// `name`, `github_environment`, `tier`, as texts.
    pub keys: BTreeMap<&'static str, Given<String>>,
    /// Inputs.
    pub level: Level,
    /// Where the entry begins.
    pub origin: Origin,
}

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The top level.
    pub top: Level,
    /// `environments:`, if it is there.
    pub environments: Option<Vec<EnvironmentEntry>>,
}

/// Reads the file. What is wrong goes to `problems`, the rest is still returned.
pub fn parse_config(file: &ConfigFile, problems: &mut Vec<Diagnostic>) -> Config {
    let (path, text) = match file {
        ConfigFile::Absent => return Config::default(),
        ConfigFile::Unreadable { path, reason } => {
            problems.push(
                Diagnostic::error(
                    Code::ConfigUnreadable,
                    format!("the configuration file `{path}` cannot be read"),
                )
                .at("input `config`")
                .cause(reason.clone())
                .help("give a path inside the repository, and check the code out before this step"),
            );
            return Config::default();
        }
        ConfigFile::Text { path, text } => (path, text),
    };
    match yaml::parse_yaml(text) {
        Ok(root) => Reader { path, problems }.root(root),
        Err(problem) => {
            problems.push(
                Diagnostic::error(
                    Code::ConfigUnreadable,
                    format!("`{path}` is not valid YAML"),
                )
                .at(format!(
                    "{path}:{}:{}",
                    problem.place.line, problem.place.column
                ))
                .cause(problem.why),
            );
            Config::default()
        }
    }
}

struct Reader<'a> {
    path: &'a str,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn root(mut self, root: Node) -> Config {
        let mut config = Config::default();
        let Some(entries) = self.mapping(root, "the configuration file") else {
            return config;
        };
        for entry in entries {
            if entry.key == "environments" {
                config.environments = Some(self.environments(entry.node));
            } else {
                self.option(entry, InFile::Top, &mut config.top);
            }
        }
        config
    }

    fn environments(&mut self, node: Node) -> Vec<EnvironmentEntry> {
        let place = node.place;
        let Value::List(items) = node.value else {
            self.wrong_kind(
                place,
                "environments",
                "a list, in the order of promotion",
                &node.value,
            );
            return Vec::new();
        };
        if items.is_empty() {
            self.wrong_kind(
                place,
                "environments",
                "at least one environment",
                &Value::Null,
            );
        }
        items
            .into_iter()
            .filter_map(|item| self.environment(item))
            .collect()
    }

    fn environment(&mut self, node: Node) -> Option<EnvironmentEntry> {
        let origin = self.origin(node.place);
        let mut environment = EnvironmentEntry {
            keys: BTreeMap::new(),
            level: Level::new(),
            origin,
        };
        // A bare name is an environment with nothing of its own.
        if let Value::Text(name) = node.value {
            environment
                .keys
                .insert("name", Given::new(name, environment.origin.clone()));
            return Some(environment);
        }
        for entry in self.mapping(node, "an environment")? {
            let own_key = ENVIRONMENT_KEYS.iter().find(|(key, _)| *key == entry.key);
            match (own_key, &entry.node.value) {
                (Some((key, _)), Value::Text(text)) => {
                    let origin = self.origin(entry.node.place);
                    environment
                        .keys
                        .insert(key, Given::new(text.clone(), origin));
                }
                (Some((key, _)), other) => {
                    self.wrong_kind(entry.node.place, key, "a text", &other.clone());
                }
                (None, _) => self.option(entry, InFile::Environment, &mut environment.level),
            }
        }
        Some(environment)
    }

    /// One key that must be an input which may be said here.
    fn option(&mut self, entry: Entry, here: InFile, level: &mut Level) {
        let allowed = |file: InFile| {
            file == InFile::Environment || (file == InFile::Top && here == InFile::Top)
        };
        let spec = catalogue::find(&entry.key);
        match spec {
            Some(spec) if allowed(spec.file) => {
                if let Some(said) = self.said(spec.name, spec.kind, entry.node) {
                    level.insert(spec.name, said);
                }
            }
            Some(spec) => {
                let help = if spec.file == InFile::Top {
                    "move it to the top level of the file".to_owned()
                } else {
                    format!("say it as the action's input `{}` instead", spec.name)
                };
                self.unknown(&entry, format!("`{}` cannot be said here", entry.key), help);
            }
            None => {
                let mut known: Vec<&str> = INPUTS
                    .iter()
                    .filter(|spec| allowed(spec.file))
                    .map(|spec| spec.name)
                    .collect();
                if here == InFile::Top {
                    known.push("environments");
                } else {
                    known.extend(ENVIRONMENT_KEYS.iter().map(|(key, _)| *key));
                }
                let title = format!("the key `{}` is not known", entry.key);
                let help = suggest::help_for(&entry.key, &known);
                self.unknown(&entry, title, help);
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, title: String, help: String) {
        let at = self.origin(entry.place).to_string();
        self.problems.push(
            Diagnostic::error(Code::InputUnknown, title)
                .at(at)
                .help(help),
        );
    }

    fn said(&mut self, name: &str, kind: Kind, node: Node) -> Option<Given<Said>> {
        let origin = self.origin(node.place);
        let said = match (node.value, kind) {
            (Value::Null, _) => return None,
            (Value::Text(text), _) => Said::Text(text),
            (Value::Map(entries), Kind::Pairs | Kind::Secrets) => {
                let pairs = entries.into_iter().filter_map(|entry| {
                    let text = self.scalar(&entry.key, entry.node)?;
                    Some((entry.key, text))
                });
                Said::Pairs(pairs.collect())
            }
            (Value::List(items), Kind::List) => Said::Items(
                items
                    .into_iter()
                    .filter_map(|item| self.scalar(name, item))
                    .collect(),
            ),
            (other, kind) => {
                let wanted = match kind {
                    Kind::Pairs | Kind::Secrets => {
                        "a mapping, or a text with one `KEY=VALUE` a line"
                    }
                    Kind::List => "a list, or a text with one item a line",
                    _ => "a text",
                };
                self.wrong_kind(node.place, name, wanted, &other);
                return None;
            }
        };
        Some(Given::new(said, origin))
    }

    fn scalar(&mut self, name: &str, node: Node) -> Option<Given<String>> {
        let origin = self.origin(node.place);
        match node.value {
            Value::Text(text) => Some(Given::new(text, origin)),
            Value::Null => Some(Given::new(String::new(), origin)),
            other => {
                self.wrong_kind(node.place, name, "a text; quote JSON", &other);
                None
            }
        }
    }

    fn mapping(&mut self, node: Node, name: &str) -> Option<Vec<Entry>> {
        match node.value {
            Value::Map(entries) => Some(entries),
            other => {
                self.wrong_kind(node.place, name, "a mapping", &other);
                None
            }
        }
    }

    fn wrong_kind(&mut self, place: Place, name: &str, wanted: &str, found: &Value) {
        let at = self.origin(place).to_string();
        let title = format!("`{name}` must be {wanted}, not {}", found.kind());
        self.problems
            .push(Diagnostic::error(Code::InputInvalid, title).at(at));
    }

    fn origin(&self, place: Place) -> Origin {
        Origin::File {
            path: self.path.to_owned(),
            line: place.line,
            column: place.column,
        }
    }
}
