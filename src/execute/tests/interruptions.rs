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

#[tokio::test]
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

#[tokio::test]
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

#[tokio::test]
async fn a_write_under_way_is_let_end_before_the_way_back() {
    let slow = Fault::SendSlowly(Duration::from_millis(300));
    let mut cloud = FakeCloud::with(true, [Some(slow)]);
    let verifier = FakeVerifier::default();
    let (end, _) = cancel_after(Duration::from_millis(50), &mut cloud, &verifier).await;
    stopped(end);
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

#[tokio::test]
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

#[tokio::test]
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

#[tokio::test]
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

#[tokio::test]
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
