//! From a verb's operands to its transform: the functions that the rows of [`crate::verbs`] call.
//! Each reports a wrong operand and then returns `None`.

use plan::{Normalization, REPLY_BYTES_MAX, Reply, Transform};
use proto::{FieldDef, FieldKind};
use stage::Direction;

use super::mistakes::Mistakes;
use crate::bytes::{Literal, show};
use crate::condition::RuleContext;
use crate::diagnostic::Place;
use crate::names::{self, kind_words};
use crate::pattern;
use crate::spelling::nearest;
use crate::verbs::{Form, Keep, RuleFile};

/// Longest value that `pad` and `set` may make of a field.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// Whether a message of the protocol can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayAnswer {
    /// An answer takes its place among the server's own.
    Possible,
    /// The patch is for TCP as well, where nobody can tell which answers are outstanding.
    NotOverTcp,
}

/// A rule's operands on their way to its transform.
pub(crate) struct TransformBuilder<'b, 'a> {
    pub(super) mistakes: &'b mut Mistakes<'a>,
    pub(super) rule: &'b RuleFile,
    pub(super) verb: &'static str,
    /// Where the verb's field is.
    pub(super) place: Place,
    /// `None` for a verb on the whole message.
    pub(super) field: Option<&'static FieldDef>,
    pub(super) context: &'b RuleContext<'b>,
    pub(super) answers: MayAnswer,
}

impl TransformBuilder<'_, '_> {
    fn refuse<T>(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        self.mistakes.refuse(place, message, help);
        None
    }

    /// `keep` of `cut_at`.
    pub(crate) fn keeps_match(&mut self) -> Option<bool> {
        match &self.rule.keep {
            None => Some(false),
            Some(keep) => match keep.value {
                Keep::Match(keep) => Some(keep),
                Keep::First | Keep::Last => self.refuse(
                    keep.place,
                    "`keep` of `cut_at` is true or false",
                    "`keep: true` leaves the match, `keep: false` cuts it away as well",
                ),
            },
        }
    }

    /// `keep` of `dedupe`.
    pub(crate) fn keeps_last(&mut self) -> Option<bool> {
        let keep = self.rule.keep.as_ref()?;
        match keep.value {
            Keep::First => Some(false),
            Keep::Last => Some(true),
            Keep::Match(_) => self.refuse(
                keep.place,
                "`keep` of `dedupe` is `first` or `last`",
                "keep the one that the server itself would use",
            ),
        }
    }

    /// `bits`, for the field.
    pub(crate) fn bits(&mut self) -> Option<u64> {
        let bits = self.rule.bits.as_ref()?;
        self.fits(bits.place, bits.value)?;
        if bits.value == 0 {
            return self.refuse(bits.place, "no bit is cleared", "write the flags as 0x…");
        }
        Some(bits.value)
    }

    /// `count`.
    pub(crate) fn count(&mut self) -> Option<u32> {
        self.rule.count.as_ref().map(|count| count.value)
    }

    /// `as`.
    pub(crate) fn form(&mut self) -> Option<Normalization> {
        self.rule.form.as_ref().map(|form| match form.value {
            Form::Path => Normalization::Path,
            Form::WhiteSpace => Normalization::WhiteSpace,
            Form::LineEnds => Normalization::LineEnds,
        })
    }

    /// `to`, as a number of bytes.
    pub(crate) fn length(&mut self) -> Option<u32> {
        let to = self.rule.to.as_ref()?;
        match &to.value {
            Literal::Number(number) if *number <= VALUE_BYTES_MAX => u32::try_from(*number).ok(),
            Literal::Number(number) => self.refuse(
                to.place,
                format!("{number} is longer than any field that can be held"),
                format!("lengths are at most {VALUE_BYTES_MAX}"),
            ),
            Literal::Bytes(_) => {
                self.refuse(to.place, "`to` is a number of bytes here", "write it without quotes")
            }
        }
    }

    /// The number fits the field.
    fn fits(&mut self, place: Place, number: u64) -> Option<()> {
        let field = self.field?;
        let largest = names::largest(field.kind);
        if number <= largest {
            return Some(());
        }
        self.mistakes.report(place, format!("{number} does not fit `{}`", field.name)).note =
            Some(format!("the field is {}; its largest value is {largest}", kind_words(field)));
        None
    }

    /// `min` and `max`, for the field.
    pub(crate) fn clamp(&mut self) -> Option<Transform> {
        let rule = self.rule;
        let min = rule.min.as_ref().map_or(0, |min| min.value);
        let max = rule.max.as_ref().map_or(u64::MAX, |max| max.value);
        for bound in [&rule.min, &rule.max].into_iter().flatten() {
            self.fits(bound.place, bound.value)?;
        }
        if min > max {
            let place = rule.min.as_ref().or(rule.max.as_ref())?.place;
            return self.refuse(
                place,
                format!("no number lies between {min} and {max}"),
                "`min` and `max` are both included",
            );
        }
        Some(Transform::Clamp { min, max })
    }

    /// `to`, as a value of the field.
    pub(crate) fn set(&mut self) -> Option<Transform> {
        let (to, field) = (self.rule.to.as_ref()?, self.field?);
        match (&to.value, field.kind) {
            (Literal::Number(number), FieldKind::Uint(_) | FieldKind::Bool) => {
                self.fits(to.place, *number)?;
                Some(Transform::SetNumber(*number))
            }
            (Literal::Bytes(bytes), FieldKind::Bytes | FieldKind::Text) => {
                Some(Transform::SetBytes(bytes.as_slice().into()))
            }
            (Literal::Number(number), FieldKind::Bytes | FieldKind::Text) => self.refuse(
                to.place,
                format!("`{}` is {}, and this is a number", field.name, kind_words(field)),
                format!("write \"{number}\" for the digits"),
            ),
            (Literal::Bytes(_), FieldKind::Uint(_) | FieldKind::Bool) => self.refuse(
                to.place,
                format!("`{}` is {}, and this is text", field.name, kind_words(field)),
                "write a number without quotes, decimal or 0x…",
            ),
        }
    }

    /// `pattern` or `regex`, with `ignore_case`.
    pub(crate) fn pattern(&mut self) -> Option<plan::Pattern> {
        let rule = self.rule;
        let ignore_case = rule.ignore_case.as_ref().is_some_and(|flag| flag.value);
        let (place, compiled) = match (&rule.pattern, &rule.regex) {
            (Some(bytes), None) => (bytes.place, pattern::literal(&bytes.0, ignore_case)),
            (None, Some(text)) => (text.place, pattern::regex(text, ignore_case)),
            _ => return None,
        };
        compiled.map_err(|(message, help)| self.mistakes.report(place, message).help = help).ok()
    }

    /// The pattern, and `with`: the bytes put in make no match.
    pub(crate) fn replace(&mut self) -> Option<Transform> {
        let pattern = self.pattern()?;
        let with = self.rule.with.as_ref()?;
        if pattern.find(&with.0, 0).is_some() {
            return self.refuse(
                with.place,
                format!("\"{}\" holds what it is to replace", show(&with.0)),
                "the field would match again for ever; choose bytes the pattern does not match",
            );
        }
        let shortest = usize::try_from(pattern.match_bytes_min).unwrap_or(usize::MAX);
        if with.0.len() >= shortest && pattern::may_match_back(&pattern, &with.0) {
            let report = self.mistakes.report(
                with.place,
                format!("\"{}\" may match again together with bytes before it", show(&with.0)),
            );
            report.note = Some(
                "each new match would be replaced in turn, and the field could grow without bound"
                    .to_owned(),
            );
            report.help = Some(
                "use a shorter replacement, or one that does not begin as the pattern ends"
                    .to_owned(),
            );
            return None;
        }
        Some(Transform::Replace { pattern, with: with.0.as_slice().into() })
    }

    /// `with`, as one byte.
    pub(crate) fn one_byte(&mut self) -> Option<u8> {
        let with = self.rule.with.as_ref()?;
        match with.0.as_slice() {
            [byte] => Some(*byte),
            other => self.refuse(
                with.place,
                format!("`with` is one byte here, and these are {}", other.len()),
                "quote it, as in \" \" or \"\\x00\"",
            ),
        }
    }

    /// The class or pattern, and `with`: a byte that is not masked itself.
    pub(crate) fn mask(&mut self) -> Option<Transform> {
        let with = self.one_byte()?;
        let again = if self.rule.bytes.is_some() {
            let set = self.byte_class()?;
            if !set.contains(with) {
                return Some(Transform::Mask { set, with });
            }
            "is itself in the class"
        } else {
            let pattern = self.pattern()?;
            let longest = pattern.match_bytes_max.unwrap_or(1024).min(4096);
            let masked = vec![with; usize::try_from(longest).unwrap_or(1)];
            if pattern.find(&masked, 0).is_none() {
                return Some(Transform::MaskPattern { pattern, with });
            }
            "makes a match again"
        };
        self.refuse(
            self.rule.with.as_ref()?.place,
            format!("\"{}\" {again}", show(&[with])),
            "choose a byte that the patched server takes as harmless",
        )
    }

    /// `bytes`.
    fn byte_class(&mut self) -> Option<plan::ByteSet> {
        let class = self.rule.bytes.as_ref()?;
        if let Some(flag) = &self.rule.ignore_case {
            return self.refuse(
                flag.place,
                "a class of bytes has no case",
                "name both, as in \"a-zA-Z\"",
            );
        }
        pattern::byte_set(&class.0)
            .map_err(|message| {
                self.mistakes.report(class.place, message);
            })
            .ok()
    }

    /// The answer of `close`, which may have none.
    pub(crate) fn reply_if_given(&mut self) -> Option<Option<Reply>> {
        if self.rule.with.is_none() && self.rule.reply.is_none() {
            return Some(None);
        }
        self.reply().map(Some)
    }

    /// The answer: `with`, `reply`, or the protocol's own.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        self.may_answer()?;
        let name = self.context.protocol.name;
        let has_own = !self.context.protocol.refusals.is_empty();
        match (&self.rule.with, &self.rule.reply) {
            (Some(with), Some(_)) => self.refuse(
                with.place,
                "`with` and `reply` both give the answer",
                "leave one of them out",
            ),
            (None, Some(reply)) if reply.0.len() > REPLY_BYTES_MAX => self.refuse(
                reply.place,
                format!("an answer of {} bytes is too long", reply.0.len()),
                format!("at most {REPLY_BYTES_MAX} bytes"),
            ),
            (None, Some(reply)) => Some(Reply::Custom(reply.0.as_slice().into())),
            (None, None) if has_own => Some(Reply::Protocol(0)),
            (None, None) => self.refuse(
                self.place,
                format!("{name} has no answer of its own for a refusal"),
                "give the bytes: `reply: BYTES`",
            ),
            (Some(with), None) => self.reply_called(&String::from_utf8_lossy(&with.0), with.place),
        }
    }

    /// Somebody can be answered.
    fn may_answer(&mut self) -> Option<()> {
        if let Some((Direction::Response, why)) = &self.context.direction {
            let verb = self.verb;
            let message = format!("`{verb}` answers a client, and this is a server's message");
            let report = self.mistakes.report(self.place, message);
            report.note = Some(format!("{why} makes this a rule for the server's messages"));
            report.help = Some(
                "write `drop: message` to take it away, `close: connection` to reset both ends"
                    .to_owned(),
            );
            return None;
        }
        if self.answers == MayAnswer::NotOverTcp {
            return self.refuse(
                self.place,
                format!(
                    "over TCP nobody can tell where an answer belongs in {}",
                    self.context.protocol.name
                ),
                "use `close: connection` without an answer, or narrow the patch with `scope: { transport: udp }`",
            );
        }
        Some(())
    }

    /// The protocol's own answer of this name.
    fn reply_called(&mut self, wanted: &str, place: Place) -> Option<Reply> {
        let replies = self.context.protocol.refusals;
        let index = replies.iter().position(|reply| *reply == wanted);
        if let Some(index) = index.and_then(|index| u8::try_from(index).ok()) {
            return Some(Reply::Protocol(index));
        }
        let help = nearest(wanted, replies.iter().copied()).map_or_else(
            || format!("there are: {}", replies.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let name = self.context.protocol.name;
        self.refuse(place, format!("{name} has no answer called `{wanted}`"), help)
    }
}
