//! The candidate's names: one revision and one tag for a digest, a configuration and an attempt.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::standing::Standing;
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{NameError, RevisionName, ServiceName, TagName};
use crate::release::{ImageDigest, Release};
use crate::snapshot::{Readiness, RevisionSeen};
use crate::spec::ConfigHash;

/// Most characters of a tag and its service name together. Cloud Run checks it on the server only:
/// "Combined traffic tag and service name cannot exceed 46 characters."
pub const TAG_AND_SERVICE_LENGTH: usize = 46;
/// Most characters of a revision name ("must be less than 64 characters").
pub const REVISION_LENGTH: usize = 63;
/// Digits of the hash in names.
const HASH_LENGTH: usize = 6;
/// What our tags begin with.
const TAG_PREFIX: &str = "c-";

/// Names of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) revision: RevisionName,
    pub(crate) tag: TagName,
    /// 1 for the first try of this digest with this configuration.
    pub(crate) attempt: u32,
}

/// The revision of this digest and configuration that can be taken up: made by us, not failed, not
/// rejected. The one recorded healthy is preferred, then the newest. One that is not ready yet is
/// taken up too: the write waits for it, and its failure is recorded, so that the next run makes a
/// new attempt instead of a second revision beside the first.
pub(crate) fn find_existing<'a>(
    standing: &'a Standing<'_>,
    digest: &ImageDigest,
    config: &ConfigHash,
) -> Option<&'a RevisionSeen> {
    let usable = |seen: &&RevisionSeen| {
        Standing::own_record(seen)
            .is_some_and(|record| record.digest == *digest && record.config == *config)
            && !matches!(seen.readiness, Readiness::Failed(_))
            && standing.record.rejected_entry(&seen.name).is_none()
    };
    standing.revisions().filter(usable).max_by_key(|seen| {
        let healthy = standing.record.healthy_entry(&seen.name).is_some();
        let ready = seen.readiness == Readiness::Ready;
        (healthy, ready, seen.created_at)
    })
}

/// Names for the next attempt: one above the highest that is there (all of them failed or were
/// rejected, or they would be taken up), and never a name that is or was in use, so that what is
/// remembered about a deleted revision cannot be taken for the new one.
pub(crate) fn next_candidate(
    standing: &Standing<'_>,
    release: &Release,
    config: &ConfigHash,
) -> Result<Candidate, Diagnostic> {
    let digest = &release.image.digest;
    let mut taken: BTreeSet<&RevisionName> = standing.revisions().map(|seen| &seen.name).collect();
    taken.extend(standing.record.healthy.iter().map(|h| &h.revision));
    taken.extend(standing.record.rejected.iter().map(|r| &r.revision));
    taken.extend(standing.record.intent.iter().map(|intent| &intent.revision));
    let highest = standing
        .revisions()
        .filter_map(Standing::own_record)
        .filter(|record| record.digest == *digest && record.config == *config)
        .map(|record| record.attempt)
        .max()
        .unwrap_or(0);
    let mut attempt = highest.saturating_add(1);
    loop {
        let candidate = name(&standing.target.service, release, config, attempt)?;
        // Ends: each attempt has another name, and the taken ones are finite.
        if attempt == u32::MAX || !taken.contains(&candidate.revision) {
            return Ok(candidate);
        }
        attempt = attempt.saturating_add(1);
    }
}

/// The names of one attempt.
fn name(
    service: &ServiceName,
    release: &Release,
    config: &ConfigHash,
    attempt: u32,
) -> Result<Candidate, Diagnostic> {
    let mut hasher = Sha256::new();
    for part in [
        release.image.digest.as_str(),
        &config.0,
        &attempt.to_string(),
    ] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let hash = hex::encode(hasher.finalize());
    let h6 = hash.get(..HASH_LENGTH).unwrap_or_default();
    let room = REVISION_LENGTH.saturating_sub(service.as_str().len() + 2 + HASH_LENGTH);
    let slug = slug(&release.label(), room);
    Ok(Candidate {
        revision: RevisionName::parse(format!("{service}-{slug}-{h6}")).map_err(too_long)?,
        tag: tag_for(service, h6)?,
        attempt,
    })
}

/// Characters of the longest name that is appended by default, `-staging`: what is proposed must fit
/// in every environment, not only in this one.
const LONGEST_SUFFIX: usize = 8;

fn tag_for(service: &ServiceName, h6: &str) -> Result<TagName, Diagnostic> {
    let text = format!("{TAG_PREFIX}{h6}");
    let length = text.len() + service.as_str().len();
    if length > TAG_AND_SERVICE_LENGTH {
        let longest = TAG_AND_SERVICE_LENGTH - text.len();
        return Err(Diagnostic::error(
            Code::NameTooLong,
            format!("service `{service}` is too long for the candidate's tag `{text}`"),
        )
        .cause(format!(
            "tag and service name have {length} characters, Cloud Run allows {TAG_AND_SERVICE_LENGTH} together"
        ))
        .help(format!(
            "use an input `service` of at most {} characters, such as `{}`: each environment appends its name, and the whole may have {longest} characters",
            longest - LONGEST_SUFFIX,
            shortened(service.as_str(), longest - LONGEST_SUFFIX)
        )));
    }
    TagName::parse(text).map_err(too_long)
}

/// A tag for a revision that exists: with its own hash if the name carries one, else hashed from the
/// name, so that a foreign revision can be tested at an address of its own.
pub(crate) fn tag_of(
    service: &ServiceName,
    revision: &RevisionName,
) -> Result<TagName, Diagnostic> {
    let hash = hex::encode(Sha256::digest(revision.as_str().as_bytes()));
    let h6 = own_hash(revision).unwrap_or_else(|| hash.get(..HASH_LENGTH).unwrap_or_default());
    tag_for(service, h6)
}

/// True for a tag that this program set: it carries the hash at the end of the name of the revision
/// that it points at, or the hash of that name.
pub(crate) fn is_our_tag(tag: &TagName, revision: &RevisionName) -> bool {
    let Some(h6) = tag.as_str().strip_prefix(TAG_PREFIX) else {
        return false;
    };
    let hash = hex::encode(Sha256::digest(revision.as_str().as_bytes()));
    h6.len() == HASH_LENGTH
        && (own_hash(revision) == Some(h6) || hash.get(..HASH_LENGTH) == Some(h6))
}

/// The hash at the end of a name such as `api-v1-0-0-3f9c2a`.
fn own_hash(revision: &RevisionName) -> Option<&str> {
    let (_, last) = revision.as_str().rsplit_once('-')?;
    let is_hash = last.len() == HASH_LENGTH && last.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then_some(last)
}

/// Lower-case letters and digits with single hyphens between; at most `room` characters.
fn slug(label: &str, room: usize) -> String {
    let mut slug = String::new();
    for c in label.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    shortened(&slug, room).to_owned()
}

/// The first characters, without a hyphen at the end. The text is ASCII.
fn shortened(text: &str, longest: usize) -> &str {
    text.get(..longest.min(text.len()))
        .unwrap_or(text)
        .trim_end_matches('-')
}

fn too_long(error: NameError) -> Diagnostic {
    Diagnostic::error(Code::NameTooLong, error.to_string()).help("use a shorter service name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_legal_inside_a_name() {
        for (label, room, expected) in [
            ("v1.4.0", 20, "v1-4-0"),
            ("v1.4.0-rc.1+Build.5", 30, "v1-4-0-rc-1-build-5"),
            ("v1.4.0--x", 30, "v1-4-0-x"),
            ("v1.4.0-rc.1", 7, "v1-4-0"),
            ("v1.4.0-rc.1", 8, "v1-4-0-r"),
            ("sha-1234567", 17, "sha-1234567"),
        ] {
            assert_eq!(slug(label, room), expected, "{label} in {room}");
        }
    }

    #[test]
    fn a_service_of_38_characters_fits_and_one_of_39_does_not() {
        let service = |length| ServiceName::parse("s".repeat(length)).unwrap();
        assert!(tag_for(&service(38), "abcdef").is_ok());
        let error = tag_for(&service(39), "abcdef").unwrap_err();
        assert_eq!(error.code, Code::NameTooLong);
        let help = &error.help[0];
        // With `-staging` behind it, it has 38.
        assert!(help.contains("at most 30 characters"), "{help}");
        assert!(help.contains("may have 38 characters"), "{help}");
    }

    #[test]
    fn our_tags_are_told_from_others() {
        let revision = RevisionName::parse("api-v1-0-0-3f9c2a").unwrap();
        let foreign = RevisionName::parse("api-00002-xyz").unwrap();
        let service = ServiceName::parse("api").unwrap();
        let tag = |text: &str| TagName::parse(text).unwrap();
        assert_eq!(tag_of(&service, &revision).unwrap(), tag("c-3f9c2a"));
        assert!(is_our_tag(&tag("c-3f9c2a"), &revision));
        assert!(!is_our_tag(&tag("c-3f9c2b"), &revision));
        assert!(!is_our_tag(&tag("green"), &revision));
        assert!(!is_our_tag(&tag("c-3f9c2a"), &foreign));
        assert!(is_our_tag(&tag_of(&service, &foreign).unwrap(), &foreign));
    }
}
