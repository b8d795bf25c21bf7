//! What runs are told to do.

use std::time::Duration;

use delivery::name::{EnvironmentName, ProjectId, Region, RevisionName, ServiceName};
use delivery::plan::{Intent, Wanted};
use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::spec::{Access, ServiceSpec};
use delivery::stage::RollbackTo;
use delivery::state::RunRef;
use delivery::strategy::{OnInconclusive, Strategy};
use delivery::target::{Approval, Environment, Target, Tier};

/// How long a run may take, unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(1_800);
/// Seconds for which other runs keep off beyond a run's deadline, as the program has it.
const RESERVE: u32 = 120;

/// What one run is to do.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) wanted: Wanted,
    pub(crate) deadline: Duration,
    /// Whether the API tells its commit.
    pub(crate) tells_commit: bool,
}

pub(crate) fn target(tier: Tier) -> Target {
    Target {
        environment: Environment {
            name: EnvironmentName::parse("test").unwrap(),
            github_environment: "test".to_owned(),
            tier,
            approval: Approval::None,
        },
        project: ProjectId::parse("demo-project").unwrap(),
        region: Region::parse("us-central1").unwrap(),
        service: ServiceName::parse("api").unwrap(),
    }
}

/// The digest of image `number`.
pub(crate) fn digest(number: u64) -> ImageDigest {
    ImageDigest::parse(format!("sha256:{:064x}", 0xa000 + number)).unwrap()
}

fn release(number: u64, version: &str) -> Release {
    Release {
        image: ImageReference {
            repository: "us-central1-docker.pkg.dev/demo-project/images/api".to_owned(),
            digest: digest(number),
        },
        commit: Commit::parse(format!("{number:040x}")).unwrap(),
        version: version.parse().ok(),
    }
}

fn wish(intent: Intent, run: u32) -> Wish {
    Wish {
        wanted: Wanted {
            intent,
            run: RunRef(format!("{run}/1")),
            run_attempt: 1,
            retry_rejected: false,
            lease_seconds: 0,
            strategy: Strategy::AT_ONCE,
            began: false,
            surroundings: delivery::plan::Surroundings::default(),
        },
        deadline: DEADLINE,
        tells_commit: true,
    }
    .within(DEADLINE)
}

/// Promotes image `number` as this version.
pub(crate) fn promote(number: u64, version: &str, run: u32) -> Wish {
    let intent = Intent::Promote {
        release: release(number, version),
        spec: Box::new(ServiceSpec {
            access: Access::Public,
            ..ServiceSpec::default()
        }),
    };
    wish(intent, run)
}

pub(crate) fn rollback(to: RollbackTo, run: u32) -> Wish {
    wish(Intent::Rollback { to }, run)
}

pub(crate) fn to_version(version: &str) -> RollbackTo {
    RollbackTo::Version(version.parse().unwrap())
}

pub(crate) fn to_revision(name: &str) -> RollbackTo {
    RollbackTo::Revision(RevisionName::parse(name).unwrap())
}

impl Wish {
    fn spec(mut self, change: impl FnOnce(&mut ServiceSpec)) -> Self {
        if let Intent::Promote { spec, .. } = &mut self.wanted.intent {
            change(spec);
        }
        self
    }

    pub(crate) fn private(self) -> Self {
        self.spec(|spec| spec.access = Access::Private)
    }

    pub(crate) fn memory(self, memory: &str) -> Self {
        self.spec(|spec| spec.memory = Some(memory.to_owned()))
    }

    pub(crate) fn silent(mut self) -> Self {
        self.tells_commit = false;
        self
    }

    /// Traffic moves in steps.
    pub(crate) fn in_steps(mut self) -> Self {
        let soak = Duration::from_secs(60);
        self.wanted.strategy = Strategy::new(&[5, 50, 100], soak, OnInconclusive::Fail).unwrap();
        self
    }

    pub(crate) fn retry_rejected(mut self) -> Self {
        self.wanted.retry_rejected = true;
        self
    }

    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        let seconds = u32::try_from(deadline.as_secs()).unwrap();
        self.wanted.lease_seconds = seconds + RESERVE;
        self
    }

    /// The next attempt of the same run.
    pub(crate) fn again(mut self) -> Self {
        let (id, attempt) = self.wanted.run.github().unwrap();
        self.wanted.run = RunRef(format!("{id}/{}", attempt + 1));
        self.wanted.run_attempt = attempt + 1;
        self
    }

    /// The same, wanted by another run.
    pub(crate) fn by(mut self, run: u32) -> Self {
        self.wanted.run = RunRef(format!("{run}/1"));
        self.wanted.run_attempt = 1;
        self
    }

    /// The commit that is promoted.
    pub(crate) fn commit(&self) -> Option<String> {
        match &self.wanted.intent {
            Intent::Promote { release, .. } => Some(release.commit.to_string()),
            Intent::Rollback { .. } => None,
        }
    }

    /// How long its lease lasts.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(u64::from(self.wanted.lease_seconds))
    }
}
