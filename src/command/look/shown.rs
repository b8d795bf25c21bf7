//! What was seen, as text and as JSON. Pure.

use delivery::plan::nothing_tested_serves;
use delivery::snapshot::{
    Readiness, RevisionSeen, ServiceCondition, ServiceSeen, Serving, Snapshot, StateSeen,
};
use delivery::spec::Access;
use delivery::state::{Rejection, StateRecord, Timestamp};
use serde_json::{Value, json};

use crate::report::text;

pub(super) fn status_text(snapshot: &Snapshot) -> String {
    let place = delivery::plan::render::place(&snapshot.target);
    let Some(service) = &snapshot.service else {
        return format!("{place}: not deployed yet");
    };
    let mut lines = vec![format!("{place}: {}", condition(&service.condition))];
    lines.extend(service.uri.iter().map(|uri| format!("  {uri}")));
    for share in service.serving.iter().filter(|share| share.percent > 0) {
        let release = service
            .revisions
            .iter()
            .find(|seen| seen.name == share.revision)
            .map(describe);
        lines.push(
            format!(
                "  {:>3} % {} {}",
                share.percent,
                share.revision,
                release.unwrap_or_default()
            )
            .trim_end()
            .to_owned(),
        );
    }
    lines.extend(unproven(snapshot, service));
    if let StateSeen::Known(state) = &service.state
        && let Some(intent) = &state.intent
    {
        lines.push(format!(
            "  run {} is bringing {}",
            intent.run.0, intent.revision
        ));
    }
    if service.traffic.follows_latest() {
        lines.push("  traffic follows the latest revision: the next promotion pins it".to_owned());
    }
    text::plain_lines(&lines.join("\n")).join("\n")
}

/// A first deploy that failed, or did not come to its end: the service is there, and looks as if it served.
fn unproven(snapshot: &Snapshot, service: &ServiceSeen) -> Option<String> {
    if !nothing_tested_serves(snapshot) {
        return None;
    }
    let access = match service.access {
        Access::Private => "closed to all but callers with an ID token",
        Access::Public => "open to everybody",
    };
    let why = match &service.state {
        StateSeen::Known(state) => failure(state, &service.serving),
        StateSeen::Absent | StateSeen::Unreadable(_) => None,
    };
    let why = why.map_or_else(String::new, |reason| format!(": {reason}"));
    Some(format!(
        "  {access}; nothing that has passed its tests serves{why}"
    ))
}

/// Why the revision that gets traffic has failed. What failed after it, and got none, is no answer.
fn failure(state: &StateRecord, serving: &[Serving]) -> Option<String> {
    let mut entries = serving
        .iter()
        .filter(|share| share.percent > 0)
        .filter_map(|share| state.rejected_entry(&share.revision));
    let failed = entries.find(|entry| entry.kind == Rejection::Failed)?;
    Some(text::one_line(&failed.reason))
}

fn condition(condition: &ServiceCondition) -> String {
    match condition {
        ServiceCondition::Ready => "ready".to_owned(),
        ServiceCondition::Reconciling => "changing".to_owned(),
        ServiceCondition::Failed(why) => format!("failed: {}", text::one_line(why)),
    }
}

/// What a revision says about itself, in short.
fn describe(revision: &RevisionSeen) -> String {
    match &revision.record {
        Some(record) => {
            let version = record.version.as_ref().map_or_else(
                || format!("sha-{}", record.commit.short()),
                |version| format!("v{version} ({})", record.commit.short()),
            );
            format!("{version} {}", record.digest.short())
        }
        None => "not made by ml-deploy".to_owned(),
    }
}

fn percent(service: &ServiceSeen, revision: &RevisionSeen) -> u32 {
    service
        .serving
        .iter()
        .filter(|share| share.revision == revision.name)
        .map(|share| share.percent)
        .sum()
}

/// `healthy`, `failed`, `rejected`, or nothing, as our record says.
fn remembered(service: &ServiceSeen, revision: &RevisionSeen) -> &'static str {
    let StateSeen::Known(state) = &service.state else {
        return "";
    };
    let name = &revision.name;
    let is_healthy = || state.healthy_entry(name).is_some();
    match state.rejected_entry(name).map(|entry| entry.kind) {
        Some(Rejection::Failed) => "failed",
        Some(Rejection::RolledBack) => "rejected",
        None if is_healthy() => "healthy",
        None => "",
    }
}

fn readiness(readiness: &Readiness) -> String {
    match readiness {
        Readiness::Ready => "ready".to_owned(),
        Readiness::Pending => "pending".to_owned(),
        Readiness::Failed(why) => format!("failed: {}", text::one_line(why)),
    }
}

fn time(timestamp: Timestamp) -> String {
    chrono::DateTime::from_timestamp(timestamp.0, 0)
        .map(|time| time.to_rfc3339())
        .unwrap_or_default()
}

pub(super) fn revision_text(service: &ServiceSeen, revision: &RevisionSeen) -> String {
    let line = format!(
        "{:>3} % {} {} · {} · {} {}",
        percent(service, revision),
        revision.name,
        describe(revision),
        time(revision.created_at),
        readiness(&revision.readiness),
        remembered(service, revision),
    );
    line.trim_end().to_owned()
}

pub(super) fn revision_json(service: &ServiceSeen, revision: &RevisionSeen) -> Value {
    json!({
        "revision": revision.name,
        "percent": percent(service, revision),
        "created_at": time(revision.created_at),
        "readiness": readiness(&revision.readiness),
        "record": revision.record,
        "remembered": remembered(service, revision),
    })
}

pub(super) fn status_json(snapshot: &Snapshot) -> Value {
    let service = snapshot.service.as_ref().map(|service| {
        let serving: Vec<Value> = service
            .serving
            .iter()
            .map(|share| json!({"revision": share.revision, "percent": share.percent, "tag": share.tag, "uri": share.uri}))
            .collect();
        json!({
            "uri": service.uri,
            "condition": condition(&service.condition),
            "access": service.access,
            "tested": !nothing_tested_serves(snapshot),
            "serving": serving,
        })
    });
    json!({"target": snapshot.target, "service": service})
}

#[cfg(test)]
mod tests {
    use delivery::name::RevisionName;
    use delivery::release::ImageDigest;
    use delivery::state::{Rejected, RunRef};

    use super::*;

    fn name(text: &str) -> RevisionName {
        RevisionName::parse(text).unwrap()
    }

    fn failed(revision: &str, reason: &str) -> Rejected {
        Rejected {
            digest: ImageDigest::parse(format!("sha256:{}", "a".repeat(64))).unwrap(),
            revision: name(revision),
            config: None,
            kind: Rejection::Failed,
            reason: reason.to_owned(),
            at: Timestamp(0),
            run: RunRef("run".to_owned()),
        }
    }

    fn share(revision: &str, percent: u32) -> Serving {
        Serving {
            revision: name(revision),
            percent,
            tag: None,
            uri: None,
        }
    }

    #[test]
    fn the_failure_told_is_of_the_revision_that_gets_traffic_and_stays_one_line() {
        let state = StateRecord {
            rejected: vec![
                failed("ml-api-dev-2", "the second"),
                failed("ml-api-dev-1", "the\u{1b}[31m first\n::error::x"),
            ],
            ..StateRecord::default()
        };
        let why = |serving: &[Serving]| failure(&state, serving);
        let serving = [share("ml-api-dev-2", 0), share("ml-api-dev-1", 100)];
        assert_eq!(why(&serving).as_deref(), Some("the first ::error::x"));
        assert_eq!(why(&[share("ml-api-dev-3", 100)]), None);
        assert_eq!(why(&[]), None);
    }
}
