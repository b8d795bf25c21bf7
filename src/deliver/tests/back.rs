//! The way back of a run that may not go on after a stranger's write.

use super::*;

const REGION: &str = REGIONS[0];

/// Delivers to one region, where the second look finds a reason against it.
async fn deliver_once(memory: &Memory, guard: &Guard) -> (Outcome, Told) {
    let sink = EventList::default();
    let world = World {
        cloud: memory,
        planner: no_second_plan,
        verifier: &Tests(true),
        sink: &sink,
        guard,
    };
    deliver(&world, &target(REGION), &promote(2)).await
}

/// The first release, and what happens to a write of the second one.
async fn with_fault(write: usize, fault: Fault) -> Memory {
    let memory = Memory::default();
    first_release(&memory).await;
    memory.fault(REGION, write, fault);
    memory
}

#[tokio::test]
async fn a_write_that_was_accepted_and_overtaken_is_taken_back() {
    for write in 1..=2 {
        let memory = with_fault(write, Fault::Overtaken).await;
        let before = memory.seen(REGION);
        // Everything was given, and has passed: it is finished. Before, it is taken back.
        let (outcome, told) = deliver_once(&memory, &guard()).await;
        let (_, record) = memory.seen(REGION).unwrap();
        assert_eq!(record.intent, None, "write {write}: {outcome:?}");
        assert!(!told.left_open);
        if write == 1 {
            assert_eq!(outcome.diagnostics()[0].code, Code::ServiceBusy);
            assert_eq!(memory.seen(REGION), before);
        } else {
            assert!(matches!(outcome, Outcome::Promoted { .. }), "{outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_hurries_a_way_back_that_is_under_way() {
    // The candidate, the traffic that meets a stranger, the way back of which nothing is heard.
    let memory = with_fault(2, Fault::Stranger).await;
    memory
        .lock()
        .get_mut(REGION)
        .unwrap()
        .faults
        .insert(3, Fault::Hangs);
    let guard = Guard {
        deadline: Instant::now() + Duration::from_secs(3_600),
        ..guard()
    };
    let begun = Instant::now();
    let signal = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        guard.cancelled.cancel();
    };
    let ((outcome, told), ()) = tokio::join!(deliver_once(&memory, &guard), signal);
    let took = begun.elapsed().saturating_sub(Duration::from_secs(10));
    assert!(took < Duration::from_secs(7), "{took:?}");
    // The next write, which was due after the grace, went through.
    assert_eq!(outcome.diagnostics()[0].code, Code::ServiceBusy);
    assert_eq!(memory.seen(REGION).unwrap().1.intent, None);
    assert!(!told.left_open);

    let memory = with_fault(2, Fault::Stranger).await;
    for write in 3..9 {
        let mut all = memory.lock();
        let faults = &mut all.get_mut(REGION).unwrap().faults;
        faults.insert(write, Fault::Hangs);
    }
    let guard = self::guard();
    let begun = Instant::now();
    let signal = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        guard.cancelled.cancel();
    };
    let ((outcome, told), ()) = tokio::join!(deliver_once(&memory, &guard), signal);
    let took = begun.elapsed().saturating_sub(Duration::from_secs(10));
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert!(matches!(outcome, Outcome::RollbackFailed(_)), "{outcome:?}");
    assert!(told.left_open);
}

#[tokio::test]
async fn what_another_run_has_left_is_not_this_runs_to_end() {
    let memory = with_fault(2, Fault::Usurped).await;
    let (outcome, told) = deliver_once(&memory, &guard()).await;
    assert!(matches!(outcome, Outcome::Stopped(_)), "{outcome:?}");
    let intent = memory.seen(REGION).unwrap().1.intent;
    let intent = intent.expect("the other run's rollout was ended");
    assert_eq!(intent.run, RunRef("9/1".to_owned()));
    assert!(!told.left_open);
}

#[tokio::test]
async fn a_run_that_may_not_go_on_after_a_strangers_write_takes_back_what_it_began() {
    // The candidate stands; the traffic is met by a stranger.
    let memory = Memory::default();
    first_release(&memory).await;
    let before = REGIONS.map(|region| memory.seen(region));
    memory.fault(REGIONS[1], 2, Fault::Stranger);
    let landed = deliver_planned(&memory, &promote(2), [true; 2], no_second_plan).await;
    let outcome = together(&landed);
    assert_eq!(outcome.diagnostics()[0].code, Code::ServiceBusy);
    let state = outcome.diagnostics()[0].state.clone().unwrap();
    assert!(state.contains("taken back"), "{state}");
    assert_eq!(REGIONS.map(|region| memory.seen(region)), before);
}
