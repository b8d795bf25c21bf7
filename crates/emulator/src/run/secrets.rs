//! The part of Secret Manager that Cloud Run uses: versions of secrets.

use super::key::project_number;
use crate::storage::{Changes, Keep, Storage, StorageError, Table};

/// Secrets by project number and name.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Table<(String, String), Vec<Vec<u8>>>);

impl Keep for Secrets {
    fn keep(&mut self, changes: &mut Changes) {
        self.0.keep(changes);
    }
}

impl Secrets {
    /// What was kept.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub(crate) fn load(storage: &Storage) -> Result<Self, StorageError> {
        storage.table("run.secrets").map(Self)
    }

    /// Forgets every secret.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a version and gives its number.
    pub(crate) fn add(&mut self, project: &str, name: &str, value: &[u8]) -> usize {
        let key = (project_number(project), name.to_owned());
        let versions = self.0.get_or_insert_with(key, Vec::new);
        versions.push(value.to_vec());
        versions.len()
    }

    /// The value of `latest` or of a numbered version. `secret` is `name` or
    /// `projects/P/secrets/name`.
    pub(crate) fn get(&self, project: &str, secret: &str, version: &str) -> Option<&[u8]> {
        let (project, name) = locate(project, secret);
        let versions = self.0.get(&(project_number(project), name.to_owned()))?;
        let index = match version {
            "latest" => versions.len(),
            number => number.parse().ok()?,
        };
        versions.get(index.checked_sub(1)?).map(Vec::as_slice)
    }
}

/// Project and short name of a secret as a service names it.
pub(crate) fn locate<'s>(project: &'s str, secret: &'s str) -> (&'s str, &'s str) {
    let full = secret
        .strip_prefix("projects/")
        .and_then(|rest| rest.split_once("/secrets/"));
    full.unwrap_or((project, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_from_one() {
        let mut secrets = Secrets::default();
        assert_eq!(secrets.add("p", "key", b"a"), 1);
        assert_eq!(secrets.add("p", "key", b"b"), 2);
        assert_eq!(secrets.get("p", "key", "latest"), Some(b"b".as_slice()));
        assert_eq!(
            secrets.get("other", "projects/p/secrets/key", "1"),
            Some(b"a".as_slice())
        );
        let number = format!("projects/{}/secrets/key", project_number("p"));
        assert_eq!(secrets.get("other", &number, "2"), Some(b"b".as_slice()));
        for version in ["0", "3", "x"] {
            assert_eq!(secrets.get("p", "key", version), None, "{version}");
        }
    }
}
