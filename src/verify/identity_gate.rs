//! Whether the release answers, and not only something healthy.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::event::{Event, EventSink, Unit};
use delivery::gate::{ANSWERS, IDENTITY};
use delivery::verdict::{CaseEnd, Evidence};

use super::caller::{Caller, NoAnswer};
use super::gate::{Gate, GateContext, case};
use super::mask::Mask;
use super::run::read_json;

/// How long a new address may take to answer. Cloud Run's front ends learn of a new tag within
/// seconds; a model that loads on its first request takes longer.
const ANSWER_GRACE: Duration = Duration::from_secs(120);
/// How long something else may answer with success before it is what answers: while a split changes,
/// the revision before lingers for seconds.
const WRONG_GRACE: Duration = Duration::from_secs(20);
/// Longest time for one answer while waiting; a model that loads lazily answers its first request
/// late.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// First and longest pause between two questions.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often a wait is reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How long is waited, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Graces {
    /// For an answer.
    pub answer: Duration,
    /// For the right one, once something answers.
    pub wrong: Duration,
}

impl Graces {
    /// Asks once: for an address that has served for long.
    pub fn none() -> Self {
        Self {
            answer: Duration::ZERO,
            wrong: Duration::ZERO,
        }
    }
}

impl Default for Graces {
    fn default() -> Self {
        Self {
            answer: ANSWER_GRACE,
            wrong: WRONG_GRACE,
        }
    }
}

/// Waits for the candidate to answer, and compares what it tells about itself with the release.
#[derive(Debug, Clone, Default)]
pub struct IdentityGate {
    /// Answers version, commit and model version; `None` where the API tells none of them.
    pub version_path: Option<String>,
    /// Answers with success.
    pub health_path: String,
    /// What must be told as `model_version`; `None`: it is not looked at.
    pub model_version: Option<String>,
    /// How long is waited.
    pub graces: Graces,
}

/// What was seen when it was not what was waited for.
enum Seen {
    /// No answer that tells anything.
    Nothing(String),
    /// The same, for a reason that says nothing about the API.
    Unreachable(String),
    /// A healthy answer of something else; one line a difference.
    Wrong(Vec<String>),
}

/// What the version path must tell, in the order in which it is shown.
type Told<'a> = Vec<(&'static str, &'a str)>;

#[async_trait]
impl Gate for IdentityGate {
    fn name(&self) -> &'static str {
        IDENTITY
    }

    fn opens_the_others(&self) -> bool {
        true
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let told = self.told(at);
        let started = Instant::now();
        let (gate, end) = match self.wait(at.candidate, &told, at.sink).await {
            Ok(()) => (IDENTITY, CaseEnd::Passed),
            Err(Seen::Nothing(line)) => (ANSWERS, CaseEnd::Failed(vec![line])),
            Err(Seen::Unreachable(line)) => (ANSWERS, CaseEnd::Undecided(line)),
            Err(Seen::Wrong(lines)) => (IDENTITY, CaseEnd::Failed(lines)),
        };
        let name = match (gate, told.is_empty()) {
            (ANSWERS, _) | (_, true) => "answers with success",
            _ => "is the release",
        };
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        vec![Evidence::new(gate, vec![case(at.sink, name, end, millis)])]
    }
}

impl IdentityGate {
    fn told<'a>(&'a self, at: &'a GateContext<'_>) -> Told<'a> {
        if self.version_path.is_none() {
            return Vec::new();
        }
        let all = [
            ("commit", at.commit.map(delivery::release::Commit::as_str)),
            ("version", at.version),
            ("model_version", self.model_version.as_deref()),
        ];
        all.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    async fn wait(
        &self,
        caller: &Caller,
        told: &Told<'_>,
        sink: &dyn EventSink,
    ) -> Result<(), Seen> {
        let started = Instant::now();
        let mut pause = PAUSES.0;
        let mut reported = Duration::ZERO;
        let mut wrong_since: Option<Instant> = None;
        loop {
            let seen = match self.ask(caller, told).await {
                Ok(()) => return Ok(()),
                Err(seen) => seen,
            };
            wrong_since = match &seen {
                Seen::Wrong(_) => wrong_since.or_else(|| Some(Instant::now())),
                _ => None,
            };
            let wrong_for = wrong_since.map_or(Duration::ZERO, |since| since.elapsed());
            let waited = started.elapsed();
            if waited + pause > self.graces.answer || wrong_for + pause > self.graces.wrong {
                return Err(seen.after(waited));
            }
            if waited >= reported + REPORT_EVERY {
                reported = waited;
                sink.emit(Event::Progress {
                    what: format!("waiting for {}: {}", caller.base_url, seen.line()),
                    done: waited.as_secs(),
                    total: Some(self.graces.answer.as_secs()),
                    unit: Unit::Seconds,
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    async fn ask(&self, caller: &Caller, told: &Told<'_>) -> Result<(), Seen> {
        let path = match &self.version_path {
            Some(path) if !told.is_empty() => path,
            _ => &self.health_path,
        };
        let answer = caller.get(path, ASK_TIMEOUT).await.map_err(|error| {
            let line = error.to_string();
            match error {
                NoAnswer::Unreachable(..) | NoAnswer::Tls(..) | NoAnswer::Address(_) => {
                    Seen::Unreachable(line)
                }
                _ => Seen::Nothing(line),
            }
        })?;
        if !answer.status.is_success() {
            let redirect = answer.redirect().is_some();
            let status = answer.status.as_u16();
            let why = match status {
                401 | 403 if caller.bearer.is_none() => ": no ID token was sent",
                401 | 403 => ": the ID token is not accepted (roles/run.invoker?)",
                _ if redirect => ", a redirect: none is followed",
                _ => "",
            };
            return Err(Seen::Nothing(format!("{path} answers {status}{why}")));
        }
        if told.is_empty() {
            return Ok(());
        }
        let json = read_json(&answer).map_err(|line| Seen::Nothing(format!("{path}: {line}")))?;
        let lines: Vec<String> = told
            .iter()
            .filter_map(|(key, wanted)| difference(key, wanted, &json, &answer.mask))
            .collect();
        if lines.is_empty() {
            Ok(())
        } else {
            Err(Seen::Wrong(lines))
        }
    }
}

/// One line when the key does not tell what is wanted. An API may tell a commit and no version.
fn difference(key: &str, wanted: &str, json: &serde_json::Value, mask: &Mask) -> Option<String> {
    let got = json.get(key).and_then(serde_json::Value::as_str);
    let bare = |text: &'_ str| text.strip_prefix('v').unwrap_or(text).to_owned();
    match got {
        Some(got) if got == wanted => None,
        Some(got) if key == "version" && bare(got) == bare(wanted) => None,
        Some(got) => Some(format!(
            "{key}: expected `{wanted}`, got `{}`",
            mask.clip(got)
        )),
        None if key == "version" => None,
        None => Some(format!("{key}: expected `{wanted}`, got nothing")),
    }
}

impl Seen {
    fn line(&self) -> String {
        match self {
            Self::Nothing(line) | Self::Unreachable(line) => line.clone(),
            Self::Wrong(lines) => lines.join("; "),
        }
    }

    fn after(self, waited: Duration) -> Self {
        let seconds = waited.as_secs();
        match self {
            Self::Nothing(line) => Self::Nothing(format!(
                "no answer with success within {seconds} s; last seen: {line}"
            )),
            Self::Unreachable(line) => Self::Unreachable(format!("after {seconds} s: {line}")),
            Self::Wrong(lines) => Self::Wrong(lines),
        }
    }
}
