//! From tokens to a tree. Precedence is Wireshark's: `or`, `and`, `not`, comparison, `&`, `+ -`,
//! `*`.

use super::lexer::{Complaint, Token, tokens};
use super::tree::{Arithmetic, Expr, ExprKind, Member, Relation, Slice, TextRange};

/// Deeper trees than people write; the engine walks them recursively.
const DEPTH_MAX: usize = 24;

/// Members of one set.
const MEMBERS_MAX: usize = 1024;

pub(super) fn parse(text: &str) -> Result<Expr, Complaint> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        (Token::End, _) => Ok(expr),
        (token, at) => {
            let complaint = Complaint::new(
                *at,
                format!("expected `and`, `or` or the end, found {}", token.describe()),
            );
            Err(match token {
                Token::Word(word) if matches!(word.as_str(), "xor") => {
                    complaint.help("there is no xor: write it with and, or, not")
                }
                _ => complaint,
            })
        }
    }
}

struct Parser {
    tokens: Vec<(Token, TextRange)>,
    at: usize,
    depth: usize,
}

const END: &(Token, TextRange) = &(Token::End, (0, 0));

impl Parser {
    fn peek(&self) -> &(Token, TextRange) {
        self.tokens.get(self.at).or(self.tokens.last()).unwrap_or(END)
    }

    fn next(&mut self) -> (Token, TextRange) {
        let token = self.peek().clone();
        self.at = self.at.saturating_add(1);
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().0, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek().0, Token::Sign(found) if found == sign)
    }

    fn eat(&mut self, word: &str, sign: &str) -> bool {
        let found = self.is_word(word) || self.is_sign(sign);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn expect(&mut self, sign: &'static str, after: &str) -> Result<TextRange, Complaint> {
        let (token, at) = self.next();
        if token == Token::Sign(sign) {
            return Ok(at);
        }
        Err(Complaint::new(at, format!("expected `{sign}` {after}, found {}", token.describe())))
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Complaint>,
    ) -> Result<T, Complaint> {
        if self.depth >= DEPTH_MAX {
            return Err(Complaint::new(self.peek().1, "nested too deeply"));
        }
        self.depth = self.depth.saturating_add(1);
        let result = inner(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    fn or(&mut self) -> Result<Expr, Complaint> {
        self.deeper(|this| {
            let mut sides = vec![this.and()?];
            while this.eat("or", "||") {
                sides.push(this.and()?);
            }
            Ok(joined(sides, ExprKind::Or))
        })
    }

    fn and(&mut self) -> Result<Expr, Complaint> {
        let mut sides = vec![self.not()?];
        while self.eat("and", "&&") {
            sides.push(self.not()?);
        }
        Ok(joined(sides, ExprKind::And))
    }

    fn not(&mut self) -> Result<Expr, Complaint> {
        let (_, (start, _)) = *self.peek();
        if self.eat("not", "!") {
            let inner = self.deeper(Self::not)?;
            return Ok(Expr { at: (start, inner.at.1), kind: ExprKind::Not(Box::new(inner)) });
        }
        self.comparison()
    }

    fn relation(&mut self) -> Option<Relation> {
        let relation = match &self.peek().0 {
            Token::Sign("==") => Relation::Equal,
            Token::Sign("!=") => Relation::NotEqual,
            Token::Sign("<") => Relation::Less,
            Token::Sign("<=") => Relation::LessOrEqual,
            Token::Sign(">") => Relation::Greater,
            Token::Sign(">=") => Relation::GreaterOrEqual,
            Token::Sign("~") => Relation::Matches,
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "eq" => Relation::Equal,
                "ne" => Relation::NotEqual,
                "lt" => Relation::Less,
                "le" => Relation::LessOrEqual,
                "gt" => Relation::Greater,
                "ge" => Relation::GreaterOrEqual,
                "contains" => Relation::Contains,
                "matches" => Relation::Matches,
                "starts_with" => Relation::StartsWith,
                "ends_with" => Relation::EndsWith,
                _ => return None,
            },
            Token::Sign(_) | Token::Number(_) | Token::Text(..) | Token::Octets(_) | Token::End => {
                return None;
            }
        };
        self.at = self.at.saturating_add(1);
        Some(relation)
    }

    fn comparison(&mut self) -> Result<Expr, Complaint> {
        let left = self.bit_and()?;
        if let Some(relation) = self.relation() {
            let right = self.bit_and()?;
            let at = (left.at.0, right.at.1);
            let (_, next) = *self.peek();
            if self.relation().is_some() {
                return Err(Complaint::new(next, "comparisons do not chain")
                    .help("write `a < b and b < c`"));
            }
            let kind = ExprKind::Compare(Box::new(left), relation, Box::new(right));
            return Ok(Expr { at, kind });
        }
        let negated = self.is_word("not")
            && matches!(self.tokens.get(self.at.saturating_add(1)),
                Some((Token::Word(word), _)) if word.eq_ignore_ascii_case("in"));
        if negated {
            self.at = self.at.saturating_add(1);
        }
        if self.eat("in", "in") {
            let (members, end) = self.set()?;
            let at = (left.at.0, end);
            return Ok(Expr { at, kind: ExprKind::In(Box::new(left), members, negated) });
        }
        Ok(left)
    }

    fn set(&mut self) -> Result<(Vec<Member>, usize), Complaint> {
        let (open, _) = self.expect("{", "after `in`")?;
        let mut members = Vec::new();
        loop {
            if members.len() >= MEMBERS_MAX {
                return Err(Complaint::new(
                    self.peek().1,
                    format!("more than {MEMBERS_MAX} members"),
                ));
            }
            let low = self.unit()?;
            let high = if self.eat("..", "..") { Some(self.unit()?) } else { None };
            members.push(Member { low, high });
            let (token, at) = self.next();
            match token {
                Token::Sign(",") => {}
                Token::Sign("}") => return Ok((members, at.1)),
                Token::End => {
                    return Err(Complaint::new((open, at.1), "this set has no closing `}`"));
                }
                other => {
                    return Err(Complaint::new(
                        at,
                        format!("expected `,` or `}}` in the set, found {}", other.describe()),
                    )
                    .help("members are separated by commas: {80, 8000..8080}"));
                }
            }
        }
    }

    fn bit_and(&mut self) -> Result<Expr, Complaint> {
        self.binary(Self::sum, &[("&", Arithmetic::And)])
    }

    fn sum(&mut self) -> Result<Expr, Complaint> {
        self.binary(Self::product, &[("+", Arithmetic::Add), ("-", Arithmetic::Sub)])
    }

    fn product(&mut self) -> Result<Expr, Complaint> {
        self.binary(Self::unit, &[("*", Arithmetic::Mul)])
    }

    fn binary(
        &mut self,
        inner: fn(&mut Self) -> Result<Expr, Complaint>,
        signs: &[(&'static str, Arithmetic)],
    ) -> Result<Expr, Complaint> {
        let mut left = inner(self)?;
        let mut links = 0_usize;
        while let Some((_, arithmetic)) = signs.iter().find(|(sign, _)| self.is_sign(sign)) {
            // A chain leans to the left, one level of tree a link.
            links = links.saturating_add(1);
            if links > DEPTH_MAX {
                return Err(Complaint::new(self.peek().1, "too long a sum"));
            }
            self.at = self.at.saturating_add(1);
            let right = inner(self)?;
            left = Expr {
                at: (left.at.0, right.at.1),
                kind: ExprKind::Arithmetic(Box::new(left), *arithmetic, Box::new(right)),
            };
        }
        Ok(left)
    }

    fn unit(&mut self) -> Result<Expr, Complaint> {
        let mut expr = self.primary()?;
        let mut slices = 0_usize;
        while self.is_sign("[") {
            slices = slices.saturating_add(1);
            if slices > DEPTH_MAX {
                return Err(Complaint::new(self.peek().1, "too many slices"));
            }
            self.at = self.at.saturating_add(1);
            expr = self.bracket(expr)?;
        }
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, Complaint> {
        let (token, at) = self.next();
        let kind = match token {
            Token::Number(number) => ExprKind::Number(number),
            Token::Text(bytes, raw) => ExprKind::Text(bytes, raw),
            Token::Octets(bytes) => ExprKind::Octets(bytes),
            Token::Sign("(") => {
                let inner = self.or()?;
                let (_, end) = self.expect(")", "to match `(`")?;
                return Ok(Expr { at: (at.0, end), kind: inner.kind });
            }
            Token::Sign("{") => {
                return Err(Complaint::new(at, "a set stands after `in` only"));
            }
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => ExprKind::Truth(true),
                "false" => ExprKind::Truth(false),
                "peer" => ExprKind::Peer,
                "and" | "or" | "not" | "in" | "contains" | "matches" | "eq" | "ne" | "lt"
                | "le" | "gt" | "ge" | "starts_with" | "ends_with" => {
                    return Err(Complaint::new(
                        at,
                        format!("expected a field or value, found `{word}`"),
                    ));
                }
                _ if self.is_sign("(") => return self.call(word, at),
                _ => ExprKind::Field(word, None),
            },
            other => {
                return Err(Complaint::new(
                    at,
                    format!("expected a field or value, found {}", other.describe()),
                ));
            }
        };
        Ok(Expr { at, kind })
    }

    fn call(&mut self, name: String, at: TextRange) -> Result<Expr, Complaint> {
        self.deeper(|this| {
            this.at = this.at.saturating_add(1);
            let mut arguments = Vec::new();
            if this.is_sign(")") {
                let (_, end) = this.next().1;
                return Ok(Expr { at: (at.0, end), kind: ExprKind::Call(name, at, arguments) });
            }
            loop {
                arguments.push(this.or()?);
                if this.eat(",", ",") {
                    continue;
                }
                let (_, end) = this.expect(")", "after the arguments")?;
                return Ok(Expr { at: (at.0, end), kind: ExprKind::Call(name, at, arguments) });
            }
        })
    }

    /// After `[`: a key, or a slice.
    fn bracket(&mut self, inner: Expr) -> Result<Expr, Complaint> {
        if let (Token::Text(key, _), at) = self.peek().clone() {
            self.at = self.at.saturating_add(1);
            let (_, end) = self.expect("]", "after the key")?;
            return match inner.kind {
                ExprKind::Field(name, None) => {
                    Ok(Expr { at: (inner.at.0, end), kind: ExprKind::Field(name, Some((key, at))) })
                }
                _ => Err(Complaint::new(at, "only a field takes a key")),
            };
        }
        let slice = self.slice()?;
        let (_, end) = self.expect("]", "after the slice")?;
        Ok(Expr { at: (inner.at.0, end), kind: ExprKind::Slice(Box::new(inner), slice) })
    }

    /// Wireshark's slices: `[i]` one byte, `[i:n]` n bytes from i, `[i-j]` both ends included,
    /// `[:n]`, `[i:]`.
    fn slice(&mut self) -> Result<Slice, Complaint> {
        if self.eat(":", ":") {
            let length = self.offset()?;
            return Ok(Slice { start: 0, end: Some(self.positive(length)?) });
        }
        let start = self.offset()?;
        if self.eat(":", ":") {
            if self.is_sign("]") {
                return Ok(Slice { start, end: None });
            }
            let length = self.offset()?;
            let length = self.positive(length)?;
            let end = start.saturating_add(length);
            // `[-4:4]` ends where the field ends, and so does anything that would reach past it.
            return Ok(Slice { start, end: (start >= 0 || end < 0).then_some(end) });
        }
        if self.eat("-", "-") {
            let (_, at) = *self.peek();
            let last = self.offset()?;
            if start >= 0 && last < start {
                return Err(Complaint::new(at, "this slice ends before it begins"));
            }
            let end = last.saturating_add(1);
            return Ok(Slice { start, end: (end != 0).then_some(end) });
        }
        let end = start.saturating_add(1);
        Ok(Slice { start, end: (end != 0).then_some(end) })
    }

    fn positive(&self, length: i32) -> Result<i32, Complaint> {
        if length > 0 {
            return Ok(length);
        }
        let at = self.tokens.get(self.at.saturating_sub(1)).unwrap_or(END).1;
        Err(Complaint::new(at, "a slice has at least one byte"))
    }

    fn offset(&mut self) -> Result<i32, Complaint> {
        let negative = self.eat("-", "-");
        let (token, at) = self.next();
        let number = match token {
            Token::Number(number) => i32::try_from(number).ok(),
            _ => None,
        };
        let Some(number) = number else {
            return Err(Complaint::new(
                at,
                format!("expected an offset or a key in quotes, found {}", token.describe()),
            )
            .help("slices are [i], [i:n] (n bytes from i), [i-j], [:n], [i:]"));
        };
        Ok(if negative { number.saturating_neg() } else { number })
    }
}

fn joined(mut sides: Vec<Expr>, kind: fn(Vec<Expr>) -> ExprKind) -> Expr {
    match (sides.len(), sides.first(), sides.last()) {
        (2.., Some(first), Some(last)) => Expr { at: (first.at.0, last.at.1), kind: kind(sides) },
        _ => sides.pop().unwrap_or(Expr { at: (0, 0), kind: ExprKind::Truth(true) }),
    }
}
