//! Where each Google API is: at Google, or all of them at one local address.

use std::net::IpAddr;

use delivery::diagnostic::{Code, Diagnostic};
use reqwest::Url;

/// Environment variable that puts the local cloud in the place of Google.
pub const CLOUD_URL_VARIABLE: &str = "ML_DEPLOY_CLOUD_URL";

/// Where the APIs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    local: Option<LocalBase>,
}

/// The local cloud's base.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalBase {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    url: String,
    port: u16,
}

/// How a repository of images is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAddress {
    /// `https://us-central1-docker.pkg.dev` or `http://127.0.0.1:PORT`: for HTTP.
    pub base_url: String,
    /// `us-central1-docker.pkg.dev` or `127.0.0.1:PORT`: for references that dockerd is given.
    pub host: String,
    /// `PROJECT/REPOSITORY/IMAGE`.
    pub path: String,
    /// Host of the repository as the inputs name it, also where another address is called.
    pub named_host: String,
    /// Who calls, as IAM policies name it, where that is known: for the way out of a refusal.
    pub member: Option<String>,
}

impl Endpoints {
    /// Google's own.
    pub fn google() -> Self {
        Self { local: None }
    }

    /// Everything at one local address, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`Code::EndpointRefused`] when it is no `http(s)` URL of a loopback or private host: a token
    /// must never leave for an address that somebody else gave.
    pub fn local(base: &str) -> Result<Self, Diagnostic> {
        let refused = |why: &str| {
            Diagnostic::error(
                Code::EndpointRefused,
                format!("`{base}` cannot take the place of Google Cloud"),
            )
            .at(format!("{CLOUD_URL_VARIABLE} or --cloud-url"))
            .cause(why)
            .help("use the address that `ml-deploy emulator` prints, such as http://127.0.0.1:8085")
        };
        let url = Url::parse(base).map_err(|error| refused(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("only http and https are understood"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it holds a user name or password"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it has more than scheme, host and port"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(refused("it has no host"));
        };
        if !is_near(host) {
            return Err(refused("its host is neither loopback nor private"));
        }
        let url = format!("{}://{host}:{port}", url.scheme());
        Ok(Self {
            local: Some(LocalBase { url, port }),
        })
    }

    /// Google's, or the local cloud where an address is given.
    ///
    /// # Errors
    /// As [`Endpoints::local`].
    pub fn choose(cloud_url: Option<&str>) -> Result<Self, Diagnostic> {
        match cloud_url.map(str::trim).filter(|text| !text.is_empty()) {
            Some(base) => Self::local(base),
            None => Ok(Self::google()),
        }
    }

    /// True when the local cloud takes Google's place.
    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }

    fn base<'a>(&'a self, google: &'a str) -> &'a str {
        self.local.as_ref().map_or(google, |local| &local.url)
    }

    /// Cloud Run Admin API; `/v2/projects/…` follows.
    pub fn run(&self) -> &str {
        self.base("https://run.googleapis.com")
    }

    /// Cloud Logging; `/v2/entries:list` follows.
    pub fn logging(&self) -> &str {
        self.base("https://logging.googleapis.com")
    }

    /// Artifact Registry's own API; `/v1/projects/…` follows.
    pub fn artifact_registry(&self) -> &str {
        self.base("https://artifactregistry.googleapis.com")
    }

    /// Cloud KMS; `/v1/projects/…` follows.
    pub fn kms(&self) -> &str {
        self.base("https://cloudkms.googleapis.com")
    }

    /// Security Token Service; `/v1/token` follows.
    pub fn sts(&self) -> &str {
        self.base("https://sts.googleapis.com")
    }

    /// IAM Credentials; `/v1/projects/-/serviceAccounts/…` follows.
    pub fn iam_credentials(&self) -> &str {
        self.base("https://iamcredentials.googleapis.com")
    }

    /// OAuth; `/token` follows.
    pub fn oauth(&self) -> &str {
        self.base("https://oauth2.googleapis.com")
    }

    /// How a repository such as `us-central1-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE` is reached.
    ///
    /// Under the local cloud dockerd is always given `127.0.0.1`: it speaks plain HTTP to loopback
    /// registries only, and the local cloud runs on dockerd's machine.
    ///
    /// # Errors
    /// [`Code::InputInvalid`] when it is no path of that form.
    pub fn registry_address(&self, repository: &str) -> Result<RegistryAddress, Diagnostic> {
        let refused = |why: &str| {
            Diagnostic::error(
                Code::InputInvalid,
                format!("`{repository}` is not a repository of Artifact Registry"),
            )
            .cause(why)
            .help("write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE, without tag and digest")
        };
        let (host, path) = repository
            .split_once('/')
            .ok_or_else(|| refused("it has no path after the host"))?;
        if path.contains(['@', ':', '?', '#', ' ']) {
            return Err(refused(
                "it has a tag, a digest or a character that is not allowed",
            ));
        }
        let segments = path.split('/').count();
        let known = host.ends_with("-docker.pkg.dev");
        let legacy = host == "gcr.io" || host.ends_with(".gcr.io");
        if !known && !legacy {
            return Err(refused("its host is neither *-docker.pkg.dev nor gcr.io"));
        }
        if path.split('/').any(str::is_empty) || segments < if known { 3 } else { 2 } {
            return Err(refused(
                "project, repository or image is missing from the path",
            ));
        }
        Ok(match &self.local {
            Some(local) => RegistryAddress {
                base_url: local.url.clone(),
                host: format!("127.0.0.1:{}", local.port),
                path: path.to_owned(),
                named_host: host.to_owned(),
                member: None,
            },
            None => RegistryAddress {
                base_url: format!("https://{host}"),
                host: host.to_owned(),
                path: path.to_owned(),
                named_host: host.to_owned(),
                member: None,
            },
        })
    }
}

/// True for loopback and private addresses, `localhost` and what Docker calls its host. Link-local
/// addresses are not among them: the metadata server is one.
pub fn is_near(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost") || name == "host.docker.internal"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_private_hosts_take_googles_place() {
        for near in [
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:80/",
            "https://10.0.0.7",
            "http://172.17.0.1:9",
            "http://host.docker.internal:9",
        ] {
            assert!(Endpoints::local(near).is_ok(), "{near} was refused");
        }
        for far in [
            "http://8.8.8.8",
            "https://run.googleapis.com",
            "http://169.254.169.254",
            "http://127.0.0.1.example.com",
            "http://user:secret@127.0.0.1",
            "http://127.0.0.1/path",
            "ftp://127.0.0.1",
            "127.0.0.1:80",
            "",
        ] {
            let refused = Endpoints::local(far).unwrap_err();
            assert_eq!(refused.code, Code::EndpointRefused, "{far}");
            let way =
                "use the address that `ml-deploy emulator` prints, such as http://127.0.0.1:8085";
            assert_eq!(
                refused.help,
                [way],
                "where it listens unless told otherwise"
            );
        }
    }

    #[test]
    fn every_api_is_on_the_local_base() {
        let local = Endpoints::local("http://127.0.0.1:4711/").unwrap();
        for base in [
            local.run(),
            local.logging(),
            local.sts(),
            local.iam_credentials(),
            local.oauth(),
            local.kms(),
        ] {
            assert_eq!(base, "http://127.0.0.1:4711");
        }
    }

    #[test]
    fn a_repository_keeps_its_path_and_changes_its_host() {
        let name = "us-central1-docker.pkg.dev/demo/apis/ml-api";
        let google = Endpoints::google().registry_address(name).unwrap();
        assert_eq!(google.base_url, "https://us-central1-docker.pkg.dev");
        assert_eq!(google.host, "us-central1-docker.pkg.dev");
        let local = Endpoints::local("http://172.17.0.1:99").unwrap();
        let local = local.registry_address(name).unwrap();
        assert_eq!(local.base_url, "http://172.17.0.1:99");
        assert_eq!(local.host, "127.0.0.1:99");
        assert_eq!(local.path, "demo/apis/ml-api");
    }

    #[test]
    fn what_is_no_repository_is_refused() {
        for wrong in [
            "ml-api",
            "docker.io/library/python",
            "us-central1-docker.pkg.dev/demo/apis",
            "us-central1-docker.pkg.dev/demo/apis/ml-api:v1",
            "us-central1-docker.pkg.dev/demo//ml-api",
        ] {
            assert!(
                Endpoints::google().registry_address(wrong).is_err(),
                "{wrong} was accepted"
            );
        }
    }
}
