//! Carries out the gcloud commands that our help lines print, word for word, against the local
//! cloud. It is no gcloud: a command or flag that it does not know fails the story, so that a
//! printed command cannot rot unseen.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::World;

use super::{Failure, Told};

/// A command line, taken apart.
#[derive(Debug)]
pub(super) struct Command<'c> {
    /// `artifacts repositories create NAME`.
    pub(super) words: Vec<&'c str>,
    flags: BTreeMap<&'c str, &'c str>,
}

impl<'c> Command<'c> {
    fn parse(line: &'c str) -> Result<Self, Failure> {
        let line = line.strip_prefix("gcloud ").ok_or("no gcloud command")?;
        let mut words = Vec::new();
        let mut flags = BTreeMap::new();
        for part in line.split_whitespace() {
            match part.strip_prefix("--") {
                Some(flag) => {
                    let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
                    flags.insert(name, value);
                }
                None => words.push(part),
            }
        }
        Ok(Self { words, flags })
    }

    /// Takes a flag out; a placeholder in capitals is no value.
    pub(super) fn take(&mut self, name: &str) -> Result<&'c str, Failure> {
        let value = self.flags.remove(name);
        let value = value.ok_or_else(|| format!("--{name} is missing"))?;
        let placeholder = value.chars().all(|one| one.is_ascii_uppercase());
        if value.is_empty() || placeholder {
            return Err(format!("--{name}={value} is not filled in").into());
        }
        Ok(value)
    }
}

/// Carries a printed command out.
pub(super) async fn carry_out(line: &str, world: &World) -> Told {
    let mut command = Command::parse(line)?;
    let words = command.words.clone();
    match words.as_slice() {
        ["services", "enable", api] => {
            let path = format!("projects/{}/services/{api}", command.take("project")?);
            admin(world, "PUT", &path, &json!({"state": "ENABLED"})).await?;
        }
        ["artifacts", "repositories", "create", name] => {
            assert_eq!(command.take("repository-format")?, "docker");
            let (location, project) = (command.take("location")?, command.take("project")?);
            let path = format!("registry/repositories/{project}/{name}");
            let body = json!({"location": location, "immutable_tags": false});
            admin(world, "PUT", &path, &body).await?;
        }
        ["run", "revisions", "delete", name] => {
            let (region, project) = (command.take("region")?, command.take("project")?);
            let service = command.take("service").unwrap_or("-").to_owned();
            let path = format!(
                "/v2/projects/{project}/locations/{region}/services/{service}/revisions/{name}"
            );
            call(world, "DELETE", &path, None).await?;
        }
        _ => super::grants::carry_out(&mut command, world).await?,
    }
    match command.flags.is_empty() {
        true => Ok(()),
        false => Err(format!("flags that were not looked at: {:?}", command.flags).into()),
    }
}

/// Asks the admin API.
pub(super) async fn admin(
    world: &World,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, Failure> {
    call(world, method, &format!("/_emulator/{path}"), Some(body)).await
}

/// Asks the local cloud as its owner.
pub(super) async fn call(
    world: &World,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let tokens = &world.emulator.world().tokens;
    let token = tokens.issue_local("owner@demo-project.iam.gserviceaccount.com");
    let client = reqwest::Client::new();
    let mut request = client
        .request(method.parse()?, format!("{}{path}", world.url()))
        .bearer_auth(token);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await?;
    let status = answer.status();
    match status.is_success() {
        true => Ok(answer.json().await.unwrap_or_default()),
        false => Err(format!("{method} {path}: {status}: {}", answer.text().await?).into()),
    }
}

#[test]
fn a_placeholder_is_no_value() -> Told {
    let mut command = Command::parse("gcloud a b --project=PROJECT --region=r --flag")?;
    assert_eq!(command.words, ["a", "b"]);
    assert!(command.take("project").is_err());
    assert!(command.take("flag").is_err());
    assert_eq!(command.take("region")?, "r");
    Ok(())
}
