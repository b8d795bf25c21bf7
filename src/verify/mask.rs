//! Secrets are taken out of what is shown, also where an API sends them back.
//!
//! What is cut is masked before: half a secret would not be found any more. So the only way to cut
//! a text is [`Mask::clip`].

use std::sync::Arc;

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::verdict::{CaseEnd, CaseResult, Evidence, Measurement, Plot};

use super::caller::Call;
use super::run::answer::is_secret_header;
use super::suite::template::encode;
use super::suite::{LoadedSuite, Request};
use crate::secret::Secret;

/// What stands where a secret was.
const STARS: &str = "***";
/// Most characters of a value in a difference line.
const MOST_CHARACTERS: usize = 120;
/// Shortest value of a header with a telling name that is a secret, in characters: a `x-token: 1`
/// would star every 1 that is shown. What a suite declares as secret is hidden however short it is.
const SHORTEST_VALUE: usize = 6;

/// Hides secrets.
#[derive(Debug, Clone, Default)]
pub struct Mask(Arc<[Secret]>);

impl Mask {
    /// Hides these, in each form that they are sent in.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::default().and(secrets)
    }

    /// Hides these too.
    #[must_use]
    pub fn and<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<String> = self.0.iter().map(|one| one.expose().to_owned()).collect();
        for secret in secrets {
            forms.extend(forms_of(secret.expose()));
        }
        Self::sorted(forms)
    }

    fn sorted(mut forms: Vec<String>) -> Self {
        forms.retain(|form| !form.is_empty());
        // The longest first: one secret may be a part of another.
        forms.sort_by(|left, right| (right.len(), right).cmp(&(left.len(), left)));
        forms.dedup();
        Self(forms.into_iter().map(Secret::new).collect())
    }

    /// Hides what the other one hides too.
    #[must_use]
    pub fn and_mask(&self, other: &Self) -> Self {
        let all = self.0.iter().chain(&*other.0);
        Self::sorted(all.map(|one| one.expose().to_owned()).collect())
    }

    /// Hides what these suites declare as secret, and the values of their headers that are secret by
    /// their name.
    #[must_use]
    pub fn and_of(&self, suites: &[LoadedSuite]) -> Self {
        let secrets = suites.iter().flat_map(|loaded| {
            let named = loaded.secrets.iter().cloned();
            named.chain(headers_of(loaded))
        });
        self.and(&secrets.collect::<Vec<_>>())
    }

    /// Hides the secret headers of this call too: a token that an earlier step captured.
    pub(crate) fn and_of_call(&self, call: &Call) -> Self {
        let secrets: Vec<Secret> = call
            .headers
            .iter()
            .filter_map(|(name, value)| header_secret(name.as_str(), value.to_str().ok()?))
            .collect();
        if secrets.is_empty() {
            return self.clone();
        }
        self.and(&secrets)
    }

    /// The text without secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.expose()) {
                text.replace(secret.expose(), STARS)
            } else {
                text
            }
        })
    }

    /// The text without secrets, on one line and short enough for a difference.
    pub(crate) fn clip(&self, text: &str) -> String {
        self.clip_to(text, MOST_CHARACTERS)
    }

    /// The same with at most `most` characters.
    pub(crate) fn clip_to(&self, text: &str, most: usize) -> String {
        let hidden = self.hide(text);
        let flat: String = hidden
            .chars()
            .take(most + 1)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        match flat.char_indices().nth(most) {
            None => flat,
            Some((end, _)) => format!("{}…", &flat[..end]),
        }
    }

    /// The evidence without secrets.
    pub(crate) fn evidence(&self, evidence: Evidence) -> Evidence {
        let Evidence {
            gate,
            place,
            cases,
            measurements,
            plots,
        } = evidence;
        let measurement = |one: Measurement| Measurement {
            name: self.hide(&one.name),
            ..one
        };
        let plot = |Plot { title, rows }| Plot {
            title: self.hide(&title),
            rows: self.lines(rows),
        };
        Evidence {
            gate,
            place,
            cases: cases.into_iter().map(|one| self.case(one)).collect(),
            measurements: measurements.into_iter().map(measurement).collect(),
            plots: plots.into_iter().map(plot).collect(),
        }
    }

    fn case(&self, case: CaseResult) -> CaseResult {
        let CaseResult { name, end, millis } = case;
        CaseResult {
            name: self.hide(&name),
            end: self.end(end),
            millis,
        }
    }

    /// The end without secrets.
    pub(crate) fn end(&self, end: CaseEnd) -> CaseEnd {
        match end {
            CaseEnd::Passed => CaseEnd::Passed,
            CaseEnd::Failed(lines) => CaseEnd::Failed(self.lines(lines)),
            CaseEnd::Undecided(why) => CaseEnd::Undecided(self.hide(&why)),
            CaseEnd::Skipped(why) => CaseEnd::Skipped(self.hide(&why)),
        }
    }

    fn lines(&self, lines: Vec<String>) -> Vec<String> {
        lines.iter().map(|line| self.hide(line)).collect()
    }

    fn diagnostic(&self, diagnostic: Diagnostic) -> Diagnostic {
        Diagnostic {
            title: self.hide(&diagnostic.title),
            cause: self.lines(diagnostic.cause),
            help: self.lines(diagnostic.help),
            logs: self.lines(diagnostic.logs),
            ..diagnostic
        }
    }

    /// The event without secrets.
    fn event(&self, event: Event) -> Event {
        match event {
            Event::CaseFinished(case) => Event::CaseFinished(self.case(case)),
            Event::GateFinished(evidence) => Event::GateFinished(self.evidence(evidence)),
            Event::Warning(warning) => Event::Warning(self.diagnostic(warning)),
            Event::Note(text) => Event::Note(self.hide(&text)),
            Event::ForeignText { source, text } => Event::ForeignText {
                text: self.hide(&text),
                source,
            },
            Event::Progress {
                what,
                done,
                total,
                unit,
            } => Event::Progress {
                what: self.hide(&what),
                done,
                total,
                unit,
            },
            Event::GroupStarted { .. }
            | Event::GroupEnded
            | Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::GateStarted { .. } => event,
        }
    }
}

/// As it is, and as JSON, percent-encoding and other programs' JSON write it.
fn forms_of(plain: &str) -> Vec<String> {
    let json = serde_json::Value::String(plain.to_owned()).to_string();
    let json = json[1..json.len() - 1].to_owned();
    // Python's `json` writes ASCII only, PHP's escapes slashes.
    let mut units = [0; 2];
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            let units = character.encode_utf16(&mut units);
            ascii.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    let encoded = encode(plain);
    vec![
        plain.to_owned(),
        ascii.replace('/', "\\/"),
        ascii,
        json,
        encoded.replace("%20", "+"),
        encoded,
    ]
}

/// The values of a suite's headers that are secret by their name; of `Bearer TEXT` the text.
fn headers_of(loaded: &LoadedSuite) -> Vec<Secret> {
    let suite = &loaded.suite;
    let steps = suite.cases.iter().flat_map(|case| case.exchanges());
    let requests: Vec<Request> = steps.map(|step| step.request).collect();
    let all = requests
        .iter()
        .flat_map(|request| &request.headers)
        .chain(suite.golden.iter().flat_map(|spec| &spec.request.headers))
        .chain(&suite.defaults.headers);
    all.filter_map(|(name, value)| header_secret(name, &loaded.scope.text(value)))
        .collect()
}

/// The secret in a header, where its name tells that there is one.
fn header_secret(name: &str, value: &str) -> Option<Secret> {
    let bare = value.split_once(' ').map_or(value, |(_, rest)| rest);
    // A name that only a later step knows is none yet.
    let is_secret =
        is_secret_header(name) && bare.chars().count() >= SHORTEST_VALUE && !bare.contains("${");
    is_secret.then(|| Secret::new(bare))
}

/// Hides secrets in everything that is told.
pub(crate) struct MaskedSink<'a> {
    pub(crate) mask: &'a Mask,
    pub(crate) next: &'a dyn EventSink,
}

impl EventSink for MaskedSink<'_> {
    fn emit(&self, event: Event) {
        self.next.emit(self.mask.event(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form_that_it_is_sent_in() {
        let secrets = [
            Secret::new("a\"b c"),
            Secret::new("a\"b"),
            Secret::new("né/e"),
            Secret::new(""),
        ];
        let mask = Mask::new(&secrets);
        for (text, hidden) in [
            ("x a\"b c y", "x *** y"),
            (r#"{"k":"a\"b c"}"#, r#"{"k":"***"}"#),
            ("/p?k=a%22b%20c", "/p?k=***"),
            ("k=a%22b+c", "k=***"),
            (r#"{"k":"n\u00e9/e"}"#, r#"{"k":"***"}"#),
            (r#"{"k":"n\u00e9\/e"}"#, r#"{"k":"***"}"#),
            ("only a\"b", "only ***"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(mask.hide(text), hidden);
        }
        assert!(!format!("{mask:?}").contains("a\"b"));
    }

    /// Wherever the cut falls, no part of the secret is left.
    #[test]
    fn what_is_cut_was_masked_before() {
        let mask = Mask::new(&[Secret::new("s3cr3t-s3cr3t")]);
        for before in 100..125 {
            let text = format!("{}s3cr3t-s3cr3t{}", "x".repeat(before), "y".repeat(80));
            let shown = mask.clip(&text);
            assert!(!shown.contains('s') && !shown.contains('3'), "{shown}");
            assert!(shown.chars().count() <= MOST_CHARACTERS + 1);
        }
    }

    #[test]
    fn headers_with_telling_names_hold_secrets_and_short_values_do_not() {
        let text = "defaults: {headers: {authorization: Bearer abcdef0123}}\nvariables: {v: variable}\n\
             cases:\n- name: a\n  request: {path: /, headers: {x-api-key: 'key-${v}', accept: text/html, x-token: '1'}}\n";
        let suite = super::super::Suite::parse(text, "t.yaml").unwrap();
        let mask = Mask::default().and_of(&[suite.into()]);
        assert_eq!(
            mask.hide("abcdef0123 key-variable text/html 1 Bearer"),
            "*** *** text/html 1 Bearer"
        );
    }
}
