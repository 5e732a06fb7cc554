//! Mistakes in a file, shown the way rustc shows them.
//!
//! Holds:     [`SourceFile`], [`Place`] (byte offsets into one) and [`Diagnostic`].
//! Promises:  a diagnostic carries its source line with it, so that it can be printed, or sent as
//!            JSON, without the file.
//! Never:     prints anything itself.

use std::fmt;

use serde::Serialize;

/// A file's name and text.
#[derive(Debug)]
pub struct SourceFile {
    name: String,
    text: String,
    /// Byte offset of each line's first byte.
    lines: Vec<usize>,
}

/// A range of bytes of one [`SourceFile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl SourceFile {
    /// Diagnostics call the file `name`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at.saturating_add(1)))
            .collect();
        Self { name: name.into(), text, lines }
    }

    /// Its name in diagnostics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of `place`; empty where it does not fall on characters.
    pub fn slice(&self, place: Place) -> &str {
        self.text.get(place.start..place.end).unwrap_or_default()
    }

    /// Line (from 1), column in characters (from 1), width in characters within that line, and the
    /// line itself.
    fn locate(&self, place: Place) -> Location {
        let index = self.lines.partition_point(|&start| start <= place.start).saturating_sub(1);
        let start = self.lines.get(index).copied().unwrap_or_default();
        let end = self.lines.get(index.saturating_add(1)).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let before = line.get(..place.start.saturating_sub(start)).unwrap_or(line);
        let inside = line
            .get(before.len()..place.end.saturating_sub(start).min(line.len()))
            .unwrap_or_default();
        Location {
            file: self.name.clone(),
            line: index.saturating_add(1),
            column: before.chars().count().saturating_add(1),
            width: inside.trim_end().chars().count().max(1),
            source_line: line.to_owned(),
        }
    }
}

/// A place as people and editors name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file.
    pub file: String,
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Characters underlined.
    pub width: usize,
    /// The line, without its end.
    pub source_line: String,
}

/// The second place of a contradiction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Where.
    #[serde(flatten)]
    pub at: Location,
    /// A word about it.
    pub label: String,
}

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Where.
    #[serde(flatten)]
    pub at: Location,
    /// The mistake.
    pub message: String,
    /// A word beside the carets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Why it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What to write instead: a help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The other place of a contradiction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Box<Other>>,
}

impl Diagnostic {
    /// `message` about `place` of `file`.
    pub fn new(file: &SourceFile, place: Place, message: impl Into<String>) -> Self {
        Self {
            at: file.locate(place),
            message: message.into(),
            label: None,
            note: None,
            help: None,
            other: None,
        }
    }

    /// `message` about a file as a whole (it cannot be read), or about no file at all (`file` is
    /// empty).
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            at: Location { file: file.into(), ..Location::default() },
            message: message.into(),
            label: None,
            note: None,
            help: None,
            other: None,
        }
    }

    /// Puts a word beside the carets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds the reason.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Adds a help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Shows a second place.
    #[must_use]
    pub fn other(mut self, file: &SourceFile, place: Place, label: impl Into<String>) -> Self {
        self.other = Some(Box::new(Other { at: file.locate(place), label: label.into() }));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let widest = self.other.as_ref().map_or(0, |other| other.at.line).max(self.at.line);
        let gutter = widest.to_string().len();
        if self.at.line > 0 {
            show(f, &self.at, "-->", self.label.as_deref(), gutter)?;
        } else if !self.at.file.is_empty() {
            write!(f, "\n {:gutter$}--> {}", "", self.at.file)?;
        }
        if let Some(other) = &self.other {
            show(f, &other.at, ":::", Some(&other.label), gutter)?;
        }
        for (word, text) in [("note", &self.note), ("help", &self.help)] {
            if let Some(text) = text {
                write!(f, "\n {:gutter$} = {word}: {text}", "")?;
            }
        }
        Ok(())
    }
}

/// An arrow with the location, the source line, the carets under it.
fn show(
    f: &mut fmt::Formatter<'_>,
    at: &Location,
    arrow: &str,
    label: Option<&str>,
    gutter: usize,
) -> fmt::Result {
    // Tabs are repeated so that the carets are under the text, however wide the terminal's tabs
    // are.
    let indent: String = at
        .source_line
        .chars()
        .take(at.column.saturating_sub(1))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    write!(f, "\n {:gutter$}{arrow} {}:{}:{}", "", at.file, at.line, at.column)?;
    write!(f, "\n {:gutter$} |", "")?;
    write!(f, "\n {:gutter$} | {}", at.line, at.source_line)?;
    write!(f, "\n {:gutter$} | {indent}{}", "", "^".repeat(at.width))?;
    if let Some(label) = label {
        write!(f, " {label}")?;
    }
    Ok(())
}

/// All of them, as an operator reads them, with a count at the end.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic.to_string());
        out.push_str("\n\n");
    }
    match diagnostics.len() {
        0 => {}
        1 => out.push_str("1 error\n"),
        many => out.push_str(&format!("{many} errors\n")),
    }
    out
}
