//! Every bound of the decoders in one place, each with its reason.

/// Fields of one protocol: each has a bit in the set of those that some rule reads
/// ([`crate::Wanted`]).
pub const FIELD_NUMBERS_MAX: usize = 128;

/// Fields one unit may yield. HTTP servers accept about 2,000 header lines, and each yields at most
/// two fields. Past it [`crate::Fields::overflowed`] is set and the unit counts as one whose rules
/// cannot be decided.
pub const FIELDS_MAX: usize = 4_608;

/// Bytes of decoded text one unit may yield (DNS names uncompressed, for example): a full 64 KiB
/// message of compressed names would need more, and counts as overflowed.
pub const TEXT_BYTES_MAX: usize = 128 * 1024;

/// Edits in one unit. More counts as a unit that cannot be decided.
pub const EDITS_MAX: usize = 4_608;

/// Replacement bytes in one unit.
pub const EDIT_BYTES_MAX: usize = 256 * 1024;

/// The hold a compiled side may ask for unless the operator sets another bound: servers' own limits
/// on a request head are 8 KiB (Apache, nginx) to 16 KiB (IIS).
pub const HOLD_BYTES_DEFAULT: u32 = 16 * 1024;

/// A DNS message over TCP is at most 65,535 bytes behind its two-byte length (RFC 1035 section
/// 4.2.2): the largest unit that has to be held whole.
pub const HOLD_BYTES_MAX: u32 = 65_537;

/// A method of HTTP, a header name, a chunk-size line, a line that framing rests on: what may be
/// waited for although the caller asks for opened fields. Real ones are far shorter; a longer one
/// counts as something else (see the readings).
pub const HTTP_NAME_BYTES_MAX: usize = 256;
