//! Where the runner mounts its folders in the container, and how it rewrites values.

/// Host paths and what stands for them in the container, most specific first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mappings(Vec<(String, String)>);

impl Mappings {
    /// Adds a pair in front of the others: what is added later is looked at first.
    pub(crate) fn add(&mut self, host: &str, container: &str) {
        self.0.insert(0, (host.to_owned(), container.to_owned()));
    }

    /// A value as the container gets it: rewritten where it *is* a mapped path or begins with one
    /// and a slash; a path in the middle of a value stays.
    pub(crate) fn to_container(&self, value: &str) -> String {
        translate(
            value,
            self.0.iter().map(|(host, container)| (host, container)),
        )
    }

    /// The other way, for the paths in annotations.
    pub(crate) fn to_host(&self, value: &str) -> String {
        translate(
            value,
            self.0.iter().map(|(host, container)| (container, host)),
        )
    }
}

fn translate<'a>(value: &str, pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    for (from, to) in pairs {
        match value.strip_prefix(from.as_str()) {
            Some("") => return to.clone(),
            Some(rest) if rest.starts_with('/') => return format!("{to}{rest}"),
            _ => {}
        }
    }
    value.to_owned()
}

#[test]
fn the_most_specific_folder_wins_and_only_at_the_beginning_of_a_value() {
    let mut mappings = Mappings::default();
    mappings.add("/home/r/_temp", "/github/runner_temp");
    mappings.add("/home/r/_temp/_github_home", "/github/home");
    for (host, container) in [
        ("/home/r/_temp", "/github/runner_temp"),
        ("/home/r/_temp/x", "/github/runner_temp/x"),
        ("/home/r/_temp/_github_home/.netrc", "/github/home/.netrc"),
        ("/home/r/_temporary", "/home/r/_temporary"),
        ("see /home/r/_temp", "see /home/r/_temp"),
        ("", ""),
    ] {
        assert_eq!(mappings.to_container(host), container);
        assert_eq!(mappings.to_host(container), host);
    }
}
