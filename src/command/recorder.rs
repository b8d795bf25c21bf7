//! Passes events on, and keeps what the summary needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::gate::API_TESTS;
use delivery::verdict::{CaseResult, Evidence};

/// Keeps evidence and warnings: a run that stops gives no evidence back, but its summary shows it.
pub(super) struct Recorder {
    next: Arc<dyn EventSink>,
    kept: Arc<Mutex<Kept>>,
    /// Where what it is told is measured, where there are several places.
    place: Option<String>,
}

#[derive(Default)]
struct Kept {
    /// Of the gates that have ended, in their order.
    ended: Vec<Evidence>,
    /// The gate under way in each place.
    under_way: BTreeMap<Option<String>, UnderWay>,
    warnings: Vec<Diagnostic>,
}

/// A gate, and its cases so far.
#[derive(Default)]
struct UnderWay {
    gate: Option<&'static str>,
    cases: Vec<CaseResult>,
}

impl Recorder {
    pub(super) fn new(next: Arc<dyn EventSink>) -> Self {
        Self {
            next,
            kept: Arc::default(),
            place: None,
        }
    }

    /// Takes what is measured in one of several places: kept apart from the others, and shown with
    /// the place.
    pub(super) fn at(&self, place: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            next: Arc::clone(&self.next),
            kept: Arc::clone(&self.kept),
            place: Some(place.into()),
        })
    }

    /// The evidence so far, that of a gate which was interrupted too.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let kept = self.kept();
        let mut all = kept.ended.clone();
        for (place, UnderWay { gate, cases }) in &kept.under_way {
            if !cases.is_empty() {
                let gate = gate.unwrap_or(API_TESTS);
                let place = place.clone();
                all.push(Evidence {
                    place,
                    ..Evidence::new(gate, cases.clone())
                });
            }
        }
        all
    }

    /// The warnings so far.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        self.kept().warnings.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&mut self, event: &Event, place: &Option<String>) {
        match event {
            Event::GateStarted { gate } => {
                let gate = Some(*gate);
                let cases = Vec::new();
                self.under_way
                    .insert(place.clone(), UnderWay { gate, cases });
            }
            Event::CaseFinished(case) => {
                let under_way = self.under_way.entry(place.clone()).or_default();
                under_way.cases.push(case.clone());
            }
            Event::GateFinished(evidence) => {
                self.under_way.remove(place);
                self.end(Evidence {
                    place: place.clone(),
                    ..evidence.clone()
                });
            }
            Event::Warning(warning) => self.warnings.push(warning.clone()),
            _ => {}
        }
    }

    /// The candidate is tested again after a conflict: the last result of each case counts. Other
    /// cases of the same gate are those of another share of the traffic.
    fn end(&mut self, mut next: Evidence) {
        let is_same = |one: &Evidence| one.gate == next.gate && one.place == next.place;
        if let Some(at) = self.ended.iter().position(is_same) {
            let known = self.ended.remove(at);
            next = joined(known, next);
        }
        self.ended.push(next);
    }
}

/// The gate's evidence with what it told before about other cases.
fn joined(known: Evidence, mut last: Evidence) -> Evidence {
    let is_new = |name: &str| last.cases.iter().any(|case| case.name == name);
    let mut cases: Vec<CaseResult> = known.cases;
    cases.retain(|case| !is_new(&case.name));
    cases.append(&mut last.cases);
    Evidence { cases, ..last }
}

/// The event as it is shown: with its place.
fn placed(event: Event, place: &str) -> Event {
    match event {
        Event::CaseFinished(case) => Event::CaseFinished(CaseResult {
            name: format!("{place}: {}", case.name),
            ..case
        }),
        Event::GateFinished(evidence) => Event::GateFinished(Evidence {
            place: Some(place.to_owned()),
            ..evidence
        }),
        Event::Note(text) => Event::Note(format!("{place}: {text}")),
        Event::Progress {
            what,
            done,
            total,
            unit,
        } => Event::Progress {
            what: format!("{place}: {what}"),
            done,
            total,
            unit,
        },
        other => other,
    }
}

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.kept().take(&event, &self.place);
        self.next.emit(match &self.place {
            Some(place) => placed(event, place),
            None => event,
        });
    }
}

#[cfg(test)]
mod tests {
    use delivery::verdict::CaseEnd;

    use super::*;

    #[derive(Default)]
    struct Shown(Mutex<Vec<Event>>);

    impl EventSink for Shown {
        fn emit(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    fn case(end: CaseEnd) -> CaseResult {
        CaseResult {
            name: "predicts".to_owned(),
            end,
            millis: 1,
        }
    }

    fn gate(sink: &Recorder, end: CaseEnd) {
        sink.emit(Event::GateStarted { gate: API_TESTS });
        sink.emit(Event::CaseFinished(case(end.clone())));
        let evidence = Evidence::new(API_TESTS, vec![case(end)]);
        sink.emit(Event::GateFinished(evidence));
    }

    #[test]
    fn each_place_keeps_its_own_results() {
        let shown = Arc::new(Shown::default());
        let recorder = Recorder::new(shown.clone());
        let (west, east) = (recorder.at("west"), recorder.at("east"));
        let failed = CaseEnd::Failed(vec!["status: expected 200, got 500".to_owned()]);
        west.emit(Event::GateStarted { gate: API_TESTS });
        west.emit(Event::CaseFinished(case(failed.clone())));
        gate(&east, CaseEnd::Passed);
        let kept = recorder.evidence();
        let ends = kept
            .iter()
            .map(|one| (one.place.as_deref(), &one.cases[0].end));
        let ends: Vec<_> = ends.collect();
        assert_eq!(
            ends,
            [(Some("east"), &CaseEnd::Passed), (Some("west"), &failed)]
        );
        assert_eq!(
            kept[1].name_of(&kept[1].cases[0]),
            "west/api-tests/predicts"
        );
        // Once more in one place: the last counts, there.
        gate(&west, CaseEnd::Passed);
        assert_eq!(recorder.evidence().len(), 2);
        let names = shown.0.lock().unwrap();
        let names = names.iter().filter_map(|event| match event {
            Event::CaseFinished(case) => Some(case.name.clone()),
            _ => None,
        });
        let names: Vec<_> = names.collect();
        assert_eq!(names[..2], ["west: predicts", "east: predicts"]);
    }

    #[test]
    fn one_place_is_not_named() {
        let recorder = Recorder::new(Arc::new(Shown::default()));
        gate(&recorder, CaseEnd::Passed);
        let kept = recorder.evidence();
        assert_eq!(kept[0].title(), API_TESTS);
        assert_eq!(kept[0].name_of(&kept[0].cases[0]), "api-tests/predicts");
    }
}
