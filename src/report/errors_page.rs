//! `docs/errors.md`: every code, from the one catalogue. Pure.

use delivery::diagnostic::Code;
use delivery::outcome::ExitCode;

/// The exit codes, with what they mean.
const EXIT_CODES: [(ExitCode, &str); 7] = [
    (
        ExitCode::Success,
        "Promoted, rolled back as asked, or nothing to do.",
    ),
    (
        ExitCode::Internal,
        "A defect of this program. Please report it.",
    ),
    (
        ExitCode::BadInput,
        "An input is wrong or missing. Nothing was changed.",
    ),
    (
        ExitCode::Blocked,
        "A gate, a policy or missing evidence blocks it. Nothing was changed.",
    ),
    (
        ExitCode::VerificationFailed,
        "Verification failed: nothing was promoted, or it was rolled back. What served before serves.",
    ),
    (
        ExitCode::RollbackFailed,
        "**The rollback failed. Act now:** what should serve may not serve.",
    ),
    (
        ExitCode::Cloud,
        "The cloud, the registry, the Docker engine or the authentication failed. What served before serves.",
    ),
];

/// A failure that is recognised by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFailure {
    /// Stable name; the section's anchor.
    pub id: &'static str,
    /// What happened.
    pub title: &'static str,
    /// The text by which it is recognised.
    pub says: &'static str,
    /// Why it happens.
    pub cause: String,
    /// The way out; one line a possibility.
    pub help: Vec<String>,
    /// Whether running again is enough.
    pub passes: bool,
}

/// Known failures under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// The heading.
    pub title: &'static str,
    /// What stands below it first.
    pub text: &'static str,
    /// The failures.
    pub failures: Vec<KnownFailure>,
}

fn push_chapter(page: &mut String, chapter: &Chapter) {
    let Chapter {
        title,
        text,
        failures,
    } = chapter;
    page.push_str(&format!("\n## {title}\n\n{text}\n"));
    for failure in failures {
        let KnownFailure {
            id,
            title,
            says,
            cause,
            help,
            passes,
        } = failure;
        page.push_str(&format!(
            "\n<a id=\"{id}\"></a>\n\n### {title}\n\nText: `{says}`\n\nCause: {cause}.\n\nWay out:\n\n"
        ));
        for line in help {
            page.push_str(&format!("- {line}\n"));
        }
        if *passes {
            page.push_str("\nIt passes by itself.\n");
        }
    }
}

/// Renders the page; `chapters` are the known failures.
pub fn render(chapters: &[Chapter]) -> String {
    let mut page = String::from(
        "<!-- Written by `ml-deploy generate` from crates/delivery/src/diagnostic.rs and src/gcp/advice/; do not edit. -->\n\n\
         # Errors and exit codes\n\n\
         Every error has a code, says where it happened and why, what serves now (`state:`) and the way out (`help:`).\n\n\
         ## Exit codes\n\n| code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in EXIT_CODES {
        page.push_str(&format!("| {} | {meaning} |\n", code as u8));
    }
    page.push_str(
        "\n## Errors\n\n\
         The way out is the usual one; the message itself knows the case, with names and commands. What has no exit \
         code only warns: the run goes on. So does *or a warning*, unless the input that the way out names makes an error of it.\n\n\
         | code | name | meaning | way out | exit code |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let exit = match (code.exit_code(), code.warns_by_default()) {
            (None, _) => "—".to_owned(),
            (Some(exit), false) => (exit as u8).to_string(),
            (Some(exit), true) => format!("{}, or a warning", exit as u8),
        };
        page.push_str(&format!(
            "| `{}` | {code:?} | {} | {} | {exit} |\n",
            code.id(),
            code.meaning(),
            code.way_out(),
        ));
    }
    for chapter in chapters {
        push_chapter(&mut page, chapter);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_exit_code_of_an_error_is_described_and_every_error_has_its_own_code() {
        let described: BTreeSet<u8> = EXIT_CODES.iter().map(|(code, _)| *code as u8).collect();
        let ids: BTreeSet<&str> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(ids.len(), Code::ALL.len());
        assert!(
            Code::ALL
                .iter()
                .filter_map(|code| code.exit_code())
                .all(|exit| described.contains(&(exit as u8)))
        );
    }

    #[test]
    fn every_row_has_its_way_out_and_what_only_warns_has_no_exit_code() {
        let page = render(&[]);
        let row = |id: &str| {
            let start = format!("| `{id}` |");
            let found = page.lines().find(|line| line.starts_with(&start));
            found.unwrap_or_default().to_owned()
        };
        assert_eq!(
            row("D0214"),
            "| `D0214` | VersionReused | The version stands for another digest in production. | Release this build under a new version. | 3 |"
        );
        assert_eq!(
            row("D0216"),
            "| `D0216` | ForeignChange | Something about the service was made by another tool; the run goes on and says what it does about it. | Deploy this service with ml-deploy only. | — |"
        );
        // Who reads only the column must not take a warning for a stop.
        for (id, end) in [
            ("D0222", " | 3, or a warning |"),
            ("D0224", " | 3, or a warning |"),
        ] {
            assert!(row(id).ends_with(end), "{}", row(id));
        }
        for code in Code::ALL {
            let way_out = code.way_out();
            let is_a_sentence = way_out.ends_with('.') && !way_out.contains(['|', '\n']);
            assert!(is_a_sentence, "{code:?}: {way_out}");
            assert!(row(code.id()).matches('|').count() == 6, "{code:?}");
        }
    }

    #[test]
    fn a_known_failure_has_its_section() {
        let chapter = Chapter {
            title: "What is answered",
            text: "In capitals stands what the run fills in.",
            failures: vec![KnownFailure {
                id: "image-not-found",
                title: "The image is not there",
                says: "Image '…' not found.",
                cause: "the registry holds no IMAGE".to_owned(),
                help: vec!["push it".to_owned()],
                passes: true,
            }],
        };
        let page = render(&[chapter]);
        assert!(page.ends_with("\n## What is answered\n\nIn capitals stands what the run fills in.\n\n<a id=\"image-not-found\"></a>\n\n### The image is not there\n\nText: `Image '…' not found.`\n\nCause: the registry holds no IMAGE.\n\nWay out:\n\n- push it\n\nIt passes by itself.\n"), "{page}");
    }
}
