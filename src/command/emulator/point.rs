//! `--env`: points a shell at a running local cloud, or away from it.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use reqwest::Url;
use serde_json::{Value, json};

use super::super::shell::Shell;
use super::variables::{ACCOUNT, PROJECT, Place};
use crate::cli::EmulatorArgs;
use crate::gcp::endpoint::Endpoints;

/// Longest time to the answer of a local cloud that is up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long gcloud's token is good: the longest that Google gives.
const TOKEN_SECONDS: u32 = 12 * 3600;
/// All that is printed when nothing can be: `eval` then fails as well, so that a script stops here
/// and does not go on with the credentials of the true cloud.
const FAIL: &str = "false\n";

/// Prints what a shell has to evaluate.
///
/// # Errors
/// When no local cloud answers, or its files cannot be written.
pub(super) async fn run(shell: &Shell, arguments: &EmulatorArgs) -> anyhow::Result<()> {
    let printed = print(shell, arguments).await;
    if printed.is_err() {
        shell.streams.out.say(FAIL);
    }
    printed
}

async fn print(shell: &Shell, arguments: &EmulatorArgs) -> anyhow::Result<()> {
    let place = place(shell, arguments)?;
    if arguments.unset {
        shell.streams.out.say(&place.removals());
        return Ok(());
    }
    let token = token(&place.url).await?;
    write_files(&place, &token)
        .with_context(|| format!("cannot write to {}", place.folder.display()))?;
    shell.streams.out.say(&place.exports());
    let Place {
        url, host, port, ..
    } = &place;
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    shell.streams.err.say(&format!(
        "ml-deploy, gcloud and Google's clients use the local cloud at {url}, project {PROJECT}.\n\
         docker: docker login {bracketed}:{port} -u oauth2accesstoken --password-stdin < \"$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE\"\n\
         undo:   eval \"$(ml-deploy emulator --env --unset)\"\n"
    ));
    Ok(())
}

fn place(shell: &Shell, arguments: &EmulatorArgs) -> anyhow::Result<Place> {
    let given = match &arguments.cloud_url {
        Some(url) => url.clone(),
        None => {
            let mut listen = arguments.listen;
            if listen.ip().is_unspecified() {
                listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            format!("http://{listen}")
        }
    };
    if let Err(refusal) = Endpoints::local(&given) {
        let cause = refusal.cause.join("; ");
        anyhow::bail!("`{given}` is no address of a local cloud: {cause}");
    }
    let url = Url::parse(&given)?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or_default();
    // Two local clouds at once must not share files.
    let name: String = format!("{host}-{port}")
        .chars()
        .map(|letter| match letter {
            '.' | '-' => letter,
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '_',
        })
        .collect();
    Ok(Place {
        url: given.trim_end_matches('/').to_owned(),
        host,
        port,
        folder: state_folder(shell).join(name),
    })
}

/// An access token of the local cloud at an address; proves that there is one.
async fn token(url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_TIMEOUT)
        .build()?;
    let wanted = json!({"email": ACCOUNT, "lifetime_seconds": TOKEN_SECONDS});
    let answer = client
        .post(format!("{url}/_emulator/tokens"))
        .json(&wanted)
        .send()
        .await
        .with_context(|| {
            format!("no local cloud answers at {url}: start it with `ml-deploy emulator`, or name another one with `--cloud-url`")
        })?;
    let answer = answer.error_for_status();
    let other = || format!("what answers at {url} is no local cloud of this version");
    let body: Value = answer
        .with_context(other)?
        .json()
        .await
        .with_context(other)?;
    let token = body["access_token"].as_str().with_context(other)?;
    Ok(token.to_owned())
}

/// `$XDG_STATE_HOME/ml-deploy`, `~/.local/state/ml-deploy`, or a folder for temporary files.
fn state_folder(shell: &Shell) -> PathBuf {
    shell
        .variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            shell
                .variable("HOME")
                .map(|home| Path::new(&home).join(".local/state"))
        })
        .unwrap_or_else(std::env::temp_dir)
        .join("ml-deploy")
}

fn write_files(place: &Place, token: &str) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(place.gcloud_folder())?;
    replace(&place.credential_file(), &place.credentials().to_string())?;
    replace(&place.token_file(), token)
}

/// Writes a file that only its owner reads. Who reads it meanwhile sees the old one or the new one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o600))?;
    new.write_all(text.as_bytes())?;
    new.persist(file)?;
    Ok(())
}
