//! The sequence map against a list of every byte there ever was.
//!
//! Two times four bytes say where both sides begin, so that any of them wraps; then one operation
//! after the other. The list knows nothing of pieces: it holds, for each original byte, where in
//! the edited stream begins and ends what came of it.

use flow::{EditKind, SeqMap};
use wire::Seq;

/// So many operations need at most as many pieces as a map holds, so none were fused and every
/// answer is exact.
const EXACT_OPERATIONS: usize = 60;

/// Bytes in flight on either side, so that every position can be asked about.
const LIVE_BYTES_MAX: u32 = 1_024;

/// With more in flight than this, every position is asked about only now and then.
const ALWAYS_BYTES: u32 = 96;

/// What came of one original byte.
#[derive(Clone, Copy, Debug)]
struct ModelByte {
    /// The first byte of its edit: an edit is one thing. A byte that stayed is alone.
    first: u32,
    /// Where what came of it, or of the whole edit, begins and ends.
    from: u32,
    to: u32,
}

/// Positions count from the beginning of the stream.
#[derive(Debug, Default)]
struct ByteModel {
    originals: Vec<ModelByte>,
    /// For each edited byte: it is in the copy.
    copied: Vec<bool>,
    /// Where answers stand in the edited stream.
    answers: Vec<(u32, u32)>,
    acknowledged: u32,
    freed: u32,
    /// Since nothing was in flight.
    operations: usize,
    last: LastPush,
}

/// What was put in last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastPush {
    #[default]
    Passed,
    Copied,
    Answer,
}

/// Any history of pushes, acknowledgements and fusing.
pub(crate) fn history(input: &[u8]) {
    let Some((&[a, b, c, d, e, f, g, h], mut rest)) = input.split_first_chunk::<8>() else {
        return;
    };
    let starts = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])];
    let mut both = MapAndModel::new(starts);
    let mut operations = 0_u32;
    while let Some((&[what, a, b], more)) = rest.split_first_chunk::<3>() {
        rest = more;
        operations += 1;
        both.operate(what, u32::from(a), u32::from(b));
        both.check(operations.is_multiple_of(16));
    }
    both.check(true);
    both.acknowledge(both.model.edited());
    assert!(both.map.is_empty(), "all is acknowledged");
    both.check(true);
}

struct MapAndModel {
    map: SeqMap,
    model: ByteModel,
    starts: [u32; 2],
}

impl MapAndModel {
    fn new(starts: [u32; 2]) -> Self {
        let [original, edited] = starts.map(Seq::new);
        Self { map: SeqMap::new(original, edited), model: ByteModel::default(), starts }
    }

    fn operate(&mut self, what: u8, a: u32, b: u32) {
        let (original, edited) = self.base();
        let live = self.model.original() - original + self.model.edited() - edited;
        let room = live + 520 <= LIVE_BYTES_MAX;
        match what % 10 {
            0 | 1 if room => self.linear(EditKind::Copied, a % 40),
            2 if room => self.linear(EditKind::Passed, a % 40),
            3 if room => self.edit(1 + a % 24, b % 40),
            4 if room => self.edit(1 + a, 0),
            5 if room => self.insert(1 + a % 24),
            6 if room => self.answer(1 + a % 40),
            7 => {
                let pieces_fit = self.map.make_room();
                assert!(pieces_fit || !self.exact(), "few pieces and no room");
            }
            // What was acknowledged before, once more.
            8 => self.acknowledge(self.model.acknowledged.saturating_sub(a)),
            _ => {
                let in_flight = self.model.edited() - self.model.acknowledged;
                self.acknowledge(self.model.acknowledged + (a << 8 | b) % (in_flight + 1));
            }
        }
    }

    fn linear(&mut self, kind: EditKind, bytes: u32) {
        if self.pushed(|map| map.push_linear(kind, bytes)) && bytes > 0 {
            self.model.stay(kind == EditKind::Copied, bytes);
        }
    }

    fn edit(&mut self, original: u32, edited: u32) {
        if self.pushed(|map| map.push_edit(original, edited)) {
            self.model.edit(original, edited);
        }
    }

    fn answer(&mut self, bytes: u32) {
        if self.pushed(|map| map.push_answer(bytes)) {
            let from = self.model.edited();
            self.model.copy(bytes);
            self.model.answers.push((from, from + bytes));
            self.model.last = LastPush::Answer;
        }
    }

    fn insert(&mut self, bytes: u32) {
        let possible = !self.map.is_empty() && self.model.last != LastPush::Passed;
        let exact = self.exact();
        self.model.operations += 1;
        let done = self.map.insert_behind(bytes);
        assert!(done == possible || (possible && !exact), "insert_behind: {done}");
        if done {
            self.model.insert(bytes);
        }
    }

    /// A map refuses only when it is full of pieces that cannot be fused.
    fn pushed(&mut self, push: impl FnOnce(&mut SeqMap) -> bool) -> bool {
        let exact = self.exact();
        self.model.operations += 1;
        let done = push(&mut self.map);
        assert!(done || !exact, "refused with few pieces");
        done
    }

    fn acknowledge(&mut self, at: u32) {
        let before = self.base();
        let freed = self.map.acknowledge(self.edited_seq(at));
        self.model.freed += freed;
        self.model.acknowledged = self.model.acknowledged.max(at);
        let (original, edited) = self.base();
        assert!(before.0 <= original && before.1 <= edited, "the edge goes back");
        if self.exact() && at >= before.1 {
            assert_eq!((original, edited), self.model.edge(at), "edge after {at}");
        }
        if self.map.is_empty() {
            assert_eq!((original, edited), (self.model.original(), self.model.edited()));
            self.model.operations = 0;
        }
    }

    const fn exact(&self) -> bool {
        self.model.operations < EXACT_OPERATIONS
    }

    fn check(&self, every: bool) {
        let (original, edited) = self.base();
        let model = &self.model;
        assert!(edited <= model.acknowledged, "the edge is not acknowledged");
        assert!(
            original == 0 || model.came_of(original - 1).to <= edited,
            "the edge claims too much"
        );
        let next = model.originals.get(original as usize);
        assert!(next.is_none_or(|byte| edited <= byte.from), "the edge cuts an edit");
        let in_copy = model.copied.iter().take(edited as usize).filter(|copied| **copied).count();
        assert_eq!(in_copy, model.freed as usize, "what is freed of the copy");
        self.check_ends(original, edited);
        let live = model.edited() - edited + model.original() - original;
        if every || live <= ALWAYS_BYTES {
            self.check_to_edited(original);
            self.check_to_original(edited);
        }
    }

    /// Outside of what is in flight there is one difference.
    fn check_ends(&self, original: u32, edited: u32) {
        let model = &self.model;
        let (original_end, edited_end) = (model.original(), model.edited());
        for past in [1, 9, 70_000] {
            assert_eq!(self.to_edited(original_end + past), edited_end.wrapping_add(past));
            assert_eq!(self.to_original(edited_end + past), original_end.wrapping_add(past));
            let before = |at: u32| at.wrapping_sub(past);
            assert_eq!(self.to_edited(before(original)), before(edited));
            assert_eq!(self.to_original(before(edited)), before(original));
        }
        assert_eq!(self.to_original(edited_end), original_end, "all acknowledged is all");
        assert_eq!(self.through(original_end), edited_end, "all there is");
    }

    fn check_to_edited(&self, base: u32) {
        let (mut before, mut through_before) = (0, 0);
        for at in base..=self.model.original() {
            let edited = self.to_edited(at);
            let (original_base, edited_base) = self.base();
            let exact = self.model.to_edited(at, original_base, edited_base);
            assert!(before <= edited, "{at}: edited {edited} after {before}");
            assert!(!self.exact() || edited == exact, "{at}: edited {edited}, not {exact}");
            let through = self.through(at);
            // Past an answer that was fused with what stands before it, but never past what came of
            // the byte itself.
            let exact = self.model.through(at);
            assert!(edited <= exact, "{at}: edited {edited}, past its own {exact}");
            assert!(through_before <= through, "{at}: through {through} after {through_before}");
            assert!(through <= exact, "{at}: through {through}, past {exact}");
            assert!(!self.exact() || through == exact, "{at}: through {through}, not {exact}");
            (before, through_before) = (edited, through);
        }
    }

    fn check_to_original(&self, base: u32) {
        let mut before = 0;
        for at in base..=self.model.edited() {
            let original = self.to_original(at);
            let exact = self.model.to_original(at);
            assert!(before <= original, "{at}: original {original} after {before}");
            assert!(original <= exact, "{at}: claims {original}, received is {exact}");
            assert!(!self.exact() || original == exact, "{at}: original {original}, not {exact}");
            let up = self.relative(self.map.to_original_up(self.edited_seq(at)), 0);
            let exact = self.model.to_original_up(at);
            let least = self.model.untouched(at);
            assert!(original <= up && least <= up, "{at}: up to {up}, less than {least}");
            assert!(!self.exact() || up == exact, "{at}: up to {up}, not {exact}");
            before = original;
        }
    }

    fn base(&self) -> (u32, u32) {
        let (original, edited) = self.map.base();
        (self.relative(original, 0), self.relative(edited, 1))
    }

    fn to_edited(&self, at: u32) -> u32 {
        self.relative(self.map.to_edited(self.original_seq(at)), 1)
    }

    fn through(&self, at: u32) -> u32 {
        self.relative(self.map.through(self.original_seq(at)), 1)
    }

    fn to_original(&self, at: u32) -> u32 {
        self.relative(self.map.to_original(self.edited_seq(at)), 0)
    }

    const fn original_seq(&self, at: u32) -> Seq {
        Seq::new(self.starts[0].wrapping_add(at))
    }

    const fn edited_seq(&self, at: u32) -> Seq {
        Seq::new(self.starts[1].wrapping_add(at))
    }

    fn relative(&self, at: Seq, side: usize) -> u32 {
        at.raw().wrapping_sub(self.starts.get(side).copied().unwrap_or(0))
    }
}

impl ByteModel {
    fn original(&self) -> u32 {
        u32::try_from(self.originals.len()).unwrap_or(u32::MAX)
    }

    fn edited(&self) -> u32 {
        u32::try_from(self.copied.len()).unwrap_or(u32::MAX)
    }

    fn came_of(&self, at: u32) -> ModelByte {
        let nothing = ModelByte { first: at, from: self.edited(), to: self.edited() };
        self.originals.get(at as usize).copied().unwrap_or(nothing)
    }

    fn copy(&mut self, bytes: u32) {
        self.copied.extend((0..bytes).map(|_| true));
    }

    fn stay(&mut self, copied: bool, bytes: u32) {
        for _ in 0..bytes {
            let (first, from) = (self.original(), self.edited());
            self.originals.push(ModelByte { first, from, to: from + 1 });
            self.copied.push(copied);
        }
        self.last = if copied { LastPush::Copied } else { LastPush::Passed };
    }

    fn edit(&mut self, original: u32, edited: u32) {
        // Bytes that became equally many stand for each other one by one.
        if original == edited {
            return self.stay(true, original);
        }
        let (first, from) = (self.original(), self.edited());
        let byte = ModelByte { first, from, to: from + edited };
        self.originals.extend((0..original).map(|_| byte));
        self.copy(edited);
        self.last = LastPush::Copied;
    }

    fn insert(&mut self, bytes: u32) {
        self.copy(bytes);
        let end = self.edited();
        if self.last == LastPush::Answer {
            if let Some((_, to)) = self.answers.last_mut() {
                *to = end;
            }
            return;
        }
        let Some(first) = self.originals.last().map(|last| last.first) else { return };
        for byte in self.originals.iter_mut().skip(first as usize) {
            byte.to = end;
        }
    }

    /// Where a retransmission of `at` begins: behind what came of the byte before it, or where its
    /// edit begins.
    fn to_edited(&self, at: u32, original: u32, edited: u32) -> u32 {
        let byte = self.came_of(at);
        match at {
            _ if byte.first < at => byte.from,
            _ if at == original => edited,
            _ => self.came_of(at.saturating_sub(1)).to,
        }
    }

    fn through(&self, at: u32) -> u32 {
        self.came_of(at).from
    }

    /// All that came of so many original bytes stands before `at`.
    fn to_original(&self, at: u32) -> u32 {
        let received = self.originals.partition_point(|byte| byte.to <= at);
        u32::try_from(received).unwrap_or(u32::MAX)
    }

    /// The same, but behind the edit that `at` stands in.
    fn to_original_up(&self, at: u32) -> u32 {
        let next = self.to_original(at);
        let byte = self.came_of(next);
        if byte.from >= at {
            return next;
        }
        let of_edit = self.originals.iter().skip(next as usize);
        let rest = of_edit.take_while(|other| other.first == byte.first).count();
        next + u32::try_from(rest).unwrap_or(0)
    }

    /// The first original byte from which on nothing stands before `at`.
    fn untouched(&self, at: u32) -> u32 {
        let begun = self.originals.partition_point(|byte| byte.from < at);
        u32::try_from(begun).unwrap_or(u32::MAX)
    }

    /// Both sides of the edge once `at` is acknowledged: an edit or an answer is kept whole until
    /// all of it is there.
    fn edge(&self, at: u32) -> (u32, u32) {
        let original = self.to_original(at);
        let byte = self.came_of(original);
        let answer = self.answers.iter().find(|(from, to)| *from < at && at < *to);
        (original, answer.map_or(at, |(from, _)| *from).min(byte.from))
    }
}
