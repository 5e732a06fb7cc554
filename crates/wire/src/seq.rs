//! A position in TCP's circular sequence space.

/// A position in TCP's 32-bit circular sequence space (RFC 9293 section 3.4).
///
/// It has no `Ord` and no `-`. Points on a circle have no total order, and a subtraction that
/// panics is an off-switch in the attacker's hand. Ask [`Seq::distance_from`] instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seq(u32);

impl Seq {
    /// From the header's number.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// The header's number.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// `bytes` further on.
    #[must_use]
    pub const fn advance(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// `bytes` back.
    #[must_use]
    pub const fn retreat(self, bytes: u32) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }

    /// How far `self` lies after `base`; negative when before. Exact while the two are less than 2
    /// GiB apart, which TCP's window rules guarantee.
    pub const fn distance_from(self, base: Self) -> i32 {
        self.0.wrapping_sub(base.0).cast_signed()
    }

    /// `self` lies before `other`.
    pub const fn is_before(self, other: Self) -> bool {
        self.distance_from(other) < 0
    }

    /// `self` lies after `other`.
    pub const fn is_after(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }

    /// The one that lies further on.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The one that lies further back.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.is_after(other) { other } else { self }
    }

    /// How many bytes `self` lies after `base`; 0 when it lies before.
    pub const fn bytes_after(self, base: Self) -> u32 {
        let distance = self.distance_from(base);
        if distance > 0 { distance.unsigned_abs() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Seq;

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4
    //= type=test
    #[test]
    fn distances_cross_the_wrap() {
        let before = Seq::new(u32::MAX - 9);
        let after = before.advance(20);
        assert_eq!(after.raw(), 10);
        assert_eq!(after.distance_from(before), 20);
        assert_eq!(before.distance_from(after), -20);
        assert!(before.is_before(after) && after.is_after(before));
        assert_eq!(before.max(after), after);
        assert_eq!(before.min(after), before);
        assert_eq!(before.bytes_after(after), 0);
        assert_eq!(after.retreat(20), before);
    }

    #[test]
    fn opposite_points_do_not_panic() {
        let a = Seq::new(0);
        let b = Seq::new(1 << 31);
        assert_eq!(a.distance_from(b), i32::MIN);
        assert_eq!(b.distance_from(a), i32::MIN);
    }
}
