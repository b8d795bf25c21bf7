//! Names and wishes to tell stories with.

use delivery::name::{EnvironmentName, ProjectId, Region, ServiceName};
use delivery::plan::{Intent, Surroundings, Wanted};
use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::spec::{Access, ServiceSpec};
use delivery::stage::RollbackTo;
use delivery::state::RunRef;
use delivery::strategy::Strategy;
use delivery::target::{Approval, Environment, Target, Tier};

/// When stories begin.
pub(crate) const START: i64 = 1_795_000_000;
/// The lease of every run here.
pub(crate) const LEASE: u32 = 1800;

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

pub(crate) fn digest(number: u32) -> ImageDigest {
    ImageDigest::parse(format!("sha256:{number:064x}")).unwrap()
}

/// A release of this version; its digest and commit follow from the number.
pub(crate) fn release(version: &str, number: u32) -> Release {
    Release {
        image: ImageReference {
            repository: "us-central1-docker.pkg.dev/demo/images/api".to_owned(),
            digest: digest(number),
        },
        commit: Commit::parse(format!("{number:040x}")).unwrap(),
        version: (!version.is_empty()).then(|| version.parse().unwrap()),
    }
}

pub(crate) fn spec(access: Access) -> ServiceSpec {
    ServiceSpec {
        access,
        ..ServiceSpec::default()
    }
}

pub(crate) fn promote(release: Release, spec: ServiceSpec) -> Wanted {
    wanted(Intent::Promote {
        release,
        spec: Box::new(spec),
    })
}

pub(crate) fn rollback(to: RollbackTo) -> Wanted {
    wanted(Intent::Rollback { to })
}

fn wanted(intent: Intent) -> Wanted {
    Wanted {
        intent,
        run: RunRef("100/1".to_owned()),
        run_attempt: 1,
        retry_rejected: false,
        lease_seconds: LEASE,
        strategy: Strategy::AT_ONCE,
        began: false,
        surroundings: Surroundings::default(),
    }
}

pub(crate) fn by_run(mut wanted: Wanted, id: u32, attempt: u32) -> Wanted {
    wanted.run = RunRef(format!("{id}/{attempt}"));
    wanted.run_attempt = attempt;
    wanted
}
