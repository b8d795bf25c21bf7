//! Arguments → command → exit code.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use delivery::event::Event;
use delivery::outcome::ExitCode;
use tokio::sync::watch;

use super::deliver::Mode;
use super::job::{Ask, Job};
use super::run::Source;
use super::shell::{Shell, Streams};
use super::signals::{Early, Signals};
use super::{attached, check, generate, look, post, recover, run, signals, verify};
use crate::cli::{Cli, GenerateArgs, PlanArgs, PromoteArgs, Task};
use crate::report::Reporter;

/// Runs the program; gives its exit code. The one place where an outcome becomes a number is
/// `Outcome::exit_code`.
pub fn main(
    early: std::io::Result<Early>,
    arguments: impl IntoIterator<Item = OsString>,
    environment: BTreeMap<String, String>,
    streams: Streams,
) -> u8 {
    let early = match early {
        Ok(early) => early,
        Err(error) => return defect(&streams, &error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return defect(&streams, &error),
    };
    let (code, stopped) = runtime.block_on(async {
        match signals::install(&early) {
            Ok(signals) => {
                let stop = signals.stop.clone();
                let code = start(signals, arguments, environment, streams).await;
                (code, stop.is_cancelled())
            }
            Err(error) => (defect(&streams, &error), false),
        }
    });
    // What still runs in the background (removal of a container) gets a moment, not forever.
    let moment = if stopped { MOMENT_AFTER_SIGNAL } else { MOMENT };
    runtime.shutdown_timeout(moment);
    code
}

/// For what still runs in the background at the end.
const MOMENT: Duration = Duration::from_secs(2);
/// The same after a signal: a runner kills 10 s after its first one, and most of that may be gone.
const MOMENT_AFTER_SIGNAL: Duration = Duration::from_millis(300);

async fn start(
    signals: Signals,
    arguments: impl IntoIterator<Item = OsString>,
    environment: BTreeMap<String, String>,
    streams: Streams,
) -> u8 {
    let Signals { stop, count } = signals;
    let mut arguments = arguments.into_iter().peekable();
    let is_post = arguments
        .peek()
        .is_some_and(|name| is_named(name, post::PROGRAM));
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&streams, &error),
    };
    let shell = match Shell::new(environment, streams.clone(), cli.format, stop) {
        Ok(shell) => shell,
        Err(error) => return defect(&streams, &error),
    };
    tokio::spawn(tell_more_signals(count, Arc::clone(&shell.reporter)));
    if is_post {
        return post::run(&shell).await;
    }
    match cli.command {
        Some(task) => perform(&shell, task).await,
        None if shell.on_github => run::run_job(&shell).await,
        None => {
            streams
                .err
                .say(&format!("{}\n", Cli::command().render_help()));
            ExitCode::BadInput as u8
        }
    }
}

/// Whether the program was called by this name, in whatever folder.
fn is_named(called: &OsString, name: &str) -> bool {
    std::path::Path::new(called)
        .file_name()
        .is_some_and(|called| called == name)
}

/// A second signal cuts nothing short: what it would interrupt is the way back.
async fn tell_more_signals(mut count: watch::Receiver<u32>, reporter: Arc<dyn Reporter>) {
    let mut told = 1;
    while count.wait_for(|count| *count > told).await.is_ok() {
        told = *count.borrow();
        reporter.emit(Event::Note(
            "another signal: the run is ending already, at most 7 s after the first".to_owned(),
        ));
    }
}

async fn perform(shell: &Shell, task: Task) -> u8 {
    match task {
        Task::Plan(what) => promote(shell, what, Mode::Show, Source::Existing).await,
        Task::Promote(PromoteArgs { what, build }) => {
            let source = if build {
                Source::Built
            } else {
                Source::Existing
            };
            promote(shell, what, Mode::CarryOut, source).await
        }
        Task::Rollback(arguments) => {
            let mode = if arguments.plan {
                Mode::Show
            } else {
                Mode::CarryOut
            };
            let job = Job::prepare(shell, arguments.flags.0, Ask::Rollback).await;
            run::run(shell, job, mode, Source::Existing).await
        }
        Task::Recover(arguments) => recover::run(shell, &arguments).await,
        Task::Status(arguments) => look::status(shell, &arguments.flags.0).await,
        Task::Revisions(arguments) => look::revisions(shell, &arguments.flags.0).await,
        Task::Logs(arguments) => {
            look::logs(
                shell,
                &arguments.flags.0,
                arguments.revision.as_deref(),
                arguments.lines,
            )
            .await
        }
        Task::Evidence(arguments) => attached::run(shell, *arguments).await,
        Task::Verify(arguments) => verify::run(shell, &arguments).await,
        Task::Check(arguments) => check::run(shell, arguments).await,
        Task::Generate(arguments) => write_files(shell, &arguments),
        #[cfg(feature = "local-cloud")]
        Task::Emulator(arguments) => told(shell, super::emulator::run(shell, &arguments).await),
        #[cfg(feature = "local-cloud")]
        Task::Demo(arguments) => {
            let options = super::demo::DemoOptions {
                sample: arguments.sample,
                keep: arguments.keep,
            };
            told(
                shell,
                super::demo::run(&options, shell.streams.out.clone(), shell.stop.clone()).await,
            )
        }
    }
}

async fn promote(shell: &Shell, what: PlanArgs, mode: Mode, source: Source) -> u8 {
    let PlanArgs {
        reference,
        commit,
        flags,
    } = what;
    let job = Job::prepare(shell, flags.0, Ask::Reference { reference, commit }).await;
    run::run(shell, job, mode, source).await
}

fn write_files(shell: &Shell, arguments: &GenerateArgs) -> u8 {
    if arguments.check {
        let old = generate::outdated(&arguments.root);
        for path in &old {
            shell.streams.out.say(&format!(
                "{} is not what the code says; run `ml-deploy generate`\n",
                path.display()
            ));
        }
        return u8::from(!old.is_empty());
    }
    match generate::write(&arguments.root) {
        Ok(written) => {
            for path in written {
                shell
                    .streams
                    .out
                    .say(&format!("wrote {}\n", path.display()));
            }
            0
        }
        Err(error) => told(shell, Err(error)),
    }
}

/// A command that is no delivery: its error and its causes, once. What goes wrong there is the
/// machine's or the local cloud's: no engine, a port that is taken, a file that cannot be written.
fn told(shell: &Shell, result: anyhow::Result<()>) -> u8 {
    match result {
        Ok(()) => ExitCode::Success as u8,
        Err(error) => {
            shell.streams.err.say(&format!("error: {error:#}\n"));
            ExitCode::Cloud as u8
        }
    }
}

/// Help and version go to standard output and end well; everything else is bad input.
fn refuse(streams: &Streams, error: &clap::Error) -> u8 {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            streams.out.say(&text);
            ExitCode::Success as u8
        }
        _ => {
            streams.err.say(&text);
            ExitCode::BadInput as u8
        }
    }
}

fn defect(streams: &Streams, error: &dyn std::error::Error) -> u8 {
    streams.err.say(&format!("error: {error}\n"));
    ExitCode::Internal as u8
}
