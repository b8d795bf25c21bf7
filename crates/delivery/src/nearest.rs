//! Which known word an unknown one is likely to mean.

/// The known word with the fewest edits, if those are at most a third of its length, rounded up:
/// further away it would be a guess.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Fewest insertions, deletions and replacements of characters, upper and lower case alike
/// (Levenshtein distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (deleted, c) in from.to_lowercase().chars().enumerate() {
        let mut next = vec![deleted + 1];
        let mut left = deleted + 1;
        for (diagonal, (above, wanted)) in row
            .iter()
            .zip(row.iter().skip(1))
            .zip(&to)
            .map(|((diagonal, above), wanted)| (diagonal, (above, wanted)))
        {
            left = (diagonal + usize::from(c != *wanted))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("Main", "main", 0),
            ("mian", "main", 2),
        ] {
            assert_eq!(distance(from, to), edits, "{from} → {to}");
            assert_eq!(distance(to, from), edits, "{to} → {from}");
        }
    }

    #[test]
    fn only_what_is_near_is_named() {
        let known = ["main", "develop", "production"];
        assert_eq!(nearest("mainn", known), Some("main"));
        assert_eq!(nearest("prodution", known), Some("production"));
        assert_eq!(nearest("feature", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
