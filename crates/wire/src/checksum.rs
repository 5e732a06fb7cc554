//! The Internet checksum (RFC 1071): whole, incremental (RFC 1624), and with the pseudo headers of
//! TCP and UDP.
//!
//! Holds:     [`Sum`], a one's-complement sum under way; [`update`] and [`update_words`]; what
//!            verifies and fills the checksums of a parsed frame.
//! Promises:  an incremental update gives the result of a whole computation, if the old checksum
//!            was right; if it was wrong it stays wrong by as much, so a receiver still discards
//!            the packet.
//! Never:     reads outside the layers it was given.

use crate::layers::{IpVersion, Layers, Transport};
use crate::number;
use stage::position::plus;

//= https://www.rfc-editor.org/rfc/rfc1071#section-2
//# The sum of 16-bit integers can be computed in either byte order.
/// A one's-complement sum under way, of words in the processor's own byte order: nothing is swapped
/// before the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last one counts as the high half of a word, so only the last piece may be
    /// odd.
    #[must_use]
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Eight bytes at a time, the carries above them: an addition and one with carry for each.
        let mut sum = u128::from(self.0);
        let (lines, rest) = bytes.as_chunks::<32>();
        for line in lines {
            for word in line.as_chunks::<8>().0 {
                sum = sum.wrapping_add(u128::from(u64::from_ne_bytes(*word)));
            }
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            sum = sum.wrapping_add(u128::from(u64::from_ne_bytes(*word)));
        }
        let (half, rest) = match rest.split_first_chunk::<4>() {
            Some((half, rest)) => (u32::from_ne_bytes(*half), rest),
            None => (0, rest),
        };
        let tail = match *rest {
            [a] => u32::from_ne_bytes([a, 0, 0, 0]),
            [a, b] => u32::from_ne_bytes([a, b, 0, 0]),
            [a, b, c] => u32::from_ne_bytes([a, b, c, 0]),
            _ => 0,
        };
        // 2^32 and 2^64 are 1 in one's complement, so the halves and the carries, fewer than a
        // frame has words, may be added up.
        let part = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        let (words, carries) = (part(sum), part(sum >> 64));
        let halves = (words & 0xffff_ffff).wrapping_add(words >> 32);
        Self(
            halves
                .wrapping_add(carries)
                .wrapping_add(u64::from(half))
                .wrapping_add(u64::from(tail)),
        )
    }

    /// The same for a header of a known length, a multiple of four: no loop is made of it.
    #[must_use]
    #[inline]
    fn header<const N: usize>(self, bytes: &[u8; N]) -> Self {
        let words = bytes.as_chunks::<4>().0.iter();
        words.fold(self, |Self(sum), word| {
            Self(sum.wrapping_add(u64::from(u32::from_ne_bytes(*word))))
        })
    }

    /// Adds one word.
    #[must_use]
    pub const fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(widen(word.to_be())))
    }

    /// Bytes whose checksum field is right sum up to this: [`Self::fold`] would be 0xffff, which
    /// is any multiple of it but nothing at all. 0x1_fffe is twice 0xffff, and folds to 0x1 +
    /// 0xfffe.
    const fn is_of_right_bytes(self) -> bool {
        self.0 != 0 && self.0.is_multiple_of(0xffff)
    }

    /// The one's complement of the folded sum: what a checksum field holds.
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// The folded sum: 0xffff over bytes whose checksum field is right.
    pub const fn fold(self) -> u16 {
        // Halves of 32 bits make at most 33; halves of those at most 18, then 17, then 16.
        let sum = (self.0 & 0xffff_ffff).wrapping_add(self.0 >> 32);
        let sum = (sum & 0xffff).wrapping_add((sum >> 16) & 0xffff).wrapping_add(sum >> 32);
        let sum = (sum & 0xffff).wrapping_add(sum >> 16);
        let sum = (sum & 0xffff).wrapping_add(sum >> 16);
        u16::from_be(low16(sum))
    }
}

const fn widen(word: u16) -> u64 {
    let [high, low] = word.to_be_bytes();
    u64::from_be_bytes([0, 0, 0, 0, 0, 0, high, low])
}

const fn low16(sum: u64) -> u16 {
    let [.., high, low] = sum.to_be_bytes();
    u16::from_be_bytes([high, low])
}

//= https://www.rfc-editor.org/rfc/rfc1624#section-3
//# HC' = ~(~HC + ~m + m')
/// The checksum after one 16-bit word changed from `before` to `after`.
pub const fn update(checksum: u16, before: u16, after: u16) -> u16 {
    Sum(0).word(!checksum).word(!before).word(after).finish()
}

/// The checksum after an aligned 32-bit number changed.
pub const fn update_u32(checksum: u16, before: u32, after: u32) -> u16 {
    let [a, b, c, d] = before.to_be_bytes();
    let [e, f, g, h] = after.to_be_bytes();
    let high = update(checksum, u16::from_be_bytes([a, b]), u16::from_be_bytes([e, f]));
    update(high, u16::from_be_bytes([c, d]), u16::from_be_bytes([g, h]))
}

/// The checksum after bytes that begin at an even offset changed from `before` to `after`, which
/// are equally long.
pub fn update_words(checksum: u16, before: &[u8], after: &[u8]) -> u16 {
    let removed = Sum::default().bytes(before).finish();
    let added = Sum::default().bytes(after).fold();
    Sum::default().word(!checksum).word(removed).word(added).finish()
}

/// The sum of the pseudo header over `len` bytes of transport (RFC 9293 section 3.1, RFC 8200
/// section 8.1).
pub fn pseudo(frame: &[u8], layers: &Layers, len: usize) -> Sum {
    let header = frame.get(layers.ip..).unwrap_or_default();
    let addresses = match layers.version {
        IpVersion::V4 => chunk::<8>(header, 12).map(|addresses| Sum::default().header(addresses)),
        IpVersion::V6 => chunk::<32>(header, 8).map(|addresses| Sum::default().header(addresses)),
    };
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    addresses.unwrap_or_default().word(len).word(u16::from(layers.protocol))
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>()
}

/// The transport bytes the checksum covers: UDP may be shorter than the IP payload.
fn transport<'a>(frame: &'a [u8], layers: &Layers) -> &'a [u8] {
    let end = match layers.transport {
        Transport::Udp => layers.payload_end,
        Transport::Tcp | Transport::Other | Transport::LaterFragment | Transport::Malformed => {
            layers.ip_end
        }
    };
    frame.get(layers.l4..end).unwrap_or_default()
}

/// Where the transport checksum is.
const fn field_at(layers: &Layers) -> Option<usize> {
    match layers.transport {
        Transport::Tcp => Some(layers.l4.saturating_add(16)),
        Transport::Udp => Some(layers.l4.saturating_add(6)),
        Transport::Other | Transport::LaterFragment | Transport::Malformed => None,
    }
}

/// The transport checksum is right (or, UDP over IPv4, absent: RFC 768). Not for fragments.
pub fn transport_is_right(frame: &[u8], layers: &Layers) -> bool {
    let bytes = transport(frame, layers);
    if layers.transport == Transport::Udp
        && let Some(&[_, _, _, _, _, _, 0, 0]) = bytes.first_chunk::<8>()
    {
        //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
        //# IPv6 receivers must discard UDP packets containing a zero checksum
        return layers.version == IpVersion::V4;
    }
    pseudo(frame, layers, bytes.len()).bytes(bytes).fold() == 0xffff
}

/// Both checksums of the most usual packet are right: IPv4 without options before TCP or UDP,
/// whole. `false`: one is wrong, or it is another packet, and [`ip_is_right`] and
/// [`transport_is_right`] say which.
#[inline]
pub fn are_plainly_right(frame: &[u8], layers: &Layers) -> bool {
    if layers.version == IpVersion::V6 || layers.l4.wrapping_sub(layers.ip) != 20 {
        return false;
    }
    let Some(ip) = chunk::<20>(frame, layers.ip) else { return false };
    let (fixed, addresses) = match ip.split_last_chunk::<8>() {
        Some((fixed, addresses)) => (fixed.first_chunk::<12>(), addresses),
        None => return false,
    };
    let addresses = Sum::default().header(addresses);
    let whole = fixed.map(|fixed| addresses.header(fixed));
    let bytes = transport(frame, layers);
    let pseudo =
        addresses.word(u16::try_from(bytes.len()).unwrap_or(0)).word(u16::from(layers.protocol));
    let sum = match bytes.split_first_chunk::<20>() {
        Some((head, [])) => pseudo.header(head),
        Some((head, rest)) => pseudo.header(head).bytes(rest),
        None => pseudo.bytes(bytes),
    };
    whole.is_some_and(Sum::is_of_right_bytes) && sum.is_of_right_bytes()
}

/// The IPv4 header checksum is right; IPv6 has none.
#[inline]
pub fn ip_is_right(frame: &[u8], layers: &Layers) -> bool {
    layers.version == IpVersion::V6 || ip_header_sum(frame, layers).fold() == 0xffff
}

/// The sum of an IPv4 header. Most have no options.
#[inline]
fn ip_header_sum(frame: &[u8], layers: &Layers) -> Sum {
    let header = frame.get(layers.ip..layers.l4).unwrap_or_default();
    match <&[u8; 20]>::try_from(header) {
        Ok(plain) => Sum::default().header(plain),
        Err(_) => Sum::default().bytes(header),
    }
}

/// Computes and writes the TCP or UDP checksum.
pub fn fill_transport(frame: &mut [u8], layers: &Layers) {
    let Some(at) = field_at(layers) else { return };
    write_u16(frame, at, 0);
    let bytes = transport(frame, layers);
    let sum = pseudo(frame, layers, bytes.len()).bytes(bytes).finish();
    //= https://www.rfc-editor.org/rfc/rfc768
    //# If the computed checksum is zero, it is transmitted as all ones
    let sum = if layers.protocol == number::UDP && sum == 0 { 0xffff } else { sum };
    write_u16(frame, at, sum);
}

/// Computes and writes the IPv4 header checksum.
pub fn fill_ip(frame: &mut [u8], layers: &Layers) {
    if layers.version == IpVersion::V6 {
        return;
    }
    let at = plus(layers.ip, 10);
    write_u16(frame, at, 0);
    let sum = ip_header_sum(frame, layers).finish();
    write_u16(frame, at, sum);
}

fn write_u16(frame: &mut [u8], at: usize, value: u16) {
    if let Some(field) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *field = value.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc1624#section-4
    //= type=test
    #[test]
    fn the_worked_example_of_the_rfc() {
        assert_eq!(update(0xDD2F, 0x5555, 0x3285), 0x0000);
    }

    //= https://www.rfc-editor.org/rfc/rfc1071#section-3
    //= type=test
    #[test]
    fn the_numerical_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&bytes).fold(), 0xddf2);
    }

    #[test]
    fn the_largest_sums_fold() {
        for sum in [0, 1, 0xffff, 0x1_0000, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut folded = sum;
            while folded > 0xffff {
                folded = (folded & 0xffff) + (folded >> 16);
            }
            assert_eq!(Sum(sum).fold(), u16::from_be(folded as u16), "{sum:#x}");
            assert_eq!(Sum(sum).is_of_right_bytes(), folded == 0xffff, "{sum:#x}");
        }
    }

    #[test]
    fn an_update_is_what_a_whole_computation_gives() {
        let mut state = 1_u32;
        for _ in 0..2000 {
            let mut bytes = [0_u8; 24];
            for byte in &mut bytes {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
            let mut after = bytes;
            let at = (state as usize % 5) * 4;
            for byte in &mut after[at..at + 4] {
                *byte = byte.wrapping_mul(7).wrapping_add(3);
            }
            let whole = Sum::default().bytes(&after).finish();
            let old = Sum::default().bytes(&bytes).finish();
            let word = |bytes: &[u8]| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(update_u32(old, word(&bytes), word(&after)), whole);
            assert_eq!(update_words(old, &bytes[at..at + 4], &after[at..at + 4]), whole);
            assert_eq!(update_words(old, &bytes, &after), whole);
        }
    }

    #[test]
    fn filled_is_right_and_one_flipped_bit_is_not() {
        let mut frame = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        frame.extend([0, 53, 0, 53, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o']);
        let layers = Layers::ip(&frame, 0).unwrap();
        assert!(!ip_is_right(&frame, &layers));
        assert!(transport_is_right(&frame, &layers), "no checksum is a right one over IPv4");
        fill_ip(&mut frame, &layers);
        fill_transport(&mut frame, &layers);
        assert!(ip_is_right(&frame, &layers) && transport_is_right(&frame, &layers));
        assert!(are_plainly_right(&frame, &layers));
        for at in 0..33 {
            frame[at] ^= 4;
            let right = ip_is_right(&frame, &layers) && transport_is_right(&frame, &layers);
            assert!(!right && !are_plainly_right(&frame, &layers), "{at}");
            frame[at] ^= 4;
        }
    }

    #[test]
    fn what_is_plainly_right_is_right() {
        let mut state = 7_u32;
        let mut next = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        let (mut right, mut wrong) = (0, 0);
        for _ in 0..3_000 {
            let protocol = [6, 17][next(2) as usize];
            let payload = next(70) as usize * next(2) as usize;
            let mut frame = vec![0x45, 0, 0, 0, 1, 2, 0, 0, 64, protocol, 0, 0];
            frame.extend((0..8).map(|_| next(256) as u8));
            frame.extend((0..20 + payload).map(|_| next(256) as u8));
            frame[32] = 0x50;
            let len = frame.len() as u16;
            frame[2..4].copy_from_slice(&len.to_be_bytes());
            frame[24..26].copy_from_slice(&(len - 20).to_be_bytes());
            if protocol == 6 {
                frame[24] = 9;
            }
            let layers = Layers::ip(&frame, 0).unwrap();
            if next(4) > 0 {
                fill_ip(&mut frame, &layers);
            }
            if next(4) > 0 {
                fill_transport(&mut frame, &layers);
            }
            let both = ip_is_right(&frame, &layers) && transport_is_right(&frame, &layers);
            assert_eq!(are_plainly_right(&frame, &layers), both, "{frame:02x?}");
            (right, wrong) = (right + u32::from(both), wrong + u32::from(!both));
        }
        assert!(right > 1_000 && wrong > 500, "{right} {wrong}");
    }
}
