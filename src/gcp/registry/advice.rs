//! What a registry, or dockerd for it, says → what to do.

use delivery::diagnostic::{Code, Diagnostic};

use super::RegistryAddress;
use crate::gcp::advice::{Facts, for_text};

/// Whether a text says that the tag cannot be moved, in Artifact Registry's words.
pub(crate) fn names_immutability(text: &str) -> bool {
    text.contains("has enabled tag immutability")
}

/// A diagnostic for a refusal, with the way out. `fallback` is the code where the text tells no
/// better one. The text itself is not put into it.
pub(crate) fn explain_refusal(
    fallback: Code,
    title: &str,
    text: &str,
    address: &RegistryAddress,
) -> Diagnostic {
    let lower = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["no space left on device", "disk quota exceeded"]) {
        return Diagnostic::error(Code::DiskFull, title).help(FREE_SPACE);
    }
    if names_immutability(text) {
        return Diagnostic::error(fallback, title)
            .help("the tag exists and its repository does not let tags move: deploy what the tag stands for");
    }
    if says(&[
        "\" not found",
        "name_unknown",
        "repository does not exist",
        "404 not found",
    ]) {
        return Diagnostic::error(fallback, title).help(create_repository(address));
    }
    if says(&["has not been used in project"]) {
        return api_disabled(title, text, address);
    }
    if says(&["denied", "403", "forbidden"]) {
        return denied(title, text, says(&["uploadartifacts", "push"]), address);
    }
    if says(&[
        "unauthorized",
        "401",
        "unauthenticated",
        "authentication required",
        "no basic auth",
    ]) {
        return Diagnostic::error(Code::CredentialsRefused, title)
            .help("the access token is not valid here, or expired: see that the job's credentials are for this project");
    }
    if says(&["429", "toomanyrequests", "quota exceeded"]) {
        return Diagnostic::error(fallback, title)
            .help("the registry's quota is used up: wait a minute, then run again");
    }
    Diagnostic::error(fallback, title)
        .help("run again; if it stays, look at the status of Artifact Registry")
}

/// What to do when the engine's disk is full. ML images are large, runners have about 14 GB.
pub(crate) const FREE_SPACE: &str = "free space where the Docker engine stores images: `docker system prune --all`; on a GitHub runner remove tool \
     caches such as /usr/share/dotnet before the build, or take a larger runner";

/// Artifact Registry is off in the repository's project.
fn api_disabled(title: &str, text: &str, address: &RegistryAddress) -> Diagnostic {
    let facts = facts(address).with("api", "artifactregistry.googleapis.com");
    let mut diagnostic = Diagnostic::error(Code::PermissionDenied, title);
    if let Some(advice) = for_text(text, &facts) {
        diagnostic.cause.push(advice.cause);
        diagnostic.help.extend(advice.help);
    }
    diagnostic
}

/// The caller lacks a permission on the repository, or there is no repository.
fn denied(title: &str, text: &str, writes: bool, address: &RegistryAddress) -> Diagnostic {
    let (role, name, permission) = if writes {
        ("roles/artifactregistry.writer", "Writer", "uploadArtifacts")
    } else {
        (
            "roles/artifactregistry.reader",
            "Reader",
            "downloadArtifacts",
        )
    };
    let named = between(text, "artifactregistry.repositories.", "\"");
    let caller = address
        .member
        .as_deref()
        .unwrap_or("the deploying identity");
    let facts = facts(address);
    Diagnostic::error(Code::PermissionDenied, title)
        .cause(facts.fill(&format!(
            "{caller} lacks artifactregistry.repositories.{} on the repository `{{repository}}` of project {{project}}",
            named.unwrap_or(permission)
        )))
        .help(facts.fill(&format!(
            "grant Artifact Registry {name} to the deploying identity: `gcloud artifacts repositories add-iam-policy-binding {{repository}} --location={{location}} --project={{project}} --member={{member}} --role={role}`"
        )))
        .help(format!(
            "if the repository does not exist: {}",
            create_repository(address)
        ))
}

/// The word between two others, if it is a plain one.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    let (word, _) = rest.split_once(after)?;
    word.bytes()
        .all(|byte| byte.is_ascii_alphabetic())
        .then_some(word)
}

/// Where the repository of an address is, and who calls.
fn facts(address: &RegistryAddress) -> Facts {
    let mut segments: Vec<&str> = address.path.split('/').collect();
    // `example.com:project` has the path `example.com/project`.
    let project = match segments.first() {
        Some(domain) if domain.contains('.') => {
            let domain = (*domain).to_owned();
            segments.remove(0);
            format!("{domain}:{}", segments.first().copied().unwrap_or_default())
        }
        first => first.copied().unwrap_or_default().to_owned(),
    };
    let location = address.named_host.strip_suffix("-docker.pkg.dev");
    Facts::default()
        .with("project", project)
        .with("location", location.unwrap_or_default())
        .with("repository", segments.get(1).copied().unwrap_or_default())
        .with("member", address.member.clone().unwrap_or_default())
}

fn create_repository(address: &RegistryAddress) -> String {
    facts(address).fill(
        "create it: `gcloud artifacts repositories create {repository} --repository-format=docker --location={location} --project={project}`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> RegistryAddress {
        RegistryAddress {
            base_url: "https://us-central1-docker.pkg.dev".to_owned(),
            host: "us-central1-docker.pkg.dev".to_owned(),
            path: "my-project/apis/ml-api".to_owned(),
            named_host: "us-central1-docker.pkg.dev".to_owned(),
            member: Some("serviceAccount:deployer@my-project.iam.gserviceaccount.com".to_owned()),
        }
    }

    #[test]
    fn each_refusal_has_its_way_out() {
        let rows = [
            (
                "denied: Permission \"artifactregistry.repositories.uploadArtifacts\" denied on resource \"projects/P/locations/L/repositories/R\" (or it may not exist)",
                Code::PermissionDenied,
                "--role=roles/artifactregistry.writer",
            ),
            (
                "denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"x\" (or it may not exist)",
                Code::PermissionDenied,
                "--role=roles/artifactregistry.reader",
            ),
            (
                "name unknown: Repository \"apis\" not found",
                Code::PushFailed,
                "gcloud artifacts repositories create apis --repository-format=docker --location=us-central1 --project=my-project",
            ),
            (
                "unauthorized: authentication failed",
                Code::CredentialsRefused,
                "access token",
            ),
            (
                "manifest invalid: cannot update tag v3. The repository has enabled tag immutability",
                Code::PushFailed,
                "deploy what the tag stands for",
            ),
            (
                "write /var/lib/docker/tmp/x: no space left on device",
                Code::DiskFull,
                "docker system prune",
            ),
            (
                "429 TOOMANYREQUESTS Quota exceeded",
                Code::PushFailed,
                "quota",
            ),
            ("EOF", Code::PushFailed, "run again"),
        ];
        for (text, code, help) in rows {
            let diagnostic = explain_refusal(Code::PushFailed, "cannot push", text, &address());
            assert_eq!(diagnostic.code, code, "{text}");
            assert!(
                diagnostic.help[0].contains(help),
                "{text}: {:?}",
                diagnostic.help
            );
        }
    }

    #[test]
    fn a_project_of_a_domain_is_written_with_a_colon() {
        let address = RegistryAddress {
            path: "example.com/proj/apis/ml-api".to_owned(),
            ..address()
        };
        assert!(create_repository(&address).contains("create apis "));
        assert!(create_repository(&address).ends_with("--project=example.com:proj`"));
    }
}
