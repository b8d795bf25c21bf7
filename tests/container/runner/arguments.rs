//! How the runner's one string of arguments becomes argv: by the rules of .NET, which are those of
//! Windows: a backslash is itself unless a quote follows it.

/// Splits a line of arguments.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut characters = line.chars().peekable();
    loop {
        while characters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if characters.peek().is_none() {
            return arguments;
        }
        arguments.push(one(&mut characters));
    }
}

fn one(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut argument = String::new();
    let mut quoted = false;
    while let Some(&next) = characters.peek() {
        let mut backslashes = 0;
        while characters.next_if_eq(&'\\').is_some() {
            backslashes += 1;
        }
        if backslashes > 0 {
            if characters.peek() == Some(&'"') {
                argument.push_str(&"\\".repeat(backslashes / 2));
                if backslashes % 2 == 1 {
                    argument.push('"');
                    characters.next();
                }
            } else {
                argument.push_str(&"\\".repeat(backslashes));
            }
            continue;
        }
        match next {
            '"' => {
                characters.next();
                if quoted && characters.next_if_eq(&'"').is_some() {
                    argument.push('"');
                } else {
                    quoted = !quoted;
                }
            }
            ' ' | '\t' if !quoted => break,
            _ => {
                argument.push(next);
                characters.next();
            }
        }
    }
    argument
}

/// A path between quotes, as the runner writes the halves of `-v`.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}

#[test]
fn quotes_join_and_a_backslash_is_itself_unless_a_quote_follows() {
    for (line, expected) in [
        (
            r#"run --rm -v "/a b":"/c""#,
            vec!["run", "--rm", "-v", "/a b:/c"],
        ),
        (r#"  "" x"#, vec!["", "x"]),
        (r#"a\b "c\"d" "e\\" f"#, vec![r"a\b", r#"c"d"#, r"e\", "f"]),
        // What the runner makes of an argument that ends in a backslash: it takes the next one in.
        (r#""a\" "b""#, vec![r#"a" b"#]),
        (r#""say ""yes""""#, vec![r#"say "yes""#]),
    ] {
        assert_eq!(split(line), expected, "{line}");
    }
}
