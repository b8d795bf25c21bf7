//! What a run over two regions leaves when it is killed, and who ends it.

use delivery::plan::recover::{Asker, Despite, Way};
use delivery::plan::{plan_from_verified, plan_to_verified};

use super::*;

/// Seconds after which no lease of the stories holds any more.
const LATER: i64 = 100_000;

/// A clock that stands.
#[derive(Debug)]
struct At(i64);

impl crate::execute::Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

fn guard_at(seconds: i64) -> Guard {
    Guard {
        clock: Arc::new(At(seconds)),
        ..guard()
    }
}

/// Both regions, with what stands between the run and them.
struct Scene {
    memory: Memory,
    targets: [Target; 2],
    tests: [Tests; 2],
}

impl Scene {
    async fn settled() -> Self {
        let scene = Self {
            memory: Memory::default(),
            targets: REGIONS.map(target),
            tests: [Tests(true), Tests(true)],
        };
        let landed = scene.deliver(&promote(1), 0).await;
        assert!(matches!(together(&landed), Outcome::Promoted { .. }));
        scene
    }

    fn sites(&self) -> Vec<Site<'_>> {
        let all = self.targets.iter().zip(&self.tests);
        all.map(|(target, verifier)| Site { target, verifier })
            .collect()
    }

    async fn deliver(&self, wanted: &Wanted, now: i64) -> Vec<Landed> {
        let (guard, sink) = (guard_at(now), EventList::default());
        let world = self.world(&guard, &sink);
        deliver_all(&world, &self.sites(), wanted).await
    }

    /// Kills the run at a write; false where it ended before.
    async fn killed(&self, wanted: &Wanted, at: (usize, bool)) -> bool {
        let died = self.memory.kill(Some(at));
        let died = tokio::select! {
            biased;
            () = died.notified() => true,
            _ = self.deliver(wanted, 0) => false,
        };
        self.memory.kill(None);
        died
    }

    async fn recover(&self, asker: &Asker, now: i64) -> Vec<Recovered> {
        let (guard, sink) = (guard_at(now), EventList::default());
        let world = self.world(&guard, &sink);
        recover_all(&world, &self.sites(), asker).await
    }

    fn world<'w>(&'w self, guard: &'w Guard, sink: &'w EventList) -> World<'w> {
        World {
            cloud: &self.memory,
            planner: plan,
            verifier: &self.tests[0],
            sink,
            guard,
        }
    }

    /// The first region in which this version serves, whatever is open.
    fn index_that_serves(&self, minor: u64) -> usize {
        let serves_there = |region: &&str| {
            let (traffic, record) = self.memory.seen(region).unwrap();
            let version = |one: &delivery::state::Healthy| {
                one.version.as_ref().unwrap().minor == minor
                    && traffic.percent_of(&one.revision) == 100
            };
            record.healthy.iter().any(version)
        };
        REGIONS.iter().position(serves_there).unwrap()
    }

    /// The version that serves in each region, with nothing open.
    fn versions(&self) -> [u64; 2] {
        REGIONS.map(|region| {
            let (traffic, record) = self.memory.seen(region).unwrap();
            assert_eq!(record.intent, None, "{region}");
            let newest = &record.healthy[0];
            assert_eq!(traffic.percent_of(&newest.revision), 100, "{record:#?}");
            newest.version.as_ref().unwrap().minor
        })
    }
}

fn asker(run: &str) -> Asker {
    Asker {
        run: RunRef(run.to_owned()),
        despite: Despite::Nobody,
    }
}

/// A run again, or another one.
fn by(mut wanted: Wanted, run: &str, attempt: u32) -> Wanted {
    wanted.run = RunRef(run.to_owned());
    wanted.run_attempt = attempt;
    wanted
}

#[tokio::test(start_paused = true)]
async fn killed_at_each_write_both_regions_end_in_the_same_release() {
    let mut ends = [0, 0];
    for write in 1.. {
        let mut is_over = true;
        for takes_effect in [false, true] {
            for (run, now) in [("102/1", 0), ("7/1", LATER)] {
                let scene = Scene::settled().await;
                if !scene.killed(&promote(2), (write, takes_effect)).await {
                    continue;
                }
                is_over = false;
                let all = scene.recover(&asker(run), now).await;
                let [first, second] = scene.versions();
                assert_eq!(first, second, "write {write} {takes_effect}: {all:#?}");
                ends[usize::from(first == 2)] += 1;
                let failed =
                    |end: &Recovered| matches!(end, Recovered::Failed(_) | Recovered::Stopped(_));
                assert!(!all.iter().any(failed), "{all:#?}");
                let again = scene.recover(&asker(run), now).await;
                assert_eq!(again, [Recovered::Nothing, Recovered::Nothing]);
            }
        }
        if is_over {
            assert_eq!(write, 7, "candidate, traffic and record in two regions");
            break;
        }
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn killed_at_each_write_the_next_run_ends_in_one_release_whatever_it_comes_to() {
    for write in 1..=6 {
        for takes_effect in [false, true] {
            for passes in [[true, true], [true, false], [false, true]] {
                let mut scene = Scene::settled().await;
                assert!(scene.killed(&promote(2), (write, takes_effect)).await);
                scene.tests = passes.map(Tests);
                let landed = scene.deliver(&by(promote(3), "900/1", 1), LATER).await;
                let [first, second] = scene.versions();
                assert_eq!(first, second, "write {write} {takes_effect}: {landed:#?}");
                assert_eq!(first == 3, passes == [true, true], "{landed:#?}");
            }
            // The same run again.
            let scene = Scene::settled().await;
            assert!(scene.killed(&promote(2), (write, takes_effect)).await);
            let landed = scene.deliver(&by(promote(2), "102/2", 2), 1).await;
            assert_eq!(scene.versions(), [2, 2], "{landed:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_region_that_cannot_be_finished_takes_back_what_was_finished_in_the_other() {
    // Everything was given in both, and the first has its record.
    for refused in [REGIONS[0], REGIONS[1]] {
        for takes_effect in [false, true] {
            let scene = Scene::settled().await;
            assert!(scene.killed(&promote(2), (5, takes_effect)).await);
            scene.memory.fault(refused, 1, Fault::Refused);
            let all = scene.recover(&asker("102/1"), 0).await;
            let [first, second] = scene.versions();
            assert_eq!(first, second, "{refused} {takes_effect}: {all:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_brought_together_is_told_as_it_is() {
    // The second region refuses everything from now on.
    let scene = Scene::settled().await;
    assert!(scene.killed(&promote(2), (5, true)).await);
    {
        let mut all = scene.memory.lock();
        for service in all.values_mut() {
            service.writes.clear();
            service.faults.clear();
        }
        let open = all.values_mut().find(|service| {
            matches!(service.live.as_ref().map(|live| &live.state),
                Some(StateSeen::Known(record)) if record.intent.is_some())
        });
        let faults = (1..40).map(|write| (write, Fault::Refused));
        open.unwrap().faults = faults.collect();
    }
    let all = scene.recover(&asker("102/1"), 0).await;
    let failed = all.iter().find_map(|end| match end {
        Recovered::Failed(problems) => Some(problems),
        _ => None,
    });
    assert!(failed.is_some(), "{all:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_killed_between_the_regions_is_told_with_what_serves_where() {
    let scene = Scene::settled().await;
    scene.deliver(&promote(2), 0).await;
    let back = Intent::Rollback {
        to: RollbackTo::Previous,
    };
    let back = wanted(back, 200);
    assert!(scene.killed(&back, (1, true)).await);
    let all = scene.recover(&asker("200/1"), 0).await;
    let told = all.iter().find_map(|end| match end {
        Recovered::Failed(problems) => Some(problems[0].clone()),
        _ => None,
    });
    let told = told.unwrap_or_else(|| {
        panic!(
            "{all:#?} {:#?}",
            REGIONS.map(|region| scene.memory.seen(region))
        )
    });
    assert_eq!(told.code, Code::RegionsApart);
    let state = told.state.unwrap();
    assert!(
        REGIONS.iter().all(|region| state.contains(region)),
        "{state}"
    );
    // The same rollback again comes through.
    let landed = scene.deliver(&by(back, "200/2", 2), 1).await;
    assert_eq!(scene.versions(), [1, 1], "{landed:#?}");
}

#[tokio::test(start_paused = true)]
async fn previous_leads_no_further_where_a_dead_run_is_ahead_in_one_region() {
    // Killed between the regions' traffic, or taken back in one of them only.
    for is_taken_back in [false, true] {
        let scene = Scene::settled().await;
        scene.deliver(&promote(2), 0).await;
        assert!(scene.killed(&promote(3), (3, true)).await);
        let behind = scene.index_that_serves(2);
        if is_taken_back {
            let (guard, sink) = (guard_at(0), EventList::default());
            let world = scene.world(&guard, &sink);
            // As the tool does that looks at this region alone.
            let site = &scene.sites()[behind..=behind];
            let ends = recover_all(&world, site, &asker("103/1")).await;
            assert!(matches!(ends[0], Recovered::Ended { .. }), "{ends:#?}");
        }
        let back = |to, run| wanted(Intent::Rollback { to }, run);
        let landed = scene.deliver(&back(RollbackTo::Previous, 200), LATER).await;
        assert_eq!(scene.versions(), [2, 2], "{landed:#?}");
        let outcome = together(&landed);
        let Outcome::Recovered { state } = &outcome else {
            panic!("{outcome:#?}");
        };
        let is_told = REGIONS.iter().all(|region| state.contains(region));
        assert!(is_told, "{state}");
        // Once more, and it leads further: in both to the same.
        let landed = scene.deliver(&back(RollbackTo::Previous, 201), LATER).await;
        assert_eq!(scene.versions(), [1, 1], "{landed:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_name_waits_for_no_dead_run() {
    for (write, takes_effect) in [(3, true), (5, true)] {
        let scene = Scene::settled().await;
        scene.deliver(&promote(2), 0).await;
        assert!(scene.killed(&promote(3), (write, takes_effect)).await);
        let to = RollbackTo::Version(semver::Version::new(1, 1, 0));
        let writes = |scene: &Scene| {
            let all = scene.memory.lock();
            REGIONS.map(|region| all[region].writes.len())
        };
        let before = writes(&scene);
        let landed = scene
            .deliver(&wanted(Intent::Rollback { to }, 200), LATER)
            .await;
        assert_eq!(scene.versions(), [1, 1], "{landed:#?}");
        let after = writes(&scene);
        for (before, after) in before.into_iter().zip(after) {
            assert!(after - before <= 2, "tag and traffic: {before}, {after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_run_that_cannot_be_ended_is_left_to_the_post_step() {
    let scene = Scene::settled().await;
    assert!(scene.killed(&promote(2), (5, true)).await);
    for service in scene.memory.lock().values_mut() {
        service.writes.clear();
        service.faults = (1..40).map(|write| (write, Fault::Refused)).collect();
    }
    let landed = scene.deliver(&by(promote(2), "102/2", 2), 1).await;
    assert!(!together(&landed).diagnostics().is_empty(), "{landed:#?}");
    assert!(landed.iter().any(|one| one.told.left_open), "{landed:#?}");
}

#[tokio::test(start_paused = true)]
async fn two_regions_go_one_way_when_one_of_them_goes_back_in_the_run_itself() {
    // The record of the second region meets a stranger, and the run may not plan again.
    let memory = Memory::default();
    first_release(&memory).await;
    let before = REGIONS.map(|region| memory.seen(region));
    memory.fault(REGIONS[1], 3, Fault::Stranger);
    let landed = deliver_planned(&memory, &promote(2), [true; 2], no_second_plan).await;
    let versions = REGIONS.map(|region| memory.seen(region).unwrap().1.healthy.len());
    assert_eq!(versions, [1, 1], "{landed:#?}");
    assert_eq!(REGIONS.map(|region| memory.seen(region)), before);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_promotion_in_one_region_alone_is_promoted() {
    let memory = Memory::default();
    first_release(&memory).await;
    // One region has the release already.
    {
        let (target, tests) = (target(REGIONS[0]), Tests(true));
        let (guard, sink) = (guard(), EventList::default());
        let world = World {
            cloud: &memory,
            planner: plan,
            verifier: &tests,
            sink: &sink,
            guard: &guard,
        };
        let (ahead, _) = deliver(&world, &target, &by(promote(2), "90/1", 1)).await;
        assert!(matches!(ahead, Outcome::Promoted { .. }), "{ahead:#?}");
    }
    let (first, second) = (plan_to_verified, plan_from_verified);
    let landed = deliver_planned(&memory, &promote(2), [true; 2], first).await;
    let outcome = together(&landed);
    assert!(matches!(outcome, Outcome::Waiting { .. }), "{outcome:#?}");
    let landed = deliver_planned(&memory, &promote(2), [true; 2], second).await;
    let outcome = together(&landed);
    assert!(matches!(outcome, Outcome::Promoted { .. }), "{outcome:#?}");
    for region in REGIONS {
        let (traffic, record) = memory.seen(region).unwrap();
        assert_eq!((record.healthy.len(), record.intent), (2, None));
        assert_eq!(traffic.percent_of(&record.healthy[0].revision), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_region_had_recorded_is_taken_back_when_the_other_fails_after_it() {
    // Each region's record meets a stranger: in one it stands already, and that region finds itself up to
    // date; the other one has to plan again, and may not.
    for (recorded, failed) in [(1, 0), (0, 1)] {
        let memory = Memory::default();
        first_release(&memory).await;
        let before = REGIONS.map(|region| memory.seen(region));
        memory.fault(REGIONS[recorded], 3, Fault::Followed);
        memory.fault(REGIONS[failed], 3, Fault::Stranger);
        let landed = deliver_planned(&memory, &promote(2), [true; 2], no_second_plan).await;
        assert_eq!(
            REGIONS.map(|region| memory.seen(region)),
            before,
            "{landed:#?}"
        );
        let outcome = together(&landed);
        let codes: Vec<Code> = outcome.diagnostics().iter().map(|one| one.code).collect();
        assert_eq!(
            codes,
            [Code::ServiceBusy, Code::RegionFailed],
            "{outcome:#?}"
        );
        let state = outcome.diagnostics()[1].state.clone().unwrap();
        let serves = "api-v1-1-0-f6f20c serves 100 %";
        assert!(state.contains(serves), "{outcome:#?}");
        assert!(!landed.iter().any(|one| one.told.left_open), "{landed:#?}");
    }
}

fn public(mut wanted: Wanted) -> Wanted {
    if let Intent::Promote { spec, .. } = &mut wanted.intent {
        spec.access = Access::Public;
    }
    wanted
}

/// The service is opened in one region, and the run dies before it is in the other: the next release would
/// return to that in the one, and to nothing in the other.
#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_was_opened_in_one_region_alone_is_ended_before_the_next_release() {
    // Two regions are created, then each is opened.
    for at in [(4, false), (3, true)] {
        let scene = Scene {
            memory: Memory::default(),
            targets: REGIONS.map(target),
            tests: [Tests(true), Tests(true)],
        };
        assert!(scene.killed(&public(promote(1)), at).await);
        let passed = REGIONS.map(|region| {
            let (_, record) = scene.memory.seen(region).unwrap();
            record.intent.unwrap().passed.is_some()
        });
        assert_ne!(passed[0], passed[1], "{at:?}");
        let bad = Scene {
            tests: [Tests(true), Tests(false)],
            ..scene
        };
        let next = by(public(promote(2)), "99/1", 1);
        let landed = bad.deliver(&next, LATER).await;
        let outcome = together(&landed);
        assert!(matches!(outcome, Outcome::Stopped(_)), "{outcome:#?}");
        for region in REGIONS {
            let all = bad.memory.lock();
            let live = all[region].live.as_ref().unwrap();
            assert!(!live.invoker_check_off, "{region} is open: {outcome:#?}");
        }
    }
}

/// The record of a release that was to be finished is refused in both regions: both go back, and there is
/// nothing to look for again.
#[tokio::test(start_paused = true)]
async fn what_goes_back_everywhere_instead_of_forward_is_ended_at_once() {
    let scene = Scene::settled().await;
    // Each region has the candidate, then all its traffic; the first record is not written.
    assert!(scene.killed(&promote(2), (5, false)).await);
    for region in REGIONS {
        scene.memory.fault(region, 1, Fault::Refused);
    }
    let (guard, sink) = (guard_at(0), EventList::default());
    let world = scene.world(&guard, &sink);
    let ends = recover_all(&world, &scene.sites(), &asker("102/1")).await;
    let is_back = |end: &Recovered| matches!(end, Recovered::Ended { way: Way::Back, .. });
    assert!(ends.iter().all(is_back), "{ends:#?}");
    assert_eq!(scene.versions(), [1, 1]);
    let events = sink.0.lock().unwrap();
    let again =
        |event: &Event| matches!(event, Event::Note(text) if text.contains("looking again"));
    assert!(!events.iter().any(again), "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_is_taken_back_is_not_said_to_serve() {
    let scene = Scene {
        memory: Memory::default(),
        targets: REGIONS.map(target),
        tests: [Tests(true), Tests(true)],
    };
    assert!(scene.killed(&promote(1), (3, false)).await);
    for end in scene.recover(&asker("101/1"), 0).await {
        let Recovered::Ended { state, way, .. } = end else {
            panic!("{end:#?}");
        };
        assert_eq!(way, Way::Back);
        let closed =
            "nothing tested serves: the service is closed to all but callers with an ID token (";
        assert!(state.starts_with(closed), "{state}");
    }
}
