//! What a failed run printed, taken apart.

use testkit::{Job, JobEnd, World};

use super::{Expected, Failure, Told, gcloud};

/// A printed diagnostic.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) exit: Option<i32>,
    pub(super) code: String,
    pub(super) title: String,
    pub(super) cause: Vec<String>,
    pub(super) state: String,
    pub(super) help: Vec<String>,
    pub(super) logs: Vec<String>,
    /// All that the run printed.
    pub(super) whole: String,
}

impl Printed {
    /// Reads the last error of a run.
    pub(super) fn read(end: &JobEnd) -> Result<Self, Failure> {
        Self::parse(&end.log, end.code)
    }

    /// Reads the last error of a text, as a log of a job or a terminal shows it.
    pub(super) fn parse(log: &str, exit: Option<i32>) -> Result<Self, Failure> {
        let plain: Vec<&str> = log
            .lines()
            .map(|line| line.strip_prefix("  | ").unwrap_or(line))
            .collect();
        let start = plain.iter().rposition(|line| line.starts_with("error["));
        let Some(start) = start else {
            return Err(format!("no error was printed:\n{log}").into());
        };
        let (code, title) = plain[start]["error[".len()..]
            .split_once("]: ")
            .ok_or("an error without a title")?;
        let mut told = Self {
            exit,
            code: code.to_owned(),
            title: title.to_owned(),
            whole: log.to_owned(),
            ..Self::default()
        };
        let mut last = "";
        for line in &plain[start + 1..] {
            if line.starts_with("::") || line.is_empty() {
                break;
            }
            last = told.take(line, last);
        }
        Ok(told)
    }

    /// Takes one line in; gives the field that it belongs to.
    fn take<'l>(&mut self, line: &'l str, last: &'l str) -> &'l str {
        let field = line
            .get(..9)
            .and_then(|head| head.strip_suffix(": "))
            .map(str::trim);
        let text = line.get(9..).unwrap_or_default().trim_end().to_owned();
        match field {
            Some("cause") => self.cause.push(text),
            Some("state") => self.state = text,
            Some("help") => self.help.push(text),
            Some("logs") => {}
            _ => {
                let more = match last {
                    "cause" => self.cause.last_mut(),
                    "help" => self.help.last_mut(),
                    "state" => Some(&mut self.state),
                    "logs" => {
                        self.logs.push(text.trim_start_matches("| ").to_owned());
                        None
                    }
                    _ => None,
                };
                if let Some(more) = more {
                    more.push('\n');
                    more.push_str(&text);
                }
                return last;
            }
        }
        field.unwrap_or(last)
    }

    /// Compares, one by one.
    pub(super) fn expect(&self, expected: &Expected) -> Told {
        let Expected {
            exit,
            code,
            cause,
            state,
            help,
            logs,
        } = expected;
        let whole = &self.whole;
        assert_eq!(self.exit, Some(*exit), "exit code; printed:\n{whole}");
        assert_eq!(self.code, *code, "code; printed:\n{whole}");
        assert!(!self.title.is_empty(), "no title; printed:\n{whole}");
        assert!(
            self.state.contains(state) && (self.state.is_empty() == state.is_empty()),
            "state {:?}, not {state:?}; printed:\n{whole}",
            self.state
        );
        for (name, lines, pieces) in [
            ("cause", &self.cause, cause),
            ("help", &self.help, help),
            ("logs", &self.logs, logs),
        ] {
            for piece in *pieces {
                let found = lines.iter().any(|line| line.contains(piece));
                assert!(
                    found,
                    "{name} without {piece:?}: {lines:#?}; printed:\n{whole}"
                );
            }
        }
        Ok(())
    }

    /// The printed command that begins with `start`, such as `gcloud secrets create`.
    pub(super) fn command(&self, start: &str) -> Result<String, Failure> {
        let commands = self.help.iter().flat_map(|line| backticked(line));
        let mut matching = commands.filter(|command| command.starts_with(start));
        matching.next().map(str::to_owned).ok_or_else(|| {
            let help = &self.help;
            format!("no `{start} …` was printed: {help:#?}").into()
        })
    }

    /// Carries out the printed command that begins with `start` against the world.
    pub(super) async fn carry_out(&self, start: &str, world: &World) -> Told {
        gcloud::carry_out(&self.command(start)?, world).await
    }

    /// The value that a help line gives for an input: "set input `memory` to `1Gi`".
    pub(super) fn value(&self, input: &str) -> Result<String, Failure> {
        let start = format!("set input `{input}` to `");
        let mut values = self.help.iter().filter_map(|line| {
            let (_, rest) = line.split_once(&start)?;
            Some(rest.split_once('`')?.0.to_owned())
        });
        values.next().ok_or_else(|| {
            let help = &self.help;
            format!("no value for input `{input}` was printed: {help:#?}").into()
        })
    }

    /// The job with the input set as it is printed.
    pub(super) fn set(&self, input: &str, job: Job) -> Result<Job, Failure> {
        let value = self.value(input)?;
        let mut job = job;
        job.inputs.retain(|(name, _)| name != input);
        Ok(job.with(input, value))
    }
}

/// The pieces of a line between backticks.
fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn a_printed_error_is_taken_apart() -> Told {
    let log = "note\n  | error[D0301]: candidate `a-1` did not become ready\n  |   --> step 1/5\n  |   cause: first\n  |          more\n  |   cause: second\n  |   state: `a-0` serves\n  |    help: run `gcloud x y --z=1`, or set input `memory` to `1Gi`\n  |    logs: last 1 lines\n  |          | Traceback\n::end::\nafter\n";
    let told = Printed::parse(log, Some(4))?;
    assert_eq!(told.code, "D0301");
    assert_eq!(told.cause, ["first\nmore", "second"]);
    assert_eq!(told.state, "`a-0` serves");
    assert_eq!(told.logs, ["Traceback"]);
    assert_eq!(told.command("gcloud x")?, "gcloud x y --z=1");
    assert_eq!(told.value("memory")?, "1Gi");
    assert!(told.command("gcloud q").is_err());
    Ok(())
}

/// Carries out the command that begins with `start` where it stands in a note or a warning.
pub(crate) async fn carry_out_in(log: &str, start: &str, world: &World) -> Told {
    let mut commands = log.lines().flat_map(backticked);
    let command = commands.find(|command| command.starts_with(start));
    let command = command.ok_or_else(|| format!("no `{start} …` was printed:\n{log}"))?;
    gcloud::carry_out(command, world).await
}
