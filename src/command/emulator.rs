//! `ml-deploy emulator`: the local cloud, and the variables that point a shell at it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use emulator::runtime::DockerRuntime;
use emulator::{Config, Emulator};
use serde_json::json;

use super::shell::Shell;
use crate::cli::EmulatorArgs;

/// The service account that the printed credentials act as.
const ACCOUNT: &str = "deployer@demo-project.iam.gserviceaccount.com";
const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/github/providers/github";

/// Longest time to the answer of a local cloud that is up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until a signal, or prints the variables.
///
/// # Errors
/// When there is no Docker engine, or the address is taken.
pub(super) async fn run(shell: &Shell, arguments: &EmulatorArgs) -> anyhow::Result<()> {
    if arguments.env {
        let url = arguments
            .cloud_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", arguments.listen));
        return print_environment(shell, url.trim_end_matches('/')).await;
    }
    let runtime = DockerRuntime::connect()
        .await
        .context("the local cloud runs containers: start a Docker engine, or set DOCKER_HOST")?;
    let config = Config {
        listen: arguments.listen,
        data_plane: arguments.data_plane,
        seed: arguments.seed,
        propagation_ms: arguments.propagation_ms,
        ..Config::loopback(runtime)
    };
    let cloud = Emulator::start(config)
        .await
        .context("another local cloud may be up: give a free address with `--listen`")?;
    let url = cloud.world().base_url();
    let out = &shell.streams.out;
    out.say(&format!(
        "The local cloud listens on {url}. Ctrl-C ends it, and removes its containers.\n\n"
    ));
    out.say(&format!(
        "In another terminal:\n  eval \"$(ml-deploy emulator --env --cloud-url {url})\"\n"
    ));
    shell.stop.cancelled().await;
    cloud.stop().await;
    Ok(())
}

/// `export NAME=VALUE` lines, and the credential file that one of them names.
async fn print_environment(shell: &Shell, url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_TIMEOUT)
        .build()?;
    client
        .get(format!("{url}/_emulator/health"))
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .with_context(|| {
            format!("no local cloud answers at {url}: start it with `ml-deploy emulator`")
        })?;
    let folder = state_folder(shell);
    let file = folder.join("credentials.json");
    write_private(&folder, &file, &credentials(url).to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let oidc = oidc_url(url);
    let pairs = [
        ("ML_DEPLOY_CLOUD_URL", url.to_owned()),
        ("GITHUB_API_URL", url.to_owned()),
        ("GITHUB_TOKEN", "local".to_owned()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", oidc),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local".to_owned()),
        ("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string()),
        ("GOOGLE_CLOUD_PROJECT", "demo-project".to_owned()),
    ];
    for (name, value) in pairs {
        shell.streams.out.say(&format!(
            "export {name}='{}'\n",
            value.replace('\'', "'\\''")
        ));
    }
    Ok(())
}

fn oidc_url(url: &str) -> String {
    format!("{url}/_github/oidc?repository=local/ml-api&ref=refs/heads/main")
}

/// A file as google-github-actions/auth writes it: no secret, only where a token is to be had.
fn credentials(url: &str) -> serde_json::Value {
    json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{PROVIDER}"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/v1/token"),
        "service_account_impersonation_url":
            format!("{url}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"),
        "credential_source": {
            "url": format!("{}&audience=https://iam.googleapis.com/{PROVIDER}", oidc_url(url)),
            "headers": {"Authorization": "Bearer local"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    })
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

fn write_private(folder: &Path, file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::create_dir_all(folder)?;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
}
