//! Stands before every route: makes faults happen and notes each request.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::json;

use super::{Fault, Seen};
use crate::error::ApiError;
use crate::world::World;

/// Puts faults and the request log before a finished router.
pub fn layer(router: Router, world: &Arc<World>) -> Router {
    router.layer(from_fn_with_state(Arc::clone(world), stand_before))
}

async fn stand_before(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    if path.starts_with("/_emulator/") {
        return next.run(request).await;
    }
    let query = request.uri().query().map(str::to_owned);
    let caller = world.tokens.known_caller(request.headers());
    let fault = world.faults.take(&format!("{method} {path}"));
    let dropped = fault.as_ref().is_some_and(|fault| fault.drop);
    let (request, exchange) = match world.exchanges.begin(request).await {
        Ok(begun) => begun,
        Err(refusal) => return refusal,
    };
    let response = match fault {
        Some(fault) => meet(fault, &path, request, next).await,
        None => next.run(request).await,
    };
    let response = world.exchanges.end(exchange, response, dropped).await;
    world.requests.record(Seen {
        time: world.clock.now(),
        method,
        path,
        query,
        status: if dropped {
            0
        } else {
            response.status().as_u16()
        },
        caller,
    });
    response
}

async fn meet(fault: Fault, path: &str, request: Request, next: Next) -> Response {
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    let ends_here = fault.drop || !fault.status.is_empty();
    if !ends_here {
        return next.run(request).await;
    }
    if fault.after {
        let _lost = next.run(request).await;
    }
    if fault.drop {
        return broken();
    }
    let mut response = answer(path, &fault);
    if let Some(seconds) = fault.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The fault's answer in the form of the service that was asked.
fn answer(path: &str, fault: &Fault) -> Response {
    let error = ApiError::new(&fault.status, &fault.message);
    let code = StatusCode::from_u16(error.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_registry = path.starts_with("/v2/")
        && !path.starts_with("/v2/projects/")
        && !path.starts_with("/v2/entries:");
    if path.starts_with("/repos/") {
        let body = json!({"message": fault.message, "status": code.as_u16().to_string()});
        (code, Json(body)).into_response()
    } else if is_registry {
        let code_name = match fault.status.as_str() {
            "RESOURCE_EXHAUSTED" => "TOOMANYREQUESTS",
            other => other,
        };
        let body = json!({"errors": [{"code": code_name, "message": fault.message}]});
        (code, Json(body)).into_response()
    } else {
        error.into_response()
    }
}

/// An answer whose body fails before the head is sent: the server closes the connection.
fn broken() -> Response {
    let failure = stream::once(async { Err::<bytes::Bytes, _>(std::io::Error::other("dropped")) });
    Response::new(Body::from_stream(failure))
}
