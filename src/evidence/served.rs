//! What serves after a delivery, region by region, and how it is known that it passed.

use delivery::attestation::record::{Basis, Measured, RunRecord, ServiceRecord, TestsOf};
use delivery::attestation::{DeliveryRecord, TestResult, TrustedKey};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::Event;
use delivery::name::RevisionName;
use delivery::outcome::Outcome;
use delivery::plan::render::place;
use delivery::snapshot::StateSeen;
use delivery::spec::ConfigHash;
use delivery::state::{Healthy, RunRef, Timestamp};
use delivery::target::Target;
use delivery::verdict::{CaseEnd, Evidence};

use super::rule::{Author, Proven, Tests};
use super::{EvidenceStore, Pass, waiting};
use crate::deliver::regions::Landed;

/// One service.
struct Service {
    target: Target,
    revision: RevisionName,
    url: String,
    basis: Basis,
    run: RunRef,
    at: Timestamp,
    configuration: ConfigHash,
}

/// All services of the environment, and what was measured.
pub(super) struct Served {
    services: Vec<Service>,
    evidence: Vec<Evidence>,
    tests_of: Option<TestsOf>,
}

impl Served {
    /// Gathers what is known: what this run measured, what a step before it left, and for a service
    /// that was left as it is, what its record says.
    ///
    /// # Errors
    /// When something cannot be read, or a record does not say that the release passed there.
    pub(super) async fn of(
        proven: &Proven<'_>,
        landed: &[Landed],
        store: &dyn EvidenceStore,
        key: Option<&dyn TrustedKey>,
    ) -> Result<Self, Diagnostic> {
        let own = (proven.measured)();
        let promoted = proven
            .targets
            .iter()
            .zip(landed)
            .filter_map(|(target, one)| match &one.outcome {
                Outcome::Promoted { revision, .. } => Some(waiting::waiting(target, revision)),
                _ => None,
            });
        let promoted: Vec<_> = promoted.collect();
        let before = match proven.tests {
            Tests::Before if !promoted.is_empty() => {
                waiting::find(proven, &promoted, store, key).await?
            }
            Tests::Before | Tests::Here => None,
        };
        if proven.tests == Tests::Before && !promoted.is_empty() && before.is_none() {
            let note = "evidence: what the step `command: deploy` measured was not kept: none of its tests is named";
            proven.sink.emit(Event::Note(note.to_owned()));
        }
        let mut services = Vec::new();
        for (target, one) in proven.targets.iter().zip(landed) {
            let (revision, url) = match &one.outcome {
                Outcome::Promoted { revision, url } => (revision, url),
                Outcome::UpToDate { revision, url } => {
                    let service = recorded(proven, target, revision, url).await?;
                    services.push(service);
                    continue;
                }
                _ => continue,
            };
            let tested = match proven.tests {
                Tests::Here => was_tested(&own, one),
                Tests::Before => before.is_some(),
            };
            services.push(Service {
                target: target.clone(),
                revision: revision.clone(),
                url: url.clone(),
                basis: if tested {
                    Basis::Tested
                } else {
                    Basis::Continued
                },
                run: proven.author.run.clone(),
                at: proven.guard.clock.now(),
                configuration: proven.configuration.clone(),
            });
        }
        let (tests_of, evidence) = match before {
            Some(before) => {
                let tests_of = TestsOf {
                    run: before.run.0,
                    passed_at: before.passed_at,
                };
                (Some(tests_of), joined(before.evidence, own))
            }
            // Nothing of what was measured now is of what another run brought.
            None if promoted.is_empty() => (None, Vec::new()),
            None => (None, own),
        };
        Ok(Self {
            services,
            evidence,
            tests_of,
        })
    }

    /// The pass that is attached.
    pub(super) fn pass(&self, proven: &Proven<'_>) -> Pass {
        let Self {
            services,
            evidence,
            tests_of,
        } = self;
        let is_own = services.iter().any(|one| one.basis != Basis::Recorded);
        // Where this run brought nothing, the run that did so last speaks.
        let last = services.iter().max_by_key(|one| one.at);
        let (run, configuration, basis) = match last {
            Some(last) if !is_own => (&last.run, &last.configuration, Basis::Recorded),
            _ => {
                let least = services.iter().map(|one| one.basis).max();
                let least = least.unwrap_or(Basis::Tested);
                (&proven.author.run, &proven.configuration, least)
            }
        };
        let now = proven.guard.clock.now();
        let passed = last.map_or(now, |last| last.at);
        let started = if is_own {
            proven.started
        } else {
            services.iter().map(|one| one.at).min().unwrap_or(passed)
        };
        let Measured {
            gates,
            inconclusive,
            skipped,
        } = Measured::of(evidence);
        let release = proven.release;
        let name = proven.rule.environment;
        // What this job knows of its own run says nothing about an earlier one that brought it.
        let own = Some(&proven.author).filter(|_| is_own);
        let page = page_of(&proven.author, run);
        let record = DeliveryRecord {
            environment: name.to_string(),
            services: services.iter().map(ServiceRecord::from).collect(),
            image: release.image.to_string(),
            commit: release.commit.to_string(),
            version: release.version.as_ref().map(ToString::to_string),
            configuration: configuration.0.clone(),
            run: RunRecord {
                run: run.0.clone(),
                attempt: run.github().map_or(1, |(_, attempt)| attempt),
                url: page.clone(),
                repository: proven.author.repository.clone(),
                git_ref: own.and_then(|own| own.git_ref.clone()),
                identity: own.and_then(|own| own.identity.clone()),
            },
            approval: match own {
                Some(own) => own.approval.clone(),
                None => proven.author.approval.of_another(),
            },
            basis,
            tests_of: tests_of.clone(),
            started_at: started.to_string(),
            passed_at: passed.to_string(),
            gates,
            inconclusive,
            skipped,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Pass {
            image: release.image.clone(),
            environment: name.clone(),
            result: TestResult::of(name, configuration, page, evidence),
            record,
        }
    }
}

/// What the record of a service says of the revision that serves there.
async fn recorded(
    proven: &Proven<'_>,
    target: &Target,
    revision: &RevisionName,
    url: &str,
) -> Result<Service, Diagnostic> {
    let live = proven.cloud.read(target).await?;
    let state = live.map(|live| live.state);
    let entry = match &state {
        Some(StateSeen::Known(record)) => record
            .healthy_entry(revision)
            .filter(|entry| entry.digest == proven.release.image.digest),
        _ => None,
    };
    let Some(Healthy {
        revision,
        config,
        at,
        run,
        ..
    }) = entry
    else {
        return Err(Diagnostic::error(
            Code::EvidenceNotAttached,
            format!(
                "the record of {} does not say that it passed",
                place(target)
            ),
        ));
    };
    Ok(Service {
        target: target.clone(),
        revision: revision.clone(),
        url: url.to_owned(),
        basis: Basis::Recorded,
        run: run.clone(),
        at: *at,
        configuration: config.clone(),
    })
}

/// True when this run has tried anything there. Where an earlier run had tested it and died, the plan
/// only brings that to its end.
fn was_tested(evidence: &[Evidence], landed: &Landed) -> bool {
    let there = |one: &&Evidence| match &one.place {
        Some(place) => place == landed.region.as_str(),
        None => true,
    };
    let tried = |end: &CaseEnd| !matches!(end, CaseEnd::Skipped(_));
    let mut cases = evidence.iter().filter(there).flat_map(|one| &one.cases);
    cases.any(|case| tried(&case.end))
}

/// What was measured before, with what was measured again now.
fn joined(mut before: Vec<Evidence>, now: Vec<Evidence>) -> Vec<Evidence> {
    before.retain(|one| {
        let again = |now: &Evidence| now.gate == one.gate && now.place == one.place;
        !now.iter().any(again)
    });
    before.extend(now);
    before
}

impl From<&Service> for ServiceRecord {
    fn from(service: &Service) -> Self {
        let Service {
            target,
            revision,
            url,
            basis,
            run,
            at,
            configuration: _,
        } = service;
        Self {
            project: target.project.to_string(),
            region: target.region.to_string(),
            service: target.service.to_string(),
            revision: revision.to_string(),
            url: (!url.is_empty()).then(|| url.clone()),
            basis: *basis,
            run: run.0.clone(),
            passed_at: at.to_string(),
        }
    }
}

/// The page of a run on GitHub.
fn page_of(author: &Author, run: &RunRef) -> Option<String> {
    let (id, attempt) = run.github()?;
    let repository = author.repository_url.as_ref()?;
    Some(format!("{repository}/actions/runs/{id}/attempts/{attempt}"))
}
