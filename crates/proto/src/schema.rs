//! The tables that describe protocols and their fields: read by the compiler, the manual and
//! `wirepatch fields`.

use stage::Direction;

/// A field's number: its index in its protocol's [`Protocol::fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

/// Fields that follow one another in a protocol's table, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRange {
    /// The first.
    pub first: FieldId,
    /// The last.
    pub last: FieldId,
}

impl FieldRange {
    /// From one field to another.
    pub const fn new(first: FieldId, last: FieldId) -> Self {
        Self { first, last }
    }

    /// The field is one of them.
    #[inline(always)]
    pub const fn contains(self, field: u16) -> bool {
        self.first.0 <= field && field <= self.last.0
    }
}

/// What a protocol runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A field's type, as the condition language checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Any bytes.
    Bytes,
    /// Bytes meant for people; compares with strings.
    Text,
    /// Unsigned integer of at most this many bits.
    Uint(u8),
    /// Present or absent, set or clear.
    Bool,
}

/// How a number stands in the bytes of its span, so that `clamp`, `set` and `clear` can write it
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repr {
    /// Not a number, or computed and without bytes of its own: cannot be written.
    None,
    /// Big-endian, all bytes of the span (1 to 8), the number being `(bytes >> shift) & mask`.
    BigEndian {
        /// Bits below the number.
        shift: u8,
        /// Mask after shifting; `u64::MAX` for the whole.
        mask: u64,
    },
    /// Little-endian, all bytes of the span.
    LittleEndian,
    /// ASCII decimal digits; writing changes the length.
    Decimal,
    /// ASCII hexadecimal digits; writing changes the length.
    Hex,
}

impl Repr {
    /// All bytes of the span, big-endian.
    pub const BE: Self = Self::BigEndian { shift: 0, mask: u64::MAX };
}

/// What a patch may do to a field's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editable {
    /// Any edit; the decoder repairs what encloses it.
    Freely,
    /// Only edits that keep the length: what encloses it was sent already, or cannot be repaired.
    SameLength,
    /// Read only: computed, structural, or under a MAC or handshake hash.
    No,
}

/// One field of one protocol.
#[derive(Clone, Copy, Debug)]
pub struct FieldDef {
    /// Wireshark's display-filter name where it has one.
    pub name: &'static str,
    /// Type.
    pub kind: FieldKind,
    /// How a number is written.
    pub repr: Repr,
    /// Which direction's messages carry it; `None` means both.
    pub direction: Option<Direction>,
    /// Selected by key, `http.header["x-foo"]`; keys compare without case.
    pub keyed: bool,
    /// May occur more than once in a unit.
    pub repeated: bool,
    /// Belongs to an element (header line, record, option): `remove`, `keep_first` and `dedupe`
    /// work on the element.
    pub element: bool,
    /// May be emitted in pieces as its bytes arrive ([`crate::Flags::OPEN`]), so that streaming
    /// rules need no hold.
    pub streams: bool,
    /// Has no end that a hold could wait for (a body, a data stream): over TCP only rules that need
    /// no hold work on it.
    pub endless: bool,
    /// What may be done to it.
    pub editable: Editable,
    /// One sentence for the manual.
    pub help: &'static str,
}

impl FieldDef {
    /// Bytes field with the commonest properties; adjust with struct update syntax.
    pub const BYTES: Self = Self {
        name: "",
        kind: FieldKind::Bytes,
        repr: Repr::None,
        direction: None,
        keyed: false,
        repeated: false,
        element: false,
        streams: false,
        endless: false,
        editable: Editable::Freely,
        help: "",
    };
    /// Text field.
    pub const TEXT: Self = Self { kind: FieldKind::Text, ..Self::BYTES };
    /// Big-endian unsigned field; set `kind` to its width.
    pub const UINT: Self = Self { kind: FieldKind::Uint(16), repr: Repr::BE, ..Self::BYTES };
    /// Boolean, read only.
    pub const BOOL: Self = Self { kind: FieldKind::Bool, editable: Editable::No, ..Self::BYTES };
}

/// One protocol: its table of fields and what the manual says of it.
#[derive(Debug)]
pub struct Protocol {
    /// `dns`, as patches name it.
    pub name: &'static str,
    /// `Domain Name System`.
    pub title: &'static str,
    /// Transports with their default server ports. No ports: the patch's scope must name them.
    pub ports: &'static [(Transport, &'static [u16])],
    /// The fields; [`FieldId`] indexes it.
    pub fields: &'static [FieldDef],
    /// What a unit is, and its largest size that may have to be held, for `explain`.
    pub unit: &'static str,
    /// How ambiguous constructs are read (markdown, for the protocol's page).
    pub readings: &'static str,
    /// Names of the replies `refuse` can give (`formerr`, `refused`), first is the default; empty:
    /// cannot refuse.
    pub refusals: &'static [&'static str],
}

impl Protocol {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<(FieldId, &'static FieldDef)> {
        let at = self.fields.iter().position(|field| field.name == name)?;
        Some((FieldId(u16::try_from(at).ok()?), self.fields.get(at)?))
    }

    /// What carries it.
    pub fn transports(&self) -> impl Iterator<Item = Transport> {
        self.ports.iter().map(|(transport, _)| *transport)
    }

    /// The definition behind a number.
    pub fn def(&self, id: FieldId) -> Option<&'static FieldDef> {
        self.fields.get(usize::from(id.0))
    }
}
