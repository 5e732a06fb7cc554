//! Header and trailer lines: their name, their value, the fields of both.
//!
//! Holds:     the reading of one line with its continuation lines, complete or opened.
//! Promises:  an opened value is made of the same bytes as a complete one; the line's element
//!            reaches from its first byte to the last one of its line end, continuation lines
//!            included.
//! Never:     unfolds: a folded value keeps its line ends and white space, byte for byte.

use super::name_filter::{LENGTH_MAX, NameFilter};
use super::scan::{self, ByteRange, LineEnd};
use super::state::{HttpHalf, HttpPhase, HttpState, Marks, NO_FIELD, NO_SLOT};
use super::table::{
    BAD_HEADER_NAME, HEADER, HEADER_NAME, ItemForm, KNOWN_FIELDS, MALFORMED, REQUEST_LINE,
    RESPONSE_LINE, TRAILER, add_known, item_of, known,
};
use super::{framing, list};
use crate::limits::HTTP_NAME_BYTES_MAX as NAME_BYTES_MAX;
use crate::{Field, FieldId, Fields, Flags, Need, Slot, Span, Step, View, Wanted};
use stage::Direction;
use stage::position::{minus, plus};

/// What of header lines is read at all: asked once a call, not once a line.
pub(super) struct HeaderInterest {
    /// The whole line.
    line: Option<FieldId>,
    /// Every value.
    value: Option<FieldId>,
    /// Values by key.
    keys: Option<FieldId>,
    name: bool,
    known: bool,
    /// Names and values are checked against the grammar.
    grammar: bool,
    /// Every line has to be looked at closely.
    every: bool,
    /// What tells most lines that nobody reads from the others.
    filter: NameFilter,
    /// First letters of names that somebody reads or that framing rests on.
    closer: u32,
}

/// What of one line is read.
pub(super) struct LineReads {
    /// Anything.
    pub any: bool,
    key: Option<Slot>,
    known: Option<FieldId>,
}

impl HeaderInterest {
    pub(super) fn of(wanted: &Wanted, from: Direction, trailer: bool) -> Self {
        let whole_line = match from {
            Direction::Request => REQUEST_LINE,
            Direction::Response => RESPONSE_LINE,
        };
        let value = if trailer { TRAILER } else { HEADER };
        let plain = |field: FieldId| wanted.has(field).then_some(field);
        let line = if trailer { None } else { plain(whole_line) };
        let value_of_each = plain(value);
        let name = !trailer && wanted.has(HEADER_NAME);
        let known = !trailer && wanted.has_any(KNOWN_FIELDS);
        let grammar = wanted.has(BAD_HEADER_NAME) || wanted.has(MALFORMED);
        let every = line.is_some() || value_of_each.is_some() || name || grammar;
        let (starts, lengths) = wanted.key_filter();
        let mut filter = NameFilter { starts, lengths };
        if known && !every {
            add_known(wanted, &mut filter);
        }
        Self {
            line,
            value: value_of_each,
            keys: wanted.has_keys(value).then_some(value),
            name,
            known,
            grammar,
            every,
            filter,
            closer: filter.starts | framing::starts(NameFilter::start),
        }
    }

    /// Lines are checked against the grammar.
    pub(super) fn grammar(&self) -> bool {
        self.grammar
    }

    /// Passes over complete lines that nobody reads, that framing does not rest on, and that end as
    /// they should. Where the first other one begins, and how many there were.
    #[inline]
    pub(super) fn pass_over(&self, input: &[u8], mut at: usize) -> (usize, u16) {
        let mut lines = 0_u16;
        if self.every {
            return (at, lines);
        }
        while let Some(rest) = input.get(at..)
            && let Some(first) = rest.first()
            && first.is_ascii_alphabetic()
            && (self.closer & NameFilter::start(*first) == 0 || !self.may_matter(rest))
            && let Some(end) = scan::low(rest)
            && let Some([b'\r', b'\n', next, ..]) = rest.get(end..)
            && !matches!(next, b' ' | b'\t')
        {
            at = at.wrapping_add(end).wrapping_add(2);
            lines = lines.saturating_add(1);
        }
        (at, lines)
    }

    /// Framing rests on the line, or somebody may read it.
    #[inline]
    fn may_matter(&self, rest: &[u8]) -> bool {
        framing::may_begin(rest)
            || (rest
                .first()
                .is_none_or(|first| self.filter.starts & NameFilter::start(*first) != 0)
                && self.may_be_read(rest))
    }

    #[inline]
    fn may_be_read(&self, rest: &[u8]) -> bool {
        let Some(colon) = scan::colon(rest, 0, rest.len(), LENGTH_MAX) else { return true };
        let last = colon.checked_sub(1).and_then(|last| rest.get(last));
        self.filter.lengths & NameFilter::length(colon) != 0
            || matches!(last, None | Some(b' ' | b'\t'))
    }

    #[inline]
    pub(super) fn of_name(&self, wanted: &Wanted, name: &[u8]) -> LineReads {
        let key = self.keys.and_then(|field| wanted.key(field, name));
        let known = if self.known { known(name) } else { None };
        let known = known.filter(|&field| {
            wanted.has(field) || item_of(field).is_some_and(|(item, _)| wanted.has(item))
        });
        let all = self.line.is_some() || self.value.is_some() || self.name;
        LineReads { any: all || key.is_some() || known.is_some(), key, known }
    }
}

/// One complete line with its continuation lines.
pub(super) struct HeaderLine {
    start: usize,
    /// The bytes before the colon; of a line without one, all.
    name: ByteRange,
    has_colon: bool,
    /// Behind the colon, white space included.
    after_colon: usize,
    end: usize,
    /// Where the next line begins.
    pub next: usize,
    folded: bool,
    bare_lf: bool,
    bare_cr: bool,
}

impl HeaderLine {
    /// The line at `start`; `None` if the byte behind it, which may continue it, is not there yet.
    #[inline]
    pub(super) fn of(view: View<'_>, start: usize, line: LineEnd) -> Option<Self> {
        let colon = scan::colon(view.input, start, line.end, NAME_BYTES_MAX);
        let mut reading = Self {
            start,
            name: ByteRange::new(start, colon.unwrap_or(line.end)),
            has_colon: colon.is_some(),
            after_colon: colon.map_or(start, |colon| plus(colon, 1)),
            end: line.end,
            next: line.next,
            folded: false,
            bare_lf: line.bare_lf,
            bare_cr: line.bare_cr,
        };
        loop {
            match view.input.get(reading.next) {
                Some(b' ' | b'\t') => {
                    let more = scan::line(view.input, reading.next, view.ended)?;
                    reading.end = more.end;
                    reading.next = more.next;
                    reading.folded = true;
                    reading.bare_lf |= more.bare_lf;
                    reading.bare_cr |= more.bare_cr;
                }
                None if !view.ended => return None,
                _ => return Some(reading),
            }
        }
    }

    /// The name without white space around it; a line without colon has none that a rule could ask
    /// for.
    pub(super) fn name<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        if !self.has_colon {
            return &[];
        }
        let ByteRange { start, end } = self.trimmed_name(input);
        input.get(start..end).unwrap_or_default()
    }

    fn trimmed_name(&self, input: &[u8]) -> ByteRange {
        trim_name(input, self.name)
    }

    /// What the line says of framing, and what is wrong with it.
    #[inline]
    pub(super) fn note(
        &self,
        half: &mut HttpHalf,
        input: &[u8],
        interest: &HeaderInterest,
        trailer: bool,
    ) {
        let raw = input.get(self.name.start..self.name.end).unwrap_or_default();
        let may_frame = |raw: &[u8]| {
            !raw.first().is_some_and(u8::is_ascii_alphabetic)
                || framing::may_begin(input.get(self.name.start..).unwrap_or_default())
        };
        if !trailer
            && self.has_colon
            && may_frame(raw)
            && let Some((framing, certain)) = framing::by_name(raw)
        {
            let short = minus(self.next, self.start) < NAME_BYTES_MAX;
            let value = input.get(self.after_colon..self.end).unwrap_or_default();
            framing::note(half, framing, value, certain && short && !self.folded);
        }
        if self.bare_lf || self.bare_cr || self.folded {
            note_line_ends(half, self.bare_lf, self.bare_cr, self.folded);
        }
        if interest.grammar {
            half.marks.set_if(!self.has_colon || !are_tokens(raw), Marks::BAD_NAME);
            half.marks.set_if(raw.is_empty(), Marks::BAD_NAME);
        }
    }

    pub(super) fn emit(
        &self,
        wanted: &Wanted,
        interest: &HeaderInterest,
        reads: &LineReads,
        input: &[u8],
        group: u16,
        out: &mut Fields,
    ) {
        let element = Span::new(self.start, self.next);
        let value_start = skip_white_space(input, self.after_colon, self.end);
        let value = Span::new(value_start, self.end);
        let field =
            |slot: Slot, value: Span| Field { slot, group, value, element, ..Field::default() };
        if let Some(line) = interest.line {
            out.push(field(line.0, element));
        }
        if interest.name {
            let ByteRange { start, end } = self.trimmed_name(input);
            out.push(field(HEADER_NAME.0, Span::new(start, end)));
        }
        if let Some(every) = interest.value {
            out.push(field(every.0, value));
        }
        if let Some(key) = reads.key {
            out.push(field(key, value));
        }
        let Some(known) = reads.known else { return };
        if wanted.has(known) {
            out.push(field(known.0, value));
        }
        let Some((item, form)) = item_of(known).filter(|(item, _)| wanted.has(*item)) else {
            return;
        };
        match form {
            ItemForm::Number => {
                if let Some(number) = framing::content_length(value.of(input)) {
                    let flags = Flags::NUMBER;
                    out.push(Field { number, flags, ..field(item.0, value) });
                }
            }
            ItemForm::List { separator, behind } => {
                let start = ItemForm::list_start(behind, input, value_start, self.end);
                if let Some(start) = start {
                    list::items(
                        input,
                        ByteRange::new(start, self.end),
                        separator,
                        item.0,
                        group,
                        out,
                    );
                }
            }
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
//# token = 1*tchar
fn is_token(byte: &u8) -> bool {
    TOKEN.get(usize::from(*byte)).is_some_and(|&token| token)
}

/// All of a name, without a branch a byte.
pub(super) fn are_tokens(name: &[u8]) -> bool {
    name.iter().fold(true, |all, byte| all & is_token(byte))
}

static TOKEN: [bool; 256] = tokens();

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "worked out by the compiler"
)]
const fn tokens() -> [bool; 256] {
    let marks = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

/// A fold, or a CR alone, is a line end to some servers and not to others.
fn note_line_ends(half: &mut HttpHalf, bare_lf: bool, bare_cr: bool, folded: bool) {
    half.marks.set_if(bare_lf, Marks::BARE_LF);
    half.marks.set_if(bare_cr, Marks::BARE_CR);
    half.marks.set_if(folded, Marks::OBS_FOLD.with(Marks::AMBIGUOUS));
}

fn trim_name(input: &[u8], name: ByteRange) -> ByteRange {
    let ByteRange { start, end } = name;
    let raw = input.get(start..end).unwrap_or_default();
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if !space(raw.first()) && !space(raw.last()) {
        return name;
    }
    let leading = raw.iter().take_while(|&byte| space(Some(byte))).count();
    let start = plus(start, leading);
    let rest = input.get(start..end).unwrap_or_default();
    let trailing = rest.iter().rev().take_while(|&byte| space(Some(byte))).count();
    ByteRange::new(start, minus(end, trailing))
}

/// White space in front of a value, folds included. A line end before `end` is a fold.
pub(super) fn skip_white_space(input: &[u8], from: usize, end: usize) -> usize {
    let mut at = from;
    while at < end {
        at = match input.get(at..end) {
            Some([b' ' | b'\t' | b'\n', ..]) => plus(at, 1),
            Some([b'\r', b'\n', ..]) => plus(at, 2),
            _ => return at,
        };
    }
    at
}

/// Opens the line at the front of the input. The bytes given away; `None` if its name, or a line
/// that framing rests on, is not complete.
pub(super) fn open(
    wanted: &Wanted,
    interest: &HeaderInterest,
    half: &mut HttpHalf,
    view: View<'_>,
    trailer: bool,
    out: &mut Fields,
) -> Option<usize> {
    let input = view.input;
    let certain = without_line_end(input);
    let line_end = memchr::memchr(b'\n', input);
    let first_line = input.get(..line_end.unwrap_or(certain).min(certain)).unwrap_or_default();
    let colon = memchr::memchr(b':', first_line).filter(|&colon| colon <= NAME_BYTES_MAX);
    if certain == 0 || (colon.is_none() && line_end.is_none() && certain <= NAME_BYTES_MAX) {
        return None;
    }
    let raw = input.get(..colon.unwrap_or(0)).unwrap_or_default();
    if !trailer && let Some((framing, _)) = framing::by_name(raw) {
        if input.len() < NAME_BYTES_MAX {
            return None;
        }
        framing::note(half, framing, b"", false);
    }
    if interest.grammar {
        let good = !raw.is_empty() && raw.iter().all(is_token);
        half.marks.set_if(!good, Marks::BAD_NAME);
    }
    let ByteRange { start, end } = trim_name(input, ByteRange::new(0, colon.unwrap_or(0)));
    let reads = interest.of_name(wanted, input.get(start..end).unwrap_or_default());
    half.line = half.line.saturating_add(1);
    half.key = reads.key.unwrap_or(NO_SLOT);
    half.known = reads.known.filter(|&known| wanted.has(known)).unwrap_or(NO_FIELD);
    half.marks.set_if(trailer, Marks::TRAILER);
    if interest.name && colon.is_some() {
        let (value, element) = (Span::new(start, end), Span::new(0, certain));
        let slot = HEADER_NAME.0;
        out.push(Field { slot, group: half.line, value, element, ..Field::default() });
    }
    let value_start = colon.map_or(0, |colon| plus(colon, 1));
    half.marks.set_if(scan::has_bare_cr(input, 0, value_start), Marks::BARE_CR);
    piece(wanted, half, input, ByteRange::new(value_start, certain), None, out);
    Some(certain)
}

/// Goes on inside an opened line.
pub(super) fn proceed(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    out: &mut Fields,
) -> Step {
    let input = view.input;
    let mut half = *state.half(view.from);
    let line = scan::line(input, 0, view.ended).and_then(|line| HeaderLine::of(view, 0, line));
    let bytes = match line {
        None => {
            let certain = without_line_end(input);
            if certain == 0 {
                return Step::More(Need::Bytes(plus(input.len(), 1)));
            }
            piece(wanted, &mut half, input, ByteRange::new(0, certain), None, out);
            certain
        }
        Some(line) => {
            note_line_ends(&mut half, line.bare_lf, false, false);
            piece(wanted, &mut half, input, ByteRange::new(0, line.end), Some(line.next), out);
            let trailer = half.marks.has(Marks::TRAILER);
            half.marks.unset(Marks::OPENED.with(Marks::TRAILER));
            half.phase = if trailer { HttpPhase::Trailers } else { HttpPhase::Headers };
            line.next
        }
    };
    *state.half_mut(view.from) = half;
    Step::Unit { bytes, first: false, last: false }
}

/// Without what may be the line's end: CR LF, LF, or a CR whose LF is still to come.
fn without_line_end(input: &[u8]) -> usize {
    let held = match input {
        [.., b'\r', b'\n'] => 2,
        [.., b'\r' | b'\n'] => 1,
        _ => 0,
    };
    minus(input.len(), held)
}

/// A piece of an opened value; the last one has the line's `next`. White space before the value
/// goes with the first.
fn piece(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    ByteRange { start: from, end }: ByteRange,
    next: Option<usize>,
    out: &mut Fields,
) {
    let bytes = input.get(from..end).unwrap_or_default();
    let folded = memchr::memchr(b'\n', bytes).is_some();
    // A CR is never given away before its LF has come.
    let bare_lf = folded
        && memchr::memchr_iter(b'\n', bytes)
            .any(|at| at.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r'));
    let bare_cr = scan::has_bare_cr(input, from, end);
    note_line_ends(half, bare_lf, bare_cr, folded);
    half.marks.set_if(memchr::memchr(0, bytes).is_some(), Marks::MALFORMED);
    let continues = half.marks.has(Marks::OPENED);
    let start = if continues { from } else { skip_white_space(input, from, end) };
    if start >= end && next.is_none() {
        return;
    }
    let flags = if continues { Flags::CONTINUES } else { Flags::NONE };
    let flags = if next.is_some() { flags } else { flags.with(Flags::OPEN) };
    let value = Span::new(start, end);
    let element = Span::new(0, next.unwrap_or(end));
    let every = if half.marks.has(Marks::TRAILER) { TRAILER } else { HEADER };
    let every = if wanted.has(every) { every.0 } else { NO_SLOT };
    for slot in [every, half.key, half.known.0] {
        if slot != NO_SLOT {
            out.push(Field { slot, group: half.line, flags, value, element, ..Field::default() });
        }
    }
    half.marks.set(Marks::OPENED);
}
