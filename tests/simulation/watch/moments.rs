//! What must hold at every moment.

use super::{Invariant, Watch};
use crate::cloud::{Readiness, Service, shares};

impl Watch {
    pub(super) fn untested(&mut self, service: &Service) {
        // In a closed service that nobody depends on, only the tests reach anything.
        let reachable = service.is_public() || self.in_effect;
        let mut seen = Vec::new();
        for (where_, split) in [
            ("the API tells", shares(&service.shown)),
            ("callers meet", shares(&service.routed)),
            ("wanted is", service.wanted()),
        ] {
            for (name, percent) in split {
                if reachable && !name.is_empty() && !self.tested.contains(&name) {
                    seen.push(format!(
                        "{where_} {percent} % on {name}, which has not passed"
                    ));
                }
            }
        }
        for entry in &service.routed {
            let foreign = entry
                .tag
                .as_ref()
                .filter(|tag| self.foreign_tags.contains(*tag));
            if let Some(tag) = foreign.filter(|_| !self.tested.contains(&entry.revision)) {
                seen.push(format!(
                    "tag {tag} leads to {}, which has not passed",
                    entry.revision
                ));
            }
        }
        for text in seen {
            self.broken(Invariant::UntestedServes, text);
        }
    }

    pub(super) fn splits(&mut self, service: &Service) {
        let split = shares(&service.routed);
        if split.is_empty() {
            return;
        }
        let sum: u32 = split.values().sum();
        let ready = |name: &String| {
            let found = service.revision(name);
            found.is_some_and(|one| one.readiness == Readiness::Ready)
        };
        if sum != 100 || !split.keys().all(ready) {
            self.broken(Invariant::SplitUnsound, format!("callers meet {split:?}"));
        }
    }

    pub(super) fn foreign(&mut self, service: &Service) {
        let lost: Vec<String> = self
            .foreign_tags
            .iter()
            .filter(|tag| {
                let has = |one: &crate::cloud::Target| one.tag.as_ref() == Some(*tag);
                !service.traffic.iter().any(has)
            })
            .map(|tag| format!("tag {tag}"))
            .chain(
                self.foreign_annotations
                    .iter()
                    .filter(|(key, value)| service.annotations.get(*key) != Some(value))
                    .map(|(key, _)| format!("annotation {key}")),
            )
            .chain(
                self.foreign_labels
                    .iter()
                    .filter(|(key, value)| service.labels.get(*key) != Some(value))
                    .map(|(key, _)| format!("label {key}")),
            )
            .collect();
        if !lost.is_empty() {
            self.broken(Invariant::ForeignLost, format!("lost: {}", lost.join(", ")));
        }
    }
}
