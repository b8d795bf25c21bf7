//! Pairs of answers → what moved, output by output. Bounded memory, however many inputs there are.

use std::collections::{BTreeMap, BTreeSet};

use delivery::statistics::moments::Moments;
use delivery::statistics::proportion::Proportion;
use delivery::statistics::reservoir::Reservoir;
use serde_json::Value;

use super::outputs::{Ignore, Leaf, outputs};
use crate::verify::mask::Mask;

/// Values of each output, and latencies of each side, that are kept for distributions: a fair sample
/// of all.
pub(super) const KEPT: usize = 10_000;
/// Most outputs that are compared; an answer with more (such as one key for each user) has no
/// outputs in our sense.
const MOST_OUTPUTS: usize = 200;
/// Whole numbers with at most so many values are labels.
const MOST_CLASSES: usize = 20;
/// Kinds of flips that are counted apart.
const MOST_KINDS: usize = 200;

/// One input's answers.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The names that count, as the expectation of the input has them; all when there is none.
    pub wanted: Option<&'a Value>,
    /// What serves, answered.
    pub serving: &'a Value,
    /// What the candidate answered.
    pub candidate: &'a Value,
    /// What serves, asked a second time; only for some inputs.
    pub again: Option<&'a Value>,
}

/// One output, compared over all inputs.
#[derive(Debug)]
pub(super) struct Output {
    /// Another label, another kind of value, or none where there was one.
    pub(super) flips: Proportion,
    /// A number of what serves that the candidate does not tell, or tells as something else.
    pub(super) lost: Proportion,
    /// The same between two answers of what serves to the same input.
    pub(super) own_flips: Proportion,
    /// Absolute differences of numbers.
    pub(super) deltas: Moments,
    /// The same between two answers of what serves.
    pub(super) own_deltas: Moments,
    /// Both sides' numbers, or labels as numbers, of the same inputs.
    pub(super) values: Reservoir<(f64, f64)>,
    /// From and to, with how often.
    pub(super) kinds: BTreeMap<(String, String), u64>,
    /// Labels, by the number that stands for them.
    pub(super) classes: BTreeMap<String, f64>,
    whole: BTreeSet<i64>,
    only_whole: bool,
    numbers: u64,
}

impl Output {
    fn new(seed: u64) -> Self {
        Self {
            flips: Proportion::default(),
            lost: Proportion::default(),
            own_flips: Proportion::default(),
            deltas: Moments::default(),
            own_deltas: Moments::default(),
            values: Reservoir::new(KEPT, seed),
            kinds: BTreeMap::new(),
            classes: BTreeMap::new(),
            whole: BTreeSet::new(),
            only_whole: true,
            numbers: 0,
        }
    }

    /// Whether it is something that flips: texts and truth values, and whole numbers of few values.
    pub(super) fn is_label(&self) -> bool {
        self.numbers == 0 || (self.only_whole && self.whole.len() <= MOST_CLASSES)
    }

    fn add(&mut self, serving: Option<&Leaf>, candidate: Option<&Leaf>) {
        self.flips.count(differ(serving, candidate));
        match (serving, candidate) {
            (Some(Leaf::Number { value: a, .. }), Some(Leaf::Number { value: b, .. })) => {
                self.deltas.add((a - b).abs());
                self.lost.count(false);
            }
            (Some(Leaf::Number { .. }), _) => self.lost.count(true),
            _ => {}
        }
        for leaf in [serving, candidate].into_iter().flatten() {
            if let Leaf::Number { value, whole } = leaf {
                self.numbers += 1;
                self.only_whole &= *whole;
                if self.whole.len() <= MOST_CLASSES {
                    self.whole.insert(*value as i64);
                }
            }
        }
        if let (Some(a), Some(b)) = (self.number(serving), self.number(candidate)) {
            self.values.add((a, b));
        }
        if differ(serving, candidate) {
            let kind = (in_words(serving), in_words(candidate));
            if self.kinds.len() < MOST_KINDS || self.kinds.contains_key(&kind) {
                *self.kinds.entry(kind).or_default() += 1;
            }
        }
    }

    /// A number for the distribution: labels are numbered as they come.
    fn number(&mut self, leaf: Option<&Leaf>) -> Option<f64> {
        match leaf? {
            Leaf::Number { value, .. } => value.is_finite().then_some(*value),
            Leaf::Null => None,
            Leaf::Label(text) => {
                let next = self.classes.len();
                if next >= KEPT && !self.classes.contains_key(text) {
                    return None;
                }
                Some(*self.classes.entry(text.clone()).or_insert(next as f64))
            }
        }
    }

    fn add_own(&mut self, first: Option<&Leaf>, second: Option<&Leaf>) {
        self.own_flips.count(differ(first, second));
        if let (Some(Leaf::Number { value: a, .. }), Some(Leaf::Number { value: b, .. })) =
            (first, second)
        {
            self.own_deltas.add((a - b).abs());
        }
    }
}

fn differ(left: Option<&Leaf>, right: Option<&Leaf>) -> bool {
    match (left, right) {
        (Some(Leaf::Number { value: a, .. }), Some(Leaf::Number { value: b, .. })) => a != b,
        (left, right) => left != right,
    }
}

fn in_words(leaf: Option<&Leaf>) -> String {
    match leaf {
        None => "(absent)".to_owned(),
        Some(Leaf::Null) => "null".to_owned(),
        Some(Leaf::Label(text)) => text.clone(),
        Some(Leaf::Number { value, .. }) => value.to_string(),
    }
}

/// What was seen of all inputs so far.
#[derive(Debug)]
pub struct Comparison {
    ignore: Ignore,
    mask: Mask,
    seed: u64,
    pub(super) outputs: BTreeMap<String, Output>,
    /// Outputs beyond the bound.
    pub(super) left_out: u64,
    /// Inputs that both answered.
    pub(super) pairs: u64,
    /// Candidate's answers that are none, or of another status, where what serves answered.
    pub(super) candidate_failures: Proportion,
    /// The first example.
    pub(super) failure: Option<String>,
    /// Inputs that what serves did not answer as expected: they compare nothing.
    pub(super) serving_failures: u64,
    /// The first example.
    pub(super) serving_failure: Option<String>,
    /// Milliseconds of both sides' answers.
    pub(super) latencies: (Reservoir<f64>, Reservoir<f64>),
}

impl Comparison {
    /// Nothing yet. The seed decides which values are kept when there are too many.
    pub fn new(ignore: Ignore, seed: u64) -> Self {
        Self {
            ignore,
            mask: Mask::default(),
            seed,
            outputs: BTreeMap::new(),
            left_out: 0,
            pairs: 0,
            candidate_failures: Proportion::default(),
            failure: None,
            serving_failures: 0,
            serving_failure: None,
            latencies: (
                Reservoir::new(KEPT, seed ^ 1),
                Reservoir::new(KEPT, seed ^ 2),
            ),
        }
    }

    /// Keeps no value of a secret.
    #[must_use]
    pub fn masked(mut self, mask: Mask) -> Self {
        self.mask = mask;
        self
    }

    /// Takes the answers to one input.
    pub fn pair(&mut self, pair: &Pair<'_>) {
        self.pairs += 1;
        self.candidate_failures.count(false);
        let rules = (&self.ignore, &self.mask);
        let serving = outputs(pair.serving, pair.wanted, rules);
        let candidate = outputs(pair.candidate, pair.wanted, rules);
        let again = pair.again.map(|again| outputs(again, pair.wanted, rules));
        let paths: BTreeSet<&String> = serving.keys().chain(candidate.keys()).collect();
        for path in paths {
            if self.outputs.len() >= MOST_OUTPUTS && !self.outputs.contains_key(path) {
                self.left_out += 1;
                continue;
            }
            let seed = self.seed ^ self.outputs.len() as u64;
            let output = self
                .outputs
                .entry(path.clone())
                .or_insert_with(|| Output::new(seed));
            let (left, right) = (serving.get(path), candidate.get(path));
            for i in 0..length(left).max(length(right)) {
                output.add(
                    left.and_then(|all| all.get(i)),
                    right.and_then(|all| all.get(i)),
                );
            }
            if let Some(again) = &again {
                let again = again.get(path);
                for i in 0..length(left).max(length(again)) {
                    output.add_own(
                        left.and_then(|all| all.get(i)),
                        again.and_then(|all| all.get(i)),
                    );
                }
            }
        }
    }

    /// The candidate gave no answer, or another status, where what serves answered.
    pub fn candidate_failed(&mut self, input: &str, why: &str) {
        self.candidate_failures.count(true);
        self.failure
            .get_or_insert_with(|| format!("`{input}`: {why}"));
    }

    /// What serves did not answer as expected.
    pub fn serving_failed(&mut self, input: &str, why: &str) {
        self.serving_failures += 1;
        self.serving_failure
            .get_or_insert_with(|| format!("`{input}`: {why}"));
    }

    /// Takes how long both took, in milliseconds.
    pub fn took(&mut self, serving: f64, candidate: f64) {
        self.latencies.0.add(serving);
        self.latencies.1.add(candidate);
    }
}

fn length(leaves: Option<&Vec<Leaf>>) -> usize {
    leaves.map_or(0, Vec::len)
}
