//! Captures in, captures out, through net_pcap.

use crate::{Test, pool};
use capsule::{Eal, Port, PortConfig};
use std::{env, fs, path::PathBuf, process};

pub(crate) const TESTS: &[Test] = &[
    ("pcaps::frames_come_out_as_they_went_in", frames_come_out_as_they_went_in),
    ("pcaps::a_frame_longer_than_a_buffer_is_counted", a_frame_longer_than_a_buffer_is_counted),
];

/// A folder that goes when the test does.
struct PcapFolder(PathBuf);

impl PcapFolder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("capsule-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for PcapFolder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A capture file: microseconds, little-endian, Ethernet.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let words = |file: &mut Vec<u8>, words: &[u32]| {
        words.iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    };
    words(&mut file, &[0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1]);
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        words(&mut file, &[1, 0, len, len]);
        file.extend_from_slice(frame);
    }
    file
}

fn frames_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap());
        let (frame, after) = after.split_at(usize::try_from(len).unwrap());
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

/// Frames of many lengths, and bytes that tell which and where.
fn frames() -> Vec<Vec<u8>> {
    let frame =
        |len: usize| (0..len).map(|at| u8::try_from((at * 7 + len) % 251).unwrap()).collect();
    [14, 60, 61, 64, 65, 128, 1000, 1513, 1514, 1518, 1522, 2048].map(frame).to_vec()
}

fn frames_come_out_as_they_went_in(eal: &Eal) {
    let folder = PcapFolder::new("in-out");
    let (input, output) = (folder.0.join("in.pcap"), folder.0.join("out.pcap"));
    let want: Vec<Vec<u8>> = core::iter::repeat_n(frames(), 20).flatten().collect();
    fs::write(&input, pcap(&want)).unwrap();

    let pool = pool(eal, "pcap");
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let mut port = Port::probe(eal, &device).unwrap();
    let mut started = port.start(&PortConfig::default(), &pool).unwrap();
    let mut burst = Vec::with_capacity(32);
    let mut seen = 0;
    while started.rx[0].receive(&mut burst, 32) > 0 {
        for frame in &burst {
            assert_eq!(frame.bytes(), want[seen], "frame {seen}");
            seen += 1;
        }
        started.tx[0].transmit(&mut burst);
        assert!(burst.is_empty());
    }
    assert_eq!(seen, want.len());
    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_packets, stats.tx_packets), (240, 240));
    // The driver writes the file out when the port is stopped.
    drop((port, started));
    assert_eq!(frames_of(&fs::read(&output).unwrap()), want);
    assert_eq!(pool.in_use(), 0);
}

fn a_frame_longer_than_a_buffer_is_counted(eal: &Eal) {
    let folder = PcapFolder::new("long");
    let input = folder.0.join("in.pcap");
    fs::write(&input, pcap(&[vec![1; 60], vec![2; 2049], vec![3; 60], vec![4; 9000], vec![5; 60]]))
        .unwrap();

    let pool = pool(eal, "long");
    let mut port = Port::probe(eal, &format!("net_pcap0,rx_pcap={}", input.display())).unwrap();
    let mut started = port.start(&PortConfig::default(), &pool).unwrap();
    let mut burst = Vec::with_capacity(32);
    while started.rx[0].receive(&mut burst, 32) > 0 {}
    assert_eq!(burst.iter().map(|frame| frame.bytes()[0]).collect::<Vec<u8>>(), [1, 3, 5]);
    assert_eq!(started.rx[0].dropped_multi_segment(), 2);
    drop(burst);
    assert_eq!(pool.in_use(), 0);
}
