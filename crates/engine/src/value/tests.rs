use plan::{Normalization, Pattern};
use proto::{FieldKind, Repr};

use super::*;

const BYTES: NumberForm = NumberForm { repr: Repr::None, kind: FieldKind::Bytes, read: None };

/// Runs a transform, and again on its result, which must not change.
#[track_caller]
fn check(transform: &Transform, form: NumberForm, value: &[u8], want: &[u8]) {
    let (mut out, mut spare) = (Vec::with_capacity(1000), Vec::with_capacity(1000));
    let how = rewrite(transform, value, form, &mut out, &mut spare);
    let got = if how == Rewrite::Changed { out.clone() } else { value.to_vec() };
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(show(&got), show(want), "{how:?}");
    assert_eq!(how == Rewrite::Changed, value != want, "{how:?} tells the truth");
    let how = rewrite(transform, &got, form, &mut out, &mut spare);
    assert_eq!(how, Rewrite::Unchanged, "a second time changes nothing: {}", show(&out));
}

#[test]
fn paths_never_climb_out_of_their_root() {
    let path = |value: &str, want: &str| {
        check(&Transform::Normalize(Normalization::Path), BYTES, value.as_bytes(), want.as_bytes());
    };
    for same in [
        "",
        "/",
        "/a/b",
        "a",
        "/a//b",
        "/.../x",
        "/..a/b..",
        "/a%2fb",
        "/a?x=/../y",
        "*",
        "/a#/../",
    ] {
        path(same, same);
    }
    path("/a/../b", "/b");
    path("/a/./b/.", "/a/b/");
    path("/a/b/..", "/a/");
    path("/../../etc/passwd", "/etc/passwd");
    path("../../etc/passwd", "etc/passwd");
    path("..", "");
    path("/%2e%2e/%2E./x", "/x");
    path("/a/%2e%2e%2fb", "/b");
    path("/a\\..\\..\\b", "/b");
    path("/a%5c..%5Cb", "/b");
    path("/a%2Fb%2f../c", "/a%2Fc");
    path("/a/../../b?q=/../../", "/b?q=/../../");
    path("http://host/../../x", "http://host/x");
    path("http://host/..", "http://host/");
    path("/x/http://../y", "/x/http:/y");
    path("//a/..//../b", "//b");
}

#[test]
fn white_space_and_line_ends_become_canonical() {
    let space = Transform::Normalize(Normalization::WhiteSpace);
    check(&space, BYTES, b"a b", b"a b");
    check(&space, BYTES, b"\t a \t\t b ", b"a b");
    check(&space, BYTES, b"  ", b"");
    let lines = Transform::Normalize(Normalization::LineEnds);
    check(&lines, BYTES, b"a\r\nb\r\n", b"a\r\nb\r\n");
    check(&lines, BYTES, b"a\nb\r.\n\r\n", b"a\r\nb\r\n.\r\n\r\n");
    check(&lines, BYTES, b"\r\r\n\n", b"\r\n\r\n\r\n");
}

#[test]
fn numbers_are_read_and_written_in_place() {
    let form = |repr, bits| NumberForm { repr, kind: FieldKind::Uint(bits), read: None };
    let bits = Repr::BigEndian { shift: 4, mask: 0xf };
    let clamp = Transform::Clamp { min: 2, max: 300 };
    check(&clamp, form(Repr::BE, 16), &[1, 0x2c], &[1, 0x2c]);
    check(&clamp, form(Repr::BE, 16), &[0xff, 0], &[1, 0x2c]);
    check(&clamp, form(Repr::LittleEndian, 32), &[0, 0, 1, 0], &[0x2c, 1, 0, 0]);
    check(&clamp, form(Repr::LittleEndian, 32), &[1, 0, 0, 0], &[2, 0, 0, 0]);
    check(&clamp, form(Repr::Decimal, 64), b"99999999999999999999999", b"300");
    check(&clamp, form(Repr::Decimal, 64), b"0300", b"0300");
    check(&clamp, form(Repr::Hex, 64), b"fFfFfFfFfFfFfFfFf", b"12c");
    check(&Transform::Clear { bits: 0b101 }, form(bits, 4), &[0xfa, 7], &[0xfa, 7]);
    check(&Transform::Clear { bits: 0b0001 }, form(bits, 4), &[0xff, 0x5a], &[0xff, 0x4a]);
    check(&Transform::SetNumber(9), form(bits, 4), &[0x12, 0x34], &[0x12, 0x94]);
    let mut out = Vec::with_capacity(100);
    let mut spare = Vec::new();
    let too_big =
        rewrite(&Transform::SetNumber(256), b"\x01", form(Repr::BE, 8), &mut out, &mut spare);
    assert_eq!(too_big, Rewrite::Impossible);
    let no_number = rewrite(&clamp, b"x1", form(Repr::Decimal, 64), &mut out, &mut spare);
    assert_eq!(no_number, Rewrite::Unchanged);
}

#[test]
fn a_value_without_room_is_not_cut_short() {
    let (mut out, mut spare) = (Vec::with_capacity(4), Vec::with_capacity(4));
    let pad = Transform::Pad { to: 100, with: b'x' };
    assert_eq!(rewrite(&pad, b"a", BYTES, &mut out, &mut spare), Rewrite::NoRoom);
    assert!(out.capacity() < 100);
}

#[test]
fn random_values_keep_every_bound_after_one_go() {
    let mut seed = 1_u64;
    let mut next = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % bound
    };
    let transforms = [
        Transform::Normalize(Normalization::Path),
        Transform::Normalize(Normalization::WhiteSpace),
        Transform::Normalize(Normalization::LineEnds),
        Transform::Pad { to: 9, with: b'.' },
        Transform::Replace {
            pattern: Pattern::regex("[.]+/|a.+", false).unwrap(),
            with: b"b".as_slice().into(),
        },
        Transform::Replace {
            pattern: Pattern::literals("", &[b"../", b"%2e"], true).unwrap(),
            with: Box::default(),
        },
        Transform::CutAt { pattern: Pattern::regex("[%].+", false).unwrap(), keep_match: true },
        Transform::MaskPattern { pattern: Pattern::regex("a[.]+", false).unwrap(), with: b'*' },
    ];
    let parts: [&[u8]; 14] = [
        b".", b"..", b"/", b"%2e", b"%2F", b"\\", b"a", b" ", b"\t", b"\r", b"\n", b"%", b"?",
        b"%5c",
    ];
    let (mut out, mut spare) = (Vec::with_capacity(1000), Vec::with_capacity(1000));
    for _ in 0..20_000 {
        let mut value = Vec::new();
        for _ in 0..next(12) {
            value.extend_from_slice(parts[next(14) as usize]);
        }
        for transform in &transforms {
            if rewrite(transform, &value, BYTES, &mut out, &mut spare) == Rewrite::Changed {
                let once = out.clone();
                assert_ne!(once, value);
                let again = rewrite(transform, &once, BYTES, &mut out, &mut spare);
                let show = String::from_utf8_lossy(&value).into_owned();
                assert_eq!(again, Rewrite::Unchanged, "{transform:?} on {show:?}");
            }
        }
    }
}
