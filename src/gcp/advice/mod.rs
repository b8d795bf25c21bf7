//! Text of Google → what it means and the way out. The text is looked at first, the code second:
//! the codes of one and the same failure have changed over the years, the texts hardly.
//!
//! The tables are the source of a chapter of `docs/errors.md` as well.
//! Source: <https://cloud.google.com/run/docs/troubleshooting>.

mod access;
mod code;
mod container;
mod derived;
mod facts;
mod limits;
mod log;
mod state;

pub use facts::{Facts, Find};
pub use log::{Moment, for_log};

use super::error::Refusal;

/// One known failure: its text, what it means, what to do.
///
/// `help` may hold `{names}`: they are filled with what `finds` takes from the text, and with what
/// the caller knows ([`Facts`]); a name that nobody knows is written in capitals, as gcloud's own
/// manual does.
#[derive(Debug)]
pub struct Known {
    /// Stable name, the anchor in `docs/errors.md`; in kebab case.
    pub id: &'static str,
    /// What happened, in a few words.
    pub title: &'static str,
    /// The service's own text, with `…` for what varies.
    pub says: &'static str,
    /// All of them are in the text.
    pub needles: &'static [&'static str],
    /// What the text tells.
    pub finds: &'static [Find],
    /// Why it happens, in plain words; `{names}` are filled as in `help`.
    pub cause: &'static str,
    /// The way out; one line a possibility, the likeliest first. Commands stand in backticks.
    pub help: &'static [&'static str],
    /// Whether waiting is enough.
    pub lasts: Lasts,
}

/// Whether a failure goes away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Until somebody mends it.
    UntilMended,
    /// For a while: running again is the way out.
    AWhile,
}

/// What is known about a failure, its names filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// [`Known::id`]; empty where only the status code told something.
    pub id: &'static str,
    /// Why it happens; empty where only the status code told something.
    pub cause: String,
    /// The way out.
    pub help: Vec<String>,
}

/// The tables, in the order in which they are tried; in each the specific rows come first.
const TABLES: &[&[Known]] = &[access::KNOWN, container::KNOWN, limits::KNOWN, state::KNOWN];

/// Every known failure, in the order in which they are tried; those that only a container's log
/// tells come last.
pub fn known() -> impl Iterator<Item = &'static Known> {
    by_text().chain(log::KNOWN).chain(log::STARTING)
}

/// The failures that the service's text tells.
fn by_text() -> impl Iterator<Item = &'static Known> {
    TABLES.iter().copied().flatten()
}

/// What is known about a text of the service; `None` when it is new.
pub fn for_text(text: &str, facts: &Facts) -> Option<Advice> {
    let known = by_text().find(|known| holds(known, text))?;
    // Several secrets, or variables, are told one a line; each has a way out of its own.
    let lines: Vec<&str> = text.lines().filter(|line| holds(known, line)).collect();
    match lines.as_slice() {
        [] | [_] => Some(fill(known, text, facts)),
        several => Some(fill_each(known, several, facts)),
    }
}

fn holds(known: &Known, text: &str) -> bool {
    known.needles.iter().all(|needle| text.contains(needle))
}

/// One advice for several lines of the same kind; what two of them have in common is said once.
fn fill_each(known: &Known, lines: &[&str], facts: &Facts) -> Advice {
    let mut causes: Vec<String> = Vec::new();
    let mut help: Vec<String> = Vec::new();
    for advice in lines.iter().map(|line| fill(known, line, facts)) {
        if !causes.contains(&advice.cause) {
            causes.push(advice.cause);
        }
        let new = advice.help.into_iter().filter(|line| !help.contains(line));
        let new: Vec<String> = new.collect();
        help.extend(new);
    }
    Advice {
        id: known.id,
        cause: causes.join("\n"),
        help,
    }
}

/// What is known about a refused call: by its text, else by its code.
pub fn for_refusal(refusal: &Refusal, facts: &Facts) -> Advice {
    let facts = facts
        .clone()
        .with("api", refusal.service.clone().unwrap_or_default())
        .with("member", refusal.caller.clone().unwrap_or_default())
        .with("project", refusal.project.clone().unwrap_or_default());
    match refusal.reason.as_deref() {
        Some("SERVICE_DISABLED") => {
            return fill(&access::API_DISABLED, &refusal.message, &facts);
        }
        Some("LOCATION_POLICY_VIOLATED") => {
            return fill(&access::REGION_FORBIDDEN, &refusal.message, &facts);
        }
        _ => {}
    }
    let texts = std::iter::once(&refusal.message).chain(&refusal.violations);
    for text in texts {
        if let Some(advice) = for_text(text, &facts) {
            return advice;
        }
    }
    Advice {
        id: "",
        cause: String::new(),
        help: code::help(refusal.http, &refusal.status, &facts),
    }
}

fn fill(known: &Known, text: &str, facts: &Facts) -> Advice {
    let mut facts = facts.clone();
    for find in known.finds {
        if let Some(value) = find.in_text(text) {
            facts = facts.with(find.name, value);
        }
    }
    let facts = derived::derive(facts);
    Advice {
        id: known.id,
        cause: facts.fill(known.cause),
        help: known.help.iter().map(|line| facts.fill(line)).collect(),
    }
}

#[cfg(test)]
mod tests;
