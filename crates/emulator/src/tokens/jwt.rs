//! JSON Web Tokens in the compact form (RFC 7519, RFC 7515).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::{KeyError, SigningKey};

/// A token taken apart; nothing about it is verified yet.
pub(super) struct Jwt {
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) signed: String,
    pub(super) signature: Vec<u8>,
}

impl Jwt {
    /// Takes a token apart. `None` when it is none.
    ///
    /// Padded base64url is accepted: some clients in use send it, against RFC 7515, and Google's
    /// token endpoint takes it.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| -> Option<Value> {
            serde_json::from_slice::<Value>(&decode(part)?)
                .ok()
                .filter(Value::is_object)
        };
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed: signed.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// A claim that is text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A claim that is a whole number (seconds since 1970 for times).
    pub(super) fn number(&self, claim: &str) -> Option<i64> {
        self.claims.get(claim)?.as_i64()
    }

    /// True when `aud` is, or contains, one of the wanted values.
    pub(super) fn is_for(&self, wanted: &[String]) -> bool {
        let is_wanted = |value: &Value| {
            value
                .as_str()
                .is_some_and(|it| wanted.iter().any(|w| w == it))
        };
        match self.claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_wanted),
            Some(one) => is_wanted(one),
            None => false,
        }
    }

    /// True when `key` signed this token with ES256.
    pub(super) fn is_signed_by(&self, key: &SigningKey) -> bool {
        self.header.get("alg").and_then(Value::as_str) == Some("ES256")
            && key.verify(self.signed.as_bytes(), &self.signature)
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()
}

/// Signs claims.
pub(super) fn sign(key: &SigningKey, claims: &Value) -> Result<String, KeyError> {
    let header = json!({"alg": "ES256", "kid": key.id(), "typ": "JWT"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
