//! Signals and the deadline.

use super::*;

async fn cancel_after(
    time: Duration,
    cloud: &mut FakeCloud,
    verifier: &FakeVerifier,
) -> (ExecutionEnd, Duration) {
    let guard = guard();
    let token = guard.cancelled.clone();
    let timer = tokio::spawn(async move {
        tokio::time::sleep(time).await;
        token.cancel();
        Instant::now()
    });
    let end = execute(&promotion(), cloud, verifier, &EventList::default(), &guard).await;
    (end, timer.await.unwrap().elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_first_write_changes_nothing() {
    let mut cloud = FakeCloud::new(true);
    let guard = guard();
    guard.cancelled.cancel();
    let verifier = FakeVerifier::default();
    let end = execute(
        &promotion(),
        &mut cloud,
        &verifier,
        &EventList::default(),
        &guard,
    )
    .await;
    let stopped = stopped(end);
    assert_eq!(stopped.code, Code::Interrupted);
    assert_eq!(
        stopped.state.as_deref(),
        Some("traffic unchanged: api-v1 serves 100 %")
    );
    assert!(cloud.writes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_a_rollout_is_undone_at_once() {
    let mut cloud = FakeCloud::with(true, [Some(Fault::SettleNever)]);
    let verifier = FakeVerifier::default();
    let (end, took) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    let stopped = stopped(end);
    assert_eq!(stopped.code, Code::Interrupted);
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
    assert!(
        cloud.state().rejected.is_empty(),
        "the release is not to blame"
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_is_let_end_before_the_way_back() {
    let slow = Fault::SendSlowly(Duration::from_millis(300));
    let mut cloud = FakeCloud::with(true, [Some(slow)]);
    let verifier = FakeVerifier::default();
    let (end, _) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    stopped(end);
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_the_tests_is_undone() {
    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier {
        hangs: true,
        ..FakeVerifier::default()
    };
    let (end, _) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    let stopped = stopped(end);
    assert!(stopped.title.contains("`verify`"), "{}", stopped.title);
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_hangs_ends_within_seven_seconds_of_the_signal() {
    let mut cloud = FakeCloud::with(
        true,
        [
            Some(Fault::SendSlowly(Duration::from_secs(600))),
            Some(Fault::SettleNever),
        ],
    );
    let verifier = FakeVerifier::default();
    let (end, took) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    assert!(took < Duration::from_secs(7), "{took:?}");
    let stopped = stopped(end);
    assert!(
        stopped
            .state
            .as_deref()
            .unwrap()
            .contains("accepted the way back"),
        "{stopped:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_undoes_too() {
    let mut cloud = FakeCloud::with(true, [Some(Fault::SettleNever)]);
    let guard = Guard {
        deadline: Instant::now() + Duration::from_millis(50),
        ..guard()
    };
    let verifier = FakeVerifier::default();
    let end = execute(
        &promotion(),
        &mut cloud,
        &verifier,
        &EventList::default(),
        &guard,
    )
    .await;
    assert_eq!(stopped(end).code, Code::DeadlinePassed);
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_be_read_makes_the_way_back_fail() {
    let mut cloud = FakeCloud::with(true, [Some(Fault::SettleNever)]);
    cloud.reload_fails = true;
    let verifier = FakeVerifier::default();
    let (end, _) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    let ExecutionEnd::UndoFailed(diagnostics) = end else {
        panic!("{end:?}");
    };
    assert_eq!(diagnostics[0].code, Code::Interrupted);
    assert_eq!(diagnostics[1].code, Code::UndoFailed);
    assert!(diagnostics[1].cause[0].contains("the API is gone"));
}

fn lost() -> WriteError {
    WriteError::Unknown(Box::new(Diagnostic::error(Code::CloudFailed, "no answer")))
}

#[tokio::test(start_paused = true)]
async fn with_its_closing_record_accepted_a_rollout_is_over_whatever_comes() {
    let slow = || Fault::SendSlowly(Duration::from_millis(300));
    for fault in [slow(), Fault::SettleNever] {
        let mut cloud = FakeCloud::with(true, [None, None, Some(fault)]);
        let (end, _) = cancel_after(
            Duration::from_millis(50),
            &mut cloud,
            &FakeVerifier::default(),
        )
        .await;
        assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
        assert_eq!(cloud.writes, ["deploy", "traffic new", "record"]);
    }
    let refused = || Box::new(Diagnostic::error(Code::CloudFailed, "cannot follow"));
    let faults = [
        Fault::Settle(WriteError::Failed(refused())),
        Fault::Settle(lost()),
        Fault::Settle(WriteError::NotReady("stuck".to_owned())),
        Fault::SendAfter(lost()),
    ];
    for fault in faults {
        let mut cloud = FakeCloud::with(true, [None, None, Some(fault)]);
        let end = run(&promotion(), &mut cloud, &FakeVerifier::default()).await;
        assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
        assert_eq!(cloud.writes, ["deploy", "traffic new", "record"]);
        assert_eq!(cloud.traffic(), &all_to(NEW));
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_record_that_was_lost_on_the_way_leaves_a_rollout_to_be_undone() {
    let mut cloud = FakeCloud::with(true, [None, None, Some(Fault::Send(lost()))]);
    let end = run(&promotion(), &mut cloud, &FakeVerifier::default()).await;
    assert_eq!(stopped(end).code, Code::CloudFailed);
    assert_eq!(
        cloud.writes,
        ["deploy", "traffic new", "record", "traffic old"]
    );
}

/// Runs the promotion until its tests hang, lets somebody else end it, and cancels.
async fn ended_meanwhile(traffic: TrafficSplit, record: StateRecord) -> (FakeCloud, ExecutionEnd) {
    let mut cloud = FakeCloud::new(true);
    // The tests hang; what somebody else writes is seen by the way back.
    cloud.swapped_at_reload = Some((traffic, StateSeen::Known(record)));
    let verifier = FakeVerifier {
        hangs: true,
        ..FakeVerifier::default()
    };
    let (end, _) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    (cloud, end)
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_somebody_else_has_taken_is_not_taken_again() {
    let (cloud, end) = ended_meanwhile(all_to(OLD), StateRecord::default()).await;
    assert_eq!(stopped(end).code, Code::Interrupted);
    assert_eq!(cloud.writes, ["deploy"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_somebody_else_has_finished_is_not_taken_back() {
    let entry = record().healthy(Timestamp(9), RunRef("7/1".to_owned()), BroughtBy::Promotion);
    let finished = StateRecord::default().recorded_healthy(entry);
    let (cloud, end) = ended_meanwhile(all_to(NEW), finished.clone()).await;
    let stopped = stopped(end);
    assert_eq!(cloud.writes, ["deploy"]);
    assert_eq!(cloud.state(), finished);
    let state = stopped.state.unwrap();
    assert!(state.contains("recover"), "{state}");
    assert!(state.contains("api-v2 serves 100 %"), "{state}");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_is_restored_is_restored_in_one_write_and_again_when_the_answer_is_lost() {
    let plan = Plan {
        steps: vec![Step {
            action: Action::Restore {
                traffic: Some(all_to(OLD)),
                state: StateRecord::default(),
                access: None,
            },
            because: "it is a test".to_owned(),
            undo: Undo::Restore {
                traffic: all_to(OLD),
                state: StateRecord::default(),
                rejects: None,
                access: None,
            },
        }],
        run: RunRef("8/1".to_owned()),
        ..promotion()
    };
    let unfinished = |faults: Vec<Option<Fault>>| {
        let mut cloud = FakeCloud::with(true, faults);
        let traffic = all_to(OLD).with_tag(tag(), Destination::Revision(revision(NEW)));
        cloud.put(traffic, StateSeen::Known(under_way()));
        cloud
    };
    let mut cloud = unfinished(Vec::new());
    let end = run(&plan, &mut cloud, &FakeVerifier::default()).await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
    assert_eq!(cloud.writes, ["traffic old"]);
    assert_eq!(cloud.state().intent, None);

    let lost = || {
        Some(Fault::Send(WriteError::Unknown(Box::new(
            Diagnostic::error(Code::CloudFailed, "no answer"),
        ))))
    };
    let mut cloud = unfinished(vec![lost()]);
    let end = run(&plan, &mut cloud, &FakeVerifier::default()).await;
    assert_eq!(stopped(end).code, Code::CloudFailed);
    assert_eq!(cloud.writes, ["traffic old", "traffic old"]);
    assert_eq!(cloud.state().intent, None);

    let mut cloud = unfinished((0..9).map(|_| lost()).collect());
    let end = run(&plan, &mut cloud, &FakeVerifier::default()).await;
    let ExecutionEnd::UndoFailed(problems) = end else {
        panic!("{end:?}")
    };
    assert_eq!(problems[0].code, Code::CloudFailed, "the first comes first");
    assert_eq!(problems[1].code, Code::UndoFailed);
}

/// No etag refuses a request to create a service that is not there, whenever it arrives: the run cannot
/// say that nothing of it is left.
#[tokio::test(start_paused = true)]
async fn a_request_to_create_that_may_still_arrive_leaves_the_rollout_open() {
    let lost = || Some(Fault::Send(WriteError::Unknown(problem())));
    let mut cloud = FakeCloud::with(false, [lost()]);
    let end = run(&first_deploy(), &mut cloud, &FakeVerifier::default()).await;
    let ExecutionEnd::LeftOpen(problems) = end else {
        panic!("{end:?}");
    };
    assert_eq!(cloud.writes, ["create closed"]);
    assert_eq!(
        problems[0].state.as_deref(),
        Some(
            "the service does not exist; if the request to create it arrives yet, it stands closed to all \
             but callers with an ID token, and the next run goes on from it"
        )
    );
    // A request that was refused does not arrive.
    let mut cloud = FakeCloud::with(false, [Some(Fault::Send(WriteError::Failed(problem())))]);
    let stopped = stopped(run(&first_deploy(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(
        stopped.state.as_deref(),
        Some("nothing was changed: the service does not exist")
    );
}
