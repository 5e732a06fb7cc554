//! IP packets inside one another: their addresses, their payload, and the next header.

use super::{Carries, Cut, EXTENSIONS_MAX, Header, Inner, Walk, is_protocol};
use crate::layers::mapped;
use crate::number;
use stage::position::{minus, plus, times};

impl Walk<'_> {
    pub(super) fn ip(&mut self) -> Result<Option<Inner>, Cut> {
        if self.levels == 0 {
            return Ok(Some(self.unread()));
        }
        self.levels = minus(self.levels, 1);
        match self.version() {
            Some(4) => self.v4().map(Some),
            Some(6) => self.v6().map(Some),
            Some(_) => {
                self.header = Header::Nothing;
                Ok(None)
            }
            None => Err(Cut),
        }
    }

    fn v4(&mut self) -> Result<Inner, Cut> {
        let &[
            version_ihl,
            _,
            len_high,
            len_low,
            _,
            _,
            frag_high,
            frag_low,
            _,
            protocol,
            _,
            _,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ] = self.rest.first_chunk::<20>().ok_or(Cut)?;
        let packet = |carries| Inner::Packet {
            source: mapped([a, b, c, d]),
            destination: mapped([e, f, g, h]),
            carries,
        };
        let header_bytes = times(usize::from(version_ihl & 0x0f), 4);
        let claimed_bytes = usize::from(u16::from_be_bytes([len_high, len_low]));
        self.header = Header::Nothing;
        // Every receiver discards this.
        if header_bytes < 20 || claimed_bytes < header_bytes {
            return Ok(packet(Carries::Unknown));
        }
        self.end_at(claimed_bytes);
        let flags_offset = u16::from_be_bytes([frag_high, frag_low]);
        if self.skip(header_bytes).is_err() {
            return Ok(packet(self.cut_short()));
        }
        Ok(packet(self.transport(protocol, flags_offset & 0x2000 != 0, flags_offset & 0x1fff != 0)))
    }

    fn v6(&mut self) -> Result<Inner, Cut> {
        let fixed = *self.rest.first_chunk::<40>().ok_or(Cut)?;
        let [_, _, _, _, len_high, len_low, mut next, _, addresses @ ..] = fixed;
        let (&source, rest) = addresses.split_first_chunk::<16>().ok_or(Cut)?;
        let &destination = rest.first_chunk::<16>().ok_or(Cut)?;
        let packet = |carries| Inner::Packet { source, destination, carries };
        let claimed_bytes = usize::from(u16::from_be_bytes([len_high, len_low]));
        self.header = Header::Nothing;
        // A length of 0 is a jumbogram's (RFC 2675), whose length is in an option.
        if claimed_bytes > 0 {
            self.end_at(plus(claimed_bytes, 40));
        }
        if self.skip(40).is_err() {
            return Ok(packet(self.cut_short()));
        }
        let (mut more, mut later) = (false, false);
        for _ in 0..EXTENSIONS_MAX {
            let Some(&[following, len, high, low, ..]) = self.rest.first_chunk::<8>() else {
                if is_extension(next) {
                    return Ok(packet(self.cut_short()));
                }
                break;
            };
            let bytes = match next {
                number::FRAGMENT => {
                    let flags_offset = u16::from_be_bytes([high, low]);
                    more |= flags_offset & 1 != 0;
                    later |= flags_offset & 0xfff8 != 0;
                    8
                }
                // Stops are ahead: its later addresses are not read.
                number::ROUTING if low != 0 => return Ok(packet(Carries::Unknown)),
                number::ROUTING | number::HOP_BY_HOP | number::DESTINATION => {
                    times(plus(usize::from(len), 1), 8)
                }
                _ => break,
            };
            next = following;
            if later {
                break;
            }
            if self.skip(bytes).is_err() {
                return Ok(packet(self.cut_short()));
            }
        }
        if is_extension(next) && !later {
            return Ok(self.unread());
        }
        Ok(packet(self.transport(next, more, later)))
    }

    /// The payload of an IP packet whose headers have been taken. `more`, `later`: it is a
    /// fragment, and not the first.
    fn transport(&mut self, protocol: u8, more: bool, later: bool) -> Carries {
        let fragment = more || later;
        self.partial |= more;
        let inside = match protocol {
            number::UDP => Header::Udp,
            _ => Header::of_protocol(protocol),
        };
        self.header = if later { Header::Nothing } else { inside };
        match protocol {
            number::TCP | number::UDP if fragment => Carries::Portless { protocol },
            number::TCP | number::UDP => match self.rest.first_chunk::<4>() {
                Some(&[a, b, c, d]) => Carries::Segment {
                    protocol,
                    source_port: u16::from_be_bytes([a, b]),
                    destination_port: u16::from_be_bytes([c, d]),
                },
                None => Carries::Portless { protocol },
            },
            _ if later && is_extension(protocol) => Carries::Unknown,
            _ if fragment && is_protocol(protocol) => Carries::Unknown,
            _ => Carries::Other,
        }
    }
}

const fn is_extension(next: u8) -> bool {
    matches!(next, number::HOP_BY_HOP | number::ROUTING | number::FRAGMENT | number::DESTINATION)
}
