//! The part of `action.yml` that the runner reads.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// An action's inputs and how it runs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Manifest {
    #[serde(default)]
    inputs: BTreeMap<String, Input>,
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, serde_json::Value>,
    pub(crate) runs: Runs,
}

#[derive(Debug, Clone, Deserialize)]
struct Input {
    /// YAML booleans and numbers are strings to the runner.
    default: Option<serde_json::Value>,
}

/// How it runs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Runs {
    pub(crate) using: String,
    pub(crate) image: String,
    #[serde(default, rename = "post-entrypoint")]
    pub(crate) post_entrypoint: Option<String>,
    /// `always()` unless said.
    #[serde(default, rename = "post-if")]
    pub(crate) post_if: Option<String>,
}

impl Manifest {
    /// The action of this repository.
    pub(crate) fn ours() -> Self {
        Self::read(&crate::repository().join("action.yml"))
    }

    /// An image that is used without an action.yml: `uses: docker://IMAGE`.
    pub(crate) fn of_image(image: &str) -> Self {
        Self {
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            runs: Runs {
                using: "docker".to_owned(),
                image: format!("docker://{image}"),
                post_entrypoint: None,
                post_if: None,
            },
        }
    }

    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Every input as the runner hands it on: what is given, whether declared or not, and the
    /// default, or nothing, of what is not.
    pub(crate) fn inputs(
        &self,
        given: &BTreeMap<String, String>,
        github_token: &str,
    ) -> BTreeMap<String, String> {
        let mut all = given.clone();
        for (name, input) in &self.inputs {
            all.entry(name.clone()).or_insert_with(|| {
                let default = input.default.as_ref().map(plain).unwrap_or_default();
                evaluated(&default, github_token)
            });
        }
        all
    }
}

fn plain(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The expressions that defaults may hold here.
fn evaluated(text: &str, github_token: &str) -> String {
    let text = text.replace("${{ github.token }}", github_token);
    assert!(
        !text.contains("${{"),
        "this model of the runner does not know the expression in `{text}`"
    );
    text
}
