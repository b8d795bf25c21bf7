//! Evidence as JUnit XML, in the form that CI servers and test reporters read: `testsuites` →
//! `testsuite` (one a gate) → `testcase`, with `failure`, `error` or `skipped`. Pure.

use delivery::verdict::{CaseEnd, CaseResult, Evidence, Measurement};

use super::text;

/// Renders all gates. `name` is what was tested.
pub fn render(name: &str, evidence: &[Evidence]) -> String {
    let all: Vec<Counts> = evidence.iter().map(Counts::of).collect();
    let sum = all.iter().fold(Counts::default(), Counts::plus);
    let mut page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {sum}>\n",
        escape(name),
    );
    for (evidence, counts) in evidence.iter().zip(&all) {
        page.push_str(&suite(evidence, counts));
    }
    page.push_str("</testsuites>\n");
    page
}

fn suite(evidence: &Evidence, counts: &Counts) -> String {
    let Evidence {
        gate: _,
        place: _,
        cases,
        measurements,
        // Pictures are for people.
        plots: _,
    } = evidence;
    let title = evidence.title();
    let mut part = format!("  <testsuite name=\"{}\" {counts}>\n", escape(&title));
    if !measurements.is_empty() {
        part.push_str("    <properties>\n");
        for (name, value) in measurements.iter().flat_map(properties) {
            part.push_str(&format!(
                "      <property name=\"{}\" value=\"{}\"/>\n",
                escape(&name),
                escape(&value)
            ));
        }
        part.push_str("    </properties>\n");
    }
    for one in cases {
        part.push_str(&case(&title, one));
    }
    part.push_str("  </testsuite>\n");
    part
}

fn properties(measurement: &Measurement) -> Vec<(String, String)> {
    let Measurement {
        name,
        value,
        unit,
        low,
        high,
        limit,
    } = measurement;
    let ends = [("low", low), ("high", high), ("limit", limit)];
    let mut all = vec![(name.clone(), text::figure(*value, unit))];
    all.extend(ends.into_iter().filter_map(|(word, end)| {
        let end = (*end)?;
        Some((format!("{name} {word}"), text::figure(end, unit)))
    }));
    all
}

fn case(suite: &str, case: &CaseResult) -> String {
    let CaseResult { name, end, millis } = case;
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{}\"",
        escape(name),
        escape(suite),
        seconds(*millis)
    );
    let (tag, kind, lines) = match end {
        CaseEnd::Passed => return format!("{head}/>\n"),
        CaseEnd::Skipped(why) => {
            let why = escape(&text::one_line(why));
            return format!("{head}>\n      <skipped message=\"{why}\"/>\n    </testcase>\n");
        }
        CaseEnd::Failed(lines) => ("failure", "difference", lines.join("\n")),
        // What could not be decided is no failed assertion: readers count it apart.
        CaseEnd::Undecided(why) => ("error", "undecided", why.clone()),
    };
    let message = lines.lines().next().unwrap_or("failed");
    format!(
        "{head}>\n      <{tag} message=\"{}\" type=\"{kind}\">{}</{tag}>\n    </testcase>\n",
        escape(&text::one_line(message)),
        escape(&text::plain_lines(&lines).join("\n"))
    )
}

#[derive(Debug, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    millis: u64,
}

impl Counts {
    fn of(evidence: &Evidence) -> Self {
        let mut counts = Self::default();
        for case in &evidence.cases {
            counts.tests += 1;
            counts.millis = counts.millis.saturating_add(case.millis);
            match case.end {
                CaseEnd::Passed => {}
                CaseEnd::Failed(_) => counts.failures += 1,
                CaseEnd::Undecided(_) => counts.errors += 1,
                CaseEnd::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
            millis: self.millis.saturating_add(other.millis),
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\"",
            self.tests,
            self.failures,
            self.errors,
            self.skipped,
            seconds(self.millis)
        )
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Text that stays text, in attributes too. Characters that XML 1.0 cannot hold are replaced: no
/// escape exists for them.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' | '\t' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c < ' ' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, end: CaseEnd) -> CaseResult {
        CaseResult {
            name: name.to_owned(),
            end,
            millis: 1_250,
        }
    }

    #[test]
    fn each_end_is_what_readers_of_junit_expect() {
        let lines = vec![
            "/p: expected \"a<b\", got 'x' & \u{1}".to_owned(),
            "  answer: ]]> ::error::".to_owned(),
        ];
        let mut tests = Evidence::new(
            "api-tests",
            vec![
                case("good", CaseEnd::Passed),
                case("bad <&\"\u{fffe}", CaseEnd::Failed(lines)),
                case("open", CaseEnd::Undecided("no\nroute".to_owned())),
            ],
        );
        let p95 = Measurement::new("p95", 120.0, "ms").between(98.0, f64::INFINITY);
        tests.measurements.push(p95.limit(Some(200.0)));
        let page = render(
            "v1 \"x\"",
            &[tests, Evidence::skipped("slo", "stopped before")],
        );
        insta::assert_snapshot!(page);
    }

    #[test]
    fn nothing_measured_is_a_whole_document_too() {
        let page = render("x", &[]);
        assert!(page.contains("<testsuites name=\"x\" tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"0.000\">\n</testsuites>"));
    }

    /// Elements, their attributes and what may stand in them, in order: the common ground of the
    /// schemas that Jenkins, Surefire and pytest publish.
    const FORM: &[(&str, &[&str], &[&str])] = &[
        (
            "testsuites",
            &["name", "tests", "failures", "errors", "skipped", "time"],
            &["testsuite"],
        ),
        (
            "testsuite",
            &["name", "tests", "failures", "errors", "skipped", "time"],
            &["properties", "testcase"],
        ),
        ("properties", &[], &["property"]),
        ("property", &["name", "value"], &[]),
        (
            "testcase",
            &["name", "classname", "time"],
            &["failure", "error", "skipped"],
        ),
        ("failure", &["message", "type"], &["(text)"]),
        ("error", &["message", "type"], &["(text)"]),
        ("skipped", &["message"], &[]),
    ];

    /// Reads the page with Python's XML parser and gives each element as `depth name attributes`, or
    /// `None` where there is no Python.
    fn parsed(page: &str) -> Option<Vec<(usize, String, Vec<String>)>> {
        use std::io::Write as _;
        const READER: &str = "import sys, json, xml.etree.ElementTree as e\n\
            def walk(n, d):\n    print(json.dumps([d, n.tag, list(n.attrib), n.attrib]))\n    \
            [walk(c, d + 1) for c in n]\nwalk(e.fromstring(sys.stdin.buffer.read()), 0)\n";
        let mut child = std::process::Command::new("python3")
            .args(["-c", READER])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(page.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        assert!(output.status.success(), "no well-formed XML:\n{page}");
        let read = |line: &str| {
            let (depth, name, attributes, _): (usize, String, Vec<String>, serde_json::Value) =
                serde_json::from_str(line).unwrap();
            (depth, name, attributes)
        };
        Some(
            String::from_utf8(output.stdout)
                .unwrap()
                .lines()
                .map(read)
                .collect(),
        )
    }

    #[test]
    fn every_page_keeps_to_the_form() {
        let hostile = "<&>\"' ]]> \u{1} \u{fffe} \r\n --> <!-- é 🙂".to_owned();
        let ends = [
            CaseEnd::Passed,
            CaseEnd::Failed(vec![hostile.clone(), hostile.clone()]),
            CaseEnd::Failed(Vec::new()),
            CaseEnd::Undecided(hostile.clone()),
            CaseEnd::Skipped(hostile.clone()),
        ];
        let mut tests = Evidence::new(
            "api-tests",
            ends.into_iter().map(|end| case(&hostile, end)).collect(),
        );
        let figure = Measurement::new(hostile.clone(), 1e300, hostile.clone());
        tests
            .measurements
            .push(figure.between(-1.0, 2.0).limit(Some(0.5)));
        let all = [
            tests,
            Evidence::skipped("slo", "x"),
            Evidence::new("none", Vec::new()),
        ];
        for evidence in [&all[..], &[]] {
            let Some(elements) = parsed(&render(&hostile, evidence)) else {
                eprintln!("skipped: python3 cannot be started");
                return;
            };
            let mut path: Vec<&str> = Vec::new();
            let mut last_child: Vec<usize> = Vec::new();
            for (depth, name, attributes) in &elements {
                path.truncate(*depth);
                last_child.truncate(depth + 1);
                let (_, owed, _) = FORM.iter().find(|(known, ..)| known == name).unwrap();
                assert_eq!(attributes, owed, "attributes of {name}");
                if let Some(parent) = path.last() {
                    let (.., children) = FORM.iter().find(|(known, ..)| known == parent).unwrap();
                    let at = children.iter().position(|child| child == name);
                    let at = at.unwrap_or_else(|| panic!("{name} in {parent}"));
                    let before = last_child
                        .get_mut(*depth)
                        .map_or(0, |last| std::mem::replace(last, at));
                    assert!(before <= at, "{name} in {parent} comes too late");
                }
                path.push(name);
                last_child.resize(depth + 2, 0);
            }
            assert_eq!(elements[0].1, "testsuites");
        }
    }
}
