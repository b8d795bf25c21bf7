//! The nearest valid value.

/// Shortest part of a word that stands for the whole of it, in characters: `prod`, `dev`.
const LEAST_PART: usize = 3;

/// The candidate that is nearest to `text`, when it is near enough to be meant: by its letters, or
/// because one is the beginning of the other, such as `prod` of `production`.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = fold(text);
    let known: Vec<(&str, String)> = candidates
        .into_iter()
        .map(|candidate| (candidate, fold(candidate)))
        .collect();
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&text, &known.1), known))
        .filter(|(distance, (_, folded))| {
            let longest = folded.chars().count().max(text.chars().count());
            *distance <= (longest / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known);
    let (candidate, _) = near.or_else(|| {
        let mut begun = known.iter().filter(|(_, folded)| begins(&text, folded));
        // Of two that begin like it, either would be a guess.
        begun.next().filter(|_| begun.next().is_none())
    })?;
    Some(candidate)
}

fn begins(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() {
        (one, other)
    } else {
        (other, one)
    };
    short.chars().count() >= LEAST_PART && long.starts_with(short)
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

    #[test]
    fn a_beginning_stands_for_the_word_unless_two_begin_like_it() {
        let names = ["dev", "test", "staging", "production"];
        assert_eq!(nearest("prod", names), Some("production"));
        assert_eq!(nearest("Prod", names), Some("production"));
        assert_eq!(nearest("dve", names), Some("dev"));
        assert_eq!(nearest("development", names), Some("dev"));
        assert_eq!(nearest("p", names), None);
        assert_eq!(nearest("production", ["prod-eu", "prod-us"]), None);
        assert_eq!(nearest("prod", ["prod-europe", "prod-america"]), None);
    }
}
