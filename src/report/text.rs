//! Foreign text made harmless, and long text cut. Pure.

/// Splits text that is not ours into lines that move no cursor and set no colour: CR ends a line as
/// LF does (a runner cuts there too), terminal sequences and control characters are dropped.
pub fn plain_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .replace("\r\n", "\n")
        .split([
            '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ])
        .map(without_control)
        .collect();
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    lines
}

/// One line of it: further lines are joined by a space.
pub fn one_line(text: &str) -> String {
    plain_lines(text).join(" ")
}

/// Drops terminal sequences (ESC `[` … letter, ESC `]` … BEL) and control characters but the tab.
fn without_control(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek().copied()) {
            ('\u{1b}', Some('[')) => {
                characters.next();
                for c in characters.by_ref() {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            }
            ('\u{1b}', Some(']')) => {
                for c in characters.by_ref() {
                    if c == '\u{7}' || c == '\u{1b}' {
                        break;
                    }
                }
            }
            ('\t', _) => plain.push('\t'),
            (c, _) if c.is_control() => {}
            (c, _) => plain.push(c),
        }
    }
    plain
}

/// At most `longest` characters; what is cut is replaced by `…`.
pub fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(longest.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `1.2 s`, `350 ms`, `2 min 5 s`.
pub fn duration(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// `12.3 MB`, in powers of 1000, as the registries count.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{}.{} kB", count / 1_000, count % 1_000 / 100),
        1_000_000..1_000_000_000 => {
            format!("{}.{} MB", count / 1_000_000, count % 1_000_000 / 100_000)
        }
        _ => format!(
            "{}.{} GB",
            count / 1_000_000_000,
            count % 1_000_000_000 / 100_000_000
        ),
    }
}

/// `12.3 ms`, `0.5 %`, `7`: four significant digits, and the unit if there is one.
pub fn figure(value: f64, unit: &str) -> String {
    let size = value.abs();
    let number = if size >= 1e6 || (size > 0.0 && size < 1e-4) {
        format!("{value:.3e}")
    } else {
        let digits = match size {
            1_000.0.. => 0,
            100.0.. => 1,
            10.0.. => 2,
            1.0.. => 3,
            _ => 5,
        };
        let fixed = format!("{value:.digits$}");
        match fixed.contains('.') {
            true => fixed.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => fixed,
        }
    };
    match unit {
        "" => number,
        unit => format!("{number} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_cr_too_and_terminal_sequences_vanish() {
        assert_eq!(plain_lines("a\r\nb\rc\n\n"), ["a", "b", "c"]);
        assert_eq!(
            plain_lines("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{8}"),
            ["red x"]
        );
        assert_eq!(one_line("a\nb"), "a b");
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!(duration(350), "350 ms");
        assert_eq!(duration(1_250), "1.2 s");
        assert_eq!(duration(125_000), "2 min 5 s");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        for (value, unit, shown) in [
            (0.0, "", "0"),
            (0.081, "%", "0.081 %"),
            (12.345, "ms", "12.35 ms"),
            (200.0, "ms", "200 ms"),
            (12_345.6, "requests/s", "12346 requests/s"),
            (0.000_01, "", "1.000e-5"),
            (-3.5, "", "-3.5"),
        ] {
            assert_eq!(figure(value, unit), shown);
        }
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
