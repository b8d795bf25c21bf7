//! Good endings, and a fault at each step.

use super::*;

fn not_ready() -> WriteError {
    WriteError::NotReady(
        "The user-provided container failed to start and listen on the port".to_owned(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_promotion_goes_through_and_tells_what_each_step_brought() {
    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier::default();
    let events = EventList::default();
    let end = execute(&promotion(), &mut cloud, &verifier, &events, &guard()).await;
    let ExecutionEnd::Done {
        url,
        tag_url,
        evidence,
    } = end
    else {
        panic!("{end:?}");
    };
    assert_eq!(url, "http://api");
    assert_eq!(tag_url.as_deref(), Some("http://c-1---api"));
    assert_eq!(evidence.len(), 1);
    assert_eq!(cloud.writes, ["deploy", "traffic new", "record"]);
    assert_eq!(
        *verifier.asked.lock().unwrap(),
        ["http://c-1---api for http://api, beside http://api"]
    );
    assert_eq!(cloud.state().healthy[0].revision, revision(NEW));
    let results: Vec<String> = events
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::StepFinished { id, result, .. } => Some(format!("{id}: {result}")),
            _ => None,
        })
        .collect();
    assert_eq!(
        results,
        [
            "deploy-candidate: `api-v2` is ready at http://c-1---api",
            "verify: 1 of 1 cases passed at http://c-1---api",
            "shift-traffic: api-v2 serves 100 %",
            "confirm: 3 answers in a row from commit ccccccc at http://api",
            "record: `api-v2` is recorded healthy",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_is_created_closed_and_opened_last() {
    let mut cloud = FakeCloud::new(false);
    let end = run(&first_deploy(), &mut cloud, &FakeVerifier::default()).await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
    assert_eq!(cloud.writes, ["create closed", "traffic new open"]);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_does_not_start_is_undone_with_text_logs_and_state() {
    let mut cloud = FakeCloud::with(true, [Some(Fault::Settle(not_ready()))]);
    let stopped = stopped(run(&promotion(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(stopped.code, Code::CandidateNotReady);
    assert_eq!(
        stopped.at.as_deref(),
        Some("step 1/5 deploy-candidate · test · us-central1/api")
    );
    assert!(stopped.cause[0].contains("failed to start and listen"));
    assert!(
        stopped.help[0].contains("0.0.0.0:$PORT"),
        "{:?}",
        stopped.help
    );
    assert_eq!(stopped.logs, ["Traceback: boom"]);
    assert_eq!(
        stopped.state.as_deref(),
        Some("what served before serves: api-v1 serves 100 %")
    );
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
    assert_eq!(cloud.traffic(), &all_to(OLD));
    assert_eq!(cloud.state().rejected[0].revision, revision(NEW));
    assert_eq!(cloud.state().intent, None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_first_write_undoes_nothing() {
    let mut cloud = FakeCloud::with(true, [Some(Fault::Send(WriteError::Failed(problem())))]);
    let stopped = stopped(run(&promotion(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(stopped.code, Code::CloudFailed);
    assert_eq!(
        stopped.state.as_deref(),
        Some("traffic unchanged: api-v1 serves 100 %")
    );
    assert_eq!(cloud.writes, ["deploy"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_unknown_outcome_is_undone() {
    let fault = Fault::SendAfter(WriteError::Unknown(problem()));
    let mut cloud = FakeCloud::with(true, [Some(fault)]);
    stopped(run(&promotion(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
    assert!(
        cloud.state().rejected.is_empty(),
        "the release is not to blame"
    );
}

#[tokio::test(start_paused = true)]
async fn failing_tests_promote_nothing() {
    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier {
        end: CaseEnd::Failed(vec!["status: expected 200, got 500".to_owned()]),
        ..FakeVerifier::default()
    };
    let stopped = stopped(run(&promotion(), &mut cloud, &verifier).await);
    assert_eq!(stopped.code, Code::TestsFailed);
    assert_eq!(
        stopped.cause,
        ["api-tests/predict: status: expected 200, got 500"]
    );
    assert_eq!(cloud.writes, ["deploy", "traffic old"]);
    assert!(cloud.state().rejected[0].reason.contains("got 500"));
}

#[tokio::test(start_paused = true)]
async fn undecided_tests_promote_nothing_and_blame_nobody() {
    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier {
        end: CaseEnd::Undecided("no answer".to_owned()),
        ..FakeVerifier::default()
    };
    let stopped = stopped(run(&promotion(), &mut cloud, &verifier).await);
    assert_eq!(stopped.code, Code::TestsInconclusive);
    assert!(cloud.state().rejected.is_empty());
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_deploy_stays_closed() {
    let mut cloud = FakeCloud::new(false);
    let verifier = FakeVerifier {
        end: CaseEnd::Failed(vec!["wrong".to_owned()]),
        ..FakeVerifier::default()
    };
    let stopped = stopped(run(&first_deploy(), &mut cloud, &verifier).await);
    assert!(stopped.state.unwrap().starts_with("nothing tested serves"));
    assert_eq!(cloud.writes, ["create closed", "record closed"]);
}

#[tokio::test(start_paused = true)]
async fn a_shift_that_fails_is_undone() {
    let fault = Fault::Settle(WriteError::Failed(problem()));
    let mut cloud = FakeCloud::with(true, [None, Some(fault)]);
    stopped(run(&promotion(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(cloud.writes, ["deploy", "traffic new", "traffic old"]);
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

#[tokio::test(start_paused = true)]
async fn the_old_split_may_linger_but_not_for_ever() {
    let other = || Some("b".repeat(40));
    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier::default();
    verifier
        .commits
        .lock()
        .unwrap()
        .extend([other(), Some(commit().to_string()), None, other()]);
    let end = run(&promotion(), &mut cloud, &verifier).await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");

    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier::default();
    verifier
        .commits
        .lock()
        .unwrap()
        .extend((0..100).map(|_| other()));
    let stopped = stopped(run(&promotion(), &mut cloud, &verifier).await);
    assert_eq!(stopped.code, Code::NotConfirmed);
    assert_eq!(stopped.cause[0], "traffic: api-v2 serves 100 %");
    assert!(
        stopped.cause[1].contains(&"b".repeat(40)),
        "{:?}",
        stopped.cause
    );
    assert_eq!(cloud.writes, ["deploy", "traffic new", "traffic old"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_takes_the_traffic_back() {
    let fault = Fault::Send(WriteError::Failed(problem()));
    let mut cloud = FakeCloud::with(true, [None, None, Some(fault)]);
    stopped(run(&promotion(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(
        cloud.writes,
        ["deploy", "traffic new", "record", "traffic old"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_strangers_change_is_never_overwritten() {
    for (faults, writes, began) in [
        (vec![Some(Fault::Send(WriteError::Conflict))], 1, false),
        (vec![None, Some(Fault::Send(WriteError::Conflict))], 2, true),
        (
            vec![None, Some(Fault::Settle(WriteError::Conflict))],
            2,
            true,
        ),
    ] {
        let mut cloud = FakeCloud::with(true, faults);
        let end = run(&promotion(), &mut cloud, &FakeVerifier::default()).await;
        assert_eq!(end, ExecutionEnd::Conflict { began });
        assert_eq!(cloud.writes.len(), writes);
    }
    let mut cloud = FakeCloud::new(true);
    let mut plan = promotion();
    plan.etag = Some("an older one".to_owned());
    assert_eq!(
        run(&plan, &mut cloud, &FakeVerifier::default()).await,
        ExecutionEnd::Conflict { began: false }
    );
    assert!(cloud.writes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_meets_a_stranger_leaves_his_traffic() {
    let verifier = FakeVerifier {
        end: CaseEnd::Failed(vec!["wrong".to_owned()]),
        ..FakeVerifier::default()
    };
    // The candidate's tag, and one of what serves beside it.
    let beside = TagName::parse("c-2").unwrap();
    let mut plan = promotion();
    if let Action::DeployCandidate { traffic, .. } = &mut plan.steps[0].action {
        *traffic = traffic
            .with_tag(beside.clone(), Destination::Revision(revision(OLD)))
            .with_tag(TagName::parse("green").unwrap(), Destination::Latest);
    }
    // Held where it was, in the undo.
    for step in &mut plan.steps {
        if let Undo::Restore { traffic, .. } = &mut step.undo {
            let green = TagName::parse("green").unwrap();
            *traffic = traffic.with_tag(green, Destination::Revision(revision(OLD)));
        }
    }
    let events = EventList::default();
    let his = all_to("api-strange")
        .with_tag(
            TagName::parse("his").unwrap(),
            Destination::Revision(revision(OLD)),
        )
        .with_tag(TagName::parse("green").unwrap(), Destination::Latest);
    let with_ours = his
        .with_tag(tag(), Destination::Revision(revision(NEW)))
        .with_tag(beside, Destination::Revision(revision(OLD)));
    let mut strange = StrangeCloud {
        inner: FakeCloud::new(true),
        traffic: with_ours,
    };
    let end = execute(&plan, &mut strange, &verifier, &events, &guard()).await;
    let stopped = stopped(end);
    assert!(
        stopped
            .state
            .as_deref()
            .unwrap()
            .starts_with("somebody else changed the service"),
        "{stopped:?}"
    );
    // Its own intent and tags go, the stranger's traffic stays.
    assert_eq!(strange.inner.writes.len(), 2);
    let live = strange.inner.live.as_ref().unwrap();
    assert_eq!(live.traffic, his);
    let StateSeen::Known(record) = &live.state else {
        panic!("{live:?}");
    };
    assert_eq!(record.intent, None);

    // He writes again: a conflict is no reason to leave the intent.
    let conflict = Some(Fault::Send(WriteError::Conflict));
    strange.inner = FakeCloud::with(true, [None, conflict]);
    let end = execute(&plan, &mut strange, &verifier, &events, &guard()).await;
    let state = self::stopped(end).state.unwrap();
    assert_eq!(strange.inner.state().intent, None, "{state}");
    assert!(!state.contains("goes on from it"), "{state}");

    let refused = || Some(Fault::Send(WriteError::Failed(problem())));
    strange.inner = FakeCloud::with(true, [None, refused()]);
    let end = execute(&plan, &mut strange, &verifier, &events, &guard()).await;
    let ExecutionEnd::LeftOpen(diagnostics) = end else {
        panic!("{end:?}");
    };
    let state = diagnostics[0].state.clone().unwrap();
    assert!(state.contains("the next run goes on from it"), "{state}");

    strange.traffic = all_to(NEW);
    strange.inner = FakeCloud::new(true);
    let end = execute(&plan, &mut strange, &verifier, &events, &guard()).await;
    let ExecutionEnd::UndoFailed(diagnostics) = end else {
        panic!("{end:?}");
    };
    assert_eq!(diagnostics[0].code, Code::TestsFailed);
    assert_eq!(diagnostics[1].code, Code::UndoFailed);
}

/// What was there before the run is not the run's own any more once it has written: LATEST, which was
/// another revision then, is the candidate now.
#[tokio::test(start_paused = true)]
async fn a_stranger_who_writes_what_was_there_before_is_a_stranger() {
    let verifier = FakeVerifier {
        end: CaseEnd::Failed(vec!["wrong".to_owned()]),
        ..FakeVerifier::default()
    };
    let latest = TrafficSplit::all_to(Destination::Latest, Vec::new());
    let mut strange = StrangeCloud {
        inner: FakeCloud::new(true),
        traffic: latest.clone(),
    };
    strange.inner.put(latest, StateSeen::Absent);
    let events = EventList::default();
    let end = execute(&promotion(), &mut strange, &verifier, &events, &guard()).await;
    let ExecutionEnd::UndoFailed(diagnostics) = end else {
        panic!("{end:?}");
    };
    assert_eq!(diagnostics[0].code, Code::TestsFailed);
    assert_eq!(strange.inner.writes, ["deploy"]);
}

/// Somebody else changes the traffic before the way back.
struct StrangeCloud {
    inner: FakeCloud,
    traffic: TrafficSplit,
}

#[async_trait]
impl CloudWriter for StrangeCloud {
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        self.inner.begin(etag).await
    }
    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        self.inner.send(change).await
    }
    async fn settle(&mut self, pending: &Pending) -> Result<Live, WriteError> {
        self.inner.settle(pending).await
    }
    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        let state = self.inner.live.as_ref().unwrap().state.clone();
        self.inner.put(self.traffic.clone(), state);
        self.inner.reload().await
    }
    async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        self.inner.read().await
    }
    fn propagation(&self) -> Duration {
        self.inner.propagation()
    }

    async fn log_lines(
        &self,
        revision: &RevisionName,
        count: u32,
    ) -> Result<Vec<String>, Diagnostic> {
        self.inner.log_lines(revision, count).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_fails_tells_both_and_the_command() {
    let mut cloud = FakeCloud::with(
        true,
        [
            None,
            Some(Fault::Settle(WriteError::Failed(problem()))),
            Some(Fault::Send(WriteError::Failed(problem()))),
        ],
    );
    let end = run(&promotion(), &mut cloud, &FakeVerifier::default()).await;
    let ExecutionEnd::UndoFailed(diagnostics) = end else {
        panic!("{end:?}");
    };
    assert_eq!(diagnostics[0].code, Code::CloudFailed);
    assert_eq!(diagnostics[1].code, Code::UndoFailed);
    assert_eq!(
        diagnostics[1].help[0],
        "act now: gcloud run services update-traffic api --project=demo-project --region=us-central1 --to-revisions=api-v1=100"
    );
}

#[tokio::test(start_paused = true)]
async fn the_way_back_survives_a_conflict_on_its_way() {
    let mut cloud = FakeCloud::with(
        true,
        [
            Some(Fault::Settle(not_ready())),
            Some(Fault::Send(WriteError::Conflict)),
        ],
    );
    stopped(run(&promotion(), &mut cloud, &FakeVerifier::default()).await);
    assert_eq!(cloud.writes, ["deploy", "traffic old", "traffic old"]);
    assert_eq!(cloud.traffic(), &all_to(OLD));
}

/// A run that died has moved everything to its revision, and nobody has confirmed it.
fn unconfirmed(cloud: &mut FakeCloud) -> Plan {
    let mut left = under_way();
    if let Some(intent) = &mut left.intent {
        intent.run = RunRef("6/1".to_owned());
    }
    cloud.put(all_to(NEW), StateSeen::Known(left));
    let mut plan = promotion();
    let Action::Verify { address, .. } = &mut plan.steps[1].action else {
        panic!("{:?}", plan.steps[1]);
    };
    *address = Address::Service;
    plan.steps.remove(2);
    plan.steps.remove(0);
    plan
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_run_left_unconfirmed_is_taken_back_if_it_fails() {
    let mut cloud = FakeCloud::new(true);
    let plan = unconfirmed(&mut cloud);
    let verifier = FakeVerifier {
        end: CaseEnd::Failed(vec!["wrong".to_owned()]),
        ..FakeVerifier::default()
    };
    let stopped = stopped(run(&plan, &mut cloud, &verifier).await);
    assert_eq!(stopped.code, Code::TestsFailed);
    assert_eq!(cloud.writes, ["traffic old"]);
    assert_eq!(cloud.state().rejected[0].run, run_ref());
}

#[tokio::test(start_paused = true)]
async fn an_api_that_tells_no_commit_is_confirmed_by_its_traffic() {
    let mut cloud = FakeCloud::new(true);
    let verifier = FakeVerifier {
        tells_commit: false,
        ..FakeVerifier::default()
    };
    let end = run(&promotion(), &mut cloud, &verifier).await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
    assert_eq!(cloud.writes, ["deploy", "traffic new", "record"]);
}

#[tokio::test(start_paused = true)]
async fn where_answers_cannot_tell_an_earlier_split_is_waited_out() {
    let long = Duration::from_secs(10);
    for (others, tells_commit, pace, waits) in [
        (Others::None, true, 60, false),
        (Others::None, false, 60, false),
        (Others::Apart, true, 60, false),
        // What was there before may come again, whatever it was.
        (Others::None, true, 1, true),
        (Others::Apart, true, 1, true),
        (Others::Apart, false, 60, true),
        (Others::Alike, true, 60, true),
        (Others::Alike, false, 60, true),
    ] {
        let mut cloud = FakeCloud::new(true);
        cloud.propagation = long;
        cloud.pace = pace;
        let verifier = FakeVerifier {
            tells_commit,
            ..FakeVerifier::default()
        };
        let plan = Plan {
            others,
            ..promotion()
        };
        let begun = Instant::now();
        let end = run(&plan, &mut cloud, &verifier).await;
        assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
        let waited = begun.elapsed() >= long;
        assert_eq!(waited, waits, "{others:?}, {tells_commit}, {pace}");
    }
}

/// What the candidate is compared with is asked at the service's own address: with a share that a dead run
/// had given it, the candidate itself would answer there for a while.
#[tokio::test(start_paused = true)]
async fn a_candidate_that_had_a_share_is_not_compared_with_itself() {
    for (share, waits) in [(0, false), (5, true), (100, true)] {
        let mut cloud = FakeCloud::new(true);
        let shares = [(OLD, 100 - share), (NEW, share)];
        let shares = shares.map(|(name, percent)| delivery::traffic::Share {
            to: Destination::Revision(revision(name)),
            percent,
        });
        let shares = shares.into_iter().filter(|one| one.percent > 0).collect();
        cloud.put(
            TrafficSplit::new(shares, Vec::new()).unwrap(),
            StateSeen::Absent,
        );
        let verifier = FakeVerifier::default();
        let begun = Instant::now();
        let end = run(&promotion(), &mut cloud, &verifier).await;
        assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
        let asked = verifier.asked.lock().unwrap();
        assert_eq!(
            asked[0],
            "http://c-1---api for http://api, beside http://api"
        );
        let waited = begun.elapsed() >= Duration::from_secs(10);
        assert_eq!(waited, waits, "{share} %");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_something_else_while_a_split_lingers_begins_the_count_anew() {
    let mut cloud = FakeCloud::new(true);
    cloud.propagation = Duration::from_secs(10);
    let verifier = FakeVerifier::default();
    let right = || Some(commit().to_string());
    let answers = (0..5).map(|_| right()).chain([Some("b".repeat(40))]);
    verifier.commits.lock().unwrap().extend(answers);
    let plan = Plan {
        others: Others::Alike,
        ..promotion()
    };
    let end = run(&plan, &mut cloud, &verifier).await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
    assert!(verifier.commits.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tests_at_the_services_address_wait_for_an_earlier_split_too() {
    let mut cloud = FakeCloud::new(false);
    cloud.propagation = Duration::from_secs(10);
    let verifier = FakeVerifier {
        end: CaseEnd::Failed(vec!["wrong".to_owned()]),
        tells_commit: false,
        ..FakeVerifier::default()
    };
    for (others, waits) in [(Others::None, false), (Others::Apart, true)] {
        let plan = Plan {
            others,
            ..first_deploy()
        };
        cloud.live = None;
        let begun = Instant::now();
        let stopped = stopped(run(&plan, &mut cloud, &verifier).await);
        assert_eq!(stopped.code, Code::TestsFailed);
        assert_eq!(begun.elapsed() >= cloud.propagation, waits, "{others:?}");
    }
}
