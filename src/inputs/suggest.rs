//! The nearest valid value.

/// The candidate that is nearest to `text`, when it is near enough to be meant.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(text);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&folded, &fold(candidate)),
                candidate,
            )
        })
        .filter(|(distance, candidate)| {
            let longest = candidate.chars().count().max(folded.chars().count());
            *distance <= (longest / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of separator are no difference.
fn fold(text: &str) -> String {
    text.trim().to_lowercase().replace('-', "_")
}

/// A help line for an unknown word: the nearest one, or all of them.
pub fn help_for(text: &str, candidates: &[&str]) -> String {
    match nearest(text, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "use one of {}",
            candidates
                .iter()
                .map(|candidate| format!("`{candidate}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_offered_and_what_is_far_is_not() {
        let names = ["env_vars", "environment", "memory", "region"];
        assert_eq!(nearest("enviroment", names), Some("environment"));
        assert_eq!(nearest("ENV-VARS", names), Some("env_vars"));
        assert_eq!(nearest("memroy", names), Some("memory"));
        assert_eq!(nearest("zone", names), None);
    }
}
