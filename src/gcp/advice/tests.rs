use std::collections::BTreeSet;

use super::*;

#[test]
fn every_row_is_found_by_its_own_text() {
    for row in by_text() {
        let text: String = row.needles.join(" … ");
        let found = for_text(&text, &Facts::default()).map(|advice| advice.id);
        assert_eq!(found, Some(row.id));
    }
}

#[test]
fn every_row_has_its_own_id_a_cause_and_a_way_out() {
    let ids: BTreeSet<_> = known().map(|row| row.id).collect();
    assert_eq!(ids.len(), known().count());
    for row in known() {
        assert!(!row.needles.is_empty(), "{} has no needle", row.id);
        for text in [row.title, row.says, row.cause] {
            assert!(!text.is_empty(), "{} lacks a text", row.id);
        }
        assert!(!row.help.is_empty(), "{} has no way out", row.id);
    }
}

#[test]
fn a_text_that_is_new_says_nothing() {
    assert_eq!(for_text("something new", &Facts::default()), None);
}

#[test]
fn what_the_text_tells_is_filled_in() {
    let text = "Image 'us-docker.pkg.dev/p/r/i:latest' not found.";
    let advice = for_text(text, &Facts::default()).expect("the text is known");
    assert!(
        advice.cause.contains("us-docker.pkg.dev/p/r/i:latest"),
        "{}",
        advice.cause
    );
}
