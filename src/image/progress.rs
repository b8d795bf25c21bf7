//! What the engine tells during a build → events.

use std::collections::{HashMap, HashSet, VecDeque};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};
use delivery::event::{Event, EventSink};

/// Where the text comes from, in events.
const SOURCE: &str = "build";
/// Lines that are kept for a diagnostic.
const KEPT_LINES: usize = 60;

/// Follows one build.
pub(super) struct BuildLog<'a> {
    sink: &'a dyn EventSink,
    /// Number of each BuildKit step, in order of appearance.
    numbers: HashMap<String, usize>,
    started: HashSet<String>,
    ended: HashSet<String>,
    last: VecDeque<String>,
    /// What the failed step says.
    pub(super) step_error: Option<String>,
    /// The image, once it is there.
    pub(super) image_id: Option<String>,
}

impl<'a> BuildLog<'a> {
    pub(super) fn new(sink: &'a dyn EventSink) -> Self {
        Self {
            sink,
            numbers: HashMap::new(),
            started: HashSet::new(),
            ended: HashSet::new(),
            last: VecDeque::new(),
            step_error: None,
            image_id: None,
        }
    }

    pub(super) fn sink(&self) -> &dyn EventSink {
        self.sink
    }

    /// The last lines, oldest first.
    pub(super) fn last_lines(&self, most: usize) -> Vec<String> {
        let skip = self.last.len().saturating_sub(most);
        self.last.iter().skip(skip).cloned().collect()
    }

    pub(super) fn take(&mut self, info: BuildInfo) {
        let mut lines = Vec::new();
        if let Some(text) = &info.stream {
            if let Some(id) = text.trim().strip_prefix("Successfully built ") {
                self.image_id.get_or_insert_with(|| id.to_owned());
            }
            lines.extend(lines_of(text));
        }
        // Pulls of base images repeat a line for each percent; only what has no bar is told.
        if let (Some(status), None) = (
            &info.status,
            info.progress_detail
                .as_ref()
                .and_then(|detail| detail.total),
        ) {
            lines.push(status.clone());
        }
        match info.aux {
            Some(BuildInfoAux::Default(image)) => self.image_id = image.id.or(self.image_id.take()),
            Some(BuildInfoAux::BuildKit(status)) => self.take_status(status, &mut lines),
            None => {}
        }
        self.emit(lines);
    }

    fn take_status(&mut self, status: StatusResponse, lines: &mut Vec<String>) {
        for vertex in &status.vertexes {
            self.take_vertex(vertex, lines);
        }
        for log in &status.logs {
            let number = self.number(&log.vertex);
            let text = String::from_utf8_lossy(&log.msg);
            lines.extend(lines_of(&text).map(|line| format!("#{number} {line}")));
        }
        for warning in &status.warnings {
            let number = self.number(&warning.vertex);
            lines.push(format!(
                "#{number} warning: {}",
                String::from_utf8_lossy(&warning.short)
            ));
        }
    }

    fn take_vertex(&mut self, vertex: &Vertex, lines: &mut Vec<String>) {
        let number = self.number(&vertex.digest);
        let is_over = vertex.completed.is_some() || vertex.cached;
        if (vertex.started.is_some() || vertex.cached) && self.started.insert(vertex.digest.clone())
        {
            lines.push(format!("#{number} {}", vertex.name));
        }
        if is_over && self.ended.insert(vertex.digest.clone()) {
            if !vertex.error.is_empty() {
                lines.push(format!("#{number} failed: {}", vertex.error));
                self.step_error.get_or_insert_with(|| vertex.name.clone());
            } else if vertex.cached {
                lines.push(format!("#{number} cached"));
            } else if let Some(seconds) = seconds(vertex) {
                lines.push(format!("#{number} done in {seconds:.1} s"));
            }
        }
    }

    fn number(&mut self, digest: &str) -> usize {
        let next = self.numbers.len() + 1;
        *self.numbers.entry(digest.to_owned()).or_insert(next)
    }

    fn emit(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        for line in &lines {
            if self.last.len() == KEPT_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line.clone());
        }
        self.sink.emit(Event::ForeignText {
            source: SOURCE.to_owned(),
            text: lines.join("\n"),
        });
    }
}

/// Lines without their ends. A program that draws a bar goes back with CR; only what it drew last
/// on a line is kept.
fn lines_of(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines()
        .map(|line| {
            line.trim_end_matches('\r')
                .rsplit('\r')
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_owned()
        })
        .filter(|line| !line.is_empty())
}

fn seconds(vertex: &Vertex) -> Option<f64> {
    let (started, completed) = (vertex.started.as_ref()?, vertex.completed.as_ref()?);
    let whole = (completed.seconds - started.seconds) as f64;
    Some(whole + f64::from(completed.nanos - started.nanos) / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_bars_become_one_line() {
        let lines: Vec<String> = lines_of("a\r\n10%\r20%\r30%\nb\n\n").collect();
        assert_eq!(lines, ["a", "30%", "b"]);
    }
}
