//! Gets the document from an API.

use std::time::Duration;

use super::super::super::caller::Caller;
use super::super::document::Document;

/// Longest time for the document; frameworks build it on the first request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What was found at the document's path.
pub(super) enum Published {
    /// The document.
    Document(Box<Document>),
    /// The API has none there.
    None,
    /// Something else, in words.
    Unreadable(String),
    /// No answer that tells whether there is one, in words.
    Unreachable(String),
}

pub(super) async fn fetch(caller: &Caller, path: &str) -> Published {
    let answer = match caller.get(path, TIMEOUT).await {
        Ok(answer) => answer,
        Err(error) => return Published::Unreachable(error.to_string()),
    };
    match answer.status.as_u16() {
        200 => match Document::parse(&answer.body) {
            Ok(document) => Published::Document(Box::new(document)),
            Err(error) => Published::Unreadable(format!("{path}: {error}")),
        },
        404 | 405 | 410 => Published::None,
        status @ 500.. => Published::Unreachable(format!("{path} answers {status}")),
        status => Published::Unreadable(format!("{path} answers {status}")),
    }
}
