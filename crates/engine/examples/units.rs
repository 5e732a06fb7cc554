//! Runs one message through the engine many times, for counting instructions a message:
//!
//! ```text
//! cargo build --release -p engine --example units
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/units dns 1000
//! ```
//!
//! The difference between two counts, by the difference of messages, leaves the start of the process out. `ssrp` is a
//! datagram that one truncation shortens, `ssrp-10000` the same beside 9,999 rules that do not concern it, `dns` and
//! `dns-10000` a query that nothing fires on, `dns-library` the same query and the library's DNS rules, `dns-edns-library` the
//! query as resolvers send it (with an OPT record and a cookie), `dns-edns` it and the two rules of `dns`, `http` a request head with 100 keyed rules none of which fires, line by line,
//! `http-whole` the same held whole, `http-cut` with one that does.

use engine::{Conversation, Peer, Scratch};
use plan::{
    Compare, Condition, DirectionRules, FailMode, GroupNo, Hold, Mode, Module, Operand, PatchNo,
    Rule, Test, Transform,
};
use proto::{Slot, Transport, Wanted};
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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_u32);
    let many = if what.ends_with("-10000") { 9_999 } else { 0 };
    let protocol = what.split('-').next().unwrap_or_default();
    let Some(decoder) = proto::by_name(protocol) else { return };
    let mut wanted = Wanted::new(decoder.protocol());
    if what == "http-whole" {
        wanted.want_whole();
    }
    let mut rules = Vec::new();
    let mut add = |target: Option<Slot>, when, transform| {
        let patch = PatchNo(u16::try_from(rules.len()).unwrap_or(0));
        rules.push(Rule { patch, target, when, transform });
    };
    let mut slot = |name: &str, key: &str| {
        let field = decoder.protocol().field(name).map(|(id, _)| id)?;
        Some(if key.is_empty() {
            wanted.want(field)
        } else {
            wanted.want_key(field, key.as_bytes())
        })
    };
    let number = |slot: Option<Slot>, right: u64| {
        let left = Operand::Field(slot.unwrap_or(0));
        let right = Operand::Constant(right);
        Condition::Test(Test::Number { left, compare: Compare::Equal, right })
    };
    match protocol {
        "ssrp" => {
            let instance = slot("ssrp.instance", "");
            add(instance, Condition::Always, Transform::Truncate { to: 32 });
            for n in 0..many {
                add(instance, Condition::Always, Transform::Truncate { to: 500 + n });
            }
        }
        "dns" => {
            let (name, kind) = (slot("dns.qry.name", ""), slot("dns.qry.type", ""));
            add(name, Condition::Always, Transform::Truncate { to: 250 });
            add(None, number(kind, 255), Transform::Drop);
            for n in 0..many {
                add(None, number(kind, 1000 + u64::from(n)), Transform::Drop);
            }
        }
        _ => {
            for n in 0..100 {
                let header = slot("http.header", &format!("x-header-{n}"));
                add(header, Condition::Always, Transform::Truncate { to: 64 });
            }
            if what == "http-cut" {
                let cookie = slot("http.header", "cookie");
                add(cookie, Condition::Always, Transform::Truncate { to: 20 });
            }
        }
    }
    let hold = if what == "http-whole" { Hold::UpTo(16 * 1024) } else { Hold::Streaming };
    let stream = protocol == "http";
    let made = Module {
        group: GroupNo(0),
        decoder,
        transport: if stream { Transport::Tcp } else { Transport::Udp },
        ports: Box::default(),
        mode: Mode::Enforce,
        fail: FailMode::Open,
        directions: [
            DirectionRules::new(wanted, rules, hold, Vec::new()),
            DirectionRules::default(),
        ],
    };
    let module = if what.ends_with("-library") { library().unwrap_or(made) } else { made };
    let mut scratch = Scratch::new();
    let mut conversation = Conversation::start(&module);
    let peer = Peer::default();
    let slammer = [&b"\x04"[..], &[b'A'; 64]].concat();
    let datagram = match protocol {
        "dns" if what.starts_with("dns-edns") => EDNS_QUERY,
        "dns" => QUERY,
        _ => &slammer,
    };
    let mut edits = 0;
    for _ in 0..count {
        if stream {
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
