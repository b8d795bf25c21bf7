//! Against the local cloud: credentials, observation, the real planner, real rollouts of scripted
//! containers.

use std::sync::Arc;

use cloud_api::run::TRAFFIC_REVISION;
use delivery::plan::{Intent, Planned, Wanted, plan};
use delivery::snapshot::Snapshot;
use rsa::PrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use testkit::{Behaviour, World, api};

use super::*;
use crate::gcp::api::Api;
use crate::gcp::auth::{AuthInputs, TokenSource, discover};
use crate::gcp::endpoint::Endpoints;
use crate::gcp::run::{RunReader, RunWriter};
use crate::gcp::testing::{MaskList, quick_transport};
use crate::gcp::transport::Transport;
use crate::observe::observe;
use crate::secret::Secret;

const ACCOUNT: &str = "deployer@demo-project.iam.gserviceaccount.com";
/// Asks `/predict` and `/version`, with an ID token where one is needed.
struct Asker {
    transport: Transport,
    tokens: Arc<dyn TokenSource>,
}

impl Asker {
    async fn get(&self, base: &str, path: &str, audience: Option<&str>) -> Option<Value> {
        let url = format!("{base}{path}");
        let mut request = self.transport.client_for(&url).get(&url);
        if let Some(audience) = audience {
            let token = self.tokens.id_token(audience).await.ok()?;
            request = request.bearer_auth(token.expose());
        }
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }
}

#[async_trait]
impl Verifier for Asker {
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence> {
        let version = self.get(what.url, "/version", what.audience).await;
        let answered = version.as_ref().and_then(|json| json["commit"].as_str());
        let end = match (answered, what.commit) {
            (Some(answered), Some(commit)) if answered == commit.as_str() => CaseEnd::Passed,
            other => CaseEnd::Failed(vec![format!("{other:?}")]),
        };
        let case = CaseResult {
            name: "version".to_owned(),
            end,
            millis: 1,
        };
        vec![Evidence::new("api-tests", vec![case])]
    }

    fn tells_commit(&self) -> bool {
        true
    }

    async fn identity(&self, base_url: &str, audience: Option<&str>) -> Option<Identity> {
        let version = self.get(base_url, "/version", audience).await?;
        Some(Identity {
            commit: version["commit"].as_str()?.to_owned(),
            version: None,
        })
    }
}

/// A key of the account, known to the world.
async fn key(world: &World, transport: &Transport) -> Secret {
    let private = PrivateKey::new(&mut rand::rng(), 2048).unwrap();
    let public = private
        .to_public_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let url = format!("{}/_emulator/service-accounts", world.url());
    let account = json!({"email": ACCOUNT, "public_key_pem": public});
    let client = transport.client_for(&url);
    let answer = client.post(&url).json(&account).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let pem = private.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    let key = json!({"type": "service_account", "client_email": ACCOUNT, "private_key": pem,
        "private_key_id": "1", "token_uri": "https://oauth2.googleapis.com/token"});
    Secret::new(key.to_string())
}

struct Bench {
    world: World,
    reader: RunReader,
    asker: Asker,
}

impl Bench {
    async fn start() -> Self {
        let world = World::start("unused").await.unwrap();
        let (transport, _) = quick_transport();
        let endpoints = Endpoints::local(world.url()).unwrap();
        let inputs = AuthInputs {
            credentials_json: Some(key(&world, &transport).await),
            ..AuthInputs::default()
        };
        let masker = Arc::new(MaskList::default());
        let tokens = discover(inputs, &endpoints, &transport, masker)
            .await
            .unwrap();
        let api = Api::new(transport.clone(), endpoints, tokens.clone());
        Self {
            world,
            reader: RunReader::new(api),
            asker: Asker { transport, tokens },
        }
    }

    async fn seen(&self) -> Snapshot {
        let now = Timestamp(chrono::Utc::now().timestamp());
        observe(&self.reader, &target(), now).await.unwrap()
    }

    async fn planned(&self, commit: &str, digest: &str, run: &str) -> Planned {
        let spec = ServiceSpec {
            access: Access::Public,
            ..ServiceSpec::default()
        };
        let wanted = Wanted {
            intent: Intent::Promote {
                release: Release {
                    image: ImageReference {
                        repository: "us-central1-docker.pkg.dev/demo-project/ml/ml-api".to_owned(),
                        digest: ImageDigest::parse(digest).unwrap(),
                    },
                    commit: Commit::parse(commit).unwrap(),
                    version: None,
                },
                spec: Box::new(spec),
            },
            run: RunRef(run.to_owned()),
            run_attempt: 1,
            retry_rejected: false,
            began: false,
            lease_seconds: 600,
            strategy: delivery::strategy::Strategy::AT_ONCE,
            surroundings: delivery::plan::Surroundings::default(),
        };
        plan(&wanted, &self.seen().await)
    }

    async fn promote(&self, commit: &str, digest: &str, run: &str) -> ExecutionEnd {
        let plan = match self.planned(commit, digest, run).await {
            Planned::Proceed(plan) => plan,
            other => panic!("{other:?}"),
        };
        let mut writer = RunWriter::new(self.reader.clone(), target());
        let guard = Guard {
            confirm_grace: Duration::from_secs(20),
            ..guard()
        };
        execute(
            &plan,
            &mut writer,
            &self.asker,
            &EventList::default(),
            &guard,
        )
        .await
    }
}

#[tokio::test]
async fn first_deploy_promotion_and_failure_against_the_local_cloud() {
    let bench = Bench::start().await;
    let (one, two, three) = (World::commit(1), World::commit(2), World::commit(3));
    let first = bench.world.built(&one, api("setosa")).await.unwrap();
    let end = bench.promote(&one, &first, "1/1").await;
    assert!(matches!(end, ExecutionEnd::Done { .. }), "{end:?}");
    let again = bench.planned(&one, &first, "1/1").await;
    assert!(matches!(again, Planned::UpToDate { .. }), "{again:?}");

    let second = bench.world.built(&two, api("setosa")).await.unwrap();
    let end = bench.promote(&two, &second, "2/1").await;
    let ExecutionEnd::Done { tag_url, url, .. } = end else {
        panic!("{end:?}");
    };
    assert_ne!(tag_url.unwrap(), url);
    let service = bench.reader.service(&target()).await.unwrap().unwrap();
    let [serves, stands_by] = &service.traffic[..] else {
        panic!("{:?}", service.traffic);
    };
    assert_eq!(serves.kind, TRAFFIC_REVISION);
    assert_eq!(serves.percent, 100);
    assert!(stands_by.tag.starts_with("c-") && stands_by.percent == 0);
    assert!(service.invoker_iam_disabled);
    let before = bench.seen().await.service.unwrap();

    let crash = Behaviour::crash(&["ModuleNotFoundError: no module named model"]);
    let third = bench.world.built(&three, crash).await.unwrap();
    let stopped = stopped(bench.promote(&three, &third, "3/1").await);
    assert_eq!(stopped.code, Code::CandidateNotReady);
    assert!(
        stopped.cause[0].contains("failed to start and listen"),
        "{stopped:?}"
    );
    assert!(
        stopped
            .logs
            .iter()
            .any(|line| line.contains("ModuleNotFoundError")),
        "{stopped:?}"
    );
    let after = bench.seen().await.service.unwrap();
    assert_eq!(after.traffic, before.traffic);
    assert_eq!(after.access, Access::Public);
    let StateSeen::Known(record) = after.state else {
        panic!("{:?}", after.state);
    };
    assert_eq!(record.intent, None);
    assert_eq!(record.rejected.len(), 1);
    assert_eq!(record.healthy.len(), 2);
    let version = bench.asker.get(&url, "/version", None).await.unwrap();
    assert_eq!(version["commit"], two);
    bench.world.end().await;
}
