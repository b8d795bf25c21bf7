//! Writes: what a create or patch changes at once, and what work it leaves behind.

use chrono::{DateTime, Utc};
use cloud_api::run::{RevisionTemplate, TrafficTarget};
use serde_json::{Map, Value};

use super::chance::Chance;
use super::check::{Request, check_spec};
use super::iam::PolicyRecord;
use super::key::ServiceKey;
use super::permit::Deployment;
use super::reserved::Reserved;
use super::state::{
    OperationRecord, Phase, RevisionRecord, ServiceRecord, State, Subject, Work, reconciling,
};
use super::{defaults, enums, etag, mask, schema, view};
use crate::error::ApiError;
use crate::registry::Resolved;

/// Gives the address of a service (`None`) or of one of its tags.
pub(crate) type Addresses<'a> = dyn Fn(&ServiceKey, Option<&str>) -> Result<String, ApiError> + 'a;

/// What a write needs from the rest of the world.
pub(crate) struct Context<'a> {
    pub(crate) now: DateTime<Utc>,
    pub(crate) chance: &'a Chance,
    /// E-mail of the caller.
    pub(crate) caller: &'a str,
    /// Looks an image up in the registry.
    pub(crate) resolve: &'a dyn Fn(&str) -> Option<Resolved>,
    pub(crate) address: &'a Addresses<'a>,
    /// Asks IAM for what a write needs beside the right to write.
    pub(crate) permit: &'a dyn Fn(&Deployment) -> Result<(), ApiError>,
}

/// How a PATCH is meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct PatchOptions {
    /// `updateMask`; `None` replaces everything.
    pub(crate) update_mask: Option<String>,
    pub(crate) allow_missing: bool,
    pub(crate) validate_only: bool,
    pub(crate) force_new_revision: bool,
    /// What API v1 says beside the body; `None`, in v2, leaves it as it is.
    pub(crate) reserved: Option<Reserved>,
}

/// What a write answers with.
pub(crate) struct Written {
    /// The operation as JSON.
    pub(crate) operation: Value,
    /// `None` for a write that was only validated.
    pub(crate) work: Option<Work>,
    /// What API v1 says beside the operation's resource.
    pub(crate) reserved: Reserved,
}

/// `POST …/services`. Each face checks the name before, because its rule differs.
pub(crate) fn create(
    state: &mut State,
    context: &Context,
    key: &ServiceKey,
    mut body: Value,
    reserved: Reserved,
    validate_only: bool,
) -> Result<Written, ApiError> {
    if state.services.contains_key(key) {
        return Err(ApiError::new(
            "ALREADY_EXISTS",
            format!("Resource '{}' already exists.", key.service),
        ));
    }
    enums::name_enums(&mut body);
    let mut spec = body.as_object().map(mask::writable).unwrap_or_default();
    defaults::fill(key, &mut spec);
    let (template, traffic) = check_spec(Request::Create, key, &spec, &state.platform.quota(key))?;
    (context.permit)(&Deployment {
        key,
        old: None,
        spec: &spec,
        template: &template,
        makes_revision: true,
    })?;
    let now = context.now;
    let mut service = ServiceRecord {
        key: key.clone(),
        uid: context.chance.uuid(),
        order: 0,
        spec,
        reserved,
        generation: 1,
        observed_generation: 0,
        version: 0,
        create_time: now,
        update_time: now,
        creator: context.caller.to_owned(),
        last_modifier: context.caller.to_owned(),
        last_operation: String::new(),
        uri: String::new(),
        tag_uris: std::collections::BTreeMap::new(),
        policy: PolicyRecord::default(),
        revisions: std::collections::BTreeMap::new(),
        latest_created: String::new(),
        latest_ready: String::new(),
        statuses: Vec::new(),
        reconciling: true,
        ready: reconciling("Ready", "", now),
        routes_ready: reconciling("RoutesReady", "", now),
        configurations_ready: reconciling("ConfigurationsReady", "", now),
    };
    let revision = new_revision(&service, context, &template)?;
    if !validate_only {
        service.order = state.next_order();
        service.uri = (context.address)(key, None)?;
    }
    accept(
        state,
        context,
        service,
        Some(revision),
        &traffic,
        validate_only,
    )
}

/// `PATCH …/services/S`.
pub(crate) fn patch(
    state: &mut State,
    context: &Context,
    key: &ServiceKey,
    mut body: Value,
    options: &PatchOptions,
) -> Result<Written, ApiError> {
    if options.allow_missing && !state.services.contains_key(key) {
        let reserved = options.reserved.clone().unwrap_or_default();
        return create(state, context, key, body, reserved, options.validate_only);
    }
    let old = state.service(key)?;
    check_etag(old, body.get("etag").and_then(Value::as_str))?;
    enums::name_enums(&mut body);
    let empty = Map::new();
    let fields = body.as_object().unwrap_or(&empty);
    let mut spec = mask::apply(&old.spec, fields, options.update_mask.as_deref())?;
    defaults::fill(key, &mut spec);
    let (template, traffic) = check_spec(Request::Update, key, &spec, &state.platform.quota(key))?;
    let reserved = options.reserved.clone();
    let mut service = ServiceRecord {
        spec,
        reserved: reserved.unwrap_or_else(|| old.reserved.clone()),
        generation: old.generation + 1,
        last_modifier: context.caller.to_owned(),
        ..old.clone()
    };
    let wanted = wanted_revision(old, &service, &template, options.force_new_revision)?;
    (context.permit)(&Deployment {
        key,
        old: Some(old),
        spec: &service.spec,
        template: &template,
        makes_revision: matches!(wanted, Wanted::New),
    })?;
    let revision = match wanted {
        Wanted::Unchanged => None,
        Wanted::Existing(name) => {
            service.latest_created = name;
            None
        }
        Wanted::New => Some(new_revision(&service, context, &template)?),
    };
    accept(
        state,
        context,
        service,
        revision,
        &traffic,
        options.validate_only,
    )
}

/// Compares the etag of a write with the service's.
pub(crate) fn check_etag(service: &ServiceRecord, given: Option<&str>) -> Result<(), ApiError> {
    let Some(given) = given.filter(|etag| !etag.is_empty()) else {
        return Ok(());
    };
    let Some(version) = etag::decode(given) else {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            format!("Invalid etag: {given}"),
        ));
    };
    if version == service.version {
        return Ok(());
    }
    Err(ApiError::new(
        "ABORTED",
        format!(
            "Conflict for resource '{}': version '{version}' was specified but current version is '{}'.",
            service.key.service, service.version
        ),
    ))
}

/// What a changed specification means for revisions.
enum Wanted {
    /// The template is the same.
    Unchanged,
    /// The template names a revision that is there, with this configuration.
    Existing(String),
    /// A revision has to be made.
    New,
}

fn wanted_revision(
    old: &ServiceRecord,
    new: &ServiceRecord,
    template: &RevisionTemplate,
    force: bool,
) -> Result<Wanted, ApiError> {
    let configuration = configuration(&new.spec);
    let beside = &new.reserved.template;
    let unchanged = self::configuration(&old.spec) == configuration
        && old.reserved.template.says_the_same(beside);
    let old_name = old
        .spec
        .get("template")
        .and_then(|template| template.get("revision"));
    let old_name = old_name.and_then(Value::as_str);
    let Some(name) = template.revision.as_deref() else {
        return Ok(if unchanged && !force {
            Wanted::Unchanged
        } else {
            Wanted::New
        });
    };
    let Some(existing) = old.revisions.get(name) else {
        return Ok(Wanted::New);
    };
    // The service's own scaling is part of what a named revision stands for.
    let scaling_changed = old.spec.get("scaling") != new.spec.get("scaling");
    let differs = existing.template != configuration || !existing.reserved.says_the_same(beside);
    if force || scaling_changed || differs {
        return Err(ApiError::new(
            "ALREADY_EXISTS",
            format!("Revision named '{name}' with different configuration already exists."),
        ));
    }
    if unchanged && old_name == Some(name) {
        return Ok(Wanted::Unchanged);
    }
    Ok(Wanted::Existing(name.to_owned()))
}

/// The template without the revision's name: what makes one revision differ from another.
fn configuration(spec: &Map<String, Value>) -> Map<String, Value> {
    let template = spec.get("template").and_then(Value::as_object);
    let mut template = template.cloned().unwrap_or_default();
    template.remove("revision");
    template
}

fn new_revision(
    service: &ServiceRecord,
    context: &Context,
    template: &RevisionTemplate,
) -> Result<RevisionRecord, ApiError> {
    let name = match &template.revision {
        Some(name) => name.clone(),
        None => free_name(service, context.chance),
    };
    let image = template
        .containers
        .first()
        .map(|container| container.image.as_str());
    let now = context.now;
    Ok(RevisionRecord {
        name,
        uid: context.chance.uuid(),
        order: 0,
        template: configuration(&service.spec),
        reserved: service.reserved.template.clone(),
        configuration_generation: service.generation,
        image: image.and_then(|image| (context.resolve)(image)),
        launch_stage: service
            .spec
            .get("launchStage")
            .cloned()
            .unwrap_or(Value::Null),
        creator: context.caller.to_owned(),
        create_time: now,
        phase: Phase::Pending,
        settle_time: now,
        active: false,
        active_time: now,
    })
}

/// `SERVICE-00003-sp7`; the service's name gives way where the whole would be too long.
fn free_name(service: &ServiceRecord, chance: &Chance) -> String {
    loop {
        let name = format!(
            "{}-{:05}-{}",
            service.key.service,
            service.generation,
            chance.suffix()
        );
        if !service.revisions.contains_key(&name) {
            return name;
        }
    }
}

/// Stores the service, its new revision and an operation.
fn accept(
    state: &mut State,
    context: &Context,
    mut service: ServiceRecord,
    revision: Option<RevisionRecord>,
    traffic: &[TrafficTarget],
    validate_only: bool,
) -> Result<Written, ApiError> {
    let key = service.key.clone();
    if !validate_only {
        for target in traffic.iter().filter(|target| !target.tag.is_empty()) {
            let uri = (context.address)(&key, Some(&target.tag))?;
            service.tag_uris.insert(target.tag.clone(), uri);
        }
        service.version = state.next_version(context.now);
    }
    service.update_time = context.now;
    service.reconciling = true;
    let message = if revision.is_some() {
        "Deploying Revision."
    } else {
        "Routing traffic."
    };
    service.ready = reconciling("Ready", message, context.now);
    service.ready.severity = "INFO".to_owned();
    if revision.is_some() {
        service.configurations_ready = reconciling("ConfigurationsReady", "", context.now);
    }
    service.routes_ready = reconciling("RoutesReady", "", context.now);
    let new_revision = revision.as_ref().map(|revision| revision.name.clone());
    if let Some(mut revision) = revision {
        revision.order = state.next_order();
        service.latest_created.clone_from(&revision.name);
        service.revisions.insert(revision.name.clone(), revision);
    }
    let operation = OperationRecord {
        name: operation_name(&key, context.chance),
        order: state.next_order(),
        subject: Subject::Service(key.clone()),
        end: None,
        endless: false,
    };
    if validate_only {
        let metadata = schema::any("service", &view::service(&service));
        let operation = serde_json::json!({"name": operation.name, "metadata": metadata});
        return Ok(Written {
            operation,
            work: None,
            reserved: service.reserved,
        });
    }
    let work = Work {
        operation: operation.name.clone(),
        key: key.clone(),
        uid: service.uid.clone(),
        generation: service.generation,
        new_revision,
    };
    service.last_operation.clone_from(&operation.name);
    let reserved = service.reserved.clone();
    state.services.insert(key, service);
    state.works.insert(work.operation.clone(), work.clone());
    let answer = view::operation(state, &operation);
    state.operations.insert(operation.name.clone(), operation);
    Ok(Written {
        operation: answer,
        work: Some(work),
        reserved,
    })
}

/// A fresh name for an operation.
pub(crate) fn operation_name(key: &ServiceKey, chance: &Chance) -> String {
    format!("{}/operations/{}", key.parent(), chance.uuid())
}
