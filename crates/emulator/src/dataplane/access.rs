//! Who gets in: what the front end answers before a request reaches an instance.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::iam::{self, Resource};
use crate::run::{Access, ServiceKey};
use crate::world::World;

/// Takes the place of `Authorization` where that belongs to the application.
const SERVERLESS: HeaderName = HeaderName::from_static("x-serverless-authorization");
/// What an instance sees in the place of a token's signature.
const SIGNATURE_REPLACED: &str = "SIGNATURE_REPLACED_BY_GOOGLE";

/// Why a request does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token, or one of a caller who must not invoke the service.
    Forbidden,
    /// A token that is not right.
    Unauthorized,
    /// No such address.
    NotFound,
    /// Identity-Aware Proxy wants a login first, and a token is none.
    Login {
        /// Whether there was a token.
        has_token: bool,
    },
}

/// Lets a request in, or says why not. The signature of the token is taken out of the headers, so
/// that the instance cannot use it elsewhere.
pub(super) fn admit(
    world: &World,
    key: &ServiceKey,
    access: &Access,
    headers: &mut HeaderMap,
) -> Result<(), Refusal> {
    if access.hidden {
        return Err(Refusal::NotFound);
    }
    let name = if headers.contains_key(&SERVERLESS) {
        SERVERLESS
    } else {
        AUTHORIZATION
    };
    let token = headers
        .get(&name)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    if access.iap {
        let has_token = token.is_some();
        return Err(Refusal::Login { has_token });
    }
    if access.public {
        return Ok(());
    }
    let Some(token) = token else {
        return Err(Refusal::Forbidden);
    };
    let mut audiences = std::iter::once(&access.audience).chain(&access.custom_audiences);
    let Some(caller) = audiences.find_map(|it| world.tokens.verify_id_token(&token, it).ok())
    else {
        return Err(Refusal::Unauthorized);
    };
    let service = Resource::Service(key.clone());
    if iam::permit(world, &caller, "run.routes.invoke", &service).is_err() {
        return Err(Refusal::Forbidden);
    }
    if let Some((claims, _signature)) = token.rsplit_once('.')
        && let Ok(value) = HeaderValue::try_from(format!("Bearer {claims}.{SIGNATURE_REPLACED}"))
    {
        headers.insert(name, value);
    }
    Ok(())
}

/// The answer of the front end to a request that does not get in.
pub(super) fn refuse(refusal: Refusal, uri: &Uri) -> Response {
    let path = escape(uri.path());
    match refusal {
        Refusal::Forbidden => page(
            StatusCode::FORBIDDEN,
            "Forbidden",
            &format!(
                "Your client does not have permission to get URL <code>{path}</code> from this server."
            ),
        ),
        Refusal::Unauthorized => {
            let mut answer = page(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                &format!(
                    "Your client does not have permission to the requested URL <code>{path}</code>."
                ),
            );
            let challenge = HeaderValue::from_static(
                "Bearer error=\"invalid_token\" error_description=\"The access token could not be verified\"",
            );
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            answer
        }
        Refusal::Login { has_token } => login(has_token),
        Refusal::NotFound => page(
            StatusCode::NOT_FOUND,
            "Page not found",
            "The requested URL was not found on this server.",
        ),
    }
}

/// What Identity-Aware Proxy answers: who has no credential is sent to the login page; an ID token for
/// the service is no credential of the proxy's.
fn login(has_token: bool) -> Response {
    const GENERATED: HeaderName = HeaderName::from_static("x-goog-iap-generated-response");
    if has_token {
        let text = "Invalid IAP credentials: Unable to parse JWT";
        return (StatusCode::UNAUTHORIZED, [(GENERATED, "true")], text).into_response();
    }
    let headers = [
        (GENERATED, "true"),
        (LOCATION, "https://accounts.google.com/o/oauth2/v2/auth"),
    ];
    (StatusCode::FOUND, headers).into_response()
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let code = status.as_u16();
    let body = format!(
        "<html><head>\n<meta http-equiv=\"content-type\" content=\"text/html;charset=utf-8\">\n<title>{code} {title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: {title}</h1>\n<h2>{text}</h2>\n<h2></h2>\n</body></html>\n"
    );
    (status, [(CONTENT_TYPE, "text/html; charset=UTF-8")], body).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
