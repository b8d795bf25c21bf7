//! The simulation bites: programs whose regions do not go together, and the seed that shows it.

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::outcome::Outcome;
use delivery::plan::Wanted;
use delivery::plan::recover::Asker;
use delivery::snapshot::StateSeen;
use delivery::state::Timestamp;
use delivery::target::Target;
use futures_util::future::{LocalBoxFuture, join_all};
use ml_deploy::deliver::regions::{Landed, Site, deliver_all};
use ml_deploy::deliver::{self, Cloud, Recovered, Seen, recover_all};
use ml_deploy::execute::{Guard, convoy};
use ml_deploy::gcp::run::Live;

use super::plays::seeded;
use crate::program::Program;

/// Seeds that each mutant is given.
const MOST_SEEDS: u64 = 400;

fn with_regions(sites: &[Site<'_>], wanted: &Wanted) -> Wanted {
    let mut wanted = wanted.clone();
    let regions = sites.iter().map(|site| site.target.region.clone());
    wanted.surroundings.regions = regions.collect();
    wanted
}

/// Each region is delivered by itself.
fn no_convoy<'a>(
    world: &'a deliver::World<'a>,
    sites: &'a [Site<'a>],
    wanted: &'a Wanted,
) -> LocalBoxFuture<'a, Vec<Landed>> {
    Box::pin(async move {
        let wanted = &with_regions(sites, wanted);
        let each = sites.iter().map(|site| async move {
            let site = std::slice::from_ref(site);
            deliver_all(world, site, wanted).await.remove(0)
        });
        join_all(each).await
    })
}

/// What a dead run has left uneven is not ended first.
fn no_evening_out<'a>(
    world: &'a deliver::World<'a>,
    sites: &'a [Site<'a>],
    wanted: &'a Wanted,
) -> LocalBoxFuture<'a, Vec<Landed>> {
    Box::pin(async move {
        let wanted = &with_regions(sites, wanted);
        let members = convoy(sites.iter().map(|site| site.target.region.as_str()));
        let each = sites.iter().zip(members).map(|(site, member)| async move {
            let guard = Guard {
                convoy: Some(member),
                ..world.guard.clone()
            };
            let world = deliver::World {
                verifier: site.verifier,
                guard: &guard,
                ..*world
            };
            let (outcome, told) = deliver::deliver(&world, site.target, wanted).await;
            Landed {
                region: site.target.region.clone(),
                outcome,
                told,
            }
        });
        join_all(each).await
    })
}

/// Only the first region is looked at.
fn one_is_recovered<'a>(
    world: &'a deliver::World<'a>,
    sites: &'a [Site<'a>],
    asker: &'a Asker,
) -> LocalBoxFuture<'a, Vec<Recovered>> {
    Box::pin(async move {
        let mut ends = recover_all(world, &sites[..1], asker).await;
        ends.resize(sites.len(), Recovered::Nothing);
        ends
    })
}

/// Each region is recovered by itself.
fn each_is_recovered<'a>(
    world: &'a deliver::World<'a>,
    sites: &'a [Site<'a>],
    asker: &'a Asker,
) -> LocalBoxFuture<'a, Vec<Recovered>> {
    Box::pin(async move {
        let each = sites
            .iter()
            .map(|site| recover_all(world, std::slice::from_ref(site), asker));
        join_all(each).await.concat()
    })
}

/// Sees no record that names other regions.
struct OneByOne<'a>(&'a dyn Cloud);

#[async_trait]
impl Cloud for OneByOne<'_> {
    async fn observe(
        &self,
        target: &Target,
        wanted: Option<&Wanted>,
        now: Timestamp,
    ) -> Result<Seen, Diagnostic> {
        let mut seen = self.0.observe(target, wanted, now).await?;
        if let Some(service) = &mut seen.snapshot.service
            && let StateSeen::Known(record) = &mut service.state
        {
            let healthy = record.healthy.iter_mut();
            healthy.for_each(|entry| entry.regions.clear());
            if let Some(intent) = &mut record.intent {
                intent.regions.clear();
            }
        }
        Ok(seen)
    }

    async fn read(&self, target: &Target) -> Result<Option<Live>, Diagnostic> {
        self.0.read(target).await
    }
}

/// Which way a rollout is ended is decided in each region alone.
fn way_of_each<'a>(
    world: &'a deliver::World<'a>,
    sites: &'a [Site<'a>],
    asker: &'a Asker,
) -> LocalBoxFuture<'a, Vec<Recovered>> {
    Box::pin(async move {
        let cloud = OneByOne(world.cloud);
        let world = deliver::World {
            cloud: &cloud,
            ..*world
        };
        recover_all(&world, sites, asker).await
    })
}

fn first_is_told(landed: &[Landed]) -> Outcome {
    landed[0].outcome.clone()
}

/// Each with the seed at which the search for its death begins: rare ones are not looked for from the start.
fn mutants() -> Vec<(&'static str, u64, Program)> {
    let real = Program::real();
    vec![
        (
            "convoy ignored",
            1,
            Program {
                deliver: no_convoy,
                ..real
            },
        ),
        (
            "a dead run's regions not evened out",
            361,
            Program {
                deliver: no_evening_out,
                ..real
            },
        ),
        (
            "one region recovered",
            1,
            Program {
                recover: one_is_recovered,
                ..real
            },
        ),
        (
            "each region recovered by itself",
            1,
            Program {
                recover: each_is_recovered,
                ..real
            },
        ),
        (
            "way decided in each region alone",
            431,
            Program {
                recover: way_of_each,
                ..real
            },
        ),
        (
            "end of the first region told",
            81,
            Program {
                together: first_is_told,
                ..real
            },
        ),
    ]
}

#[test]
fn each_mutant_of_the_regions_is_killed_by_a_seed() {
    let mut survivors = Vec::new();
    for (name, first, program) in mutants() {
        let killed = (first..first + MOST_SEEDS).find_map(|seed| {
            let violation = seeded(program, seed).violations.first()?.clone();
            // What the program itself does is no merit of the mutant's.
            let real = seeded(Program::real(), seed).violations;
            real.is_empty().then_some((seed, violation))
        });
        match killed {
            Some((seed, violation)) => println!(
                "{name} → seed {seed} → {:?}: {}",
                violation.invariant, violation.text
            ),
            None => survivors.push(name),
        }
    }
    assert!(
        survivors.is_empty(),
        "not killed within {MOST_SEEDS} seeds: {survivors:?}"
    );
}
