//! Who answers at an address.

use std::time::Duration;

use super::{Behaviour, Cloud, Entry, HOST, Readiness};

/// How long a revision that is slow to answer takes after it is ready.
const SLOW: Duration = Duration::from_secs(20);

/// What a caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 403: no token, or one for another audience.
    Forbidden,
    /// No such address, or no answer.
    Nothing,
    /// An answer.
    From {
        revision: String,
        commit: String,
        version: Option<String>,
        /// As it should be.
        right: bool,
        /// Slow under traffic.
        degrades: bool,
    },
}

impl Cloud {
    /// Asks; `roll` from 0 to 99 decides where the split sends the request.
    pub(crate) fn ask(&self, url: &str, audience: Option<&str>, roll: u32) -> Reply {
        let Some(service) = &self.service else {
            return Reply::Nothing;
        };
        let host = url.strip_prefix("https://").unwrap_or(url);
        let entry = match host.strip_suffix(HOST) {
            Some("") => chosen(&service.routed, roll),
            Some(tag) => {
                let tag = tag.strip_suffix("---");
                let is_it = |entry: &&Entry| entry.tag.as_deref() == tag;
                service.routed.iter().find(is_it)
            }
            None => None,
        };
        let Some(entry) = entry else {
            return Reply::Nothing;
        };
        let token_fits = audience == Some(&format!("https://{HOST}"));
        if !service.is_public() && !token_fits {
            return Reply::Forbidden;
        }
        let Some(revision) = service.revision(&entry.revision) else {
            return Reply::Nothing;
        };
        let behaviour = self.behaviour(revision);
        let since = match (&revision.readiness, revision.ready_since) {
            (Readiness::Ready, Some(since)) => since,
            _ => return Reply::Nothing,
        };
        let silent = match behaviour {
            Behaviour::SlowToAnswer => self.now < since + SLOW,
            Behaviour::FailsWhenServing => {
                let own = service
                    .routed
                    .iter()
                    .filter(|one| one.revision == entry.revision);
                own.map(|one| one.percent).sum::<u32>() == 100 && service.revisions.len() > 1
            }
            _ => false,
        };
        if silent {
            return Reply::Nothing;
        }
        Reply::From {
            commit: revision
                .variable("ML_DEPLOY_COMMIT")
                .unwrap_or_default()
                .to_owned(),
            version: revision.variable("ML_DEPLOY_VERSION").map(str::to_owned),
            revision: revision.name.clone(),
            right: behaviour != Behaviour::Bad,
            degrades: behaviour == Behaviour::Degrades,
        }
    }
}

fn chosen(entries: &[Entry], roll: u32) -> Option<&Entry> {
    let mut sum = 0;
    entries.iter().find(|entry| {
        sum += entry.percent;
        roll < sum
    })
}
