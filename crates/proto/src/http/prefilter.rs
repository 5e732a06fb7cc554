//! Heads that nobody has to look at: most of them.
//!
//! Holds:     one pass over a complete head in its plainest form (CRLF line ends, no other control
//!            byte, a start line without oddities, no folds) that knows its framing and yields only
//!            what the prefilter catches.
//! Promises:  where it answers, the state is what the other way through the head ([`super::head`])
//!            comes to.
//! Never:     judges an odd head: whatever could be read in two ways goes the other way.

use super::framing::Framing;
use super::line::skip_white_space;
use super::scan::ByteRange;

use super::state::{HttpHalf, HttpPhase, HttpState, Marks, RequestKind};
use super::table::{
    BAD_HEADER_NAME, CODE, CONTENT_LENGTH_HEADER, HEADER, HEADER_NAME, HEADERS_WITH_ITEMS,
    ItemForm, MALFORMED, METHOD, PARAMETER, PATH, PHRASE, QUERY, REQUEST_FLAG, REQUEST_LINE,
    REQUEST_LINE_FIELDS, REQUEST_VERSION, RESPONSE_FLAG, RESPONSE_LINE, RESPONSE_VERSION,
    STATUS_LINE_FIELDS, URI, item_of, known, may_be_known,
};
use super::{framing, line, list, scan, start};
use crate::limits::HTTP_NAME_BYTES_MAX as NAME_BYTES_MAX;
use crate::{
    Field, FieldId, FieldRange, Fields, Flags, HeaderPrefilter, Slot, Span, Step, View, Wanted,
};
use stage::Direction;
use stage::position::index;

/// Methods are shorter.
const METHOD_BYTES_MAX: usize = 32;

/// Marks of a head whose framing is told in one way.
const PLAIN: Marks = Marks::GREETED
    .with(Marks::OLD)
    .with(Marks::CONTENT_LENGTH)
    .with(Marks::TRANSFER_ENCODING)
    .with(Marks::CHUNKED)
    .with(Marks::UPGRADE);

/// Those of request lines and status lines.
const START_LINE_FIELDS: FieldRange =
    FieldRange { first: REQUEST_LINE_FIELDS.first, last: STATUS_LINE_FIELDS.last };

/// Passes over the head at the front of the input, or what is left of one; in line mode only the
/// lines in front of the byte at `upto`. `None`: it is not complete, or not plain; `state` is as it
/// was.
pub(super) fn head(
    wanted: &Wanted,
    state: &mut HttpState,
    view: View<'_>,
    upto: usize,
    out: &mut Fields,
) -> Option<Step> {
    let prefilter = wanted.header_prefilter()?;
    let half = *state.half(view.from);
    let first = half.phase == HttpPhase::Start;
    let rest_of_one = half.phase == HttpPhase::Headers && !wanted.whole();
    let allowed = if first { Marks::GREETED } else { PLAIN };
    if state.tunnel || state.unpaired || !half.marks.only(allowed) || !(first || rest_of_one) {
        return None;
    }
    let odd = scan::Odd::from(prefilter.rare_from());
    let mut walk =
        PrefilteredHead { wanted, prefilter, odd, input: view.input, half, out, seen: 0 };
    let mut at = 0;
    if first {
        at = match view.from {
            Direction::Request => walk.request_line()?,
            Direction::Response => walk.status_line()?,
        };
        walk.half.marks.set(Marks::GREETED);
    } else if !walk.lacks_nothing(0, START_LINE_FIELDS) {
        return None;
    }
    let lines = walk.lines(at, if wanted.whole() { usize::MAX } else { upto }, view.from)?;
    let mut half = walk.half;
    half.phase = HttpPhase::Headers;
    let bytes = match lines {
        HeaderLines::UpToOne(bytes) if bytes > 0 && bytes <= upto => {
            *state.half_mut(view.from) = half;
            return Some(Step::Unit { bytes, first, last: false });
        }
        HeaderLines::UpToOne(_) => return None,
        HeaderLines::All(bytes) => bytes,
    };
    framing::judge(&mut half, view.from);
    let both = Marks::TRANSFER_ENCODING.with(Marks::CONTENT_LENGTH);
    if !half.marks.only(PLAIN) || half.marks.has(both) {
        return None;
    }
    *state.half_mut(view.from) = half;
    let last = framing::after_head(state, view.from);
    Some(Step::Unit { bytes, first, last })
}

/// Where header lines end.
enum HeaderLines {
    /// Behind the blank one.
    All(usize),
    /// In front of one that the plain walk has to read.
    UpToOne(usize),
}

struct PrefilteredHead<'a> {
    wanted: &'a Wanted,
    prefilter: &'a HeaderPrefilter,
    odd: scan::Odd,
    input: &'a [u8],
    half: HttpHalf,
    out: &'a mut Fields,
    /// Header fields that were there, of those somebody counts.
    seen: u128,
}

/// The bit of a field among plain ones.
const fn bit(field: FieldId) -> u128 {
    #[allow(clippy::as_conversions, reason = "no From in a constant")]
    1_u128.wrapping_shl(field.0 as u32)
}

impl<'a> PrefilteredHead<'a> {
    #[inline]
    fn has(&self, fields: u128) -> bool {
        self.prefilter.fields() & fields != 0
    }

    #[inline]
    fn text(&self, start: usize, end: usize) -> &'a [u8] {
        self.input.get(start..end).unwrap_or_default()
    }

    /// Yields a value, if it is caught.
    #[inline]
    fn value(&mut self, slot: Slot, start: usize, end: usize) {
        if self.prefilter.catches(slot, self.input, start, end) {
            self.out.bytes(slot, Span::new(start, end));
        }
    }

    /// Yields a value of a plain field, if it is caught.
    #[inline]
    fn plain(&mut self, field: FieldId, start: usize, end: usize) {
        if self.has(bit(field)) {
            self.value(field.0, start, end);
        }
    }

    fn number(&mut self, field: FieldId, start: usize, end: usize, number: u64) {
        if self.has(bit(field))
            && self.prefilter.catches_number(field.0, self.input, start, end, number)
        {
            self.out.number(field.0, Span::new(start, end), number);
        }
    }

    /// Nobody misses a field that the start line lacks. `there`: the start line's fields.
    fn lacks_nothing(&self, there: u128, own: FieldRange) -> bool {
        let is_own = |slot: Slot| slot != PARAMETER.0 && own.contains(slot);
        self.prefilter.lacking().iter().all(|&(given, missing)| {
            is_own(given)
                && is_own(missing)
                && (there & bit(FieldId(given)) == 0 || there & bit(FieldId(missing)) != 0)
        })
    }

    /// Yields the items of a list; whether so many concern nobody.
    fn items(&mut self, field: FieldId, place: ByteRange, separator: u8) -> bool {
        let Self { prefilter, input, out, .. } = self;
        let mut count = 0_usize;
        list::each(input, place, separator, |value, _| {
            count = count.wrapping_add(1);
            if prefilter.catches(field.0, input, index(value.start), index(value.end)) {
                out.push(Field { slot: field.0, value, flags: Flags::NONE, ..Field::default() });
            }
        });
        !prefilter.catches_count(field.0, count)
    }

    /// A plain request line; where the next line begins.
    fn request_line(&mut self) -> Option<usize> {
        let end = scan::plain_line(self.input, 0, self.odd)?.end;
        let line = self.text(0, end);
        let head = line.get(..METHOD_BYTES_MAX).unwrap_or(line);
        let method_end = head.iter().position(|&byte| byte == b' ')?;
        let method = head.get(..method_end)?;
        if !method.first()?.is_ascii_uppercase() {
            return None;
        }
        self.half.kind = match method {
            b"HEAD" => RequestKind::Head,
            b"CONNECT" => RequestKind::Connect,
            _ => RequestKind::Plain,
        };
        let from = method_end.checked_add(1)?;
        let [target @ .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ (b'0' | b'1')] =
            line.get(from..)?
        else {
            return None;
        };
        if matches!(target, [] | [b' ', ..] | [.., b' ']) {
            return None;
        }
        self.half.marks.set_if(*minor == b'0', Marks::OLD);
        let target_end = from.checked_add(target.len())?;
        let own = bit(METHOD) | bit(REQUEST_FLAG) | bit(REQUEST_VERSION);
        if self.has(own) {
            self.number(REQUEST_FLAG, 0, 0, 1);
            self.plain(METHOD, 0, method_end);
            self.plain(REQUEST_VERSION, target_end.checked_add(1)?, end);
        }
        self.plain(URI, from, target_end);
        let mut there = own | bit(URI) | bit(PATH);
        let parts = bit(PATH) | bit(QUERY) | bit(PARAMETER);
        let counts = self.prefilter.counted() & bit(PARAMETER) != 0;
        if self.has(parts) || counts || !self.prefilter.lacking().is_empty() {
            let target = self.text(from, target_end);
            let question = memchr::memchr(b'?', target).map(|at| from.wrapping_add(at));
            let path = from.wrapping_add(start::path_start(target));
            let path_end = question.unwrap_or(target_end);
            self.plain(PATH, path.min(path_end), path_end);
            if let Some(question) = question {
                there |= bit(QUERY);
                let query = question.wrapping_add(1);
                self.plain(QUERY, query, target_end);
                let reads = self.has(bit(PARAMETER)) || counts;
                if reads && !self.items(PARAMETER, ByteRange::new(query, target_end), b'&') {
                    return None;
                }
            }
        }
        self.lacks_nothing(there, REQUEST_LINE_FIELDS).then(|| end.wrapping_add(2))
    }

    /// A plain status line; where the next line begins.
    fn status_line(&mut self) -> Option<usize> {
        let end = scan::plain_line(self.input, 0, self.odd)?.end;
        let line = self.input.get(..end)?;
        let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', a, b, c, phrase @ ..] = line
        else {
            return None;
        };
        let digit = |byte: &u8| byte.checked_sub(b'0').filter(|digit| *digit < 10).map(u16::from);
        let code = digit(a)?.wrapping_mul(100).wrapping_add(digit(b)?.wrapping_mul(10));
        let code = code.wrapping_add(digit(c)?);
        let is_phrase =
            matches!(phrase, [] | [b' ']) || matches!(phrase, [b' ', first, ..] if *first != b' ');
        if !matches!(minor, b'0' | b'1') || !is_phrase {
            return None;
        }
        self.half.marks.set_if(*minor == b'0', Marks::OLD);
        self.half.status = code;
        let own = bit(RESPONSE_FLAG) | bit(RESPONSE_VERSION) | bit(CODE) | bit(PHRASE);
        if self.has(own) {
            self.number(RESPONSE_FLAG, 0, 0, 1);
            self.plain(RESPONSE_VERSION, 0, 8);
            self.number(CODE, 9, 12, u64::from(code));
            self.plain(PHRASE, 13.min(end), end);
        }
        self.lacks_nothing(own, STATUS_LINE_FIELDS).then(|| end.wrapping_add(2))
    }

    /// Header lines up to the blank one, or to the one with the byte at `upto`.
    fn lines(&mut self, mut at: usize, upto: usize, from: Direction) -> Option<HeaderLines> {
        let whole_line = match from {
            Direction::Request => REQUEST_LINE,
            Direction::Response => RESPONSE_LINE,
        };
        let each = bit(whole_line) | bit(HEADER) | bit(HEADER_NAME);
        let (looks_at_each, reads_line) = (self.has(each), self.has(bit(whole_line)));
        let (reads_name, reads_value) = (self.has(bit(HEADER_NAME)), self.has(bit(HEADER)));
        let counted = self.prefilter.counted();
        let grammar = self.wanted.has(BAD_HEADER_NAME) || self.wanted.has(MALFORMED);
        let names = WantedNames::of(self.wanted, self.prefilter);
        let mut lines = 0_usize;
        loop {
            let rest = self.input.get(at..)?;
            if let [b'\r', b'\n', ..] = rest {
                break;
            }
            let scan::PlainLine { end, colon } = scan::plain_line(self.input, at, self.odd)?;
            let next = end.wrapping_add(2);
            if next > upto {
                return Some(HeaderLines::UpToOne(at));
            }
            let name = self.input.get(at..colon)?;
            let (Some(&letter), Some(&last)) = (rest.first(), name.last()) else { return None };
            let good = letter.is_ascii_alphabetic()
                && last != b' '
                && colon < end
                && name.len() <= NAME_BYTES_MAX
                && (!grammar || line::are_tokens(name));
            if !good {
                return None;
            }
            if framing::may_begin_with(letter) && framing::may_begin(rest) {
                self.framing(
                    name,
                    ByteRange::new(colon.wrapping_add(1), end),
                    next.wrapping_sub(at),
                );
            }
            if looks_at_each {
                if reads_line {
                    self.value(whole_line.0, at, next);
                }
                if reads_name {
                    self.value(HEADER_NAME.0, at, colon);
                }
                if reads_value {
                    let value = skip_white_space(self.input, colon.wrapping_add(1), end);
                    self.value(HEADER.0, value, end);
                }
            }
            if names.may_be_read(letter, name) {
                self.named(&names, name, ByteRange::new(colon.wrapping_add(1), end))?;
            }
            lines = lines.wrapping_add(1);
            self.half.line = self.half.line.saturating_add(1);
            at = next;
        }
        let many = |field: FieldId| {
            counted & bit(field) != 0 && self.prefilter.catches_count(field.0, lines)
        };
        if counted & each != 0 && (many(whole_line) || many(HEADER) || many(HEADER_NAME)) {
            return None;
        }
        Some(HeaderLines::All(at.wrapping_add(2)))
    }

    /// A line that framing may rest on.
    fn framing(&mut self, name: &[u8], value: ByteRange, line_bytes: usize) {
        let found = match known(name) {
            Some(CONTENT_LENGTH_HEADER) => Some((Framing::ContentLength, true)),
            Some(_) | None => framing::by_name(name),
        };
        if let Some((framing, certain)) = found {
            let certain = certain && line_bytes < NAME_BYTES_MAX;
            let value = self.text(value.start, value.end);
            framing::note(&mut self.half, framing, value, certain);
        }
    }

    /// A line whose name somebody may read.
    fn named(
        &mut self,
        names: &WantedNames<'_>,
        name: &[u8],
        ByteRange { start: from, end }: ByteRange,
    ) -> Option<()> {
        let value = skip_white_space(self.input, from, end);
        if let Some(key) = self.wanted.key(HEADER, name) {
            // Those are not remembered one by one.
            if self.prefilter.catches_count(key, usize::MAX.wrapping_sub(1)) {
                return None;
            }
            self.value(key, value, end);
        }
        if !names.may_be_known(name) {
            return Some(());
        }
        let Some(known) = known(name) else { return Some(()) };
        let item = item_of(known);
        let fields = bit(known) | item.map_or(0, |(item, _)| bit(item));
        if fields & self.prefilter.counted() != 0 {
            if self.seen & bit(known) != 0 {
                return None;
            }
            self.seen |= bit(known);
        }
        self.plain(known, value, end);
        let Some((item, form)) = item else { return Some(()) };
        if (self.prefilter.fields() | self.prefilter.counted()) & bit(item) == 0 {
            return Some(());
        }
        match form {
            ItemForm::Number => {
                if let Some(number) = framing::content_length(self.text(value, end)) {
                    self.number(item, value, end, number);
                }
                Some(())
            }
            ItemForm::List { separator, behind } => {
                let start = ItemForm::list_start(behind, self.input, value, end);
                let Some(start) = start else { return Some(()) };
                self.items(item, ByteRange::new(start, end), separator).then_some(())
            }
        }
    }
}

/// Which names are read: a name that is not is told from them by its first letter, its last one and
/// its length.
struct WantedNames<'a> {
    /// The known ones.
    fields: [u64; 2],
    wanted: &'a Wanted,
}

impl<'a> WantedNames<'a> {
    fn of(wanted: &'a Wanted, prefilter: &HeaderPrefilter) -> Self {
        let mut fields = prefilter.fields() | prefilter.counted();
        for &(header, item) in HEADERS_WITH_ITEMS {
            if fields & bit(item) != 0 {
                fields |= bit(header);
            }
        }
        let half = |from: u32| u64::try_from((fields >> from) & u128::from(u64::MAX)).unwrap_or(0);
        Self { fields: [half(0), half(64)], wanted }
    }

    #[inline]
    fn may_be_known(&self, name: &[u8]) -> bool {
        let field = may_be_known(name);
        let word = self.fields.get(usize::from(field / 64)).copied().unwrap_or(0);
        word.wrapping_shr(u32::from(field)) & 1 != 0
    }

    #[inline]
    fn may_be_a_key(&self, letter: u8, name: &[u8]) -> bool {
        let length = u32::try_from(name.len().min(63)).unwrap_or(63);
        self.wanted.key_lengths(letter).wrapping_shr(length) & 1 != 0
    }

    #[inline]
    fn may_be_read(&self, letter: u8, name: &[u8]) -> bool {
        self.may_be_known(name) || self.may_be_a_key(letter, name)
    }
}

#[cfg(test)]
mod tests;
