//! YAML as a tree whose every node knows its line and column.
//!
//! Scalars stay as they are written: `1.10` is not a number here, and `no` is not false. What a
//! text means is decided by the input that it is for.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// Nodes in a file, aliases counted as often as they are used. More is no configuration.
const MOST_NODES: usize = 20_000;
/// How deep nodes nest.
const DEEPEST: usize = 32;

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A node and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: absent, `~` or `null`.
    Null,
    /// A scalar, as written.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// Why a file is no such tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlProblem {
    /// Where.
    pub place: Place,
    /// Why.
    pub why: String,
}

impl Value {
    /// How it is called in an error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads the one document of a file. An empty file is an empty mapping.
///
/// # Errors
/// The first thing that is no YAML, or more than one document, or too much of it.
pub fn parse_yaml(text: &str) -> Result<Node, YamlProblem> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(problem(&span, "only one document is expected"));
            }
            event => root = Some(reader.node(event, &span, 0)?),
        }
    }
    Ok(root.unwrap_or(Node {
        place: Place { line: 1, column: 1 },
        value: Value::Map(Vec::new()),
    }))
}

struct Reader<'text> {
    parser: Parser<'text, granit_parser::StrInput<'text>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'text> Reader<'text> {
    /// The next event that carries data.
    fn next(&mut self) -> Result<(Event<'text>, Span), YamlProblem> {
        loop {
            match self.parser.next_event() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let marker = error.marker();
                    return Err(YamlProblem {
                        place: Place {
                            line: marker.line(),
                            column: marker.col() + 1,
                        },
                        why: error.info(),
                    });
                }
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'text>,
        span: &Span,
        depth: usize,
    ) -> Result<Node, YamlProblem> {
        self.count(span, 1)?;
        if depth > DEEPEST {
            return Err(problem(span, "nests too deep"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(problem(span, "the alias names no anchor"));
                };
                self.count(span, size(&node))?;
                return Ok(Node {
                    place: place(span),
                    value: node.value,
                });
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(depth)?),
            _ => return Err(problem(span, "is not expected here")),
        };
        let node = Node {
            place: place(span),
            value,
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlProblem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, YamlProblem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged_keys: Vec<String> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, _, _, _) => text.into_owned(),
                _ => return Err(problem(&span, "a key must be a text")),
            };
            let (event, value_span) = self.next()?;
            let node = self.node(event, &value_span, depth + 1)?;
            // YAML's merge key: entries of the aliased mapping, unless they are said here.
            if key == "<<" {
                let Value::Map(merged) = node.value else {
                    return Err(problem(&span, "`<<` takes a mapping"));
                };
                for entry in merged {
                    if !entries.iter().any(|known| known.key == entry.key) {
                        merged_keys.push(entry.key.clone());
                        entries.push(entry);
                    }
                }
                continue;
            }
            if let Some(known) = entries.iter_mut().find(|known| known.key == key) {
                // What a merge brought is overridden; what is written twice is a mistake.
                if !merged_keys.contains(&key) {
                    let first = known.place.line;
                    return Err(problem(
                        &span,
                        &format!("the key `{key}` is given twice, first in line {first}"),
                    ));
                }
                merged_keys.retain(|merged| *merged != key);
                *known = Entry {
                    key,
                    place: place(&span),
                    node,
                };
                continue;
            }
            entries.push(Entry {
                key,
                place: place(&span),
                node,
            });
        }
    }

    fn count(&mut self, span: &Span, nodes: usize) -> Result<(), YamlProblem> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            return Err(problem(span, "holds too many values"));
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        _ => Value::Text(text.to_owned()),
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Text(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
    }
}

fn place(span: &Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn problem(span: &Span, why: &str) -> YamlProblem {
    YamlProblem {
        place: place(span),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(node: &'a Node, key: &str) -> &'a Entry {
        let Value::Map(entries) = &node.value else {
            panic!("{node:?}")
        };
        entries.iter().find(|entry| entry.key == key).unwrap()
    }

    #[test]
    fn scalars_stay_as_written_and_know_their_place() {
        let root = parse_yaml("# why\ncpu: 1.10\nfoo:\n  bar: no\n  \"q\": \"null\"\n").unwrap();
        assert_eq!(entry(&root, "cpu").node.value, Value::Text("1.10".into()));
        let bar = entry(&entry(&root, "foo").node, "bar");
        assert_eq!(bar.node.value, Value::Text("no".into()));
        assert_eq!(bar.node.place, Place { line: 4, column: 8 });
        assert_eq!(bar.place, Place { line: 4, column: 3 });
        assert_eq!(
            entry(&entry(&root, "foo").node, "q").node.value,
            Value::Text("null".into())
        );
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        assert_eq!(parse_yaml("").unwrap().value, Value::Map(vec![]));
        assert_eq!(
            parse_yaml("# only a comment\n").unwrap().value,
            Value::Map(vec![])
        );
    }

    #[test]
    fn aliases_and_merge_keys_work() {
        let root = parse_yaml("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\nc: *x\n").unwrap();
        let merged = &entry(&root, "b").node;
        assert_eq!(entry(merged, "k").node.value, Value::Text("1".into()));
        assert_eq!(entry(merged, "l").node.value, Value::Text("3".into()));
        assert_eq!(
            entry(&entry(&root, "c").node, "l").node.value,
            Value::Text("2".into())
        );
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let table = [
            ("a: 1\na: 2\n", 2, "given twice"),
            ("a: [1\nb: 2\n", 2, ""),
            ("a: 1\n---\nb: 2\n", 3, "one document"),
            ("? [1]\n: 2\n", 1, "a key must be a text"),
            ("a: *nope\n", 1, ""),
        ];
        for (text, line, why) in table {
            let problem = parse_yaml(text).unwrap_err();
            assert_eq!(problem.place.line, line, "{text:?}: {problem:?}");
            assert!(problem.why.contains(why), "{text:?}: {problem:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..8 {
            let previous = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(parse_yaml(&text).unwrap_err().why.contains("too many"));
    }
}
