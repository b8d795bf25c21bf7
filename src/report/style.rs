//! Colours, or none.

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

macro_rules! colour {
    ($(#[$doc:meta])* $name:ident, $code:literal) => {
        $(#[$doc])*
        pub fn $name(self, text: &str) -> String {
            if self.coloured {
                format!(concat!("\u{1b}[", $code, "m{}\u{1b}[0m"), text)
            } else {
                text.to_owned()
            }
        }
    };
}

impl Style {
    /// No colours.
    pub fn plain() -> Self {
        Self { coloured: false }
    }

    /// Colours.
    pub fn coloured() -> Self {
        Self { coloured: true }
    }

    /// Colours on a terminal, unless `NO_COLOR` is set to something (no-color.org).
    pub fn for_terminal(is_terminal: bool, no_color: Option<&str>) -> Self {
        Self {
            coloured: is_terminal && no_color.is_none_or(str::is_empty),
        }
    }

    colour!(
        /// Errors.
        red, "1;31"
    );
    colour!(
        /// Warnings.
        yellow, "1;33"
    );
    colour!(
        /// What went well.
        green, "1;32"
    );
    colour!(
        /// Names of fields.
        blue, "1;34"
    );
    colour!(
        /// What matters less.
        dim, "2"
    );
    colour!(
        /// What matters.
        bold, "1"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_is_respected() {
        assert_eq!(Style::for_terminal(true, None), Style::coloured());
        assert_eq!(Style::for_terminal(true, Some("")), Style::coloured());
        assert_eq!(Style::for_terminal(true, Some("1")), Style::plain());
        assert_eq!(Style::for_terminal(false, None), Style::plain());
    }
}
