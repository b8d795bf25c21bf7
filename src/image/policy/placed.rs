//! Text whose characters know where they stand in their file. Pure.

/// A character, and its line and column.
pub(crate) type Placed = (char, (usize, usize));

/// One logical line: it may come from several lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogicalLine {
    /// The characters.
    pub text: String,
    /// For each character of `text`: where it stands in the file.
    places: Vec<(usize, usize)>,
}

impl LogicalLine {
    /// Line and column, from 1, of the character at this index of `text` in bytes; of the last one
    /// when there is none.
    pub fn place(&self, byte: usize) -> (usize, usize) {
        let index = self
            .text
            .char_indices()
            .take_while(|(at, _)| *at < byte)
            .count();
        self.places
            .get(index)
            .or(self.places.last())
            .copied()
            .unwrap_or((1, 1))
    }
}

impl<'a> FromIterator<&'a Placed> for LogicalLine {
    fn from_iter<T: IntoIterator<Item = &'a Placed>>(placed: T) -> Self {
        let mut line = Self::default();
        for (c, at) in placed {
            line.text.push(*c);
            line.places.push(*at);
        }
        line
    }
}
