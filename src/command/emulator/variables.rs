//! The variables that point a shell at a running local cloud, as text for `eval`.

use std::path::PathBuf;

use serde_json::{Value, json};

/// The project that everything without another one belongs to.
pub(super) const PROJECT: &str = "demo-project";
/// The region of the examples.
const REGION: &str = "us-central1";
/// The service account that the printed credentials act as.
pub(super) const ACCOUNT: &str = "deployer@demo-project.iam.gserviceaccount.com";
const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/github/providers/github";

/// APIs whose host is put under plain HTTP, so that gcloud asks the proxy, which is the local cloud.
/// Those that it does not model answer 501 there; none of them is left to reach Google.
const APIS: [&str; 10] = [
    "artifactregistry",
    "cloudbuild",
    "cloudresourcemanager",
    "iam",
    "iamcredentials",
    "logging",
    "run",
    "secretmanager",
    "serviceusage",
    "storage",
];

/// Where a running local cloud is, and where its files are.
pub(super) struct Place {
    /// `http://HOST:PORT`, without a slash at the end.
    pub(super) url: String,
    /// Host alone; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Where the files are that the variables name.
    pub(super) folder: PathBuf,
}

impl Place {
    /// The credential file for Google's clients and ml-deploy.
    pub(super) fn credential_file(&self) -> PathBuf {
        self.folder.join("credentials.json")
    }

    /// The access token for gcloud.
    pub(super) fn token_file(&self) -> PathBuf {
        self.folder.join("access-token")
    }

    /// gcloud's own settings in this world: what a person has logged in to stays untouched.
    pub(super) fn gcloud_folder(&self) -> PathBuf {
        self.folder.join("gcloud")
    }

    /// Name and value of each variable.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let mut all = self.for_us();
        all.extend(self.for_clients());
        all.extend(self.for_gcloud());
        let endpoint = |api: &str| {
            (
                format!(
                    "CLOUDSDK_API_ENDPOINT_OVERRIDES_{}",
                    api.to_ascii_uppercase()
                ),
                format!("http://{api}.googleapis.com/"),
            )
        };
        all.extend(APIS.map(endpoint));
        all
    }

    fn for_us(&self) -> Vec<(String, String)> {
        own([
            ("ML_DEPLOY_CLOUD_URL", self.url.clone()),
            ("GITHUB_API_URL", self.url.clone()),
            ("GITHUB_TOKEN", "local".to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", oidc_url(&self.url)),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local".to_owned()),
        ])
    }

    fn for_clients(&self) -> Vec<(String, String)> {
        let file = self.credential_file().display().to_string();
        own([
            ("GOOGLE_APPLICATION_CREDENTIALS", file),
            ("GOOGLE_CLOUD_PROJECT", PROJECT.to_owned()),
        ])
    }

    /// For a regional command gcloud puts the region before the host of an endpoint, so a loopback
    /// address cannot be one: the hosts stay Google's, and the local cloud is the proxy for them.
    fn for_gcloud(&self) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        own([
            ("CLOUDSDK_CONFIG", path(self.gcloud_folder())),
            ("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", path(self.token_file())),
            ("CLOUDSDK_CORE_PROJECT", PROJECT.to_owned()),
            ("CLOUDSDK_RUN_REGION", REGION.to_owned()),
            ("CLOUDSDK_ARTIFACTS_LOCATION", REGION.to_owned()),
            ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1".to_owned()),
            ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true".to_owned()),
            ("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false".to_owned()),
            (
                "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK",
                "true".to_owned(),
            ),
            ("CLOUDSDK_SURVEY_DISABLE_PROMPTS", "true".to_owned()),
            ("CLOUDSDK_PROXY_TYPE", "http".to_owned()),
            ("CLOUDSDK_PROXY_ADDRESS", self.host.clone()),
            ("CLOUDSDK_PROXY_PORT", self.port.to_string()),
        ])
    }

    /// `export NAME='VALUE'`, one a line.
    pub(super) fn exports(&self) -> String {
        let all = self.variables();
        let lines = all
            .iter()
            .map(|(name, value)| format!("export {name}={}\n", quoted(value)));
        lines.collect()
    }

    /// `unset NAME`, one a line.
    pub(super) fn removals(&self) -> String {
        let all = self.variables();
        all.iter()
            .map(|(name, _)| format!("unset {name}\n"))
            .collect()
    }

    /// A file as google-github-actions/auth writes it: no secret, only where a token is to be had.
    pub(super) fn credentials(&self) -> Value {
        let Self { url, .. } = self;
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
}

fn own<const COUNT: usize>(pairs: [(&str, String); COUNT]) -> Vec<(String, String)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn oidc_url(url: &str) -> String {
    format!("{url}/_github/oidc?repository=local/ml-api&ref=refs/heads/main")
}

/// One word of a POSIX shell, whatever is in the text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &str) -> Place {
        Place {
            url: "http://127.0.0.1:8085".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 8085,
            folder: PathBuf::from(folder),
        }
    }

    #[test]
    fn gcloud_finds_every_api_behind_the_proxy() {
        let exports = place("/state").exports();
        for line in [
            "export CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN='http://run.googleapis.com/'\n",
            "export CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING='http://logging.googleapis.com/'\n",
            "export CLOUDSDK_PROXY_ADDRESS='127.0.0.1'\n",
            "export CLOUDSDK_PROXY_PORT='8085'\n",
            "export CLOUDSDK_CONFIG='/state/gcloud'\n",
        ] {
            assert!(exports.contains(line), "{line} is not in\n{exports}");
        }
        assert!(!exports.contains("https://run"), "{exports}");
    }

    #[test]
    fn what_is_exported_is_removed() {
        let place = place("/state");
        let names = |text: String, verb: &str| -> Vec<String> {
            let lines = text.lines().map(|line| line.strip_prefix(verb).unwrap());
            lines
                .map(|rest| rest.split('=').next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            names(place.exports(), "export "),
            names(place.removals(), "unset ")
        );
    }

    #[test]
    fn a_folder_with_quotes_stays_one_word() {
        let exports = place("/it's $HOME; `true`").exports();
        assert!(exports.contains(r"'/it'\''s $HOME; `true`/gcloud'"));
    }
}
