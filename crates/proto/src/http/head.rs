//! Message heads: start line, header lines, blank line; and trailers, which look the same.
//!
//! Holds:     one walk over the lines at the front of the input.
//! Promises:  in line mode a unit has the fields of at most one line; lines nobody reads are taken
//!            along with the next one that somebody does. In whole mode the head is one unit.
//! Never:     gives away a line end before the byte behind it is known, where the line may go on in
//!            the next.

use super::body::suspect_data;
use super::framing;
use super::line::{HeaderInterest, HeaderLine};
use super::scan::{self, ByteRange, LineEnd};
use super::start;
use super::state::{HttpHalf, HttpPhase, HttpState, Marks};
use super::table::{
    AMBIGUOUS, BAD_HEADER_NAME, BARE_CR, BARE_LF, LEADING_CRLF, MALFORMED, OBS_FOLD, TE_AND_LENGTH,
    TE_UNKNOWN, VERDICT_FIELDS,
};
use crate::limits::HTTP_NAME_BYTES_MAX as NAME_BYTES_MAX;
use crate::{Fields, Need, Span, Step, View, Wanted};
use stage::Direction;
use stage::position::{minus, plus};

/// Why a walk stopped.
enum HeadStop {
    /// The blank line was taken.
    Blank,
    /// The line at hand has fields, and the unit has some already.
    Full,
    /// The line at hand is not complete.
    Short,
}

/// One call's walk. The state is written back only with a unit.
pub(super) struct HeadWalk<'a> {
    pub wanted: &'a Wanted,
    pub view: View<'a>,
    pub half: HttpHalf,
    pub out: &'a mut Fields,
    /// Bytes taken.
    pub at: usize,
    /// A message began.
    pub first: bool,
}

impl HeadWalk<'_> {
    /// From a start line on.
    pub(super) fn start(mut self, state: &mut HttpState) -> Step {
        self.leading_empty_lines();
        if self.at > 0 {
            // A unit of their own, or how much of the start line fits a bound would depend on when
            // they came.
            return self.unit(state, false);
        }
        let Some(line) = scan::line(self.view.input, self.at, self.view.ended) else {
            return self.open_start(state);
        };
        if let Err(step) = self.start_line(state, line) {
            return step;
        }
        self.first = true;
        self.at = line.next;
        self.half.phase = HttpPhase::Headers;
        //= https://www.rfc-editor.org/rfc/rfc9112#section-3
        // An HTTP/0.9 client sends nothing more: its request must not wait for a blank line.
        if self.half.marks.has(Marks::VERSIONLESS) {
            return self.unit(state, false);
        }
        self.lines(state)
    }

    /// Servers skip empty lines in front of a request (RFC 9112 section 2.2).
    fn leading_empty_lines(&mut self) {
        loop {
            let next = match self.view.input.get(self.at..) {
                Some([b'\n', ..]) => plus(self.at, 1),
                Some([b'\r', b'\n', ..]) => plus(self.at, 2),
                _ => return,
            };
            self.at = next;
            self.half.marks.set(Marks::LEADING_CRLF);
        }
    }

    fn start_line(&mut self, state: &mut HttpState, line: LineEnd) -> Result<(), Step> {
        let input = self.view.input;
        let text = input.get(self.at..line.end).unwrap_or_default();
        let place = ByteRange::new(self.at, line.end);
        let half = &mut self.half;
        half.marks.set_if(line.bare_lf, Marks::BARE_LF);
        half.marks.set_if(line.bare_cr, Marks::BARE_CR);
        match self.view.from {
            Direction::Request => {
                if !text.first().is_some_and(u8::is_ascii_uppercase)
                    && start::looks_binary(text)
                    && !start::looks_like_request(text)
                {
                    return Err(self.not_a_start(state));
                }
                start::request_line(self.wanted, half, input, place, self.out);
                // As far as a line could be read when opened: see `open_request`.
                let short = minus(line.next, self.at) <= start::LOOKS_BYTES_MAX;
                if short && half.marks.has(Marks::VERSIONLESS) && !start::looks_like_request(text) {
                    if !half.marks.has(Marks::GREETED) {
                        return Err(Step::NotThisProtocol);
                    }
                    half.marks.set(Marks::MALFORMED);
                }
            }
            Direction::Response => {
                if !start::status_line(self.wanted, half, input, place, true, self.out) {
                    return Err(self.not_a_start(state));
                }
            }
        }
        self.half.marks.set(Marks::GREETED);
        Ok(())
    }

    /// A line that begins no message. In front of all others it says that this is not HTTP at all;
    /// later it says that an earlier message ended elsewhere, or that the server will refuse it:
    /// then every line is suspect.
    fn not_a_start(&mut self, state: &mut HttpState) -> Step {
        self.out.clear();
        if !self.half.marks.has(Marks::GREETED) {
            return Step::NotThisProtocol;
        }
        self.half.distrust();
        self.half.phase = HttpPhase::Ignored;
        state.unpaired = true;
        let line = scan::line(self.view.input, self.at, self.view.ended);
        if line.is_some() {
            self.half.phase = HttpPhase::Start;
        }
        let start = self.at;
        self.at = line.map_or(self.view.input.len(), |line| line.next);
        let data = Span::new(start, self.at);
        suspect_data(self.wanted, &mut self.half.marks, data, self.out);
        self.unit(state, false)
    }

    /// The start line is not complete.
    fn open_start(mut self, state: &mut HttpState) -> Step {
        let input = self.view.input;
        let line = input.get(self.at..).unwrap_or_default();
        if line.is_empty() || line == b"\r" {
            return Step::More(Need::Bytes(2));
        }
        let more = Step::More(Need::Byte(b'\n'));
        let binary = !line.first().is_some_and(u8::is_ascii_uppercase)
            && line.len() >= start::LOOKS_BYTES_MAX
            && start::looks_binary(line)
            && !start::looks_like_request(line);
        if binary {
            return self.not_a_start(state);
        }
        if !self.view.open {
            return more;
        }
        let opened = match self.view.from {
            Direction::Request => self.open_request(line),
            Direction::Response => self.open_response(),
        };
        if !opened {
            self.out.clear();
            return more;
        }
        self.first = true;
        self.half.marks.set(Marks::GREETED);
        self.unit(state, false)
    }

    fn open_request(&mut self, line: &[u8]) -> bool {
        let input = self.view.input;
        if line.len() < start::LOOKS_BYTES_MAX && !start::looks_like_request(line) {
            return false;
        }
        let (start, end) = match start::method(line) {
            Some(place) => place,
            None if line.len() >= NAME_BYTES_MAX => (0, 0),
            None => return false,
        };
        let (start, end) = (plus(self.at, start), plus(self.at, end));
        start::begin_request(
            self.wanted,
            &mut self.half,
            input,
            ByteRange::new(start, end),
            self.out,
        );
        let Some(bytes) = start::open_target(self.wanted, &mut self.half, input, end, self.out)
        else {
            return false;
        };
        self.at = bytes;
        self.half.phase = HttpPhase::OpenUri;
        true
    }

    fn open_response(&mut self) -> bool {
        let input = self.view.input;
        if minus(input.len(), self.at) < NAME_BYTES_MAX {
            return false;
        }
        let place = ByteRange::new(self.at, input.len());
        if !start::status_line(self.wanted, &mut self.half, input, place, false, self.out) {
            return false;
        }
        self.at = input.len();
        self.half.phase = HttpPhase::Ignored;
        true
    }

    /// Goes on inside an opened request target.
    pub(super) fn continue_target(mut self, state: &mut HttpState) -> Step {
        let input = self.view.input;
        let Some(line) = scan::line(input, 0, self.view.ended) else {
            let opened = start::open_target(self.wanted, &mut self.half, input, 0, self.out);
            let Some(bytes) = opened else { return Step::More(Need::Byte(b'\n')) };
            self.at = bytes;
            return self.unit(state, false);
        };
        self.half.marks.set_if(line.bare_lf, Marks::BARE_LF);
        self.half.marks.set_if(line.bare_cr, Marks::BARE_CR);
        start::end_request_line(
            self.wanted,
            &mut self.half,
            input,
            ByteRange::new(0, line.end),
            self.out,
        );
        self.half.phase = HttpPhase::Headers;
        self.at = line.next;
        self.unit(state, false)
    }

    /// Header or trailer lines, from where the walk stands.
    pub(super) fn lines(mut self, state: &mut HttpState) -> Step {
        let trailer = self.half.phase == HttpPhase::Trailers;
        let interest = HeaderInterest::of(self.wanted, self.view.from, trailer);
        let line_mode = !self.wanted.whole();
        let before = self.at;
        let stop = self.walk(&interest, trailer, line_mode);
        if interest.grammar() {
            let lines = self.view.input.get(before..self.at).unwrap_or_default();
            self.half.marks.set_if(memchr::memchr(0, lines).is_some(), Marks::MALFORMED);
        }
        match stop {
            HeadStop::Full => self.unit(state, false),
            HeadStop::Blank => self.end(state, trailer),
            HeadStop::Short if self.view.ended && self.at >= self.view.input.len() => {
                self.unit(state, true)
            }
            HeadStop::Short => self.short(state, &interest, trailer, before),
        }
    }

    fn walk(&mut self, interest: &HeaderInterest, trailer: bool, line_mode: bool) -> HeadStop {
        let view = self.view;
        loop {
            let (at, lines) = interest.pass_over(view.input, self.at);
            self.at = at;
            self.half.line = self.half.line.saturating_add(lines);
            let Some(line) = scan::line(view.input, self.at, view.ended) else {
                return HeadStop::Short;
            };
            if line.end == self.at && !line.bare_cr {
                let telling = self.wanted.has_any(VERDICT_FIELDS);
                if line_mode && telling && !self.out.items().is_empty() {
                    return HeadStop::Full;
                }
                self.half.marks.set_if(line.bare_lf, Marks::BARE_LF);
                self.at = line.next;
                return HeadStop::Blank;
            }
            let Some(reading) = HeaderLine::of(view, self.at, line) else { return HeadStop::Short };
            let name = reading.name(view.input);
            let reads = interest.of_name(self.wanted, name);
            if line_mode && reads.any && !self.out.items().is_empty() {
                return HeadStop::Full;
            }
            self.half.line = self.half.line.saturating_add(1);
            reading.note(&mut self.half, view.input, interest, trailer);
            if reads.any {
                reading.emit(self.wanted, interest, &reads, view.input, self.half.line, self.out);
            }
            self.at = reading.next;
        }
    }

    /// The line at hand is not complete.
    fn short(
        mut self,
        state: &mut HttpState,
        interest: &HeaderInterest,
        trailer: bool,
        before: usize,
    ) -> Step {
        let held = minus(self.view.input.len(), self.at);
        let taken = self.at > 0 && (self.first || self.at > before);
        if taken && (self.view.open || !self.wanted.whole()) {
            return self.unit(state, false);
        }
        let more = match self.view.input.last() {
            Some(b'\n') => Need::Bytes(plus(self.view.input.len(), 1)),
            _ => Need::Byte(b'\n'),
        };
        if !self.view.open || held == 0 {
            self.out.clear();
            return Step::More(more);
        }
        let Some(bytes) =
            super::line::open(self.wanted, interest, &mut self.half, self.view, trailer, self.out)
        else {
            return Step::More(more);
        };
        self.at = bytes;
        self.half.phase = HttpPhase::OpenHeader;
        self.unit(state, false)
    }

    /// The blank line was taken.
    fn end(mut self, state: &mut HttpState, trailer: bool) -> Step {
        if trailer {
            self.half.next_message();
            return self.unit(state, true);
        }
        framing::judge(&mut self.half, self.view.from);
        if self.wanted.has_any(VERDICT_FIELDS) {
            self.verdict();
        }
        *state.half_mut(self.view.from) = self.half;
        let last = framing::after_head(state, self.view.from);
        Step::Unit { bytes: self.at, first: self.first, last }
    }

    fn verdict(&mut self) {
        let marks = self.half.marks;
        let place = Span::new(self.at, self.at);
        let both = marks.has(Marks::TRANSFER_ENCODING.with(Marks::CONTENT_LENGTH));
        let malformed = [Marks::MALFORMED, Marks::BAD_NAME, Marks::BARE_CR, Marks::AMBIGUOUS];
        for (field, found) in [
            (TE_AND_LENGTH, both),
            (TE_UNKNOWN, marks.has(Marks::TE_UNKNOWN)),
            (LEADING_CRLF, marks.has(Marks::LEADING_CRLF)),
            (BAD_HEADER_NAME, marks.has(Marks::BAD_NAME)),
            (BARE_LF, marks.has(Marks::BARE_LF)),
            (BARE_CR, marks.has(Marks::BARE_CR)),
            (OBS_FOLD, marks.has(Marks::OBS_FOLD)),
            (AMBIGUOUS, marks.has(Marks::AMBIGUOUS)),
            (MALFORMED, malformed.iter().any(|&mark| marks.has(mark))),
        ] {
            if found && self.wanted.has(field) {
                self.out.number(field.0, place, 1);
            }
        }
    }

    /// What was taken so far is a unit.
    fn unit(&mut self, state: &mut HttpState, last: bool) -> Step {
        *state.half_mut(self.view.from) = self.half;
        Step::Unit { bytes: self.at, first: self.first, last }
    }
}
