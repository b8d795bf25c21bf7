//! What changes between two configurations, for somebody who is to approve it. Names of variables
//! are told, their values never.

use serde::Serialize;

use crate::configuration::{Configuration, SecretSource, probe_in_words};
use crate::plan::RESERVED_VARIABLES;
use crate::spec::{Access, SecretPlace};

/// What kind of thing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The image.
    Image,
    /// A plain variable.
    Variable,
    /// A secret, as a variable or as a file.
    Secret,
    /// A resource or another setting.
    Setting,
}

/// How it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It becomes another one.
    Changed,
}

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of thing.
    pub subject: Subject,
    /// Its name: of a variable, a path, an input.
    pub name: String,
    /// How.
    pub turn: Turn,
    /// What is there; absent for what is not, and for values that are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What will be there; absent likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Everything that changes: the image first, then variables, secrets and settings, by name. With
/// nothing before, everything is added. The variables that this program sets are left out: the image
/// tells the same.
pub(crate) fn difference(before: Option<&Configuration>, after: &Configuration) -> Vec<Change> {
    let nothing = Configuration::default();
    let before = before.unwrap_or(&nothing);
    let image = |one: &Configuration| Some(one.image.clone()).filter(|text| !text.is_empty());
    let mut changes: Vec<Change> = changed(Subject::Image, "image", image(before), image(after))
        .into_iter()
        .collect();
    changes.extend(variables(before, after));
    changes.extend(secrets(before, after));
    let settings = settings(before).into_iter().zip(settings(after));
    changes.extend(
        settings.filter_map(|((name, before), (_, after))| {
            changed(Subject::Setting, name, before, after)
        }),
    );
    changes
}

/// Whether others are let in at the end than now. It belongs to the service, not to a revision.
pub(crate) fn access_difference(before: Option<Access>, after: Option<Access>) -> Option<Change> {
    let word = |access: Option<Access>| access.map(|access| access.as_str().to_owned());
    changed(Subject::Setting, "access", word(before), word(after))
}

fn turn<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Option<Turn> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Turn::Added),
        (Some(_), None) => Some(Turn::Removed),
        (Some(before), Some(after)) => (before != after).then_some(Turn::Changed),
    }
}

fn changed(
    subject: Subject,
    name: &str,
    before: Option<String>,
    after: Option<String>,
) -> Option<Change> {
    Some(Change {
        subject,
        name: name.to_owned(),
        turn: turn(before.as_ref(), after.as_ref())?,
        before,
        after,
    })
}

fn variables(before: &Configuration, after: &Configuration) -> Vec<Change> {
    let names = before.variables.keys().chain(after.variables.keys());
    sorted(names)
        .into_iter()
        .filter(|name| !RESERVED_VARIABLES.contains(&name.as_str()))
        .filter_map(|name| {
            Some(Change {
                subject: Subject::Variable,
                name: name.clone(),
                turn: turn(before.variables.get(name), after.variables.get(name))?,
                before: None,
                after: None,
            })
        })
        .collect()
}

fn secrets(before: &Configuration, after: &Configuration) -> Vec<Change> {
    let places = before.secrets.keys().chain(after.secrets.keys());
    sorted(places)
        .into_iter()
        .filter_map(|place| {
            let source = |one: &Configuration| one.secrets.get(place).map(source_in_words);
            changed(
                Subject::Secret,
                place_in_words(place),
                source(before),
                source(after),
            )
        })
        .collect()
}

fn sorted<'a, T: Ord>(all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    all.collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// A variable's name, or a file's path.
pub(crate) fn place_in_words(place: &SecretPlace) -> &str {
    match place {
        SecretPlace::Variable(name) => name,
        SecretPlace::File(path) => path,
    }
}

fn source_in_words(source: &SecretSource) -> String {
    let SecretSource { secret, version } = source;
    format!("{secret}:{version}")
}

/// Every setting under the name of its input, always in this order.
fn settings(one: &Configuration) -> [(&'static str, Option<String>); 9] {
    let Configuration {
        image: _,
        variables: _,
        secrets: _,
        cpu,
        memory,
        port,
        concurrency,
        min_instances,
        max_instances,
        timeout_seconds,
        service_account,
        startup_probe,
    } = one;
    let number = |number: &Option<u32>| number.map(|number| number.to_string());
    [
        ("cpu", cpu.clone()),
        ("memory", memory.clone()),
        ("port", port.map(|port| port.to_string())),
        ("concurrency", number(concurrency)),
        ("min_instances", number(min_instances)),
        ("max_instances", number(max_instances)),
        (
            "timeout",
            timeout_seconds.map(|seconds| format!("{seconds} s")),
        ),
        ("runtime_service_account", service_account.clone()),
        ("startup_probe", startup_probe.as_ref().map(probe_in_words)),
    ]
}

impl Change {
    /// One line: `+ variable MODE`, `~ cpu: 1 → 2`. Values of variables are in none.
    pub fn describe(&self) -> String {
        let Self {
            subject,
            name,
            turn,
            before,
            after,
        } = self;
        let mark = match turn {
            Turn::Added => '+',
            Turn::Removed => '-',
            Turn::Changed => '~',
        };
        let kind = match subject {
            Subject::Image | Subject::Setting => String::new(),
            Subject::Variable => "variable ".to_owned(),
            Subject::Secret => "secret ".to_owned(),
        };
        let values = match (before, after) {
            (None, None) => String::new(),
            (None, Some(after)) => format!(": {after}"),
            (Some(before), None) => format!(": {before}"),
            (Some(before), Some(after)) => format!(": {before} → {after}"),
        };
        let hint = match (subject, turn) {
            (Subject::Variable, Turn::Changed) => " (another value)",
            _ => "",
        };
        format!("{mark} {kind}{name}{values}{hint}")
    }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
