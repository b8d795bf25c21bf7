//! Traffic, both ways.

use cloud_api::run::{TRAFFIC_LATEST, TRAFFIC_REVISION, TrafficTarget, TrafficTargetStatus};
use delivery::name::{RevisionName, TagName};
use delivery::snapshot::Serving;
use delivery::traffic::{Destination, Share, Tag, TrafficSplit};

/// Domain → wire: shares first, then one entry for each tag.
pub(super) fn to_wire(split: &TrafficSplit) -> Vec<TrafficTarget> {
    let entry = |to: &Destination, percent: u32, tag: &str| {
        let (kind, revision) = match to {
            Destination::Latest => (TRAFFIC_LATEST, ""),
            Destination::Revision(name) => (TRAFFIC_REVISION, name.as_str()),
        };
        TrafficTarget {
            kind: kind.to_owned(),
            revision: revision.to_owned(),
            percent,
            tag: tag.to_owned(),
        }
    };
    let shares = split.shares().iter();
    let tags = split.tags().iter();
    shares
        .map(|share| entry(&share.to, share.percent, ""))
        .chain(tags.map(|tag| entry(&tag.to, 0, tag.name.as_str())))
        .collect()
}

/// Wire → domain. No entry at all is the API's default: everything to LATEST.
///
/// # Errors
/// A text that says which entry is not understood.
pub(super) fn from_wire(targets: &[TrafficTarget]) -> Result<TrafficSplit, String> {
    if targets.is_empty() {
        return Ok(TrafficSplit::all_to(Destination::Latest, Vec::new()));
    }
    let mut shares = Vec::new();
    let mut tags = Vec::new();
    for target in targets {
        let TrafficTarget {
            kind,
            revision,
            percent,
            tag,
        } = target;
        let to = if kind == TRAFFIC_LATEST || revision.is_empty() {
            Destination::Latest
        } else {
            Destination::Revision(short(revision).map_err(|error| error.to_string())?)
        };
        if !tag.is_empty() {
            let name = TagName::parse(tag.as_str()).map_err(|error| error.to_string())?;
            tags.push(Tag {
                name,
                to: to.clone(),
            });
        }
        if *percent > 0 {
            shares.push(Share {
                to,
                percent: *percent,
            });
        }
    }
    TrafficSplit::new(shares, tags).map_err(|error| error.to_string())
}

/// The traffic as it is. An entry that follows LATEST is given the latest ready revision.
pub(super) fn serving(
    statuses: &[TrafficTargetStatus],
    latest_ready: Option<&RevisionName>,
) -> Vec<Serving> {
    let one = |status: &TrafficTargetStatus| {
        let TrafficTargetStatus {
            kind: _,
            revision,
            percent,
            tag,
            uri,
        } = status;
        let revision = match short(revision) {
            Ok(name) => name,
            Err(_) => latest_ready?.clone(),
        };
        Some(Serving {
            revision,
            percent: *percent,
            tag: TagName::parse(tag.as_str()).ok(),
            uri: Some(uri.clone()).filter(|uri| !uri.is_empty()),
        })
    };
    statuses.iter().filter_map(one).collect()
}

/// True when the traffic as it is has exactly the wanted shares and tags.
pub(super) fn is_in_effect(
    wanted: &TrafficSplit,
    serving: &[Serving],
    latest_ready: Option<&RevisionName>,
) -> bool {
    let resolve = |to: &Destination| match to {
        Destination::Latest => latest_ready.cloned(),
        Destination::Revision(name) => Some(name.clone()),
    };
    let percent_of = |revision: &RevisionName| -> u32 {
        let entries = serving.iter().filter(|entry| entry.revision == *revision);
        entries.map(|entry| entry.percent).sum()
    };
    let mut expected: Vec<(RevisionName, u32)> = Vec::new();
    for share in wanted.shares() {
        let Some(revision) = resolve(&share.to) else {
            return false;
        };
        match expected.iter_mut().find(|(known, _)| *known == revision) {
            Some((_, percent)) => *percent += share.percent,
            None => expected.push((revision, share.percent)),
        }
    }
    let shares = expected
        .iter()
        .all(|(revision, percent)| percent_of(revision) == *percent);
    let sum: u32 = serving.iter().map(|entry| entry.percent).sum();
    let tags = wanted.tags().iter().all(|tag| {
        serving.iter().any(|entry| {
            entry.tag.as_ref() == Some(&tag.name)
                && Some(&entry.revision) == resolve(&tag.to).as_ref()
        })
    });
    shares && sum == 100 && tags
}

/// The last segment of a name, which may be full or short.
pub(super) fn short(name: &str) -> Result<RevisionName, delivery::name::NameError> {
    RevisionName::parse(name.rsplit('/').next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RevisionName {
        RevisionName::parse(text).unwrap()
    }

    fn target(kind: &str, revision: &str, percent: u32, tag: &str) -> TrafficTarget {
        TrafficTarget {
            kind: kind.to_owned(),
            revision: revision.to_owned(),
            percent,
            tag: tag.to_owned(),
        }
    }

    #[test]
    fn wire_and_back_is_the_same_split() {
        let wire = [
            target(TRAFFIC_REVISION, "api-1", 90, ""),
            target(TRAFFIC_LATEST, "", 10, ""),
            target(TRAFFIC_REVISION, "api-0", 0, "foreign"),
        ];
        let split = from_wire(&wire).unwrap();
        assert_eq!(to_wire(&split), wire);
    }

    #[test]
    fn an_entry_with_percent_and_tag_is_a_share_and_a_tag() {
        let split = from_wire(&[target(TRAFFIC_REVISION, "api-1", 100, "canary")]).unwrap();
        assert_eq!(split.shares().len(), 1);
        assert_eq!(split.tags()[0].name.as_str(), "canary");
    }

    #[test]
    fn no_entry_means_latest_and_a_wrong_sum_is_refused() {
        assert!(from_wire(&[]).unwrap().follows_latest());
        assert!(from_wire(&[target(TRAFFIC_REVISION, "api-1", 99, "")]).is_err());
    }

    #[test]
    fn a_split_is_in_effect_when_shares_and_tags_are() {
        let split = from_wire(&[
            target(TRAFFIC_REVISION, "api-1", 100, ""),
            target(TRAFFIC_REVISION, "api-2", 0, "c-1"),
        ])
        .unwrap();
        let status = |revision: &str, percent, tag: &str| TrafficTargetStatus {
            kind: TRAFFIC_REVISION.to_owned(),
            revision: revision.to_owned(),
            percent,
            tag: tag.to_owned(),
            uri: String::new(),
        };
        let both = serving(&[status("api-1", 100, ""), status("api-2", 0, "c-1")], None);
        assert!(is_in_effect(&split, &both, None));
        let untagged = serving(&[status("api-1", 100, "")], None);
        assert!(!is_in_effect(&split, &untagged, None));
        let old = serving(&[status("api-0", 100, ""), status("api-2", 0, "c-1")], None);
        assert!(!is_in_effect(&split, &old, None));
        let latest = TrafficSplit::all_to(Destination::Latest, Vec::new());
        assert!(is_in_effect(
            &latest,
            &serving(&[status("", 100, "")], Some(&name("api-9"))),
            Some(&name("api-9"))
        ));
    }
}
