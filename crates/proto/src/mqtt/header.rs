//! The fixed header that every control packet begins with, and what its types are numbered.

use stage::position::plus;

// Control packet types (MQTT 3.1.1 section 2.2.1).
pub(super) const CONNECT: u8 = 1;
pub(super) const CONNACK: u8 = 2;
pub(super) const PUBLISH: u8 = 3;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const UNSUBACK: u8 = 11;

/// The version that is read before a CONNECT has named one: 3.1.1.
pub(super) const VERSION_ASSUMED: u8 = 4;

/// Bytes of a remaining length that are read: one more than the standard has, see the readings.
pub(super) const LENGTH_BYTES_MAX: usize = 5;

/// MQTT 3.1.1 section 2.2.3: the greatest remaining length.
pub(super) const LENGTH_MAX: u64 = 268_435_455;

/// The fixed header (MQTT 3.1.1 section 2.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct MqttHeader {
    pub(super) first: u8,
    /// Remaining length.
    pub(super) remaining: u64,
    /// Of the header itself.
    pub(super) bytes: usize,
}

impl MqttHeader {
    /// `Err`: so many bytes are needed.
    pub(super) fn parse(input: &[u8]) -> Result<Self, usize> {
        let mut remaining = 0_u64;
        let mut shift = 0_u32;
        let (Some(first), lengths) = (input.first(), input.get(1..).unwrap_or_default()) else {
            return Err(2);
        };
        for (byte, bytes) in lengths.iter().take(LENGTH_BYTES_MAX).zip(2_usize..) {
            remaining |= u64::from(byte & 0x7f).wrapping_shl(shift);
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 || bytes > LENGTH_BYTES_MAX {
                return Ok(Self { first: *first, remaining, bytes });
            }
        }
        Err(input.len().saturating_add(1).max(2))
    }

    pub(super) const fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Bytes of the whole packet.
    pub(super) fn packet_bytes(&self) -> u64 {
        self.remaining.saturating_add(u64::try_from(self.bytes).unwrap_or(0))
    }

    /// The same, as far as an index goes.
    pub(super) fn end(&self) -> usize {
        usize::try_from(self.packet_bytes()).unwrap_or(usize::MAX)
    }

    /// The header of a TLS record of a client: as an MQTT packet no server takes it, since a
    /// CONNECT of three bytes has no protocol name.
    pub(super) fn is_tls(&self) -> bool {
        self.first == 0x16 && self.remaining == 3
    }
}

/// A remaining length as it is written (MQTT 3.1.1 section 2.2.3), in the first so many of these
/// bytes.
pub(super) fn encoded(mut length: u64) -> ([u8; LENGTH_BYTES_MAX], usize) {
    let mut encoded = [0_u8; LENGTH_BYTES_MAX];
    let mut bytes = 0_usize;
    for byte in &mut encoded {
        *byte = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        bytes = plus(bytes, 1);
        if length == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (encoded, bytes)
}
