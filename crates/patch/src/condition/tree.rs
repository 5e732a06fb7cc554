//! A parsed condition, not typed yet. Every node knows its bytes of the text.

/// `start..end` in the condition's text.
pub(super) type TextRange = (usize, usize);

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) at: TextRange,
    pub(super) kind: ExprKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExprKind {
    /// `a and b and c`.
    And(Vec<Expr>),
    /// `a or b`.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// Two sides and the relation between them.
    Compare(Box<Expr>, Relation, Box<Expr>),
    /// `a in {…}`; the flag is `not in`.
    In(Box<Expr>, Vec<Member>, bool),
    /// Integer arithmetic.
    Arithmetic(Box<Expr>, Arithmetic, Box<Expr>),
    /// A field, with its key.
    Field(String, Option<(Vec<u8>, TextRange)>),
    /// `name(a, b)`; the range is the name's.
    Call(String, TextRange, Vec<Expr>),
    /// Something with `[…]` behind it.
    Slice(Box<Expr>, Slice),
    Number(u64),
    /// `"…"`; the flag says raw (`r"…"`).
    Text(Vec<u8>, bool),
    /// `0a:0b`.
    Octets(Vec<u8>),
    /// `true` or `false`.
    Truth(bool),
    /// The peer's address.
    Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    Matches,
    StartsWith,
    EndsWith,
}

impl Relation {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    And,
}

/// One member of a set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) low: Expr,
    /// `low..high`, both included.
    pub(super) high: Option<Expr>,
}

/// Bytes `start..end`, as `plan::ByteStep::Slice` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: i32,
    pub(super) end: Option<i32>,
}
