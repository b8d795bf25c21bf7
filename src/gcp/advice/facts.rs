//! Names that an advice is filled with.

use std::collections::BTreeMap;

/// Where in a text a name stands: between two other pieces of it.
#[derive(Debug)]
pub struct Find {
    /// The name that it gets.
    pub name: &'static str,
    /// What stands directly before it.
    pub after: &'static str,
    /// What stands directly behind it; empty for the end of the text.
    pub until: &'static str,
}

impl Find {
    /// The piece of `text`, if it is there and looks like a name: no spaces and no control
    /// characters, so that it may be written into a command.
    pub(super) fn in_text<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (_, rest) = text.split_once(self.after)?;
        let piece = match self.until {
            "" => rest,
            until => rest.split_once(until)?.0,
        };
        let plain = |one: char| one.is_ascii_alphanumeric() || "-_./:@".contains(one);
        (!piece.is_empty() && piece.chars().all(plain)).then_some(piece)
    }
}

/// What is known around a failure: project, region, service and the like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<&'static str, String>);

impl Facts {
    /// Adds a fact; an empty value is none.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert(name, value);
        }
        self
    }

    /// A fact, if it is known.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What the path of a call tells, as in
    /// `GET run.googleapis.com/v2/projects/P/locations/L/services/S`.
    pub fn of_call(call: &str) -> Self {
        let mut facts = Self::default();
        let parts: Vec<&str> = call.split('/').collect();
        for pair in parts.windows(2) {
            let [kind, name] = pair else { continue };
            let name = name.split(':').next().unwrap_or_default();
            facts = match *kind {
                "projects" if name != "-" => facts.with("project", name),
                "locations" if name != "-" => facts.with("region", name),
                "services" => facts.with("service", name),
                "revisions" => facts.with("revision", name),
                "serviceAccounts" => facts.with("account", name),
                _ => facts,
            };
        }
        facts
    }

    /// The template with its `{names}` filled in.
    pub fn fill(&self, template: &str) -> String {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                break;
            };
            filled.push_str(before);
            match self.0.get(name) {
                Some(value) => filled.push_str(value),
                None => filled.push_str(&name.to_ascii_uppercase()),
            }
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_call_tells_where_it_went() {
        let facts = Facts::of_call(
            "POST run.googleapis.com/v2/projects/p-1/locations/europe-west1/services/api:setIamPolicy",
        );
        assert_eq!(
            facts.fill("--project={project} --region={region} {service} {revision}"),
            "--project=p-1 --region=europe-west1 api REVISION"
        );
    }

    #[test]
    fn a_find_takes_names_only() {
        let find = Find {
            name: "image",
            after: "Image '",
            until: "'",
        };
        assert_eq!(find.in_text("Image 'a/b:c' not found."), Some("a/b:c"));
        assert_eq!(find.in_text("Image 'a; rm -rf /' not found."), None);
        assert_eq!(find.in_text("Image 'a"), None);
        assert_eq!(find.in_text("no image"), None);
    }

    #[test]
    fn what_is_no_name_stays_as_it_is() {
        assert_eq!(Facts::default().fill("a {b"), "a {b");
        assert_eq!(Facts::default().with("b", "").fill("a {b}"), "a B");
    }
}
