//! The TCP header (RFC 9293 section 3.1), read and written in place.

use crate::checksum;
use crate::options::Options;
use crate::seq::Seq;
use stage::position::plus;

/// The control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number means something.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer means something.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// From the header's byte.
    pub const fn new(raw: u8) -> Self {
        Self(raw)
    }

    /// The header's byte.
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// All of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Any of `other` is set.
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set but for `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A TCP header: the 20 fixed bytes, and the options behind them.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    fixed: &'a [u8; 20],
    options: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// `None` where `bytes` does not begin with a whole header.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<20>()?;
        let [_, _, _, _, _, _, _, _, _, _, _, _, data_offset, ..] = *fixed;
        let options_bytes = usize::from(data_offset >> 4).checked_mul(4)?.checked_sub(20)?;
        Some(Self { fixed, options: rest.get(..options_bytes)? })
    }

    /// Port of the sender.
    pub const fn source_port(&self) -> u16 {
        let [a, b, ..] = *self.fixed;
        u16::from_be_bytes([a, b])
    }

    /// Port of the receiver.
    pub const fn destination_port(&self) -> u16 {
        let [_, _, a, b, ..] = *self.fixed;
        u16::from_be_bytes([a, b])
    }

    /// Position of the first byte (or of SYN).
    pub const fn seq(&self) -> Seq {
        let [_, _, _, _, a, b, c, d, ..] = *self.fixed;
        Seq::new(u32::from_be_bytes([a, b, c, d]))
    }

    /// The next byte the sender of this expects, where ACK is set.
    pub const fn ack(&self) -> Seq {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.fixed;
        Seq::new(u32::from_be_bytes([a, b, c, d]))
    }

    /// Control bits.
    pub const fn flags(&self) -> TcpFlags {
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, flags, ..] = *self.fixed;
        TcpFlags(flags)
    }

    /// The window field, unscaled.
    pub const fn window(&self) -> u16 {
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] = *self.fixed;
        u16::from_be_bytes([a, b])
    }

    /// The checksum field.
    pub const fn checksum(&self) -> u16 {
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] = *self.fixed;
        u16::from_be_bytes([a, b])
    }

    /// The urgent pointer.
    pub const fn urgent(&self) -> u16 {
        let [.., a, b] = *self.fixed;
        u16::from_be_bytes([a, b])
    }

    /// Header length, options included.
    pub const fn header_bytes(&self) -> usize {
        self.options.len().saturating_add(20)
    }

    /// The bytes of the options.
    pub const fn option_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// The options one by one.
    pub const fn options(&self) -> Options<'a> {
        Options::new(self.options)
    }
}

/// A TCP header to be changed. Every setter keeps the checksum right by as much as it was.
#[derive(Debug)]
pub struct TcpMut<'a> {
    fixed: &'a mut [u8; 20],
    options: &'a mut [u8],
}

impl<'a> TcpMut<'a> {
    /// `None` where `bytes` does not begin with a whole header.
    pub fn parse(bytes: &'a mut [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk_mut::<20>()?;
        let [_, _, _, _, _, _, _, _, _, _, _, _, data_offset, ..] = *fixed;
        let options_bytes = usize::from(data_offset >> 4).checked_mul(4)?.checked_sub(20)?;
        Some(Self { fixed, options: rest.get_mut(..options_bytes)? })
    }

    /// The same header, to read.
    pub fn view(&self) -> Tcp<'_> {
        Tcp { fixed: self.fixed, options: self.options }
    }

    /// Moves the sequence number.
    pub fn set_seq(&mut self, seq: Seq) {
        let before = self.view().seq();
        let [_, _, _, _, a, b, c, d, ..] = self.fixed;
        [*a, *b, *c, *d] = seq.raw().to_be_bytes();
        self.repair_u32(before.raw(), seq.raw());
    }

    /// Moves the acknowledgement number.
    pub fn set_ack(&mut self, ack: Seq) {
        let before = self.view().ack();
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = self.fixed;
        [*a, *b, *c, *d] = ack.raw().to_be_bytes();
        self.repair_u32(before.raw(), ack.raw());
    }

    /// Sets the control bits.
    pub fn set_flags(&mut self, flags: TcpFlags) {
        let [_, _, _, _, _, _, _, _, _, _, _, _, offset, byte, ..] = self.fixed;
        let before = u16::from_be_bytes([*offset, *byte]);
        let after = u16::from_be_bytes([*offset, flags.raw()]);
        *byte = flags.raw();
        self.repair_u16(before, after);
    }

    /// Sets the window field.
    pub fn set_window(&mut self, window: u16) {
        let before = self.view().window();
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] = self.fixed;
        [*a, *b] = window.to_be_bytes();
        self.repair_u16(before, window);
    }

    /// Sets the urgent pointer.
    pub fn set_urgent(&mut self, urgent: u16) {
        let before = self.view().urgent();
        let [.., a, b] = self.fixed;
        [*a, *b] = urgent.to_be_bytes();
        self.repair_u16(before, urgent);
    }

    /// Overwrites the bytes at `at` of the options by equally many.
    pub fn set_option_bytes(&mut self, at: usize, new: &[u8]) {
        let end = plus(at, new.len());
        // The checksum sums words: an odd border takes in the byte beside it, which does not
        // change.
        let (even_at, even_end) = (at & !1, plus(end, end & 1).min(self.options.len()));
        let Some(before) = self.options.get(even_at..even_end) else { return };
        let removed = checksum::Sum::default().bytes(before).finish();
        let Some(place) = self.options.get_mut(at..end) else { return };
        place.copy_from_slice(new);
        let after = self.options.get(even_at..even_end).unwrap_or_default();
        let added = checksum::Sum::default().bytes(after).fold();
        let old = self.view().checksum();
        let sum = checksum::Sum::default().word(!old).word(removed).word(added).finish();
        self.set_checksum(sum);
    }

    /// Writes the checksum field itself.
    pub fn set_checksum(&mut self, sum: u16) {
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] = self.fixed;
        [*a, *b] = sum.to_be_bytes();
    }

    fn repair_u16(&mut self, before: u16, after: u16) {
        let sum = checksum::update(self.view().checksum(), before, after);
        self.set_checksum(sum);
    }

    fn repair_u32(&mut self, before: u32, after: u32) {
        let sum = checksum::update_u32(self.view().checksum(), before, after);
        self.set_checksum(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layers;

    fn packet() -> Vec<u8> {
        let mut frame = vec![0x45, 0, 0, 56, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        frame.extend([1, 2, 3, 4, 0, 0, 0, 7, 0, 0, 0, 9, 0x80, 0x18, 4, 0, 0, 0, 0, 5]);
        frame.extend([1, 1, 5, 10, 0, 0, 0, 50, 0, 0, 0, 60]);
        frame.extend(*b"data");
        let layers = Layers::ip(&frame, 0).unwrap();
        checksum::fill_transport(&mut frame, &layers);
        frame
    }

    #[test]
    fn every_setter_keeps_the_checksum_right() {
        let mut frame = packet();
        let layers = Layers::ip(&frame, 0).unwrap();
        let mut header = TcpMut::parse(&mut frame[20..]).unwrap();
        header.set_seq(Seq::new(0xffff_fff0));
        header.set_ack(Seq::new(0x1234_5678));
        header.set_flags(TcpFlags::ACK.with(TcpFlags::FIN));
        header.set_window(0);
        header.set_urgent(0);
        header.set_option_bytes(4, &77_u32.to_be_bytes());
        header.set_option_bytes(9, &[8, 8, 8]);
        assert!(checksum::transport_is_right(&frame, &layers));
        let header = Tcp::parse(&frame[20..]).unwrap();
        assert_eq!(header.seq(), Seq::new(0xffff_fff0));
        assert_eq!(header.ack().raw(), 0x1234_5678);
        assert!(header.flags().has(TcpFlags::FIN) && !header.flags().has_any(TcpFlags::PSH));
        assert_eq!((header.window(), header.urgent()), (0, 0));
        assert_eq!((header.source_port(), header.destination_port()), (258, 772));
        assert_eq!(header.option_bytes(), [1, 1, 5, 10, 0, 0, 0, 77, 0, 8, 8, 8]);
        assert_eq!(header.header_bytes(), 32);
    }

    #[test]
    fn a_wrong_checksum_stays_wrong() {
        let mut frame = packet();
        frame[52] ^= 1;
        let layers = Layers::ip(&frame, 0).unwrap();
        TcpMut::parse(&mut frame[20..]).unwrap().set_seq(Seq::new(99));
        assert!(!checksum::transport_is_right(&frame, &layers));
    }

    #[test]
    fn truncated_headers_have_no_view() {
        let frame = packet();
        for len in 0..32 {
            assert!(Tcp::parse(&frame[20..20 + len]).is_none());
        }
    }
}
