mod conda;
mod dockerfile;
mod images;
mod pyproject;
mod requirements;
mod saved;
mod secret;

use super::finding::{Finding, Place};

/// `LINE:COLUMN RULE` of each finding, in order.
fn short(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| match &finding.place {
            Place::File(spot) => format!("{}:{} {}", spot.line, spot.column, finding.rule),
            Place::Image(words) => format!("{words} {}", finding.rule),
        })
        .collect()
}

/// A token-like text, made of parts so that no scanner takes this file for a leak.
fn token(prefix: &str, length: usize) -> String {
    const LETTERS: &[u8] = b"k3Jx9QmZt7Lw2Bv8Rn5Hd1Yc6Pg4Sf0TqWeUiOaXbNMKjhGzCVrDsFyEl";
    let body = (0..length).map(|index| LETTERS[(index * 23 + index / 8) % LETTERS.len()]);
    body.fold(prefix.to_owned(), |mut text, byte| {
        text.push(char::from(byte));
        text
    })
}
