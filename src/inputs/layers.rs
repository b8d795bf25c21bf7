//! Who said what, the strongest first: flag or input, the environment's entry in the file, the
//! file's top level, an environment variable, the default.

use delivery::diagnostic::{Code, Diagnostic};

use super::catalogue;
use super::config::{Level, Said};
use super::origin::{Given, Origin};
use super::raw::RawInputs;
use super::table::{InputSpec, Kind};
use super::value::{self, ValueProblem};
use super::{pairs, suggest};

/// Longest piece of a wrong value that an error repeats.
const SHOWN_CHARACTERS: usize = 80;

/// What is said for one environment, or for the whole run.
pub struct Layers<'a> {
    raw: &'a RawInputs,
    /// Whether flags and inputs count: they belong to the environment of this job.
    inputs_count: bool,
    entry: Option<&'a Level>,
    top: &'a Level,
    problems: &'a mut Vec<Diagnostic>,
    /// See [`Layers::refused`].
    refused: Vec<&'static str>,
}

impl<'a> Layers<'a> {
    /// Puts the layers together.
    pub fn new(
        raw: &'a RawInputs,
        inputs_count: bool,
        entry: Option<&'a Level>,
        top: &'a Level,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            raw,
            inputs_count,
            entry,
            top,
            problems,
            refused: Vec::new(),
        }
    }

    /// Inputs that were said here and cannot be used.
    pub fn refused(&self) -> &[&'static str] {
        &self.refused
    }

    /// Reports a problem, once.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if !self.problems.contains(&diagnostic) {
            self.problems.push(diagnostic);
        }
    }

    /// A value of this input that breaks a rule.
    pub fn refuse(&mut self, name: &str, given: &Given<String>, problem: ValueProblem) {
        let spec = catalogue::find(name);
        self.refused.extend(spec.map(|spec| spec.name));
        let sensitive = spec.is_some_and(|spec| spec.kind == Kind::Sensitive);
        self.report(invalid(name, given, sensitive, problem));
    }

    /// A pair that breaks a rule. Shows the key alone: the value may be secret.
    pub fn refuse_key(&mut self, name: &str, key: &str, origin: &Origin, problem: ValueProblem) {
        let title = format!("`{name}`: `{key}` {}", problem.why);
        let mut diagnostic = Diagnostic::error(Code::InputInvalid, title).at(origin.to_string());
        if let Some(help) = problem.help {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic);
    }

    /// Everything that is said for an input, the weakest first, without the default.
    fn said(&self, spec: &InputSpec) -> Vec<Given<Said>> {
        let given = self.raw.given.get(spec.name);
        let from = |wanted: fn(&Origin) -> bool| {
            given
                .filter(|given| wanted(&given.origin))
                .cloned()
                .map(|given| given.map(Said::Text))
        };
        let variable = from(|origin| matches!(origin, Origin::Variable(_)));
        let input =
            from(|origin| !matches!(origin, Origin::Variable(_))).filter(|_| self.inputs_count);
        [
            variable,
            self.top.get(spec.name).cloned(),
            self.entry.and_then(|entry| entry.get(spec.name)).cloned(),
            input,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The strongest text, or the default's; `None` when there is neither.
    pub fn text(&self, name: &'static str) -> Option<Given<String>> {
        let spec = catalogue::find(name)?;
        let strongest = self
            .said(spec)
            .into_iter()
            .rev()
            .find_map(|given| match given.value {
                // An empty text means: as if it was not said.
                Said::Text(text) if text.trim().is_empty() => None,
                Said::Text(text) => Some(Given::new(text.trim().to_owned(), given.origin)),
                Said::Pairs(_) | Said::Items(_) => None,
            });
        // A default that GitHub evaluates says nothing outside of it.
        strongest.or_else(|| {
            spec.default
                .filter(|text| !text.starts_with("${{"))
                .map(|text| Given::new(text.to_owned(), Origin::Default))
        })
    }

    /// The strongest text, parsed; a wrong one is reported.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, ValueProblem>,
    ) -> Option<T> {
        let given = self.text(name)?;
        match parse(&given.value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.refuse(name, &given, problem);
                None
            }
        }
    }

    /// A switch; a wrong one is reported and counts as its default.
    pub fn switch(&mut self, name: &'static str) -> bool {
        self.parsed(name, value::parse_switch).unwrap_or_default()
    }

    /// One of the input's choices.
    pub fn choice(&mut self, name: &'static str) -> Option<&'static str> {
        let Some(Kind::Choice(choices)) = catalogue::find(name).map(|spec| spec.kind) else {
            return None;
        };
        self.parsed(name, |text| value::parse_choice(text, choices))
    }

    /// A number within the input's limits.
    pub fn number(&mut self, name: &'static str) -> Option<u64> {
        let Some(Kind::Number { least, most, unit }) = catalogue::find(name).map(|spec| spec.kind)
        else {
            return None;
        };
        self.parsed(name, |text| value::parse_number(text, least, most, unit))
    }

    /// The strongest list.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        let Some(spec) = catalogue::find(name) else {
            return Vec::new();
        };
        let strongest = self.said(spec).pop().map(|given| match given.value {
            Said::Text(text) => pairs::parse_list(&text),
            Said::Items(items) => items
                .into_iter()
                .map(|item| item.value.trim().to_owned())
                .collect(),
            Said::Pairs(_) => Vec::new(),
        });
        strongest
            .filter(|items| !items.is_empty())
            .unwrap_or_else(|| spec.default.map(pairs::parse_list).unwrap_or_default())
    }

    /// The strongest list, each item parsed; a wrong item is reported, and then there is none.
    pub fn parsed_list<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueProblem>,
    ) -> Vec<T> {
        let origin = catalogue::find(name)
            .and_then(|spec| self.said(spec).pop())
            .map_or(Origin::Default, |given| given.origin);
        let mut parsed = Vec::new();
        for item in self.list(name) {
            match parse(&item) {
                Ok(value) => parsed.push(value),
                Err(problem) => {
                    self.refuse(name, &Given::new(item, origin), problem);
                    return Vec::new();
                }
            }
        }
        parsed
    }

    /// The pairs of all layers; for one key the strongest counts. In the order of first mention.
    pub fn pairs(&mut self, name: &'static str) -> Vec<(String, Given<String>)> {
        let Some(spec) = catalogue::find(name) else {
            return Vec::new();
        };
        let mut all: Vec<(String, Given<String>)> = Vec::new();
        for given in self.said(spec) {
            for (key, value) in self.pairs_of(name, given) {
                match all.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known = value,
                    None => all.push((key, value)),
                }
            }
        }
        all
    }

    /// The pairs of one layer.
    fn pairs_of(&mut self, name: &str, given: Given<Said>) -> Vec<(String, Given<String>)> {
        let text = match given.value {
            Said::Pairs(pairs) => return pairs,
            Said::Text(text) => text,
            Said::Items(_) => return Vec::new(),
        };
        let (parsed, problems) = pairs::parse_pairs(&text);
        for problem in problems {
            let title = format!("`{name}`, line {}: {}", problem.line, problem.why);
            self.report(
                Diagnostic::error(Code::InputInvalid, title)
                    .at(given.origin.to_string())
                    .help("write one `KEY=VALUE` a line"),
            );
        }
        let mut pairs: Vec<(String, Given<String>)> = Vec::new();
        for pair in parsed {
            if pairs.iter().any(|(known, _)| *known == pair.key) {
                let title = format!(
                    "`{name}`, line {}: `{}` is given twice",
                    pair.line, pair.key
                );
                self.report(
                    Diagnostic::error(Code::InputInvalid, title)
                        .at(given.origin.to_string())
                        .help("keep one of them"),
                );
            } else {
                pairs.push((pair.key, Given::new(pair.value, given.origin.clone())));
            }
        }
        pairs
    }

    /// Inputs that no input has.
    pub fn report_unknown(&mut self) {
        let known: Vec<&str> = catalogue::INPUTS
            .iter()
            .filter(|spec| spec.action)
            .map(|spec| spec.name)
            .collect();
        for name in &self.raw.unknown {
            let help = match suggest::nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "docs/inputs.md lists every input".to_owned(),
            };
            let diagnostic = Diagnostic::error(
                Code::InputUnknown,
                format!("the input `{name}` is not known"),
            )
            .at(format!("input `{name}`"))
            .help(help);
            self.report(diagnostic);
        }
    }
}

/// The diagnostic of a value that breaks a rule.
fn invalid(
    name: &str,
    given: &Given<String>,
    sensitive: bool,
    problem: ValueProblem,
) -> Diagnostic {
    let shown: String = given.value.chars().take(SHOWN_CHARACTERS).collect();
    let title = if sensitive {
        format!("`{name}` {}", problem.why)
    } else {
        format!("`{name}` {}, not `{}`", problem.why, shown.escape_debug())
    };
    let mut diagnostic = Diagnostic::error(Code::InputInvalid, title).at(given.origin.to_string());
    if let Some(help) = problem.help {
        diagnostic = diagnostic.help(help);
    }
    diagnostic
}
