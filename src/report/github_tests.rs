use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delivery::diagnostic::Code;
use delivery::event::Unit;
use delivery::name::RevisionName;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use proptest::prelude::*;

use super::*;
use crate::report::files::CommandFiles;
use crate::report::testing::Written;

fn reporter(written: &Written) -> GithubReporter {
    GithubReporter::new(written.output(), Words::from_seed([3; 32]))
}

/// The commands in a log, read as the runner reads it: lines end at LF or CR, `::x::` at a line's
/// start, `##[x]` anywhere, nothing between `stop-commands` and its word.
fn commands(log: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut stopped: Option<String> = None;
    for line in log.split(['\n', '\r']) {
        let trimmed = line.trim_start();
        if let Some(word) = &stopped {
            if trimmed == format!("::{word}::") {
                stopped = None;
            }
            continue;
        }
        if let Some(word) = trimmed.strip_prefix("::stop-commands::") {
            stopped = Some(word.to_owned());
        } else if trimmed
            .strip_prefix("::")
            .is_some_and(|rest| rest.contains("::"))
        {
            found.push(trimmed.split(' ').next().unwrap_or_default().to_owned());
        } else if line.find("##[").is_some_and(|at| line[at..].contains(']')) {
            found.push("##[".to_owned());
        }
    }
    assert!(stopped.is_none(), "commands stay stopped");
    found
}

/// The same, for a reader that does not obey `stop-commands`.
fn commands_when_not_obeyed(log: &str, words: &[String]) -> Vec<String> {
    let without: Vec<&str> = log
        .split(['\n', '\r'])
        .filter(|line| {
            !line.starts_with("::stop-commands::") && !words.contains(&(*line).to_owned())
        })
        .collect();
    commands(&without.join("\n"))
}

fn closing_words() -> Vec<String> {
    let words = Words::from_seed([3; 32]);
    (0..64).map(|_| format!("::{}::", words.next())).collect()
}

fn nasty() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("::error::x".to_owned()),
            Just("::add-mask::y".to_owned()),
            Just("::stop-commands::z\n".to_owned()),
            Just("##[error]x".to_owned()),
            Just("##[".to_owned()),
            Just("]".to_owned()),
            Just("\r".to_owned()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just(" ".to_owned()),
            Just("%0A::error::x".to_owned()),
            Just("\u{1b}[31m".to_owned()),
            any::<String>(),
        ],
        0..10,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_foreign_text_issues_a_command(text in nasty()) {
        let written = Written::default();
        let log = reporter(&written);
        log.emit(Event::GroupStarted { title: text.clone() });
        log.emit(Event::ForeignText { source: text.clone(), text: text.clone() });
        log.emit(Event::Note(text.clone()));
        log.emit(Event::StepStarted { number: 1, total: 1, id: "verify", because: text.clone() });
        log.emit(Event::StepFinished { id: "verify", result: text.clone(), millis: 1 });
        log.emit(Event::CaseFinished(CaseResult {
            name: text.clone(), end: CaseEnd::Failed(vec![text.clone()]), millis: 1 }));
        let diagnostic = Diagnostic::error(Code::TestsFailed, text.clone())
            .at(text.clone()).cause(text.clone()).state(text.clone()).help(text.clone()).logs([text.clone()]);
        log.emit(Event::Warning(Diagnostic { level: Level::Warning, ..diagnostic.clone() }));
        log.finish(&Outcome::Stopped(vec![diagnostic]), &RunSummary {
            environment: Some(text.clone()), ..RunSummary::default() });
        let expected = ["::group::", "::warning", "::endgroup::", "::error"];
        let starts_as_expected = |found: &[String]| {
            found.len() == expected.len() && found.iter().zip(expected).all(|(one, start)| one.starts_with(start))
        };
        let found = commands(&written.text());
        prop_assert!(starts_as_expected(&found), "{found:?}\n{}", written.text());
        let found = commands_when_not_obeyed(&written.text(), &closing_words());
        prop_assert!(starts_as_expected(&found), "{found:?}\n{}", written.text());
    }

    #[test]
    fn no_foreign_text_writes_markdown(text in nasty()) {
        let escaped = summary::escape(&text);
        prop_assert!(!escaped.contains(['<', '>', '\n', '\r', '@']));
        let fenced = summary::fenced(&text);
        let fence = fenced.split("text\n").next().unwrap();
        prop_assert!(!text.contains(fence));
    }
}

#[test]
fn a_job_reads_its_log_summary_and_outputs() {
    let directory = tempfile::tempdir().unwrap();
    let files = CommandFiles {
        output: Some(directory.path().join("output")),
        summary: Some(directory.path().join("summary")),
        ..CommandFiles::default()
    };
    let written = Written::default();
    let log = reporter(&written);
    log.emit(Event::GroupStarted {
        title: "Promote".to_owned(),
    });
    log.emit(Event::StepStarted {
        number: 1,
        total: 2,
        id: "verify",
        because: "a candidate is tested".to_owned(),
    });
    log.emit(Event::CaseFinished(CaseResult {
        name: "health".to_owned(),
        end: CaseEnd::Passed,
        millis: 12,
    }));
    log.emit(Event::StepFinished {
        id: "verify",
        result: "1 of 1 passed".to_owned(),
        millis: 1_300,
    });
    let outcome = Outcome::Promoted {
        revision: RevisionName::parse("ml-api-dev-v1").unwrap(),
        url: "https://ml-api-dev.example".to_owned(),
    };
    let run = RunSummary {
        environment: Some("dev".to_owned()),
        release_label: Some("v1.0.0".to_owned()),
        evidence: vec![Evidence::new(
            "api-tests",
            vec![CaseResult {
                name: "a|b".to_owned(),
                end: CaseEnd::Passed,
                millis: 12,
            }],
        )],
        ..RunSummary::default()
    };
    log.finish(&outcome, &run);
    files
        .publish(&outcome, &run, &Words::from_seed([4; 32]))
        .unwrap();
    insta::assert_snapshot!(written.text(), @r"
    ::group::Promote
    [1/2] verify: a candidate is tested
      ✓ health (12 ms)
      ✓ verify: 1 of 1 passed (1.3 s)
    ::endgroup::
    ✅ v1.0.0 serves in dev
    ");
    insta::assert_snapshot!(std::fs::read_to_string(directory.path().join("summary")).unwrap(), @r"
    ## ✅ v1.0.0 serves in dev

    | | |
    |---|---|
    | Address | https://ml-api-dev.example |
    | Revision | ml-api-dev-v1 |
    | Exit code | 0 |

    ### Tests: api-tests (1 of 1 passed)

    | | Case | Time | |
    |---|---|---|---|
    | ✅ | a\|b | 12 ms |  |
    ");
    let outputs = std::fs::read_to_string(directory.path().join("output")).unwrap();
    assert!(
        outputs.contains("\nhttps://ml-api-dev.example\n"),
        "{outputs}"
    );
    assert!(outputs.contains("\npromoted\n"), "{outputs}");
}

#[test]
fn progress_lines_are_sparse() {
    let written = Written::default();
    let seconds = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let clock = Arc::clone(&seconds);
    let log = GithubReporter::with_clock(written.output(), Words::from_seed([3; 32]), move || {
        start + Duration::from_secs(clock.load(Ordering::Relaxed))
    });
    for second in 0..=12 {
        seconds.store(second, Ordering::Relaxed);
        log.emit(Event::Progress {
            what: "build".to_owned(),
            done: second,
            total: None,
            unit: Unit::Seconds,
        });
    }
    log.emit(Event::Progress {
        what: "quick".to_owned(),
        done: 1,
        total: Some(2),
        unit: Unit::Items,
    });
    log.emit(Event::Progress {
        what: "quick".to_owned(),
        done: 2,
        total: Some(2),
        unit: Unit::Items,
    });
    assert_eq!(written.text(), "build: 5 s\nbuild: 10 s\n");
}

#[test]
fn a_summary_is_never_too_large() {
    let diagnostic = Diagnostic::error(Code::BuildFailed, "x")
        .logs((0..20_000).map(|n| format!("{n} {}", "ä".repeat(100))));
    let page = summary::render(&Outcome::Stopped(vec![diagnostic]), &RunSummary::default());
    assert!(page.len() <= summary::MOST_BYTES);
    assert!(page.ends_with("the rest is in the job's log.\n"));
}
