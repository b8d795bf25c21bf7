//! What a load brought: latencies in histograms, failures by kind. Fixed memory, however many
//! requests there are.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::statistics::histogram::Histogram;
use delivery::statistics::proportion::Proportion;

/// Why a request has no right answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another status than the expected one.
    #[error("status {got} where {expected} was expected")]
    Status {
        /// What came.
        got: u16,
        /// What should have.
        expected: String,
    },
    /// No whole answer in time, or it could not even be sent before the load ended.
    #[error("no whole answer in time")]
    TimedOut,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke before the end of the answer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Larger than any answer that is read.
    #[error("the answer is too large")]
    TooLarge,
    /// Not the JSON that was expected.
    #[error("another answer than expected: {0}")]
    Schema(String),
}

impl Failure {
    /// The kind, in words: failures of one kind are counted together.
    fn kind(&self) -> String {
        match self {
            Self::Status { got, .. } => format!("status {got}"),
            Self::TimedOut => "no answer in time".to_owned(),
            Self::Connect(_) => "no connection".to_owned(),
            Self::Broken(_) => "broken connection".to_owned(),
            Self::TooLarge => "answer too large".to_owned(),
            Self::Schema(_) => "wrong answer".to_owned(),
        }
    }

    /// Whether an answer came: its latency then counts as any other. Without one the user waited
    /// for as long as anyone was ready to wait.
    pub(super) fn was_answered(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Schema(_))
    }
}

/// Failures, counted by kind, each with its first example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures(BTreeMap<String, (u64, String)>);

impl Failures {
    /// Counts one. `request` is the name of what was sent.
    pub(crate) fn add(&mut self, request: &str, failure: &Failure) {
        let entry = self
            .0
            .entry(failure.kind())
            .or_insert_with(|| (0, format!("`{request}`: {failure}")));
        entry.0 += 1;
    }

    /// Counts everything that the other one has.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (kind, (count, example)) in &other.0 {
            let entry = self.0.entry(kind.clone());
            entry.or_insert_with(|| (0, example.clone())).0 += count;
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// Kind, number, first example; the most frequent first.
    pub fn by_kind(&self) -> Vec<(&str, u64, &str)> {
        let mut kinds: Vec<(&str, u64, &str)> = self
            .0
            .iter()
            .map(|(kind, (count, example))| (kind.as_str(), *count, example.as_str()))
            .collect();
        kinds.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        kinds
    }
}

/// What a load brought. Every latency is in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// From the time that a request was meant to be sent to the last byte of its answer. What never
    /// came counts with the time that it was waited for.
    pub latency: Histogram,
    /// What had no right answer, of [`Measured::latency`]'s total.
    pub failures: Failures,
    /// How late requests left: after they were meant to. High figures mean that the generator, or
    /// its bound of requests under way, was the bottleneck.
    pub lateness: Histogram,
    /// Making a connection, TLS included. Part of the latency of the request that needed it.
    pub connect: Histogram,
    /// Most requests under way at once.
    pub peak: usize,
    /// From the first measured request's time to the end of the last one.
    pub elapsed: Duration,
    /// Bytes of answers' bodies.
    pub bytes: u64,
    /// Requests of the warm-up: measured by nothing.
    pub warm_up: u64,
    /// Those of them that had no right answer.
    pub warm_up_failures: Failures,
}

impl Measured {
    /// Requests without a right answer, of all.
    pub fn error_rate(&self) -> Proportion {
        Proportion {
            hits: self.failures.total(),
            trials: self.latency.total(),
        }
    }

    /// Takes in another load of the same requests on the same server.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Self {
            latency,
            failures,
            lateness,
            connect,
            peak,
            elapsed,
            bytes,
            warm_up,
            warm_up_failures,
        } = other;
        self.latency.merge(latency);
        self.failures.merge(failures);
        self.lateness.merge(lateness);
        self.connect.merge(connect);
        self.peak = self.peak.max(*peak);
        self.elapsed += *elapsed;
        self.bytes += bytes;
        self.warm_up += warm_up;
        self.warm_up_failures.merge(warm_up_failures);
    }

    /// Requests a second that were answered, rightly or not.
    pub fn rate(&self) -> f64 {
        self.latency.total() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
