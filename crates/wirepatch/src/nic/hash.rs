//! Which worker a frame belongs to, where no NIC decides it: the same for both directions, and for
//! every fragment.

use wire::Layers;

/// A number that is the same whichever way the frame travels. By addresses only: a fragment has no
/// ports, and must come to the worker of its connection all the same. Frames without IP addresses
/// all get 0.
pub(super) fn symmetric(frame: &[u8]) -> u32 {
    let Ok(layers) = Layers::ethernet(frame) else { return 0 };
    let Some((source, destination)) = layers.addresses(frame) else { return 0 };
    // Addition and exclusive or commute, so swapping the two changes nothing; together they keep
    // more than either alone.
    let mut sum = 0_u64;
    let mut mix = 0_u64;
    for (one, other) in source.chunks_exact(8).zip(destination.chunks_exact(8)) {
        let (one, other) = (word(one), word(other));
        sum = sum.rotate_left(7).wrapping_add(one.wrapping_add(other));
        mix = mix.rotate_left(7) ^ (one ^ other);
    }
    let hash = (sum ^ mix.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(hash >> 32).unwrap_or(0)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Ethernet frame of an IPv4 packet without a transport, from `source` to `destination`.
    fn frame(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![0; 14 + 20];
        frame[12] = 0x08;
        frame[14] = 0x45;
        frame[17] = 20;
        frame[22] = 64;
        frame[23] = 17;
        frame[26..30].copy_from_slice(&source);
        frame[30..34].copy_from_slice(&destination);
        frame
    }

    #[test]
    fn both_directions_meet_and_clients_spread() {
        let mut workers = [0_u32; 4];
        for n in 0..=255 {
            let (client, server) = ([10, 0, 0, n], [192, 0, 2, 1]);
            let there = symmetric(&frame(client, server));
            assert_eq!(there, symmetric(&frame(server, client)));
            workers[there as usize % 4] += 1;
        }
        assert!(workers.iter().all(|&count| count > 30), "{workers:?}");
        assert_eq!(symmetric(b"not a frame"), 0);
    }
}
