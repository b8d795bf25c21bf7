//! A credential file (or the input that holds one), dispatched on its `type`.

use std::path::PathBuf;
use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use reqwest::Url;
use serde_json::Value;

use super::cache::Cached;
use super::federation::{Federation, SubjectSource};
use super::key::ServiceAccountKey;
use super::user::{AuthorizedUser, incomplete};
use super::{Context, TokenSource};
use crate::secret::Secret;

/// The types that are understood.
const TYPES: &str = "service_account, external_account and authorized_user";

/// Makes a token source of it. `place` says where the text came from.
pub(super) fn source(
    context: Context,
    text: &str,
    place: &str,
) -> Result<Arc<dyn TokenSource>, Diagnostic> {
    // The parser's message may quote the text, so only the place of the mistake is told.
    let json: Value = serde_json::from_str(text).map_err(|error| {
        unusable(
            place,
            format!(
                "it is no JSON (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })?;
    let kind = json.get("type").and_then(Value::as_str).unwrap_or("");
    match kind {
        "service_account" => {
            let token_url = token_url(&context, &json, "token_uri", place)?
                .unwrap_or_else(|| format!("{}/token", context.endpoints.oauth()));
            let key = ServiceAccountKey::parse(context, &json, token_url, place)?;
            Ok(Arc::new(Cached::new(key)))
        }
        "external_account" => {
            let federation = external_account(context, &json, place)?;
            Ok(Arc::new(Cached::new(federation)))
        }
        "authorized_user" => {
            if context.endpoints.is_local() {
                return Err(unusable(
                    place,
                    "a person's Google credentials are never sent to a local cloud".to_owned(),
                ));
            }
            let field = |name: &str| {
                let text = json.get(name).and_then(Value::as_str);
                text.ok_or_else(|| incomplete(place, name))
            };
            Ok(Arc::new(Cached::new(AuthorizedUser {
                client_id: field("client_id")?.to_owned(),
                client_secret: context.secret(field("client_secret")?),
                refresh_token: context.secret(field("refresh_token")?),
                context,
            })))
        }
        "" => Err(unusable(
            place,
            format!("it has no `type`; {TYPES} are understood"),
        )),
        other => Err(unusable(
            place,
            format!("its type `{other}` is not understood; {TYPES} are"),
        )),
    }
}

fn unusable(place: &str, why: String) -> Diagnostic {
    Diagnostic::error(
        Code::CredentialsRefused,
        "the Google Cloud credentials cannot be used",
    )
    .at(place)
    .cause(why)
    .help("pass the whole JSON of a service account's key, or use `workload_identity_provider` with `service_account`")
}

/// The file's token endpoint: Google's only, and never the file's under the local cloud.
fn token_url(
    context: &Context,
    json: &Value,
    field: &str,
    place: &str,
) -> Result<Option<String>, Diagnostic> {
    let Some(text) = json.get(field).and_then(Value::as_str) else {
        return Ok(None);
    };
    if context.endpoints.is_local() {
        return Ok(None);
    }
    let trusted = Url::parse(text).is_ok_and(|url| {
        url.scheme() == "https"
            && url.host_str().is_some_and(|host| {
                host.ends_with(".googleapis.com") || host == "accounts.google.com"
            })
    });
    if trusted {
        Ok(Some(text.to_owned()))
    } else {
        Err(unusable(
            place,
            format!("its `{field}` is not an https address of googleapis.com"),
        ))
    }
}

fn external_account(context: Context, json: &Value, place: &str) -> Result<Federation, Diagnostic> {
    let text = |path: &str| {
        json.pointer(path)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let missing = |field: &str| unusable(place, format!("it has no `{field}`"));
    let audience = text("/audience").ok_or_else(|| missing("audience"))?;
    let token_url = token_url(&context, json, "token_url", place)?
        .unwrap_or_else(|| format!("{}/v1/token", context.endpoints.sts()));
    let service_account = text("/service_account_impersonation_url")
        .map(|url| {
            account_of(&url).ok_or_else(|| {
                unusable(
                    place,
                    "its `service_account_impersonation_url` names no service account".to_owned(),
                )
            })
        })
        .transpose()?;
    let field = match text("/credential_source/format/type").as_deref() {
        Some("json") => Some(
            text("/credential_source/format/subject_token_field_name")
                .ok_or_else(|| missing("credential_source.format.subject_token_field_name"))?,
        ),
        _ => None,
    };
    let subject = if let Some(url) = text("/credential_source/url") {
        let headers = json.pointer("/credential_source/headers");
        let headers = headers.and_then(Value::as_object);
        let headers = headers.into_iter().flatten();
        let headers = headers
            .filter_map(|(name, value)| {
                Some((name.clone(), mask_header(&context, value.as_str()?)))
            })
            .collect();
        SubjectSource::Url {
            url,
            headers,
            field,
        }
    } else if let Some(path) = text("/credential_source/file") {
        SubjectSource::File {
            path: PathBuf::from(path),
            field,
        }
    } else {
        return Err(missing("credential_source.url` or `credential_source.file"));
    };
    Ok(Federation {
        audience,
        subject_token_type: text("/subject_token_type")
            .unwrap_or_else(|| "urn:ietf:params:oauth:token-type:jwt".to_owned()),
        subject,
        token_url,
        service_account,
        principal: std::sync::OnceLock::new(),
        context,
    })
}

/// Masks the credential, without the scheme's word before it.
fn mask_header(context: &Context, value: &str) -> Secret {
    if let Some((_, credential)) = value.split_once(' ') {
        context.secret(credential);
    }
    Secret::new(value)
}

/// The e-mail in `…/serviceAccounts/EMAIL:generateAccessToken`.
fn account_of(url: &str) -> Option<String> {
    let (_, rest) = url.rsplit_once("/serviceAccounts/")?;
    let email = rest.strip_suffix(":generateAccessToken")?;
    is_account(email).then(|| email.to_owned())
}

/// True for what can stand in a path as the e-mail of an account.
pub(super) fn is_account(email: &str) -> bool {
    email.contains('@')
        && email
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_'))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
