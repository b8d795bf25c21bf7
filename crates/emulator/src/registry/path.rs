//! Which resource a path below `/v2/` names.

use super::error::RegistryError;
use super::name::{Reference, is_digest, is_name};
use axum::http::StatusCode;

/// A resource of the distribution API.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resource {
    /// `NAME/manifests/REFERENCE`.
    Manifest(String, Reference),
    /// `NAME/blobs/DIGEST`.
    Blob(String, String),
    /// `NAME/blobs/uploads/`.
    Uploads(String),
    /// `NAME/blobs/uploads/ID`.
    Upload(String, String),
    /// `NAME/tags/list`.
    Tags(String),
    /// `NAME/referrers/DIGEST`.
    Referrers(String, String),
}

impl Resource {
    /// The image's name, `PROJECT/REPOSITORY/IMAGE`.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _) => name,
        }
    }
}

/// Reads the path after `/v2/`. `None`: it belongs to no registry at all.
pub(super) fn parse(path: &str) -> Option<Result<Resource, RegistryError>> {
    let parts: Vec<&str> = path.split('/').collect();
    let (name, rest) = match parts.as_slice() {
        [name @ .., "blobs", "uploads", id] => (name, Rest::Upload(id)),
        [name @ .., "blobs", "uploads"] => (name, Rest::Upload("")),
        [name @ .., "blobs", digest] => (name, Rest::Blob(digest)),
        [name @ .., "manifests", reference] => (name, Rest::Manifest(reference)),
        [name @ .., "tags", "list"] => (name, Rest::Tags),
        [name @ .., "referrers", digest] => (name, Rest::Referrers(digest)),
        _ => return None,
    };
    let name = name.join("/");
    if name.is_empty() {
        return None;
    }
    Some(check_name(&name).and_then(|()| rest.into_resource(name)))
}

enum Rest<'p> {
    Manifest(&'p str),
    Blob(&'p str),
    Upload(&'p str),
    Tags,
    Referrers(&'p str),
}

impl Rest<'_> {
    fn into_resource(self, name: String) -> Result<Resource, RegistryError> {
        let digest = |text: &str| {
            is_digest(text).then(|| text.to_owned()).ok_or_else(|| {
                RegistryError::digest_invalid(format!("\"{text}\" is no sha256 digest"))
            })
        };
        Ok(match self {
            Self::Manifest(text) => {
                let reference = Reference::parse(text).ok_or_else(|| {
                    RegistryError::manifest_invalid(format!("\"{text}\" is no tag and no digest"))
                })?;
                Resource::Manifest(name, reference)
            }
            Self::Blob(text) => Resource::Blob(name, digest(text)?),
            Self::Upload("") => Resource::Uploads(name),
            Self::Upload(id) => Resource::Upload(name, id.to_owned()),
            Self::Tags => Resource::Tags(name),
            Self::Referrers(text) => Resource::Referrers(name, digest(text)?),
        })
    }
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let message = if is_name(name) {
        return Ok(());
    } else if name.split('/').count() < 3 {
        "Missing image name. Pushes should be of the form docker push \
         HOST-NAME/PROJECT-ID/REPOSITORY/IMAGE"
            .to_owned()
    } else {
        format!("invalid image name \"{name}\"")
    };
    Err(RegistryError::new(
        StatusCode::BAD_REQUEST,
        "NAME_INVALID",
        message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn resource(path: &str) -> Option<Resource> {
        parse(path).map(|found| found.expect("a good path"))
    }

    #[test]
    fn paths_name_resources() {
        let name = || "p/r/i".to_owned();
        let tag = Reference::Tag("v1".to_owned());
        let cases = [
            ("p/r/i/manifests/v1", Some(Resource::Manifest(name(), tag))),
            ("p/r/i/tags/list", Some(Resource::Tags(name()))),
            ("p/r/i/blobs/uploads/", Some(Resource::Uploads(name()))),
            (
                "p/r/i/blobs/uploads/7",
                Some(Resource::Upload(name(), "7".to_owned())),
            ),
            ("projects/p/locations/l/services", None),
            ("entries:list", None),
            ("tags/list", None),
        ];
        for (path, expected) in cases {
            assert_eq!(resource(path), expected, "{path}");
        }
        let blob = Resource::Blob(name(), DIGEST.to_owned());
        assert_eq!(resource(&format!("p/r/i/blobs/{DIGEST}")), Some(blob));
    }

    #[test]
    fn wrong_names_and_digests_are_refused() {
        for path in [
            "p/i/manifests/v1",
            "p/R/i/tags/list",
            "p/r/i/blobs/sha256:12",
            "p/r/i/manifests/-v1",
            "p/r/i/referrers/v1",
        ] {
            assert!(parse(path).is_some_and(|found| found.is_err()), "{path}");
        }
    }
}
