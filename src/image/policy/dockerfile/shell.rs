//! The commands of a `RUN` instruction, as far as rules ask for them: no shell, a reader of words.

use super::parse::Instruction;

/// One command: its words, each with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Words; quotes are taken off, variables are not expanded.
    pub words: Vec<Word>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Line and column.
    pub place: (usize, usize),
}

impl Command {
    /// The words as one line.
    pub fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }
}

/// The commands of an instruction, its here-documents' included.
pub fn commands(run: &Instruction) -> Vec<Command> {
    let arguments = run.arguments();
    if let Some(words) = exec_form(arguments) {
        let word = |text| Word {
            text,
            place: run.line.place(run.arguments_at),
        };
        return vec![Command {
            words: words.into_iter().map(word).collect(),
        }];
    }
    let mut found = read(arguments, &|at| run.line.place(run.arguments_at + at));
    for heredoc in &run.heredocs {
        for (index, line) in heredoc.text.lines().enumerate() {
            let number = heredoc.first_line + index;
            found.extend(read(line, &|at| (number, line[..at].chars().count() + 1)));
        }
    }
    found
}

/// `["a", "b"]`.
pub fn exec_form(arguments: &str) -> Option<Vec<String>> {
    if !arguments.trim_start().starts_with('[') {
        return None;
    }
    serde_json::from_str(arguments.trim()).ok()
}

fn read(text: &str, place: &dyn Fn(usize) -> (usize, usize)) -> Vec<Command> {
    let mut found = vec![Command::default()];
    let mut open: Option<char> = None;
    let mut is_inside = false;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (None, '"' | '\'') => open = Some(c),
            (None, ';' | '&' | '|' | '\n' | '(' | ')' | '`') => {
                is_inside = false;
                if found
                    .last()
                    .is_some_and(|command| !command.words.is_empty())
                {
                    found.push(Command::default());
                }
                continue;
            }
            (None, '#') if !is_inside => {
                while characters.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            (None, c) if c.is_whitespace() => {
                is_inside = false;
                continue;
            }
            (_, c) => {
                let c = if c == '\\' {
                    characters.next().map_or('\\', |(_, c)| c)
                } else {
                    c
                };
                push(&mut found, &mut is_inside, at, place, Some(c));
                continue;
            }
        }
        push(&mut found, &mut is_inside, at, place, None);
    }
    found.retain(|command| !command.words.is_empty());
    found
}

fn push(
    found: &mut [Command],
    is_inside: &mut bool,
    at: usize,
    place: &dyn Fn(usize) -> (usize, usize),
    c: Option<char>,
) {
    let Some(command) = found.last_mut() else {
        return;
    };
    if !*is_inside {
        *is_inside = true;
        command.words.push(Word {
            text: String::new(),
            place: place(at),
        });
    }
    if let Some(word) = command.words.last_mut() {
        word.text.extend(c);
    }
}

/// `pip install …` in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipInstall {
    /// What is installed by name; each is a requirement as in a file.
    pub requirements: Vec<Word>,
    /// Index of the word `install`.
    pub at: usize,
    /// `--no-cache-dir`, or uv's `--no-cache`.
    pub is_without_cache: bool,
    /// Who installs.
    pub tool: Tool,
}

/// Who installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// pip.
    Pip,
    /// uv.
    Uv,
}

/// Options of `pip install` that take a value as the next word.
const TAKING: [&str; 27] = [
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-t",
    "--target",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--prefix",
    "--root",
    "--python-version",
    "--platform",
    "--abi",
    "--implementation",
    "--only-binary",
    "--no-binary",
    "--trusted-host",
    "--timeout",
    "--retries",
    "--cache-dir",
    "--progress-bar",
    "--src",
    "--upgrade-strategy",
    "--python",
];

/// Finds `pip install` in a command.
pub fn pip_install(command: &Command) -> Option<PipInstall> {
    let words = &command.words;
    let is_pip = |text: &str| {
        let name = text.rsplit('/').next().unwrap_or(text);
        let rest = name.strip_prefix("pip");
        rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    };
    let pip = words.iter().position(|word| is_pip(&word.text))?;
    let install = (pip + 1..words.len()).find(|at| !words[*at].text.starts_with('-'))?;
    if words[install].text != "install" {
        return None;
    }
    let is_uv = pip > 0 && words[pip - 1].text.rsplit('/').next() == Some("uv");
    let has = |option: &str| words.iter().any(|word| word.text == option);
    let mut found = PipInstall {
        requirements: Vec::new(),
        at: install,
        is_without_cache: if is_uv {
            has("--no-cache") || has("-n") || has("--no-cache-dir")
        } else {
            has("--no-cache-dir")
        },
        tool: if is_uv { Tool::Uv } else { Tool::Pip },
    };
    let mut rest = words[install + 1..].iter();
    while let Some(word) = rest.next() {
        let text = word.text.as_str();
        if TAKING.contains(&text) {
            rest.next();
        } else if matches!(text, "-e" | "--editable") {
            // What is editable is the project itself, in a build.
            rest.next();
        } else if !text.starts_with('-') && !text.starts_with(['<', '>', '2']) {
            found.requirements.push(word.clone());
        }
    }
    Some(found)
}
