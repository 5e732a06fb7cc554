//! Runs one message through the engine many times, for counting instructions a message:
//!
//! ```text
//! cargo build --release -p engine --example units
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/units dns 1000
//! ```
//!
//! The difference between two counts, divided by the difference of messages, leaves the start of
//! the process out. The rows:
//!
//! - `ssrp`: a datagram that one truncation shortens; `ssrp-10000`: beside 9,999 rules that do not
//!   concern it.
//! - `dns` and `dns-10000`: a query on which nothing fires; `dns-library`: under the library's
//!   rules.
//! - `dns-edns` and `dns-edns-library`: the query as resolvers send it, with an OPT record and a
//!   cookie.
//! - `http`: a request head under 100 rules on header lines, none of which fires, line by line;
//!   `http-whole`: held whole; `http-cut`: with a rule that fires.

use engine::{Conversation, Peer, Scratch};
use plan::{
    Compare, Condition, DirectionRules, FailMode, GroupNo, Hold, Mode, Module, Operand, PatchNo,
    Rule, Test, Transform,
};
use proto::{Decoder, Slot, Transport, Wanted};
use stage::{Direction, InspectContext};

const HEAD: &[u8] = b"GET /index.html?page=12 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: http://www.example.com/start.html\r\nCookie: session=0123456789abcdef; theme=dark\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

const QUERY: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

/// As resolvers send it: with an OPT record that carries a cookie.
const EDNS_QUERY: &[u8] =
    b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x03www\x07example\x03com\0\0\x01\0\x01\
\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08\x01\x02\x03\x04\x05\x06\x07\x08";

/// The library's rules for DNS over UDP.
fn library() -> Option<Module> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../patches/dns");
    let patches = patch::load(&[folder.into()]).ok()?;
    let groups = [patch::Group::everywhere(patches.len())];
    let plan = patch::compile(&patches, &groups, &patch::Options::default()).ok()?;
    plan.modules.into_iter().find(|module| module.transport == Transport::Udp)
}

/// Gathers the rules of one direction.
struct RulesBuilder {
    decoder: &'static dyn Decoder,
    wanted: Wanted,
    rules: Vec<Rule>,
}

impl RulesBuilder {
    fn slot(&mut self, name: &str, key: &str) -> Option<Slot> {
        let (field, _) = self.decoder.protocol().field(name)?;
        Some(if key.is_empty() {
            self.wanted.want(field)
        } else {
            self.wanted.want_key(field, key.as_bytes())
        })
    }

    fn add(&mut self, target: Option<Slot>, when: Condition, transform: Transform) {
        let patch = PatchNo(u16::try_from(self.rules.len()).unwrap_or(0));
        self.rules.push(Rule { patch, target, when, transform });
    }

    fn truncate(&mut self, target: Option<Slot>, to: u32) {
        self.add(target, Condition::Always, Transform::Truncate { to });
    }

    /// Drops messages in which the field is this number.
    fn drop_number(&mut self, slot: Option<Slot>, right: u64) {
        let left = Operand::Field(slot.unwrap_or(0));
        let right = Operand::Constant(right);
        let when = Condition::Test(Test::Number { left, compare: Compare::Equal, right });
        self.add(None, when, Transform::Drop);
    }

    /// The rules of a row.
    fn add_row(&mut self, row: &str) {
        let many = if row.ends_with("-10000") { 9_999 } else { 0 };
        match self.decoder.protocol().name {
            "ssrp" => {
                let instance = self.slot("ssrp.instance", "");
                self.truncate(instance, 32);
                (0..many).for_each(|n| self.truncate(instance, 500 + n));
            }
            "dns" => {
                let (name, kind) = (self.slot("dns.qry.name", ""), self.slot("dns.qry.type", ""));
                self.truncate(name, 250);
                self.drop_number(kind, 255);
                (0..many).for_each(|n| self.drop_number(kind, 1000 + u64::from(n)));
            }
            _ => {
                for n in 0..100 {
                    let header = self.slot("http.header", &format!("x-header-{n}"));
                    self.truncate(header, 64);
                }
                if row == "http-cut" {
                    let cookie = self.slot("http.header", "cookie");
                    self.truncate(cookie, 20);
                }
            }
        }
    }
}

/// The module of a row.
fn module(row: &str) -> Option<Module> {
    if row.ends_with("-library") {
        return library();
    }
    let protocol = row.split('-').next().unwrap_or_default();
    let decoder = proto::by_name(protocol)?;
    let wanted = Wanted::new(decoder.protocol());
    let mut builder = RulesBuilder { decoder, wanted, rules: Vec::new() };
    let mut hold = Hold::Streaming;
    if row == "http-whole" {
        builder.wanted.want_whole();
        hold = Hold::UpTo(16 * 1024);
    }
    builder.add_row(row);
    let RulesBuilder { wanted, rules, .. } = builder;
    let requests = DirectionRules::new(wanted, rules, hold, Vec::new());
    Some(Module {
        group: GroupNo(0),
        decoder,
        transport: if protocol == "http" { Transport::Tcp } else { Transport::Udp },
        ports: Box::default(),
        mode: Mode::Enforce,
        fail: FailMode::Open,
        directions: [requests, DirectionRules::default()],
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let row = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_u32);
    let Some(module) = module(&row) else { return };
    let mut scratch = Scratch::new();
    let mut conversation = Conversation::start(&module);
    let peer = Peer::default();
    let slammer = [&b"\x04"[..], &[b'A'; 64]].concat();
    let datagram = match module.decoder.protocol().name {
        "dns" if row.starts_with("dns-edns") => EDNS_QUERY,
        "dns" => QUERY,
        _ => &slammer,
    };
    let mut edits = 0;
    for _ in 0..count {
        if module.transport == Transport::Tcp {
            let bytes = std::hint::black_box(HEAD);
            let conversation = &mut conversation;
            let (from, context) = (Direction::Request, InspectContext::FRESH);
            engine::stream(&module, from, conversation, bytes, context, &peer, &mut scratch);
        } else {
            let input = std::hint::black_box(datagram);
            engine::datagram(&module, Direction::Request, input, &peer, &mut scratch);
        }
        edits += scratch.edits().list().len();
    }
    std::hint::black_box(edits);
}
