//! Stands below the program's transport: carries its requests to the model, or loses them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ml_deploy::gcp::error::Failure;
use ml_deploy::gcp::transport::{Answer, Exchange, Request, Unanswered};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use crate::cloud::{Event, HttpAnswer, HttpRequest};
use crate::world::{Fault, Moment, Process, World};

/// Changes what is sent: how a mutant of the program would behave.
pub(crate) type Bend = fn(&mut HttpRequest);

/// The network between a run and one region.
pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
    pub(crate) bend: Option<Bend>,
    /// Nothing goes wrong, and nobody counts.
    pub(crate) quiet: bool,
}

/// The networks of all regions of a run, by their names.
pub(crate) struct Network {
    pub(crate) wires: Vec<(String, Wire)>,
}

/// Where the model is, whatever region it stands for.
const HOME: &str = "/locations/us-central1/";

#[async_trait]
impl Exchange for Network {
    async fn exchange(&self, mut request: Request) -> Result<Answer, Unanswered> {
        let place = |region: &str| format!("/locations/{region}/");
        let path = request.url.path().to_owned();
        let is_there = |(region, _): &&(String, Wire)| path.contains(&place(region));
        let (region, wire) = self.wires.iter().find(is_there).unwrap_or(&self.wires[0]);
        let place = place(region);
        if place == HOME {
            return wire.exchange(request).await;
        }
        request.url.set_path(&path.replace(&place, HOME));
        let answer = wire.exchange(request).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let body = text.replace(HOME, &place).into_bytes();
        Ok(Answer { body, ..answer })
    }

    fn chance(&self) -> f64 {
        self.wires[0].1.chance()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("simulated")]
struct Simulated;

fn unanswered(failure: Failure) -> Unanswered {
    Unanswered {
        failure,
        source: Arc::new(Simulated),
    }
}

#[async_trait]
impl Exchange for Wire {
    async fn exchange(&self, request: Request) -> Result<Answer, Unanswered> {
        let timeout = request.timeout;
        let request = self.understood(request);
        if self.quiet {
            let answer = self.world.now().cloud.handle(&request);
            return Ok(sent(&answer));
        }
        tokio::time::timeout(timeout, self.carried(request, timeout))
            .await
            .unwrap_or_else(|_| Err(unanswered(Failure::TimedOut)))
    }

    fn chance(&self) -> f64 {
        self.world.now().random.unit()
    }
}

impl Wire {
    fn understood(&self, request: Request) -> HttpRequest {
        let Request {
            method,
            url,
            headers: _,
            body,
            timeout: _,
        } = request;
        let body = body.unwrap_or_default();
        let mut request = HttpRequest {
            run: self.process.run.clone(),
            method: method.to_string(),
            path: url.path().to_owned(),
            query: url
                .query_pairs()
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        if let Some(bend) = self.bend {
            bend(&mut request);
        }
        request
    }

    async fn carried(&self, request: HttpRequest, timeout: Duration) -> Result<Answer, Unanswered> {
        let words = request.in_words();
        let arrival = self.world.arrive(&self.process, &words, request.writes());
        if arrival.fault == Some(Fault::NotConnected) {
            return Err(unanswered(Failure::NotConnected));
        }
        tokio::time::sleep(arrival.ways.0).await;
        if arrival.kill == Some(Moment::Before) {
            match self.process.die().await {}
        }
        let never = || tokio::time::sleep(timeout * 2);
        match arrival.fault {
            Some(Fault::ResetBefore) => return Err(unanswered(Failure::Lost)),
            Some(Fault::TimeoutBefore) => never().await,
            Some(Fault::Late(after)) => {
                let late = Event::Late(Box::new(request.clone()));
                self.world.now().cloud.schedule(timeout + after, late);
                never().await;
            }
            Some(Fault::TooMany(seconds)) => return Ok(refused(429, Some(seconds))),
            Some(Fault::Broken(status)) => return Ok(refused(status, None)),
            _ => {}
        }
        let answer = self.answered(&request).await;
        {
            let line = format!("#{} → {}", arrival.number, answer.status);
            self.world.now().note(&line);
        }
        if arrival.kill == Some(Moment::After) {
            match self.process.die().await {}
        }
        match arrival.fault {
            Some(Fault::ResetAfter) => return Err(unanswered(Failure::Lost)),
            Some(Fault::TimeoutAfter) => never().await,
            Some(Fault::BrokenAfter(status)) => return Ok(refused(status, None)),
            _ => {}
        }
        tokio::time::sleep(arrival.ways.1).await;
        Ok(sent(&answer))
    }

    /// The model's answer; a `:wait` is held until something happens.
    async fn answered(&self, request: &HttpRequest) -> HttpAnswer {
        let longest = Duration::from_secs(30);
        let begun = tokio::time::Instant::now();
        loop {
            let due = {
                let mut inner = self.world.now();
                if inner.trouble.revoked {
                    return denied();
                }
                let pause = inner.cloud.next_due();
                if !inner.cloud.holds(request) || begun.elapsed() >= longest {
                    return inner.carry_out(request, self.process.told());
                }
                pause
            };
            let until = due.map_or(begun + longest, |due| self.world.begun + due);
            tokio::time::sleep_until(until.min(begun + longest)).await;
        }
    }
}

fn sent(answer: &HttpAnswer) -> Answer {
    Answer {
        status: answer.status,
        headers: HeaderMap::new(),
        body: answer.body.to_string().into_bytes(),
    }
}

fn denied() -> HttpAnswer {
    crate::cloud::error(
        403,
        "PERMISSION_DENIED",
        "Permission 'run.services.update' denied on resource (or resource may not exist).",
    )
}

fn refused(status: u16, retry_after: Option<u64>) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let answer = crate::cloud::error(status, "", "simulated");
    Answer {
        status,
        headers,
        body: answer.body.to_string().into_bytes(),
    }
}
