//! Secrets are taken out of what is shown, also where an API sends them back.

use crate::secret::Secret;
use crate::verify::suite::template::encode;

/// What stands where a secret was.
const STARS: &str = "***";

/// Hides secrets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask(Vec<Secret>);

impl Mask {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for secret in secrets {
            let plain = secret.expose();
            let json = serde_json::Value::String(plain.to_owned()).to_string();
            let json = json[1..json.len() - 1].to_owned();
            forms.extend([plain.to_owned(), json, encode(plain)]);
        }
        forms.retain(|form| !form.is_empty());
        // The longest first: one secret may be a part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms.into_iter().map(Secret::new).collect())
    }

    pub(crate) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.expose()) {
                text.replace(secret.expose(), STARS)
            } else {
                text
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form_that_it_is_sent_in() {
        let secrets = [Secret::new("a\"b c"), Secret::new("a\"b"), Secret::new("")];
        let mask = Mask::new(&secrets);
        for (text, hidden) in [
            ("x a\"b c y", "x *** y"),
            (r#"{"k":"a\"b c"}"#, r#"{"k":"***"}"#),
            ("/p?k=a%22b%20c", "/p?k=***"),
            ("only a\"b", "only ***"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(mask.hide(text), hidden);
        }
        assert!(!format!("{mask:?}").contains("a\"b"));
    }
}
