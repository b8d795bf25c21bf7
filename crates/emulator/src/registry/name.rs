//! Names of images: `REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE[:TAG][@DIGEST]`.

/// What a reference points at within an image's name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reference {
    /// A name that can move.
    Tag(String),
    /// `sha256:…`.
    Digest(String),
}

impl Reference {
    /// A tag or a digest; `None` when the text is neither.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if is_digest(text) {
            Some(Self::Digest(text.to_owned()))
        } else if is_tag(text) {
            Some(Self::Tag(text.to_owned()))
        } else {
            None
        }
    }
}

/// Name and reference of an image as a user writes it; the host is dropped, for this registry
/// answers for every region. `None` when it is no image of Artifact Registry's form.
pub(super) fn parse_image(image: &str) -> Option<(String, Reference)> {
    let (host, rest) = image.split_once('/')?;
    let is_host = host.contains('.') || host.contains(':') || host == "localhost";
    if !is_host {
        return None;
    }
    let (name, reference) = match rest.split_once('@') {
        Some((name, digest)) if is_digest(digest) => {
            // `name:tag@digest`: the digest decides.
            let name = split_tag(name).map_or(name, |(name, _)| name);
            (name, Reference::Digest(digest.to_owned()))
        }
        Some(_) => return None,
        None => match split_tag(rest) {
            Some((name, tag)) if is_tag(tag) => (name, Reference::Tag(tag.to_owned())),
            Some(_) => return None,
            None => (rest, Reference::Tag("latest".to_owned())),
        },
    };
    is_name(name).then(|| (name.to_owned(), reference))
}

fn split_tag(name: &str) -> Option<(&str, &str)> {
    let (before, tag) = name.rsplit_once(':')?;
    (!tag.contains('/')).then_some((before, tag))
}

/// True for `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` of the distribution specification.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// Lower-case path components joined by `/`, at least `PROJECT/REPOSITORY/IMAGE`.
pub(super) fn is_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() >= 3 && name.len() <= 255 && parts.iter().all(|part| is_component(part))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of the distribution specification.
fn is_component(part: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    let edges = bytes.first().copied().is_some_and(alphanumeric)
        && bytes.last().copied().is_some_and(alphanumeric);
    edges
        && bytes
            .split(|byte| alphanumeric(*byte))
            .all(|run| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-'))
}

/// The repository of Artifact Registry that an image's name lies in: `(project, repository)`.
/// A project scoped to a domain has two components: `example.com/project`.
pub(super) fn repository_of(name: &str) -> Option<(String, String)> {
    let mut parts = name.split('/');
    let mut project = parts.next()?.to_owned();
    if project.contains('.') {
        project = format!("{project}:{}", parts.next()?);
    }
    Some((project, parts.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn images_are_read_as_users_write_them() {
        let tag = |tag: &str| Reference::Tag(tag.to_owned());
        let digest = Reference::Digest(DIGEST.to_owned());
        for (image, expected) in [
            (
                "europe-west1-docker.pkg.dev/p/r/i:v1".to_owned(),
                Some(("p/r/i", tag("v1"))),
            ),
            (
                "europe-west1-docker.pkg.dev/p/r/i".to_owned(),
                Some(("p/r/i", tag("latest"))),
            ),
            (
                format!("127.0.0.1:5000/p/r/i@{DIGEST}"),
                Some(("p/r/i", digest.clone())),
            ),
            (
                format!("127.0.0.1:5000/p/r/i/j:v1@{DIGEST}"),
                Some(("p/r/i/j", digest)),
            ),
            ("p/r/i:v1".to_owned(), None),
            ("europe-west1-docker.pkg.dev/p/r:v1".to_owned(), None),
            ("europe-west1-docker.pkg.dev/p/R/i:v1".to_owned(), None),
            ("localhost:1/p/r/i@sha256:12".to_owned(), None),
            ("localhost:1/p/r/i:".to_owned(), None),
        ] {
            let expected = expected.map(|(name, reference)| (name.to_owned(), reference));
            assert_eq!(parse_image(&image), expected, "{image}");
        }
    }

    #[test]
    fn components_follow_the_specification() {
        for good in ["a", "a-b", "a--b", "a_b", "a__b", "a.b", "0"] {
            assert!(is_component(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a..b", "a___b", "a.-b", "A", "ä"] {
            assert!(!is_component(bad), "{bad}");
        }
    }

    #[test]
    fn a_domain_scoped_project_has_two_components() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(repository_of("p/r/i"), pair("p", "r"));
        assert_eq!(
            repository_of("example.com/p/r/i"),
            pair("example.com:p", "r")
        );
    }
}
