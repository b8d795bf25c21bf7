//! The job's summary page: Markdown that nobody else can write into. Pure.

use delivery::approval::ApprovalRecord;
use delivery::diagnostic::{Diagnostic, Level};
use delivery::outcome::Outcome;
use delivery::verdict::{CaseEnd, Evidence, Measurement, Plot};

use super::{RunSummary, text};

/// Most bytes of a step's summary; GitHub uploads nothing above.
pub const MOST_BYTES: usize = 1 << 20;
/// Room that the closing note needs.
const RESERVE: usize = 256;

/// Renders the page.
pub fn render(outcome: &Outcome, run: &RunSummary) -> String {
    let mut page = String::new();
    page.push_str(&format!("## {}\n\n", escape(&headline(outcome, run))));
    page.push_str(&facts(outcome, run));
    for diagnostic in outcome.diagnostics().iter().chain(&run.warnings) {
        page.push_str(&render_diagnostic(diagnostic));
    }
    if let Some(view) = &run.view {
        page.push_str(&view.markdown(&run.passes));
    }
    if !run.plan.is_empty() {
        // The lines are numbered and indented by themselves.
        page.push_str(&format!("\n### Plan\n\n{}", fenced(&run.plan.join("\n"))));
    }
    for evidence in &run.evidence {
        page.push_str(&render_evidence(evidence));
    }
    limit(page)
}

/// One line that says how it ended.
pub fn headline(outcome: &Outcome, run: &RunSummary) -> String {
    let environment = run.environment.as_deref().unwrap_or("this run");
    let release = run.release_label.as_deref().unwrap_or("the release");
    match outcome {
        Outcome::Promoted { .. } => format!("✅ {release} serves in {environment}"),
        // A rollback has no release to name.
        Outcome::UpToDate { revision, .. } if run.digest.is_none() => {
            format!("✅ {revision} serves in {environment} already")
        }
        Outcome::UpToDate { .. } => format!("✅ {release} serves in {environment} already"),
        Outcome::RolledBack { revision, .. } => format!("↩️ {environment} is back at {revision}"),
        Outcome::Waiting { revision, .. } => {
            format!("⏸️ {release} passed in {environment}: {revision} waits for its promotion")
        }
        Outcome::Verified => match run.warnings.len() {
            0 => "✅ No problem was found; nothing was deployed".to_owned(),
            1 => "⚠️ Nothing was deployed; read the warning before it is".to_owned(),
            more => format!("⚠️ Nothing was deployed; read the {more} warnings before it is"),
        },
        Outcome::Recovered { state } => {
            format!("↩️ {environment}: an unfinished rollout was ended; {state}")
        }
        // Wrong inputs end a run before its environment is known.
        Outcome::Stopped(_) if run.environment.is_none() => {
            "❌ Stopped: nothing was changed".to_owned()
        }
        Outcome::Stopped(_) => format!("❌ {release} stopped at {environment}"),
        Outcome::RollbackFailed(_) => format!("🚨 {environment}: the rollback failed, act now"),
    }
}

fn facts(outcome: &Outcome, run: &RunSummary) -> String {
    let served = match outcome {
        Outcome::Promoted { revision, url }
        | Outcome::UpToDate { revision, url }
        | Outcome::RolledBack { revision, url }
        | Outcome::Waiting { revision, url } => Some((revision.to_string(), url.clone())),
        Outcome::Verified
        | Outcome::Recovered { .. }
        | Outcome::Stopped(_)
        | Outcome::RollbackFailed(_) => None,
    };
    let rows = [
        ("Service", run.service.clone()),
        ("Address", served.as_ref().map(|(_, url)| url.clone())),
        (
            "Candidate",
            run.candidate_url
                .clone()
                .filter(|_| matches!(outcome, Outcome::Waiting { .. })),
        ),
        ("Revision", served.map(|(revision, _)| revision)),
        ("Image", run.image.clone()),
        ("Version", run.version.clone()),
        ("Commit", run.commit.clone()),
        ("Served before", run.before.clone()),
        (
            "Approval",
            run.approval.as_ref().map(ApprovalRecord::describe),
        ),
        (
            "Evidence",
            (!run.passes.is_empty()).then(|| run.passes.join("; ")),
        ),
        ("Exit code", Some((outcome.exit_code() as u8).to_string())),
    ];
    let mut table = String::from("| | |\n|---|---|\n");
    for (name, value) in rows {
        if let Some(value) = value {
            table.push_str(&format!("| {name} | {} |\n", escape(&value)));
        }
    }
    table
}

fn render_diagnostic(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        code,
        level,
        title,
        at,
        cause,
        state,
        help,
        logs,
        file: _,
    } = diagnostic;
    let mark = match level {
        Level::Error => "❌",
        Level::Warning => "⚠️",
    };
    let mut part = format!("\n### {mark} {}: {}\n\n", code.id(), escape(title));
    let mut field = |name: &str, value: &str| {
        let lines: Vec<String> = text::plain_lines(value)
            .iter()
            .map(|line| escape(line))
            .collect();
        part.push_str(&format!("- **{name}**: {}\n", lines.join("<br>")));
    };
    at.iter().for_each(|at| field("where", at));
    cause.iter().for_each(|cause| field("cause", cause));
    state.iter().for_each(|state| field("state", state));
    help.iter().for_each(|help| field("help", help));
    if !logs.is_empty() {
        let lines: Vec<String> = logs
            .iter()
            .flat_map(|line| text::plain_lines(line))
            .collect();
        part.push_str(&format!(
            "\n<details><summary>The last lines of the log</summary>\n\n{}\n</details>\n",
            fenced(&lines.join("\n"))
        ));
    }
    part
}

fn render_evidence(evidence: &Evidence) -> String {
    let Evidence {
        gate: _,
        place: _,
        cases,
        measurements,
        plots,
    } = evidence;
    let (passed, tried) = evidence.passed_of();
    let count = match tried {
        0 => "skipped".to_owned(),
        tried => format!("{passed} of {tried} passed"),
    };
    let mut part = format!(
        "\n### Tests: {} ({count})\n\n| | Case | Time | |\n|---|---|---|---|\n",
        escape(&evidence.title()),
    );
    for case in cases {
        let (mark, why) = match &case.end {
            CaseEnd::Passed => ("✅", String::new()),
            CaseEnd::Failed(lines) => (
                "❌",
                lines
                    .iter()
                    .map(|line| escape(line))
                    .collect::<Vec<_>>()
                    .join("<br>"),
            ),
            CaseEnd::Undecided(why) => ("❔", escape(why)),
            CaseEnd::Skipped(why) => ("➖", escape(why)),
        };
        part.push_str(&format!(
            "| {mark} | {} | {} | {why} |\n",
            escape(&case.name),
            text::duration(case.millis)
        ));
    }
    part.push_str(&figures(measurements));
    for Plot { title, rows } in plots {
        let rows: Vec<String> = rows.iter().map(|row| text::one_line(row)).collect();
        part.push_str(&format!(
            "\n{}\n\n{}",
            escape(title),
            fenced(&rows.join("\n"))
        ));
    }
    part
}

fn figures(measurements: &[Measurement]) -> String {
    if measurements.is_empty() {
        return String::new();
    }
    let mut table =
        "\n| Measured | Value | 95 % interval | Limit |\n|---|---|---|---|\n".to_owned();
    for Measurement {
        name,
        value,
        unit,
        low,
        high,
        limit,
    } in measurements
    {
        let with_unit = |number: f64| text::figure(number, unit);
        let interval = match (low, high) {
            (None, None) => String::new(),
            (low, high) => {
                let end = |end: &Option<f64>| end.map_or_else(|| "?".to_owned(), with_unit);
                format!("{} to {}", end(low), end(high))
            }
        };
        table.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            escape(name),
            escape(&with_unit(*value)),
            escape(&interval),
            escape(&limit.map(with_unit).unwrap_or_default())
        ));
    }
    table
}

/// Text that stays text: every character that Markdown or HTML could read is escaped, lines are joined.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text::one_line(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // GitHub turns a name behind it into a mention.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A code block whose fence is longer than any run of backticks inside.
pub fn fenced(text: &str) -> String {
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

/// Cuts the page where GitHub would upload nothing.
fn limit(mut page: String) -> String {
    if page.len() <= MOST_BYTES {
        return page;
    }
    let mut end = MOST_BYTES - RESERVE;
    while !page.is_char_boundary(end) {
        end -= 1;
    }
    // At a line, so that no table row or escape is cut in two.
    let end = page[..end].rfind('\n').unwrap_or(end);
    page.truncate(end);
    page.push_str("\n\n…the rest is in the job's log.\n");
    page
}
