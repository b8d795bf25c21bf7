//! What happens by itself.

use std::time::Duration;

use super::{Behaviour, Cloud, Condition, Entry, HttpRequest, Readiness, Service, To};

/// Something that is due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A revision becomes ready, or fails.
    Settle(String),
    /// Routes follow what is wanted.
    Reconcile,
    /// The API tells this split.
    Show(Vec<Entry>),
    /// Callers meet this split.
    Route(Vec<Entry>),
    /// A request comes in whose caller no longer waits for it.
    Late(Box<HttpRequest>),
}

/// Where the wanted traffic leads.
enum Routes {
    Ready(Vec<Entry>),
    Waiting,
    Broken(String),
}

impl Cloud {
    pub(crate) fn schedule(&mut self, after: Duration, event: Event) {
        let sequence = self.next();
        self.events.insert((self.now + after, sequence), event);
    }

    /// When something happens next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.events.keys().next().map(|(due, _)| *due)
    }

    /// Takes the next event that is due until then.
    pub(crate) fn take_due(&mut self, until: Duration) -> Option<(u64, Event)> {
        let next = self.events.keys().next().copied();
        let Some((due, sequence)) = next.filter(|(due, _)| *due <= until) else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = self.now.max(due);
        let event = self.events.remove(&(due, sequence))?;
        Some((sequence, event))
    }

    /// Lets it happen; gives a line about it.
    pub(crate) fn happen(&mut self, number: u64, event: Event) -> String {
        match event {
            Event::Settle(name) => self.settle(&name),
            Event::Reconcile => self.reconcile(),
            Event::Show(entries) => {
                let line = format!("the API tells {}", in_words(&entries));
                if let Some(service) = self.service.as_mut().filter(|one| one.shown_by < number) {
                    service.shown = entries;
                    service.shown_by = number;
                }
                line
            }
            Event::Route(entries) => {
                let line = format!("callers meet {}", in_words(&entries));
                if let Some(service) = self.service.as_mut().filter(|one| one.routed_by < number) {
                    service.routed = entries;
                    service.routed_by = number;
                }
                line
            }
            Event::Late(request) => {
                let answer = self.handle(&request);
                format!("late: {} → {}", request.in_words(), answer.status)
            }
        }
    }

    fn settle(&mut self, name: &str) -> String {
        let now = self.now;
        let Some(service) = &self.service else {
            return String::new();
        };
        let behaviour = service.revision(name).map(|one| self.behaviour(one));
        let crashes = behaviour == Some(Behaviour::Crashes);
        let Some(service) = &mut self.service else {
            return String::new();
        };
        let newest = service.latest_created.as_deref() == Some(name);
        let found = service.revisions.iter_mut().find(|one| one.name == name);
        let Some(revision) = found else {
            return format!("{name} is gone");
        };
        if crashes {
            let text = format!(
                "Revision '{name}' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout."
            );
            revision.readiness = Readiness::Failed(text);
        } else {
            revision.readiness = Readiness::Ready;
            revision.ready_since = Some(now);
            if newest {
                service.latest_ready = Some(name.to_owned());
            }
        }
        let pause = self.pace.route;
        self.schedule(pause, Event::Reconcile);
        format!("{name} {}", if crashes { "fails" } else { "is ready" })
    }

    fn reconcile(&mut self) -> String {
        let Some(service) = &self.service else {
            return String::new();
        };
        if self.pace.stuck == Some(service.generation) {
            return format!("generation {} is stuck", service.generation);
        }
        let routes = routes(service);
        let newest = service.latest_created.as_deref();
        let newest = newest.and_then(|name| service.revision(name));
        let configuration = newest.map_or(Readiness::Pending, |one| one.readiness.clone());
        if let Routes::Ready(entries) = &routes
            && *entries != service.programmed
        {
            self.program(entries.clone());
        }
        let end = match (routes, configuration) {
            (Routes::Waiting, _) | (_, Readiness::Pending) => return "not yet".to_owned(),
            (Routes::Broken(text), _) | (_, Readiness::Failed(text)) => Err(text),
            (Routes::Ready(_), Readiness::Ready) => Ok(()),
        };
        self.finish(end)
    }

    /// Nothing is stuck any more: a change that was comes to its end.
    pub(crate) fn unstick(&mut self) {
        let generation = self.service.as_ref().map(|service| service.generation);
        if self
            .pace
            .stuck
            .take()
            .is_some_and(|stuck| Some(stuck) == generation)
        {
            self.schedule(self.pace.route, Event::Reconcile);
        }
    }

    fn program(&mut self, entries: Vec<Entry>) {
        let (show, route) = (self.pace.show_lag, self.pace.route_lag);
        if let Some(service) = &mut self.service {
            service.programmed.clone_from(&entries);
        }
        self.schedule(show, Event::Show(entries.clone()));
        self.schedule(route, Event::Route(entries));
    }

    fn finish(&mut self, end: Result<(), String>) -> String {
        let observes = end.is_ok() || self.pace.observes_failures;
        let ends = self.pace.operations != super::Operations::NeverEnd;
        let now = self.now;
        let Some(service) = &mut self.service else {
            return String::new();
        };
        if observes {
            service.observed = service.generation;
        }
        let condition = match &end {
            Ok(()) => Condition::Succeeded,
            Err(text) => Condition::Failed(text.clone()),
        };
        if service.condition != condition {
            service.condition = condition;
            service.ended = now;
        }
        let generation = service.generation;
        for operation in self.operations.values_mut() {
            let mine = operation.generation <= generation && operation.ended.is_none();
            if mine && ends {
                operation.ended = Some(end.clone());
            }
        }
        let how = if end.is_ok() { "in effect" } else { "failed" };
        format!("generation {generation} is {how}")
    }
}

fn routes(service: &Service) -> Routes {
    let mut entries = Vec::new();
    let mut waiting = false;
    for target in &service.traffic {
        let name = match &target.to {
            To::Revision(name) => name.clone(),
            To::Latest => match &service.latest_ready {
                Some(name) => name.clone(),
                None => {
                    waiting = true;
                    continue;
                }
            },
        };
        let Some(revision) = service.revision(&name) else {
            return Routes::Broken(format!(
                "Revision '{name}' does not exist or is deleted. Update all traffic to route to currently available revisions."
            ));
        };
        match &revision.readiness {
            Readiness::Ready => {}
            Readiness::Pending => waiting = true,
            Readiness::Failed(text) => return Routes::Broken(text.clone()),
        }
        entries.push(Entry {
            revision: name,
            percent: target.percent,
            tag: target.tag.clone(),
        });
    }
    match (waiting, &service.latest_created) {
        (false, _) => Routes::Ready(entries),
        (true, Some(newest)) => match service.revision(newest).map(|one| &one.readiness) {
            // LATEST of a service whose first revision failed.
            Some(Readiness::Failed(text)) => Routes::Broken(text.clone()),
            _ => Routes::Waiting,
        },
        (true, None) => Routes::Waiting,
    }
}

pub(crate) fn in_words(entries: &[Entry]) -> String {
    let one = |entry: &Entry| {
        let tag = entry.tag.as_ref().map(|tag| format!(" ({tag})"));
        format!(
            "{} {} %{}",
            entry.revision,
            entry.percent,
            tag.unwrap_or_default()
        )
    };
    entries.iter().map(one).collect::<Vec<_>>().join(", ")
}
