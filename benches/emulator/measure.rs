//! What is asked, and how long the answers take.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::Failure;

const PARENT: &str = "/v2/projects/demo/locations/us-central1";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Requests at a time where a rate is measured.
const AT_A_TIME: usize = 16;
/// Requests for the rate of reads.
const READS: usize = 10_000;

/// Bytes of memory.
pub(crate) struct Sizes {
    /// Resident.
    pub(crate) resident: u64,
}

/// Memory of a process.
pub(crate) fn memory(process: u32) -> Result<Sizes, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.ok_or("the system tells no memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(Sizes {
        resident: kilobytes << 10,
    })
}

/// The value below which this part of the sorted times lies.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let index = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(index).copied().unwrap_or_default()
}

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub(crate) async fn new(base: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let account =
            json!({"email": "bench@demo.iam.gserviceaccount.com", "lifetime_seconds": 43_200});
        let answer = http
            .post(format!("{base}/_emulator/tokens"))
            .json(&account)
            .send()
            .await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        let token = answer["access_token"].as_str().ok_or("no token")?;
        Ok(Self {
            http,
            base: base.to_owned(),
            token: token.to_owned(),
        })
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.base);
        let request = self.http.request(method.parse()?, url);
        let mut request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    pub(crate) async fn push_image(&self) -> Result<(), Failure> {
        let config = "{}";
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(config)));
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config":
            {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}});
        let blob = format!(
            "{}/v2/demo/ml/api/blobs/uploads/?digest={digest}",
            self.base
        );
        let tag = format!("{}/v2/demo/ml/api/manifests/v1", self.base);
        let blob = self.http.post(blob).body(config);
        let tag = self.http.put(tag).header("content-type", MANIFEST);
        for request in [blob, tag.body(manifest.to_string())] {
            let answer = request.bearer_auth(&self.token).send().await?;
            answer.error_for_status()?;
        }
        Ok(())
    }

    /// Calls `work` with each number of the range, some at a time.
    async fn each<F>(
        &self,
        numbers: Range<usize>,
        work: impl Fn(Self, usize) -> F + Clone + Send + 'static,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>> + Send,
    {
        let next = Arc::new(AtomicUsize::new(numbers.start));
        let mut workers = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (client, next, work) = (self.clone(), Arc::clone(&next), work.clone());
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return Ok::<(), Failure>(());
                    }
                    work(client.clone(), number).await?;
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Creates services, each with its rollout waited for.
    pub(crate) async fn create(&self, numbers: Range<usize>) -> Result<(), Failure> {
        self.each(numbers, |client, number| async move {
            let body = json!({"template": {"containers": [{"image": "us-central1-docker.pkg.dev/demo/ml/api:v1",
                "startupProbe": {"httpGet": {"path": "/"}}}]}});
            let path = format!("{PARENT}/services?serviceId=s-{number}");
            let operation = client.call("POST", &path, Some(body)).await?;
            let name = operation["name"].as_str().ok_or("no name")?;
            let ended = client.call("POST", &format!("/v2/{name}:wait"), Some(json!({}))).await?;
            if ended["error"].is_null() { Ok(()) } else { Err(ended.to_string().into()) }
        })
        .await
    }

    /// Opens a service to everyone; gives its address.
    pub(crate) async fn public(&self, number: usize) -> Result<String, Failure> {
        let path = format!("{PARENT}/services/s-{number}?updateMask=invokerIamDisabled");
        let body = json!({"invokerIamDisabled": true});
        let operation = self.call("PATCH", &path, Some(body)).await?;
        let name = operation["name"].as_str().ok_or("no name")?;
        self.call("POST", &format!("/v2/{name}:wait"), Some(json!({})))
            .await?;
        let service = self
            .call("GET", &format!("{PARENT}/services/s-{number}"), None)
            .await?;
        Ok(service["uri"].as_str().ok_or("no address")?.to_owned())
    }

    /// Reads of single services a second.
    pub(crate) async fn gets(&self, services: usize) -> Result<f64, Failure> {
        let begun = Instant::now();
        self.each(0..READS, move |client, number| async move {
            let path = format!("{PARENT}/services/s-{}", number * 7919 % services);
            client.call("GET", &path, None).await.map(|_| ())
        })
        .await?;
        Ok(READS as f64 / begun.elapsed().as_secs_f64())
    }

    /// The median of this many calls.
    async fn median(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Duration, Failure> {
        let mut times = Vec::new();
        for _ in 0..21 {
            let begun = Instant::now();
            self.call(method, path, body.clone()).await?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(quantile(&times, 0.5))
    }

    /// Time of a page of twenty services.
    pub(crate) async fn list(&self) -> Result<Duration, Failure> {
        let path = format!("{PARENT}/services?pageSize=20");
        self.median("GET", &path, None).await
    }

    /// Time of the newest lines of one service.
    pub(crate) async fn logs(&self, number: usize) -> Result<Duration, Failure> {
        let filter =
            format!("resource.type=cloud_run_revision AND resource.labels.service_name=s-{number}");
        let body = json!({"resourceNames": ["projects/demo"], "filter": filter,
            "orderBy": "timestamp desc", "pageSize": 20});
        self.median("POST", "/v2/entries:list", Some(body)).await
    }

    /// Times of single requests, one after the other, sorted.
    pub(crate) async fn latencies(
        &self,
        url: &str,
        count: usize,
    ) -> Result<Vec<Duration>, Failure> {
        let mut times = Vec::with_capacity(count);
        for number in 0..count + 100 {
            let begun = Instant::now();
            let answer = self.http.get(url).send().await?.error_for_status()?;
            answer.bytes().await?;
            // The first ones warm up.
            if number >= 100 {
                times.push(begun.elapsed());
            }
        }
        times.sort_unstable();
        Ok(times)
    }
}
