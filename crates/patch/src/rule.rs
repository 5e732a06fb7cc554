//! From a rule as written to a rule that can run: exactly one verb, its operands and no others, on a field that takes it.

mod operands;

use plan::{Condition, LengthEffect, Transform};
use proto::{Editable, FieldDef, FieldKind, Repr, Slot, Transport};
use stage::Direction;

use crate::condition::{Checker, Known};
use crate::diagnostic::{Diagnostic, Place, SourceFile};
use crate::file::RuleFile;
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
    /// An answer can take its place among the server's own over TCP.
    pub(crate) answers: bool,
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
        let is_bytes = matches!(def.kind, FieldKind::Bytes | FieldKind::Text);
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
        let binary = matches!(def.repr, Repr::BigEndian { .. } | Repr::LittleEndian);
        let same = match transform.traits().length {
            LengthEffect::Keeps => true,
            LengthEffect::KeepsInBinary => binary,
            LengthEffect::Changes => false,
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
}

fn kind_words(def: &FieldDef) -> String {
    match def.kind {
        FieldKind::Bytes => "bytes".to_owned(),
        FieldKind::Text => "text".to_owned(),
        FieldKind::Bool => "a flag".to_owned(),
        FieldKind::Uint(bits) => format!("a number of {bits} bits"),
    }
}
