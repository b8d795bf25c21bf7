//! What a registry, or dockerd for it, says → what to do.

use delivery::diagnostic::{Code, Diagnostic};

use super::RegistryAddress;

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
    if says(&["denied", "403", "forbidden"]) {
        let permission = if says(&["uploadartifacts", "push"]) {
            "writer"
        } else {
            "reader"
        };
        return Diagnostic::error(Code::PermissionDenied, title)
            .help(grant(address, permission))
            .help(format!(
                "if the repository does not exist: {}",
                create_repository(address)
            ));
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

/// Where the repository of an address is.
struct Parts {
    location: String,
    project: String,
    repository: String,
}

fn parts(address: &RegistryAddress) -> Option<Parts> {
    let mut segments: Vec<&str> = address.path.split('/').collect();
    // `example.com:project` has the path `example.com/project`.
    let project = if segments.first()?.contains('.') {
        format!("{}:{}", segments.remove(0), segments.first()?)
    } else {
        (*segments.first()?).to_owned()
    };
    let location = address
        .host
        .strip_suffix("-docker.pkg.dev")
        .unwrap_or("REGION");
    Some(Parts {
        location: location.to_owned(),
        project,
        repository: (*segments.get(1)?).to_owned(),
    })
}

fn create_repository(address: &RegistryAddress) -> String {
    match parts(address) {
        Some(Parts {
            location,
            project,
            repository,
        }) => format!(
            "create it: gcloud artifacts repositories create {repository} --repository-format=docker --location={location} --project={project}"
        ),
        None => "create the repository; an image is named PROJECT/REPOSITORY/IMAGE".to_owned(),
    }
}

fn grant(address: &RegistryAddress, role: &str) -> String {
    match parts(address) {
        Some(Parts {
            location,
            project,
            repository,
        }) => format!(
            "grant the job's account roles/artifactregistry.{role}: gcloud artifacts repositories add-iam-policy-binding {repository} \
             --location={location} --project={project} --member=serviceAccount:ACCOUNT --role=roles/artifactregistry.{role}"
        ),
        None => format!("grant the job's account roles/artifactregistry.{role} on the repository"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> RegistryAddress {
        RegistryAddress {
            base_url: "https://us-central1-docker.pkg.dev".to_owned(),
            host: "us-central1-docker.pkg.dev".to_owned(),
            path: "my-project/apis/ml-api".to_owned(),
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
        assert!(create_repository(&address).ends_with("--project=example.com:proj"));
    }
}
