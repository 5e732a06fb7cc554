//! Packets, conversations, repairs and answers.

use super::*;
use crate::replay::{
    ReplayCuts, ReplayTurns, check, check_held, check_ids, noise, replay, survives,
};
use stage::Direction::{Request, Response};

/// A packet around `body`.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (length, bytes) = encoded(body.len() as u64);
    [&[first], &length[..bytes], body].concat()
}

fn text(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length, text].concat()
}

fn connect(version: u8) -> Vec<u8> {
    let properties: &[u8] = if version == 5 { &[0] } else { &[] };
    packet(0x10, &[&b"\0\x04MQTT"[..], &[version, 2, 0, 60], properties, b"\0\x02id"].concat())
}

const CONTENT: &[&str] = &[
    "mqtt.first_packet",
    "mqtt.msgtype",
    "mqtt.qos",
    "mqtt.len",
    "mqtt.ver",
    "mqtt.clientid",
    "mqtt.willtopic",
    "mqtt.willmsg",
    "mqtt.username",
    "mqtt.passwd",
    "mqtt.kalive",
    "mqtt.conack.val",
    "mqtt.connack.reason_code",
    "mqtt.msgid",
    "mqtt.topic",
    "mqtt.sub.qos",
    "mqtt.subscription_options",
    "mqtt.suback.qos",
    "mqtt.suback.reason_code",
    "mqtt.prop_number",
    "mqtt.prop_key",
    "mqtt.prop_value",
    "_ws.malformed",
    "mqtt.msg",
];

#[test]
fn the_table_numbers_its_rows() {
    let named: Vec<_> =
        table::IDS.iter().map(|id| (*id, PROTOCOL.def(*id).map_or("", |def| def.name))).collect();
    check_ids(&Mqtt, &named);
    assert_eq!(MSG, FieldId(u16::try_from(PROTOCOL.fields.len() - 1).unwrap()));
}

#[test]
fn a_connect_with_all_its_parts_and_its_answer() {
    let body = [
        b"\0\x04MQTT\x04\xee\0\x3c".to_vec(),
        text(b"me"),
        text(b"last/will"),
        text(b"gone"),
        text(b"user"),
        text(b"pass"),
    ]
    .concat();
    let turns: ReplayTurns<'_> =
        &[(Request, &packet(0x10, &body)), (Response, b"\x20\x02\x01\x00"), (Request, b"\xc0\0")];
    check_held(
        &Mqtt,
        &[
            "mqtt.proto_len",
            "mqtt.protoname",
            "mqtt.ver",
            "mqtt.conflags",
            "mqtt.conflag.uname",
            "mqtt.conflag.retain",
            "mqtt.conflag.qos",
            "mqtt.kalive",
            "mqtt.clientid_len",
            "mqtt.clientid",
            "mqtt.willtopic",
            "mqtt.willmsg",
            "mqtt.username",
            "mqtt.passwd",
            "mqtt.conack.flags.sp",
            "mqtt.conack.val",
            "_ws.malformed",
        ],
        turns,
        &[
            ">mqtt.proto_len=4",
            ">mqtt.protoname=MQTT",
            ">mqtt.ver=4",
            ">mqtt.conflags=238",
            ">mqtt.conflag.uname=1",
            ">mqtt.conflag.retain=1",
            ">mqtt.conflag.qos=1",
            ">mqtt.kalive=60",
            ">mqtt.clientid_len=2",
            ">mqtt.clientid=me",
            ">mqtt.willtopic=last/will",
            ">mqtt.willmsg=gone",
            ">mqtt.username=user",
            ">mqtt.passwd=pass",
            "<mqtt.conack.flags.sp=1",
            "<mqtt.conack.val=0",
        ],
    );
}

#[test]
fn filters_are_elements_and_answers_have_their_codes() {
    let subscribe =
        packet(0x82, &[b"\0\x07", &text(b"a/+")[..], b"\x01", &text(b"#"), b"\0"].concat());
    let unsubscribe = packet(0xa2, &[b"\0\x08", &text(b"a/+")[..]].concat());
    let turns: ReplayTurns<'_> = &[
        (Request, &connect(4)),
        (Request, &subscribe),
        (Response, b"\x90\x04\0\x07\x01\x80"),
        (Request, &unsubscribe),
        (Response, b"\xb0\x02\0\x08"),
    ];
    check_held(
        &Mqtt,
        &["mqtt.msgid", "mqtt.topic", "mqtt.sub.qos", "mqtt.suback.qos", "_ws.malformed"],
        turns,
        &[
            ">mqtt.msgid=7",
            ">mqtt.topic=a/+",
            ">mqtt.sub.qos=1",
            ">mqtt.topic=#",
            ">mqtt.sub.qos=0",
            "<mqtt.msgid=7",
            "<mqtt.suback.qos=1",
            "<mqtt.suback.qos=128",
            ">mqtt.msgid=8",
            ">mqtt.topic=a/+",
            "<mqtt.msgid=8",
        ],
    );
}

#[test]
fn version_5_has_properties() {
    let publish =
        [&text(b"t")[..], b"\0\x09", b"\x0f\x26\0\x01k\0\x02vv\x02\0\0\0\x05\x23", b"\0", b"body"];
    // The last property, a topic alias, has one byte only: it is not one.
    let turns: ReplayTurns<'_> = &[
        (Request, &connect(5)),
        (Response, b"\x20\x06\0\0\x03\x21\0\x14"),
        (Request, &packet(0x32, &publish.concat())),
        (Response, b"\x40\x03\0\x09\x10"),
    ];
    check_held(
        &Mqtt,
        CONTENT,
        turns,
        &[
            ">mqtt.first_packet=1",
            ">mqtt.msgtype=1",
            ">mqtt.len=15",
            ">mqtt.ver=5",
            ">mqtt.kalive=60",
            ">mqtt.clientid=id",
            "<mqtt.first_packet=1",
            "<mqtt.msgtype=2",
            "<mqtt.len=6",
            "<mqtt.connack.reason_code=0",
            "<mqtt.prop_number=20",
            ">mqtt.msgtype=3",
            ">mqtt.qos=1",
            ">mqtt.len=25",
            ">mqtt.topic=t",
            ">mqtt.msgid=9",
            ">mqtt.prop_key=k",
            ">mqtt.prop_value=vv",
            ">mqtt.prop_number=5",
            ">_ws.malformed=1",
            ">mqtt.msg=body",
            "<mqtt.msgtype=4",
            "<mqtt.len=3",
            "<mqtt.msgid=9",
        ],
    );
}

#[test]
fn a_message_comes_in_pieces_and_costs_nothing_unread() {
    let publish = packet(0x31, &[&text(b"keep/me")[..], &[b'x'; 300]].concat());
    let all = [&publish[..], b"\xc0\0"].concat();
    let turns: ReplayTurns<'_> = &[(Request, &connect(4)), (Request, &all)];
    let message = format!(">mqtt.msg={}", "x".repeat(300));
    check(&Mqtt, &["mqtt.msg"], turns, &[&message]);
    check(&Mqtt, &["mqtt.topic", "mqtt.msg"], turns, &[">mqtt.topic=keep/me", &message]);
    check(&Mqtt, &["mqtt.topic"], turns, &[">mqtt.topic=keep/me"]);
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(table::TOPIC);
    let (mut state, mut out) = (MqttState::default(), Fields::new());
    let mut step = |input| {
        out.clear();
        let view = View { input, from: Request, open: false, ended: false };
        Mqtt.stream(&wanted, &mut state, view, &mut out)
    };
    assert_eq!(step(&publish[..5]), Step::More(Need::Bytes(12)));
    assert_eq!(step(&publish[..12]), Step::Unit { bytes: 12, first: true, last: false });
    assert_eq!(step(b"x"), Step::Skip { bytes: 300, last: true });
    assert_eq!(step(b"\xc0\0"), Step::Skip { bytes: 2, last: true });
}

#[test]
fn lengths_of_four_bytes_are_read_and_one_of_five_ends() {
    let long = [b"\x30\x83\x80\x80\0\0\x01", &b"t"[..]].concat();
    check_held(
        &Mqtt,
        &["mqtt.len", "_ws.malformed", "mqtt.topic"],
        &[
            (Request, &connect(4)),
            (Request, &long),
            (Request, b"\x30\x83\x80\x80\x80\x80\0\x01t\xc0\0"),
        ],
        &[
            ">mqtt.len=14",
            ">mqtt.len=3",
            ">mqtt.topic=t",
            ">mqtt.len=3",
            ">mqtt.topic=t",
            ">_ws.malformed=1",
            ">mqtt.len=0",
        ],
    );
}

#[test]
fn what_only_an_answer_needs_is_not_waited_for_past_the_bound() {
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(table::MSGTYPE);
    wanted.want_whole();
    let step = |input: &[u8], open| {
        let view = View { input, from: Request, open, ended: false };
        Mqtt.stream(&wanted, &mut MqttState::default(), view, &mut Fields::new())
    };
    for (first, needs) in [(0x82_u8, 23), (0x30, 4), (0xe0, 2)] {
        let input = [first, 21, 0, 9];
        let whole = step(&input, false);
        assert_eq!(matches!(whole, Step::More(_)), needs > 2, "{first:#x} {whole:?}");
        assert_eq!(step(&input, true), Step::Unit { bytes: 2, first: true, last: false });
    }
}

#[test]
fn parts_that_do_not_fit_are_malformed_and_the_next_packet_is_found() {
    for (broken, want) in [
        (packet(0x82, b"\0\x01\0\x05abc"), vec![">mqtt.msgid=1", ">_ws.malformed=1"]),
        (
            packet(0x82, b"\0\x01\0\x03abc"),
            vec![">mqtt.msgid=1", ">mqtt.topic=abc", ">_ws.malformed=1"],
        ),
        (packet(0x30, b"\0\x09abc"), vec![">_ws.malformed=1"]),
        (packet(0x30, b"\0"), vec![">_ws.malformed=1"]),
        (packet(0x10, b"\0\x04MQTT"), vec![">_ws.malformed=1"]),
        (packet(0x40, b"\0\x01\x02"), vec![">mqtt.msgid=1", ">_ws.malformed=1"]),
    ] {
        let mut want = want;
        want.push(">mqtt.topic=ok");
        let turns: ReplayTurns<'_> =
            &[(Request, &connect(4)), (Request, &broken), (Request, b"\x30\x04\0\x02ok")];
        check_held(&Mqtt, &["mqtt.msgid", "mqtt.topic", "_ws.malformed"], turns, &want);
    }
}

#[test]
fn nothing_is_known_before_a_connect_but_3_1_1_is_read() {
    check_held(
        &Mqtt,
        &["mqtt.first_packet", "mqtt.topic"],
        &[(Request, b"\x82\x06\0\x01\0\x01#\0\x30\x03\0\x01t")],
        &[">mqtt.first_packet=1", ">mqtt.topic=#", ">mqtt.topic=t"],
    );
    let hello = [&b"\x16\x03\x01\0\xf0\x01"[..], &[0; 240]].concat();
    check_held(&Mqtt, &["mqtt.topic"], &[(Request, &hello)], &["!Request NotThisProtocol="]);
    let bridge = packet(0x10, b"\0\x04MQTT\x85\x02\0\x3c\0\0\x01i");
    check_held(&Mqtt, &["mqtt.clientid"], &[(Request, &bridge)], &[">mqtt.clientid=i"]);
}

#[test]
fn answers_are_owed_until_the_connack() {
    let wanted = Wanted::new(&PROTOCOL);
    let mut state = MqttState::default();
    let say = |state: &mut MqttState, from, input: &[u8]| {
        let view = View { input, from, open: false, ended: false };
        Mqtt.stream(&wanted, state, view, &mut Fields::new());
        Mqtt.outstanding_responses(state)
    };
    assert_eq!(Mqtt.outstanding_responses(&state), Some(0));
    assert_eq!(say(&mut state, Request, &connect(4)), Some(1));
    let mut cancelled = state;
    Mqtt.cancel_request(&mut cancelled);
    assert_eq!(Mqtt.outstanding_responses(&cancelled), Some(0));
    assert_eq!(say(&mut state, Request, b"\xc0\0"), Some(1));
    assert_eq!(say(&mut state, Response, b"\x20\x02\0\0"), Some(0));
    assert_eq!(say(&mut state, Request, b"\xc0\0"), Some(0));
}

fn refused(which: &str, input: &[u8]) -> (Refusal, Vec<u8>) {
    let which = PROTOCOL.refusals.iter().position(|name| *name == which).unwrap();
    let mut out = b"before".to_vec();
    let view = View { input, from: Request, open: false, ended: false };
    let refusal = Mqtt.refuse(Refused::Message, u8::try_from(which).unwrap(), view, &mut out);
    assert!(out.starts_with(b"before"));
    (refusal, out.split_off(6))
}

#[test]
fn refusals_have_the_packet_identifier_and_a_code_for_every_filter() {
    let filters = [&text(b"a")[..], b"\x01", &text(b"b/#"), b"\0"].concat();
    let old = packet(0x82, &[b"\x12\x34", &filters[..]].concat());
    let new = packet(0x82, &[b"\x12\x34\0", &filters[..]].concat());
    let with_id = packet(0x82, &[b"\x12\x34\x02\x0b\x05", &filters[..]].concat());
    let unsubscribe = packet(0xa2, &[b"\0\x02", &text(b"a")[..]].concat());
    let unsubscribe_5 = packet(0xa2, &[b"\0\x02\0", &text(b"a")[..]].concat());
    for (which, input, want) in [
        ("not_authorized", &old, &b"\x90\x04\x12\x34\x80\x80"[..]),
        ("not_authorized", &new, b"\x90\x05\x12\x34\0\x87\x87"),
        ("bad_topic", &with_id, b"\x90\x05\x12\x34\0\x8f\x8f"),
        ("accepted", &old, b"\x90\x04\x12\x34\x01\0"),
        ("accepted", &new, b"\x90\x05\x12\x34\0\x01\0"),
        ("not_authorized", &unsubscribe, b"\xb0\x02\0\x02"),
        ("not_authorized", &unsubscribe_5, b"\xb0\x04\0\x02\0\x87"),
        ("not_authorized", &packet(0x32, b"\0\x01t\x56\x78msg"), b"\x40\x02\x56\x78"),
        ("accepted", &packet(0x34, b"\0\x01t\x56\x78"), b"\x50\x02\x56\x78"),
    ] {
        assert_eq!(refused(which, input), (Refusal::Reply, want.to_vec()), "{which} {input:?}");
    }
    for (which, input, want) in [
        ("identifier_rejected", connect(4), &b"\x20\x02\0\x02"[..]),
        ("not_authorized", connect(3), b"\x20\x02\0\x05"),
        ("bad_credentials", connect(5), b"\x20\x03\0\x86\0"),
    ] {
        assert_eq!(refused(which, &input), (Refusal::Last, want.to_vec()), "{which}");
    }
    for silent in [
        packet(0x30, b"\0\x01tmsg"),
        packet(0x82, b"\0\x01"),
        packet(0x82, b"\0\x01\0\x09a\0"),
        packet(0x10, b"\0\x04MQTT"),
        b"\xc0\0".to_vec(),
        b"\x30".to_vec(),
    ] {
        assert_eq!(
            refused("not_authorized", &silent),
            (Refusal::Silence, Vec::new()),
            "{silent:?}"
        );
    }
    assert_eq!(refused("accepted", &connect(4)).0, Refusal::Silence);
}

/// The packet once `change` has edited the field of that name (the `nth` of it).
fn edited(
    input: &[u8],
    name: &str,
    nth: usize,
    change: impl Fn(&mut Edits, &Field),
) -> Option<Vec<u8>> {
    let mut wanted = Wanted::new(&PROTOCOL);
    let (id, _) = PROTOCOL.field(name).unwrap();
    wanted.want(id);
    let (mut state, mut out, mut edits) = (MqttState::default(), Fields::new(), Edits::new());
    let view = View { input, from: Request, open: false, ended: false };
    let step = Mqtt.stream(&wanted, &mut state, view, &mut out);
    let Step::Unit { bytes, .. } = step else { panic!("{step:?}") };
    let view = View { input: &input[..bytes], ..view };
    change(&mut edits, &out.items()[nth]);
    if Mqtt.repair(Transport::Tcp, view, &out, &mut edits) == Repair::Impossible {
        return None;
    }
    let mut result = Vec::new();
    assert!(edits.current(view.input, Span::new(0, bytes), &mut result));
    result.extend_from_slice(&input[bytes..]);
    Some(result)
}

#[test]
fn lengths_follow_edits() {
    let subscribe = |filters: &[&[u8]]| {
        let filters = filters.iter().flat_map(|filter| [text(filter), vec![1]].concat());
        packet(0x82, &[b"\0\x07".to_vec(), filters.collect()].concat())
    };
    let two = subscribe(&[b"a/b", b"c"]);
    let set = |with: &'static [u8]| {
        move |edits: &mut Edits, field: &Field| assert!(edits.replace(field.value, with))
    };
    let remove = |edits: &mut Edits, field: &Field| assert!(edits.delete(field.element));
    assert_eq!(edited(&two, "mqtt.topic", 0, set(b"x")), Some(subscribe(&[b"x", b"c"])));
    assert_eq!(edited(&two, "mqtt.topic", 1, set(b"")), Some(subscribe(&[b"a/b", b""])));
    assert_eq!(edited(&two, "mqtt.topic", 0, remove), Some(subscribe(&[b"c"])));
    let empty = subscribe(&[b""]);
    assert_eq!(edited(&empty, "mqtt.topic", 0, set(b"new")), Some(subscribe(&[b"new"])));
    // One byte of remaining length becomes two, and the message behind the unit counts.
    let publish = packet(0x30, &[&text(b"t")[..], &[b'm'; 124]].concat());
    let longer = packet(0x30, &[&text(b"topic")[..], &[b'm'; 124]].concat());
    assert_eq!((publish.len(), longer.len()), (129, 134));
    assert_eq!(edited(&publish, "mqtt.topic", 0, set(b"topic")), Some(longer.clone()));
    assert_eq!(edited(&longer, "mqtt.topic", 0, set(b"t")), Some(publish.clone()));
    let endless = |edits: &mut Edits, field: &Field| {
        assert!(edits.replace(field.value, &vec![b'x'; 65_536]));
    };
    assert_eq!(edited(&publish, "mqtt.topic", 0, endless), None);
    let shorter = packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x01i");
    assert_eq!(edited(&connect(4), "mqtt.clientid", 0, set(b"i")), Some(shorter));
}

#[test]
fn noise_is_survived() {
    for seed in 0..400 {
        let random = noise(seed, 120);
        let (one, other) = random.split_at(60);
        survives(
            &Mqtt,
            &[(Request, &connect(4 + (seed & 1) as u8)), (Request, one), (Response, other)],
        );
        let mut framed = random.clone();
        framed[0] = framed[0] << 4 | 2;
        framed[1] = 40;
        survives(&Mqtt, &[(Request, &connect(4 + (seed & 1) as u8)), (Request, &framed)]);
        let all = [packet(0x82, &random), connect(5)].concat();
        let found =
            replay(&Mqtt, &["mqtt.clientid"], &[(Request, &all)], ReplayCuts::Nowhere, false);
        assert_eq!(found, [">mqtt.clientid=id"], "the next packet is found");
    }
}
