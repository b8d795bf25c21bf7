//! Carries out the printed commands that change who may do what.

use serde_json::{Value, json};
use testkit::World;

use super::gcloud::{Command, admin, call};
use super::{Failure, Told};

/// Carries a command out that `gcloud.rs` does not know.
pub(super) async fn carry_out(command: &mut Command<'_>, world: &World) -> Told {
    let words = command.words.clone();
    match words.as_slice() {
        ["projects", "add-iam-policy-binding", project] => {
            // Without it gcloud asks, where the policy has conditions.
            assert_eq!(command.take("condition")?, "None");
            grant(command, world, &format!("projects/{project}")).await
        }
        ["artifacts", "repositories", "add-iam-policy-binding", name] => {
            let (location, project) = (command.take("location")?, command.take("project")?);
            let resource = format!("projects/{project}/locations/{location}/repositories/{name}");
            grant(command, world, &resource).await
        }
        ["iam", "service-accounts", "add-iam-policy-binding", email] => {
            let project = command.take("project")?;
            let resource = format!("projects/{project}/serviceAccounts/{email}");
            grant(command, world, &resource).await
        }
        ["secrets", "add-iam-policy-binding", name] => {
            let project = command.take("project")?;
            grant(
                command,
                world,
                &format!("projects/{project}/secrets/{name}"),
            )
            .await
        }
        ["run", "services", "add-iam-policy-binding", name] => {
            bind_service(command, world, name).await
        }
        [
            "iam",
            "workload-identity-pools",
            "providers",
            "update-oidc",
            name,
        ] => update_provider(command, world, name).await,
        _ => Err(format!("this harness does not know `gcloud {words:?}`").into()),
    }
}

async fn grant(command: &mut Command<'_>, world: &World, resource: &str) -> Told {
    let (member, role) = (command.take("member")?, command.take("role")?);
    let body = json!({"action": "grant", "role": role, "member": member});
    admin(world, "POST", &format!("iam/{resource}"), &body).await?;
    Ok(())
}

/// Reads, changes and writes the policy of a service, as gcloud does.
async fn bind_service(command: &mut Command<'_>, world: &World, name: &str) -> Told {
    let (region, project) = (command.take("region")?, command.take("project")?);
    let (member, role) = (command.take("member")?, command.take("role")?);
    let service = format!("/v2/projects/{project}/locations/{region}/services/{name}");
    let mut policy = call(world, "GET", &format!("{service}:getIamPolicy"), None).await?;
    let binding = json!({"role": role, "members": [member]});
    match policy["bindings"].as_array_mut() {
        Some(bindings) => bindings.push(binding),
        None => policy["bindings"] = json!([binding]),
    }
    let body = json!({ "policy": policy });
    call(
        world,
        "POST",
        &format!("{service}:setIamPolicy"),
        Some(&body),
    )
    .await?;
    Ok(())
}

/// Of a condition only the form that we print is understood: a claim that equals a text.
async fn update_provider(command: &mut Command<'_>, world: &World, name: &str) -> Told {
    let (project, pool) = (
        command.take("project")?,
        command.take("workload-identity-pool")?,
    );
    assert_eq!(command.take("location")?, "global");
    let provider = format!(
        "projects/{project}/locations/global/workloadIdentityPools/{pool}/providers/{name}"
    );
    let mut body: Value = json!({ "name": provider });
    if let Ok(condition) = command.take("attribute-condition") {
        let (claim, value) = equation(condition).ok_or("a condition of another form")?;
        body["condition"] = json!({ claim: value });
    }
    if let Ok(audience) = command.take("allowed-audiences") {
        body["allowed_audiences"] = json!([audience]);
    }
    admin(world, "POST", "workload-identity-providers", &body).await?;
    Ok(())
}

/// `"assertion.CLAIM=='VALUE'"`, quoted for the shell.
fn equation(condition: &str) -> Option<(&str, &str)> {
    let bare = condition.strip_prefix('"')?.strip_suffix('"')?;
    let (claim, value) = bare.strip_prefix("assertion.")?.split_once("==")?;
    Some((claim, value.strip_prefix('\'')?.strip_suffix('\'')?))
}

#[test]
fn a_condition_needs_both_kinds_of_quotes() -> Result<(), Failure> {
    assert_eq!(
        equation("\"assertion.repository_id=='7'\""),
        Some(("repository_id", "7"))
    );
    // The shell would take the quotes away, and a number is not equal to a text.
    assert_eq!(equation("assertion.repository_id=='7'"), None);
    Ok(())
}
