//! Deliveries over a cloud in memory: what a write brings is in effect at once, and the write with a
//! given number is refused, or met by a stranger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::configuration::Configuration;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::entrance::Entrance;
use delivery::name::{EnvironmentName, ProjectId, Region, RevisionName, ServiceName};
use delivery::outcome::Outcome;
use delivery::plan::{Intent, Planned, Surroundings, Wanted, plan};
use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::snapshot::{
    Readiness, RevisionSeen, ServiceCondition, ServiceSeen, Serving, Snapshot, StateSeen,
};
use delivery::spec::{Access, ServiceSpec};
use delivery::stage::RollbackTo;
use delivery::state::{RunRef, StateRecord, Timestamp};
use delivery::strategy::Strategy;
use delivery::target::{Approval, Environment, Target, Tier};
use delivery::traffic::{Destination, TrafficSplit};
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::regions::{Landed, Site, deliver_all, together};
use super::*;
use crate::execute::{Guard, Identity, UnderTest, Verifier};
use crate::gcp::run::{Change, Live, Pending, WriteError};
use crate::gcp::testing::EventList;

/// What happens to one write.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Refused,
    /// A stranger writes first: a label, nothing else.
    Stranger,
    /// It is accepted, its answer is lost, and a stranger writes after it: a label, nothing else.
    Overtaken,
    /// It is accepted, and before it is in effect a stranger writes: a label, nothing else.
    Followed,
    /// Another run, whose lease has ended, puts its own intent in the place of ours first.
    Usurped,
    /// Nothing is heard of it.
    Hangs,
}

mod back;
mod together;

#[derive(Default)]
struct Service {
    live: Option<Live>,
    revisions: Vec<RevisionSeen>,
    version: u32,
    /// Writes since the last look at it.
    writes: Vec<String>,
    faults: BTreeMap<usize, Fault>,
}

impl Service {
    /// Somebody changes what nobody here looks at.
    fn labelled(&mut self) {
        self.version += 1;
        let etag = self.version.to_string();
        self.live
            .iter_mut()
            .for_each(|live| live.etag.clone_from(&etag));
    }

    fn apply(&mut self, change: &Change<'_>) {
        self.version += 1;
        let latest = TrafficSplit::all_to(Destination::Latest, Vec::new());
        let before = self.live.as_ref();
        let traffic = change.traffic.cloned();
        let traffic = traffic.or_else(|| before.map(|live| live.traffic.clone()));
        let open = before.is_some_and(|live| live.invoker_check_off);
        let open = change.access.map_or(open, |it| it == Access::Public);
        let mut newest = before.and_then(|live| live.latest_ready.clone());
        if let Some(new) = change.revision {
            let name = new.record.revision.clone();
            newest = Some(name.clone());
            let seen = RevisionSeen {
                name,
                readiness: Readiness::Ready,
                record: Some(new.record.clone()),
                created_at: Timestamp(1),
                configuration: Configuration::default(),
            };
            self.revisions.insert(0, seen);
        }
        self.put(
            traffic.unwrap_or(latest),
            StateSeen::Known(change.state.clone()),
            newest,
            open,
        );
    }

    fn put(
        &mut self,
        traffic: TrafficSplit,
        state: StateSeen,
        newest: Option<RevisionName>,
        open: bool,
    ) {
        let resolve = |to: &Destination| match to {
            Destination::Latest => newest.clone().unwrap(),
            Destination::Revision(name) => name.clone(),
        };
        let shares = traffic.shares().iter().map(|share| Serving {
            revision: resolve(&share.to),
            percent: share.percent,
            tag: None,
            uri: None,
        });
        let tags = traffic.tags().iter().map(|tag| Serving {
            revision: resolve(&tag.to),
            percent: 0,
            tag: Some(tag.name.clone()),
            uri: Some(format!("http://{}---api", tag.name)),
        });
        self.live = Some(Live {
            etag: self.version.to_string(),
            uri: Some("http://api".to_owned()),
            serving: shares.chain(tags).collect(),
            traffic,
            condition: ServiceCondition::Ready,
            latest_ready: newest.clone(),
            latest_created: newest,
            invoker_check_off: open,
            state,
            changed: Timestamp(0),
        });
    }

    fn snapshot(&self, target: &Target, now: Timestamp) -> Snapshot {
        let service = self.live.clone().map(|live| ServiceSeen {
            etag: live.etag,
            uri: live.uri,
            traffic: live.traffic,
            serving: live.serving,
            condition: live.condition,
            latest_ready: live.latest_ready,
            latest_created: live.latest_created,
            access: if live.invoker_check_off {
                Access::Public
            } else {
                Access::Private
            },
            entrance: Entrance::default(),
            template: Configuration::default(),
            state: live.state,
            revisions: self.revisions.clone(),
        });
        Snapshot {
            target: target.clone(),
            observed_at: now,
            service,
        }
    }
}

/// When a run dies: just before, or just after a write of it takes effect, counted over all regions.
#[derive(Default)]
struct Death {
    /// The write, and whether it takes effect.
    at: Option<(usize, bool)>,
    writes: usize,
    died: Arc<Notify>,
}

/// Services by region.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Service>>>, Arc<Mutex<Death>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, region: &str, write: usize, fault: Fault) {
        let mut all = self.lock();
        let service = all.entry(region.to_owned()).or_default();
        service.writes.clear();
        service.faults = BTreeMap::from([(write, fault)]);
    }

    /// Whether the run dies at this write, and whether the write takes effect.
    fn dies(&self) -> Option<bool> {
        let mut death = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        death.writes += 1;
        let writes = death.writes;
        let (write, takes_effect) = death.at.filter(|(write, _)| *write <= writes)?;
        death.died.notify_one();
        Some(takes_effect && write == writes)
    }

    /// The next run dies at this write of it.
    fn kill(&self, at: Option<(usize, bool)>) -> Arc<Notify> {
        let mut death = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        *death = Death {
            at,
            ..Death::default()
        };
        Arc::clone(&death.died)
    }

    /// What serves in a region, and its record.
    fn seen(&self, region: &str) -> Option<(TrafficSplit, StateRecord)> {
        let all = self.lock();
        let live = all.get(region)?.live.as_ref()?;
        let StateSeen::Known(record) = &live.state else {
            return None;
        };
        Some((live.traffic.clone(), record.clone()))
    }
}

#[async_trait]
impl Cloud for Memory {
    async fn observe(
        &self,
        target: &Target,
        _wanted: Option<&Wanted>,
        now: Timestamp,
    ) -> Result<Seen, Diagnostic> {
        let region = target.region.to_string();
        let mut all = self.lock();
        let snapshot = all.entry(region.clone()).or_default().snapshot(target, now);
        let writer = Writer {
            memory: self.clone(),
            region,
            etag: None,
        };
        Ok(Seen {
            snapshot,
            writer: Box::new(writer),
        })
    }

    async fn read(&self, target: &Target) -> Result<Option<Live>, Diagnostic> {
        let all = self.lock();
        Ok(all
            .get(target.region.as_str())
            .and_then(|one| one.live.clone()))
    }
}

struct Writer {
    memory: Memory,
    region: String,
    etag: Option<String>,
}

impl Writer {
    fn with<T>(&self, with: impl FnOnce(&mut Service) -> T) -> T {
        let mut all = self.memory.lock();
        with(all.entry(self.region.clone()).or_default())
    }

    fn live(&self) -> Option<Live> {
        self.with(|service| service.live.clone())
    }
}

#[async_trait]
impl CloudWriter for Writer {
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        self.etag = etag.map(str::to_owned);
        Ok(self.live())
    }

    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        // The others get their turn.
        tokio::task::yield_now().await;
        let etag = self.etag.clone();
        let fault = self.with(|service| {
            let split = change.traffic.cloned();
            service.writes.push(format!("{split:?}"));
            service.faults.get(&service.writes.len()).copied()
        });
        if fault == Some(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        let death = self.memory.dies();
        if death == Some(false) {
            std::future::pending::<()>().await;
        }
        self.etag = self.with(|service| {
            if fault == Some(Fault::Usurped)
                && let Some(Live {
                    state: StateSeen::Known(record),
                    ..
                }) = &mut service.live
                && let Some(intent) = &mut record.intent
            {
                intent.run = RunRef("9/1".to_owned());
                intent.expires = Timestamp(0);
            }
            if matches!(fault, Some(Fault::Stranger | Fault::Usurped)) {
                service.labelled();
            }
            if service.live.as_ref().map(|live| &live.etag) != etag.as_ref() {
                return Err(WriteError::Conflict);
            }
            if fault == Some(Fault::Refused) {
                let refused = Diagnostic::error(Code::PermissionDenied, "it was refused");
                return Err(WriteError::Failed(Box::new(refused)));
            }
            service.apply(change);
            let own = service.live.as_ref().map(|live| live.etag.clone());
            match fault {
                Some(Fault::Overtaken) => {
                    service.labelled();
                    return Err(WriteError::Conflict);
                }
                Some(Fault::Followed) => service.labelled(),
                _ => {}
            }
            Ok(own)
        })?;
        if death == Some(true) {
            std::future::pending::<()>().await;
        }
        Ok(Pending::default())
    }

    async fn settle(&mut self, _pending: &Pending) -> Result<Live, WriteError> {
        let live = self.live().unwrap();
        match self.etag.as_ref() == Some(&live.etag) {
            true => Ok(live),
            false => Err(WriteError::Conflict),
        }
    }

    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        let live = self.live();
        self.etag = live.as_ref().map(|live| live.etag.clone());
        Ok(live)
    }

    async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        Ok(self.live())
    }

    fn propagation(&self) -> Duration {
        Duration::ZERO
    }

    async fn log_lines(&self, _: &RevisionName, _: u32) -> Result<Vec<String>, Diagnostic> {
        Ok(Vec::new())
    }
}

/// Every case passes, or none does.
struct Tests(bool);

#[async_trait]
impl Verifier for Tests {
    async fn verify(&self, _: &UnderTest<'_>) -> Vec<Evidence> {
        let end = if self.0 {
            CaseEnd::Passed
        } else {
            CaseEnd::Failed(vec!["wrong".to_owned()])
        };
        let case = CaseResult {
            name: "predict".to_owned(),
            end,
            millis: 1,
        };
        vec![Evidence::new("api-tests", vec![case])]
    }

    fn tells_commit(&self) -> bool {
        false
    }

    async fn identity(&self, _: &str, _: Option<&str>) -> Option<Identity> {
        None
    }
}

const REGIONS: [&str; 2] = ["europe-west1", "us-central1"];

fn target(region: &str) -> Target {
    Target {
        environment: Environment {
            name: EnvironmentName::parse("test").unwrap(),
            github_environment: "test".to_owned(),
            tier: Tier::Preproduction,
            approval: Approval::None,
        },
        project: ProjectId::parse("demo-project").unwrap(),
        region: Region::parse(region).unwrap(),
        service: ServiceName::parse("api").unwrap(),
    }
}

fn wanted(intent: Intent, run: u64) -> Wanted {
    Wanted {
        intent,
        run: RunRef(format!("{run}/1")),
        run_attempt: 1,
        retry_rejected: false,
        lease_seconds: 600,
        strategy: Strategy::default(),
        began: false,
        surroundings: Surroundings::default(),
    }
}

fn promote(number: u64) -> Wanted {
    let release = Release {
        image: ImageReference {
            repository: "us-docker.pkg.dev/p/r/api".to_owned(),
            digest: ImageDigest::parse(format!("sha256:{number:064x}")).unwrap(),
        },
        commit: Commit::parse(format!("{number:040x}")).unwrap(),
        version: Some(semver::Version::new(1, number, 0)),
    };
    let spec = Box::new(ServiceSpec::default());
    wanted(Intent::Promote { release, spec }, 100 + number)
}

fn guard() -> Guard {
    let until = Instant::now() + Duration::from_secs(60);
    Guard::new(CancellationToken::new(), until)
}

/// Delivers to both regions; `passes` says in which of them the tests do.
async fn deliver_both(memory: &Memory, wanted: &Wanted, passes: [bool; 2]) -> Vec<Landed> {
    deliver_planned(memory, wanted, passes, plan).await
}

async fn deliver_planned(
    memory: &Memory,
    wanted: &Wanted,
    passes: [bool; 2],
    planner: Planner,
) -> Vec<Landed> {
    let targets = REGIONS.map(target);
    let tests = passes.map(Tests);
    let guard = guard();
    let sink = EventList::default();
    let world = World {
        cloud: memory,
        planner,
        verifier: &tests[0],
        sink: &sink,
        guard: &guard,
    };
    let sites: Vec<Site<'_>> = targets
        .iter()
        .zip(&tests)
        .map(|(target, verifier)| Site { target, verifier })
        .collect();
    deliver_all(&world, &sites, wanted).await
}

async fn first_release(memory: &Memory) {
    let landed = deliver_both(memory, &promote(1), [true; 2]).await;
    let outcome = together(&landed);
    assert!(matches!(outcome, Outcome::Promoted { .. }), "{outcome:#?}");
}

#[tokio::test]
async fn both_regions_get_it_and_the_second_time_nothing_is_done() {
    let memory = Memory::default();
    first_release(&memory).await;
    for region in REGIONS {
        let (_, record) = memory.seen(region).unwrap();
        assert_eq!(record.healthy.len(), 1);
        assert!(record.intent.is_none());
    }
    let again = deliver_both(&memory, &promote(1), [true; 2]).await;
    let up_to_date = |one: &Landed| matches!(one.outcome, Outcome::UpToDate { .. });
    assert!(again.iter().all(up_to_date), "{again:#?}");
}

#[tokio::test]
async fn one_region_that_fails_anywhere_takes_all_back() {
    let ok = Memory::default();
    first_release(&ok).await;
    ok.fault(REGIONS[1], usize::MAX, Fault::Refused);
    deliver_both(&ok, &promote(2), [true; 2]).await;
    let writes = ok.lock()[REGIONS[1]].writes.len();
    assert_eq!(writes, 3, "candidate, traffic, record");
    for write in 1..=writes {
        let memory = Memory::default();
        first_release(&memory).await;
        let before = REGIONS.map(|region| memory.seen(region));
        memory.fault(REGIONS[1], write, Fault::Refused);
        let landed = deliver_both(&memory, &promote(2), [true; 2]).await;
        let after = REGIONS.map(|region| memory.seen(region));
        assert_eq!(after, before, "refused at write {write}: {landed:#?}");
        let Outcome::Stopped(problems) = together(&landed) else {
            panic!("{landed:#?}");
        };
        let codes: Vec<Code> = problems.iter().map(|one| one.code).collect();
        assert_eq!(codes, [Code::PermissionDenied, Code::RegionFailed]);
        for (problem, region) in problems.iter().zip([REGIONS[1], REGIONS[0]]) {
            assert!(problem.at.as_ref().unwrap().contains(region), "{problem:?}");
            assert!(problem.state.is_some(), "{problem:?}");
        }
        assert!(problems[1].title.contains(REGIONS[1]), "{problems:?}");
    }
}

#[tokio::test]
async fn no_traffic_moves_before_the_candidates_have_passed_everywhere() {
    let memory = Memory::default();
    first_release(&memory).await;
    let before = REGIONS.map(|region| memory.seen(region).unwrap().0);
    memory.fault(REGIONS[0], usize::MAX, Fault::Refused);
    let landed = deliver_both(&memory, &promote(2), [true, false]).await;
    let after = REGIONS.map(|region| memory.seen(region).unwrap().0);
    assert_eq!(after, before);
    assert_eq!(
        memory.lock()[REGIONS[0]].writes.len(),
        2,
        "its candidate, and the way back"
    );
    let outcome = together(&landed);
    assert_eq!(outcome.diagnostics()[0].code, Code::TestsFailed);
    let rejected = |region| memory.seen(region).unwrap().1.rejected.len();
    assert_eq!(
        REGIONS.map(rejected),
        [0, 1],
        "where it passed it is not at fault"
    );
}

#[tokio::test]
async fn a_region_that_is_blocked_stops_the_others_before_their_first_write() {
    let memory = Memory::default();
    first_release(&memory).await;
    deliver_both(&memory, &promote(2), [true; 2]).await;
    let back = Intent::Rollback {
        to: RollbackTo::Previous,
    };
    let landed = deliver_both(&memory, &wanted(back, 200), [true; 2]).await;
    let rolled_back = |one: &Landed| matches!(one.outcome, Outcome::RolledBack { .. });
    assert!(landed.iter().all(rolled_back), "{landed:#?}");
    // One region forgets what was rolled back; the other does not.
    {
        let mut all = memory.lock();
        let live = all.get_mut(REGIONS[0]).unwrap().live.as_mut().unwrap();
        live.state = StateSeen::Known(StateRecord::default());
    }
    memory.fault(REGIONS[0], usize::MAX, Fault::Refused);
    let landed = deliver_both(&memory, &promote(2), [true; 2]).await;
    let outcome = together(&landed);
    assert_eq!(outcome.diagnostics()[0].code, Code::DigestRejected);
    assert_eq!(outcome.diagnostics()[1].code, Code::RegionFailed);
    assert!(memory.lock()[REGIONS[0]].writes.is_empty());
}

#[tokio::test]
async fn a_strangers_write_in_one_region_is_planned_upon_while_the_other_waits() {
    for write in 1..=3 {
        let memory = Memory::default();
        first_release(&memory).await;
        memory.fault(REGIONS[1], write, Fault::Stranger);
        let landed = deliver_both(&memory, &promote(2), [true; 2]).await;
        let outcome = together(&landed);
        assert!(matches!(outcome, Outcome::Promoted { .. }), "{outcome:#?}");
        for region in REGIONS {
            let (_, record) = memory.seen(region).unwrap();
            assert_eq!((record.healthy.len(), record.intent), (2, None));
        }
    }
}

/// Says no as soon as it finds an open rollout.
fn no_second_plan(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    let state = snapshot.service.as_ref().map(|seen| &seen.state);
    match state {
        Some(StateSeen::Known(record)) if record.intent.is_some() => {
            Planned::Blocked(vec![Diagnostic::error(Code::ServiceBusy, "no")])
        }
        _ => plan(wanted, snapshot),
    }
}
