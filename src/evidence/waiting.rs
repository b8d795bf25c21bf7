//! What a step leaves of a candidate that waits, and how the step that promotes it finds that.

use delivery::attestation::candidate::CANDIDATE_RECORD;
use delivery::attestation::{
    CandidateRecord, Envelope, ResourceDescriptor, SeenEvidence, Statement, TrustedKey, Waiting,
};
use delivery::diagnostic::Diagnostic;
use delivery::name::RevisionName;
use delivery::outcome::Outcome;
use delivery::target::Target;
use delivery::verdict::Evidence;
use futures_util::TryStreamExt as _;

use super::pass::reads;
use super::rule::Proven;
use super::{EvidenceStore, Listed, NewEvidence, Signer};
use crate::deliver::regions::Landed;

/// A candidate, or what became of it.
pub(super) fn waiting(target: &Target, revision: &RevisionName) -> Waiting {
    Waiting {
        service: target.resource_name(),
        revision: revision.to_string(),
    }
}

/// Attaches what was measured of the candidates that wait.
///
/// # Errors
/// When it cannot be signed or attached.
pub(super) async fn leave(
    proven: &Proven<'_>,
    landed: &[Landed],
    store: &dyn EvidenceStore,
    signer: Option<&dyn Signer>,
) -> Result<(), Diagnostic> {
    let image = &proven.release.image;
    let sites = proven.targets.iter().zip(landed);
    let candidates = sites.filter_map(|(target, landed)| match &landed.outcome {
        Outcome::Waiting { revision, .. } => Some(waiting(target, revision)),
        _ => None,
    });
    let without_pictures = |one: Evidence| Evidence {
        plots: Vec::new(),
        ..one
    };
    let passed_at = proven.guard.clock.now().to_string();
    let record = CandidateRecord {
        environment: proven.rule.environment.to_string(),
        candidates: candidates.collect(),
        run: proven.author.run.clone(),
        passed_at: passed_at.clone(),
        evidence: (proven.measured)()
            .into_iter()
            .map(without_pictures)
            .collect(),
    };
    let subject = ResourceDescriptor::image(image.repository.clone(), &image.digest);
    let statement = Statement::about(subject, CANDIDATE_RECORD, &record);
    let bare = Envelope::unsigned(statement.to_bytes());
    let envelope = match signer {
        Some(signer) => signer.sign(bare).await?,
        None => bare,
    };
    let evidence = NewEvidence {
        envelope,
        environment: record.environment,
        predicate_type: CANDIDATE_RECORD.to_owned(),
        created: passed_at,
    };
    store.attach(&image.digest, &evidence).await
}

/// What an earlier step of this run measured of all of `promoted`; `None` when it left nothing that
/// counts.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn find(
    proven: &Proven<'_>,
    promoted: &[Waiting],
    store: &dyn EvidenceStore,
    key: Option<&dyn TrustedKey>,
) -> Result<Option<CandidateRecord>, Diagnostic> {
    let digest = &proven.release.image.digest;
    let is_one = |one: &Listed| {
        let kind = one.predicate_type.as_deref();
        kind.is_none_or(|kind| kind == CANDIDATE_RECORD)
    };
    let listed: Vec<Listed> = store
        .list(digest)
        .await?
        .into_iter()
        .filter(is_one)
        .collect();
    let seen: Vec<SeenEvidence> = reads(store, digest, &listed).try_collect().await?;
    let records = seen.iter().filter_map(|seen| {
        CandidateRecord::read(seen, digest, proven.rule.environment, key)
            .filter(|record| record.is_of(&proven.author.run, promoted))
    });
    Ok(records.max_by(|one, other| one.passed_at.cmp(&other.passed_at)))
}
