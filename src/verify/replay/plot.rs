//! Small pictures: how two distributions lie, and which labels went where.

use delivery::verdict::Plot;

use super::comparison::Output;
use crate::verify::figure::{bar, shown};

/// Rows of a distribution.
const ROWS: usize = 8;
/// Flips that are shown.
const FLIPS: usize = 8;
/// Characters of a label that are shown.
const LABEL: usize = 24;

/// Both distributions over the same equal parts of the range; `None` where all values are one.
pub(super) fn distributions(name: &str, serving: &[f64], candidate: &[f64]) -> Option<Plot> {
    let ends = |sorted: &[f64]| Some((*sorted.first()?, *sorted.last()?));
    let ((a, b), (c, d)) = (ends(serving)?, ends(candidate)?);
    let (from, to) = (a.min(c), b.max(d));
    if to <= from {
        return None;
    }
    let counts = |sorted: &[f64]| {
        let mut rows = [0_u32; ROWS];
        for value in sorted {
            let row = ((value - from) / (to - from) * ROWS as f64) as usize;
            rows[row.min(ROWS - 1)] += 1;
        }
        rows
    };
    let (left, right) = (counts(serving), counts(candidate));
    let most = f64::from(*left.iter().chain(&right).max()?);
    let rows = (0..ROWS).flat_map(|row| {
        let end = from + (to - from) * (row + 1) as f64 / ROWS as f64;
        let line = |who: &str, label: &str, count: u32| {
            format!("{label:>14} {who} {} {count}", bar(f64::from(count), most))
        };
        [
            line("serving  ", &format!("to {}", shown(end, "")), left[row]),
            line("candidate", "", right[row]),
        ]
    });
    Some(Plot {
        title: format!("distribution of {name} over the same inputs"),
        rows: rows.collect(),
    })
}

/// Which labels became which, the most frequent first; `None` where none did.
pub(super) fn flips(name: &str, output: &Output) -> Option<Plot> {
    let mut kinds: Vec<_> = output.kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let most = *kinds.first()?.1 as f64;
    let short = |label: &str| label.chars().take(LABEL).collect::<String>();
    let row = |((from, to), count): &(&(String, String), &u64)| {
        format!(
            "{:>24} → {:<24} {} {count}",
            short(from),
            short(to),
            bar(**count as f64, most)
        )
    };
    Some(Plot {
        title: format!("flips of {name}, serving → candidate"),
        rows: kinds.iter().take(FLIPS).map(row).collect(),
    })
}
