//! What people write: patches, and lines on the control socket.

use control::protocol::{Request, Response};
use patch::{Diagnostic, Group, Options, Patch, compile, explain, render};

/// A patch is read and compiled, or refused with a place in its own text.
pub(crate) fn patch(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let patch = match Patch::from_yaml("input.yaml", text) {
        Ok(patch) => patch,
        Err(found) => return refused(text, &found),
    };
    let patches = [patch];
    match compile(&patches, &[Group::everywhere(1)], &Options::default()) {
        Ok(plan) => {
            assert!(!plan.modules.is_empty(), "a patch that compiles has a module");
            let _ = explain(&plan);
        }
        Err(found) => refused(text, &found),
    }
}

fn refused(text: &str, found: &[Diagnostic]) {
    assert!(!found.is_empty(), "refused without a reason");
    for diagnostic in found {
        assert!(!diagnostic.message.is_empty(), "{diagnostic:?} says nothing");
        let at = &diagnostic.at;
        assert_eq!(at.file, "input.yaml", "{diagnostic:?} is about another file");
        let line = text.split('\n').nth(at.line.wrapping_sub(1));
        let line = line.map(|line| line.trim_end_matches('\r'));
        assert_eq!(line, Some(at.source_line.as_str()), "{diagnostic:?} has no such line");
        assert!(at.column >= 1 && at.width >= 1, "{diagnostic:?} has no place");
    }
    assert!(!render(found).is_empty(), "nothing is shown");
}

/// A line on the control socket is a request that says the same when written again, or it is
/// refused.
pub(crate) fn control(input: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(input) {
        let written = serde_json::to_string(&request);
        assert!(written.is_ok(), "{request:?} cannot be written");
        let read = serde_json::from_str::<Request>(&written.unwrap_or_default());
        assert_eq!(read.ok().as_ref(), Some(&request), "written and read again");
    }
    // And what the appliance answers, as `wirepatch ctl` reads it.
    if let Ok(response) = serde_json::from_slice::<Response>(input) {
        assert!(serde_json::to_string(&response).is_ok(), "{response:?} cannot be written");
    }
}
