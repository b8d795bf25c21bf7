//! Arguments → command → exit code.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use delivery::outcome::ExitCode;

use super::deliver::Mode;
use super::job::{Ask, Job};
use super::run::Source;
use super::shell::{Shell, Streams};
use super::{check, generate, look, run, signals, verify};
use crate::cli::{Cli, GenerateArgs, PromoteArgs, Task};

/// Runs the program; gives its exit code. The one place where an outcome becomes a number is
/// `Outcome::exit_code`.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: BTreeMap<String, String>,
    streams: Streams,
) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return defect(&streams, &error),
    };
    let code = runtime.block_on(start(arguments, environment, streams));
    // What still runs in the background (removal of a container) gets a moment, not forever.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

async fn start(
    arguments: impl IntoIterator<Item = OsString>,
    environment: BTreeMap<String, String>,
    streams: Streams,
) -> u8 {
    let stop = match signals::install() {
        Ok(stop) => stop,
        Err(error) => return defect(&streams, &error),
    };
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

async fn perform(shell: &Shell, task: Task) -> u8 {
    match task {
        Task::Plan(arguments) => promote(shell, arguments, Mode::Show).await,
        Task::Promote(arguments) => promote(shell, arguments, Mode::CarryOut).await,
        Task::Rollback(arguments) => {
            let mode = if arguments.plan {
                Mode::Show
            } else {
                Mode::CarryOut
            };
            let job = Job::prepare(shell, arguments.flags.0, Ask::Rollback).await;
            run::run(shell, job, mode, Source::Existing).await
        }
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

async fn promote(shell: &Shell, arguments: PromoteArgs, mode: Mode) -> u8 {
    let PromoteArgs {
        reference,
        commit,
        build,
        flags,
    } = arguments;
    let source = if build {
        Source::Built
    } else {
        Source::Existing
    };
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
