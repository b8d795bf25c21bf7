//! A map that knows which of its rows were touched.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StorageError;
use super::journal::{Row, Rows};

/// A map whose changes are kept. Reads are those of a [`BTreeMap`]; there is no way to change a row
/// without the table knowing.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    /// Empty: nothing of it is kept.
    name: &'static str,
    rows: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

/// A table that is kept nowhere.
impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            name: "",
            rows: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }
}

/// A table that is kept nowhere.
impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Self {
        Self {
            rows: rows.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// The row, to be changed.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        if !self.name.is_empty() && !self.touched.contains(key) {
            let (key, _) = self.rows.get_key_value(key)?;
            self.touched.insert(key.clone());
        }
        self.rows.get_mut(key)
    }

    /// The row, to be changed; made where it is missing.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        touch(self.name, &mut self.touched, &key);
        self.rows.entry(key).or_insert_with(make)
    }

    pub(crate) fn insert(&mut self, key: K, row: V) -> Option<V> {
        touch(self.name, &mut self.touched, &key);
        self.rows.insert(key, row)
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (key, row) = self.rows.remove_entry(key)?;
        touch(self.name, &mut self.touched, &key);
        Some(row)
    }

    /// Keeps the rows for which the answer is true.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&K, &V) -> bool) {
        let (name, touched) = (self.name, &mut self.touched);
        self.rows.retain(|key, row| {
            let stays = stays(key, row);
            if !stays {
                touch(name, touched, key);
            }
            stays
        });
    }

    pub(crate) fn clear(&mut self) {
        self.retain(|_, _| false);
    }
}

fn touch<K: Ord + Clone>(name: &str, touched: &mut BTreeSet<K>, key: &K) {
    if !name.is_empty() && !touched.contains(key) {
        touched.insert(key.clone());
    }
}

impl<K, V> Table<K, V>
where
    K: Ord + Clone + Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    pub(super) fn load(name: &'static str, kept: Rows) -> Result<Self, StorageError> {
        let mut rows = BTreeMap::new();
        for (key, value) in kept {
            let row = serde_json::from_str(&key)
                .and_then(|parsed: K| Ok((parsed, serde_json::from_str(&value)?)));
            let (parsed, row) = row.map_err(|error| StorageError::Row {
                table: name.to_owned(),
                key,
                problem: error.to_string(),
            })?;
            rows.insert(parsed, row);
        }
        Ok(Self {
            name,
            rows,
            touched: BTreeSet::new(),
        })
    }

    /// Adds what was touched since the last time.
    pub(crate) fn keep(&mut self, changes: &mut Changes) {
        debug_assert!(
            !(changes.wanted && self.name.is_empty()),
            "a table was replaced in place of being cleared"
        );
        for key in std::mem::take(&mut self.touched) {
            changes.note(self.name, &key, self.rows.get(&key));
        }
    }
}

/// What one step has changed.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(super) rows: Vec<Row>,
    wanted: bool,
}

impl Changes {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            rows: Vec::new(),
            wanted,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn note(&mut self, table: &'static str, key: &impl Serialize, row: Option<&impl Serialize>) {
        let noted = serde_json::to_string(key).and_then(|key| {
            let value = row.map(serde_json::to_string).transpose()?;
            Ok(Row { table, key, value })
        });
        match noted {
            Ok(row) => self.rows.push(row),
            // A map with keys that are no text: a defect, found by the first test that writes it.
            Err(error) => tracing::error!(%error, table, "a row cannot be kept"),
        }
    }
}
