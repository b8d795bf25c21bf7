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

/// Renders the page.
pub fn render() -> String {
    let mut page = String::from(
        "<!-- Written by `ml-deploy generate` from crates/delivery/src/diagnostic.rs; do not edit. -->\n\n\
         # Errors and exit codes\n\n\
         Every error has a code, says where it happened and why, what serves now (`state:`) and the way out (`help:`).\n\n\
         ## Exit codes\n\n| code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in EXIT_CODES {
        page.push_str(&format!("| {} | {meaning} |\n", code as u8));
    }
    page.push_str("\n## Errors\n\n| code | name | meaning | exit code |\n|---|---|---|---|\n");
    for code in Code::ALL {
        page.push_str(&format!(
            "| `{}` | {code:?} | {} | {} |\n",
            code.id(),
            code.meaning(),
            code.exit_code() as u8
        ));
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
                .all(|code| described.contains(&(code.exit_code() as u8)))
        );
        assert!(render().contains("| `D0302` | TestsFailed |"));
    }
}
