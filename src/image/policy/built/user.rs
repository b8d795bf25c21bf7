//! Who the container runs as.

use crate::image::policy::archive::flat::Flat;
use crate::image::policy::archive::saved::Image;
use crate::image::policy::finding::{Finding, Policy};

use super::whole;

const HELP: &str =
    "end the Dockerfile with a user who is not root: `RUN useradd -m appuser` and `USER appuser`";

/// The image's user must not be root, by number or by `/etc/passwd`.
pub(super) fn check(image: &Image, flat: &Flat<'_>) -> Option<Finding> {
    let user = image
        .config
        .config
        .user
        .as_deref()
        .unwrap_or_default()
        .trim();
    let finding = |rule, title: String| Finding::new(Policy::ImageUser, rule, whole(), title);
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() {
        return Some(
            finding(
                "user-missing",
                "the image names no user: its container runs as root".to_owned(),
            )
            .help(HELP),
        );
    }
    if let Ok(number) = name.parse::<u64>() {
        return (number == 0).then(|| {
            finding(
                "user-root",
                format!("the container runs as root: the image's user is `{user}`"),
            )
            .help(HELP)
        });
    }
    let passwd = flat
        .get("etc/passwd")
        .and_then(|visible| image.layers[visible.layer].texts.get("etc/passwd"));
    let number = passwd.and_then(|text| number_of(text, name));
    match number {
        Some(0) => Some(finding("user-root", format!("the container runs as root: `{name}` has the number 0 in /etc/passwd")).help(HELP)),
        Some(_) => None,
        // Every image knows this one, be there a file or not.
        None if name == "root" => Some(finding("user-root", "the container runs as root".to_owned()).help(HELP)),
        None => Some(
            finding("user-unknown", format!("the image's user `{name}` is not in its /etc/passwd: no container can start"))
                .help("make the user in the last stage, copy /etc/passwd into it, or name the user by number"),
        ),
    }
}

/// `name:password:number:…`.
fn number_of(passwd: &str, name: &str) -> Option<u64> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}
