//! Expressions that yield values: numbers, and the bytes of fields.

use plan::{ByteSource, ByteStep, Operand};
use proto::{FieldKind, Slot};

use super::Checker;
use crate::condition::functions::{self, ExprType, Function};
use crate::condition::lexer::Complaint;
use crate::condition::tree::{Arithmetic, Expr, ExprKind, Slice, TextRange};
use crate::pattern;

impl Checker<'_, '_> {
    pub(super) fn number(&mut self, expr: &Expr) -> Option<Operand> {
        match &expr.kind {
            ExprKind::Number(number) => Some(Operand::Constant(*number)),
            ExprKind::Truth(truth) => Some(Operand::Constant(u64::from(*truth))),
            ExprKind::Field(..) => {
                let (slot, def) = self.field(expr)?;
                match def.kind {
                    FieldKind::Uint(_) | FieldKind::Bool => Some(Operand::Field(slot)),
                    FieldKind::Bytes | FieldKind::Text => self.complain(
                        Complaint::new(expr.at, format!("`{}` is text, not a number", def.name))
                            .help(format!(
                                "put the other side in quotes, or take len({0}) or decimal({0})",
                                def.name
                            )),
                    ),
                }
            }
            ExprKind::Arithmetic(left, arithmetic, right) => {
                let (left, right) = (self.number(left), self.number(right));
                let (left, right) = (Box::new(left?), Box::new(right?));
                Some(match arithmetic {
                    Arithmetic::Add => Operand::Add(left, right),
                    Arithmetic::Sub => Operand::Sub(left, right),
                    Arithmetic::Mul => Operand::Mul(left, right),
                    Arithmetic::And => Operand::And(left, right),
                })
            }
            ExprKind::Call(name, at, arguments) => self.number_call(name, *at, arguments),
            ExprKind::Slice(inner, _) if self.type_of(inner) == ExprType::Number => {
                let _ = self.source(expr);
                None
            }
            _ => self.complain(Complaint::new(expr.at, "expected a number")),
        }
    }

    fn number_call(&mut self, name: &str, at: TextRange, arguments: &[Expr]) -> Option<Operand> {
        let Some(row) = functions::find(name, arguments.len()) else {
            let (message, help) = functions::unknown(name);
            return self.complain(Complaint { help, ..Complaint::new(at, message) });
        };
        match row.function {
            Function::Measure(measure) => {
                let [inner] = self.arguments(name, at, arguments)?;
                Some(Operand::Measure(measure, self.source(inner)?))
            }
            Function::CountOf => {
                let [inner, wanted] = self.arguments(name, at, arguments)?;
                let source = self.source(inner);
                let bytes = self.constant(wanted)?;
                match pattern::literal(&bytes, false) {
                    Ok(pattern) => Some(Operand::CountOf(source?, pattern)),
                    Err((message, help)) => {
                        self.complain(Complaint { help, ..Complaint::new(wanted.at, message) })
                    }
                }
            }
            Function::Count => {
                let [field] = self.arguments(name, at, arguments)?;
                let (slot, _) = self.plain_field(field, name)?;
                Some(Operand::Count(slot))
            }
            Function::Text(_) | Function::Class(_) | Function::Duplicate => {
                self.complain(Complaint::new(at, format!("{name}() yields no number")))
            }
        }
    }

    pub(super) fn source(&mut self, expr: &Expr) -> Option<ByteSource> {
        let (slot, steps) = self.steps(expr)?;
        Some(ByteSource { slot, steps: steps.into() })
    }

    fn steps(&mut self, expr: &Expr) -> Option<(Slot, Vec<ByteStep>)> {
        match &expr.kind {
            ExprKind::Field(..) => {
                let (slot, def) = self.field(expr)?;
                match def.kind {
                    FieldKind::Bytes | FieldKind::Text => Some((slot, Vec::new())),
                    FieldKind::Uint(_) | FieldKind::Bool => self.complain(
                        Complaint::new(expr.at, format!("`{}` is a number, not text", def.name))
                            .help("numbers take ==, !=, <, <=, >, >=, in {…} and arithmetic"),
                    ),
                }
            }
            ExprKind::Slice(inner, Slice { start, end }) => {
                let (slot, mut steps) = self.steps(inner)?;
                steps.push(ByteStep::Slice { start: *start, end: *end });
                Some((slot, steps))
            }
            ExprKind::Call(name, at, arguments) => {
                let row = functions::find(name, arguments.len());
                let step = match row.map(|row| row.function) {
                    Some(Function::Text(step)) => step,
                    Some(_) => return self.no_text(name, *at),
                    None => {
                        let (message, help) = functions::unknown(name);
                        return self.complain(Complaint { help, ..Complaint::new(*at, message) });
                    }
                };
                let [inner] = self.arguments(name, *at, arguments)?;
                let (slot, mut steps) = self.steps(inner)?;
                steps.push(step);
                Some((slot, steps))
            }
            _ => self.complain(Complaint::new(expr.at, "expected a field's text")),
        }
    }

    fn no_text<T>(&mut self, name: &str, at: TextRange) -> Option<T> {
        let texts: Vec<_> = functions::names(Some(ExprType::Bytes))
            .into_iter()
            .map(|name| format!("{name}()"))
            .collect();
        self.complain(
            Complaint::new(at, format!("{name}() yields no text"))
                .help(format!("text comes from a field, {} or a slice", texts.join(", "))),
        )
    }
}
