//! The way back beside a stranger's traffic, which stays.

use super::*;

/// The promotion opens the service with its last traffic; its undo closes it again.
fn opening() -> Plan {
    let mut plan = promotion();
    for step in &mut plan.steps {
        if let Action::ShiftTraffic { access, .. } = &mut step.action {
            *access = Some(Access::Public);
        }
        if let Undo::Restore { access, .. } = &mut step.undo {
            *access = Some(Access::Private);
        }
    }
    plan
}

/// Another tool moves the traffic while the service is to be confirmed, and the run is cancelled.
async fn beside_a_stranger(faults: Vec<Option<Fault>>) -> (FakeCloud, ExecutionEnd) {
    let mut cloud = FakeCloud::with(true, faults);
    let mut record = under_way();
    if let Some(intent) = &mut record.intent {
        intent.undo = Some(all_to(OLD));
    }
    cloud.swapped_at_reload = Some((all_to("api-foreign"), StateSeen::Known(record)));
    let verifier = FakeVerifier {
        hangs: true,
        ..FakeVerifier::default()
    };
    let guard = guard();
    let token = guard.cancelled.clone();
    let plan = opening();
    let sink = EventList::default();
    let running = execute(&plan, &mut cloud, &verifier, &sink, &guard);
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        token.cancel();
    };
    let (end, ()) = tokio::join!(running, cancel);
    (cloud, end)
}

#[tokio::test(start_paused = true)]
async fn the_intent_goes_the_traffic_stays_and_who_may_call_is_as_before() {
    let (cloud, end) = beside_a_stranger(Vec::new()).await;
    let stopped = stopped(end);
    assert!(stopped.state.unwrap().contains("somebody else"));
    assert_eq!(cloud.writes, ["deploy", "traffic new closed"]);
    assert_eq!(cloud.traffic(), &all_to("api-foreign"));
    assert_eq!(cloud.state().intent, None);
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_could_not_be_taken_out_is_told() {
    let conflicts = (0..9).map(|_| Some(Fault::Send(WriteError::Conflict)));
    let refused = vec![None, Some(Fault::Send(no_answer()))];
    for faults in [std::iter::once(None).chain(conflicts).collect(), refused] {
        let (cloud, end) = beside_a_stranger(faults).await;
        let ExecutionEnd::LeftOpen(problems) = end else {
            panic!("{end:?}");
        };
        assert_eq!(problems[0].code, Code::Interrupted);
        assert!(cloud.state().intent.is_some());
    }
}

fn no_answer() -> WriteError {
    let problem = Diagnostic::error(Code::CloudFailed, "no answer");
    WriteError::Unknown(Box::new(problem))
}

/// verify, shift-traffic with the record as it is to stay, confirm: what moves back leaves no intent.
fn rollback() -> Plan {
    let mut plan = promotion();
    let last = plan.steps.pop();
    let Some(Action::Record { state: end }) = last.map(|step| step.action) else {
        panic!("the promotion ends with its record");
    };
    plan.steps.remove(0);
    plan.steps.remove(0);
    for step in &mut plan.steps {
        if let Action::ShiftTraffic { state, .. } = &mut step.action {
            state.clone_from(&end);
        }
    }
    plan
}

/// The traffic is shifted, and before that is seen somebody has written.
async fn overtaken(verifier: &FakeVerifier, by: Option<TrafficSplit>) -> (FakeCloud, ExecutionEnd) {
    let mut cloud = FakeCloud::with(true, [Some(Fault::Settle(WriteError::Conflict))]);
    let plan = rollback();
    let Action::ShiftTraffic { state, .. } = &plan.steps[0].action else {
        panic!("{plan:?}");
    };
    cloud.swapped_at_reload = by.map(|split| (split, StateSeen::Known(state.clone())));
    let end = run(&plan, &mut cloud, verifier).await;
    (cloud, end)
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_a_label_overtakes_goes_on_and_back_if_it_is_not_confirmed() {
    let (cloud, end) = overtaken(&FakeVerifier::default(), None).await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
    assert_eq!(cloud.writes, ["traffic new"]);

    let verifier = FakeVerifier::default();
    let others = (0..999).map(|_| Some("another commit".to_owned()));
    verifier.commits.lock().unwrap().extend(others);
    let (cloud, end) = overtaken(&verifier, None).await;
    assert_eq!(stopped(end).code, Code::NotConfirmed);
    assert_eq!(cloud.writes, ["traffic new", "traffic old"]);
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_other_traffic_overtakes_is_planned_anew() {
    let (cloud, end) = overtaken(&FakeVerifier::default(), Some(all_to("api-foreign"))).await;
    assert!(
        matches!(end, ExecutionEnd::Conflict { began: false }),
        "{end:?}"
    );
    assert_eq!(cloud.writes, ["traffic new"]);
}

/// The record is written, and the next run begins before that is seen: the release has come through.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_recorded_is_done_also_where_the_next_run_has_begun() {
    let plan = promotion();
    let Some(Action::Record { state: end }) = plan.steps.last().map(|step| &step.action) else {
        panic!("{plan:?}");
    };
    let next = OpenIntent {
        run: RunRef("8/1".to_owned()),
        undo: Some(all_to(NEW)),
        ..under_way().intent.unwrap()
    };
    let with_next = StateSeen::Known(end.clone().with_intent(next));
    for (split, is_done) in [(all_to(NEW), true), (all_to(OLD), false)] {
        let faults = [None, None, Some(Fault::Settle(WriteError::Conflict))];
        let mut cloud = FakeCloud::with(true, faults);
        cloud.swapped_at_reload = Some((split, with_next.clone()));
        let end = run(&plan, &mut cloud, &FakeVerifier::default()).await;
        assert_eq!(matches!(end, ExecutionEnd::Done { .. }), is_done, "{end:?}");
    }
}
