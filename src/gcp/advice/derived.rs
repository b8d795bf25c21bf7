//! Names that follow from other names: the parts of an image, the project of an account, the role
//! that holds a permission.

use cloud_api::regions::REGIONS;
use delivery::nearest::nearest;

use super::Facts;

/// The facts with what follows from them. What is there already stays.
pub(super) fn derive(facts: Facts) -> Facts {
    let facts = of_image(facts);
    let facts = of_account(facts);
    let facts = of_permission(facts);
    let facts = nearest_region(facts);
    let caller = facts.get("member").unwrap_or("the deploying identity");
    let caller = caller.to_owned();
    let facts = facts.with("caller", caller);
    match (facts.get("project"), facts.get("consumer")) {
        (None, Some(consumer)) => {
            let consumer = consumer.to_owned();
            facts.with("project", consumer)
        }
        _ => facts,
    }
}

/// The region that was perhaps meant; a new one works without being listed.
fn nearest_region(facts: Facts) -> Facts {
    let region = facts.get("region").unwrap_or_default();
    let meant = nearest(region, REGIONS.iter().copied());
    let meant = meant.filter(|meant| *meant != region).unwrap_or_default();
    facts.with("nearest_region", meant)
}

/// Where an image's repository is.
struct Repository<'a> {
    project: String,
    location: &'a str,
    name: &'a str,
}

fn of_image(facts: Facts) -> Facts {
    let Some(image) = facts.get("image").map(str::to_owned) else {
        return facts;
    };
    let Some(Repository {
        project,
        location,
        name,
    }) = repository(&image)
    else {
        return facts;
    };
    facts
        .with("image_project", project)
        .with("image_location", location)
        .with("image_repository", name)
}

/// The repository of `LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE`, or that behind a `gcr.io`
/// host. Source: <https://cloud.google.com/artifact-registry/docs/transition/gcr-repositories>.
fn repository(image: &str) -> Option<Repository<'_>> {
    let (host, path) = image.split_once('/')?;
    let mut parts = path.split('/');
    let mut project = parts.next()?.to_owned();
    // `example.com:project` has the path `example.com/project`.
    if project.contains('.') {
        project = format!("{project}:{}", parts.next()?);
    }
    if let Some(location) = host.strip_suffix("-docker.pkg.dev") {
        let name = parts.next()?;
        return Some(Repository {
            project,
            location,
            name,
        });
    }
    let location = match host {
        "gcr.io" | "us.gcr.io" => "us",
        "eu.gcr.io" => "europe",
        "asia.gcr.io" => "asia",
        _ => return None,
    };
    Some(Repository {
        project,
        location,
        name: host,
    })
}

fn of_account(facts: Facts) -> Facts {
    let project = facts
        .get("account")
        .and_then(|account| {
            let (_, domain) = account.split_once('@')?;
            domain.strip_suffix(".iam.gserviceaccount.com")
        })
        .map(|project| match project.split_once('.') {
            Some((project, domain)) => format!("{domain}:{project}"),
            None => project.to_owned(),
        });
    // The default account of Compute Engine names its project by number only.
    let project = project.or_else(|| facts.get("project").map(str::to_owned));
    facts.with("account_project", project.unwrap_or_default())
}

/// The narrowest predefined role of Cloud Run that a deployer needs for a permission.
fn of_permission(facts: Facts) -> Facts {
    let role = match facts.get("permission") {
        Some("run.services.setIamPolicy") => "roles/run.admin",
        Some("run.routes.invoke") => "roles/run.invoker",
        Some(_) => "roles/run.developer",
        None => return facts,
    };
    facts.with("role", role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_image_are_found() {
        let rows = [
            (
                "us-central1-docker.pkg.dev/p/r/i@sha256:0",
                "p us-central1 r",
            ),
            (
                "europe-docker.pkg.dev/example.com/p/r/i:v1",
                "example.com:p europe r",
            ),
            ("eu.gcr.io/p/i:v1", "p europe eu.gcr.io"),
            (
                "docker.io/library/x",
                "IMAGE_PROJECT IMAGE_LOCATION IMAGE_REPOSITORY",
            ),
        ];
        for (image, expected) in rows {
            let facts = derive(Facts::default().with("image", image));
            let told = facts.fill("{image_project} {image_location} {image_repository}");
            assert_eq!(told, expected, "{image}");
        }
    }

    #[test]
    fn the_project_of_an_account_is_in_its_email_or_that_of_the_run() {
        let rows = [
            ("a@p.iam.gserviceaccount.com", "p"),
            ("a@p.example.com.iam.gserviceaccount.com", "example.com:p"),
            ("1-compute@developer.gserviceaccount.com", "of-the-run"),
        ];
        for (account, expected) in rows {
            let facts = Facts::default()
                .with("project", "of-the-run")
                .with("account", account);
            assert_eq!(derive(facts).fill("{account_project}"), expected);
        }
    }
}
