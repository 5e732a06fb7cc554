//! Capture files.

use std::sync::Arc;

use datapath::{Core, CoreConfig, CoreCounters, Limits};
use offline::pcap::{Capture, CaptureItem, replay};
use plan::{Plan, Subscriber};

use crate::library::{Shelf, library, shelf};

/// Any bytes are a capture, or none: the items are all of the file, in order, and a replay that
/// changes nothing is the file.
pub(crate) fn pcap(input: &[u8]) {
    let mut end = 0;
    for item in Capture::new(input) {
        let range = match item {
            CaptureItem::Verbatim(range) | CaptureItem::Section { range, .. } => range,
            CaptureItem::Packet(record) => {
                let inside = record.range.start <= record.data.start
                    && record.data.start <= record.data.end
                    && record.data.end <= record.range.end;
                assert!(inside, "{record:?}");
                record.range
            }
        };
        assert_eq!(range.start, end, "items follow each other");
        assert!(range.end > range.start, "an item has bytes");
        end = range.end;
    }
    assert_eq!(end, input.len(), "the items are the file");
    let quiet = replay(input, &mut core(&shelf(Plan::default())), |_| ());
    assert!(quiet.output == input, "a replay without patches is the file");
    let patched = replay(input, &mut core(&library()), |_| ());
    let again = Capture::new(&patched.output).filter(|item| matches!(item, CaptureItem::Packet(_)));
    let out = u64::try_from(again.count()).unwrap_or(u64::MAX);
    let report = patched.report;
    let expected = report.packets - report.left_out + report.inserted;
    assert_eq!(out, expected, "{report:?}");
}

fn core<F: datapath::Frame>(shelf: &Shelf) -> Core<F> {
    let limits = Limits { flows_max: 64, blocks_max: 256, ..Limits::default() };
    let config = CoreConfig { limits, ..CoreConfig::default() };
    Core::new(config, Subscriber::new(Arc::clone(shelf)), Arc::new(CoreCounters::default()))
}
