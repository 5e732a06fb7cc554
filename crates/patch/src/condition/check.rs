//! From a tree to a typed, compiled condition. Finds every mistake of a condition, not only the
//! first.

mod values;

use plan::{ByteSet, ByteTest, Compare, Condition, Operand, Test};
use proto::{FieldDef, FieldKind, Slot};

use super::context::RuleContext;
use super::functions::{self, ExprType, Function, FunctionRow};
use super::lexer::Complaint;
use super::parser::parse;
use super::tree::{Expr, ExprKind, Member, Relation, TextRange};
use crate::names;
use crate::pattern;

pub(crate) struct Checker<'k, 'a> {
    context: &'k mut RuleContext<'a>,
    complaints: Vec<Complaint>,
}

impl<'k, 'a> Checker<'k, 'a> {
    /// Parses, types and compiles `text`.
    pub(crate) fn compile(
        context: &'k mut RuleContext<'a>,
        text: &str,
    ) -> Result<Condition, Vec<Complaint>> {
        let tree = parse(text).map_err(|complaint| vec![complaint])?;
        let mut checker = Self { context, complaints: Vec::new() };
        match checker.condition(&tree) {
            Some(condition) if checker.complaints.is_empty() => Ok(condition),
            _ => Err(checker.complaints),
        }
    }

    fn complain<T>(&mut self, complaint: Complaint) -> Option<T> {
        self.complaints.push(complaint);
        None
    }

    fn field(&mut self, expr: &Expr) -> Option<(Slot, &'static FieldDef)> {
        let ExprKind::Field(name, key) = &expr.kind else { return None };
        let key = key.as_ref().map(|(key, _)| key.as_slice());
        match self.context.field(name, key, expr.at) {
            Ok(found) => Some(found),
            Err(complaint) => self.complain(complaint),
        }
    }

    fn condition(&mut self, expr: &Expr) -> Option<Condition> {
        match &expr.kind {
            ExprKind::And(sides) => self.all(sides).map(Condition::All),
            ExprKind::Or(sides) => self.all(sides).map(Condition::Any),
            ExprKind::Not(inner) => {
                self.condition(inner).map(|inner| Condition::Not(Box::new(inner)))
            }
            ExprKind::Compare(left, relation, right) => self.compare(left, *relation, right),
            ExprKind::In(left, members, negated) => {
                let inside = self.member(left, members)?;
                Some(if *negated { Condition::Not(Box::new(inside)) } else { inside })
            }
            ExprKind::Field(..) => {
                let (slot, def) = self.field(expr)?;
                if def.kind == FieldKind::Uint(1) {
                    // Wireshark takes it, and it is always true. Nobody means that.
                    return self.complain(
                        Complaint::new(
                            expr.at,
                            format!(
                                "`{}` alone asks whether the flag is there, not whether it is set",
                                def.name
                            ),
                        )
                        .help(format!("write `{0} == 1` or `{0} == 0`", def.name)),
                    );
                }
                Some(Condition::Test(Test::Present(slot)))
            }
            ExprKind::Call(name, at, arguments) => {
                let row = functions::find(name, arguments.len());
                match row.map(|row| row.function) {
                    Some(Function::Duplicate) => self.duplicate(name, *at, arguments),
                    Some(Function::Class(test)) => self.class_test(name, *at, arguments, test),
                    _ => self.not_zero(expr),
                }
            }
            ExprKind::Arithmetic(..) => self.not_zero(expr),
            ExprKind::Truth(_) | ExprKind::Number(_) => self.complain(
                Complaint::new(expr.at, "this asks nothing of the message")
                    .help("leave `when` out for a rule that always applies"),
            ),
            ExprKind::Slice(..) | ExprKind::Text(..) | ExprKind::Octets(_) | ExprKind::Peer => self
                .complain(
                    Complaint::new(expr.at, "expected a condition, found a value")
                        .help("compare it with something: ==, contains, matches, in {…}"),
                ),
        }
    }

    /// `duplicate(field)`.
    fn duplicate(&mut self, name: &str, at: TextRange, arguments: &[Expr]) -> Option<Condition> {
        let [field] = self.arguments(name, at, arguments)?;
        let (slot, def) = self.plain_field(field, name)?;
        if !def.repeated && !def.keyed {
            return self
                .complain(Complaint::new(field.at, format!("`{}` occurs at most once", def.name)));
        }
        Some(Condition::Test(Test::Duplicate(slot)))
    }

    /// `any_byte_in(x, "CLASS")`.
    fn class_test(
        &mut self,
        name: &str,
        at: TextRange,
        arguments: &[Expr],
        test: fn(ByteSet) -> ByteTest,
    ) -> Option<Condition> {
        let [field, class] = self.arguments(name, at, arguments)?;
        let source = self.source(field);
        let class_bytes = self.constant(class)?;
        match pattern::byte_set(&class_bytes) {
            Ok(set) => Some(Condition::Test(Test::Bytes { source: source?, test: test(set) })),
            Err(message) => self.complain(Complaint::new(class.at, message)),
        }
    }

    fn all(&mut self, sides: &[Expr]) -> Option<Box<[Condition]>> {
        let compiled: Vec<_> = sides.iter().map(|side| self.condition(side)).collect();
        compiled.into_iter().collect()
    }

    /// A number alone: true unless 0, as in Wireshark's `tcp.flags & 0x02`.
    fn not_zero(&mut self, expr: &Expr) -> Option<Condition> {
        let is_number = match self.type_of(expr) {
            ExprType::Number => true,
            ExprType::Bytes | ExprType::Constant | ExprType::Peer | ExprType::Truth => false,
        };
        if !is_number {
            return self.complain(
                Complaint::new(expr.at, "expected a condition, found text")
                    .help("compare it with something: ==, contains, matches, in {…}"),
            );
        }
        let left = self.number(expr)?;
        Some(Condition::Test(Test::Number {
            left,
            compare: Compare::NotEqual,
            right: Operand::Constant(0),
        }))
    }

    /// The type of `expr`. It reports no mistake: the caller goes on to compile the expression.
    fn type_of(&self, expr: &Expr) -> ExprType {
        match &expr.kind {
            ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::Not(_)
            | ExprKind::Compare(..)
            | ExprKind::In(..) => ExprType::Truth,
            ExprKind::Arithmetic(..) | ExprKind::Number(_) | ExprKind::Truth(_) => ExprType::Number,
            ExprKind::Field(name, _) => match self.context.protocol.field(name) {
                Some((_, def)) => match def.kind {
                    FieldKind::Uint(_) | FieldKind::Bool => ExprType::Number,
                    FieldKind::Bytes | FieldKind::Text => ExprType::Bytes,
                },
                // Its mistake is reported when it is compiled.
                None => ExprType::Bytes,
            },
            ExprKind::Call(name, _, arguments) => {
                functions::find(name, arguments.len()).map_or(ExprType::Number, FunctionRow::yields)
            }
            ExprKind::Slice(..) => ExprType::Bytes,
            ExprKind::Text(..) | ExprKind::Octets(_) => ExprType::Constant,
            ExprKind::Peer => ExprType::Peer,
        }
    }

    /// An unknown field or function is to be complained about as such, not as a wrong type.
    fn unknown(&mut self, expr: &Expr) -> bool {
        let before = self.complaints.len();
        match &expr.kind {
            ExprKind::Field(name, _) if self.context.protocol.field(name).is_none() => {
                let _ = self.field(expr);
            }
            ExprKind::Call(name, at, _) if functions::find(name, 0).is_none() => {
                let (message, help) = functions::unknown(name);
                self.complaints.push(Complaint { help, ..Complaint::new(*at, message) });
            }
            ExprKind::Slice(inner, _) => return self.unknown(inner),
            _ => {}
        }
        self.complaints.len() > before
    }

    fn compare(&mut self, left: &Expr, relation: Relation, right: &Expr) -> Option<Condition> {
        if self.unknown(left) | self.unknown(right) {
            return None;
        }
        let at = (left.at.0, right.at.1);
        let compare = match relation {
            Relation::Contains | Relation::Matches | Relation::StartsWith | Relation::EndsWith => {
                return self.bytes_relation(left, relation, right);
            }
            Relation::Equal => Compare::Equal,
            Relation::NotEqual => Compare::NotEqual,
            Relation::Less => Compare::Less,
            Relation::LessOrEqual => Compare::LessOrEqual,
            Relation::Greater => Compare::Greater,
            Relation::GreaterOrEqual => Compare::GreaterOrEqual,
        };
        let equality = matches!(compare, Compare::Equal | Compare::NotEqual);
        match (self.type_of(left), self.type_of(right)) {
            (ExprType::Truth, _) | (_, ExprType::Truth) => self.complain(
                Complaint::new(at, "a condition cannot be compared")
                    .help("join conditions with and, or, not"),
            ),
            (ExprType::Peer, ExprType::Bytes) if equality => self.peer(right, compare),
            (ExprType::Bytes, ExprType::Peer) if equality => self.peer(left, compare),
            (ExprType::Peer, _) | (_, ExprType::Peer) => self.complain(
                Complaint::new(at, "`peer` is the client's address as text")
                    .help("compare a text field with it: == peer or != peer"),
            ),
            (ExprType::Number, _) | (_, ExprType::Number) => {
                let (low, high) = (self.number(left), self.number(right));
                let (low, high) = (low?, high?);
                self.in_range(left, right)?;
                Some(Condition::Test(Test::Number { left: low, compare, right: high }))
            }
            (ExprType::Constant, ExprType::Constant) => {
                self.complain(Complaint::new(at, "two constants are compared"))
            }
            _ if !equality => self.complain(
                Complaint::new(
                    at,
                    format!("text has no order: `{}` compares numbers", relation.word()),
                )
                .help("compare its length, len(…), or its digits' value, decimal(…)"),
            ),
            (ExprType::Bytes, ExprType::Constant) => self.equals(left, compare, right),
            (ExprType::Constant, ExprType::Bytes) => self.equals(right, compare, left),
            (ExprType::Bytes, ExprType::Bytes) => {
                let (left, right) = (self.source(left), self.source(right));
                let (left, right) = (left?, right?);
                let present =
                    [left.slot, right.slot].map(|slot| Condition::Test(Test::Present(slot)));
                let same =
                    Condition::Test(Test::Bytes { source: left, test: ByteTest::SameAs(right) });
                Some(negate_if(compare, present, same))
            }
        }
    }

    fn equals(&mut self, field: &Expr, compare: Compare, constant: &Expr) -> Option<Condition> {
        let source = self.source(field);
        let bytes = self.constant(constant)?.into_boxed_slice();
        let test = if compare == Compare::Equal {
            ByteTest::Equal(bytes)
        } else {
            ByteTest::NotEqual(bytes)
        };
        Some(Condition::Test(Test::Bytes { source: source?, test }))
    }

    fn peer(&mut self, field: &Expr, compare: Compare) -> Option<Condition> {
        let source = self.source(field)?;
        let present = [Condition::Test(Test::Present(source.slot))];
        let same = Condition::Test(Test::Bytes { source, test: ByteTest::IsPeer });
        Some(negate_if(compare, present, same))
    }

    fn bytes_relation(
        &mut self,
        left: &Expr,
        relation: Relation,
        right: &Expr,
    ) -> Option<Condition> {
        let source = self.source(left);
        let (ExprKind::Text(..) | ExprKind::Octets(_)) = &right.kind else {
            return self.complain(Complaint::new(
                right.at,
                format!("`{}` takes a string in quotes on its right", relation.word()),
            ));
        };
        let bytes = self.constant(right)?;
        let compiled = match relation {
            Relation::Contains => pattern::literal(&bytes, false).map(ByteTest::Contains),
            Relation::Matches => {
                let raw = matches!(right.kind, ExprKind::Text(_, true));
                let text = pattern::regex_text(&bytes, raw);
                // Wireshark's `matches` ignores case; `(?-i)` turns that off.
                pattern::regex(&text, true).map(ByteTest::Matches)
            }
            Relation::StartsWith => Ok(ByteTest::StartsWith(bytes.into())),
            Relation::EndsWith => Ok(ByteTest::EndsWith(bytes.into())),
            Relation::Equal
            | Relation::NotEqual
            | Relation::Less
            | Relation::LessOrEqual
            | Relation::Greater
            | Relation::GreaterOrEqual => return None,
        };
        match compiled {
            Ok(test) => Some(Condition::Test(Test::Bytes { source: source?, test })),
            Err((message, help)) => {
                self.complain(Complaint { help, ..Complaint::new(right.at, message) })
            }
        }
    }

    fn member(&mut self, left: &Expr, members: &[Member]) -> Option<Condition> {
        if self.unknown(left) {
            return None;
        }
        if self.type_of(left) == ExprType::Number {
            let operand = self.number(left);
            let mut ranges = Vec::new();
            for member in members {
                let low = self.constant_number(&member.low);
                let high = match &member.high {
                    Some(high) => self.constant_number(high),
                    None => low,
                };
                let (Some(low), Some(high)) = (low, high) else { continue };
                if high < low {
                    self.complaints.push(Complaint::new(
                        member.low.at,
                        format!("the range {low}..{high} is empty"),
                    ));
                    continue;
                }
                self.in_range(left, &member.low);
                ranges.push((low, high));
            }
            ranges.sort_unstable();
            return Some(Condition::Test(Test::NumberIn {
                operand: operand?,
                ranges: ranges.into(),
            }));
        }
        let source = self.source(left);
        let mut values = Vec::new();
        for member in members {
            if let Some(high) = &member.high {
                self.complaints
                    .push(Complaint::new(high.at, "ranges are for numbers, this field is text"));
                continue;
            }
            values.extend(self.constant(&member.low).map(Vec::into_boxed_slice));
        }
        Some(Condition::Test(Test::Bytes { source: source?, test: ByteTest::In(values.into()) }))
    }

    /// Complains about a constant that a field cannot hold.
    fn in_range(&mut self, left: &Expr, right: &Expr) -> Option<()> {
        for (field, constant) in [(left, right), (right, left)] {
            let (ExprKind::Field(name, _), ExprKind::Number(number)) =
                (&field.kind, &constant.kind)
            else {
                continue;
            };
            let Some((_, def)) = self.context.protocol.field(name) else { continue };
            let largest = names::largest(def.kind);
            if *number > largest {
                return self.complain(Complaint::new(
                    constant.at,
                    format!("`{name}` is never {number}: its largest value is {largest}"),
                ));
            }
        }
        Some(())
    }

    fn constant_number(&mut self, expr: &Expr) -> Option<u64> {
        match &expr.kind {
            ExprKind::Number(number) => Some(*number),
            ExprKind::Truth(truth) => Some(u64::from(*truth)),
            _ => self.complain(Complaint::new(expr.at, "expected a number")),
        }
    }

    fn constant(&mut self, expr: &Expr) -> Option<Vec<u8>> {
        match &expr.kind {
            ExprKind::Text(bytes, _) | ExprKind::Octets(bytes) => Some(bytes.clone()),
            ExprKind::Number(number) => self.complain(
                Complaint::new(expr.at, "expected a string, found a number")
                    .help(format!("write \"{number}\"")),
            ),
            _ => self.complain(Complaint::new(expr.at, "expected a string in double quotes")),
        }
    }

    fn arguments<'e, const N: usize>(
        &mut self,
        name: &str,
        at: TextRange,
        arguments: &'e [Expr],
    ) -> Option<[&'e Expr; N]> {
        let list: Vec<&Expr> = arguments.iter().collect();
        let found = list.len();
        match <[&Expr; N]>::try_from(list) {
            Ok(array) => Some(array),
            Err(_) => self.complain(Complaint::new(
                at,
                format!(
                    "{name}() takes {N} argument{}, found {found}",
                    if N == 1 { "" } else { "s" }
                ),
            )),
        }
    }

    fn plain_field(&mut self, expr: &Expr, name: &str) -> Option<(Slot, &'static FieldDef)> {
        if let ExprKind::Field(..) = expr.kind {
            return self.field(expr);
        }
        self.complain(Complaint::new(expr.at, format!("{name}() takes a field")))
    }
}

/// `!=` between fields, and with the peer: all are there, and they differ.
fn negate_if<const N: usize>(
    compare: Compare,
    present: [Condition; N],
    same: Condition,
) -> Condition {
    if compare == Compare::Equal {
        return same;
    }
    let mut all = Vec::from(present);
    all.push(Condition::Not(Box::new(same)));
    Condition::All(all.into())
}
