//! Bring a release.

use super::candidate::{find_existing, next_candidate, tag_of};
use super::finish::{self, Demand};
use super::guard::{self, COMMIT_VARIABLE, VERSION_VARIABLE};
use super::standing::Standing;
use super::steps::{Bring, Change, following_latest, steps};
use super::{NewRevision, Outlook, Plan, Planned, Wanted};
use crate::diagnostic::{Code, Diagnostic};
use crate::release::Release;
use crate::snapshot::{ServiceCondition, StateSeen};
use crate::spec::{Access, ServiceSpec};
use crate::state::{BroughtBy, RELEASE_ANNOTATION, RevisionRecord};

pub(crate) fn plan(
    wanted: &Wanted,
    standing: &Standing<'_>,
    release: &Release,
    spec: &ServiceSpec,
) -> Planned {
    let mut blocks = guard::common(wanted, standing);
    let full_spec = told_what_it_is(spec, release);
    let config = full_spec.hash();
    blocks.extend(guard::promotion(wanted, standing, release, spec, &config));
    let change = match change(wanted, standing, release, full_spec) {
        Ok(change) if blocks.is_empty() => change,
        Ok(_) => return Planned::Blocked(blocks),
        Err(diagnostic) => {
            blocks.push(diagnostic);
            return Planned::Blocked(blocks);
        }
    };
    let revision = change.revision().clone();
    let label = change.label.clone();
    let steps = match standing.service {
        Some(service) if standing.serves_alone(&revision) && !standing.nothing_tested_serves() => {
            finish::steps(wanted, standing, service, &change, Demand::Recorded)
        }
        _ => steps(wanted, standing, change),
    };
    if steps.is_empty() {
        return Planned::UpToDate {
            because: format!("{label} with this configuration serves 100 %, tested and recorded"),
            revision,
        };
    }
    let others = standing.others(&revision, Some(&release.commit));
    Planned::Proceed(Plan {
        target: standing.target.clone(),
        run: wanted.run.clone(),
        etag: standing.service.map(|seen| seen.etag.clone()),
        revision,
        before: standing.state_in_words(),
        others,
        steps,
        warnings: warnings(standing),
        outlook: Outlook::default(),
    })
}

/// The configuration with the variables that tell the container its commit and version. They count
/// in its hash: two versions of one commit are two revisions, or the service could not answer which
/// of them it is.
fn told_what_it_is(spec: &ServiceSpec, release: &Release) -> ServiceSpec {
    let mut spec = spec.clone();
    let commit = release.commit.as_str().to_owned();
    spec.env_vars.insert(COMMIT_VARIABLE.to_owned(), commit);
    spec.env_vars
        .insert(VERSION_VARIABLE.to_owned(), release.label());
    spec
}

fn change(
    wanted: &Wanted,
    standing: &Standing<'_>,
    release: &Release,
    spec: ServiceSpec,
) -> Result<Change, Diagnostic> {
    let config = spec.hash();
    let access = Some(spec.access);
    let existing = find_existing(standing, &release.image.digest, &config)
        .and_then(Standing::own_record)
        .cloned();
    let (bring, tag, record) = match existing {
        Some(record) => {
            let tag = tag_of(&standing.target.service, &record.revision)?;
            (Bring::Existing(record.revision.clone()), tag, record)
        }
        None => {
            let candidate = next_candidate(standing, release, &config)?;
            let record = RevisionRecord {
                revision: candidate.revision,
                digest: release.image.digest.clone(),
                config,
                attempt: candidate.attempt,
                version: release.version.clone(),
                commit: release.commit.clone(),
            };
            let new = NewRevision {
                record: record.clone(),
                release: release.clone(),
                spec,
            };
            (Bring::New(Box::new(new)), candidate.tag, record)
        }
    };
    Ok(Change {
        bring,
        tag,
        commit: Some(release.commit.clone()),
        label: release.label(),
        access,
        end: standing.record.recorded_healthy(
            record
                .healthy(standing.now, wanted.run.clone(), BroughtBy::Promotion)
                .after_access(access_before(standing, access))
                .together(&wanted.surroundings.regions),
        ),
        rejects: Some(record),
    })
}

/// Who could call before this run, or a dead one that it takes up, changed that; nothing is to be
/// remembered of a service that nobody depended on.
fn access_before(standing: &Standing<'_>, wanted: Option<Access>) -> Option<Access> {
    if standing.nothing_tested_serves() {
        return None;
    }
    let seen = standing.service.map(|seen| seen.access);
    let changed = seen.filter(|seen| wanted.is_some_and(|wanted| wanted != *seen));
    standing.left_access().or(changed)
}

/// What was found that somebody should know.
pub(crate) fn warnings(standing: &Standing<'_>) -> Vec<Diagnostic> {
    let Some(service) = standing.service else {
        return Vec::new();
    };
    let warn = |title: String| Diagnostic::warning(Code::ForeignChange, title).at(standing.place());
    let mut warnings = Vec::new();
    let ready = service.latest_ready.as_ref();
    let is_ours = |name| standing.record_of(name).is_some();
    if service.traffic.follows_latest() && !standing.nothing_tested_serves() {
        let name = ready.map_or_else(|| "nothing".to_owned(), |name| format!("`{name}`"));
        warnings.push(
            warn(format!("traffic followed LATEST, which is {name}: it is pinned from now on"))
                .help("deploy with ml-deploy only, or with `--no-traffic`: others' deployments get no traffic any more"),
        );
    }
    if let Some(foreign) = ready.filter(|name| !is_ours(name)) {
        warnings.push(warn(format!(
            "the latest ready revision `{foreign}` was made by another tool"
        )));
    }
    for tag in following_latest(&standing.foreign_tags()) {
        warnings.push(warn(format!(
            "tag `{tag}` follows LATEST: while a candidate is tested it stays where it is now"
        )));
    }
    if service.condition == ServiceCondition::Reconciling {
        warnings.push(warn(
            "a change of the service is under way; this run's writes are refused if it ends first, and planned again".to_owned(),
        ));
    }
    if service.state == StateSeen::Absent
        && service.revisions.iter().any(|seen| is_ours(&seen.name))
    {
        warnings.push(
            warn("the service's record is missing: which revisions were healthy or rolled back is not known".to_owned())
                .cause(format!("revisions carry `{RELEASE_ANNOTATION}`, the service carries nothing"))
                .help("roll back by revision name until releases are recorded again"),
        );
    }
    warnings
}
