//! One diagnostic → the form that people read. Pure.

use delivery::diagnostic::{Diagnostic, Level};

use super::style::Style;
use super::text;

/// Lines of a log that are shown.
const LOG_LINES: usize = 50;

/// The whole form, one line each, without trailing newline:
/// ```text
/// error[D0301]: candidate `ml-api-v1` did not become ready
///   --> step 1/5 deploy-candidate · staging · us-central1/ml-api-staging
///   cause: …
///   state: …
///    help: …
///    logs: last 2 lines
///          | …
/// ```
pub fn render(diagnostic: &Diagnostic, style: Style) -> String {
    let Diagnostic {
        code,
        level,
        title,
        at,
        file: _,
        cause,
        state,
        help,
        logs,
    } = diagnostic;
    let word = match level {
        Level::Error => style.red("error"),
        Level::Warning => style.yellow("warning"),
    };
    let mut lines = vec![format!(
        "{word}{}",
        style.bold(&format!("[{}]: {}", code.id(), text::one_line(title)))
    )];
    if let Some(at) = at {
        lines.push(format!("  {} {}", style.blue("-->"), text::one_line(at)));
    }
    for cause in cause {
        push_field(&mut lines, "cause", cause, style);
    }
    if let Some(state) = state {
        push_field(&mut lines, "state", state, style);
    }
    for help in help {
        push_field(&mut lines, "help", help, style);
    }
    if !logs.is_empty() {
        let shown: Vec<String> = logs
            .iter()
            .flat_map(|line| text::plain_lines(line))
            .collect();
        let skipped = shown.len().saturating_sub(LOG_LINES);
        let shown = &shown[skipped..];
        push_field(
            &mut lines,
            "logs",
            &format!("last {} lines", shown.len()),
            style,
        );
        lines.extend(
            shown
                .iter()
                .map(|line| format!("         {} {line}", style.blue("|"))),
        );
    }
    lines.join("\n")
}

fn push_field(lines: &mut Vec<String>, name: &str, value: &str, style: Style) {
    let mut parts = text::plain_lines(value).into_iter();
    let first = parts.next().unwrap_or_default();
    lines.push(format!("{}: {first}", style.blue(&format!("{name:>7}"))));
    lines.extend(parts.map(|part| format!("         {part}")));
}

/// Lines of a log that an annotation holds: it is cut at 4,096 characters.
const ANNOTATED_LOG_LINES: usize = 10;

/// What goes into an annotation below its title. The log comes last, and only its end: the whole is
/// in the job's log.
pub fn message(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        code: _,
        level: _,
        title,
        at,
        file: _,
        cause,
        state,
        help,
        logs,
    } = diagnostic;
    let mut lines = vec![title.clone()];
    lines.extend(at.iter().map(|at| format!("at: {at}")));
    lines.extend(cause.iter().map(|cause| format!("cause: {cause}")));
    lines.extend(state.iter().map(|state| format!("state: {state}")));
    lines.extend(help.iter().map(|help| format!("help: {help}")));
    let skipped = logs.len().saturating_sub(ANNOTATED_LOG_LINES);
    lines.extend(logs.iter().skip(skipped).map(|line| format!("log: {line}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::diagnostic::Code;

    fn example() -> Diagnostic {
        Diagnostic::error(
            Code::CandidateNotReady,
            "candidate `ml-api-v1` did not become ready",
        )
        .at("step 1/5 deploy-candidate · staging")
        .cause("Cloud Run: the container failed\nto start")
        .state("traffic unchanged: `ml-api-v0` serves 100 %")
        .help("bind the server to 0.0.0.0:$PORT, or set input `port`")
        .logs(["one\r::error::two".to_owned()])
    }

    #[test]
    fn the_form() {
        insta::assert_snapshot!(render(&example(), Style::plain()), @r"
        error[D0301]: candidate `ml-api-v1` did not become ready
          --> step 1/5 deploy-candidate · staging
          cause: Cloud Run: the container failed
                 to start
          state: traffic unchanged: `ml-api-v0` serves 100 %
           help: bind the server to 0.0.0.0:$PORT, or set input `port`
           logs: last 2 lines
                 | one
                 | ::error::two
        ");
    }

    #[test]
    fn colours_appear_only_when_wanted() {
        assert!(!render(&example(), Style::plain()).contains('\u{1b}'));
        assert!(render(&example(), Style::coloured()).contains("\u{1b}["));
    }

    #[test]
    fn an_annotation_ends_with_the_last_lines_of_the_log() {
        let long = (1..=12).map(|number| format!("line {number}"));
        let message = message(&example().logs(long));
        assert!(message.contains("state: traffic unchanged"));
        assert!(message.ends_with("log: line 11\nlog: line 12"), "{message}");
        assert!(!message.contains("line 2\n"), "{message}");
    }
}
