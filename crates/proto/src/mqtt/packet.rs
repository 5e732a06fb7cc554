//! What stands behind a packet's fixed header.
//!
//! Holds:     a place in one packet, and what is wrong with it so far.
//! Promises:  a part is yielded only if all of it lies inside the packet; what follows one that
//!            does not is not looked for.
//! Never:     looks at the message of a PUBLISH.

use crate::View;
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::FieldId;
use crate::wanted::Wanted;

use super::header::{
    CONNACK, CONNECT, MqttHeader, PUBLISH, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE,
};
use super::table::{
    AUTH_REASON, CLIENT_ID, CLIENT_ID_LEN, CONACK_FLAGS, CONACK_SP, CONACK_VAL, CONFLAG_CLEAN,
    CONFLAG_PASSWD, CONFLAG_QOS, CONFLAG_RESERVED, CONFLAG_RETAIN, CONFLAG_UNAME, CONFLAG_WILL,
    CONFLAGS, CONNACK_REASON, CONTENT_TYPE, DISCONNECT_REASON, DUP, FIRST, KALIVE, LEN, MALFORMED,
    MAX_QOS, MSGID, MSGTYPE, PASSWD, PASSWD_LEN, PROP_KEY, PROP_NUMBER, PROP_STRING, PROP_VALUE,
    PROPERTY_ID, PROPERTY_LEN, PROTO_LEN, PROTO_NAME, PUBACK_REASON, PUBCOMP_REASON, PUBREC_REASON,
    PUBREL_REASON, QOS, RESERVED, RETAIN, SUB_OPTIONS, SUB_QOS, SUBACK_QOS, SUBACK_REASON, TOPIC,
    TOPIC_ALIAS, TOPIC_LEN, UNSUBACK_REASON, USERNAME, USERNAME_LEN, VER, WILL_MSG, WILL_MSG_LEN,
    WILL_TOPIC, WILL_TOPIC_LEN,
};

/// A number in one to four bytes of seven bits (MQTT 5.0 section 1.5.5), and how many bytes it has.
pub(super) fn variable(input: &[u8]) -> Option<(u32, usize)> {
    let mut number = 0_u32;
    for ((byte, bytes), shift) in input.iter().take(4).zip(1_usize..).zip([0_u32, 7, 14, 21]) {
        number |= u32::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Some((number, bytes));
        }
    }
    None
}

/// Where the message of a PUBLISH begins; `Err`: so many bytes are needed to tell. One whose parts
/// do not fit has its message right behind what can be read.
pub(super) fn publish_head(
    header: &MqttHeader,
    version: u8,
    view: View<'_>,
) -> Result<usize, usize> {
    let (start, end) = (header.bytes, header.end());
    let need = |at: usize| {
        let at = at.min(end);
        if at <= view.input.len() || view.ended { Ok(at.min(view.input.len())) } else { Err(at) }
    };
    need(start.saturating_add(2))?;
    let Some([high, low]) =
        view.input.get(start..end.min(view.input.len())).and_then(<[u8]>::first_chunk)
    else {
        return need(end.min(start.saturating_add(2)));
    };
    let topic = usize::from(u16::from_be_bytes([*high, *low]));
    let id = if header.first & 0x06 == 0 { 0 } else { 2 };
    let at = start.saturating_add(2).saturating_add(topic).saturating_add(id);
    if version < 5 || at > end {
        return if at > end { need(start.saturating_add(2)) } else { need(at) };
    }
    let lengths = need(at)?;
    let there = view.input.get(lengths..end.min(view.input.len())).unwrap_or_default();
    match variable(there) {
        Some((properties, bytes)) => {
            let properties = usize::try_from(properties).unwrap_or(usize::MAX);
            let behind = at.saturating_add(bytes).saturating_add(properties);
            if behind > end { need(at.saturating_add(bytes)) } else { need(behind) }
        }
        None if there.len() >= 4 => need(at),
        None => {
            let wait = at.saturating_add(there.len()).saturating_add(1);
            if wait > end { need(at) } else { need(wait) }
        }
    }
}

/// A packet being read; `bytes` begins with its fixed header.
pub(super) struct PacketReader<'a> {
    wanted: &'a Wanted,
    bytes: &'a [u8],
    header: MqttHeader,
    version: u8,
    at: usize,
    malformed: bool,
    /// The filter that is being read, from 1.
    group: u16,
    out: &'a mut Fields,
}

impl<'a> PacketReader<'a> {
    pub(super) fn new(
        wanted: &'a Wanted,
        bytes: &'a [u8],
        header: MqttHeader,
        version: u8,
        out: &'a mut Fields,
    ) -> Self {
        Self { wanted, bytes, header, version, at: header.bytes, malformed: false, group: 0, out }
    }

    fn is_5(&self) -> bool {
        self.version >= 5
    }

    fn push(&mut self, id: FieldId, value: Span, number: Option<u64>) {
        if self.wanted.has(id) {
            let flags = if number.is_some() { Flags::NUMBER } else { Flags::NONE };
            self.out.push(Field {
                slot: id.0,
                group: self.group,
                flags,
                value,
                element: value,
                number: number.unwrap_or(0),
                ..Field::default()
            });
        }
    }

    /// The fixed header. `first`: nothing came before it.
    pub(super) fn header(&mut self, first: bool) {
        let byte = self.header.first;
        let place = Span::new(0, 1);
        if first {
            self.push(FIRST, place, Some(1));
        }
        self.push(MSGTYPE, place, Some(u64::from(byte >> 4)));
        if self.header.kind() == PUBLISH {
            self.push(DUP, place, Some(u64::from(byte >> 3 & 1)));
            self.push(QOS, place, Some(u64::from(byte >> 1 & 3)));
            self.push(RETAIN, place, Some(u64::from(byte & 1)));
        } else {
            self.push(RESERVED, place, Some(u64::from(byte & 15)));
        }
        self.push(LEN, Span::new(1, self.header.bytes), Some(self.header.remaining));
    }

    /// What follows the fixed header.
    pub(super) fn content(&mut self) {
        let read = match self.header.kind() {
            CONNECT => self.connect(),
            CONNACK => self.connack(),
            PUBLISH => self.publish(),
            SUBSCRIBE | UNSUBSCRIBE => self.filters(),
            SUBACK | UNSUBACK => self.codes(),
            4..=7 => self.number(MSGID, 2).and_then(|_| self.reason()),
            14 | 15 => self.reason(),
            _ => Some(()),
        };
        // The message of a PUBLISH is not in these bytes.
        let all_read = self.header.kind() == PUBLISH || self.at >= self.bytes.len();
        let cut = self.header.kind() != PUBLISH && self.bytes.len() < self.header.end();
        // MQTT 3.1.1 section 2.2.3: at most four bytes of remaining length.
        let long = self.header.bytes > 5;
        if read.is_none() || self.malformed || !all_read || cut || long {
            let end = self.bytes.len();
            self.group = 0;
            self.push(MALFORMED, Span::new(end, end), Some(1));
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// A big-endian number of one, two or four bytes.
    fn number(&mut self, id: FieldId, bytes: usize) -> Option<u64> {
        let number = self.rest().get(..bytes)?;
        let number = number.iter().fold(0_u64, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte));
        let start = self.at;
        self.at = self.at.saturating_add(bytes);
        self.push(id, Span::new(start, self.at), Some(number));
        Some(number)
    }

    /// Text or bytes behind their length (MQTT 3.1.1 section 1.5.3).
    #[inline(always)]
    fn string(&mut self, length: Option<FieldId>, id: FieldId) -> Option<Span> {
        let ([high, low], after) = self.rest().split_first_chunk()?;
        let bytes = usize::from(u16::from_be_bytes([*high, *low]));
        let start = self.at.saturating_add(2);
        if let Some(length) = length {
            let number = u64::try_from(bytes).unwrap_or(0);
            self.push(length, Span::new(self.at, start), Some(number));
        }
        if after.len() < bytes {
            return None;
        }
        self.at = start.saturating_add(bytes);
        let value = Span::new(start, self.at);
        self.push(id, value, None);
        Some(value)
    }

    /// MQTT 3.1.1 section 3.1, 5.0 section 3.1.
    fn connect(&mut self) -> Option<()> {
        self.string(Some(PROTO_LEN), PROTO_NAME)?;
        self.number(VER, 1)?;
        let place = Span::new(self.at, self.at.saturating_add(1));
        let flags = self.number(CONFLAGS, 1)?;
        let flag = |bit: u32| flags.wrapping_shr(bit) & 1;
        let (name, password, will) = (flag(7), flag(6), flag(2));
        self.push(CONFLAG_UNAME, place, Some(name));
        self.push(CONFLAG_PASSWD, place, Some(password));
        self.push(CONFLAG_RETAIN, place, Some(flag(5)));
        self.push(CONFLAG_QOS, place, Some(flags.wrapping_shr(3) & 3));
        self.push(CONFLAG_WILL, place, Some(will));
        self.push(CONFLAG_CLEAN, place, Some(flag(1)));
        self.push(CONFLAG_RESERVED, place, Some(flag(0)));
        self.number(KALIVE, 2)?;
        self.properties()?;
        self.string(Some(CLIENT_ID_LEN), CLIENT_ID)?;
        if will == 1 {
            self.properties()?;
            self.string(Some(WILL_TOPIC_LEN), WILL_TOPIC)?;
            self.string(Some(WILL_MSG_LEN), WILL_MSG)?;
        }
        if name == 1 {
            self.string(Some(USERNAME_LEN), USERNAME)?;
        }
        if password == 1 {
            self.string(Some(PASSWD_LEN), PASSWD)?;
        }
        Some(())
    }

    /// MQTT 3.1.1 section 3.2.
    fn connack(&mut self) -> Option<()> {
        let place = Span::new(self.at, self.at.saturating_add(1));
        let flags = self.number(CONACK_FLAGS, 1)?;
        self.push(CONACK_SP, place, Some(flags & 1));
        self.number(if self.is_5() { CONNACK_REASON } else { CONACK_VAL }, 1)?;
        // A server that does not speak version 5 says so in an older one's words.
        if self.rest().is_empty() { Some(()) } else { self.properties() }
    }

    /// MQTT 3.1.1 section 3.3, but for the message.
    fn publish(&mut self) -> Option<()> {
        let topic = self.string(Some(TOPIC_LEN), TOPIC);
        topic?;
        if self.header.first & 0x06 != 0 {
            self.number(MSGID, 2)?;
        }
        self.properties()
    }

    /// MQTT 3.1.1 sections 3.8 and 3.10.
    fn filters(&mut self) -> Option<()> {
        self.number(MSGID, 2)?;
        self.properties()?;
        while !self.rest().is_empty() {
            self.group = self.group.saturating_add(1);
            let (first, start) = (self.out.items().len(), self.at);
            self.string(Some(TOPIC_LEN), TOPIC)?;
            if self.header.kind() == SUBSCRIBE {
                self.number(if self.is_5() { SUB_OPTIONS } else { SUB_QOS }, 1)?;
            }
            let element = Span::new(start, self.at);
            for field in self.out.items_mut().get_mut(first..).unwrap_or_default() {
                field.element = element;
            }
        }
        Some(())
    }

    /// MQTT 3.1.1 sections 3.9 and 3.11.
    fn codes(&mut self) -> Option<()> {
        self.number(MSGID, 2)?;
        self.properties()?;
        let id = match (self.header.kind(), self.is_5()) {
            (SUBACK, false) => SUBACK_QOS,
            (SUBACK, true) => SUBACK_REASON,
            (_, true) => UNSUBACK_REASON,
            (_, false) => return Some(()),
        };
        while self.number(id, 1).is_some() {}
        Some(())
    }

    /// MQTT 5.0 sections 3.4 to 3.7, 3.14 and 3.15: what is left away means success.
    fn reason(&mut self) -> Option<()> {
        if !self.is_5() || self.rest().is_empty() {
            return Some(());
        }
        let id = match self.header.kind() {
            4 => PUBACK_REASON,
            5 => PUBREC_REASON,
            6 => PUBREL_REASON,
            7 => PUBCOMP_REASON,
            14 => DISCONNECT_REASON,
            _ => AUTH_REASON,
        };
        self.number(id, 1)?;
        if self.rest().is_empty() { Some(()) } else { self.properties() }
    }

    /// MQTT 5.0 section 2.2.2. Properties that cannot be read do not hide what follows them.
    fn properties(&mut self) -> Option<()> {
        if !self.is_5() {
            return Some(());
        }
        let (length, bytes) = variable(self.rest())?;
        let start = self.at;
        self.at = self.at.saturating_add(bytes);
        self.push(PROPERTY_LEN, Span::new(start, self.at), Some(u64::from(length)));
        let end = self.at.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        let whole = self.bytes;
        self.bytes = whole.get(..end)?;
        while !self.rest().is_empty() {
            if self.property().is_none() {
                self.malformed = true;
                break;
            }
        }
        self.bytes = whole;
        self.at = end;
        Some(())
    }

    fn property(&mut self) -> Option<()> {
        match self.number(PROPERTY_ID, 1)? {
            0x01 | 0x17 | 0x19 | 0x25 | 0x28 | 0x29 | 0x2a => self.number(PROP_NUMBER, 1).map(drop),
            0x24 => self.number(MAX_QOS, 1).map(drop),
            0x13 | 0x21 | 0x22 => self.number(PROP_NUMBER, 2).map(drop),
            0x23 => self.number(TOPIC_ALIAS, 2).map(drop),
            0x02 | 0x11 | 0x18 | 0x27 => self.number(PROP_NUMBER, 4).map(drop),
            0x0b => {
                let (number, bytes) = variable(self.rest())?;
                let start = self.at;
                self.at = self.at.saturating_add(bytes);
                self.push(PROP_NUMBER, Span::new(start, self.at), Some(u64::from(number)));
                Some(())
            }
            0x03 => self.string(None, CONTENT_TYPE).map(drop),
            0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                self.string(None, PROP_STRING).map(drop)
            }
            0x26 => {
                self.string(None, PROP_KEY)?;
                self.string(None, PROP_VALUE).map(drop)
            }
            _ => None,
        }
    }
}
