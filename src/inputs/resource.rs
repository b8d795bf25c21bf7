//! Names of things elsewhere: secrets, images, paths, service accounts, identity providers.

use delivery::spec::{SecretBinding, SecretPlace};

use super::value::ValueProblem;

/// `name:version`, `projects/P/secrets/name:version` or `projects/P/secrets/name/versions/version`.
///
/// # Errors
/// When a part is missing or malformed.
pub fn parse_secret(place: &str, text: &str) -> Result<SecretBinding, ValueProblem> {
    let text = text.trim();
    let (secret, version) = match text
        .split_once("/versions/")
        .or_else(|| text.rsplit_once(':'))
    {
        Some(parts) => parts,
        None => {
            return Err(ValueProblem::new("names no version of the secret")
                .help(format!("use `{place}={text}:latest`")));
        }
    };
    let name = match secret.split('/').collect::<Vec<_>>().as_slice() {
        [name] => Some(*name),
        ["projects", project, "secrets", name] if !project.is_empty() => Some(*name),
        _ => None,
    };
    let valid = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if !name.is_some_and(valid) {
        return Err(ValueProblem::new(
            "names no secret: letters, digits, `-` and `_`, or `projects/P/secrets/NAME`",
        ));
    }
    if !valid(version) {
        return Err(
            ValueProblem::new("names no version: `latest`, a number or an alias")
                .help(format!("use `{place}={secret}:latest`")),
        );
    }
    let place = if place.starts_with('/') {
        let file = place.rsplit('/').next().unwrap_or_default();
        if file.is_empty() || place.matches('/').count() < 2 || place.contains("//") {
            return Err(ValueProblem::new(
                "must be the absolute path of a file in a directory of its own",
            )
            .help(format!(
                "use `/etc/secrets/{}`",
                place.trim_matches('/').replace('/', "-")
            )));
        }
        SecretPlace::File(place.to_owned())
    } else {
        SecretPlace::Variable(place.to_owned())
    };
    Ok(SecretBinding {
        place,
        secret: secret.to_owned(),
        version: version.to_owned(),
    })
}

/// A repository of Artifact Registry, `REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE`.
///
/// # Errors
/// When it has a tag, a digest, another host or too few parts.
pub fn parse_image(text: &str) -> Result<String, ValueProblem> {
    let text = text.trim().trim_end_matches('/');
    let rule = "must be `REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE`";
    if let Some((bare, _)) = text.split_once('@') {
        return Err(
            ValueProblem::new("must have no digest: it follows from the commit")
                .help(format!("use `{bare}`")),
        );
    }
    let last = text.rsplit('/').next().unwrap_or_default();
    if let Some((_, tag)) = last.split_once(':') {
        let bare = &text[..text.len() - tag.len() - 1];
        return Err(
            ValueProblem::new("must have no tag: it follows from the commit")
                .help(format!("use `{bare}`")),
        );
    }
    if let Some(bare) = text.strip_prefix("https://") {
        return Err(ValueProblem::new("must have no scheme").help(format!("use `{bare}`")));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let host = parts.first().copied().unwrap_or_default();
    if !host.ends_with("-docker.pkg.dev") {
        let help =
            "push to Artifact Registry, such as `us-central1-docker.pkg.dev/my-project/ml/ml-api`";
        return Err(ValueProblem::new(rule).help(help));
    }
    if parts.len() < 4 {
        return Err(ValueProblem::new(format!(
            "{rule}; {} parts are missing",
            4 - parts.len()
        )));
    }
    let valid = |part: &&str| {
        !part.is_empty()
            && part.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':')
            })
    };
    if !parts.iter().all(valid) {
        return Err(ValueProblem::new(
            "must have lower-case letters, digits, `-`, `_` and `.` only",
        )
        .help(format!("use `{}`", text.to_lowercase())));
    }
    Ok(text.to_owned())
}

/// A path of the service, with its `/` in front.
///
/// # Errors
/// When it is a whole URL or does not begin with `/`.
pub fn parse_url_path(text: &str) -> Result<String, ValueProblem> {
    let text = text.trim();
    if text.starts_with('/') && !text.contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    let path = text.split_once("://").map_or(text, |(_, rest)| {
        rest.split_once('/').map_or("", |(_, path)| path)
    });
    Err(ValueProblem::new("must be a path that begins with `/`")
        .help(format!("use `/{}`", path.trim_start_matches('/'))))
}

/// An e-mail address of a service account.
///
/// # Errors
/// When it is none.
pub fn parse_service_account(text: &str) -> Result<String, ValueProblem> {
    let text = text.trim();
    let email = text.rsplit('/').next().unwrap_or_default();
    let valid = email
        .split_once('@')
        .is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'))
        && !email.contains(char::is_whitespace);
    if !valid {
        return Err(
            ValueProblem::new("must be the e-mail address of a service account").help(format!(
                "use `{}@PROJECT.iam.gserviceaccount.com`",
                email.trim()
            )),
        );
    }
    if email != text {
        return Err(
            ValueProblem::new("must be the e-mail address alone").help(format!("use `{email}`"))
        );
    }
    Ok(email.to_owned())
}

/// The full resource name of a workload identity provider.
///
/// # Errors
/// When it is none; the console shows other forms.
pub fn parse_provider(text: &str) -> Result<String, ValueProblem> {
    let text = text.trim();
    let rule =
        "must be `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`";
    let bare = text
        .trim_start_matches("https:")
        .trim_start_matches("//iam.googleapis.com/")
        .trim_matches('/');
    let parts: Vec<&str> = bare.split('/').collect();
    match parts.as_slice() {
        [
            "projects",
            number,
            "locations",
            "global",
            "workloadIdentityPools",
            pool,
            "providers",
            provider,
        ] if !number.is_empty() && !pool.is_empty() && !provider.is_empty() => {
            if !number.chars().all(|c| c.is_ascii_digit()) {
                return Err(ValueProblem::new(format!(
                    "{rule}, with the project's number, not `{number}`"
                ))
                .help(format!(
                    "ask for it: gcloud projects describe {number} --format='value(projectNumber)'"
                )));
            }
            Ok(bare.to_owned())
        }
        _ => Err(ValueProblem::new(rule)),
    }
}

#[cfg(test)]
#[path = "resource_tests.rs"]
mod tests;
