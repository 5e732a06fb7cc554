use super::table::{
    ALPN, COMP_METHOD, COMP_METHODS_LENGTH, EXTENSION_LEN, EXTENSION_TYPE, EXTENSIONS_LENGTH,
    LENGTH, RANDOM, SERVER_NAME, SESSION_ID, SUITE, SUITES_LENGTH, SUPPORTED_GROUP,
    SUPPORTED_VERSION,
};
use super::*;
use crate::corpus::all_survive;
use crate::replay::{ReplayCuts, check_held, check_ids, noise, replay, survives};
use stage::Direction::{Request, Response};

#[test]
fn the_table_and_its_numbers_agree() {
    check_ids(
        &Tls,
        &[
            (CONTENT_TYPE, "tls.record.content_type"),
            (RECORD_VERSION, "tls.record.version"),
            (RECORD_LENGTH, "tls.record.length"),
            (ALERT_LEVEL, "tls.alert_message.level"),
            (ALERT_DESC, "tls.alert_message.desc"),
            (HEARTBEAT_TYPE, "tls.heartbeat_message.type"),
            (HEARTBEAT_LENGTH, "tls.heartbeat_message.payload_length"),
            (TYPE, "tls.handshake.type"),
            (LENGTH, "tls.handshake.length"),
            (VERSION, "tls.handshake.version"),
            (RANDOM, "tls.handshake.random"),
            (SESSION_ID_LENGTH, "tls.handshake.session_id_length"),
            (SESSION_ID, "tls.handshake.session_id"),
            (SUITES_LENGTH, "tls.handshake.cipher_suites_length"),
            (SUITE, "tls.handshake.ciphersuite"),
            (COMP_METHODS_LENGTH, "tls.handshake.comp_methods_length"),
            (COMP_METHOD, "tls.handshake.comp_method"),
            (EXTENSIONS_LENGTH, "tls.handshake.extensions_length"),
            (EXTENSION_TYPE, "tls.handshake.extension.type"),
            (EXTENSION_LEN, "tls.handshake.extension.len"),
            (SERVER_NAME, "tls.handshake.extensions_server_name"),
            (ALPN, "tls.handshake.extensions_alpn_str"),
            (SUPPORTED_GROUP, "tls.handshake.extensions_supported_group"),
            (SUPPORTED_VERSION, "tls.handshake.extensions.supported_version"),
            (CIPHER_SPEC_LEN, "tls.handshake.cipher_spec_len"),
        ],
    );
    assert_eq!(REFUSALS.len(), PROTOCOL.refusals.len());
}

fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 1][..], &length, payload].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

fn client_hello() -> Vec<u8> {
    message(
        1,
        &[
            &b"\x03\x03"[..],
            &[b'r'; 32],
            b"\x03sid\x00\x04\x13\x01\xc0\x2f\x01\x00\x00\x2f",
            b"\x00\x00\x00\x08\x00\x06\x00\x00\x03a.b",
            b"\x00\x0a\x00\x06\x00\x04\x00\x1d\x00\x17",
            b"\x00\x10\x00\x06\x00\x04\x02h2\x00",
            b"\x00\x2b\x00\x03\x02\x03\x04",
            b"\x00\x0f\x00\x04\xff\xff\xff\xff",
        ]
        .concat(),
    )
}

const HELLO: &[&str] = &[
    "tls.handshake.type",
    "tls.handshake.length",
    "tls.handshake.version",
    "tls.handshake.session_id",
    "tls.handshake.cipher_suites_length",
    "tls.handshake.ciphersuite",
    "tls.handshake.comp_methods_length",
    "tls.handshake.comp_method",
    "tls.handshake.extensions_length",
    "tls.handshake.extension.type",
    "tls.handshake.extension.len",
    "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_alpn_str",
    "tls.handshake.extensions_supported_group",
    "tls.handshake.extensions.supported_version",
];

const HELLO_FIELDS: &[&str] = &[
    ">tls.handshake.type=1",
    ">tls.handshake.length=95",
    ">tls.handshake.version=771",
    ">tls.handshake.session_id=sid",
    ">tls.handshake.cipher_suites_length=4",
    ">tls.handshake.ciphersuite=4865",
    ">tls.handshake.ciphersuite=49199",
    ">tls.handshake.comp_methods_length=1",
    ">tls.handshake.comp_method=0",
    ">tls.handshake.extensions_length=47",
    ">tls.handshake.extension.type=0",
    ">tls.handshake.extension.len=8",
    ">tls.handshake.extensions_server_name=a.b",
    ">tls.handshake.extension.type=10",
    ">tls.handshake.extension.len=6",
    ">tls.handshake.extensions_supported_group=29",
    ">tls.handshake.extensions_supported_group=23",
    ">tls.handshake.extension.type=16",
    ">tls.handshake.extension.len=6",
    ">tls.handshake.extensions_alpn_str=h2",
    ">tls.handshake.extensions_alpn_str=",
    ">tls.handshake.extension.type=43",
    ">tls.handshake.extension.len=3",
    ">tls.handshake.extensions.supported_version=772",
    ">tls.handshake.extension.type=15",
    ">tls.handshake.extension.len=4",
];

#[test]
fn a_client_hello() {
    check_held(&Tls, HELLO, &[(Request, &record(22, &client_hello()))], HELLO_FIELDS);
}

#[test]
fn a_client_hello_spread_over_records_yields_the_same() {
    for payload_bytes in [1, 2, 3, 7, 50, 99] {
        let records: Vec<u8> =
            client_hello().chunks(payload_bytes).flat_map(|part| record(22, part)).collect();
        check_held(&Tls, HELLO, &[(Request, &records)], HELLO_FIELDS);
    }
}

#[test]
fn extensions_are_elements_of_their_own() {
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(EXTENSION_TYPE);
    wanted.want(SERVER_NAME);
    let mut fields = Fields::new();
    let input = record(22, &client_hello());
    let view = View { input: &input, from: Request, open: false, ended: false };
    let step = Tls.stream(&wanted, &mut TlsState::default(), view, &mut fields);
    assert_eq!(step, Step::Unit { bytes: input.len(), first: true, last: true });
    let groups: Vec<_> = fields.items().iter().map(|field| field.group).collect();
    assert_eq!(groups, [1, 1, 2, 3, 4, 5]);
    let element = fields.items()[0].element.of(&input);
    assert_eq!(element, b"\x00\x00\x00\x08\x00\x06\x00\x00\x03a.b");
    assert!(fields.items().iter().all(|field| field.flags.has(Flags::MAC_COVERED)));
}

#[test]
fn a_length_that_reaches_too_far_ends_the_hello_there() {
    let mut hello = client_hello();
    hello[4 + 2 + 32] = 200;
    check_held(
        &Tls,
        HELLO,
        &[(Request, &record(22, &hello))],
        &[">tls.handshake.type=1", ">tls.handshake.length=95", ">tls.handshake.version=771"],
    );
}

/// CVE-2014-0160: the claim is behind what the record holds.
#[test]
fn a_heartbeat_in_clear() {
    let names = &[
        "tls.record.content_type",
        "tls.record.length",
        "tls.heartbeat_message.type",
        "tls.heartbeat_message.payload_length",
    ];
    check_held(
        &Tls,
        names,
        &[(Request, b"\x18\x03\x02\x00\x03\x01\x40\x00\x18\x03\x02\x00\x01\x01")],
        &[
            ">tls.record.content_type=24",
            ">tls.record.length=3",
            ">tls.heartbeat_message.type=1",
            ">tls.heartbeat_message.payload_length=16384",
            ">tls.record.content_type=24",
            ">tls.record.length=1",
            ">tls.heartbeat_message.type=1",
        ],
    );
}

#[test]
fn a_servers_flight() {
    let body = b"\x00\xc0\x2f\x00\x00\x06\x00\x2b\x00\x02\x03\x04";
    let hello = message(2, &[&b"\x03\x03"[..], &[b'r'; 32], body].concat());
    let certificate = message(11, &[b'c'; 300]);
    let flight = [hello, certificate, message(14, b"")].concat();
    let records: Vec<u8> = flight.chunks(120).flat_map(|part| record(22, part)).collect();
    check_held(
        &Tls,
        &[
            "tls.handshake.type",
            "tls.handshake.length",
            "tls.handshake.ciphersuite",
            "tls.handshake.extensions.supported_version",
        ],
        &[(Response, &records)],
        &[
            "<tls.handshake.type=2",
            "<tls.handshake.length=46",
            "<tls.handshake.ciphersuite=49199",
            "<tls.handshake.extensions.supported_version=772",
            "<tls.handshake.type=11",
            "<tls.handshake.length=300",
            "<tls.handshake.type=14",
            "<tls.handshake.length=0",
        ],
    );
}

#[test]
fn alerts_in_clear() {
    check_held(
        &Tls,
        &["tls.alert_message.level", "tls.alert_message.desc"],
        &[(Response, &record(21, b"\x02\x28"))],
        &["<tls.alert_message.level=2", "<tls.alert_message.desc=40"],
    );
}

/// After `ChangeCipherSpec`: Finished is not a handshake message in clear, and nothing after it is
/// read.
#[test]
fn encrypted_records_are_passed_on() {
    let client =
        [record(20, b"\x01"), record(22, &[0xaa; 40]), record(23, &[0; 30]), record(21, &[7; 26])]
            .concat();
    check_held(&Tls, HELLO, &[(Request, &client)], &["!Request SkipRest="]);
    check_held(
        &Tls,
        &["tls.record.content_type", "tls.handshake.type"],
        &[(Request, &client)],
        &[
            ">tls.record.content_type=20",
            ">tls.record.content_type=22",
            ">tls.record.content_type=23",
            ">tls.record.content_type=21",
        ],
    );
}

/// RFC 8446 appendix D.4: the second hello comes behind a `ChangeCipherSpec`, in clear.
#[test]
fn the_hello_after_a_retry_request_is_read() {
    let client = [
        record(22, &client_hello()),
        record(20, b"\x01"),
        record(22, &client_hello()),
        record(20, b"\x01"),
        record(23, &[0; 30]),
    ]
    .concat();
    check_held(
        &Tls,
        &["tls.handshake.type"],
        &[(Request, &client)],
        &[">tls.handshake.type=1", ">tls.handshake.type=1", "!Request SkipRest="],
    );
}

#[test]
fn what_no_rule_reads_is_stepped_over() {
    let input = record(22, &client_hello());
    let ask = |field: Option<FieldId>| {
        let mut wanted = Wanted::new(&PROTOCOL);
        field.map(|field| wanted.want(field));
        let view = View { input: &input[..5], from: Request, open: false, ended: false };
        Tls.stream(&wanted, &mut TlsState::default(), view, &mut Fields::new())
    };
    let all = u64::try_from(input.len()).unwrap();
    assert_eq!(ask(None), Step::Skip { bytes: all, last: true });
    assert_eq!(ask(Some(HEARTBEAT_TYPE)), Step::Skip { bytes: all, last: true });
    assert_eq!(ask(Some(TYPE)), Step::More(Need::Bytes(input.len())));
}

#[test]
fn an_ssl2_hello() {
    let names = &["tls.handshake.type", "tls.handshake.version", "tls.handshake.cipher_spec_len"];
    let hello = b"\x80\x0c\x01\x03\x01\x00\x03\x00\x00\x00\x00\x01";
    let client = [&hello[..], b"\0\0", &record(22, &message(16, b"k"))].concat();
    check_held(
        &Tls,
        names,
        &[(Request, &client)],
        &[
            ">tls.handshake.type=1",
            ">tls.handshake.version=769",
            ">tls.handshake.cipher_spec_len=3",
            ">tls.handshake.type=16",
        ],
    );
    let only =
        [&b"\x80\x0c\x01\x00\x02\x00\x03\x00\x00\x00\x00\x01\0\0"[..], b"\x80\x03\x02ab"].concat();
    check_held(
        &Tls,
        names,
        &[(Request, &only)],
        &[
            ">tls.handshake.type=1",
            ">tls.handshake.version=2",
            ">tls.handshake.cipher_spec_len=3",
            "!Request SkipRest=",
        ],
    );
}

#[test]
fn other_protocols_are_told_apart() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x02\x00\x00\x01x", b"\x17\x03\x03\xff\xffx"] {
        let found = replay(&Tls, HELLO, &[(Request, bytes)], ReplayCuts::Nowhere, false);
        assert_eq!(found, ["!Request NotThisProtocol="]);
    }
}

/// A record past the caller's bound is opened: what is here of it is read, the rest stepped over.
#[test]
fn an_opened_record() {
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(SERVER_NAME);
    wanted.want(RECORD_LENGTH);
    let mut state = TlsState::default();
    let mut fields = Fields::new();
    let input = record(22, &client_hello());
    let view = View { input: &input[..80], from: Request, open: true, ended: false };
    let step = Tls.stream(&wanted, &mut state, view, &mut fields);
    assert_eq!(step, Step::Unit { bytes: 80, first: true, last: false });
    assert_eq!(fields.items().len(), 2);
    let view = View { input: &input[80..], from: Request, open: false, ended: false };
    let step = Tls.stream(&wanted, &mut state, view, &mut fields);
    let rest = u64::try_from(input.len() - 80).unwrap();
    assert_eq!(step, Step::Skip { bytes: rest, last: true });
}

#[test]
fn a_refusal_is_an_alert() {
    let input = record(22, &client_hello());
    let ask = |which, from| {
        let mut out = Vec::new();
        let view = View { input: &input, from, open: false, ended: false };
        (Tls.refuse(Refused::Message, which, view, &mut out), out)
    };
    assert_eq!(ask(1, Request), (Refusal::Last, b"\x15\x03\x01\x00\x02\x02\x0a".to_vec()));
    assert_eq!(ask(0, Response), (Refusal::Silence, Vec::new()));
    assert_eq!(ask(99, Request), (Refusal::Silence, Vec::new()));
}

#[test]
fn noise_is_survived() {
    for seed in 0..200 {
        let rest = noise(seed, 250);
        let mut hello = client_hello();
        let at = usize::try_from(seed).unwrap() % hello.len();
        hello[at] ^= rest[0] | 1;
        let records: Vec<u8> = hello.chunks(60).flat_map(|part| record(22, part)).collect();
        survives(&Tls, &[(Request, &records), (Request, &rest), (Response, &rest)]);
        let typed = [&[20 + rest[1] % 5, 3, rest[2], 0, rest[3]][..], &rest].concat();
        survives(&Tls, &[(Response, &typed), (Request, &typed)]);
        survives(&Tls, &[(Request, &records[..at])]);
    }
}

#[test]
fn the_corpus_is_survived() {
    for set in ["picotls-clienthello-corpus.c2s", "profuzz-tls.c2s"] {
        all_survive(&Tls, set, |payload, play| {
            play(&[(Request, payload), (Response, payload)]);
            // Some payloads are hellos without their record.
            let records: Vec<u8> = payload.chunks(200).flat_map(|part| record(22, part)).collect();
            play(&[(Request, &records)]);
        });
    }
}
