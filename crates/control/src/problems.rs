//! Everything wrong with one configuration file.

use std::collections::BTreeMap;

use patch::yaml::Spanned;
use patch::{Diagnostic, Place, SourceFile};

/// The problems of a file, and its warnings.
pub(crate) struct Problems<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) list: Vec<Diagnostic>,
    /// One line each, with file, line and column.
    pub(crate) warnings: Vec<String>,
}

impl<'a> Problems<'a> {
    pub(crate) const fn of(file: &'a SourceFile) -> Self {
        Self { file, list: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.list.push(Diagnostic::new(self.file, place, message).help(help));
    }

    /// A problem that a second place is part of.
    pub(crate) fn add_pair(&mut self, problem: Spanned<String>, help: &str, other: Spanned<&str>) {
        self.list.push(Diagnostic::new(self.file, problem.place, problem.value).help(help).other(
            self.file,
            other.place,
            other.value,
        ));
    }

    /// Nothing is wrong yet.
    pub(crate) fn warn(&mut self, place: Place, message: &str) {
        let at = Diagnostic::new(self.file, place, message).at;
        self.warnings.push(format!("{}:{}:{}: {message}", at.file, at.line, at.column));
    }

    /// Complains of the second and later uses of a name. `noun` says what bears it.
    pub(crate) fn unique<'n>(
        &mut self,
        noun: &str,
        names: impl Iterator<Item = &'n Spanned<String>>,
    ) {
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        for name in names {
            if let Some(first) = seen.insert(name.value.as_str(), name.place) {
                self.add_pair(
                    Spanned {
                        place: name.place,
                        value: format!("two {noun}s are called `{}`", name.value),
                    },
                    "give each a name of its own",
                    Spanned { place: first, value: "the first one" },
                );
            }
        }
    }
}
