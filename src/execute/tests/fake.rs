//! A service in memory, and tests that end as told.

use super::*;

/// What a call of the fake does instead of going well.
pub(super) enum Fault {
    Send(WriteError),
    /// The write takes effect in the cloud, but the answer is this.
    SendAfter(WriteError),
    SendSlowly(Duration),
    Settle(WriteError),
    SettleNever,
}

/// A service in memory.
pub(super) struct FakeCloud {
    pub(super) live: Option<Live>,
    /// Taken one at each write; `None` goes well.
    pub(super) faults: VecDeque<Option<Fault>>,
    settle: Option<Fault>,
    pub(super) writes: Vec<String>,
    version: u32,
    logs: Vec<String>,
    pub(super) reload_fails: bool,
    pub(super) propagation: Duration,
    /// Seconds between two of its changes.
    pub(super) pace: i64,
    /// What somebody else has written when the way back looks.
    pub(super) swapped_at_reload: Option<(TrafficSplit, StateSeen)>,
}

impl FakeCloud {
    pub(super) fn new(exists: bool) -> Self {
        let mut cloud = Self {
            live: None,
            faults: VecDeque::new(),
            settle: None,
            writes: Vec::new(),
            version: 0,
            logs: vec!["Traceback: boom".to_owned()],
            reload_fails: false,
            propagation: Duration::ZERO,
            pace: 60,
            swapped_at_reload: None,
        };
        if exists {
            cloud.put(all_to(OLD), StateSeen::Absent);
        }
        cloud
    }

    pub(super) fn with(exists: bool, faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        let mut cloud = Self::new(exists);
        cloud.faults.extend(faults);
        cloud
    }

    pub(super) fn put(&mut self, traffic: TrafficSplit, state: StateSeen) {
        let resolve = |to: &Destination| match to {
            Destination::Latest => revision(NEW),
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
            latest_ready: Some(revision(NEW)),
            latest_created: Some(revision(NEW)),
            invoker_check_off: false,
            state,
            changed: Timestamp(i64::from(self.version) * self.pace),
        });
    }

    fn apply(&mut self, change: &Change<'_>) {
        self.version += 1;
        let before = self.live.as_ref().map(|live| live.traffic.clone());
        let latest = TrafficSplit::all_to(Destination::Latest, Vec::new());
        let traffic = change.traffic.cloned().or(before).unwrap_or(latest);
        self.put(traffic, StateSeen::Known(change.state.clone()));
    }

    pub(super) fn state(&self) -> StateRecord {
        match &self.live.as_ref().unwrap().state {
            StateSeen::Known(record) => record.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn traffic(&self) -> &TrafficSplit {
        &self.live.as_ref().unwrap().traffic
    }
}

#[async_trait]
impl CloudWriter for FakeCloud {
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        let live = self.live.clone();
        if live.as_ref().map(|live| live.etag.as_str()) == etag {
            Ok(live)
        } else {
            Err(WriteError::Conflict)
        }
    }

    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        let kind = match (change.create, change.revision, change.traffic) {
            (true, _, _) => "create",
            (_, Some(_), _) => "deploy",
            (_, None, Some(split)) if split.shares() == all_to(OLD).shares() => "traffic old",
            (_, None, Some(_)) => "traffic new",
            (_, None, None) => "record",
        };
        let access = change.access.map_or("", |access| match access {
            Access::Public => " open",
            Access::Private => " closed",
        });
        self.writes.push(format!("{kind}{access}"));
        match self.faults.pop_front().flatten() {
            Some(Fault::Send(error)) => return Err(error),
            Some(Fault::SendAfter(error)) => {
                self.apply(change);
                return Err(error);
            }
            Some(Fault::SendSlowly(time)) => tokio::time::sleep(time).await,
            settle => self.settle = settle,
        }
        self.apply(change);
        Ok(Pending::default())
    }

    async fn settle(&mut self, _pending: &Pending) -> Result<Live, WriteError> {
        match self.settle.take() {
            Some(Fault::Settle(error)) => Err(error),
            Some(Fault::SettleNever) => std::future::pending().await,
            _ => Ok(self.live.clone().unwrap()),
        }
    }

    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        if self.reload_fails {
            return Err(Diagnostic::error(Code::CloudFailed, "the API is gone"));
        }
        if let Some((traffic, state)) = self.swapped_at_reload.take() {
            self.put(traffic, state);
        }
        self.read().await
    }

    async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        Ok(self.live.clone())
    }

    fn propagation(&self) -> Duration {
        self.propagation
    }

    async fn log_lines(
        &self,
        _revision: &RevisionName,
        _count: u32,
    ) -> Result<Vec<String>, Diagnostic> {
        Ok(self.logs.clone())
    }
}

/// Answers as told.
pub(super) struct FakeVerifier {
    pub(super) end: CaseEnd,
    pub(super) commits: Mutex<VecDeque<Option<String>>>,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) hangs: bool,
    pub(super) tells_commit: bool,
}

impl Default for FakeVerifier {
    fn default() -> Self {
        Self {
            end: CaseEnd::Passed,
            commits: Mutex::default(),
            asked: Mutex::default(),
            hangs: false,
            tells_commit: true,
        }
    }
}

#[async_trait]
impl Verifier for FakeVerifier {
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence> {
        let asked = format!("{} for {}", what.url, what.audience.unwrap_or("nobody"));
        let beside = what.serving.map(|url| format!(", beside {url}"));
        let asked = format!("{asked}{}", beside.unwrap_or_default());
        self.asked.lock().unwrap().push(asked);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let case = CaseResult {
            name: "predict".to_owned(),
            end: self.end.clone(),
            millis: 1,
        };
        vec![Evidence::new("api-tests", vec![case])]
    }

    fn tells_commit(&self) -> bool {
        self.tells_commit
    }

    async fn identity(&self, _base_url: &str, _audience: Option<&str>) -> Option<Identity> {
        if !self.tells_commit {
            return None;
        }
        let mut commits = self.commits.lock().unwrap();
        let next = commits.pop_front();
        let commit = next.unwrap_or_else(|| Some(commit().to_string()))?;
        Some(Identity {
            commit,
            version: None,
        })
    }
}
