//! Keys whose value is text of a form: devices, addresses, file permissions.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::keys::{KeyKind, KeyType, Malformed, TextForm};

/// A DPDK device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PortDevice {
    /// `0000:3b:00.0`
    Pci(String),
    /// `net_tap0,iface=lan`
    Virtual(String),
}

impl PortDevice {
    /// As DPDK names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Pci(name) | Self::Virtual(name) => name,
        }
    }
}

impl Default for PortDevice {
    fn default() -> Self {
        Self::Virtual(String::new())
    }
}

impl From<PortDevice> for String {
    fn from(device: PortDevice) -> Self {
        device.name().to_owned()
    }
}

impl TryFrom<String> for PortDevice {
    type Error = Malformed;

    /// PCI addresses are `domain:bus:device.function` in hexadecimal. Virtual devices begin with
    /// their driver's name.
    fn try_from(text: String) -> Result<Self, Malformed> {
        let name = text.trim();
        if is_pci_address(name) {
            return Ok(Self::Pci(name.to_ascii_lowercase()));
        }
        if ["net_", "eth_", "virtio_user"].iter().any(|driver| name.starts_with(driver)) {
            return Ok(Self::Virtual(name.to_owned()));
        }
        Err(Malformed {
            message: format!("`{name}` is neither a PCI address nor a DPDK virtual device"),
            help: "write a PCI address (`0000:3b:00.0`, see `lspci -D`) or a virtual device \
                   (`net_tap0,iface=lan`, `net_af_packet0,iface=eth1`, `net_af_xdp0,iface=eth1`)"
                .to_owned(),
        })
    }
}

impl KeyType for PortDevice {
    const KIND: KeyKind = KeyKind::Form(TextForm {
        name: "a PCI address (`0000:3b:00.0`) or a DPDK virtual device (`net_tap0,iface=lan`)",
        check: |text| Self::try_from(text.to_owned()).map(drop),
    });
}

fn is_pci_address(text: &str) -> bool {
    let Some((rest, function)) = text.rsplit_once('.') else { return false };
    let parts: Vec<&str> = rest.split(':').collect();
    let hex = |part: &str, width: usize| {
        part.len() == width && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let function =
        function.len() == 1 && function.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    function
        && match parts.as_slice() {
            [domain, bus, device] => hex(domain, 4) && hex(bus, 2) && hex(device, 2),
            [bus, device] => hex(bus, 2) && hex(device, 2),
            _ => false,
        }
}

/// An address, or all addresses that begin alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressPrefix {
    /// IPv6, or IPv4-mapped (RFC 4291 section 2.5.5.2).
    pub bytes: [u8; 16],
    /// Length of 128: `10.0.0.0/8` is 104 bits long.
    pub bits: u8,
    /// As written.
    text: String,
}

impl From<AddressPrefix> for String {
    fn from(prefix: AddressPrefix) -> Self {
        prefix.text
    }
}

impl TryFrom<String> for AddressPrefix {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let refuse = |message, help: &str| Err(Malformed { message, help: help.to_owned() });
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text.as_str(), None),
        };
        let Ok(address) = address.trim().parse::<IpAddr>() else {
            return refuse(
                format!("`{text}` is no address or prefix"),
                "write `192.0.2.10`, `192.0.2.0/24`, `2001:db8::10` or `2001:db8::/64`",
            );
        };
        let (bytes, width) = match address {
            IpAddr::V4(v4) => (Ipv4Addr::to_ipv6_mapped(&v4).octets(), 32_u8),
            IpAddr::V6(v6) => (v6.octets(), 128_u8),
        };
        let bits = match length.map(str::parse::<u8>) {
            None => width,
            Some(Ok(bits)) if bits <= width => bits,
            Some(_) => {
                return refuse(
                    format!("a prefix of this address is at most {width} bits long"),
                    "write `/24` behind an IPv4 address, `/64` behind an IPv6 address",
                );
            }
        };
        let bits = bits.saturating_add(128_u8.saturating_sub(width));
        let whole = u128::from_be_bytes(bytes);
        let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(bits))).unwrap_or(0);
        if whole & !mask != 0 {
            return refuse(
                format!("`{text}` has bits set behind the prefix"),
                "write the network's own address, or leave the length off for a single server",
            );
        }
        Ok(Self { bytes, bits, text })
    }
}

impl KeyType for AddressPrefix {
    const KIND: KeyKind = KeyKind::Form(TextForm {
        name: "an address (`192.0.2.10`) or a prefix (`2001:db8::/64`)",
        check: |text| Self::try_from(text.to_owned()).map(drop),
    });
}

/// Permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePermissions(pub u32);

impl From<FilePermissions> for String {
    fn from(permissions: FilePermissions) -> Self {
        format!("{:04o}", permissions.0)
    }
}

impl TryFrom<String> for FilePermissions {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        u32::from_str_radix(text.trim_start_matches("0o"), 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| Malformed {
                message: format!("`{text}` are no file permissions"),
                help: "write octal digits, as in `\"0660\"`: owner and group may talk to the \
                       appliance"
                    .to_owned(),
            })
    }
}

impl KeyType for FilePermissions {
    const KIND: KeyKind = KeyKind::Form(TextForm {
        name: "octal digits in quotes",
        check: |text| Self::try_from(text.to_owned()).map(drop),
    });
}
