//! Patch sets that differ in nothing but how many patches they have.

use super::traffic::TrafficKind;

/// Patches of the large set.
pub const MANY_PATCHES: usize = 10_000;

/// Patch files, name and text.
pub type PatchFiles = Vec<(String, String)>;

impl TrafficKind {
    /// One patch with a rule of each form, and [`MANY_PATCHES`] of one rule: both read the same
    /// fields in the same ways. No rule fires on this kind's messages. `None` for kinds that are
    /// not measured so.
    pub fn one_and_many(self) -> Option<(PatchFiles, PatchFiles)> {
        match self {
            Self::Dns => Some(one_and_many(
                "protocol: dns\nscope: { transport: udp }",
                dns_test,
                "drop: message",
            )),
            Self::HttpRequests => Some(one_and_many(
                "protocol: http\nscope: { direction: request }",
                http_test,
                "truncate: http.request.uri\n    to: 64",
            )),
            Self::UdpOutOfScope
            | Self::UdpHalf
            | Self::DnsEdited
            | Self::HttpResponses
            | Self::TcpAcks
            | Self::TcpAcksFew
            | Self::TcpAcksMany => None,
        }
    }
}

fn dns_test(at: usize) -> String {
    match at % 3 {
        0 => format!("dns.qry.name == \"host-{at}.bench.example\""),
        1 => format!("dns.qry.name ends_with \".bench-{at}.example\""),
        _ => format!("dns.qry.type == 16 and dns.qry.name contains \"bench-{at}\""),
    }
}

fn http_test(at: usize) -> String {
    match at % 3 {
        0 => format!("http.request.uri contains \"/bench-{at}/\""),
        1 => format!("http.user_agent contains \"bench-{at}\""),
        _ => format!(
            "http.request.method == \"POST\" and http.request.uri contains \"bench{at}.cgi\""
        ),
    }
}

fn one_and_many(
    scope: &str,
    test: impl Fn(usize) -> String,
    does: &str,
) -> (PatchFiles, PatchFiles) {
    let patch = |name: usize, tests: &[usize]| {
        let rules: String =
            tests.iter().map(|&at| format!("  - when: {}\n    {does}\n", test(at))).collect();
        let file = format!("bench-{name}");
        (file, format!("patch: bench-{name}\ntitle: one of many\n{scope}\nrules:\n{rules}"))
    };
    (vec![patch(0, &[0, 1, 2])], (0..MANY_PATCHES).map(|at| patch(at, &[at])).collect())
}
