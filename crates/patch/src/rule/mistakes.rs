//! Where the mistakes of a patch file are gathered.

use crate::diagnostic::{Diagnostic, Place, SourceFile};

/// The mistakes of one file.
pub(crate) struct Mistakes<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) found: &'a mut Vec<Diagnostic>,
}

impl Mistakes<'_> {
    /// Adds one; the caller may add a note and a help.
    pub(crate) fn report(&mut self, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.found.push(Diagnostic::new(self.file, place, message));
        // Just pushed.
        let last = self.found.len().saturating_sub(1);
        &mut self.found[last]
    }

    /// Adds one with a help.
    pub(crate) fn refuse(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(place, message).help = Some(help.into());
    }
}
