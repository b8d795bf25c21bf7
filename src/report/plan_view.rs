//! What is read before somebody approves: what changes, who must approve, what was proven so far, what
//! would be missing, and what to return to. Pure.

use delivery::difference::{Change, Subject, Turn};
use delivery::plan::Outlook;
use serde_json::{Value, json};

use super::summary::escape;

/// Beside the steps of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanView {
    /// What the plan brings; absent where nothing is to be done.
    pub outlook: Option<Outlook>,
    /// Who must approve, and what else holds the gate, one line each.
    pub gate: Vec<String>,
    /// What the environment before has and this one would not, or why that is not known.
    pub drift: Vec<String>,
}

impl PlanView {
    /// Lines for a terminal or a log, without the changes, which stand in the plan itself.
    pub fn lines(&self, passes: &[String]) -> Vec<String> {
        let Self {
            outlook: _,
            gate,
            drift,
        } = self;
        let named = |name: &'static str, lines: &[String]| {
            lines
                .iter()
                .map(|line| format!("  {name}: {line}"))
                .collect::<Vec<_>>()
        };
        [
            named("approval", gate),
            named("evidence", passes),
            named("drift", drift),
        ]
        .concat()
    }

    /// The part of the summary. `passes` is the evidence so far, one line for each environment.
    pub fn markdown(&self, passes: &[String]) -> String {
        let Self {
            outlook,
            gate,
            drift,
        } = self;
        let mut part = String::new();
        if let Some(outlook) = outlook {
            part.push_str("\n### What changes\n\n");
            part.push_str(&changes_table(&outlook.changes()));
        }
        part.push_str("\n### Before you approve\n\n");
        let mut list = |name: &str, lines: &[String]| {
            for line in lines {
                part.push_str(&format!("- **{name}**: {}\n", escape(line)));
            }
        };
        list("approval", gate);
        let nothing = ["none was asked for".to_owned()];
        list(
            "evidence",
            if passes.is_empty() { &nothing } else { passes },
        );
        list("drift", drift);
        if let Some(outlook) = outlook {
            let rollback = match &outlook.rollback_target {
                Some(target) => format!("rollback_to: previous returns to {target}"),
                None => "no earlier revision is recorded healthy here".to_owned(),
            };
            list("rollback", &[rollback]);
        }
        part
    }

    /// The same for programs.
    pub fn json(&self, passes: &[String]) -> Value {
        let Self {
            outlook,
            gate,
            drift,
        } = self;
        json!({
            "serving": outlook.as_ref().and_then(|it| it.serving.clone()),
            "changes": outlook.as_ref().map(Outlook::changes),
            "rollback_target": outlook.as_ref().and_then(|it| it.rollback_target.clone()),
            "approval": gate,
            "evidence": passes,
            "drift": drift,
        })
    }
}

fn changes_table(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "Nothing of the configuration.\n".to_owned();
    }
    let mut table = String::from("| | | now | then |\n|---|---|---|---|\n");
    for change in changes {
        let Change {
            subject,
            name,
            turn,
            before,
            after,
        } = change;
        let kind = match subject {
            Subject::Image => "",
            Subject::Variable => "variable ",
            Subject::Secret => "secret ",
            Subject::Setting => "setting ",
        };
        let word = match turn {
            Turn::Added => "added",
            Turn::Removed => "removed",
            Turn::Changed => "changed",
        };
        // The value of a variable is shown nowhere.
        let value = |value: &Option<String>| value.as_deref().map(escape).unwrap_or_default();
        table.push_str(&format!(
            "| {word} | {} | {} | {} |\n",
            escape(&format!("{kind}{name}")),
            value(before),
            value(after)
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use delivery::configuration::{Configuration, Hidden};
    use delivery::name::RevisionName;

    use super::*;

    fn view() -> PlanView {
        let configuration = |image: &str, value: &str| Configuration {
            image: image.to_owned(),
            variables: BTreeMap::from([("LEVEL|x".to_owned(), Hidden::new(value))]),
            ..Configuration::default()
        };
        PlanView {
            outlook: Some(Outlook {
                serving: Some(RevisionName::parse("api-v1").unwrap()),
                before: Some(configuration("r/api@sha256:1", "hunter1")),
                after: configuration("r/api@sha256:2", "hunter2"),
                rollback_target: Some(RevisionName::parse("api-v1").unwrap()),
            }),
            gate: vec!["required".to_owned()],
            drift: vec!["<b>".to_owned()],
        }
    }

    #[test]
    fn the_page_tells_names_and_no_values() {
        let passes = ["staging passed".to_owned()];
        let page = view().markdown(&passes);
        for line in [
            "| changed | image | r/api&#64;sha256:1 | r/api&#64;sha256:2 |",
            "| changed | variable LEVEL\\|x |  |  |",
            "- **approval**: required",
            "- **evidence**: staging passed",
            "- **drift**: &lt;b&gt;",
            "- **rollback**: rollback\\_to: previous returns to api-v1",
        ] {
            assert!(page.lines().any(|it| it == line), "{line}:\n{page}");
        }
        let all = format!("{page}{}{:?}", view().json(&passes), view());
        assert!(!all.contains("hunter"), "{all}");
        assert_eq!(
            view().lines(&passes),
            [
                "  approval: required",
                "  evidence: staging passed",
                "  drift: <b>"
            ]
        );
    }

    #[test]
    fn where_nothing_changes_that_is_said() {
        let same = PlanView {
            outlook: Some(Outlook {
                before: Some(Configuration::default()),
                ..Outlook::default()
            }),
            ..PlanView::default()
        };
        let page = same.markdown(&[]);
        assert!(page.contains("Nothing of the configuration."), "{page}");
        assert!(page.contains("no earlier revision"), "{page}");
        assert!(page.contains("none was asked for"), "{page}");
    }
}
