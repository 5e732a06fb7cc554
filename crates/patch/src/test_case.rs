//! Test cases as `wirepatch test` runs them. This file only reads them; the pipeline runs them.

use std::net::IpAddr;

use proto::Transport;
use stage::Direction;

use crate::bytes::ByteString;
use crate::diagnostic::{Diagnostic, Place, SourceFile};
use crate::file::{StepFile, TestFile, TransportName};

/// One case: messages of one connection (or between one pair of ports), in order, and the expected
/// result of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// The behaviour that it shows.
    pub name: String,
    /// Where its name is, for a diagnostic when it fails.
    pub place: Place,
    /// Its transport.
    pub transport: Transport,
    /// The server's port: the patch's first.
    pub port: u16,
    /// The client's address, if the case needs a certain one.
    pub peer: Option<IpAddr>,
    /// At least one.
    pub steps: Vec<TestStep>,
}

/// One message (or run of bytes of a stream) in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestStep {
    /// Whose.
    pub direction: Direction,
    /// The bytes sent.
    pub input: Vec<u8>,
    /// The result that it must have.
    pub expect: Expect,
}

/// The result that a step must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// These bytes arrive.
    Becomes(Vec<u8>),
    /// The same bytes arrive.
    Unchanged,
    /// Nothing arrives.
    Dropped,
    /// The connection is reset; a datagram does not arrive.
    Closed,
    /// Bytes go back to the sender.
    Reply(ExpectedReply),
}

/// An answer that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedReply {
    /// These bytes.
    pub reply: Vec<u8>,
    /// The bytes that still arrive at the other end: none, unless only a part of the step is
    /// answered.
    pub becomes: Vec<u8>,
    /// The connection ends with it.
    pub ends: bool,
}

/// The patch that a case belongs to.
pub(crate) struct CaseContext<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) scope: &'a [(Transport, Vec<u16>)],
}

/// A mistake, and a help.
type CaseMistake = (&'static str, &'static str);

impl TestCase {
    pub(crate) fn read(
        test: &TestFile,
        context: &CaseContext<'_>,
    ) -> Result<Self, Box<Diagnostic>> {
        let place = test.name.place;
        let wrong = |place: Place, (message, help): CaseMistake| {
            Box::new(Diagnostic::new(context.file, place, message).help(help))
        };
        let Some((transport, ports)) = carrier(test, context.scope) else {
            let complaint = (
                "this case runs on a transport the patch does not cover",
                "leave `transport` out, or widen the patch's scope",
            );
            return Err(wrong(place, complaint));
        };
        let peer = match &test.peer {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                wrong(text.place, ("this is no IP address", "write an IPv4 or IPv6 address"))
            })?),
        };
        let steps = steps(test).map_err(|complaint| wrong(place, complaint))?;
        let steps: Result<_, _> = steps.into_iter().map(TestStep::read).collect();
        Ok(Self {
            name: test.name.value.clone(),
            place,
            transport: *transport,
            port: ports.first().copied().unwrap_or_default(),
            peer,
            steps: steps.map_err(|complaint| wrong(place, complaint))?,
        })
    }
}

/// The transport of the case, and the patch's ports there.
fn carrier<'s>(
    test: &TestFile,
    scope: &'s [(Transport, Vec<u16>)],
) -> Option<&'s (Transport, Vec<u16>)> {
    let wanted = test.transport.map(|name| match name {
        TransportName::Tcp => Transport::Tcp,
        TransportName::Udp => Transport::Udp,
    });
    let preferred = wanted.unwrap_or(Transport::Udp);
    scope
        .iter()
        .find(|(transport, _)| *transport == preferred)
        .or_else(|| scope.first().filter(|_| wanted.is_none()))
}

/// The steps of the conversation; the message of the case itself is one.
fn steps(test: &TestFile) -> Result<Vec<StepFile>, CaseMistake> {
    let own = StepFile {
        request: test.request.clone(),
        response: test.response.clone(),
        becomes: test.becomes.clone(),
        unchanged: test.unchanged,
        dropped: test.dropped,
        closed: test.closed,
        reply: test.reply.clone(),
    };
    let has_own = own.request.is_some() || own.response.is_some() || expectations(&own) > 0;
    match (has_own, test.conversation.0.as_slice()) {
        (true, []) if expectations(&own) == 0 => Err((
            "this case expects nothing",
            "add one of `becomes`, `unchanged: true`, `dropped: true`, `closed: true`, `reply`",
        )),
        (true, []) => Ok(vec![own]),
        (false, [_, ..]) => Ok(test.conversation.0.clone()),
        (true, [_, ..]) => Err((
            "this case has both a message of its own and a `conversation`",
            "move the message into the conversation as a step",
        )),
        (false, []) => {
            Err(("this case sends nothing", "add `request`, `response` or a `conversation`"))
        }
    }
}

fn expectations(step: &StepFile) -> usize {
    // With a reply, a part of the step may go on, and the connection may end.
    let alone = step.reply.is_none();
    let closed = step.closed && alone;
    let becomes = step.becomes.is_some() && alone;
    [becomes, step.unchanged, step.dropped, closed, step.reply.is_some()]
        .into_iter()
        .filter(|&given| given)
        .count()
}

impl TestStep {
    fn read(step: StepFile) -> Result<Self, CaseMistake> {
        if expectations(&step) > 1 {
            return Err((
                "a message is expected to do one thing",
                "keep one of `becomes`, `unchanged`, `dropped`, `closed`, `reply`",
            ));
        }
        let (direction, ByteString(input)) = match (step.request, step.response) {
            (Some(input), None) => (Direction::Request, input),
            (None, Some(input)) => (Direction::Response, input),
            (Some(_), Some(_)) => {
                return Err((
                    "a step goes one way, and this has `request` and `response`",
                    "write a `conversation` of two steps",
                ));
            }
            (None, None) => return Err(("a step sends nothing", "add `request` or `response`")),
        };
        let expect = match (step.becomes, step.reply) {
            (becomes, Some(ByteString(reply))) => {
                let becomes = becomes.map(|ByteString(bytes)| bytes).unwrap_or_default();
                Expect::Reply(ExpectedReply { reply, becomes, ends: step.closed })
            }
            (Some(ByteString(bytes)), None) => Expect::Becomes(bytes),
            _ if step.dropped => Expect::Dropped,
            _ if step.closed => Expect::Closed,
            _ => Expect::Unchanged,
        };
        Ok(Self { direction, input, expect })
    }
}
