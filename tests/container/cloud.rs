//! A local cloud of a test: in this process, with real containers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use emulator::admin::{Fault, Rule};
use emulator::github::{EnvironmentSettings, Reviewer};
use emulator::runtime::DockerRuntime;
use emulator::{Config, Emulator};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::engine;

pub(crate) const PROJECT: &str = "demo-project";
pub(crate) const REGION: &str = "us-central1";
pub(crate) const OWNER: &str = "acme";
pub(crate) const REPOSITORY: &str = "ml-api";
/// Where GitHub's tokens are exchanged.
pub(crate) const PROVIDER: &str =
    "projects/1/locations/global/workloadIdentityPools/github/providers/github";
/// Who looks, in the tests themselves.
const OBSERVER: &str = "observer@demo-project.iam.gserviceaccount.com";
/// How long a new address may take to answer in a test.
const ANSWER: Duration = Duration::from_secs(20);

/// From where the local cloud must be reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// From this machine, and from containers on its network, as `act` starts them.
    Host,
    /// From containers on the engine's bridge, as the runner starts them.
    Bridge,
}

/// A local cloud that ends with the test.
pub(crate) struct Cloud {
    runtime: Runtime,
    emulator: Option<Emulator>,
    address: IpAddr,
    client: reqwest::Client,
}

impl Cloud {
    /// Starts one on a free port.
    #[track_caller]
    pub(crate) fn start(reach: Reach) -> Self {
        engine::require();
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Runtime::new().expect("a runtime");
        let address = match reach {
            Reach::Host => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Reach::Bridge => engine::bridge_gateway(),
        };
        let emulator = runtime.block_on(async {
            let containers = DockerRuntime::connect().await.expect("a Docker engine");
            let mut config = Config::loopback(containers);
            if reach == Reach::Bridge {
                // dockerd takes plain HTTP from a loopback registry only, so both addresses answer.
                config.listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
                config.data_plane = address;
            }
            config.propagation_ms = 300;
            Emulator::start(config).await.expect("a local cloud")
        });
        Self {
            runtime,
            emulator: Some(emulator),
            address,
            client: reqwest::Client::new(),
        }
    }

    /// Base of every API.
    pub(crate) fn url(&self) -> String {
        let port = self.world().config.listen.port();
        format!("http://{}:{port}", self.address)
    }

    /// Where a job asks for its OIDC token, up to the name of its GitHub environment.
    pub(crate) fn id_token_url(&self, git_ref: &str, commit: &str) -> String {
        format!(
            "{}/_github/oidc?repository={OWNER}/{REPOSITORY}&ref={git_ref}&sha={commit}&environment=",
            self.url()
        )
    }

    /// Says who must approve jobs of a GitHub environment; nobody: none is needed.
    pub(crate) fn set_reviewers(&self, environment: &str, names: &[&str]) {
        let reviewers = names.iter().map(|name| Reviewer {
            kind: "User".to_owned(),
            name: (*name).to_owned(),
        });
        let settings = EnvironmentSettings {
            reviewers: reviewers.collect(),
            ..EnvironmentSettings::default()
        };
        let world = self.world();
        let now = world.clock.now();
        world
            .github
            .set_environment((OWNER, REPOSITORY), environment, settings, now);
    }

    /// A service as the Admin API shows it, if it exists.
    pub(crate) fn service(&self, name: &str) -> Option<Service> {
        let url = format!(
            "{}/v2/projects/{PROJECT}/locations/{REGION}/services/{name}",
            self.url()
        );
        let token = self.world().tokens.issue_local(OBSERVER);
        self.runtime.block_on(async {
            let answer = self
                .client
                .get(url)
                .bearer_auth(token)
                .send()
                .await
                .unwrap();
            (answer.status() != 404).then_some(())?;
            Some(Service(answer.json().await.unwrap()))
        })
    }

    /// Posts JSON to a service with an ID token, as a caller does who may; waits while a new address
    /// answers 404.
    #[track_caller]
    pub(crate) fn call(&self, service: &Service, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}{path}", service.url());
        let deadline = Instant::now() + ANSWER;
        self.runtime.block_on(async {
            let token = self.id_token(service.url()).await;
            loop {
                let request = match body {
                    Some(body) => self.client.post(&url).json(body),
                    None => self.client.get(&url),
                };
                let answer = request.bearer_auth(&token).send().await.unwrap();
                let status = answer.status().as_u16();
                if status != 404 || Instant::now() > deadline {
                    return (status, answer.json().await.unwrap_or_default());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    }

    /// A prediction of the sample.
    #[track_caller]
    pub(crate) fn predict(&self, service: &Service) -> Value {
        let setosa = json!({
            "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2
        });
        let (status, answer) = self.call(service, "/predict", Some(&setosa));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn id_token(&self, audience: &str) -> String {
        let url = format!(
            "{}/v1/projects/-/serviceAccounts/{OBSERVER}:generateIdToken",
            self.url()
        );
        let answer: Value = self
            .client
            .post(url)
            .bearer_auth(self.world().tokens.issue_local(OBSERVER))
            .json(&json!({"audience": audience, "includeEmail": true}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["token"].as_str().expect("an ID token").to_owned()
    }

    /// Holds requests for this long before they take effect; the next `count` of them.
    pub(crate) fn hold(&self, point: &str, count: u64, time: Duration) {
        let rule = Rule {
            point: point.to_owned(),
            count: Some(count),
            fault: Fault {
                delay_ms: u64::try_from(time.as_millis()).unwrap(),
                ..Fault::default()
            },
        };
        rule.check().unwrap();
        self.world().faults.add(rule);
    }

    fn world(&self) -> &emulator::World {
        self.emulator.as_ref().expect("a running cloud").world()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            self.runtime.block_on(emulator.stop());
        }
    }
}

/// A service of Cloud Run.
#[derive(Debug, Clone)]
pub(crate) struct Service(Value);

impl Service {
    /// Its address.
    #[track_caller]
    pub(crate) fn url(&self) -> &str {
        self.0["uri"].as_str().expect("the service's address")
    }

    /// `(revision, percent)` of what has traffic.
    pub(crate) fn traffic(&self) -> Vec<(String, u64)> {
        let statuses = self.0["trafficStatuses"].as_array().cloned();
        statuses
            .unwrap_or_default()
            .iter()
            .filter_map(|status| {
                let percent = status["percent"].as_u64().filter(|percent| *percent > 0)?;
                Some((last_segment(&status["revision"]), percent))
            })
            .collect()
    }

    /// The record of ml-deploy; null where there is none.
    pub(crate) fn record(&self) -> Value {
        let text = self.0["annotations"]["ml-deploy/state"].as_str();
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// The newest revision, ready or not.
    pub(crate) fn revision_being_made(&self) -> Option<String> {
        self.0["latestCreatedRevision"]
            .is_string()
            .then(|| last_segment(&self.0["latestCreatedRevision"]))
    }

    /// `sha256:…` of the image that the newest revision was made of.
    #[track_caller]
    pub(crate) fn digest(&self) -> String {
        let image = self.0["template"]["containers"][0]["image"]
            .as_str()
            .expect("an image");
        let (_, digest) = image
            .split_once('@')
            .unwrap_or_else(|| panic!("no digest: {image}"));
        digest.to_owned()
    }
}

fn last_segment(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.rsplit('/').next().unwrap_or_default().to_owned()
}
