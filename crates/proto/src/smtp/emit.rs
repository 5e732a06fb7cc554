//! From a line to its fields.

use super::command;
use super::dialogue::SmtpVerb;
use super::table::{
    AUTH_RESPONSE, COMMAND, DATA_LINE, ESMTP, LINE_END, MAIL_FROM, RCPT_TO, UNSTUFFED_DOT,
};
use crate::fields::{Field, Fields, Flags, Span};
use crate::line::{LineEnding, TextLine};
use crate::schema::FieldId;
use crate::wanted::Wanted;
use stage::position::plus;

/// Pushes what is wanted of one line, or of a piece of it.
pub(super) struct Emit<'a, 'o> {
    pub(super) wanted: &'a Wanted,
    pub(super) line: &'a TextLine<'a>,
    /// The line begins here.
    pub(super) begins: bool,
    pub(super) out: &'o mut Fields,
}

impl Emit<'_, '_> {
    /// A fact about the line, told once.
    pub(super) fn yes(&mut self, id: FieldId) {
        if self.begins && self.wanted.has(id) {
            self.out.number(id.0, Span::default(), 1);
        }
    }

    /// A field that has no pieces.
    pub(super) fn whole(&mut self, id: FieldId, value: Span) {
        if self.wanted.has(id) {
            self.out.bytes(id.0, value);
        }
    }

    /// From `start` to the end of the text; `element_end` is where its element ends.
    pub(super) fn piece(&mut self, id: FieldId, start: usize, element_end: usize) {
        let start = if self.begins { start } else { 0 };
        let value = Span::new(start, self.line.text.len());
        self.push_piece(id, value, Span::new(start, element_end));
    }

    /// The whole line with its line end.
    pub(super) fn piece_with_end(&mut self, id: FieldId) {
        let all = Span::new(0, self.line.bytes);
        self.push_piece(id, all, all);
    }

    fn push_piece(&mut self, id: FieldId, value: Span, element: Span) {
        if !self.wanted.has(id) {
            return;
        }
        let mut flags = if self.begins { Flags::NONE } else { Flags::CONTINUES };
        if !self.line.is_complete() {
            flags = flags.with(Flags::OPEN);
        }
        self.out.push(Field { slot: id.0, value, element, flags, ..Field::default() });
    }

    /// Lines of the mail, which a bare CR ends too.
    pub(super) fn lines_of_mail(&mut self, after_crlf: bool) {
        let mut after_crlf = after_crlf;
        let mut start = 0_usize;
        let mut begins = self.begins;
        let line = self.line;
        loop {
            let rest = line.text.get(start..).unwrap_or_default();
            let cr = memchr::memchr(b'\r', rest).map(|at| plus(start, at));
            let end = cr.unwrap_or(line.text.len());
            let next = cr.map_or(line.bytes, |cr| plus(cr, 1));
            let mut flags = if begins { Flags::NONE } else { Flags::CONTINUES };
            if cr.is_none() && !line.is_complete() {
                flags = flags.with(Flags::OPEN);
            }
            let (value, element) = (Span::new(start, end), Span::new(start, next));
            if self.wanted.has(DATA_LINE) {
                let slot = DATA_LINE.0;
                self.out.push(Field { slot, value, element, flags, ..Field::default() });
            }
            // Also a dot that stands alone before a bare line end: with CRLF behind it, it would
            // end the mail.
            let bare = line.ending != LineEnding::CrLf || cr.is_some();
            let alone = begins && end == plus(start, 1) && next > end && bare;
            // Two dots are stuffed already, so that whoever doubles a dot finds nothing left to do
            // in what it wrote.
            let single = matches!(rest, [b'.'] | [b'.', b'\0'..=b'-' | b'/'..=u8::MAX, ..]);
            if begins && single && (!after_crlf || alone) {
                self.whole(UNSTUFFED_DOT, Span::new(start, plus(start, 1)));
            }
            if next > end {
                self.whole(LINE_END, Span::new(end, next));
            }
            if cr.is_none() {
                return;
            }
            (begins, after_crlf, start) = (true, false, next);
        }
    }

    /// The command, decoded where it was not sent in upper case.
    pub(super) fn command(&mut self, at: Span) {
        let command = at.of(self.line.text);
        if command.is_empty() || !self.wanted.has(COMMAND) {
            return;
        }
        let mut field = Field { slot: COMMAND.0, value: at, element: at, ..Field::default() };
        if command.iter().any(u8::is_ascii_lowercase) {
            let mut text = None;
            for byte in command {
                let Some(added) = self.out.add_text(&[byte.to_ascii_uppercase()]) else { break };
                text = Some(Span { end: added.end, ..text.unwrap_or(added) });
            }
            field.text = text.unwrap_or_default();
            field.flags = Flags::DECODED;
        }
        self.out.push(field);
    }

    /// What stands in the parameter of a whole line.
    pub(super) fn parts(&mut self, verb: SmtpVerb, parameter: usize) {
        let text = self.line.text;
        let (keyword, id): (&[u8], _) = match verb {
            SmtpVerb::Mail => (b"FROM", MAIL_FROM),
            SmtpVerb::Rcpt => (b"TO", RCPT_TO),
            SmtpVerb::Auth => {
                if let Some(response) = command::initial_response(text, parameter) {
                    self.whole(AUTH_RESPONSE, response);
                }
                return;
            }
            SmtpVerb::Data | SmtpVerb::Bdat | SmtpVerb::StartTls | SmtpVerb::Other => return,
        };
        let Some(path) = command::path(text, parameter, keyword) else { return };
        self.whole(id, path.address);
        if !self.wanted.has(ESMTP) && !self.wanted.has_keys(ESMTP) {
            return;
        }
        for (number, part) in command::parameters(text, path.after).enumerate() {
            let keyed = self.wanted.key(ESMTP, part.keyword.of(text));
            let plain = self.wanted.has(ESMTP).then_some(ESMTP.0);
            let group = u16::try_from(number).unwrap_or(u16::MAX).saturating_add(1);
            for slot in [plain, keyed].into_iter().flatten() {
                let (value, element) = (part.value, part.element);
                self.out.push(Field { slot, group, value, element, ..Field::default() });
            }
        }
    }
}
