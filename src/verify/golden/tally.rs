//! What a stream of compared rows adds up to. Each worker has its own; they are merged at the end.

use std::collections::BTreeMap;

use delivery::statistics::proportion::Proportion;
use delivery::verdict::Measurement;

use super::columns::{Kind, RowResult};

/// A row that differs, for the report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorstRow {
    pub(crate) badness: f64,
    /// Its line in the file.
    pub(crate) line: u64,
    /// What differs.
    pub(crate) lines: Vec<String>,
    /// What was sent, cut.
    pub(crate) input: String,
}

/// Sums, and the worst rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) mismatched: u64,
    /// Rows that nothing can be said about, and the first reason.
    pub(crate) undecided: u64,
    pub(crate) undecided_because: Option<String>,
    columns: BTreeMap<String, ColumnTally>,
    worst: Vec<WorstRow>,
    most_worst: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct ColumnTally {
    numbers: u64,
    sum: f64,
    largest: f64,
    labels: u64,
    flips: u64,
}

impl Tally {
    pub(crate) fn new(most_worst: usize) -> Self {
        Self {
            most_worst,
            ..Self::default()
        }
    }

    /// A row that was answered and compared.
    pub(crate) fn compared(
        &mut self,
        line: u64,
        result: RowResult,
        input: impl FnOnce() -> String,
    ) {
        self.rows += 1;
        for compared in result.columns {
            let column = match self.columns.get_mut(&compared.column) {
                Some(column) => column,
                None => self.columns.entry(compared.column).or_default(),
            };
            match compared.kind {
                Kind::Number { delta, .. } => {
                    column.numbers += 1;
                    column.sum += delta;
                    column.largest = column.largest.max(delta);
                }
                Kind::Label { same } => {
                    column.labels += 1;
                    column.flips += u64::from(!same);
                }
                Kind::Other => {}
            }
        }
        if result.badness > 1.0 {
            self.mismatched += 1;
            self.keep(result.badness, line, result.lines, input);
        }
    }

    /// A row whose answer cannot be compared.
    pub(crate) fn failed(&mut self, line: u64, why: String, input: impl FnOnce() -> String) {
        self.rows += 1;
        self.mismatched += 1;
        self.keep(f64::INFINITY, line, vec![why], input);
    }

    /// A row about which nothing can be said.
    pub(crate) fn open(&mut self, why: String) {
        self.rows += 1;
        self.undecided += 1;
        self.undecided_because.get_or_insert(why);
    }

    fn keep(
        &mut self,
        badness: f64,
        line: u64,
        lines: Vec<String>,
        input: impl FnOnce() -> String,
    ) {
        let full = self.worst.len() >= self.most_worst;
        if full
            && self
                .worst
                .last()
                .is_none_or(|least| !is_worse(badness, line, least))
        {
            return;
        }
        self.insert(WorstRow {
            badness,
            line,
            lines,
            input: input(),
        });
    }

    fn insert(&mut self, row: WorstRow) {
        let at = self
            .worst
            .partition_point(|kept| !is_worse(row.badness, row.line, kept));
        self.worst.insert(at, row);
        self.worst.truncate(self.most_worst);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.mismatched += other.mismatched;
        self.undecided += other.undecided;
        if self.undecided_because.is_none() {
            self.undecided_because = other.undecided_because;
        }
        for (name, theirs) in other.columns {
            let column = self.columns.entry(name).or_default();
            column.numbers += theirs.numbers;
            column.sum += theirs.sum;
            column.largest = column.largest.max(theirs.largest);
            column.labels += theirs.labels;
            column.flips += theirs.flips;
        }
        for row in other.worst {
            self.insert(row);
        }
    }

    /// The rows that differ most, the worst first.
    pub(crate) fn worst(&self) -> &[WorstRow] {
        &self.worst
    }

    /// The part of the rows that differ.
    pub(crate) fn mismatch_rate(&self) -> f64 {
        if self.rows == 0 {
            return 0.0;
        }
        self.mismatched as f64 / self.rows as f64
    }

    /// Figures for the report; `prefix` tells files apart, `limit` is the rate that is allowed.
    pub(crate) fn measurements(&self, prefix: &str, limit: f64) -> Vec<Measurement> {
        let percent = |hits, trials, limit: Option<f64>, name: String| {
            let interval = Proportion { hits, trials }.interval();
            Measurement::new(name, interval.estimate * 100.0, "%")
                .between(interval.low * 100.0, interval.high * 100.0)
                .limit(limit.map(|limit| limit * 100.0))
        };
        let name = |words: String| format!("{prefix}{words}");
        let rate = name("rows that differ".to_owned());
        let mut all = vec![percent(self.mismatched, self.rows, Some(limit), rate)];
        for (column, tally) in &self.columns {
            if tally.labels > 0 {
                let words = name(format!("{column}: labels that flipped"));
                all.push(percent(tally.flips, tally.labels, None, words));
            }
            if tally.numbers > 0 {
                let plain = |words: &str, value: f64| {
                    Measurement::new(name(format!("{column}: {words}")), value, "")
                };
                all.push(plain("largest difference", tally.largest));
                all.push(plain("mean difference", tally.sum / tally.numbers as f64));
            }
        }
        all
    }
}

/// Among rows that are as bad, the earlier one is shown.
fn is_worse(badness: f64, line: u64, than: &WorstRow) -> bool {
    badness > than.badness || (badness == than.badness && line < than.line)
}

#[cfg(test)]
mod tests {
    use super::super::columns::Compared;
    use super::*;

    fn row(badness: f64) -> RowResult {
        RowResult {
            columns: vec![Compared {
                column: "p".to_owned(),
                kind: Kind::Number {
                    delta: badness / 10.0,
                    share: badness,
                },
            }],
            lines: vec![format!("off by {badness}")],
            badness,
        }
    }

    #[test]
    fn the_worst_rows_stay_however_they_are_spread_over_workers() {
        let badness = [0.5, 3.0, 9.0, 1.5, 2.0, 9.0, f64::INFINITY, 1.1];
        let mut one = Tally::new(3);
        let mut parts = [Tally::new(3), Tally::new(3)];
        for (index, badness) in badness.into_iter().enumerate() {
            let line = index as u64 + 1;
            one.compared(line, row(badness), || format!("row {line}"));
            parts[index % 2].compared(line, row(badness), || format!("row {line}"));
        }
        let [mut merged, other] = parts;
        merged.merge(other);
        for tally in [one, merged] {
            let lines: Vec<u64> = tally.worst().iter().map(|row| row.line).collect();
            assert_eq!(lines, [7, 3, 6]);
            assert_eq!((tally.rows, tally.mismatched), (8, 7));
            assert!((tally.mismatch_rate() - 0.875).abs() < 1e-12);
            let figures = tally.measurements("", 0.1);
            assert_eq!(figures[0].name, "rows that differ");
            assert_eq!(figures[0].limit, Some(10.0));
            assert_eq!(figures[1].name, "p: largest difference");
        }
    }
}
