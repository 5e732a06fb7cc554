//! From a verb's operands to its transform.

use plan::{Normalization, REPLY_BYTES_MAX, Reply, Transform};
use proto::{FieldDef, FieldKind, Transport};
use stage::Direction;

use super::{RuleReader, VALUE_BYTES_MAX, kind_words};
use crate::bytes::{Literal, show};
use crate::condition::Known;
use crate::diagnostic::Place;
use crate::file::{Form, Keep, RuleFile};
use crate::names;
use crate::pattern;
use crate::spelling::nearest;
use crate::yaml::Spanned;

impl RuleReader<'_> {
    pub(super) fn transform(
        &mut self,
        rule: &RuleFile,
        verb: &'static str,
        place: Place,
        def: Option<&'static FieldDef>,
        known: &Known<'_>,
    ) -> Option<Transform> {
        match verb {
            "truncate" => Some(Transform::Truncate { to: self.length(rule.to.as_ref()?)? }),
            "cut_at" => {
                let keep_match = match &rule.keep {
                    None => false,
                    Some(keep) => match keep.value {
                        Keep::Match(keep) => keep,
                        Keep::First | Keep::Last => {
                            self.refuse(
                                keep.place,
                                "`keep` of `cut_at` is true or false",
                                "`keep: true` leaves the match, `keep: false` cuts it away as well",
                            );
                            return None;
                        }
                    },
                };
                Some(Transform::CutAt { pattern: self.pattern(rule)?, keep_match })
            }
            "clamp" => self.clamp(rule, def?),
            "set" => self.set(rule.to.as_ref()?, def?),
            "clear" => {
                let bits = rule.bits.as_ref()?;
                self.fits(bits.place, bits.value, def?)?;
                if bits.value == 0 {
                    self.refuse(bits.place, "no bit is cleared", "write the flags as 0x…");
                    return None;
                }
                Some(Transform::Clear { bits: bits.value })
            }
            "replace" => self.replace(rule),
            "mask" => self.mask(rule),
            "remove" => Some(Transform::Remove),
            "keep_first" => Some(Transform::KeepFirst { count: rule.count.as_ref()?.value }),
            "dedupe" => {
                let keep = rule.keep.as_ref()?;
                match keep.value {
                    Keep::First => Some(Transform::Dedupe { keep_last: false }),
                    Keep::Last => Some(Transform::Dedupe { keep_last: true }),
                    Keep::Match(_) => {
                        self.refuse(
                            keep.place,
                            "`keep` of `dedupe` is `first` or `last`",
                            "keep what the server itself would have used",
                        );
                        None
                    }
                }
            }
            "normalize" => Some(Transform::Normalize(match rule.form.as_ref()?.value {
                Form::Path => Normalization::Path,
                Form::WhiteSpace => Normalization::WhiteSpace,
                Form::LineEnds => Normalization::LineEnds,
            })),
            "pad" => {
                let to = self.length(rule.to.as_ref()?)?;
                let with = self.one_byte(rule)?;
                Some(Transform::Pad { to, with })
            }
            "discard" => Some(Transform::Discard),
            "drop" => Some(Transform::Drop),
            "close" if rule.with.is_none() && rule.reply.is_none() => Some(Transform::Close(None)),
            "close" => Some(Transform::Close(Some(self.reply(rule, verb, place, known)?))),
            "refuse" => Some(Transform::Refuse(self.reply(rule, verb, place, known)?)),
            _ => None,
        }
    }

    fn length(&mut self, to: &Spanned<Literal>) -> Option<u32> {
        match &to.value {
            Literal::Number(number) if *number <= VALUE_BYTES_MAX => u32::try_from(*number).ok(),
            Literal::Number(number) => {
                self.refuse(
                    to.place,
                    format!("{number} is longer than any field that can be held"),
                    format!("lengths are at most {VALUE_BYTES_MAX}"),
                );
                None
            }
            Literal::Bytes(_) => {
                self.refuse(to.place, "`to` is a number of bytes here", "write it without quotes");
                None
            }
        }
    }

    /// The number fits the field.
    fn fits(&mut self, place: Place, number: u64, def: &FieldDef) -> Option<()> {
        let largest = names::largest(def.kind);
        if number <= largest {
            return Some(());
        }
        self.report(place, format!("{number} does not fit `{}`", def.name)).note =
            Some(format!("the field is {}; its largest value is {largest}", kind_words(def)));
        None
    }

    fn clamp(&mut self, rule: &RuleFile, def: &FieldDef) -> Option<Transform> {
        let min = rule.min.as_ref().map_or(0, |min| min.value);
        let max = rule.max.as_ref().map_or(u64::MAX, |max| max.value);
        for bound in [&rule.min, &rule.max].into_iter().flatten() {
            self.fits(bound.place, bound.value, def)?;
        }
        if min > max {
            let place = rule.min.as_ref().or(rule.max.as_ref())?.place;
            self.refuse(
                place,
                format!("no number lies between {min} and {max}"),
                "`min` and `max` are both included",
            );
            return None;
        }
        Some(Transform::Clamp { min, max })
    }

    fn set(&mut self, to: &Spanned<Literal>, def: &FieldDef) -> Option<Transform> {
        match (&to.value, def.kind) {
            (Literal::Number(number), FieldKind::Uint(_) | FieldKind::Bool) => {
                self.fits(to.place, *number, def)?;
                Some(Transform::SetNumber(*number))
            }
            (Literal::Bytes(bytes), FieldKind::Bytes | FieldKind::Text) => {
                Some(Transform::SetBytes(bytes.as_slice().into()))
            }
            (Literal::Number(number), FieldKind::Bytes | FieldKind::Text) => {
                self.refuse(
                    to.place,
                    format!("`{}` is {}, and this is a number", def.name, kind_words(def)),
                    format!("write \"{number}\" for the digits"),
                );
                None
            }
            (Literal::Bytes(_), FieldKind::Uint(_) | FieldKind::Bool) => {
                self.refuse(
                    to.place,
                    format!("`{}` is {}, and this is text", def.name, kind_words(def)),
                    "write a number without quotes, decimal or 0x…",
                );
                None
            }
        }
    }

    fn pattern(&mut self, rule: &RuleFile) -> Option<plan::Pattern> {
        let ignore_case = rule.ignore_case.as_ref().is_some_and(|flag| flag.value);
        let (place, compiled) = match (&rule.pattern, &rule.regex) {
            (Some(bytes), None) => (bytes.place, pattern::literal(&bytes.0, ignore_case)),
            (None, Some(text)) => (text.place, pattern::regex(text, ignore_case)),
            _ => return None,
        };
        compiled.map_err(|(message, help)| self.report(place, message).help = help).ok()
    }

    fn replace(&mut self, rule: &RuleFile) -> Option<Transform> {
        let pattern = self.pattern(rule)?;
        let with = rule.with.as_ref()?;
        if pattern.find(&with.0, 0).is_some() {
            self.refuse(
                with.place,
                format!("\"{}\" holds what it is to replace", show(&with.0)),
                "the field would match again for ever; choose bytes the pattern does not match",
            );
            return None;
        }
        let shortest = usize::try_from(pattern.match_bytes_min).unwrap_or(usize::MAX);
        if with.0.len() >= shortest && pattern::may_match_back(&pattern, &with.0) {
            self.report(
                with.place,
                format!("\"{}\" may match again together with bytes before it", show(&with.0)),
            )
            .note = Some(
                "each new match would be replaced in turn, and the field could grow without bound"
                    .to_owned(),
            );
            self.help_last(
                "use a shorter replacement, or one that does not begin as the pattern ends",
            );
            return None;
        }
        Some(Transform::Replace { pattern, with: with.0.as_slice().into() })
    }

    fn one_byte(&mut self, rule: &RuleFile) -> Option<u8> {
        let with = rule.with.as_ref()?;
        match with.0.as_slice() {
            [byte] => Some(*byte),
            other => {
                self.refuse(
                    with.place,
                    format!("`with` is one byte here, and these are {}", other.len()),
                    "quote it, as in \" \" or \"\\x00\"",
                );
                None
            }
        }
    }

    fn mask(&mut self, rule: &RuleFile) -> Option<Transform> {
        let with = self.one_byte(rule)?;
        let place = rule.with.as_ref()?.place;
        let again = if let Some(class) = &rule.bytes {
            if let Some(flag) = &rule.ignore_case {
                self.refuse(
                    flag.place,
                    "a class of bytes has no case",
                    "name both, as in \"a-zA-Z\"",
                );
                return None;
            }
            let set = pattern::byte_set(&class.0)
                .map_err(|message| {
                    self.report(class.place, message);
                })
                .ok()?;
            if !set.contains(with) {
                return Some(Transform::Mask { set, with });
            }
            "is itself in the class"
        } else {
            let pattern = self.pattern(rule)?;
            let longest = pattern.match_bytes_max.unwrap_or(1024).min(4096);
            let masked = vec![with; usize::try_from(longest).unwrap_or(1)];
            if pattern.find(&masked, 0).is_none() {
                return Some(Transform::MaskPattern { pattern, with });
            }
            "makes a match again"
        };
        self.refuse(
            place,
            format!("\"{}\" {again}", show(&[with])),
            "choose a byte that the patched server takes as harmless",
        );
        None
    }

    /// The answer that `refuse` or `close` gives.
    fn reply(
        &mut self,
        rule: &RuleFile,
        verb: &str,
        place: Place,
        known: &Known<'_>,
    ) -> Option<Reply> {
        let name = known.protocol.name;
        if let Some((Direction::Response, why)) = &known.direction {
            self.report(
                place,
                format!("`{verb}` answers a client, and this is a server's message"),
            )
            .note = Some(format!("{why} makes this a rule on what the server says"));
            self.help_last("`drop: message` takes it away, `close: connection` resets both ends");
            return None;
        }
        if self.transports.contains(&Transport::Tcp) && !self.answers {
            self.refuse(
                place,
                format!("over TCP nobody can tell where an answer belongs in {name}"),
                "use `close: connection` without an answer, or narrow the patch with `scope: { transport: udp }`",
            );
            return None;
        }
        let replies = known.protocol.refusals;
        match (&rule.with, &rule.reply) {
            (Some(with), Some(_)) => {
                self.refuse(
                    with.place,
                    "`with` and `reply` both give the answer",
                    "leave one away",
                );
                None
            }
            (None, Some(reply)) if reply.0.len() > REPLY_BYTES_MAX => {
                self.refuse(
                    reply.place,
                    format!("an answer of {} bytes is too long", reply.0.len()),
                    format!("at most {REPLY_BYTES_MAX} bytes"),
                );
                None
            }
            (None, Some(reply)) => Some(Reply::Custom(reply.0.as_slice().into())),
            (None, None) if !replies.is_empty() => Some(Reply::Protocol(0)),
            (None, None) => {
                self.refuse(
                    place,
                    format!("{name} has no answer of its own for a refusal"),
                    "give the bytes with `reply`",
                );
                None
            }
            (Some(with), None) => {
                let wanted = String::from_utf8_lossy(&with.0);
                let index = replies.iter().position(|reply| *reply == wanted);
                if let Some(index) = index.and_then(|index| u8::try_from(index).ok()) {
                    return Some(Reply::Protocol(index));
                }
                let help = nearest(&wanted, replies.iter().copied()).map_or_else(
                    || format!("there are: {}", replies.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.refuse(with.place, format!("{name} has no answer called `{wanted}`"), help);
                None
            }
        }
    }
}
