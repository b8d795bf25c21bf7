//! The local cloud as a plain HTTP proxy for Google's host names.
//!
//! gcloud composes regional host names (`us-central1-run.googleapis.com`) that resolve to nothing
//! local. With the local cloud as its proxy it sends the whole URL in the request line instead;
//! the host then says which region is meant.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;

use crate::error::ApiError;

/// Hosts whose APIs are modelled, at least in part.
const HOSTS: &[&str] = &["googleapis.com", "pkg.dev", "api.github.com", "localhost"];

/// Why no tunnel is made. It stands in the status line too, which is all that most clients show.
const NO_TUNNEL: &str =
    "the local cloud speaks plain HTTP only: give the client an http:// address for this API";

/// Lets a request for a modelled host pass, and refuses what is not meant for the local cloud.
pub(crate) async fn stand_in(request: Request, next: Next) -> Response {
    if request.method() == Method::CONNECT {
        return refuse_tunnel(request.uri());
    }
    match request.uri().host() {
        Some(host) if !stands_in_for(host) => ApiError::new(
            "UNIMPLEMENTED",
            format!("the local cloud does not stand in for {host}, and forwards nothing"),
        )
        .into_response(),
        _ => next.run(request).await,
    }
}

fn refuse_tunnel(target: &Uri) -> Response {
    let target = target.authority().map(ToString::to_string);
    let target = target.unwrap_or_default();
    let error = ApiError::new("UNIMPLEMENTED", format!("CONNECT {target}: {NO_TUNNEL}"));
    let mut response = error.into_response();
    let reason = format!("{NO_TUNNEL} (CONNECT {target})");
    if let Ok(reason) = ReasonPhrase::try_from(reason.into_bytes()) {
        response.extensions_mut().insert(reason);
    }
    response
}

fn stands_in_for(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    let is_modelled = |known: &&str| {
        let parent = host.strip_suffix(known);
        parent.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    bare.parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
        || HOSTS.iter().any(is_modelled)
}

/// The region that the host of a request names: `us-central1` of `us-central1-run.googleapis.com`.
pub(crate) fn region(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = || headers.get(header::HOST)?.to_str().ok();
    let host = uri.host().or_else(header)?;
    let (label, _) = host.split_once('.')?;
    let region = label.strip_suffix("-run")?;
    (!region.is_empty()).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_names_the_region() {
        let none = HeaderMap::new();
        for (uri, region) in [
            (
                "http://us-central1-run.googleapis.com/apis",
                Some("us-central1"),
            ),
            (
                "http://europe-west1-run.localhost:8085/apis",
                Some("europe-west1"),
            ),
            ("http://run.googleapis.com/apis", None),
            ("http://127.0.0.1:8085/apis", None),
            ("/apis", None),
        ] {
            let uri: Uri = uri.parse().expect(uri);
            assert_eq!(super::region(&uri, &none).as_deref(), region, "{uri}");
        }
        let mut headers = HeaderMap::new();
        let host = "asia-east1-run.googleapis.com".parse().expect("a host");
        headers.insert(header::HOST, host);
        let path: Uri = "/apis".parse().expect("a path");
        assert_eq!(
            super::region(&path, &headers).as_deref(),
            Some("asia-east1")
        );
    }

    #[test]
    fn only_modelled_hosts_are_stood_in_for() {
        for host in [
            "run.googleapis.com",
            "us-central1-run.googleapis.com",
            "us-docker.pkg.dev",
            "127.0.0.1",
            "[::1]",
            "localhost",
        ] {
            assert!(stands_in_for(host), "{host}");
        }
        for host in ["example.com", "notgoogleapis.com", "10.0.0.1", "github.com"] {
            assert!(!stands_in_for(host), "{host}");
        }
    }
}
