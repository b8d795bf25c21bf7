//! Workflow commands of the runner: how they are written, and how other text is kept from being one.
//!
//! The runner reads `::name key=value::data` at the start of a line (after spaces), and the legacy
//! form `##[name key=value]data` *anywhere* in it; a line ends at LF or CR. Source: actions/runner
//! `ActionCommand.cs`, `OutputManager.cs`.

use delivery::diagnostic::FilePlace;

use super::text;

/// Longest message of an annotation in characters; the runner cuts there.
pub const LONGEST_MESSAGE: usize = 4096;
/// Longest title that the interface still shows.
const LONGEST_TITLE: usize = 200;

/// Escapes a command's data.
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a command's property.
pub fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A line that is no command, whatever it held.
///
/// The legacy marker is broken up anywhere; the current one only where it would be read.
pub fn inert(line: &str) -> String {
    let line = line.replace("##[", "# #[");
    let indent = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(indent);
    match rest.strip_prefix("::") {
        Some(rest) => format!("{indent}: :{rest}"),
        None => format!("{indent}{rest}"),
    }
}

/// `::error title=…::…` and `::warning …`, with `file=…,line=…,col=…` where it is about a line of the
/// repository. The message holds at most [`LONGEST_MESSAGE`] characters.
pub fn annotation(level: &str, title: &str, message: &str, place: Option<&FilePlace>) -> String {
    // Legacy markers inside of a command's data would survive the decoding and be shown as text only;
    // they are broken up anyway, since the decoded line is stored in the log.
    let title = inert(&text::cut(&text::one_line(title), LONGEST_TITLE));
    let lines: Vec<String> = text::plain_lines(message)
        .iter()
        .map(|line| inert(line))
        .collect();
    let message = text::cut(&lines.join("\n"), LONGEST_MESSAGE);
    let place = place.map_or_else(String::new, |place| {
        let FilePlace { file, line, column } = place;
        let file = escape_property(&inert(&text::one_line(file)));
        format!("file={file},line={line},col={column},")
    });
    format!(
        "::{level} {place}title={}::{}",
        escape_property(&title),
        escape_data(&message)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads lines as the runner does: whether any is a command, other than the given ones.
    fn is_command(line: &str) -> bool {
        let current = line
            .trim_start()
            .strip_prefix("::")
            .is_some_and(|rest| rest.contains("::"));
        let legacy = line.find("##[").is_some_and(|at| line[at..].contains(']'));
        current || legacy
    }

    #[test]
    fn percent_is_escaped_first() {
        assert_eq!(escape_data("100%\r\n"), "100%25%0D%0A");
        assert_eq!(escape_property("a:b,c%"), "a%3Ab%2Cc%25");
    }

    #[test]
    fn commands_are_made_inert() {
        for line in [
            "::error::x",
            "  ::add-mask::x",
            "\t::set-output name=a::b",
            "x ##[error]y",
            "##[##[error]x",
        ] {
            assert!(is_command(line), "{line} is no command in the first place");
            assert!(!is_command(&inert(line)), "{}", inert(line));
        }
        assert_eq!(inert("std::fmt::Display"), "std::fmt::Display");
    }

    proptest! {
        #[test]
        fn no_text_stays_a_command(parts in proptest::collection::vec(
            prop_oneof![Just("::".to_owned()), Just("##[".to_owned()), Just("]".to_owned()), Just("#".to_owned()),
                Just("\r".to_owned()), Just("\n".to_owned()), Just(" ".to_owned()), Just("%0A".to_owned()), "[a-z]{0,5}"], 0..12)) {
            let text: String = parts.concat();
            for line in text::plain_lines(&text) {
                let line = inert(&line);
                prop_assert!(!is_command(&line), "{line:?}");
                prop_assert!(!line.contains(['\r', '\n']));
            }
        }

        #[test]
        fn an_annotation_is_one_command_on_one_line(title in any::<String>(), message in any::<String>()) {
            let line = annotation("error", &title, &message, None);
            prop_assert!(!line.contains(['\r', '\n']));
            prop_assert!(line.starts_with("::error title="));
            let (properties, _) = line["::error ".len()..].split_once("::").unwrap();
            prop_assert!(!properties["title=".len()..].contains([':', ',']), "{properties:?}");
            prop_assert!(!line.contains("##["));
        }
    }

    #[test]
    fn a_place_in_a_file_is_told_in_properties_that_hold_nothing_else() {
        let place = FilePlace {
            file: "a,b:c\n::error::x".to_owned(),
            line: 3,
            column: 7,
        };
        assert_eq!(
            annotation("error", "t", "m", Some(&place)),
            "::error file=a%2Cb%3Ac %3A%3Aerror%3A%3Ax,line=3,col=7,title=t::m"
        );
    }

    #[test]
    fn a_long_message_is_cut() {
        let line = annotation("error", "t", &"x".repeat(10_000), None);
        assert_eq!(
            line.len(),
            "::error title=t::".len() + LONGEST_MESSAGE - 1 + "…".len()
        );
    }
}
