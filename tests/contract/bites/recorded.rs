//! What was really said, changed in one place.

use emulator::admin::Exchange;
use serde_json::{Value, json};
use testkit::judge::Part;
use testkit::{World, api};

use super::{only_one, set};
use crate::{PROGRAM, Told, judge};

/// What was really said, changed afterwards.
#[tokio::test]
async fn recorded_exchanges_are_refused_once_they_are_changed() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let world = World::start(PROGRAM).await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "production");
    assert_eq!(world.run(&job).await?.code, Some(0));
    // Again: a service that is there is read.
    assert_eq!(world.run(&job).await?.code, Some(0));
    let recorded = world.exchanges();
    world.end().await;
    assert!(judge.judge(&recorded).violations.is_empty());

    // Method, end of the path, part, pointer, new value, where it is refused.
    let mutations = [
        (
            "POST",
            "/services",
            Part::Request,
            "/novel",
            json!(1),
            "/novel",
        ),
        (
            "POST",
            "/services",
            Part::Request,
            "/template/containers/0/image",
            json!(1),
            "/template/containers/0/image",
        ),
        (
            "PATCH",
            "/ml-api-prod",
            Part::Request,
            "/traffic/0/type",
            json!("SOME"),
            "/traffic/0/type",
        ),
        (
            "POST",
            "/services",
            Part::Answer,
            "/metadata/novel",
            json!(1),
            "/metadata/novel",
        ),
        (
            "PATCH",
            "/ml-api-prod",
            Part::Answer,
            "/metadata/generation",
            json!(2),
            "/metadata/generation",
        ),
        (
            "GET",
            "/ml-api-prod",
            Part::Answer,
            "/uri",
            json!({}),
            "/uri",
        ),
        (
            "GET",
            "/revisions",
            Part::Answer,
            "/novel",
            json!(1),
            "/novel",
        ),
        (
            "POST",
            "/token",
            Part::Request,
            "/grantType",
            json!(1),
            "/grantType",
        ),
        (
            "POST",
            "/token",
            Part::Answer,
            "/expires_in",
            json!("3599"),
            "/expires_in",
        ),
        (
            "POST",
            ":generateIdToken",
            Part::Request,
            "/novel",
            json!(1),
            "/novel",
        ),
        (
            "POST",
            ":generateAccessToken",
            Part::Answer,
            "/expireTime",
            json!(1),
            "/expireTime",
        ),
        (
            "POST",
            "/entries:list",
            Part::Request,
            "/filters",
            json!(""),
            "/filters",
        ),
        (
            "GET",
            "/environments/production",
            Part::Answer,
            "/novel",
            json!(1),
            "",
        ),
        (
            "GET",
            "/environments/production",
            Part::Answer,
            "/id",
            json!("1"),
            "/id",
        ),
    ];
    for (method, end, part, pointer, value, refused) in mutations {
        let mut changed = recorded.clone();
        let is_meant =
            |it: &&mut Exchange| it.method == method && it.path.ends_with(end) && it.status < 400;
        let Some(exchange) = changed.iter_mut().find(is_meant) else {
            assert_eq!(end, "/entries:list", "nothing was said to {method} …{end}");
            continue;
        };
        let path = exchange.path.clone();
        let text = match part {
            Part::Request => &mut exchange.request,
            _ => &mut exchange.response,
        };
        let mut body: Value = serde_json::from_str(text.as_deref().unwrap_or("{}"))?;
        set(&mut body, pointer, value);
        *text = Some(body.to_string());
        let found = judge.judge(&changed).violations;
        assert!(
            found
                .iter()
                .any(|it| (it.part, &*it.pointer, &*it.path) == (part, refused, &*path)),
            "{method} …{end} {pointer}: {found:#?}"
        );
    }
    let mut changed = recorded;
    let patch = changed
        .iter_mut()
        .find(|it| it.method == "PATCH")
        .ok_or("no PATCH")?;
    patch.query = Some(format!(
        "{}&novel=1",
        patch.query.as_deref().unwrap_or_default()
    ));
    let found = only_one(judge.judge(&changed).violations);
    assert_eq!(
        (found.part, &*found.pointer),
        (Part::Query, "novel"),
        "{found}"
    );
    Ok(())
}
