//! What becomes of a packet that carries others: MPLS, PPPoE, IP in IP, GRE, VXLAN, GENEVE.
//!
//! Holds:     [`path`], which most frames never come to: none but those of a tunnel's type,
//!            protocol or port.
//! Promises:  while a module is enforced, nothing in its scope travels on inside a tunnel, but
//!            where `tunnels: pass` says so, and then it is counted.
//! Never:     looks into a packet deeper than [`wire::tunnel`] does, or edits one: a segment made
//!            here would need the outer headers of the other way (docs/decisions/0007-tunnels.md).

use plan::{Endpoint, Mode, Module, Plan, TUNNEL_PORTS};
use wire::number;
use wire::tunnel::{Carries, Inner, PORTS, Walk};

use crate::limits::Tunnels;
use crate::packet::Path;
use crate::reasons::Reason;

const _: () = {
    let (mut read, mut named) = (PORTS.as_slice(), TUNNEL_PORTS.as_slice());
    while let ([port, more_read @ ..], [same, more_named @ ..]) = (read, named) {
        assert!(*port == *same, "the prefilter would let a tunnel by");
        (read, named) = (more_read, more_named);
    }
    assert!(read.is_empty() && named.is_empty(), "the prefilter would let a tunnel by");
};

/// Where a packet goes for what it carries; `None`: nothing in it is in scope.
#[cold]
#[inline(never)]
pub(crate) fn path(walk: Walk<'_>, tunnels: Tunnels, plan: &Plan) -> Option<Path> {
    let mut found = None;
    for inner in walk {
        match judge(&inner, plan) {
            Some(Mode::Enforce) if tunnels == Tunnels::Drop => {
                return Some(Path::Drop(Reason::Tunnelled));
            }
            Some(_) => found = Some(Path::Out(Reason::TunnelledPassed)),
            None => {}
        }
    }
    found
}

/// In whose scope a packet inside is: `None` in nobody's, else how strict that is.
fn judge(inner: &Inner, plan: &Plan) -> Option<Mode> {
    let Inner::Packet { source, destination, carries } = *inner else {
        return strictest(plan, |_| true);
    };
    let concerned = |transport| plan.scope.concerns(transport, &source, &destination);
    match carries {
        Carries::Segment { protocol, source_port, destination_port } => {
            let source = Endpoint { address: source, port: source_port };
            let destination = Endpoint { address: destination, port: destination_port };
            let found = plan.scope.find(transport(protocol), &source, &destination)?;
            plan.module(found.module).map(|module| module.mode)
        }
        Carries::Portless { protocol } => {
            let transport = transport(protocol);
            strictest(plan, |module| module.transport == transport && concerned(transport))
        }
        Carries::Unknown => strictest(plan, |module| concerned(module.transport)),
        Carries::Other => None,
    }
}

/// Without a port it cannot be told which of several modules is meant: one that is enforced.
fn strictest(plan: &Plan, mut concerned: impl FnMut(&Module) -> bool) -> Option<Mode> {
    let modes = plan.modules.iter().filter(|module| concerned(module)).map(|module| module.mode);
    modes.reduce(|one, other| if one == Mode::Enforce { one } else { other })
}

const fn transport(protocol: u8) -> proto::Transport {
    match protocol {
        number::TCP => proto::Transport::Tcp,
        _ => proto::Transport::Udp,
    }
}
