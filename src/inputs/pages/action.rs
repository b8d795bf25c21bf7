//! `action.yml`, as the runner reads it.

use crate::inputs::catalogue::INPUTS;
use crate::inputs::table::{InFile, InputSpec};

/// The published image that a workflow pulls. The release workflow builds it before the tag `v1`
/// moves to the commit that names it, so that nobody compiles anything in a workflow.
pub const PUBLISHED_IMAGE: &str = concat!(
    "docker://ghcr.io/org/ml-deploy-action:v",
    env!("CARGO_PKG_VERSION")
);

/// What the runner starts in the image after the main step, however that ended: the same program,
/// which knows by this name what it is to do.
pub const POST_ENTRYPOINT: &str = "/ml-deploy-post";

/// Said at the top of every file that is written from code.
pub const GENERATED: &str =
    "Written by `ml-deploy generate` from src/inputs/catalogue.rs; do not edit.";

/// Renders it for an image ([`PUBLISHED_IMAGE`], or `Dockerfile` for a test of this repository), with
/// the outputs and what they mean.
pub fn render(image: &str, outputs: &[(&str, &str)]) -> String {
    let mut text = format!(
        "# {GENERATED}\n\
         name: ML deploy\n\
         description: {}\n\
         author: The ml-deploy-action maintainers\n\
         branding:\n  icon: trending-up\n  color: blue\n\
         inputs:\n",
        quoted(
            "Promotes one image of an ML API through its environments on Cloud Run, with tests, approval and rollback"
        )
    );
    for spec in INPUTS.iter().filter(|spec| spec.action) {
        let (told, handed) = match spec.default {
            Some(default) if !is_handed(spec) => (format!(" Default: `{default}`."), None),
            default => (String::new(), default),
        };
        text.push_str(&format!(
            "  {}:\n    description: {}\n    required: false\n",
            spec.name,
            quoted(&format!("{}{told}", spec.doc))
        ));
        if let Some(default) = handed {
            text.push_str(&format!("    default: {}\n", quoted(default)));
        }
    }
    text.push_str("outputs:\n");
    for (name, doc) in outputs {
        text.push_str(&format!("  {name}:\n    description: {}\n", quoted(doc)));
    }
    text.push_str(&format!(
        "runs:\n  using: docker\n  image: {}\n  post-entrypoint: {POST_ENTRYPOINT}\n  post-if: always()\n",
        quoted(image)
    ));
    text
}

/// Whether the runner hands the default to the program. It hands over what is declared here like a
/// value of `with:`, which is stronger than the configuration file and variables: so what these may
/// say has its default only in the program. An expression has a value on the runner alone.
fn is_handed(spec: &InputSpec) -> bool {
    let elsewhere = spec.file != InFile::No || !spec.variables.is_empty();
    !elsewhere || spec.default.is_some_and(|text| text.starts_with("${{"))
}

/// A JSON string is a YAML double-quoted scalar.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::yaml::{Value, parse_yaml};

    #[test]
    fn a_default_that_the_runner_hands_over_beats_nothing_that_a_file_says() {
        let text = render(PUBLISHED_IMAGE, &[]);
        let block = |name: &str| {
            let (_, rest) = text.split_once(&format!("\n  {name}:\n")).unwrap();
            rest.lines().take(3).collect::<Vec<_>>().join("\n")
        };
        let access = block("access");
        assert!(access.contains("Default: `private`."), "{access}");
        assert!(!access.contains("    default:"), "{access}");
        assert!(block("github_token").contains("    default: \"${{ github.token }}\""));
    }

    #[test]
    fn every_input_and_output_is_declared_and_the_text_is_yaml() {
        let text = render(
            PUBLISHED_IMAGE,
            &[("url", "Its address."), ("digest", "Its `digest`.")],
        );
        let Value::Map(root) = parse_yaml(&text).unwrap().value else {
            panic!("{text}")
        };
        let names = |key: &str| match &root
            .iter()
            .find(|entry| entry.key == key)
            .unwrap()
            .node
            .value
        {
            Value::Map(entries) => entries
                .iter()
                .map(|entry| entry.key.clone())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            names("inputs").len(),
            INPUTS.iter().filter(|spec| spec.action).count()
        );
        assert_eq!(names("outputs"), ["url", "digest"]);
        assert_eq!(
            names("runs"),
            ["using", "image", "post-entrypoint", "post-if"]
        );
        assert!(text.contains("image: \"docker://ghcr.io/org/ml-deploy-action:v0.1.0\""));
    }
}
