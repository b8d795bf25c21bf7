//! Requests to a registry: credentials, the token flow, retries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use delivery::event::{Event, EventSink};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::error::RegistryError;
use crate::gcp::endpoint::is_near;
use crate::gcp::error::Tries;
use crate::gcp::transport::nobody_listens;
use crate::secret::Secret;

/// User name under which Artifact Registry takes an access token as the password.
pub(crate) const TOKEN_USER: &str = "oauth2accesstoken";
/// How often a request is sent before it is given up.
const TRIES: u32 = 5;
/// Pause after the first failure; doubled each time: 0.25, 0.5, 1, 2 s.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause that a registry can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// For one request. Manifests are small.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The specification asks clients and registries to accept manifests up to 4 MiB.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Kinds of manifests that are asked for.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// From `/v2/`, or a whole URL of the same host.
    pub(super) path: String,
    /// Media type and bytes.
    pub(super) body: Option<(&'a str, &'a [u8])>,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The registry's error.
    pub(super) fn refusal(&self) -> RegistryError {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let status = self.status.as_u16();
        let first = serde_json::from_slice::<Errors>(&self.body).ok();
        match first.and_then(|errors| errors.errors.into_iter().next()) {
            Some(One { code, message }) => RegistryError::Refused {
                status,
                tries: Tries::default(),
                code,
                message,
            },
            None => RegistryError::Refused {
                status,
                tries: Tries::default(),
                code: String::new(),
                message: String::from_utf8_lossy(&self.body)
                    .chars()
                    .take(300)
                    .collect(),
            },
        }
    }
}

/// Sends requests to one registry.
pub(super) struct Http {
    client: reqwest::Client,
    base_url: Url,
    credential: Option<Secret>,
    /// What the token endpoint gave for the credential.
    token: Mutex<Option<Secret>>,
    /// Is told of each repetition.
    sink: Option<Arc<dyn EventSink>>,
}

impl Http {
    pub(super) fn new(client: reqwest::Client, base_url: Url, credential: Option<Secret>) -> Self {
        Self {
            client,
            base_url,
            credential,
            token: Mutex::new(None),
            sink: None,
        }
    }

    /// Tells each repetition.
    pub(super) fn telling(self, sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink: Some(sink),
            ..self
        }
    }

    /// Sends until there is an answer other than 429 and 5xx; gets a token when the registry wants
    /// one. Every request that is sent here can be repeated.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let tries = |count| Tries {
                count,
                elapsed: started.elapsed(),
            };
            let (why, wanted_pause) = match self.with_token(ask).await {
                Ok(answer) if !is_transient(answer.status) => return Ok(answer),
                Ok(answer) if attempt == TRIES => {
                    return Err(answer.refusal().after(tries(attempt)));
                }
                Ok(answer) => {
                    let why = format!("answered {}", answer.status.as_u16());
                    (why, retry_after(&answer.headers))
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient(causes)) if attempt == TRIES => {
                    return Err(RegistryError::Unanswered {
                        tries: tries(attempt),
                        causes,
                    });
                }
                Err(Failure::Transient(_)) => ("no answer came".to_owned(), None),
            };
            let wait = wanted_pause.unwrap_or(pause).min(LONGEST_PAUSE);
            attempt += 1;
            if let Some(sink) = &self.sink {
                sink.emit(Event::Note(format!(
                    "{} {}{}: {why}; try {attempt} of {TRIES} in {:.1} s",
                    ask.method,
                    self.base_url.host_str().unwrap_or_default(),
                    ask.path.split('?').next().unwrap_or_default(),
                    wait.as_secs_f64()
                )));
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
    }

    fn elsewhere(&self, target: &str) -> Result<Url, RegistryError> {
        let refused = |why: &str| RegistryError::Unexpected(format!("it sends elsewhere, {why}"));
        let url = self
            .base_url
            .join(target)
            .map_err(|error| refused(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        let base_is_near = self.base_url.host_str().is_some_and(is_near);
        if url.scheme() != "https" && !(base_is_near && is_near(host)) {
            return Err(refused("and not by HTTPS"));
        }
        Ok(url)
    }

    /// Fetches what the registry has sent elsewhere for, without the credential. Nothing but HTTPS,
    /// or a host as near as the registry itself, is asked.
    pub(super) async fn fetch_elsewhere(&self, target: &str) -> Result<Answer, RegistryError> {
        let url = self.elsewhere(target)?;
        match read(self.client.get(url)).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Transient(causes)) => Err(RegistryError::Unanswered {
                tries: Tries::default(),
                causes,
            }),
        }
    }

    /// Opens a blob to be read as a stream, wherever the registry sends for it. It is asked for once
    /// before, so that the token is there.
    pub(super) async fn open(&self, path: &str) -> Result<reqwest::Response, RegistryError> {
        let probe = self
            .send(&Ask {
                method: Method::HEAD,
                path: path.to_owned(),
                body: None,
            })
            .await?;
        if !probe.status.is_success() && !probe.status.is_redirection() {
            return Err(probe.refusal());
        }
        let url = self
            .base_url
            .join(path)
            .map_err(|error| RegistryError::Unexpected(error.to_string()))?;
        let mut request = self.client.get(url);
        if let Some(value) = self.authorization() {
            request = request.header(AUTHORIZATION, value);
        }
        let answer = request.send().await.map_err(|error| unanswered(&error))?;
        let target = answer
            .headers()
            .get(LOCATION)
            .filter(|_| answer.status().is_redirection())
            .and_then(|target| target.to_str().ok());
        let answer = match target {
            Some(target) => {
                let url = self.elsewhere(target)?;
                let answer = self.client.get(url).send().await;
                answer.map_err(|error| unanswered(&error))?
            }
            None => answer,
        };
        let status = answer.status();
        match status.is_success() {
            true => Ok(answer),
            false => Err(RegistryError::Unexpected(format!(
                "a blob was answered {status}"
            ))),
        }
    }

    /// Finishes an upload with what another registry sends.
    pub(super) async fn put_stream(
        &self,
        place: &str,
        content: reqwest::Response,
    ) -> Result<Answer, RegistryError> {
        let url = self
            .base_url
            .join(place)
            .map_err(|error| RegistryError::Unexpected(error.to_string()))?;
        if url.origin() != self.base_url.origin() {
            let text = "it sends an upload to another host".to_owned();
            return Err(RegistryError::Unexpected(text));
        }
        let mut request = self
            .client
            .put(url)
            .header(CONTENT_TYPE, "application/octet-stream");
        if let Some(length) = content.content_length() {
            request = request.header(CONTENT_LENGTH, length);
        }
        if let Some(value) = self.authorization() {
            request = request.header(AUTHORIZATION, value);
        }
        let body = reqwest::Body::wrap_stream(content.bytes_stream());
        let sent = request.body(body).send().await;
        let answer = sent.map_err(|error| unanswered(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap_or_default();
        Ok(Answer {
            status,
            headers,
            body: body.iter().copied().take(MOST_BYTES).collect(),
        })
    }

    async fn with_token(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let answer = self.once(ask).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(challenge) = answer
            .headers
            .get(WWW_AUTHENTICATE)
            .and_then(|v| v.to_str().ok())
        else {
            return Ok(answer);
        };
        let Some(challenge) = Challenge::parse(challenge) else {
            return Ok(answer);
        };
        let Some(token) = self.fetch_token(&challenge).await? else {
            return Ok(answer);
        };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        self.once(ask).await
    }

    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let url = self.base_url.join(&ask.path).map_err(|error| {
            Failure::Final(RegistryError::Unexpected(format!(
                "`{}` is no address: {error}",
                ask.path
            )))
        })?;
        if url.origin() != self.base_url.origin() {
            let text = format!(
                "it points to another host, {}",
                url.host_str().unwrap_or_default()
            );
            return Err(Failure::Final(RegistryError::Unexpected(text)));
        }
        let mut request = self
            .client
            .request(ask.method.clone(), url)
            .header(ACCEPT, MANIFESTS);
        if let Some(value) = self.authorization() {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some((media_type, bytes)) = ask.body {
            request = request
                .header(CONTENT_TYPE, media_type)
                .body(bytes.to_vec());
        }
        read(request).await
    }

    /// The token for this scope if there is one, else the credential itself: Artifact Registry
    /// takes both.
    fn authorization(&self) -> Option<HeaderValue> {
        let token = self
            .token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let text = match (token, &self.credential) {
            (Some(token), _) => format!("Bearer {}", token.expose()),
            (None, Some(credential)) => basic(credential),
            (None, None) => return None,
        };
        sensitive(&text)
    }

    /// `None` when the token endpoint gives none: the 401 itself then tells more.
    async fn fetch_token(&self, challenge: &Challenge) -> Result<Option<Secret>, Failure> {
        #[derive(Deserialize)]
        struct Given {
            token: Option<String>,
            access_token: Option<String>,
        }
        let Ok(mut url) = Url::parse(&challenge.realm) else {
            return Ok(None);
        };
        url.query_pairs_mut().extend_pairs(&challenge.parameters);
        let mut request = self.client.get(url.clone());
        // The credential goes to the registry's own host only, wherever the challenge points.
        if url.origin() == self.base_url.origin()
            && let Some(value) = self
                .credential
                .as_ref()
                .and_then(|secret| sensitive(&basic(secret)))
        {
            request = request.header(AUTHORIZATION, value);
        }
        let answer = read(request).await?;
        if is_transient(answer.status) {
            return Err(Failure::Transient(vec![format!(
                "the token endpoint answered {}",
                answer.status
            )]));
        }
        let given: Option<Given> = serde_json::from_slice(&answer.body).ok();
        Ok(given
            .and_then(|given| given.token.or(given.access_token))
            .map(Secret::new))
    }
}

enum Failure {
    Transient(Vec<String>),
    Final(RegistryError),
}

async fn read(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    let broken = |error: reqwest::Error| {
        let url = error.url().map(ToString::to_string).unwrap_or_default();
        if nobody_listens(&url, &error) {
            return Failure::Final(RegistryError::NobodyListens);
        }
        let error = error.without_url();
        let mut causes = vec![error.to_string()];
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            causes.push(inner.to_string());
            source = inner.source();
        }
        Failure::Transient(causes)
    };
    let mut response = request.timeout(TIMEOUT).send().await.map_err(broken)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MOST_BYTES {
            let text = format!("it is larger than {MOST_BYTES} bytes");
            return Err(Failure::Final(RegistryError::Unexpected(text)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}

fn unanswered(error: &reqwest::Error) -> RegistryError {
    RegistryError::Unanswered {
        tries: Tries::default(),
        causes: crate::gcp::error::chain(error),
    }
}

fn basic(credential: &Secret) -> String {
    use base64::Engine as _;
    let pair = format!("{TOKEN_USER}:{}", credential.expose());
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    )
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// `Bearer realm="…",service="…",scope="…"` (RFC 6750 and the token specification of registries).
#[derive(Debug, PartialEq)]
struct Challenge {
    realm: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn parse(header: &str) -> Option<Self> {
        let (scheme, mut rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Self {
            realm: String::new(),
            parameters: Vec::new(),
        };
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"')?;
            match name.trim_matches([' ', ',']) {
                "realm" => value.clone_into(&mut challenge.realm),
                name @ ("service" | "scope") => challenge
                    .parameters
                    .push((name.to_owned(), value.to_owned())),
                _ => {}
            }
            rest = after;
        }
        (!challenge.realm.is_empty()).then_some(challenge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_its_commas() {
        let text = r#"Bearer realm="https://h/v2/token",service="h",scope="repository:p/r/i:pull,push",error="x""#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.realm, "https://h/v2/token");
        let wanted = [("service", "h"), ("scope", "repository:p/r/i:pull,push")];
        assert_eq!(
            challenge.parameters,
            wanted.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
        assert_eq!(Challenge::parse("Bearer"), None);
    }
}
