//! Path templates: `v2/projects/{projectsId}/locations/{locationsId}/services/{servicesId}:getIamPolicy`.

/// How well a path fits: more literal segments win, and a verb that is named wins over a name that
/// happens to hold a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    has_verb: bool,
    literals: usize,
}

/// Whether `path` (without a leading slash) fits the template, and how well.
pub(super) fn fit(template: &str, path: &str) -> Option<Fit> {
    let (template, verb) = verb_of(template);
    let (path, has_verb) = match verb {
        Some(verb) => (path.strip_suffix(verb)?.strip_suffix(':')?, true),
        None => (path, false),
    };
    let wanted: Vec<&str> = template.split('/').collect();
    let mut given: Vec<&str> = path.split('/').collect();
    // GitHub's refs hold slashes: `/git/ref/tags/v1.0.0`.
    if template.ends_with("/{ref}") {
        given.truncate(wanted.len());
    }
    if wanted.len() != given.len() {
        return None;
    }
    let mut literals = 0;
    for (wanted, given) in wanted.into_iter().zip(given) {
        if is_parameter(wanted) {
            if given.is_empty() {
                return None;
            }
        } else if wanted == given {
            literals += 1;
        } else {
            return None;
        }
    }
    Some(Fit { has_verb, literals })
}

/// `…/{servicesId}:getIamPolicy` → its verb. Colons inside of braces do not occur.
fn verb_of(template: &str) -> (&str, Option<&str>) {
    let last = template.rfind('/').map_or(0, |slash| slash + 1);
    match template[last..].split_once(':') {
        Some((_, verb)) => {
            let end = template.len() - verb.len() - 1;
            (&template[..end], Some(verb))
        }
        None => (template, None),
    }
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_no_part_of_a_name_and_a_digest_no_verb() {
        let get = "v2/services/{servicesId}";
        let policy = "v2/services/{servicesId}:getIamPolicy";
        let path = "v2/services/api:getIamPolicy";
        assert!(fit(policy, path) > fit(get, path));
        assert!(fit(policy, "v2/services/api").is_none());
        assert!(fit("v1/images/{imagesId}", "v1/images/api@sha256:00").is_some());
        assert!(fit("v1/images:list", "v1/images:list").is_some());
        assert!(fit("v1/images/{imagesId}", "v1/images/").is_none());
        assert!(fit("git/ref/{ref}", "git/ref/tags/v1.0.0").is_some());
    }
}
