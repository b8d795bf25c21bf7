//! Instructions → stages: what each one is built on, with its arguments expanded.

use std::collections::BTreeMap;

use super::expand::{Variables, expand};
use super::parse::{Instruction, Parsed};

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Behind `AS`, in lower case.
    pub name: Option<String>,
    /// What it is built on, expanded; `None` when a value is not known.
    pub base: Option<String>,
    /// The index of the stage that it is built on, when that is one.
    pub parent: Option<usize>,
    /// The instruction `FROM`.
    pub from: Instruction,
    /// Where the base is said in that instruction, in bytes.
    pub base_at: usize,
    /// The instructions behind it, each with the variables that hold there.
    pub body: Vec<(Instruction, Variables)>,
}

/// Platforms are known: the tool builds for one.
const PLATFORM_ARGUMENTS: [(&str, &str); 8] = [
    ("TARGETPLATFORM", "linux/amd64"),
    ("TARGETOS", "linux"),
    ("TARGETARCH", "amd64"),
    ("TARGETVARIANT", ""),
    ("BUILDPLATFORM", "linux/amd64"),
    ("BUILDOS", "linux"),
    ("BUILDARCH", "amd64"),
    ("BUILDVARIANT", ""),
];

/// The stages of a Dockerfile, with the values that the build gives to `ARG`s.
pub fn stages(parsed: &Parsed, build_args: &BTreeMap<String, String>) -> Vec<Stage> {
    let platform: Variables = PLATFORM_ARGUMENTS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut global = platform.clone();
    let mut variables = Variables::new();
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in &parsed.instructions {
        match (instruction.keyword.as_str(), stages.is_empty()) {
            ("FROM", _) => {
                let stage = open(instruction, &global, &stages);
                // What a parent stage sets holds here; arguments end with their stage.
                variables = stage
                    .parent
                    .map(|parent| environment(&stages, parent))
                    .unwrap_or_default();
                stages.push(stage);
            }
            ("ARG", true) => declare(instruction, &mut global, &Variables::new(), build_args),
            (keyword, false) => {
                match keyword {
                    "ARG" => declare(instruction, &mut variables, &global, build_args),
                    "ENV" => {
                        for (name, value) in pairs(instruction) {
                            let value = expand(&value, &variables).unwrap_or_default();
                            variables.insert(name, value);
                        }
                    }
                    _ => {}
                }
                if let Some(stage) = stages.last_mut() {
                    stage.body.push((instruction.clone(), variables.clone()));
                }
            }
            _ => {}
        }
    }
    stages
}

fn open(from: &Instruction, global: &Variables, stages: &[Stage]) -> Stage {
    let words = from.words();
    let (base_at, written) = words.first().cloned().unwrap_or((0, String::new()));
    let base = expand(&written, global).filter(|base| !base.is_empty());
    let name = match words.get(1..3) {
        Some([(_, keyword), (_, name)]) if keyword.eq_ignore_ascii_case("as") => {
            Some(name.to_ascii_lowercase())
        }
        _ => None,
    };
    let parent = base
        .as_deref()
        .and_then(|base| find(stages, base, Numbers::Refused));
    Stage {
        name,
        base,
        parent,
        from: from.clone(),
        base_at,
        body: Vec::new(),
    }
}

/// Whether a stage may be named by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// As in `COPY --from=0`.
    Taken,
    /// As in `FROM`.
    Refused,
}

/// The stage of this name, the last one that has it.
pub fn find(stages: &[Stage], name: &str, numbers: Numbers) -> Option<usize> {
    let lower = name.to_ascii_lowercase();
    let named = stages
        .iter()
        .rposition(|stage| stage.name.as_deref() == Some(lower.as_str()));
    let by_number = || {
        name.parse::<usize>()
            .ok()
            .filter(|index| *index < stages.len())
    };
    named.or_else(|| {
        if numbers == Numbers::Taken {
            by_number()
        } else {
            None
        }
    })
}

/// What `ENV` set in a stage and those that it is built on.
fn environment(stages: &[Stage], index: usize) -> Variables {
    let mut all = Variables::new();
    for index in chain(stages, index) {
        for (instruction, variables) in &stages[index].body {
            if instruction.keyword == "ENV" {
                for (name, _) in pairs(instruction) {
                    let value = variables.get(&name).cloned().unwrap_or_default();
                    all.insert(name, value);
                }
            }
        }
    }
    all
}

/// A stage and those that it is built on, the first one first.
pub fn chain(stages: &[Stage], last: usize) -> Vec<usize> {
    let mut chain = vec![last];
    while let Some(parent) = chain.last().and_then(|index| stages[*index].parent) {
        // A parent stands before its stage, so this ends.
        chain.push(parent);
    }
    chain.reverse();
    chain
}

fn declare(
    instruction: &Instruction,
    variables: &mut Variables,
    outer: &Variables,
    build_args: &BTreeMap<String, String>,
) {
    for (_, word) in instruction.words() {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, expand(default, variables)),
            None => (word.as_str(), None),
        };
        let value = build_args
            .get(name)
            .cloned()
            .or(default)
            .or_else(|| outer.get(name).cloned());
        if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
}

/// `NAME=value …`, or the old form `NAME value`.
pub fn pairs(instruction: &Instruction) -> Vec<(String, String)> {
    let words = instruction.words();
    match words.as_slice() {
        [(_, name), _, ..] if !name.contains('=') => {
            let rest = instruction.arguments()[name.len()..].trim();
            vec![(name.clone(), rest.to_owned())]
        }
        words => words
            .iter()
            .filter_map(|(_, word)| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}
