//! Decodes one DNS query many times, for counting instructions a message:
//!
//! ```text
//! cargo build --release -p proto --example dns_queries
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!     target/release/examples/dns_queries name 1000
//! ```
//!
//! The difference between two counts, by the difference of messages, leaves the start of the
//! process out.

use proto::{Decoder as _, Fields, View, Wanted};
use stage::Direction;

/// `www.example.com`, type A, with an EDNS OPT record as every resolver sends it.
const QUERY: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x03www\x07example\x03com\0\0\x01\0\x01\
\0\0\x29\x04\xd0\0\0\x80\0\0\0";

/// The same without it.
const PLAIN: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let set = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_u32);
    let query = if arguments.next().is_some() { QUERY } else { PLAIN };
    let protocol = proto::dns::Dns.protocol();
    let names: Vec<&str> = match set.as_str() {
        "none" => vec![],
        "type" => vec!["dns.qry.type"],
        "name" => vec!["dns.qry.name"],
        "question" => {
            vec![
                "dns.qry.name",
                "dns.qry.name.len",
                "dns.count.labels",
                "dns.qry.type",
                "dns.qry.class",
            ]
        }
        "query" => {
            let header = |name: &&str| {
                ["dns.id", "dns.flags", "dns.count.", "dns.qry."]
                    .iter()
                    .any(|one| name.starts_with(one))
            };
            protocol.fields.iter().map(|field| field.name).filter(header).collect()
        }
        _ => protocol.fields.iter().map(|field| field.name).collect(),
    };
    let mut wanted = Wanted::new(protocol);
    for (id, _) in names.iter().filter_map(|name| protocol.field(name)) {
        wanted.want(id);
    }
    let mut fields = Fields::new();
    let mut found = 0;
    for _ in 0..count {
        fields.clear();
        let input = std::hint::black_box(query);
        let view = View { input, from: Direction::Request, open: false, ended: true };
        let _ = proto::dns::Dns.datagram(&wanted, view, &mut fields);
        found += fields.items().len();
    }
    std::process::exit(i32::from(found == usize::MAX));
}
