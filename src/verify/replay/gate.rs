//! Sends each input to both sides.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::event::{Event, Unit};
use delivery::gate::REPLAY;
use delivery::statistics::random::Random;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;

use super::comparison::{Comparison, Pair};
use super::judge::{Limits, judge_replay};
use super::outputs::Ignore;
use crate::verify::caller::{Answer, Caller, NoAnswer};
use crate::verify::gate::{Gate, GateContext, case};
use crate::verify::run::read_json;
use crate::verify::sample::{Sample, Samples};

/// Inputs under way at once; each is asked of both sides one after the other, so that they see the
/// same load.
const AT_ONCE: usize = 4;
/// Longest time for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Inputs that what serves is asked twice, to know how far it differs from itself.
const ASKED_TWICE: u64 = 50;
/// Pairs that a ratio of latencies takes, where somebody wants it judged: with fewer, its interval
/// is wider than any useful limit. Inputs are repeated until there are as many.
const PAIRS_FOR_LATENCY: u64 = 400;
/// Where the order of both sides, and the samples that are kept, come from. A constant: the same
/// answers give the same verdict.
const SEED: u64 = 0x6d6c_6465_706c_6f79;
/// How often it is told how far it is.
const REPORT_EVERY: u64 = 100;

/// Compares the candidate with what serves.
pub struct ReplayGate {
    /// What may move.
    pub limits: Limits,
    /// Outputs that are not compared.
    pub ignore: Ignore,
    /// The inputs; those that hold nothing to predict from are passed over.
    pub samples: Box<dyn Samples>,
}

#[async_trait]
impl Gate for ReplayGate {
    fn name(&self) -> &'static str {
        REPLAY
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let Some(serving) = at.serving else {
            let why = "no other release serves: there is nothing to compare with";
            let case = case(at.sink, REPLAY, CaseEnd::Skipped(why.to_owned()), 0);
            return vec![Evidence::new(REPLAY, vec![case])];
        };
        let start = Instant::now();
        let seen = match self.replay(at, serving).await {
            Ok(seen) => seen,
            Err(why) => {
                let case = case(at.sink, "inputs", CaseEnd::Undecided(why), 0);
                return vec![Evidence::new(REPLAY, vec![case])];
            }
        };
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ends, mut evidence) = judge_replay(&self.limits, &seen, SEED);
        let told = ends
            .into_iter()
            .map(|(name, end)| case(at.sink, &name, end, millis));
        evidence.cases = told.collect::<Vec<CaseResult>>();
        vec![evidence]
    }
}

/// How one input is asked.
#[derive(Clone, Copy)]
struct Turn {
    serving_first: bool,
    /// What serves is asked a second time.
    twice: bool,
    /// The input came for the first time; what is repeated measures latency only, since a model that
    /// answers the same again is no news.
    is_new: bool,
}

/// What both answered to one input.
struct Both {
    serving: Result<Answer, NoAnswer>,
    candidate: Result<Answer, NoAnswer>,
    again: Option<Answer>,
}

impl ReplayGate {
    /// # Errors
    /// Why the inputs cannot be read.
    async fn replay(&self, at: &GateContext<'_>, serving: &Caller) -> Result<Comparison, String> {
        let mut seen = Comparison::new(self.ignore.clone(), SEED).masked(at.candidate.mask.clone());
        let mut random = Random::new(SEED);
        let mut inputs = self.inputs();
        let mut under_way = FuturesUnordered::new();
        let (mut sent, mut done, mut is_new) = (0_u64, 0_u64, true);
        loop {
            while under_way.len() < AT_ONCE {
                let Some(input) = inputs.next() else {
                    if sent == 0 || !self.needs_more(sent) {
                        break;
                    }
                    is_new = false;
                    inputs = self.inputs();
                    continue;
                };
                if !is_new && !self.needs_more(sent) {
                    break;
                }
                let turn = Turn {
                    serving_first: random.bits() & 1 == 0,
                    twice: is_new && sent < ASKED_TWICE,
                    is_new,
                };
                sent += 1;
                under_way.push(ask(input?, turn, at.candidate, serving));
            }
            let Some((input, turn, both)) = under_way.next().await else {
                break;
            };
            take(&mut seen, &input, turn, both);
            done += 1;
            if done.is_multiple_of(REPORT_EVERY) {
                let what = "replay".to_owned();
                at.sink.emit(Event::Progress {
                    what,
                    done,
                    total: None,
                    unit: Unit::Items,
                });
            }
        }
        Ok(seen)
    }

    fn inputs(&self) -> Box<dyn Iterator<Item = Result<Sample, String>> + Send + '_> {
        let is_input =
            |sample: &Result<Sample, String>| sample.as_ref().map_or(true, Sample::is_input);
        Box::new(self.samples.read().filter(is_input))
    }

    fn needs_more(&self, sent: u64) -> bool {
        self.limits.latency_ratio.is_some() && sent < PAIRS_FOR_LATENCY
    }
}

async fn ask(
    input: Sample,
    turn: Turn,
    candidate: &Caller,
    serving: &Caller,
) -> (Sample, Turn, Both) {
    let (serving_said, candidate_said);
    if turn.serving_first {
        serving_said = input.send(serving, TIMEOUT).await;
        candidate_said = input.send(candidate, TIMEOUT).await;
    } else {
        candidate_said = input.send(candidate, TIMEOUT).await;
        serving_said = input.send(serving, TIMEOUT).await;
    }
    let again = if turn.twice {
        input.send(serving, TIMEOUT).await.ok()
    } else {
        None
    };
    let both = Both {
        serving: serving_said,
        candidate: candidate_said,
        again,
    };
    (input, turn, both)
}

fn take(seen: &mut Comparison, input: &Sample, turn: Turn, both: Both) {
    let name = &input.name;
    let serving = match read(input, both.serving) {
        Ok(found) => found,
        Err(why) => {
            return if turn.is_new {
                seen.serving_failed(name, &why)
            };
        }
    };
    let candidate = match read(input, both.candidate) {
        Ok(found) => found,
        Err(why) => {
            return if turn.is_new {
                seen.candidate_failed(name, &why)
            };
        }
    };
    seen.took(
        serving.1.as_secs_f64() * 1000.0,
        candidate.1.as_secs_f64() * 1000.0,
    );
    if !turn.is_new {
        return;
    }
    let again = both.again.and_then(|again| read(input, Ok(again)).ok());
    seen.pair(&Pair {
        wanted: input.json.as_ref(),
        serving: &serving.0,
        candidate: &candidate.0,
        again: again.as_ref().map(|(value, _)| value),
    });
}

/// The JSON of an answer with the expected status.
fn read(input: &Sample, answered: Result<Answer, NoAnswer>) -> Result<(Value, Duration), String> {
    let answer = answered.map_err(|error| error.to_string())?;
    let status = answer.status.as_u16();
    if !input.status.allows(status) {
        return Err(format!(
            "status {status} where {} was expected",
            input.status
        ));
    }
    let value = read_json(&answer)?;
    Ok((value, answer.took))
}
