//! What is read before somebody approves: what changes, who must approve, what was proven so far, what
//! would be missing, and what to return to. Pure.

use delivery::difference::{Change, Subject, Turn};
use delivery::plan::Outlook;
use serde_json::{Value, json};

use super::summary::escape;

/// Beside the steps of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanView {
    /// What the plan brings to each region, by its name; none where nothing is to be done.
    pub outlooks: Vec<(String, Outlook)>,
    /// Who must approve, and what else holds the gate, one line each.
    pub gate: Vec<String>,
    /// What the environment before has and this one would not, or why that is not known.
    pub drift: Vec<String>,
}

impl PlanView {
    /// Lines for a terminal or a log, without the changes, which stand in the plan itself.
    pub fn lines(&self, passes: &[String]) -> Vec<String> {
        let Self {
            outlooks: _,
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
            outlooks,
            gate,
            drift,
        } = self;
        let mut part = String::new();
        let changes = alike(outlooks, Outlook::changes);
        if !changes.is_empty() {
            part.push_str("\n### What changes\n\n");
        }
        for (regions, changes) in &changes {
            if !regions.is_empty() {
                part.push_str(&format!("In {}:\n\n", escape(regions)));
            }
            part.push_str(&changes_table(changes));
            if !regions.is_empty() {
                part.push('\n');
            }
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
        for (regions, target) in alike(outlooks, |one| one.rollback_target.clone()) {
            let rollback = match target {
                Some(target) => format!("rollback_to: previous returns to {target}"),
                None => "no earlier revision is recorded healthy here".to_owned(),
            };
            list("rollback", &[in_regions(&regions, rollback)]);
        }
        part
    }

    /// The same for programs.
    pub fn json(&self, passes: &[String]) -> Value {
        let Self {
            outlooks,
            gate,
            drift,
        } = self;
        let first = outlooks.first().map(|(_, outlook)| outlook);
        let mut all = json!({
            "serving": first.and_then(|it| it.serving.clone()),
            "changes": first.map(Outlook::changes),
            "rollback_target": first.and_then(|it| it.rollback_target.clone()),
            "approval": gate,
            "evidence": passes,
            "drift": drift,
        });
        if outlooks.len() > 1 {
            let one = |(region, it): &(String, Outlook)| {
                let told = json!({
                    "serving": it.serving,
                    "changes": it.changes(),
                    "rollback_target": it.rollback_target,
                });
                (region.clone(), told)
            };
            all["regions"] = Value::Object(outlooks.iter().map(one).collect());
        }
        all
    }

    /// Adds what the comparison with the environment before came to in a region: said once where it is
    /// the same in all.
    pub fn set_drift(&mut self, by_region: &[(String, Vec<String>)]) {
        let lines = alike(by_region, Clone::clone).into_iter();
        self.drift = lines
            .flat_map(|(regions, lines)| {
                let named = move |line| in_regions(&regions, line);
                lines.into_iter().map(named).collect::<Vec<_>>()
            })
            .collect();
    }
}

/// What is told of the regions, each value once, with the names of its regions in front; without where
/// all have the same.
fn alike<T, V: PartialEq>(all: &[(String, T)], value: impl Fn(&T) -> V) -> Vec<(String, V)> {
    let mut groups: Vec<(Vec<&str>, V)> = Vec::new();
    for (region, one) in all {
        let value = value(one);
        match groups.iter_mut().find(|(_, known)| *known == value) {
            Some((regions, _)) => regions.push(region),
            None => groups.push((vec![region], value)),
        }
    }
    let several = groups.len() > 1;
    let named = |(regions, value): (Vec<&str>, V)| {
        let regions = if several {
            regions.join(", ")
        } else {
            String::new()
        };
        (regions, value)
    };
    groups.into_iter().map(named).collect()
}

fn in_regions(regions: &str, text: String) -> String {
    if regions.is_empty() {
        text
    } else {
        format!("{regions}: {text}")
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
    use delivery::spec::Access;

    use super::*;

    fn view() -> PlanView {
        let configuration = |image: &str, value: &str| Configuration {
            image: image.to_owned(),
            variables: BTreeMap::from([("LEVEL|x".to_owned(), Hidden::new(value))]),
            ..Configuration::default()
        };
        PlanView {
            outlooks: vec![(
                "us-central1".to_owned(),
                Outlook {
                    serving: Some(RevisionName::parse("api-v1").unwrap()),
                    before: Some(configuration("r/api@sha256:1", "hunter1")),
                    after: configuration("r/api@sha256:2", "hunter2"),
                    access_before: Some(Access::Public),
                    access_after: Some(Access::Private),
                    rollback_target: Some(RevisionName::parse("api-v1").unwrap()),
                },
            )],
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
            "| changed | setting access | public | private |",
            "- **approval**: required",
            "- **evidence**: staging passed",
            "- **drift**: &lt;b&gt;",
            "- **rollback**: rollback\\_to: previous returns to api-v1",
        ] {
            assert!(page.lines().any(|it| it == line), "{line}:\n{page}");
        }
        let json = view().json(&passes);
        let access = json!({"subject": "setting", "name": "access", "turn": "changed",
            "before": "public", "after": "private"});
        assert_eq!(json["changes"][2], access, "{json}");
        let all = format!("{page}{json}{:?}", view());
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
            outlooks: vec![(
                "us-central1".to_owned(),
                Outlook {
                    before: Some(Configuration::default()),
                    ..Outlook::default()
                },
            )],
            ..PlanView::default()
        };
        let page = same.markdown(&[]);
        assert!(page.contains("Nothing of the configuration."), "{page}");
        assert!(page.contains("no earlier revision"), "{page}");
        assert!(page.contains("none was asked for"), "{page}");
    }

    #[test]
    fn regions_are_told_once_where_they_agree_and_each_where_they_do_not() {
        let mut two = view();
        let (_, outlook) = two.outlooks[0].clone();
        let region = |name: &str, outlook: &Outlook| (name.to_owned(), outlook.clone());
        two.outlooks.push(region("europe-west1", &outlook));
        assert_eq!(two.markdown(&[]), view().markdown(&[]));
        assert_eq!(
            two.json(&[])["regions"]["europe-west1"]["serving"],
            "api-v1"
        );

        // A third one serves an older image, and has nothing to return to.
        let mut older = outlook.clone();
        if let Some(before) = &mut older.before {
            before.image = "r/api@sha256:0".to_owned();
        }
        older.rollback_target = None;
        two.outlooks.push(region("asia-east1", &older));
        let page = two.markdown(&[]);
        for part in [
            "In us-central1, europe-west1:",
            "In asia-east1:",
            "sha256:0",
            "us-central1, europe-west1: rollback",
            "asia-east1: no earlier revision",
        ] {
            assert!(page.contains(part), "{part}:\n{page}");
        }
    }

    #[test]
    fn drift_is_told_once_where_the_regions_agree() {
        let mut view = PlanView::default();
        let region = |name: &str, line: &str| (name.to_owned(), vec![line.to_owned()]);
        view.set_drift(&[region("a-1", "none"), region("b-1", "none")]);
        assert_eq!(view.drift, ["none"]);
        view.set_drift(&[region("a-1", "none"), region("b-1", "KEY")]);
        assert_eq!(view.drift, ["a-1: none", "b-1: KEY"]);
    }
}
