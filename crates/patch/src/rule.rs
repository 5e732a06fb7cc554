//! From a rule as written to a rule that can run: exactly one verb, its operands and no others, on a field that takes it.

use plan::{Condition, Normalization, Reply, Transform};
use proto::{Direction, Editable, FieldDef, Kind, Repr, Slot, Transport};

use crate::bytes::{Literal, show};
use crate::condition::{Checker, Known};
use crate::diagnostic::{Diagnostic, Place, SourceFile};
use crate::file::{Form, Keep, RuleFile};
use crate::names;
use crate::pattern;
use crate::spelling::nearest;
use crate::yaml::{Spanned, place_within};

/// A rule whose field exists and takes its verb.
#[derive(Clone, Debug)]
pub(crate) struct CheckedRule {
    /// Where the verb's field stands.
    pub(crate) place: Place,
    pub(crate) verb: &'static str,
    /// The condition as written, blanks evened out: two rules with the same text have the same condition.
    pub(crate) when_text: String,
    /// `None`: messages of both directions.
    pub(crate) direction: Option<Direction>,
    /// In the numbering of the patch's own `Wanted`, as the condition's.
    pub(crate) target: Option<Slot>,
    pub(crate) when: Condition,
    pub(crate) transform: Transform,
}

/// Every operand's key, the verbs that take it being in [`VERBS`].
type Operands = [(&'static str, Option<Place>); 12];

/// Verb, operands it needs, operands it may have. `pattern|regex` is one of the two.
const VERBS: &[(&str, &[&str], &[&str])] = &[
    ("truncate", &["to"], &[]),
    ("cut_at", &["pattern|regex"], &["ignore_case", "keep"]),
    ("clamp", &["min|max"], &[]),
    ("set", &["to"], &[]),
    ("clear", &["bits"], &[]),
    ("replace", &["pattern|regex", "with"], &["ignore_case"]),
    ("mask", &["bytes|pattern|regex", "with"], &["ignore_case"]),
    ("remove", &[], &[]),
    ("keep_first", &["count"], &[]),
    ("dedupe", &["keep"], &[]),
    ("normalize", &["as"], &[]),
    ("pad", &["to", "with"], &[]),
    ("discard", &[], &[]),
    ("drop", &[], &[]),
    ("refuse", &[], &["with", "reply"]),
    ("close", &[], &["with", "reply"]),
];

/// Longest value `pad` and `set` may make of a field.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

pub(crate) struct RuleReader<'a> {
    pub(crate) file: &'a SourceFile,
    /// Where the list of rules stands, for a rule with no verb at all.
    pub(crate) list: Place,
    pub(crate) transports: &'a [Transport],
    pub(crate) found: &'a mut Vec<Diagnostic>,
}

impl RuleReader<'_> {
    fn report(&mut self, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.found.push(Diagnostic::new(self.file, place, message));
        // Just pushed.
        let last = self.found.len().saturating_sub(1);
        &mut self.found[last]
    }

    fn refuse(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.report(place, message).help = Some(help.into());
    }

    /// `None`: reported.
    pub(crate) fn read(&mut self, rule: &RuleFile, known: &mut Known<'_>) -> Option<CheckedRule> {
        let (verb, place, field) = self.verb(rule)?;
        let operands_fit = self.operands(rule, verb, place);

        // The target first: its direction is the rule's, and the condition has to follow.
        let mut target = None;
        let mut good = true;
        if let Some(field) = field {
            match self.target(field, known) {
                Some(found) => {
                    good &= self.takes(field, found.1, verb);
                    target = Some(found);
                }
                None => good = false,
            }
        }
        let when = match &rule.when {
            None => Some(Condition::Always),
            Some(text) => match Checker::compile(known, text) {
                Ok(condition) => Some(condition),
                Err(complaints) => {
                    for complaint in complaints {
                        let place = place_within(self.file, text.place, text, complaint.at);
                        let mut diagnostic = Diagnostic::new(self.file, place, complaint.message);
                        diagnostic.note = complaint.note;
                        diagnostic.help = complaint.help;
                        self.found.push(diagnostic);
                    }
                    None
                }
            },
        };
        if !good || !operands_fit {
            return None;
        }
        let transform = self.transform(rule, verb, place, target.map(|(_, def)| def), known)?;
        if let (Some((_, def)), Some(field)) = (target, field) {
            self.keeps_length(field, def, &transform, verb)?;
        }
        Some(CheckedRule {
            place,
            verb,
            when_text: rule
                .when
                .as_ref()
                .map(|when| when.split_whitespace().collect::<Vec<_>>().join(" "))
                .unwrap_or_default(),
            direction: known.direction.as_ref().map(|(direction, _)| *direction),
            target: target.map(|(slot, _)| slot),
            when: when?,
            transform,
        })
    }

    /// The one verb, where it stands, and its field.
    fn verb<'r>(
        &mut self,
        rule: &'r RuleFile,
    ) -> Option<(&'static str, Place, Option<&'r Spanned<String>>)> {
        let mut verbs: Vec<(&'static str, Place, Option<&Spanned<String>>)> = [
            ("truncate", &rule.truncate),
            ("cut_at", &rule.cut_at),
            ("clamp", &rule.clamp),
            ("set", &rule.set),
            ("clear", &rule.clear),
            ("replace", &rule.replace),
            ("mask", &rule.mask),
            ("remove", &rule.remove),
            ("keep_first", &rule.keep_first),
            ("dedupe", &rule.dedupe),
            ("normalize", &rule.normalize),
            ("pad", &rule.pad),
            ("discard", &rule.discard),
        ]
        .into_iter()
        .filter_map(|(verb, field)| field.as_ref().map(|field| (verb, field.place, Some(field))))
        .collect();
        verbs.extend(
            [("drop", &rule.drop), ("refuse", &rule.refuse), ("close", &rule.close)]
                .into_iter()
                .filter_map(|(verb, whole)| whole.as_ref().map(|whole| (verb, whole.place, None))),
        );
        verbs.sort_by_key(|(_, place, _)| place.start);
        match verbs.as_slice() {
            [one] => Some(*one),
            [] => {
                let place = Self::operand_places(rule)
                    .iter()
                    .find_map(|(_, place)| *place)
                    .or(rule.when.as_ref().map(|when| when.place))
                    .unwrap_or(self.list);
                let names: Vec<_> = VERBS.iter().map(|(verb, ..)| *verb).collect();
                self.refuse(
                    place,
                    "this rule does nothing: it has no verb",
                    format!("the verbs are: {}", names.join(", ")),
                );
                None
            }
            [(first, ..), (second, place, _), ..] => {
                self.refuse(
                    *place,
                    format!("one rule has one verb, and this has `{first}` and `{second}`"),
                    "write two rules; they run in the order written",
                );
                None
            }
        }
    }

    fn operand_places(rule: &RuleFile) -> Operands {
        [
            ("to", rule.to.as_ref().map(|x| x.place)),
            ("pattern", rule.pattern.as_ref().map(|x| x.place)),
            ("regex", rule.regex.as_ref().map(|x| x.place)),
            ("ignore_case", rule.ignore_case.as_ref().map(|x| x.place)),
            ("keep", rule.keep.as_ref().map(|x| x.place)),
            ("min", rule.min.as_ref().map(|x| x.place)),
            ("max", rule.max.as_ref().map(|x| x.place)),
            ("bits", rule.bits.as_ref().map(|x| x.place)),
            ("bytes", rule.bytes.as_ref().map(|x| x.place)),
            ("with", rule.with.as_ref().map(|x| x.place)),
            ("reply", rule.reply.as_ref().map(|x| x.place)),
            ("count", rule.count.as_ref().map(|x| x.place)),
        ]
    }

    /// The operands the verb needs are there, and no others.
    fn operands(&mut self, rule: &RuleFile, verb: &'static str, place: Place) -> bool {
        let Some((_, needed, optional)) = VERBS.iter().find(|(name, ..)| *name == verb) else {
            return false;
        };
        let mut given: Vec<(&str, Place)> = Self::operand_places(rule)
            .into_iter()
            .filter_map(|(name, place)| place.map(|place| (name, place)))
            .collect();
        given.extend(rule.form.as_ref().map(|form| ("as", form.place)));
        let before = self.found.len();
        for group in *needed {
            let of_group =
                given.iter().filter(|(name, _)| group.split('|').any(|one| one == *name));
            match (of_group.count(), *group) {
                (0, "min|max") => self.refuse(
                    place,
                    "`clamp` needs `min`, `max` or both",
                    "add the bounds the field has to keep, both included",
                ),
                (0, _) => {
                    let words = group.replace('|', "` or `");
                    self.refuse(
                        place,
                        format!("`{verb}` needs `{words}`"),
                        format!(
                            "add `{}: …` to this rule",
                            group.split('|').next().unwrap_or(group)
                        ),
                    );
                }
                (2.., "min|max") | (1, _) => {}
                (_, _) => {
                    let words = group.replace('|', "`, `");
                    self.refuse(
                        place,
                        format!("`{verb}` takes one of `{words}`"),
                        "write two rules; they run in the order written",
                    );
                }
            }
        }
        for (name, place) in &given {
            let known =
                needed.iter().flat_map(|group| group.split('|')).chain(optional.iter().copied());
            if !known.clone().any(|one| one == *name) {
                let takes: Vec<_> = known.map(|one| format!("`{one}`")).collect();
                let help = if takes.is_empty() {
                    format!("`{verb}` takes no operands")
                } else {
                    format!("`{verb}` takes {}", takes.join(", "))
                };
                self.refuse(*place, format!("`{name}` does not go with `{verb}`"), help);
            }
        }
        self.found.len() == before
    }

    fn target(
        &mut self,
        field: &Spanned<String>,
        known: &mut Known<'_>,
    ) -> Option<(Slot, &'static FieldDef)> {
        let (name, key) = match field.split_once('[') {
            None => (field.trim(), None),
            Some((name, rest)) => {
                let key = rest
                    .trim_end()
                    .strip_suffix(']')
                    .and_then(|key| key.strip_prefix('"')?.strip_suffix('"'));
                let Some(key) = key else {
                    self.refuse(
                        field.place,
                        "a key stands in double quotes and brackets",
                        format!("write {}[\"…\"]", name.trim()),
                    );
                    return None;
                };
                (name.trim(), Some(key.as_bytes()))
            }
        };
        known
            .field(name, key, (0, field.len()))
            .map_err(|complaint| {
                let diagnostic = self.report(field.place, complaint.message);
                diagnostic.note = complaint.note;
                diagnostic.help = complaint.help;
            })
            .ok()
    }

    /// The field is of a kind the verb works on, and may be edited.
    fn takes(&mut self, field: &Spanned<String>, def: &FieldDef, verb: &str) -> bool {
        if def.editable == Editable::No {
            self.report(field.place, format!("`{}` cannot be edited", def.name)).note =
                Some("it is computed, structural, or under a MAC or handshake hash".to_owned());
            self.help_last("drop or refuse the message instead: `drop: message`");
            return false;
        }
        let is_bytes = matches!(def.kind, Kind::Bytes | Kind::Text);
        let (fits, wants) = match verb {
            "truncate" | "cut_at" | "replace" | "mask" | "normalize" | "pad" => {
                (is_bytes, "works on bytes and text")
            }
            "clamp" | "clear" => {
                (!is_bytes && def.repr != Repr::None, "works on numbers that stand in the message")
            }
            "set" => {
                (is_bytes || def.repr != Repr::None, "needs a field that stands in the message")
            }
            "remove" | "keep_first" | "dedupe" => {
                (def.element, "works on elements: header lines, records, options, list items")
            }
            _ => (true, ""),
        };
        if !fits {
            self.report(field.place, format!("`{verb}` does not work on `{}`", def.name)).note =
                Some(format!("`{verb}` {wants}; this field is {}", kind_words(def)));
        }
        fits
    }

    fn help_last(&mut self, help: &str) {
        if let Some(last) = self.found.last_mut() {
            last.help = Some(help.to_owned());
        }
    }

    /// An edit that may change the length is no edit for a field whose length is fixed.
    fn keeps_length(
        &mut self,
        field: &Spanned<String>,
        def: &FieldDef,
        transform: &Transform,
        verb: &str,
    ) -> Option<()> {
        if def.editable != Editable::SameLength {
            return Some(());
        }
        let fixed = |pattern: &plan::Pattern, with: usize| {
            !pattern.literals.is_empty() && pattern.literals.iter().all(|one| one.len() == with)
        };
        let binary = matches!(def.repr, Repr::BigEndian { .. } | Repr::LittleEndian);
        let same = match transform {
            Transform::Clamp { .. } | Transform::SetNumber(_) | Transform::Clear { .. } => binary,
            Transform::Replace { pattern, with } => fixed(pattern, with.len()),
            Transform::Mask { .. }
            | Transform::MaskPattern { .. }
            | Transform::Drop
            | Transform::Refuse(_)
            | Transform::Close => true,
            Transform::Truncate { .. }
            | Transform::CutAt { .. }
            | Transform::SetBytes(_)
            | Transform::Remove
            | Transform::KeepFirst { .. }
            | Transform::Dedupe { .. }
            | Transform::Normalize(_)
            | Transform::Pad { .. }
            | Transform::Discard => false,
        };
        if same {
            return Some(());
        }
        self.refuse(
            field.place,
            format!("`{verb}` may change the length of `{}`, which has to stay", def.name),
            "same length: mask, replace by a literal of the same length, clamp or set of binary numbers",
        );
        None
    }

    fn transform(
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
            "close" => match (&rule.with, &rule.reply) {
                (None, None) => Some(Transform::Close),
                (given, reply) => {
                    let at = given.as_ref().or(reply.as_ref())?.place;
                    self.refuse(
                        at,
                        "`close` with a reply is not yet in this version",
                        "leave the reply away: `close: connection` resets both ends",
                    );
                    None
                }
            },
            "refuse" => self.reply(rule, place, known),
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
            (Literal::Number(number), Kind::Uint(_) | Kind::Bool) => {
                self.fits(to.place, *number, def)?;
                Some(Transform::SetNumber(*number))
            }
            (Literal::Bytes(bytes), Kind::Bytes | Kind::Text) => {
                Some(Transform::SetBytes(bytes.as_slice().into()))
            }
            (Literal::Number(number), Kind::Bytes | Kind::Text) => {
                self.refuse(
                    to.place,
                    format!("`{}` is {}, and this is a number", def.name, kind_words(def)),
                    format!("write \"{number}\" for the digits"),
                );
                None
            }
            (Literal::Bytes(_), Kind::Uint(_) | Kind::Bool) => {
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
        let shortest = pattern.literals.iter().map(|one| one.len()).min().unwrap_or(1);
        if with.0.len() >= shortest && pattern::may_match_across(&pattern, &with.0) {
            self.report(
                with.place,
                format!("\"{}\" may match again together with bytes beside it", show(&with.0)),
            )
            .note = Some(
                "each new match would be replaced in turn, and the field could grow without bound"
                    .to_owned(),
            );
            self.help_last(
                "use a shorter replacement, or bytes that the pattern neither begins nor ends with",
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

    fn reply(&mut self, rule: &RuleFile, place: Place, known: &Known<'_>) -> Option<Transform> {
        if self.transports.contains(&Transport::Tcp) {
            let at = rule.with.as_ref().or(rule.reply.as_ref()).map_or(place, |given| given.place);
            self.refuse(
                at,
                "`refuse` on TCP is not yet in this version",
                "narrow the patch to datagrams with `scope: { transport: udp }`, or use `close: connection`",
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
            (None, Some(reply)) => {
                Some(Transform::Refuse(Reply::Literal(reply.0.as_slice().into())))
            }
            (None, None) if !replies.is_empty() => Some(Transform::Refuse(Reply::Protocol(0))),
            (None, None) => {
                self.refuse(
                    place,
                    format!("{} has no answer of its own for a refusal", known.protocol.name),
                    "give the bytes with `reply`",
                );
                None
            }
            (Some(with), None) => {
                let name = String::from_utf8_lossy(&with.0);
                let index = replies.iter().position(|reply| *reply == name);
                if let Some(index) = index.and_then(|index| u8::try_from(index).ok()) {
                    return Some(Transform::Refuse(Reply::Protocol(index)));
                }
                let help = nearest(&name, replies.iter().copied()).map_or_else(
                    || format!("there are: {}", replies.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.refuse(
                    with.place,
                    format!("{} has no answer called `{name}`", known.protocol.name),
                    help,
                );
                None
            }
        }
    }
}

fn kind_words(def: &FieldDef) -> String {
    match def.kind {
        Kind::Bytes => "bytes".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Bool => "a flag".to_owned(),
        Kind::Uint(bits) => format!("a number of {bits} bits"),
    }
}
