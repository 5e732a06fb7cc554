//! TCP options changed in place: timestamps and SACK blocks.

use wire::options::TcpOption;

/// The options with another timestamp, as a stack stamps a segment that it sends again.
pub(super) fn stamped(options: &[u8], stamp: u32) -> Vec<u8> {
    const TIMESTAMPS: u8 = 8;
    let mut bytes = options.to_vec();
    let mut at = 0;
    while let Some(&kind) = bytes.get(at) {
        match (kind, bytes.get(at + 1)) {
            (0, _) | (2.., None) => break,
            (1, _) => at += 1,
            (TIMESTAMPS, _) => {
                if let Some(value) = bytes.get_mut(at + 2..at + 6) {
                    value.copy_from_slice(&stamp.to_be_bytes());
                }
                break;
            }
            (_, Some(&len)) => at += usize::from(len).max(2),
        }
    }
    bytes
}

/// SACK blocks moved by `shift`, with their offsets among the options.
pub(super) fn shifted_blocks(tcp: &wire::Tcp<'_>, shift: u32) -> Vec<(usize, Vec<u8>)> {
    let mut found = Vec::new();
    for option in tcp.options() {
        if let TcpOption::Sack { at, blocks } = option {
            let bytes = tcp.option_bytes().get(at..at + 8 * blocks).unwrap_or_default();
            let moved = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|edge| u32::from_be_bytes(*edge).wrapping_add(shift).to_be_bytes());
            found.push((at, moved.collect()));
        }
    }
    found
}
