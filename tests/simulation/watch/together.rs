//! What several regions that go together may do, and one alone may not.

use delivery::outcome::Outcome;
use delivery::plan::Wanted;
use ml_deploy::deliver::Recovered;
use serde_json::Value;

use super::{Watch, text};
use crate::cloud::{Cloud, Service, Split};

/// What was there before a run over several regions recorded its release.
#[derive(Debug)]
pub(super) struct Earlier {
    revision: String,
    settled: Option<Split>,
    public: bool,
}

fn newest(record: &Value) -> Option<&str> {
    text(record, "/healthy/0/revision")
}

impl Watch {
    /// A record is closed over a release: where it came to other regions too, it may be taken back yet.
    pub(super) fn remember_earlier(&mut self, service: &Service) {
        let record = service.record();
        let regions = record.pointer("/healthy/0/regions");
        let regions = regions.and_then(Value::as_array).map_or(0, Vec::len);
        self.earlier = newest(&record)
            .filter(|_| regions > 1)
            .map(|revision| Earlier {
                revision: revision.to_owned(),
                settled: self.settled.clone(),
                public: self.settled_public,
            });
    }

    /// A release that was recorded here is taken back, as another region did not come through: its entry
    /// is gone, and what was before it is wanted again; where that was nothing, the service is closed.
    pub(super) fn taken_back_together(&mut self, is: &Value, service: &Service, run: &str) {
        if self.rollbacks.contains(run) || text(is, "/intent/run").is_some() {
            // Something else has begun since.
            self.earlier = None;
            return;
        }
        let is_back = |earlier: &mut Earlier| {
            let mut healthy = is["healthy"].as_array().into_iter().flatten();
            let gone = healthy.all(|one| one["revision"] != earlier.revision.as_str());
            let wanted = match &earlier.settled {
                Some(split) => service.wanted() == *split,
                None => !service.is_public(),
            };
            gone && wanted
        };
        if let Some(earlier) = self.earlier.take_if(is_back) {
            self.in_effect &= earlier.settled.is_some();
            self.settled = earlier.settled;
            self.settled_public = earlier.public;
        }
    }

    /// A run has ended what another one had left, and done nothing else.
    pub(crate) fn only_recovered(&mut self, cloud: &Cloud, wanted: &Wanted, outcome: &Outcome) {
        if let Outcome::Recovered { .. } = outcome {
            self.recovered(cloud, wanted, &Recovered::Nothing);
        }
    }
}
