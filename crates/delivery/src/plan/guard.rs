//! What must not be done. Every reason is given at once.

use semver::Version;

use super::Wanted;
use super::standing::Standing;
use crate::diagnostic::{Code, Diagnostic};
use crate::name::RevisionName;
use crate::release::Release;
use crate::snapshot::{Readiness, RevisionSeen, ServiceCondition, StateSeen};
use crate::spec::{ConfigHash, SecretPlace, ServiceSpec};
use crate::state::{BroughtBy, STATE_ANNOTATION, STATE_VERSION};
use crate::target::Tier;
use crate::traffic::{Destination, Share};

/// Variable that tells the container its commit.
pub const COMMIT_VARIABLE: &str = "ML_DEPLOY_COMMIT";
/// Variable that tells the container its version, or `sha-1234567`.
pub const VERSION_VARIABLE: &str = "ML_DEPLOY_VERSION";
/// Variables that cannot be set: the first two are ours, the others the platform's.
pub const RESERVED_VARIABLES: [&str; 6] = [
    COMMIT_VARIABLE,
    VERSION_VARIABLE,
    "PORT",
    "K_SERVICE",
    "K_REVISION",
    "K_CONFIGURATION",
];

/// A candidate that the tests cannot reach would stop the run only after it was deployed.
pub(crate) fn unreachable(standing: &Standing<'_>) -> Option<Diagnostic> {
    let service = standing.service?;
    let barriers = service.entrance.barriers();
    if barriers.is_empty() {
        return None;
    }
    let name = &standing.target.service;
    let mut diagnostic = blocked(
        standing,
        Code::CandidateUnreachable,
        format!("this runner cannot reach a candidate of `{name}`, so it cannot be tested"),
    );
    for barrier in &barriers {
        diagnostic = diagnostic.cause(barrier.describe());
        for way in barrier.ways_out(standing.target) {
            diagnostic = diagnostic.help(way);
        }
    }
    Some(diagnostic)
}

/// Reasons that hold for a promotion and a rollback alike.
pub(crate) fn common(wanted: &Wanted, standing: &Standing<'_>) -> Vec<Diagnostic> {
    [
        unreadable(standing),
        another_run(wanted, standing).or_else(|| ended(wanted, standing)),
        busy(wanted, standing),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn unreadable(standing: &Standing<'_>) -> Option<Diagnostic> {
    let service = &standing.target.service;
    let reason = match &standing.service?.state {
        StateSeen::Absent => return None,
        StateSeen::Known(record) if record.version <= STATE_VERSION => return None,
        StateSeen::Known(record) => crate::state::newer(u64::from(record.version)),
        StateSeen::Unreadable(reason) => reason.clone(),
    };
    Some(
        blocked(
            standing,
            Code::StateUnreadable,
            format!("the record in annotation `{STATE_ANNOTATION}` of `{service}` cannot be read"),
        )
        .cause(reason)
        .help("use a version of ml-deploy that is at least as new as the one that wrote it")
        .help(format!(
            "or remove the annotation `{STATE_ANNOTATION}` from the service: which revisions were \
             healthy or rolled back is then forgotten"
        )),
    )
}

/// A run that died leaves its intent behind; it is taken over when its lease has ended, or when this
/// is a later attempt of the same run.
fn another_run(wanted: &Wanted, standing: &Standing<'_>) -> Option<Diagnostic> {
    let intent = standing.record.intent.as_ref()?;
    let alive = standing.now < intent.expires;
    (alive && !wanted.run.continues(&intent.run)).then(|| {
        blocked(
            standing,
            Code::AnotherRun,
            format!(
                "run `{}` is bringing `{}` to this service",
                intent.run.0, intent.revision
            ),
        )
        .cause(format!("its lease ends at {}", intent.expires))
        .help(format!(
            "wait until it has ended, or at the latest until {}, and run this again",
            intent.expires
        ))
        .help("give the jobs of one environment the same `concurrency` group")
        .help(format!(
            "or, if it is known to be dead: `ml-deploy recover --environment {} --run {}`",
            standing.target.environment.name, intent.run.0
        ))
    })
}

/// A run whose intent is gone was ended by somebody who thought it dead: its post step, or a person
/// with `recover`. Whatever they decided stands; to begin anew would undo their decision.
fn ended(wanted: &Wanted, standing: &Standing<'_>) -> Option<Diagnostic> {
    let known = matches!(standing.service?.state, StateSeen::Known(_));
    let intent = standing.record.intent.as_ref();
    let stands = intent.is_some_and(|intent| intent.run == wanted.run);
    // A rollback has no intent in its last write: it is finished with it.
    let newest = standing.record.healthy.first();
    let rolled_back =
        newest.is_some_and(|one| one.run == wanted.run && one.by == BroughtBy::Rollback);
    (wanted.began && known && !stands && !rolled_back).then(|| {
        blocked(
            standing,
            Code::RolloutEnded,
            "the rollout of this run was ended meanwhile, by its post step or by `ml-deploy recover`"
                .to_owned(),
        )
        .cause(format!(
            "the intent of run `{}` is no longer in the record",
            wanted.run.0
        ))
        .help("run again, if the release is still wanted")
    })
}

/// A change under way is no obstacle in itself: the etag guards the write, and a change of ours, or
/// of a run that died, can only make its own candidate ready at 0 %. But a rollout of others that is
/// to get traffic would lose it to our pinned split, so it is left to end first.
fn busy(wanted: &Wanted, standing: &Standing<'_>) -> Option<Diagnostic> {
    let service = standing.service?;
    if service.condition != ServiceCondition::Reconciling {
        return None;
    }
    let created = service.latest_created.as_ref();
    // The revisions are read after the service: one that has become ready in between is what LATEST
    // leads to by now, though the service that was read still tells the one before it.
    let arrived = |share: &Share, seen: &RevisionSeen| {
        share.to == Destination::Latest
            && seen.readiness == Readiness::Ready
            && service.latest_ready.as_ref() != Some(&seen.name)
    };
    let name = service.traffic.shares().iter().find_map(|share| {
        let name = match &share.to {
            Destination::Latest => created?,
            Destination::Revision(name) => name,
        };
        let seen = standing.revision(name)?;
        let arrives = seen.readiness == Readiness::Pending || arrived(share, seen);
        (arrives && Standing::own_record(seen).is_none()).then_some(name)
    })?;
    let Wanted { run, .. } = wanted;
    Some(
        blocked(
            standing,
            Code::ServiceBusy,
            format!("another tool is rolling out `{name}`, which is to get traffic"),
        )
        .cause(format!("run `{}` would take that traffic away", run.0))
        .help("wait until that rollout has ended, and run this again"),
    )
}

/// Reasons against this release and configuration.
pub(crate) fn promotion(
    wanted: &Wanted,
    standing: &Standing<'_>,
    release: &Release,
    spec: &ServiceSpec,
    config: &ConfigHash,
) -> Vec<Diagnostic> {
    let mut blocks: Vec<Diagnostic> = reserved_variables(standing, spec);
    if standing.target.environment.tier == Tier::Production {
        blocks.extend(production(wanted, standing, release));
    }
    blocks.extend(superseded(wanted, standing, release));
    blocks.extend(rejected(wanted, standing, release, config));
    blocks
}

fn reserved_variables(standing: &Standing<'_>, spec: &ServiceSpec) -> Vec<Diagnostic> {
    let secrets = spec
        .secrets
        .iter()
        .filter_map(|binding| match &binding.place {
            SecretPlace::Variable(name) => Some((name, "secrets")),
            SecretPlace::File(_) => None,
        });
    spec.env_vars
        .keys()
        .map(|name| (name, "env_vars"))
        .chain(secrets)
        .filter(|(name, _)| RESERVED_VARIABLES.contains(&name.as_str()))
        .map(|(name, input)| {
            let help = if name == "PORT" {
                "set the input `port` instead".to_owned()
            } else {
                format!("remove `{name}`, or give it another name")
            };
            Diagnostic::error(
                Code::InputInvalid,
                format!("variable `{name}` is reserved and cannot be set"),
            )
            .at(format!("{input} · {}", standing.place()))
            .help(help)
        })
        .collect()
}

/// What counts in production only: a version, no prerelease, immutable, not older than what serves.
fn production(wanted: &Wanted, standing: &Standing<'_>, release: &Release) -> Vec<Diagnostic> {
    let label = release.label();
    let Some(version) = &release.version else {
        return vec![
            blocked(
                standing,
                Code::NotARelease,
                format!("`{label}` is a build of a branch, and only a version goes to production"),
            )
            .help("push a version tag such as `v1.0.0` on this commit"),
        ];
    };
    let mut blocks = Vec::new();
    if !version.pre.is_empty() {
        let mut stable = version.clone();
        stable.pre = semver::Prerelease::EMPTY;
        stable.build = semver::BuildMetadata::EMPTY;
        blocks.push(
            blocked(
                standing,
                Code::PrereleaseToProduction,
                format!("`{label}` is a prerelease and does not go to production"),
            )
            .help(format!("tag the same commit as `v{stable}`")),
        );
    }
    blocks.extend(reused_version(standing, release, version));
    // A re-run has its own, stricter rule.
    if wanted.run_attempt <= 1 {
        blocks.extend(older(standing, version));
    }
    blocks
}

/// A version is immutable: once it served in production, it stands for that digest.
fn reused_version(
    standing: &Standing<'_>,
    release: &Release,
    version: &Version,
) -> Option<Diagnostic> {
    let digest = &release.image.digest;
    let healthy = standing.record.healthy.iter();
    let known = healthy.map(|h| (&h.version, &h.digest, &h.revision)).chain(
        standing.main_revision().and_then(|name| {
            let record = standing.record_of(name)?;
            Some((&record.version, &record.digest, name))
        }),
    );
    let (_, other, revision) = known.into_iter().find(|(known, other, _)| {
        *other != digest && known.as_ref().is_some_and(|v| same_precedence(v, version))
    })?;
    let next = Version::new(
        version.major,
        version.minor,
        version.patch.saturating_add(1),
    );
    Some(
        blocked(
            standing,
            Code::VersionReused,
            format!("version {version} stands for another digest in production"),
        )
        .cause(format!(
            "revision `{revision}` of that version has digest {}, this build has {}",
            other.short(),
            digest.short()
        ))
        .help(format!(
            "release this build under a new version, such as `v{next}`"
        )),
    )
}

fn older(standing: &Standing<'_>, version: &Version) -> Option<Diagnostic> {
    let (revision, serving) = serving_version(standing)?;
    (version.cmp_precedence(&serving) == std::cmp::Ordering::Less).then(|| {
        blocked(
            standing,
            Code::OlderThanProduction,
            format!("v{version} is older than v{serving}, which serves in production"),
        )
        .cause(format!("`{revision}` serves v{serving}"))
        .help(format!(
            "to move traffic back, run with `rollback_to: v{version}`"
        ))
    })
}

/// A re-run may move traffic back only to what was healthy here. Superseded is a version below the
/// one that serves; for a build of a branch, one whose run began before the run that brought what
/// serves (identifiers of GitHub's runs grow with time).
fn superseded(wanted: &Wanted, standing: &Standing<'_>, release: &Release) -> Option<Diagnostic> {
    if wanted.run_attempt <= 1 || standing.record.knows_healthy(&release.image.digest) {
        return None;
    }
    let serving = standing.main_revision()?;
    let by = match &release.version {
        Some(version) => {
            let (_, newer) = serving_version(standing)?;
            (version.cmp_precedence(&newer) == std::cmp::Ordering::Less)
                .then(|| format!("v{newer}"))
        }
        None => {
            let entry = standing.record.healthy_entry(serving)?;
            let (ours, _) = wanted.run.github()?;
            let (theirs, _) = entry.run.github()?;
            (theirs > ours && entry.digest != release.image.digest)
                .then(|| format!("run {}", entry.run.0))
        }
    }?;
    let label = release.label();
    Some(
        blocked(
            standing,
            Code::SupersededRerun,
            format!("re-run of `{label}`, which was never healthy here and is superseded by {by}"),
        )
        .cause(format!("`{serving}` serves"))
        .help("to move traffic back on purpose, run with `rollback_to: previous`, a version or a revision"),
    )
}

fn rejected(
    wanted: &Wanted,
    standing: &Standing<'_>,
    release: &Release,
    config: &ConfigHash,
) -> Option<Diagnostic> {
    if wanted.retry_rejected {
        return None;
    }
    let digest = &release.image.digest;
    let entry = standing.record.rollback_of(digest, config)?;
    Some(
        blocked(
            standing,
            Code::DigestRejected,
            format!(
                "`{}` (digest {}) was rolled back here at {}",
                release.label(),
                digest.short(),
                entry.at
            ),
        )
        .cause(format!("run `{}`: {}", entry.run.0, entry.reason))
        .help("release a fixed version")
        .help("or, if it is to be tried again as it is, run with `retry_rejected: true`"),
    )
}

/// The version of the revision that gets the largest share, as its own record or ours tells it.
fn serving_version(standing: &Standing<'_>) -> Option<(RevisionName, Version)> {
    let name = standing.main_revision()?;
    let own = standing.record_of(name).and_then(|r| r.version.clone());
    let remembered = || standing.record.healthy_entry(name)?.version.clone();
    own.or_else(remembered)
        .map(|version| (name.clone(), version))
}

/// Build metadata does not order versions: `1.0.0+a` and `1.0.0+b` are one version.
fn same_precedence(a: &Version, b: &Version) -> bool {
    a.cmp_precedence(b) == std::cmp::Ordering::Equal
}

/// A block: where it is, and what serves.
pub(crate) fn blocked(standing: &Standing<'_>, code: Code, title: String) -> Diagnostic {
    Diagnostic::error(code, title)
        .at(standing.place())
        .state(standing.state_in_words())
}
