//! Cases that hold, and cases that must fail: a proof that cannot fail proves nothing.

use patch::{Options, Patch};

use super::{Proof, prove};

const HEAD: &str = "patch: p\ntitle: t\nprotocol: ssrp\nscope: { direction: request }\nrules:\n  - when: ssrp.opcode == 0x04\n    truncate: ssrp.instance\n    to: 4\ntests:\n";

fn proof(cases: &str) -> Proof {
    let patch = match Patch::from_yaml("p.yaml", &format!("{HEAD}{cases}")) {
        Ok(patch) => patch,
        Err(found) => panic!("{}", patch::render(&found)),
    };
    prove(&[patch], &Options::default(), |_| ())
}

#[test]
fn datagrams_whole_and_in_fragments() {
    let proof = proof(concat!(
        "  - name: cut\n    request: [\"\\x04\", { repeat: A, times: 4000 }]\n    becomes: \"\\x04AAAA\"\n",
        "  - name: short\n    request: \"\\x04ABC\\0\"\n    unchanged: true\n",
        "  - name: from IPv6\n    peer: 2001:db8::9\n    request: \"\\x04ABCDEFG\"\n    becomes: \"\\x04ABCD\"\n",
    ));
    assert_eq!(proof.diagnostics, []);
    let [long, short, _] = proof.results.as_slice() else { panic!("three cases") };
    assert!(long.passed && short.passed);
    assert_eq!(long.split_points, 500, "4,001 bytes can be split at every eighth, the first at 8");
    assert!(long.split_points_tried < long.split_points && long.split_points_tried >= 64);
    assert_eq!((short.split_points, short.runs), (0, 2), "whole, and twice");
}

#[test]
fn a_wrong_expectation_is_found_and_shown_at_its_place() {
    for (case, what) in [
        (
            "request: \"\\x04ABCDEFG\"\n    unchanged: true",
            "the server gets other bytes from byte 5",
        ),
        ("request: \"\\x04ABCDEFG\"\n    becomes: \"\\x04ABCX\"", "from byte 4"),
        ("request: \"\\x04ABC\"\n    dropped: true", "where none was expected"),
        ("request: \"\\x04ABC\"\n    reply: \"no\"", "where none was expected"),
    ] {
        let proof = proof(&format!("  - name: hopeful\n    {case}\n"));
        let [failed] = proof.diagnostics.as_slice() else { panic!("{case}: {proof:?}") };
        assert!(failed.message.contains(what), "{case}: {}", failed.message);
        assert!(failed.message.starts_with("`hopeful` fails: "), "{}", failed.message);
        assert_eq!((failed.at.file.as_str(), failed.at.line), ("p.yaml", 10));
        assert!(!proof.results[0].passed);
    }
}

/// FTP commands of one connection, and what has to come of them.
fn ftp(rules: &str, cases: &str) -> Proof {
    let text = format!("patch: p\ntitle: t\nprotocol: ftp\nrules:\n{rules}tests:\n{cases}");
    let patch = match Patch::from_yaml("p.yaml", &text) {
        Ok(patch) => patch,
        Err(found) => panic!("{}", patch::render(&found)),
    };
    prove(&[patch], &Options::default(), |_| ())
}

const NEVER: &str =
    "  - when: ftp.request.command == \"XYZZY\"\n    truncate: ftp.request.arg\n    to: 4\n";

#[test]
fn streams_that_no_rule_concerns_arrive_as_they_were_sent() {
    let proof = ftp(
        NEVER,
        concat!(
            "  - name: long\n    request: [\"USER \", { repeat: A, times: 70000 }, \"\\r\\n\"]\n    unchanged: true\n",
            "  - name: both ways\n    conversation:\n      - response: \"220 hello\\r\\n\"\n      - request: \"USER a\\r\\n\"\n      - request: \"PASS b\\r\\n\"\n      - response: \"230 come in\\r\\n\"\n",
            "  - name: over IPv6\n    peer: 2001:db8::9\n    request: \"NOOP\\r\\n\"\n    unchanged: true\n",
        ),
    );
    assert_eq!(proof.diagnostics, []);
    let both = &proof.results[1];
    assert_eq!((both.split_points, both.split_points_tried), (10 + 7 + 7 + 12, 36));
}

#[test]
fn streams_that_differ_from_what_a_case_expects_are_found() {
    for (case, what) in [
        (
            "request: \"USER a\\r\\n\"\n    becomes: \"USER b\\r\\n\"",
            "the server gets other bytes from byte 5 on",
        ),
        (
            "request: \"USER a\\r\\n\"\n    dropped: true",
            "the server gets other bytes from byte 0 on",
        ),
        ("request: \"USER a\\r\\n\"\n    closed: true", "was to be reset and lives on"),
        ("response: \"220 a\\r\\n\"\n    becomes: \"\"", "the client gets other bytes"),
    ] {
        let proof = ftp(NEVER, &format!("  - name: hopeful\n    {case}\n"));
        let [failed] = proof.diagnostics.as_slice() else { panic!("{case}: {proof:?}") };
        assert!(failed.message.contains(what), "{case}: {}", failed.message);
        assert_eq!(proof.results[0].runs, 1, "the first run that goes wrong is the last");
    }
}

#[test]
fn streams_are_edited_alike_however_they_are_cut() {
    let proof = ftp(
        "  - when: ftp.request.command == \"USER\"\n    truncate: ftp.request.arg\n    to: 8\n  - when: ftp.request.command == \"XYZZY\"\n    drop: message\n  - when: ftp.request.command == \"PLUGH\"\n    close: connection\n",
        concat!(
            "  - name: cut\n    request: [\"USER \", { repeat: A, times: 600 }, \"\\r\\nNOOP\\r\\n\"]\n    becomes: \"USER AAAAAAAA\\r\\nNOOP\\r\\n\"\n",
            "  - name: dropped\n    conversation:\n      - request: \"XYZZY\\r\\n\"\n        dropped: true\n      - request: \"NOOP\\r\\n\"\n",
            "  - name: closed\n    conversation:\n      - request: \"NOOP\\r\\n\"\n      - request: \"PLUGH now\\r\\n\"\n        closed: true\n",
        ),
    );
    assert_eq!(proof.diagnostics, []);
    assert!(proof.results.iter().all(|result| result.passed && result.runs > 10), "{proof:?}");
}
