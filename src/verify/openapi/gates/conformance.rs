//! Sends requests that the candidate's own document allows or forbids.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::gate::{CONFORMANCE, Mode};
use delivery::verdict::{CaseEnd, Evidence};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use reqwest::header::CONTENT_TYPE;

use super::super::super::caller::{Answer, NoAnswer};
use super::super::super::gate::{Gate, GateContext};
use super::super::super::mask::Mask;
use super::super::super::suite::{Method, Request};
use super::super::Document;
use super::super::conformance::{Body, Checker, Heard, Kind, Probe, judge, probes};
use super::fetch::{Published, fetch};
use super::{ended, nothing};

/// Requests at once: a candidate without traffic has one instance, and this is no load test.
const AT_ONCE: usize = 4;
/// Longest time for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most findings that are told of one operation.
const MOST_FINDINGS: usize = 10;
/// Longest text of one finding, in characters: the validator repeats the whole value.
const LONGEST_FINDING: usize = 400;

/// Holds the candidate against the document that it publishes.
pub struct ConformanceGate {
    /// What a finding means for the release.
    pub mode: Mode,
    /// Where the candidate publishes its document.
    pub openapi_path: String,
}

#[async_trait]
impl Gate for ConformanceGate {
    fn name(&self) -> &'static str {
        CONFORMANCE
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let document = match fetch(at.candidate, &self.openapi_path).await {
            Published::Document(document) => document,
            Published::None => {
                let path = &self.openapi_path;
                let why = format!("the candidate publishes no OpenAPI document at {path}");
                return nothing(CONFORMANCE, at.sink, why);
            }
            Published::Unreadable(why) | Published::Unreachable(why) => {
                let end = (CaseEnd::Undecided(why), 0);
                let result = ended(self.mode, at.sink, CONFORMANCE, end);
                return vec![Evidence::new(CONFORMANCE, vec![result])];
            }
        };
        let checker = Checker::new(&document);
        let made = probes(&document, &checker);
        if made.probes.is_empty() && made.left_out.is_empty() {
            return nothing(CONFORMANCE, at.sink, "the document has no operation");
        }
        let mut cases = Vec::new();
        for (operation, probes) in by_operation(made.probes) {
            let began = Instant::now();
            let tried = try_all(at, &document, &checker, &probes).await;
            let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let name = format!("{operation} ({} requests)", probes.len());
            cases.push(ended(self.mode, at.sink, &name, (tried, millis)));
        }
        for left_out in made.left_out {
            let end = (CaseEnd::Skipped(left_out.reason), 0);
            cases.push(ended(self.mode, at.sink, &left_out.operation, end));
        }
        vec![Evidence::new(CONFORMANCE, cases)]
    }
}

/// The name of a probe begins with its operation's.
fn by_operation(probes: Vec<Probe>) -> BTreeMap<String, Vec<Probe>> {
    let mut found: BTreeMap<String, Vec<Probe>> = BTreeMap::new();
    for probe in probes {
        let operation = probe.name.split(", ").next().unwrap_or_default().to_owned();
        found.entry(operation).or_default().push(probe);
    }
    found
}

/// What became of one request.
enum Tried {
    Fits,
    /// It needs other credentials than ours: the document was not tried.
    Locked(u16),
    Wrong(Vec<String>),
    /// Says nothing about the API.
    Unreached(String),
}

async fn try_all(
    at: &GateContext<'_>,
    document: &Document,
    checker: &Checker,
    probes: &[Probe],
) -> CaseEnd {
    let tries: Vec<BoxFuture<'_, (&Probe, Tried)>> = probes
        .iter()
        .map(|probe| attempt(at, document, checker, probe).boxed())
        .collect();
    let tried: Vec<(&Probe, Tried)> = stream::iter(tries).buffered(AT_ONCE).collect().await;
    let mut wrong = Vec::new();
    let mut fitting = 0_usize;
    let mut open = None;
    for (probe, end) in tried {
        match end {
            Tried::Fits => fitting += 1,
            Tried::Locked(status) => {
                open = Some(format!(
                    "it answers {status}: it needs credentials of its own"
                ));
            }
            Tried::Unreached(why) => open = Some(why),
            Tried::Wrong(lines) => wrong.extend(
                lines
                    .iter()
                    .map(|line| told(probe, line, &at.candidate.mask)),
            ),
        }
    }
    match (wrong.is_empty(), open) {
        (false, _) => {
            let more = wrong.len().saturating_sub(MOST_FINDINGS);
            wrong.truncate(MOST_FINDINGS);
            if more > 0 {
                wrong.push(format!("and {more} more"));
            }
            CaseEnd::Failed(wrong)
        }
        (true, Some(why)) if fitting == 0 => CaseEnd::Undecided(why),
        _ => CaseEnd::Passed,
    }
}

async fn attempt<'a>(
    at: &GateContext<'_>,
    document: &Document,
    checker: &Checker,
    probe: &'a Probe,
) -> (&'a Probe, Tried) {
    let answer = at.candidate.send(&request(probe), TIMEOUT).await;
    (probe, read(document, checker, probe, answer))
}

fn read(
    document: &Document,
    checker: &Checker,
    probe: &Probe,
    answer: Result<Answer, NoAnswer>,
) -> Tried {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.blames_the_api() => return Tried::Wrong(vec![error.to_string()]),
        Err(error) => return Tried::Unreached(error.to_string()),
    };
    let status = answer.status.as_u16();
    if probe.kind == Kind::Allowed && [401, 403].contains(&status) {
        return Tried::Locked(status);
    }
    let content_type = answer.headers.get(CONTENT_TYPE);
    let heard = Heard {
        status,
        content_type: content_type.and_then(|it| it.to_str().ok()),
        body: &answer.body,
    };
    let found = judge(document, checker, probe, heard);
    if found.is_empty() {
        Tried::Fits
    } else {
        let cut = |line: &String| answer.mask.clip_to(line, LONGEST_FINDING);
        Tried::Wrong(found.iter().map(cut).collect())
    }
}

/// What was sent, and what is wrong about the answer.
fn told(probe: &Probe, line: &str, mask: &Mask) -> String {
    let Probe {
        name, path, body, ..
    } = probe;
    let what = name
        .split_once(", ")
        .map_or("the plain request", |(_, what)| what);
    let sent = match body {
        Some(Body::Json(value)) => format!("sent {}", mask.clip(&value.to_string())),
        Some(Body::Broken(text)) => format!("sent {text}"),
        None => format!("sent {path}"),
    };
    format!("{what}: {line}; {sent}")
}

fn request(probe: &Probe) -> Request {
    let mut headers: BTreeMap<String, String> = probe.headers.iter().cloned().collect();
    let (json, body) = match &probe.body {
        Some(Body::Json(value)) => (Some(value.clone()), None),
        Some(Body::Broken(text)) => {
            headers.insert("content-type".to_owned(), "application/json".to_owned());
            (None, Some((*text).to_owned()))
        }
        None => (None, None),
    };
    Request {
        method: method(probe.method),
        path: probe.path.clone(),
        headers,
        json,
        body,
        ..Request::default()
    }
}

fn method(name: &str) -> Method {
    match name {
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "HEAD" => Method::Head,
        _ => Method::Get,
    }
}
