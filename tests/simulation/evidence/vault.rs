//! The place of evidence.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::attestation::record::DELIVERY_RECORD;
use delivery::attestation::test_result::TEST_RESULT;
use delivery::attestation::{
    DeliveryRecord, Envelope, Finding, ResourceDescriptor, SeenEvidence, Statement, TestResult,
    TrustedKey, judge_evidence,
};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::EnvironmentName;
use delivery::release::ImageDigest;
use delivery::spec::ConfigHash;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use ml_deploy::evidence::rule::{Archive, Shelf};
use ml_deploy::evidence::{EvidenceStore, Listed, NewEvidence, Signer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::{Fault, Moment, Process, World};

/// Tries of one request, as the real client has them.
const TRIES: u32 = 3;
/// Pause between them.
const PAUSE: Duration = Duration::from_millis(400);
/// How long nobody answers.
const SILENCE: Duration = Duration::from_secs(30);

/// Whether the environments have keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    None,
    Each,
}

/// The key of an environment: its name is the secret.
pub(super) struct SimulatedKey(String);

impl SimulatedKey {
    pub(super) fn of(environment: &str) -> Self {
        Self(format!("key of {environment}"))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        Sha256::digest([self.0.as_bytes(), message].concat()).to_vec()
    }

    fn signed(&self, envelope: Envelope) -> Envelope {
        let signature = self.signature(&envelope.to_be_signed());
        envelope.signed(self.0.clone(), signature)
    }
}

impl TrustedKey for SimulatedKey {
    fn id(&self) -> &str {
        &self.0
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.signature(message) == signature
    }
}

pub(super) fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).unwrap()
}

/// Everything that is attached, and what was seen that must not be.
pub(super) struct Vault {
    pub(super) keys: Keys,
    attached: Mutex<BTreeMap<String, Vec<SeenEvidence>>>,
    broken: Mutex<Vec<String>>,
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    pub(super) fn new(keys: Keys) -> Arc<Self> {
        Arc::new(Self {
            keys,
            attached: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    pub(super) fn breaks(&self, text: impl Into<String>) {
        let text = text.into();
        let mut broken = lock(&self.broken);
        if !broken.contains(&text) {
            broken.push(text);
        }
    }

    pub(super) fn broken(&self) -> Vec<String> {
        lock(&self.broken).clone()
    }

    fn of(&self, digest: &ImageDigest) -> Vec<SeenEvidence> {
        let attached = lock(&self.attached);
        attached.get(digest.as_str()).cloned().unwrap_or_default()
    }

    fn put(&self, digest: &ImageDigest, evidence: &NewEvidence) {
        let NewEvidence {
            envelope,
            environment,
            predicate_type,
            created,
        } = evidence.clone();
        let seen = SeenEvidence {
            envelope,
            environment: Some(environment),
            predicate_type: Some(predicate_type),
            created: Some(created),
        };
        let mut attached = lock(&self.attached);
        let all = attached.entry(digest.to_string()).or_default();
        if !all.contains(&seen) {
            all.push(seen);
        }
    }

    /// Somebody's pass of an environment, signed by whose key it may be.
    pub(super) fn vouch(&self, digest: &ImageDigest, name: &str, signed_by: Option<&str>) {
        let case = CaseResult {
            name: "one".to_owned(),
            end: CaseEnd::Passed,
            millis: 1,
        };
        let evidence = [Evidence::new("api-tests", vec![case])];
        let of = environment(name);
        let result = TestResult::of(&of, &ConfigHash("0".repeat(64)), None, &evidence);
        let subject = ResourceDescriptor::image("api", digest);
        let statement = Statement::about(subject, TEST_RESULT, result);
        let bare = Envelope::unsigned(statement.to_bytes());
        let envelope = match signed_by {
            Some(whose) => SimulatedKey::of(whose).signed(bare),
            None => bare,
        };
        let evidence = NewEvidence {
            envelope,
            environment: name.to_owned(),
            predicate_type: TEST_RESULT.to_owned(),
            created: String::new(),
        };
        self.put(digest, &evidence);
    }

    /// Whether the environment has passed with the image: by what lies there, not by what the program
    /// says.
    pub(super) fn has_passed(&self, digest: &ImageDigest, name: &str) -> bool {
        let key = SimulatedKey::of(name);
        let key = (self.keys == Keys::Each).then_some(&key as &dyn TrustedKey);
        let finding = judge_evidence(&self.of(digest), digest, &environment(name), key);
        match self.keys {
            Keys::None => matches!(finding, Finding::Unsigned(_)),
            Keys::Each => matches!(finding, Finding::Counts(_)),
        }
    }

    /// The verdicts of an environment on an image.
    pub(super) fn verdicts(&self, digest: &ImageDigest, name: &str) -> Vec<TestResult> {
        let statements = self.of(digest).into_iter();
        let results = statements.filter_map(|seen| {
            let statement = Statement::parse(&seen.envelope.payload)?;
            statement.predicate_as::<TestResult>(TEST_RESULT)
        });
        results
            .filter(|one| one.environment() == Some(name))
            .collect()
    }

    /// What is attached says no more than the service's record does.
    fn examine(&self, digest: &ImageDigest, evidence: &NewEvidence, record: &Value) {
        let healthy = record["healthy"].as_array().cloned().unwrap_or_default();
        let of_image = healthy
            .iter()
            .filter(|one| one["digest"] == digest.as_str());
        let of_image: Vec<&Value> = of_image.collect();
        let Some(statement) = Statement::parse(&evidence.envelope.payload) else {
            return self.breaks("something is attached that is no statement");
        };
        if !statement.is_about(digest) {
            self.breaks("what is attached is about another image");
        }
        if evidence.predicate_type == TEST_RESULT && of_image.is_empty() {
            self.breaks(format!(
                "a pass of {digest} is attached, and its record is not healthy"
            ));
        }
        let record = statement.predicate_as::<DeliveryRecord>(DELIVERY_RECORD);
        for service in record.into_iter().flat_map(|record| record.services) {
            let entry = of_image
                .iter()
                .find(|one| one["revision"] == service.revision.as_str());
            let run = entry.map(|one| &one["run"]);
            if run.is_none_or(|run| *run != service.run.as_str()) {
                self.breaks(format!(
                    "{} of run {} is said to have passed; the record says {run:?}",
                    service.revision, service.run
                ));
            }
        }
    }
}

/// The evidence as one run reaches it.
pub(super) struct SimulatedArchive {
    pub(super) vault: Arc<Vault>,
    pub(super) world: Arc<World>,
    pub(super) process: Arc<Process>,
    /// A mutant asks for no signature.
    pub(super) trusting: bool,
}

impl SimulatedArchive {
    /// One request, repeated as the real client repeats.
    async fn request<T>(
        &self,
        what: &str,
        writes: bool,
        effect: impl Fn() -> T,
    ) -> Result<T, Diagnostic> {
        let mut tries = 1;
        loop {
            match self.once(what, writes, &effect).await {
                Ok(done) => return Ok(done),
                Err(Some(problem)) => return Err(*problem),
                Err(None) if tries == TRIES => {
                    let title = format!("cannot {what}");
                    return Err(Diagnostic::error(Code::RegistryFailed, title));
                }
                Err(None) => tokio::time::sleep(PAUSE).await,
            }
            tries += 1;
        }
    }

    /// One try; an error without a problem is worth another one.
    async fn once<T>(
        &self,
        what: &str,
        writes: bool,
        effect: &impl Fn() -> T,
    ) -> Result<T, Option<Box<Diagnostic>>> {
        let arrival = self.world.arrive(&self.process, what, writes);
        if arrival.fault == Some(Fault::NotConnected) {
            return Err(None);
        }
        tokio::time::sleep(arrival.ways.0).await;
        if arrival.kill == Some(Moment::Before) {
            match self.process.die().await {}
        }
        match arrival.fault {
            Some(Fault::ResetBefore | Fault::TooMany(_) | Fault::Broken(_)) => return Err(None),
            Some(Fault::TimeoutBefore) => {
                tokio::time::sleep(SILENCE).await;
                return Err(None);
            }
            _ => {}
        }
        if self.world.now().trouble.revoked {
            let denied = Diagnostic::error(Code::PermissionDenied, format!("may not {what}"));
            return Err(Some(Box::new(denied)));
        }
        let done = effect();
        if arrival.kill == Some(Moment::After) {
            match self.process.die().await {}
        }
        match arrival.fault {
            Some(Fault::ResetAfter | Fault::BrokenAfter(_)) => return Err(None),
            Some(Fault::TimeoutAfter | Fault::Late(_)) => {
                tokio::time::sleep(SILENCE).await;
                return Err(None);
            }
            _ => {}
        }
        tokio::time::sleep(arrival.ways.1).await;
        Ok(done)
    }

    fn again(&self) -> Self {
        Self {
            vault: Arc::clone(&self.vault),
            world: Arc::clone(&self.world),
            process: Arc::clone(&self.process),
            trusting: self.trusting,
        }
    }
}

#[async_trait]
impl Archive for SimulatedArchive {
    async fn open(&self, environment: &EnvironmentName) -> Result<Shelf, Diagnostic> {
        let name = environment.as_str();
        let has_key = self.vault.keys == Keys::Each;
        if has_key {
            let what = format!("read the key of {name}");
            self.request(&what, false, || ()).await?;
        }
        let signer = SimulatedSigner {
            archive: self.again(),
            key: SimulatedKey::of(name),
        };
        let key = SimulatedKey::of(name);
        Ok(Shelf {
            store: Box::new(self.again()),
            key: (has_key && !self.trusting).then(|| Box::new(key) as Box<dyn TrustedKey>),
            signer: has_key.then(|| Box::new(signer) as Box<dyn Signer>),
        })
    }
}

#[async_trait]
impl EvidenceStore for SimulatedArchive {
    async fn list(&self, digest: &ImageDigest) -> Result<Vec<Listed>, Diagnostic> {
        let what = format!("list evidence {}", digest.short());
        let seen = self.request(&what, false, || self.vault.of(digest)).await?;
        let listed = seen.into_iter().enumerate().map(|(number, seen)| Listed {
            reference: number.to_string(),
            environment: seen.environment,
            predicate_type: seen.predicate_type,
            created: seen.created,
        });
        Ok(listed.collect())
    }

    async fn read(
        &self,
        digest: &ImageDigest,
        listed: &Listed,
    ) -> Result<Option<SeenEvidence>, Diagnostic> {
        let what = format!("read evidence {} of {}", listed.reference, digest.short());
        let number: usize = listed.reference.parse().unwrap();
        let read = || self.vault.of(digest).get(number).cloned();
        self.request(&what, false, read).await
    }

    async fn attach(&self, digest: &ImageDigest, evidence: &NewEvidence) -> Result<(), Diagnostic> {
        let kind = evidence.predicate_type.rsplit('/').nth(1);
        let what = format!("attach {} to {}", kind.unwrap_or_default(), digest.short());
        let put = || {
            let record = {
                let inner = self.world.now();
                let service = inner.cloud.service.as_ref();
                service.map(|one| one.record()).unwrap_or_default()
            };
            self.vault.examine(digest, evidence, &record);
            self.vault.put(digest, evidence);
        };
        self.request(&what, true, put).await
    }
}

/// The hand that signs.
struct SimulatedSigner {
    archive: SimulatedArchive,
    key: SimulatedKey,
}

#[async_trait]
impl Signer for SimulatedSigner {
    async fn sign(&self, envelope: Envelope) -> Result<Envelope, Diagnostic> {
        self.archive.request("sign", false, || ()).await?;
        Ok(self.key.signed(envelope))
    }
}
