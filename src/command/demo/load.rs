//! A client that calls the production address at a held rate, as users would.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::gcp::error::chain;

/// An answer that takes longer counts as failed.
const SLOWEST: Duration = Duration::from_secs(5);
/// Failures that are told one by one; the rest is only counted.
const TOLD: usize = 5;

/// What the client saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests that have ended: predictions, answers of `/version` and failures.
    pub(super) sent: u64,
    /// Right predictions.
    pub(super) predictions: u64,
    /// Requests that failed: not 200, the wrong schema, or slower than 5 s.
    pub(super) failed: u64,
    /// The first failures, in words.
    pub(super) failures: Vec<String>,
    /// Answers of `/version`, by version.
    pub(super) versions: BTreeMap<String, u64>,
    /// The slowest answer.
    pub(super) slowest: Duration,
}

impl Tally {
    fn count(&mut self, answer: Answer) {
        self.sent += 1;
        self.slowest = self.slowest.max(answer.took);
        match answer.seen {
            Ok(Seen::Prediction) => self.predictions += 1,
            Ok(Seen::Version(version)) => *self.versions.entry(version).or_default() += 1,
            Err(failure) => {
                self.failed += 1;
                if self.failures.len() < TOLD {
                    self.failures.push(failure);
                }
            }
        }
    }
}

impl Tally {
    /// What each figure counts, in one line: the parts add up to the whole.
    pub(super) fn in_words(&self, took: Duration) -> String {
        let told: u64 = self.versions.values().sum();
        let versions: Vec<String> = self
            .versions
            .iter()
            .map(|(version, count)| format!("{version} {count}×"))
            .collect();
        let versions = match versions.is_empty() {
            true => String::new(),
            false => format!(" ({})", versions.join(", ")),
        };
        format!(
            "{} requests in {} s = {} predictions + {told} of /version{versions} + {} failed; the slowest took {} ms",
            self.sent,
            took.as_secs(),
            self.predictions,
            self.failed,
            self.slowest.as_millis(),
        )
    }
}

struct Answer {
    took: Duration,
    seen: Result<Seen, String>,
}

enum Seen {
    Prediction,
    Version(String),
}

/// Sends `per_second` requests a second until `stop`, each at its own time whether or not earlier
/// ones have been answered (an open model), so that a slow answer is not hidden by fewer requests.
/// Predictions and `/version` take turns.
pub(super) async fn hold_rate(
    client: reqwest::Client,
    base_url: String,
    per_second: u32,
    stop: CancellationToken,
) -> Tally {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open = JoinSet::new();
    let mut tally = Tally::default();
    let mut turn = 0_u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                let (client, base_url) = (client.clone(), base_url.clone());
                let question = if turn.is_multiple_of(2) { Question::Prediction } else { Question::Version };
                turn += 1;
                open.spawn(async move { ask(&client, &base_url, question).await });
            }
            Some(Ok(answer)) = open.join_next(), if !open.is_empty() => tally.count(answer),
        }
    }
    while let Some(answer) = open.join_next().await {
        if let Ok(answer) = answer {
            tally.count(answer);
        }
    }
    tally
}

/// What the client asks.
#[derive(Clone, Copy)]
enum Question {
    Prediction,
    Version,
}

async fn ask(client: &reqwest::Client, base_url: &str, question: Question) -> Answer {
    let started = Instant::now();
    let seen = match tokio::time::timeout(SLOWEST, answer(client, base_url, question)).await {
        Ok(seen) => seen,
        Err(_) => Err(format!("no answer within {} s", SLOWEST.as_secs())),
    };
    Answer {
        took: started.elapsed(),
        seen,
    }
}

async fn answer(
    client: &reqwest::Client,
    base_url: &str,
    question: Question,
) -> Result<Seen, String> {
    let base_url = base_url.trim_end_matches('/');
    let request = match question {
        Question::Prediction => client.post(format!("{base_url}/predict")).json(&json!({
            "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2
        })),
        Question::Version => client.get(format!("{base_url}/version")),
    };
    let response = request
        .send()
        .await
        .map_err(|error| format!("no answer: {}", chain(&error).join(": ")))?;
    let status = response.status();
    let body = response
        .bytes()
        .await
        .map_err(|error| format!("cut answer: {}", chain(&error).join(": ")))?;
    if status != reqwest::StatusCode::OK {
        return Err(format!(
            "{status}: {}",
            String::from_utf8_lossy(&body)
                .chars()
                .take(120)
                .collect::<String>()
        ));
    }
    let value: Value =
        serde_json::from_slice(&body).map_err(|error| format!("no JSON: {error}"))?;
    match question {
        Question::Prediction => check_prediction(&value),
        Question::Version => check_version(&value),
    }
}

/// A label, and probabilities that sum to 1.
fn check_prediction(value: &Value) -> Result<Seen, String> {
    let sum: f64 = value["probabilities"]
        .as_object()
        .map(|each| each.values().filter_map(Value::as_f64).sum())
        .unwrap_or_default();
    if value["label"].is_string() && (sum - 1.0).abs() < 1e-6 {
        Ok(Seen::Prediction)
    } else {
        Err(format!("wrong schema of a prediction: {value}"))
    }
}

fn check_version(value: &Value) -> Result<Seen, String> {
    match (value["version"].as_str(), value["commit"].as_str()) {
        (Some(version), Some(_)) => Ok(Seen::Version(version.to_owned())),
        _ => Err(format!("wrong schema of /version: {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_needs_a_label_and_probabilities_that_sum_to_one() {
        let right =
            json!({"label": "setosa", "probabilities": {"setosa": 0.75, "virginica": 0.25}});
        assert!(check_prediction(&right).is_ok());
        for wrong in [
            json!({"label": "setosa"}),
            json!({"label": 1, "probabilities": {"setosa": 1.0}}),
            json!({"label": "setosa", "probabilities": {"setosa": 0.5}}),
        ] {
            assert!(check_prediction(&wrong).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn the_parts_add_up_to_the_requests() {
        let mut tally = Tally::default();
        let version = |text: &str| Ok(Seen::Version(text.to_owned()));
        for seen in [
            Ok(Seen::Prediction),
            version("v1.0.0"),
            Ok(Seen::Prediction),
            version("v1.1.0"),
            Ok(Seen::Prediction),
            version("v1.0.0"),
            Err("503".to_owned()),
        ] {
            tally.count(Answer {
                took: Duration::from_millis(40),
                seen,
            });
        }
        assert_eq!(
            tally.in_words(Duration::from_secs(33)),
            "7 requests in 33 s = 3 predictions + 3 of /version (v1.0.0 2×, v1.1.0 1×) + 1 failed; the slowest took 40 ms"
        );
        assert_eq!(
            Tally::default().in_words(Duration::ZERO),
            "0 requests in 0 s = 0 predictions + 0 of /version + 0 failed; the slowest took 0 ms"
        );
    }

    #[test]
    fn failures_are_counted_and_the_first_are_told() {
        let mut tally = Tally::default();
        for number in 0..7 {
            tally.count(Answer {
                took: Duration::from_millis(number),
                seen: Err(format!("failure {number}")),
            });
        }
        assert_eq!(
            (tally.sent, tally.failed, tally.failures.len()),
            (7, 7, TOLD)
        );
        assert_eq!(tally.slowest, Duration::from_millis(6));
    }
}
