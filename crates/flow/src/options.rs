//! TCP options that have to be changed or made.

use crate::segment::SegmentIn;
use crate::seq_map::SeqMap;
use crate::waiting::WaitingRange;
use stage::position::{minus, plus, times};
use wire::Seq;
use wire::options::TcpOption;

/// Up to 40 bytes of options, padded to whole words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionBytes {
    bytes: [u8; 40],
    len: usize,
}

impl OptionBytes {
    pub(crate) const EMPTY: Self = Self { bytes: [0; 40], len: 0 };

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn from_slice(slice: &[u8]) -> Self {
        let mut options = Self::EMPTY;
        options.append(slice);
        options
    }

    /// Leaves out a slice that does not fit.
    pub(crate) fn append(&mut self, slice: &[u8]) {
        let end = plus(self.len, slice.len());
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(slice);
            self.len = end;
        }
    }

    pub(crate) fn overwrite(&mut self, at: usize, slice: &[u8]) {
        let end = plus(at, slice.len());
        if let Some(place) = self.bytes.get_mut(at..end) {
            place.copy_from_slice(slice);
        }
    }
}

const NO_OPERATION: u8 = 1;

/// A timestamps option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamps {
    /// TSval.
    pub(crate) value: u32,
    /// TSecr.
    pub(crate) echo: u32,
}

/// Where the blocks of a SACK option begin, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SackOption {
    pub(crate) at: usize,
    pub(crate) blocks: usize,
}

/// What a segment with SACK blocks acknowledges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SackEdges {
    /// Its acknowledgement number as it came.
    pub(crate) ack_e: Seq,
    /// The one that its receiver gets.
    pub(crate) told_o: Seq,
}

/// TSval of a segment.
pub(crate) fn stamp_of(segment: &SegmentIn<'_>) -> Option<u32> {
    segment.tcp.options().find_map(|option| match option {
        TcpOption::Timestamps(value, _) => Some(value),
        TcpOption::MaxSegment(_)
        | TcpOption::WindowScale(_)
        | TcpOption::SackPermitted
        | TcpOption::Sack { .. }
        | TcpOption::Other(..) => None,
    })
}

/// The options of an acknowledgement made here: timestamps where the connection has them, and one
/// SACK block.
pub(crate) fn of_an_ack(timestamps: Option<Timestamps>, sack: Option<WaitingRange>) -> OptionBytes {
    let mut options = OptionBytes::EMPTY;
    //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
    //# Once TSopt has been successfully negotiated ... the TSopt MUST be sent in every non-<RST>
    //# segment
    if let Some(Timestamps { value, echo }) = timestamps {
        options.append(&[NO_OPERATION, NO_OPERATION, 8, 10]);
        options.append(&value.to_be_bytes());
        options.append(&echo.to_be_bytes());
    }
    if let Some(WaitingRange { start, end }) = sack {
        options.append(&[NO_OPERATION, NO_OPERATION, 5, 10]);
        options.append(&start.raw().to_be_bytes());
        options.append(&end.raw().to_be_bytes());
    }
    options
}

/// Translates the SACK block at `at` of `options`, and those behind it, to original positions. A
/// block that is empty there (it was inside an edit, or below what is acknowledged to the sender)
/// is overwritten with no-operations.
pub(crate) fn translate_sack(
    options: &mut OptionBytes,
    option: SackOption,
    edges: SackEdges,
    translate: &impl Fn(Seq, Seq) -> (Seq, Seq),
) {
    let SackOption { at, blocks } = option;
    let SackEdges { ack_e, told_o } = edges;
    let mut kept = OptionBytes::EMPTY;
    let source = *options;
    let bytes = source.as_slice().get(at..).unwrap_or_default();
    for block in bytes.as_chunks::<8>().0.iter().take(blocks) {
        let [a, b, c, d, e, f, g, h] = *block;
        let left = Seq::new(u32::from_be_bytes([a, b, c, d]));
        let right = Seq::new(u32::from_be_bytes([e, f, g, h]));
        let above = right.is_after(ack_e);
        let (mut new_left, new_right) = translate(left, right);
        if above {
            // Below what the sender was told, a block would read as a report of a duplicate (RFC
            // 2883).
            new_left = new_left.max(told_o);
        }
        if new_right.is_after(new_left) {
            kept.append(&new_left.raw().to_be_bytes());
            kept.append(&new_right.raw().to_be_bytes());
        }
    }
    let head = minus(at, 2);
    let whole = plus(times(blocks, 8), 2);
    for n in 0..whole {
        options.overwrite(plus(head, n), &[NO_OPERATION]);
    }
    if kept.len > 0 {
        let claimed = u8::try_from(plus(kept.len, 2)).unwrap_or(2);
        options.overwrite(head, &[5, claimed]);
        options.overwrite(at, kept.as_slice());
    }
}

/// Both edges of a SACK block as original positions, through the pieces in flight.
pub(crate) fn sack_through(map: &SeqMap, left: Seq, right: Seq) -> (Seq, Seq) {
    (map.to_original_up(left), map.to_original(right))
}

/// There is a TCP-MD5 (RFC 2385) or TCP-AO (RFC 5925) signature among them.
pub(crate) fn is_signed(bytes: &[u8]) -> bool {
    // Most segments have none, or timestamps alone, padded as in RFC 7323 appendix A.
    let ordinary =
        bytes.is_empty() || matches!(bytes, [1, 1, 8, 10, stamps @ ..] if stamps.len() == 8);
    !ordinary
        && wire::options::Options::new(bytes)
            .any(|option| matches!(option, TcpOption::Other(19 | 29, _)))
}

/// The options of a SYN that matter for editing the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SynOptions {
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<u8>,
    pub(crate) sack: bool,
    /// TCP-MD5 (RFC 2385) or TCP-AO (RFC 5925): every segment is signed.
    pub(crate) signed: bool,
}

/// Reads a SYN's options; where they offer multipath TCP (RFC 8684), the second answer is them
/// without the offer: its data could travel on other subflows, past any inspection, and its
/// checksums forbid edits.
pub(crate) fn of_a_syn(bytes: &[u8]) -> (SynOptions, Option<OptionBytes>) {
    let mut found = SynOptions::default();
    let mut without = None;
    let mut walk = wire::options::Options::new(bytes);
    while let Some(option) = walk.next() {
        match option {
            TcpOption::MaxSegment(mss) => found.mss = Some(mss),
            TcpOption::WindowScale(shift) => found.scale = Some(shift),
            TcpOption::SackPermitted => found.sack = true,
            TcpOption::Other(19 | 29, _) => found.signed = true,
            TcpOption::Other(30, body) => {
                let whole = plus(body.len(), 2);
                let head = minus(walk.position(), whole);
                let options = without.get_or_insert_with(|| OptionBytes::from_slice(bytes));
                for n in 0..whole {
                    options.overwrite(plus(head, n), &[NO_OPERATION]);
                }
            }
            TcpOption::Sack { .. } | TcpOption::Timestamps(..) | TcpOption::Other(..) => {}
        }
    }
    (found, without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq_map::EditKind;

    #[test]
    fn blocks_are_translated_and_those_that_say_nothing_close_up() {
        let mut map = SeqMap::new(Seq::new(100), Seq::new(100));
        assert!(map.push_linear(EditKind::Copied, 50));
        assert!(map.push_edit(20, 4));
        assert!(map.push_linear(EditKind::Copied, 50));
        let blocks = [[110_u32, 120], [151, 153], [154, 160]];
        let mut options = OptionBytes::from_slice(&[1, 1, 5, 26]);
        for edge in blocks.as_flattened() {
            options.append(&edge.to_be_bytes());
        }
        let edges = SackEdges { ack_e: Seq::new(105), told_o: Seq::new(105) };
        let option = SackOption { at: 4, blocks: 3 };
        translate_sack(&mut options, option, edges, &|l, r| sack_through(&map, l, r));
        let mut want = vec![1, 1, 5, 18];
        for edge in [110_u32, 120, 170, 176] {
            want.extend(edge.to_be_bytes());
        }
        want.extend([1; 8]);
        assert_eq!(options.as_slice(), want);
    }

    #[test]
    fn an_offer_of_multipath_is_taken_out_of_a_syn() {
        let syn = [2, 4, 5, 0xb4, 30, 4, 0, 1, 3, 3, 7, 4, 2, 0, 0, 0];
        let (found, without) = of_a_syn(&syn);
        assert_eq!((found.mss, found.scale, found.sack), (Some(1460), Some(7), true));
        let want = [2, 4, 5, 0xb4, 1, 1, 1, 1, 3, 3, 7, 4, 2, 0, 0, 0];
        assert_eq!(without.unwrap().as_slice(), want);
        assert!(of_a_syn(&[19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).0.signed);
    }
}
