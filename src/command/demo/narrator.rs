//! The demo's voice: chapters, sentences, and the jobs' logs beside a gutter.

use std::io::{self, Write};
use std::time::Duration;

/// Writes the story. Colours only where somebody sees them.
pub(super) struct Narrator<W> {
    out: W,
    colour: bool,
}

impl<W: Write> Narrator<W> {
    /// Writes to `out`, with or without colour.
    pub(super) fn new(out: W, colour: bool) -> Self {
        Self { out, colour }
    }

    /// True when colours are wanted.
    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// A new part of the story.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn chapter(&mut self, title: &str) -> io::Result<()> {
        let line = self.paint("1;36", &format!("━━ {title} "));
        writeln!(self.out, "\n{line}")
    }

    /// A sentence.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "   {text}")
    }

    /// Something that went as it should.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn good(&mut self, text: &str) -> io::Result<()> {
        let mark = self.paint("32", "✔");
        writeln!(self.out, " {mark} {text}")
    }

    /// Something that was stopped, as it should.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn stopped(&mut self, text: &str) -> io::Result<()> {
        let mark = self.paint("33", "■");
        writeln!(self.out, " {mark} {text}")
    }

    /// A job begins.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn job(&mut self, name: &str) -> io::Result<()> {
        let line = self.paint("1", &format!("job {name}"));
        writeln!(self.out, " ▸ {line}")
    }

    /// One line of a job's log.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn log(&mut self, line: &str) -> io::Result<()> {
        let gutter = self.paint("2", "│");
        writeln!(self.out, "   {gutter} {line}")?;
        self.out.flush()
    }

    /// A command to copy.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub(super) fn command(&mut self, command: &str) -> io::Result<()> {
        let line = self.paint("36", command);
        writeln!(self.out, "     {line}")
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `1.4 s`, `2 min 5 s`.
pub(super) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_no_escape_sequence() {
        let mut text = Vec::new();
        let mut narrator = Narrator::new(&mut text, false);
        narrator
            .chapter("One")
            .and_then(|()| narrator.good("done"))
            .unwrap();
        assert!(!text.contains(&0x1b));
    }

    #[test]
    fn durations_read_naturally() {
        assert_eq!(words(Duration::from_millis(1_440)), "1.4 s");
        assert_eq!(words(Duration::from_secs(125)), "2 min 5 s");
    }
}
