//! Artifact Registry's own API: which image of a repository has a tag.
//!
//! Source: <https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.dockerImages>.

use serde::Deserialize;

use super::api::Api;
use super::error::GcpError;

/// Images that are looked at: the newest page, so that the question stays quick.
const PAGE: &str = "1000";

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Images {
    docker_images: Vec<Image>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Image {
    uri: String,
    tags: Vec<String>,
}

/// The images beside `image` in its repository that have the tag, without tag and digest.
///
/// # Errors
/// [`GcpError`], as without roles/artifactregistry.reader.
pub async fn images_with_tag(api: &Api, image: &str, tag: &str) -> Result<Vec<String>, GcpError> {
    let Some(repository) = repository(image) else {
        return Ok(Vec::new());
    };
    let base = api.endpoints().artifact_registry();
    let url = format!("{base}/v1/{repository}/dockerImages");
    let query = vec![("pageSize", PAGE.to_owned())];
    let Images { docker_images } = api.get(url, query).await?;
    let tagged = docker_images
        .into_iter()
        .filter(|one| one.tags.iter().any(|known| known == tag));
    Ok(tagged
        .filter_map(|one| Some(one.uri.split_once('@')?.0.to_owned()))
        .collect())
}

/// `projects/P/locations/L/repositories/R` of `L-docker.pkg.dev/P/R/I`.
fn repository(image: &str) -> Option<String> {
    let (host, path) = image.split_once('/')?;
    let location = host.strip_suffix("-docker.pkg.dev")?;
    let mut parts = path.split('/');
    let mut project = parts.next()?.to_owned();
    // `example.com:project` has the path `example.com/project`.
    if project.contains('.') {
        project = format!("{project}:{}", parts.next()?);
    }
    let repository = parts.next()?;
    Some(format!(
        "projects/{project}/locations/{location}/repositories/{repository}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_of_an_image_is_named_as_the_api_does() {
        assert_eq!(
            repository("us-central1-docker.pkg.dev/p/r/i").as_deref(),
            Some("projects/p/locations/us-central1/repositories/r")
        );
        assert_eq!(
            repository("us-docker.pkg.dev/example.com/p/r/i").as_deref(),
            Some("projects/example.com:p/locations/us/repositories/r")
        );
        assert_eq!(repository("gcr.io/p/i"), None);
    }
}
