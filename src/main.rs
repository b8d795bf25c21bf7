//! Entry point of `ml-deploy`: arguments, environment and streams, read once.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use ml_deploy::command::{self, Streams};
use ml_deploy::report::Output;

fn main() -> ExitCode {
    let early = command::Early::listen();
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let streams = Streams {
        out_is_terminal: std::io::stdout().is_terminal(),
        err_is_terminal: std::io::stderr().is_terminal(),
        out: Output::new(std::io::stdout()),
        err: Output::new(std::io::stderr()),
    };
    ExitCode::from(command::main(
        early,
        std::env::args_os(),
        environment,
        streams,
    ))
}
