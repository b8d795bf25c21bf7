//! Where text goes, what the environment says, how a run ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use tokio_util::sync::CancellationToken;

use crate::cli::Format;
use crate::gcp::endpoint::CLOUD_URL_VARIABLE;
use crate::report::files::CommandFiles;
use crate::report::github::GithubReporter;
use crate::report::lines::JsonReporter;
use crate::report::masker::GithubMasker;
use crate::report::style::Style;
use crate::report::terminal::{Bars, TerminalReporter};
use crate::report::token::Words;
use crate::report::{Output, Reporter, RunSummary};
use crate::secret::{Masker, NoMasker};
use crate::verify::{LoadedSuite, load_suites};

/// Set to `terminal`, the log of a job against a local cloud takes the form of a terminal, for people
/// who watch it on their own machine. Elsewhere a runner reads the log: it needs masks, and foreign
/// text that can be no command.
const LOG_FORMAT: &str = "ML_DEPLOY_LOG_FORMAT";

/// The process's streams.
#[derive(Clone)]
pub struct Streams {
    /// Results, and the whole log of a GitHub job.
    pub out: Output,
    /// What happens, on a terminal.
    pub err: Output,
    /// Whether `err` is a terminal.
    pub err_is_terminal: bool,
    /// Whether `out` is a terminal.
    pub out_is_terminal: bool,
}

/// What every command works with.
pub(super) struct Shell {
    pub(super) environment: BTreeMap<String, String>,
    pub(super) streams: Streams,
    pub(super) format: Format,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) masker: Arc<dyn Masker>,
    pub(super) stop: CancellationToken,
    /// The process is a step of a GitHub job.
    pub(super) on_github: bool,
    words: Words,
    files: CommandFiles,
}

impl Shell {
    /// Chooses reporter and masker.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub(super) fn new(
        environment: BTreeMap<String, String>,
        streams: Streams,
        format: Format,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let on_github = environment
            .get("GITHUB_ACTIONS")
            .is_some_and(|text| text == "true");
        let as_terminal = environment
            .get(LOG_FORMAT)
            .is_some_and(|text| text == "terminal")
            && environment.contains_key(CLOUD_URL_VARIABLE);
        let files = if on_github {
            CommandFiles::from_environment(&environment)
        } else {
            CommandFiles::default()
        };
        let reporter: Arc<dyn Reporter> = match format {
            Format::Json => Arc::new(JsonReporter::new(streams.out.clone())),
            Format::Human if on_github && !as_terminal => {
                Arc::new(GithubReporter::new(streams.out.clone(), Words::random()?))
            }
            Format::Human => Arc::new(terminal(&environment, &streams, on_github)),
        };
        let masker: Arc<dyn Masker> = if on_github && !as_terminal {
            Arc::new(GithubMasker::new(streams.out.clone()))
        } else {
            Arc::new(NoMasker)
        };
        Ok(Self {
            environment,
            streams,
            format,
            reporter,
            masker,
            stop,
            on_github,
            words: Words::random()?,
            files,
        })
    }

    /// Takes events.
    pub(super) fn sink(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.reporter) as Arc<dyn EventSink>
    }

    /// One line of our own.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.reporter.emit(Event::Note(text.into()));
    }

    /// A variable that is not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .get(name)
            .filter(|text| !text.is_empty())
            .cloned()
    }

    /// Saves a value for the post step of the same step; nothing where there is none. The runner reads
    /// it when the docker client has ended, even if it was killed.
    pub(super) fn save_state(&self, name: &str, value: String) {
        if let Err(error) = self.files.write_state(&[(name, value)], &self.words) {
            let warning = Diagnostic::warning(
                Code::OutputsUnwritten,
                "what the post step is to know could not be saved",
            )
            .cause(error.to_string());
            self.reporter.emit(Event::Warning(warning));
        }
    }

    /// Where the repository is: the runner's workspace, or here.
    pub(super) fn root(&self) -> PathBuf {
        match self.variable("GITHUB_WORKSPACE") {
            Some(workspace) if self.on_github => PathBuf::from(workspace),
            _ => PathBuf::from("."),
        }
    }

    /// Reads test files. Their secrets are masked from here on.
    ///
    /// # Errors
    /// Everything that is wrong in all of them.
    pub(super) fn load_suites(
        &self,
        root: &std::path::Path,
        patterns: &[String],
    ) -> Result<Vec<LoadedSuite>, Vec<Diagnostic>> {
        let suites = load_suites(root, patterns, &|name| self.variable(name))?;
        for secret in suites.iter().flat_map(|one| &one.secrets) {
            self.masker.mask(secret);
        }
        Ok(suites)
    }

    /// Tells how the run ended, writes outputs and summary; gives the exit code. Called once, last.
    pub(super) fn finish(&self, outcome: &Outcome, run: &RunSummary) -> u8 {
        self.reporter.finish(outcome, run);
        if let Err(error) = self.files.publish(outcome, run, &self.words) {
            let warning = Diagnostic::warning(
                Code::OutputsUnwritten,
                "outputs or summary could not be written",
            )
            .cause(error.to_string());
            self.reporter.emit(Event::Warning(warning));
        }
        if let Err(cause) = run.reports.write(outcome, run) {
            let warning = Diagnostic::warning(
                Code::ResultsUnwritten,
                "the results of the tests could not be written",
            );
            self.reporter.emit(Event::Warning(warning.cause(cause)));
        }
        outcome.exit_code() as u8
    }
}

fn terminal(
    environment: &BTreeMap<String, String>,
    streams: &Streams,
    on_github: bool,
) -> TerminalReporter {
    let forced = environment
        .get("CLICOLOR_FORCE")
        .is_some_and(|text| !text.is_empty() && text != "0");
    let no_color = environment.get("NO_COLOR").map(String::as_str);
    let style = Style::for_terminal(streams.err_is_terminal || forced, no_color);
    let bars = if streams.err_is_terminal {
        Bars::Drawn
    } else {
        Bars::Lines
    };
    let output = if on_github {
        streams.out.clone()
    } else {
        streams.err.clone()
    };
    TerminalReporter::new(output, style, bars)
}
