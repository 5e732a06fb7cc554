//! Which stage of the journey a core's time goes to, measured in one burst of many.
//!
//! Holds:     the [`JourneyStage`]s, and when the next burst is measured.
//! Promises:  a burst that is not measured costs a few instructions, and looks at no counter of
//!            cycles; nothing is decided by what is measured.
//! Never:     reads a clock of its own: [`Nic::cycles`] is what the port's driver runs by, and
//!            stands still where it has none.

use crate::counters::{CoreCounters, wide};
use crate::nic::Nic;

/// Bursts from one that is measured to the next. Odd, and prime: a core's lanes come by in turns,
/// and every one is to be seen.
const BURSTS_A_SAMPLE: u32 = 61;

/// What a burst passes as a whole; a frame's steps inside one are not told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JourneyStage {
    /// Step 1.
    Receive,
    /// Steps 2 and 3, and asking for what the connections' look-ups will read.
    Classify,
    /// Steps 4 to 9.
    Patch,
    /// Step 10.
    Transmit,
}

impl JourneyStage {
    /// In order.
    pub const ALL: [Self; 4] = [Self::Receive, Self::Classify, Self::Patch, Self::Transmit];

    /// As `/metrics` names it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Classify => "classify",
            Self::Patch => "patch",
            Self::Transmit => "transmit",
        }
    }
}

/// When the next burst is measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sampling {
    /// Bursts that go by before that.
    before: u32,
}

impl Sampling {
    /// A lane is about to be asked for a burst.
    #[inline]
    pub(crate) fn begin(self, nic: &mut impl Nic) -> StageTimer {
        let on = self.before == 0;
        StageTimer { on, since: if on { nic.cycles() } else { 0 } }
    }

    /// So many frames came: a poll that found none is not a burst, and the next one is measured in
    /// its stead.
    #[inline]
    pub(crate) fn came(&mut self, frames: usize, timer: &mut StageTimer, counters: &CoreCounters) {
        if frames == 0 {
            timer.on = false;
            return;
        }
        self.before = if timer.on { BURSTS_A_SAMPLE } else { self.before }.wrapping_sub(1);
        if timer.on {
            counters.stage_packets.add(wide(frames));
        }
    }
}

/// A burst's time so far.
#[derive(Debug)]
pub(crate) struct StageTimer {
    on: bool,
    since: u64,
}

impl StageTimer {
    /// This burst is measured: its stages are to be done one after the other.
    pub(crate) const fn is_measured(&self) -> bool {
        self.on
    }

    /// The whole burst is through `stage`.
    #[inline]
    pub(crate) fn end(&mut self, stage: JourneyStage, nic: &mut impl Nic, counters: &CoreCounters) {
        if self.on {
            let now = nic.cycles();
            // The counter of a virtual machine that was moved may step back.
            counters.stage(stage).add(now.saturating_sub(self.since));
            self.since = now;
        }
    }
}
