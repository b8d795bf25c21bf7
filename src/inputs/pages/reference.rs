//! `docs/inputs.md`.

use super::action::GENERATED;
use crate::inputs::catalogue::{DEFAULT_CONFIG, ENVIRONMENT_KEYS, INPUTS};
use crate::inputs::environments::DEFAULT_ENVIRONMENTS;
use crate::inputs::table::{InFile, InputSpec, Kind, Section};

/// Renders the page, with the outputs and what they mean.
pub fn render(outputs: &[(&str, &str)]) -> String {
    let mut page = format!("<!-- {GENERATED} -->\n\n# Inputs\n\n{}\n", introduction());
    for section in Section::ALL {
        page.push_str(&format!("\n## {}\n", section.title()));
        for spec in INPUTS.iter().filter(|spec| spec.section == section) {
            page.push_str(&render_input(spec));
        }
    }
    page.push_str(&render_environments());
    page.push_str("\n## Outputs\n\n| output | meaning |\n|---|---|\n");
    for (name, doc) in outputs {
        page.push_str(&format!("| `{name}` | {doc} |\n"));
    }
    page
}

fn introduction() -> String {
    format!(
        "An input can be said in several places. The first of these that says it counts:\n\n\
         1. an input of the action (`with:`), or a flag on the command line (`--project-id` for `project_id`);\n\
         2. the environment's entry in `{DEFAULT_CONFIG}`;\n\
         3. the top level of that file;\n\
         4. an environment variable, where one is named below;\n\
         5. the default.\n\n\
         `env_vars`, `secrets`, `labels` and `build_args` are combined key by key; everything else is replaced.\n\
         Inputs and flags belong to the environment of the job, and change no other. An empty input counts as\n\
         not said. Everything that is wrong is reported at once, with its place. What is neither said nor has a\n\
         default stays as the service has it.\n\n\
         An editor completes and checks the file with this first line:\n\n\
         ```yaml\n\
         # yaml-language-server: $schema=https://raw.githubusercontent.com/org/ml-deploy-action/v1/docs/schema/config.schema.json\n\
         ```"
    )
}

fn render_input(spec: &InputSpec) -> String {
    let InputSpec {
        name,
        section: _,
        kind,
        default,
        action,
        file,
        variables,
        example,
        doc,
    } = spec;
    let mut places = Vec::new();
    if *action {
        places.push("action".to_owned());
        if has_flag(spec) {
            places.push(format!("`--{}`", spec.flag()));
        }
    }
    match file {
        InFile::No => {}
        InFile::Top => places.push("file: top level".to_owned()),
        InFile::Environment => places.push("file: top level and each environment".to_owned()),
    }
    places.extend(variables.iter().map(|name| format!("`{name}`")));
    let default = default.map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
    format!(
        "\n### `{name}`\n\n{doc}\n\n- Value: {}\n- Default: {default}\n- Where: {}\n- Example: `{example}`\n",
        kind.describe(),
        places.join(", ")
    )
}

/// Secrets are no flags: every process of the machine could read them.
pub fn has_flag(spec: &InputSpec) -> bool {
    spec.action && spec.kind != Kind::Sensitive && spec.name != "command"
}

fn render_environments() -> String {
    let mut part = format!(
        "\n## Environments\n\n\
         `environments:` in the configuration file is a list in the order of promotion. Unless it is there: {}.\n\
         An entry is a name, or a mapping with these keys and every input that is allowed in environments:\n\n\
         | key | meaning |\n|---|---|\n",
        DEFAULT_ENVIRONMENTS.join(", ")
    );
    for (key, doc) in ENVIRONMENT_KEYS {
        part.push_str(&format!("| `{key}` | {doc} |\n"));
    }
    part.push_str(
        "\n```yaml\nservice: ml-api\nimage: us-central1-docker.pkg.dev/my-project/ml/ml-api\nregion: us-central1\n\
         tests: golden.yaml\nenvironments:\n  - name: dev\n    project_id: my-project-dev\n  - name: test\n    \
         project_id: my-project-test\n  - name: staging\n    project_id: my-project-staging\n  - name: production\n    \
         project_id: my-project-prod\n    min_instances: 1\n    cpu: 2\n    memory: 2Gi\n```\n",
    );
    part
}
