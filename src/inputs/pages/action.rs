//! `action.yml`, as the runner reads it.

use crate::inputs::catalogue::INPUTS;

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
        text.push_str(&format!(
            "  {}:\n    description: {}\n    required: false\n",
            spec.name,
            quoted(spec.doc)
        ));
        if let Some(default) = spec.default {
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

/// A JSON string is a YAML double-quoted scalar.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::yaml::{Value, parse_yaml};

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
