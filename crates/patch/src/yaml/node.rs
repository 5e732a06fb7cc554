//! A YAML document as a tree whose nodes know their places.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::{Diagnostic, Place, SourceFile};

/// Deeper nesting than any file of ours has.
const DEPTH_MAX: usize = 24;

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it is. The place of a mapping is its first key, of a block sequence its first dash.
    pub place: Place,
    /// Its value.
    pub value: NodeValue,
}

/// The value of a node.
#[derive(Clone, Debug)]
pub enum NodeValue {
    /// Text as YAML decodes it, and how it was written.
    Scalar(String, Style),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order written.
    Mapping(Vec<(Node, Node)>),
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may be a number, a boolean or null.
    Plain,
    /// `'…'`.
    Single,
    /// `"…"`.
    Double,
    /// `|` or `>`.
    Block,
}

impl Node {
    /// Parses one document.
    pub fn parse(file: &SourceFile) -> Result<Self, Box<Diagnostic>> {
        let bytes_of_chars: Vec<usize> = file
            .text()
            .char_indices()
            .map(|(at, _)| at)
            .chain(std::iter::once(file.text().len()))
            .collect();
        let mut builder = Builder { file, bytes_of_chars, stack: Vec::new(), root: None };
        for event in Parser::new_from_str(file.text()) {
            match event {
                Ok((event, span)) => {
                    let place = builder.place(span.start.index(), span.end.index());
                    builder.take(event, place)?;
                }
                Err(error) => {
                    let at = error.marker().index();
                    let place = builder.place(at, at.saturating_add(1));
                    let message = format!("this is not YAML: {}", error.info());
                    return Err(Box::new(Diagnostic::new(file, place, message)));
                }
            }
        }
        builder
            .root
            .ok_or_else(|| Box::new(Diagnostic::new(file, Place::default(), "the file is empty")))
    }

    /// `null`, `~` or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, NodeValue::Scalar(text, Style::Plain)
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

struct Builder<'a> {
    file: &'a SourceFile,
    /// The parser counts characters, diagnostics count bytes.
    bytes_of_chars: Vec<usize>,
    stack: Vec<(Node, Option<Node>)>,
    root: Option<Node>,
}

impl Builder<'_> {
    fn place(&self, start: usize, end: usize) -> Place {
        let byte = |index: usize| {
            self.bytes_of_chars.get(index).copied().unwrap_or(self.file.text().len())
        };
        Place { start: byte(start), end: byte(end) }
    }

    /// The parser counts the blanks between a closing quote and a bracket to the scalar.
    fn without_blanks_behind(&self, place: Place, style: Style) -> Place {
        let text = self.file.slice(place);
        let blanks = match style {
            Style::Single | Style::Double => text.len().saturating_sub(text.trim_end().len()),
            Style::Plain | Style::Block => 0,
        };
        Place { end: place.end.saturating_sub(blanks), ..place }
    }

    fn refuse(&self, place: Place, message: &str, help: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::new(self.file, place, message).help(help))
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => Err(self.refuse(
                place,
                "a second document in one file",
                "put each in a file of its own",
            )),
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(_) => Err(self.refuse(
                place,
                "aliases are not read here",
                "write the value out in place of the alias",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(place, anchor, tag.is_some())?;
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let place = self.without_blanks_behind(place, style);
                self.add(Node { place, value: NodeValue::Scalar(text.into_owned(), style) })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(place, anchor, tag.is_some())?;
                self.open(Node { place, value: NodeValue::Sequence(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(place, anchor, tag.is_some())?;
                self.open(Node { place, value: NodeValue::Mapping(Vec::new()) })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some((mut node, _)) => {
                    if let NodeValue::Mapping(entries) = &node.value
                        && let Some((first, _)) = entries.first()
                    {
                        node.place = first.place;
                    }
                    self.add(node)
                }
                None => Ok(()),
            },
        }
    }

    fn plain(&self, place: Place, anchor: usize, tagged: bool) -> Result<(), Box<Diagnostic>> {
        if anchor != 0 {
            return Err(self.refuse(
                place,
                "anchors are not read here",
                "write the value out wherever it is needed",
            ));
        }
        if tagged {
            return Err(self.refuse(
                place,
                "YAML tags are not read here",
                "leave the `!tag` out; quote a value that must stay a string",
            ));
        }
        Ok(())
    }

    fn open(&mut self, node: Node) -> Result<(), Box<Diagnostic>> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.refuse(node.place, "nested too deeply", "no file needs this depth"));
        }
        self.stack.push((node, None));
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), Box<Diagnostic>> {
        let Some((parent, key)) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.value {
            NodeValue::Sequence(items) => items.push(node),
            NodeValue::Mapping(entries) => match key.take() {
                Some(name) => entries.push((name, node)),
                None => *key = Some(node),
            },
            NodeValue::Scalar(..) => {}
        }
        Ok(())
    }
}
