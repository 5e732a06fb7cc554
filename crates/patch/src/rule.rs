//! From a rule as written to a rule that can run: exactly one verb, its operands and no others, on
//! a field that takes it.

mod build;
mod mistakes;

use plan::{Condition, LengthEffect, Transform};
use proto::{Editable, FieldDef, Repr, Slot};
use stage::Direction;

use crate::condition::{Checker, RuleContext};
use crate::diagnostic::{Diagnostic, Place};
use crate::names::kind_words;
use crate::verbs::row::{Operands, VerbRow, key_of};
use crate::verbs::{RuleFile, VERBS, WrittenOperand, WrittenVerb};
use crate::yaml::{Spanned, place_within};
pub(crate) use build::{MayAnswer, TransformBuilder};
pub(crate) use mistakes::Mistakes;

/// A rule whose field exists and takes its verb.
#[derive(Clone, Debug)]
pub(crate) struct CheckedRule {
    /// Where the verb's field is.
    pub(crate) place: Place,
    pub(crate) verb: &'static str,
    /// The condition as written, blanks evened out: two rules with the same text have the same
    /// condition.
    pub(crate) when_text: String,
    /// `None`: messages of both directions.
    pub(crate) direction: Option<Direction>,
    /// In the numbering of the patch's own `Wanted`, as the condition's.
    pub(crate) target: Option<Slot>,
    pub(crate) when: Condition,
    pub(crate) transform: Transform,
}

/// Reads the rules of one file.
pub(crate) struct RuleReader<'a> {
    pub(crate) mistakes: Mistakes<'a>,
    /// Where the list of rules is, for a rule with no verb at all.
    pub(crate) list: Place,
    pub(crate) answers: MayAnswer,
}

impl RuleReader<'_> {
    /// `None`: reported.
    pub(crate) fn read(
        &mut self,
        rule: &RuleFile,
        context: &mut RuleContext<'_>,
    ) -> Option<CheckedRule> {
        let verb = self.verb(rule)?;
        let operands_fit = self.operands(rule, verb);

        // The target first: its direction is the rule's, and the condition has to follow.
        let mut target = None;
        let mut good = true;
        if let Some(field) = verb.field {
            match self.target(field, context) {
                Some(found) => {
                    good &= self.takes(field, found.1, verb.row);
                    target = Some(found);
                }
                None => good = false,
            }
        }
        let when = self.condition(rule, context);
        if !good || !operands_fit {
            return None;
        }
        let field = target.map(|(_, def)| def);
        let mut builder = TransformBuilder {
            mistakes: &mut self.mistakes,
            rule,
            verb: verb.row.name,
            place: verb.place,
            field,
            context,
            answers: self.answers,
        };
        let transform = (verb.row.build)(&mut builder)?;
        if let (Some(def), Some(field)) = (field, verb.field) {
            self.keeps_length(field, def, &transform, verb.row.name)?;
        }
        let when_words = rule.when.as_ref().map(|when| when.split_whitespace().collect::<Vec<_>>());
        Some(CheckedRule {
            place: verb.place,
            verb: verb.row.name,
            when_text: when_words.map(|words| words.join(" ")).unwrap_or_default(),
            direction: context.direction.as_ref().map(|(direction, _)| *direction),
            target: target.map(|(slot, _)| slot),
            when: when?,
            transform,
        })
    }

    /// `when`; `None` if it is wrong.
    fn condition(&mut self, rule: &RuleFile, context: &mut RuleContext<'_>) -> Option<Condition> {
        let Some(text) = &rule.when else { return Some(Condition::Always) };
        match Checker::compile(context, text) {
            Ok(condition) => Some(condition),
            Err(complaints) => {
                for complaint in complaints {
                    let at = complaint.at.0..complaint.at.1;
                    let place = place_within(self.mistakes.file, text.place, text, at);
                    let mut diagnostic =
                        Diagnostic::new(self.mistakes.file, place, complaint.message);
                    diagnostic.note = complaint.note;
                    diagnostic.help = complaint.help;
                    self.mistakes.found.push(diagnostic);
                }
                None
            }
        }
    }

    /// The one verb.
    fn verb<'r>(&mut self, rule: &'r RuleFile) -> Option<WrittenVerb<'r>> {
        let mut verbs = rule.verbs();
        verbs.sort_by_key(|verb| verb.place.start);
        match verbs.as_slice() {
            [one] => Some(*one),
            [] => {
                let operand = rule.operands().first().map(|operand| operand.place);
                let when = || rule.when.as_ref().map(|when| when.place);
                let names: Vec<_> = VERBS.iter().map(|row| row.name).collect();
                self.mistakes.refuse(
                    operand.or_else(when).unwrap_or(self.list),
                    "this rule does nothing: it has no verb",
                    format!("the verbs are: {}", names.join(", ")),
                );
                None
            }
            [first, second, ..] => {
                let (first, name) = (first.row.name, second.row.name);
                self.mistakes.refuse(
                    second.place,
                    format!("one rule has one verb, and this has `{first}` and `{name}`"),
                    "write two rules; they run in the order written",
                );
                None
            }
        }
    }

    /// The operands that the verb needs are there, and no others.
    fn operands(&mut self, rule: &RuleFile, verb: WrittenVerb<'_>) -> bool {
        let (row, name) = (verb.row, verb.row.name);
        let given = rule.operands();
        let before = self.mistakes.found.len();
        for group in row.needs {
            let in_group = |key: &str| group.forms().iter().any(|form| key_of(form) == key);
            let count = given.iter().filter(|operand| in_group(operand.key)).count();
            match (count, group) {
                (1, _) | (2.., Operands::Some(_)) => {}
                (0, _) => self.mistakes.refuse(
                    verb.place,
                    format!("`{name}` needs {}", group.keys()),
                    format!("add {} to this rule", group.written()),
                ),
                (_, Operands::OneOf(_)) => self.mistakes.refuse(
                    verb.place,
                    format!("`{name}` takes one of {}", group.keys().replace(" or ", ", ")),
                    "write two rules; they run in the order written",
                ),
            }
        }
        for WrittenOperand { key, place } in given {
            if row.operands().any(|form| key_of(form) == key) {
                continue;
            }
            let takes: Vec<_> = row.operands().map(|form| format!("`{form}`")).collect();
            let help = if takes.is_empty() {
                format!("`{name}` takes no operands")
            } else {
                format!("`{name}` takes {}", takes.join(", "))
            };
            self.mistakes.refuse(place, format!("`{key}` does not go with `{name}`"), help);
        }
        self.mistakes.found.len() == before
    }

    fn target(
        &mut self,
        field: &Spanned<String>,
        context: &mut RuleContext<'_>,
    ) -> Option<(Slot, &'static FieldDef)> {
        let (name, key) = match field.split_once('[') {
            None => (field.trim(), None),
            Some((name, rest)) => {
                let key = rest
                    .trim_end()
                    .strip_suffix(']')
                    .and_then(|key| key.strip_prefix('"')?.strip_suffix('"'));
                let Some(key) = key else {
                    self.mistakes.refuse(
                        field.place,
                        "a key is written in double quotes and brackets",
                        format!("write {}[\"…\"]", name.trim()),
                    );
                    return None;
                };
                (name.trim(), Some(key.as_bytes()))
            }
        };
        context
            .field(name, key, (0, field.len()))
            .map_err(|complaint| {
                let diagnostic = self.mistakes.report(field.place, complaint.message);
                diagnostic.note = complaint.note;
                diagnostic.help = complaint.help;
            })
            .ok()
    }

    /// The field is of a kind the verb works on, and may be edited.
    fn takes(&mut self, field: &Spanned<String>, def: &FieldDef, row: &VerbRow) -> bool {
        if def.editable == Editable::No {
            let report =
                self.mistakes.report(field.place, format!("`{}` cannot be edited", def.name));
            report.note =
                Some("it is computed, structural, or under a MAC or handshake hash".to_owned());
            report.help = Some("drop or refuse the message instead: `drop: message`".to_owned());
            return false;
        }
        let fits = row.takes.has(def);
        if !fits {
            let (verb, wants) = (row.name, row.takes.words());
            self.mistakes
                .report(field.place, format!("`{verb}` does not work on `{}`", def.name))
                .note = Some(format!("`{verb}` {wants}; this field is {}", kind_words(def)));
        }
        fits
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
        self.mistakes.refuse(
            field.place,
            format!("`{verb}` may change the length of `{}`, which has to stay", def.name),
            "same length: mask, replace by a literal of the same length, clamp or set of binary numbers",
        );
        None
    }
}
