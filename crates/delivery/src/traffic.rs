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
