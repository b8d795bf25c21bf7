//! What a JWT claims, unverified: for expiry times and explanations only.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The claims, or `None` when it is no JWT.
pub(super) fn claims(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// `exp - iat`, which needs no agreement of clocks.
pub(super) fn lifetime(token: &str) -> Option<Duration> {
    let claims = claims(token)?;
    let time = |key: &str| claims.get(key).and_then(Value::as_u64);
    let seconds = time("exp")?.checked_sub(time("iat")?)?;
    Some(Duration::from_secs(seconds))
}

/// A JWT without a valid signature, for tests.
#[cfg(test)]
pub(super) fn unsigned(claims: &Value) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.c2ln",
        encode("{\"alg\":\"RS256\"}".to_owned()),
        encode(claims.to_string())
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_read_and_nonsense_is_none() {
        let token = unsigned(&json!({"iat": 100, "exp": 400, "sub": "repo:o/r"}));
        assert_eq!(lifetime(&token), Some(Duration::from_secs(300)));
        assert_eq!(claims("no token"), None);
        assert_eq!(lifetime("a.b.c"), None);
    }
}
