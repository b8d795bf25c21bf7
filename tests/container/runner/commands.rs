//! Workflow commands in a step's output: `::name key=value::data` at the beginning of a line, and the
//! older `##[name key=value;…]data` anywhere in one.

use std::collections::BTreeMap;

/// What the runner takes for a command. Names are compared without case.
const REGISTERED: [&str; 15] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
];

/// Commands that the runner refuses, or warns about, because a command file replaced them.
const REPLACED: [&str; 4] = ["add-path", "save-state", "set-env", "set-output"];

/// A command as it was parsed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) data: String,
}

/// `::error::`, `::warning::` or `::notice::`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Annotation {
    pub(crate) level: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) message: String,
}

impl Annotation {
    /// The title, or nothing.
    pub(crate) fn title(&self) -> &str {
        self.properties.get("title").map_or("", String::as_str)
    }

    /// Title and message.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}", self.title(), self.message)
    }
}

/// Reads a step's lines, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Interpreter {
    stopped_until: Option<String>,
    /// What was said through commands.
    pub(crate) annotations: Vec<Annotation>,
    /// Values that are not shown, oldest first.
    pub(crate) masks: Vec<String>,
    /// The log as the runner shows it: commands taken out, secrets starred.
    pub(crate) log: Vec<String>,
    /// Groups that were opened and not closed.
    pub(crate) open_groups: usize,
    /// What the runner itself would complain about.
    pub(crate) problems: Vec<String>,
}

impl Interpreter {
    /// Takes one line.
    pub(crate) fn line(&mut self, line: &str) {
        let parsed = parse(line, self.stopped_until.as_deref());
        match (parsed, self.stopped_until.clone()) {
            (Some(command), Some(token)) => {
                if command.name.eq_ignore_ascii_case(&token) {
                    self.stopped_until = None;
                } else {
                    self.show(line);
                }
            }
            (Some(command), None) => self.obey(command, line),
            (None, _) => self.show(line),
        }
    }

    /// Whether commands are stopped: text of others may be shown.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped_until.is_some()
    }

    fn obey(&mut self, command: Command, line: &str) {
        match command.name.to_ascii_lowercase().as_str() {
            "stop-commands" => self.stop(command.data),
            "add-mask" => self.mask(&command.data),
            level @ ("error" | "warning" | "notice") => {
                let message = self.starred(&command.data);
                self.annotations.push(Annotation {
                    level: level.to_owned(),
                    properties: command.properties,
                    message,
                });
            }
            "group" => {
                self.open_groups += 1;
                self.show(&command.data);
            }
            "endgroup" => match self.open_groups.checked_sub(1) {
                Some(open) => self.open_groups = open,
                None => self.problems.push("endgroup without group".to_owned()),
            },
            name if REPLACED.contains(&name) => {
                self.problems
                    .push(format!("The `{name}` command is deprecated or disabled"));
            }
            // Debug lines show in debug runs only; the others change what a log looks like.
            _ => {
                let _ = line;
            }
        }
    }

    fn stop(&mut self, token: String) {
        let known = REGISTERED
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&token));
        if known || token.is_empty() || token.eq_ignore_ascii_case("pause-logging") {
            self.problems
                .push(format!("Invalid stop-commands token `{token}`"));
        } else {
            self.stopped_until = Some(token);
        }
    }

    fn mask(&mut self, data: &str) {
        if data.trim().is_empty() {
            self.problems
                .push("Can't add secret mask for empty string".to_owned());
            return;
        }
        self.masks.push(data.to_owned());
        let lines = data.split(['\r', '\n']).map(str::trim);
        self.masks
            .extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
    }

    fn show(&mut self, line: &str) {
        let line = self.starred(line);
        self.log.push(line);
    }

    /// The text with every masked value starred.
    pub(crate) fn starred(&self, text: &str) -> String {
        self.masks
            .iter()
            .fold(text.to_owned(), |text, mask| text.replace(mask, "***"))
    }
}

/// Finds a command in a line. While commands are stopped only `token` is one more of them.
fn parse(line: &str, token: Option<&str>) -> Option<Command> {
    let registered = |name: &str| {
        REGISTERED
            .iter()
            .copied()
            .chain(token)
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    parse_colons(line, &registered).or_else(|| parse_brackets(line, &registered))
}

fn parse_colons(line: &str, registered: &dyn Fn(&str) -> bool) -> Option<Command> {
    let rest = line.trim_start().strip_prefix("::")?;
    let (head, data) = rest.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let unescape_property = |value: &str| {
        unescape(
            value,
            &[
                ("%0D", "\r"),
                ("%0A", "\n"),
                ("%3A", ":"),
                ("%2C", ","),
                ("%25", "%"),
            ],
        )
    };
    registered(name).then(|| Command {
        name: name.to_owned(),
        properties: pairs(properties.trim(), ',', &unescape_property),
        data: unescape(data, &[("%0D", "\r"), ("%0A", "\n"), ("%25", "%")]),
    })
}

fn parse_brackets(line: &str, registered: &dyn Fn(&str) -> bool) -> Option<Command> {
    let (_, rest) = line.split_once("##[")?;
    let (head, data) = rest.split_once(']')?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let unescape_all = |value: &str| {
        unescape(
            value,
            &[
                ("%3B", ";"),
                ("%0D", "\r"),
                ("%0A", "\n"),
                ("%5D", "]"),
                ("%25", "%"),
            ],
        )
    };
    registered(name).then(|| Command {
        name: name.to_owned(),
        properties: pairs(properties, ';', &unescape_all),
        data: unescape_all(data),
    })
}

fn pairs(
    text: &str,
    separator: char,
    unescape: &dyn Fn(&str) -> String,
) -> BTreeMap<String, String> {
    text.split(separator)
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .map(|(key, value)| (key.to_owned(), unescape(value)))
        .collect()
}

fn unescape(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Interpreter {
        let mut interpreter = Interpreter::default();
        for line in lines {
            interpreter.line(line);
        }
        interpreter
    }

    #[test]
    fn an_annotation_is_unescaped_once() {
        let read = read(&["  ::Error title=a%3Ab%2Cc,file=x.py::50 %2525%0Atwo"]);
        let [annotation] = &read.annotations[..] else {
            panic!("{read:?}");
        };
        assert_eq!(annotation.title(), "a:b,c");
        assert_eq!(annotation.message, "50 %25\ntwo");
        assert_eq!(annotation.properties["file"], "x.py");
        assert!(read.log.is_empty());
    }

    #[test]
    fn the_older_form_is_a_command_anywhere_in_a_line() {
        let read = read(&[
            "pip says ##[error title=t;x=]oh%5D no",
            "::nothing::",
            "::error ::x:",
        ]);
        assert_eq!(read.annotations.len(), 2, "{read:?}");
        assert_eq!(read.annotations[0].message, "oh] no");
        assert_eq!(read.log, ["::nothing::"]);
    }

    #[test]
    fn stopped_commands_are_text_until_the_token_comes() {
        let read = read(&[
            "::stop-commands::k3y",
            "::error::forged",
            "##[error]forged",
            "::other::",
            "::k3y::",
            "::warning::real",
        ]);
        assert_eq!(read.annotations.len(), 1);
        assert_eq!(read.annotations[0].level, "warning");
        assert_eq!(read.log.len(), 3);
        assert!(!read.is_stopped());
    }

    #[test]
    fn a_masked_value_is_starred_from_then_on_each_line_of_it_too() {
        let read = read(&["abc", "::add-mask::abc%0A def", "abc + def", "::error::abc"]);
        assert_eq!(read.log, ["abc", "*** + ***"]);
        assert_eq!(read.annotations[0].message, "***");
    }

    #[test]
    fn what_the_runner_would_refuse_is_a_problem() {
        let read = read(&[
            "::set-env name=a::b",
            "::endgroup::",
            "::stop-commands::error",
            "::add-mask::",
        ]);
        assert_eq!(read.problems.len(), 4, "{:?}", read.problems);
    }
}
