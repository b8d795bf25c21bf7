//! What keeps every test from an API, so that no answer says anything about the release.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};

use super::caller::{Caller, NoAnswer};

/// Longest time for the answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a path that should answer with success: `None` where the API answers, whatever it says.
pub async fn obstacle(caller: &Caller, path: &str) -> Option<Diagnostic> {
    let url = &caller.base_url;
    match caller.get(path, ASK_TIMEOUT).await {
        Ok(answer) => match answer.status.as_u16() {
            status @ (401 | 403) => Some(locked(caller, path, status)),
            _ => None,
        },
        Err(refused @ NoAnswer::Refused(_)) => Some(
            Diagnostic::error(Code::NotConfirmed, format!("nothing listens at `{url}`"))
                .cause(refused.to_string())
                .help("start the API, or give the address and the port that it listens on"),
        ),
        Err(error) if !error.blames_the_api() => Some(
            Diagnostic::error(
                Code::TestsInconclusive,
                format!("`{url}` cannot be reached from here"),
            )
            .cause(error.to_string())
            .help(match error {
                NoAnswer::Tls(..) => {
                    "call it by `http://` if it speaks no TLS; otherwise this machine has to trust its certificate"
                }
                _ => "check the name of the host, the network, and the variables HTTPS_PROXY and NO_PROXY",
            }),
        ),
        Err(_) => None,
    }
}

/// Whoever is in front of the API, or the API itself, lets nobody in without a credential.
fn locked(caller: &Caller, path: &str, status: u16) -> Diagnostic {
    let url = &caller.base_url;
    let (cause, help) = match caller.bearer {
        None => (
            "no ID token was sent",
            "a private service wants one: `--audience URL` makes it for the service's own address, with credentials that have roles/run.invoker there; one that you have goes into the variable ML_DEPLOY_ID_TOKEN",
        ),
        Some(_) => (
            "the ID token is not accepted",
            "its audience has to be the service's own address, also where a tag's address is tested, and its caller needs roles/run.invoker on the service",
        ),
    };
    Diagnostic::error(
        Code::NotConfirmed,
        format!("`{url}` does not let this caller in"),
    )
    .cause(format!("GET {path} is answered {status}: {cause}"))
    .help(help)
    .help("if it is the API that asks for a key, give it in `headers` of the test file, and let the health path answer without one")
}
