//! A pass, as it is found and as it is attached. Works over any store and any hand that signs.

use std::future::ready;
use std::pin::pin;

use delivery::attestation::record::DELIVERY_RECORD;
use delivery::attestation::statement::ResourceDescriptor;
use delivery::attestation::test_result::TEST_RESULT;
use delivery::attestation::{
    DeliveryRecord, Envelope, Finding, SeenEvidence, Statement, TestResult, TrustedKey,
    judge_evidence,
};
use delivery::diagnostic::Diagnostic;
use delivery::name::EnvironmentName;
use delivery::release::{ImageDigest, ImageReference};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::{EvidenceStore, Listed, NewEvidence, Signer};

/// Attachments that are read at once.
const AT_ONCE: usize = 8;

/// An environment that passed with an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The image.
    pub image: ImageReference,
    /// The environment.
    pub environment: EnvironmentName,
    /// The verdict.
    pub result: TestResult,
    /// Everything else.
    pub record: DeliveryRecord,
}

/// Says whether an image passed an environment, by what is attached to it.
///
/// # Errors
/// When the store cannot be read.
pub async fn find_pass(
    store: &dyn EvidenceStore,
    digest: &ImageDigest,
    environment: &EnvironmentName,
    key: Option<&dyn TrustedKey>,
) -> Result<Finding, Diagnostic> {
    let mut listed = store.list(digest).await?;
    listed.sort_by(|one, other| {
        rank(one, environment)
            .cmp(&rank(other, environment))
            .then_with(|| other.created.cmp(&one.created))
            .then_with(|| one.reference.cmp(&other.reference))
    });
    let mut reads = pin!(reads(store, digest, &listed));
    let mut finding = Finding::Missing;
    while let Some(seen) = reads.try_next().await? {
        let next = judge_evidence(std::slice::from_ref(&seen), digest, environment, key);
        finding = finding.or(next);
        if finding.is_final(key.is_some()) {
            break;
        }
    }
    Ok(finding)
}

/// What is read first: what is said to be the environment's verdict, then what is said to be nothing
/// in particular, then the rest. All of it is read until a pass is found, so that nobody can hide one
/// behind many others.
fn rank(listed: &Listed, environment: &EnvironmentName) -> u8 {
    let is = |hint: &Option<String>, wanted: &str| hint.as_deref().is_none_or(|it| it == wanted);
    let of_it = is(&listed.environment, environment.as_str());
    let verdict = is(&listed.predicate_type, TEST_RESULT);
    match (of_it && verdict, &listed.environment) {
        (true, Some(_)) => 0,
        (true, None) => 1,
        (false, _) => 2,
    }
}

/// Reads all that is attached to a digest.
///
/// # Errors
/// When the store cannot be read.
pub async fn read_all(
    store: &dyn EvidenceStore,
    digest: &ImageDigest,
) -> Result<Vec<SeenEvidence>, Diagnostic> {
    let listed = store.list(digest).await?;
    reads(store, digest, &listed).try_collect().await
}

/// What these entries hold, in their order and some at a time; those that hold nothing are left out.
/// Nothing more is read when no more is asked for.
pub(super) fn reads<'a>(
    store: &'a dyn EvidenceStore,
    digest: &'a ImageDigest,
    listed: &'a [Listed],
) -> impl Stream<Item = Result<SeenEvidence, Diagnostic>> + Send + 'a {
    let reads: Vec<_> = listed.iter().map(|one| store.read(digest, one)).collect();
    stream::iter(reads)
        .buffered(AT_ONCE)
        .try_filter_map(|seen| ready(Ok(seen)))
}

/// Attaches to an image in another store what is attached to it here, as it is. What is there already
/// stays one. What claims the pass of one of the `later` environments is left: theirs lies in stores
/// of their own, and here it was written by somebody else.
///
/// # Errors
/// When a store cannot be read or written.
pub async fn copy_all(
    from: &dyn EvidenceStore,
    to: &dyn EvidenceStore,
    digest: &ImageDigest,
    later: &[EnvironmentName],
) -> Result<usize, Diagnostic> {
    let known = read_all(to, digest).await?;
    let mut copied = 0;
    for seen in read_all(from, digest).await? {
        if known.iter().any(|it| it.envelope == seen.envelope) {
            continue;
        }
        let claims = |name| {
            let one = std::slice::from_ref(&seen);
            matches!(
                judge_evidence(one, digest, name, None),
                Finding::Unsigned { .. }
            )
        };
        if later.iter().any(claims) {
            continue;
        }
        let SeenEvidence {
            envelope,
            environment,
            predicate_type,
            created,
        } = seen;
        let evidence = NewEvidence {
            envelope,
            environment: environment.unwrap_or_default(),
            predicate_type: predicate_type.unwrap_or_default(),
            created: created.unwrap_or_default(),
        };
        to.attach(digest, &evidence).await?;
        copied += 1;
    }
    Ok(copied)
}

/// Attaches a pass: the record first, for the verdict is what the next environment asks for.
///
/// # Errors
/// When it cannot be signed or attached. What was attached so far stays, and counts for nothing.
pub async fn attach_pass(
    store: &dyn EvidenceStore,
    signer: Option<&dyn Signer>,
    pass: &Pass,
) -> Result<(), Diagnostic> {
    let Pass {
        image,
        environment,
        result,
        record,
    } = pass;
    let subject = ResourceDescriptor::image(image.repository.clone(), &image.digest);
    let statements = [
        (
            DELIVERY_RECORD,
            Statement::about(subject.clone(), DELIVERY_RECORD, record).to_bytes(),
        ),
        (
            TEST_RESULT,
            Statement::about(subject, TEST_RESULT, result).to_bytes(),
        ),
    ];
    for (predicate_type, payload) in statements {
        let bare = Envelope::unsigned(payload);
        let envelope = match signer {
            Some(signer) => signer.sign(bare).await?,
            None => bare,
        };
        let evidence = NewEvidence {
            envelope,
            environment: environment.to_string(),
            predicate_type: predicate_type.to_owned(),
            created: record.passed_at.clone(),
        };
        store.attach(&image.digest, &evidence).await?;
    }
    Ok(())
}
