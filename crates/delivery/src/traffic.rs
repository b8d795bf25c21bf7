//! Traffic splits: percents sum to 100 by construction, tags that are not ours are kept.

use serde::{Deserialize, Serialize};

use crate::name::{RevisionName, TagName};

/// Where a share of traffic or a tag points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// Whichever revision is the latest ready one.
    Latest,
    /// This one.
    Revision(RevisionName),
}

/// A share of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Who gets it.
    pub to: Destination,
    /// 1 to 100.
    pub percent: u32,
}

/// A tag: an address of its own for one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The tag.
    pub name: TagName,
    /// What it points at.
    pub to: Destination,
}

/// Why shares are no split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shares sum to {sum}, not to 100")]
pub struct SplitError {
    /// What they sum to.
    pub sum: u64,
}

/// Shares that sum to 100, and tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedSplit")]
pub struct TrafficSplit {
    shares: Vec<Share>,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct UncheckedSplit {
    shares: Vec<Share>,
    #[serde(default)]
    tags: Vec<Tag>,
}

impl TryFrom<UncheckedSplit> for TrafficSplit {
    type Error = SplitError;
    fn try_from(unchecked: UncheckedSplit) -> Result<Self, SplitError> {
        Self::new(unchecked.shares, unchecked.tags)
    }
}

impl TrafficSplit {
    /// Shares of 0 are dropped; shares of one destination are added up.
    ///
    /// # Errors
    /// [`SplitError`] when they do not sum to 100.
    pub fn new(shares: Vec<Share>, tags: Vec<Tag>) -> Result<Self, SplitError> {
        let sum: u64 = shares.iter().map(|share| u64::from(share.percent)).sum();
        if sum != 100 {
            return Err(SplitError { sum });
        }
        let mut merged: Vec<Share> = Vec::new();
        for share in shares.into_iter().filter(|share| share.percent > 0) {
            match merged.iter_mut().find(|known| known.to == share.to) {
                Some(known) => known.percent += share.percent,
                None => merged.push(share),
            }
        }
        Ok(Self {
            shares: merged,
            tags,
        })
    }

    /// Everything to one destination.
    pub fn all_to(to: Destination, tags: Vec<Tag>) -> Self {
        Self {
            shares: vec![Share { to, percent: 100 }],
            tags,
        }
    }

    /// The shares, each above 0.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// The tags.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// True when some share follows whichever revision is the latest.
    pub fn follows_latest(&self) -> bool {
        self.shares
            .iter()
            .any(|share| share.to == Destination::Latest)
    }

    /// LATEST's share becomes the given revision's: a candidate that is deployed next gets none of it.
    #[must_use]
    pub fn pinned_to(&self, latest_ready: &RevisionName) -> Self {
        let mut shares: Vec<Share> = Vec::new();
        for share in &self.shares {
            let to = match &share.to {
                Destination::Latest => Destination::Revision(latest_ready.clone()),
                named => named.clone(),
            };
            match shares.iter_mut().find(|known| known.to == to) {
                Some(known) => known.percent += share.percent,
                None => shares.push(Share {
                    to,
                    percent: share.percent,
                }),
            }
        }
        Self {
            shares,
            tags: self.tags.clone(),
        }
    }

    /// `percent` to the candidate, and the rest to those that share the traffic now, as nearly in
    /// their proportion as whole percents allow: the largest remainders are rounded up, the first of
    /// equals first. Nobody loses all of a share as long as there is a percent for each. A share that
    /// the candidate has already is not counted; where nobody else has one, it gets everything.
    #[must_use]
    pub fn beside(&self, candidate: &RevisionName, percent: u32) -> Self {
        let own = Destination::Revision(candidate.clone());
        let others: Vec<&Share> = self.shares.iter().filter(|share| share.to != own).collect();
        let rest = 100_u32.saturating_sub(percent);
        if others.is_empty() || rest == 0 {
            return Self::all_to(own, self.tags.clone());
        }
        let weights: Vec<u32> = others.iter().map(|share| share.percent).collect();
        let shared = apportion(rest, &weights);
        let mut shares: Vec<Share> = others
            .into_iter()
            .zip(shared)
            .filter(|(_, percent)| *percent > 0)
            .map(|(share, percent)| Share {
                to: share.to.clone(),
                percent,
            })
            .collect();
        if percent > 0 {
            shares.push(Share { to: own, percent });
        }
        Self {
            shares,
            tags: self.tags.clone(),
        }
    }

    /// True when both give the same shares, in whatever order; tags do not count.
    pub fn same_shares(&self, other: &Self) -> bool {
        // No destination has two shares, so that equal numbers and one direction are enough.
        self.shares.len() == other.shares.len()
            && self.shares.iter().all(|share| other.shares.contains(share))
    }

    /// The same shares; the tag points at `to`, wherever it pointed before.
    #[must_use]
    pub fn with_tag(&self, name: TagName, to: Destination) -> Self {
        let mut split = self.without_tag(&name);
        split.tags.push(Tag { name, to });
        split
    }

    /// The same shares without this tag.
    #[must_use]
    pub fn without_tag(&self, name: &TagName) -> Self {
        let tags = self
            .tags
            .iter()
            .filter(|tag| tag.name != *name)
            .cloned()
            .collect();
        Self {
            shares: self.shares.clone(),
            tags,
        }
    }

    /// The same shares with these tags.
    #[must_use]
    pub fn with_tags(&self, tags: Vec<Tag>) -> Self {
        Self {
            shares: self.shares.clone(),
            tags,
        }
    }

    /// Percent of the traffic that this revision gets by its name; LATEST counts as nobody.
    pub fn percent_of(&self, revision: &RevisionName) -> u32 {
        self.shares
            .iter()
            .filter(|share| matches!(&share.to, Destination::Revision(name) if name == revision))
            .map(|share| share.percent)
            .sum()
    }

    /// The revisions that get a share by name.
    pub fn revisions(&self) -> impl Iterator<Item = &RevisionName> {
        self.shares.iter().filter_map(|share| match &share.to {
            Destination::Revision(name) => Some(name),
            Destination::Latest => None,
        })
    }
}

/// Divides `total` in proportion to the weights, of which at least one is above 0: largest remainders,
/// then one for each that would get nothing, from the largest, as long as that leaves it one.
fn apportion(total: u32, weights: &[u32]) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let quota = |weight: &u32| u64::from(*weight) * u64::from(total);
    let divisor = sum.max(1);
    let mut parts: Vec<u32> = weights
        .iter()
        .map(|weight| u32::try_from(quota(weight) / divisor).unwrap_or(total))
        .collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    // Stable: the first of equals comes first.
    by_remainder.sort_by_key(|index| std::cmp::Reverse(quota(&weights[*index]) % divisor));
    let left = total.saturating_sub(parts.iter().sum());
    for index in by_remainder.into_iter().take(left as usize) {
        parts[index] += 1;
    }
    while let Some(none) = parts.iter().position(|part| *part == 0) {
        let Some(largest) = (0..parts.len()).max_by_key(|index| parts[*index]) else {
            break;
        };
        if parts[largest] < 2 {
            break;
        }
        parts[largest] -= 1;
        parts[none] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RevisionName {
        RevisionName::parse(text).unwrap()
    }

    fn split(shares: &[(&str, u32)]) -> TrafficSplit {
        let share = |(to, percent): &(&str, u32)| Share {
            to: match *to {
                "LATEST" => Destination::Latest,
                other => Destination::Revision(name(other)),
            },
            percent: *percent,
        };
        TrafficSplit::new(shares.iter().map(share).collect(), Vec::new()).unwrap()
    }

    #[test]
    fn a_candidate_gets_its_percent_and_the_others_what_is_left() {
        for (base, percent, expected) in [
            (&[("a", 100)][..], 5, &[("a", 95), ("new", 5)][..]),
            (&[("a", 100)], 0, &[("a", 100)]),
            (&[("a", 100)], 100, &[("new", 100)]),
            // Somebody else's 90/10 stays one, as nearly as it goes.
            (
                &[("a", 90), ("b", 10)],
                25,
                &[("a", 68), ("b", 7), ("new", 25)],
            ),
            (
                &[("a", 90), ("b", 10)],
                50,
                &[("a", 45), ("b", 5), ("new", 50)],
            ),
            (
                &[("a", 50), ("b", 50)],
                25,
                &[("a", 38), ("b", 37), ("new", 25)],
            ),
            // A small share is not lost while there is a percent for it.
            (
                &[("a", 99), ("b", 1)],
                90,
                &[("a", 9), ("b", 1), ("new", 90)],
            ),
            (&[("a", 99), ("b", 1)], 99, &[("a", 1), ("new", 99)]),
            (
                &[("LATEST", 60), ("b", 40)],
                50,
                &[("LATEST", 30), ("b", 20), ("new", 50)],
            ),
            // What the candidate has already is not counted twice.
            (&[("a", 60), ("new", 40)], 10, &[("a", 90), ("new", 10)]),
            (&[("a", 60), ("new", 40)], 0, &[("a", 100)]),
            (&[("new", 100)], 10, &[("new", 100)]),
        ] {
            let got = split(base).beside(&name("new"), percent);
            assert_eq!(got, split(expected), "{base:?} at {percent}");
        }
    }

    #[test]
    fn shares_are_compared_without_their_order() {
        let one = split(&[("a", 90), ("b", 10)]);
        assert!(one.same_shares(&split(&[("b", 10), ("a", 90)])));
        assert!(!one.same_shares(&split(&[("a", 10), ("b", 90)])));
        assert!(!one.same_shares(&split(&[("a", 100)])));
        assert!(!split(&[("a", 100)]).same_shares(&one));
    }
}
