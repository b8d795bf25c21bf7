//! What a status code alone tells, for texts that are not known.

use super::Facts;

/// The way out by HTTP status and canonical code name.
pub(super) fn help(http: u16, status: &str, facts: &Facts) -> Vec<String> {
    let lines: &[&str] = match (http, status) {
        (401, _) | (_, "UNAUTHENTICATED") => &[
            "the token was refused: check that the credentials belong to this cloud and have not been revoked",
        ],
        (403, _) | (_, "PERMISSION_DENIED") => super::access::BY_CODE,
        (404, _) => &["check project, region and names"],
        (409, _) => &["somebody else changed it at the same time: run again"],
        (429, _) => &["a quota is used up: run again later, or ask for more quota"],
        (501, _) => &["check the region: an unknown region is answered like this"],
        (500.., _) => &["this is a failure of the API: run again in a few minutes"],
        _ => &[],
    };
    lines.iter().map(|line| facts.fill(line)).collect()
}
