//! How cores take up a new plan: between bursts and without a lock. The control thread frees old
//! plans.
//!
//! Holds:     [`Publisher`], the control thread's end; [`Subscriber`], one core's end.
//! Promises:  with nothing new, [`Subscriber::refresh`] is one load and a compare. A core never
//!            frees a plan, because the publisher keeps a reference to each until no core has one.
//!            A subscriber keeps the plan before the current one, so that a flow in the middle of a
//!            field can finish on the tables it began with.
//! Never:     blocks a core: where the lock is taken at that moment, the core looks again at its
//!            next burst.
//!
//! The type is generic because cores share more than the plan: `datapath` puts the counters that
//! are laid out by a plan's patches beside it, so that a core takes up and lets go of both
//! together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The control thread's end.
#[derive(Debug)]
pub struct Publisher<T> {
    generation: Generation,
    published: Mutex<Published<T>>,
}

/// Every core reads it once a burst; only reloads write it. It is alone on its cache lines. Scrapes
/// write the lock and the reference counts beside it, and must not take it out of the cores'
/// caches.
#[derive(Debug)]
#[repr(align(128))]
struct Generation(AtomicU64);

#[derive(Debug)]
struct Published<T> {
    latest: Arc<T>,
    /// Some core may still hold these.
    retired: Vec<Arc<T>>,
}

impl<T> Publisher<T> {
    /// Makes `first` active.
    pub fn new(first: T) -> Self {
        let published = Published { latest: Arc::new(first), retired: Vec::new() };
        Self { generation: Generation(AtomicU64::new(1)), published: Mutex::new(published) }
    }

    /// Makes `next` active. Every core takes it up at its next burst.
    pub fn publish(&self, next: T) {
        let mut published = self.published();
        let old = core::mem::replace(&mut published.latest, Arc::new(next));
        published.retired.push(old);
        self.generation.0.fetch_add(1, Ordering::Release);
    }

    /// The active one.
    pub fn latest(&self) -> Arc<T> {
        Arc::clone(&self.published().latest)
    }

    /// Shows the latest and every retired one that is not yet reclaimed, oldest first.
    pub fn each(&self, mut show: impl FnMut(&T)) {
        let published = self.published();
        published.retired.iter().chain([&published.latest]).for_each(|held| show(held));
    }

    /// Gives back what no core holds any more. The caller folds its counters and frees its memory.
    pub fn reclaim(&self, mut take: impl FnMut(T)) {
        let mut published = self.published();
        let retired = core::mem::take(&mut published.retired);
        for held in retired {
            match Arc::try_unwrap(held) {
                Ok(free) => take(free),
                Err(held) => published.retired.push(held),
            }
        }
    }

    /// How many retired ones some core still holds.
    pub fn retired(&self) -> usize {
        self.published().retired.len()
    }

    /// Cores only read what is published, so a panic under the lock cannot have left it half
    /// changed.
    fn published(&self) -> MutexGuard<'_, Published<T>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One core's end.
#[derive(Debug)]
pub struct Subscriber<T> {
    publisher: Arc<Publisher<T>>,
    seen: u64,
    current: Arc<T>,
    previous: Option<Arc<T>>,
}

impl<T> Subscriber<T> {
    /// Starts on the active one. Called before the core runs.
    pub fn new(publisher: Arc<Publisher<T>>) -> Self {
        // Loaded before the lock is taken: the core takes a plan that is published in between up
        // twice, and never misses it.
        let seen = publisher.generation.0.load(Ordering::Acquire);
        let current = publisher.latest();
        Self { publisher, seen, current, previous: None }
    }

    /// Called once a burst, never inside one: a burst uses a single plan. `true`: the core took up
    /// a new one.
    pub fn refresh(&mut self) -> bool {
        let generation = self.publisher.generation.0.load(Ordering::Acquire);
        if generation == self.seen {
            return false;
        }
        let Ok(published) = self.publisher.published.try_lock() else { return false };
        self.seen = generation;
        if Arc::ptr_eq(&published.latest, &self.current) {
            return false;
        }
        let old = core::mem::replace(&mut self.current, Arc::clone(&published.latest));
        self.previous = Some(old);
        true
    }

    /// The plan of this burst.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// The plan before it, until [`Self::forget_previous`].
    pub fn previous(&self) -> Option<&T> {
        self.previous.as_deref()
    }

    /// No flow of this core needs the previous plan any more: gives it back to the publisher.
    pub fn forget_previous(&mut self) {
        self.previous = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_takes_up_the_latest_and_keeps_the_one_before() {
        let publisher = Arc::new(Publisher::new(1));
        let mut reader = Subscriber::new(Arc::clone(&publisher));
        assert_eq!((*reader.current(), reader.previous()), (1, None));
        assert!(!reader.refresh());
        publisher.publish(2);
        assert_eq!(*reader.current(), 1, "only refresh changes it");
        assert!(reader.refresh());
        assert_eq!((*reader.current(), reader.previous()), (2, Some(&1)));
        publisher.publish(3);
        publisher.publish(4);
        assert!(reader.refresh());
        assert_eq!((*reader.current(), reader.previous()), (4, Some(&2)));
    }

    #[test]
    fn the_generation_is_alone_on_its_lines() {
        assert_eq!((align_of::<Generation>(), size_of::<Generation>()), (128, 128));
    }

    #[test]
    fn what_a_core_holds_is_not_reclaimed() {
        let publisher = Arc::new(Publisher::new(1));
        let mut reader = Subscriber::new(Arc::clone(&publisher));
        publisher.publish(2);
        publisher.publish(3);
        let reclaim = || {
            let mut taken = Vec::new();
            publisher.reclaim(|old| taken.push(old));
            taken
        };
        assert_eq!(reclaim(), [2], "the reader holds 1; nobody took up 2");
        reader.refresh();
        assert_eq!(reclaim(), [] as [i32; 0], "1 is the reader's previous");
        reader.forget_previous();
        assert_eq!(reclaim(), [1]);
        assert_eq!(publisher.retired(), 0);
        let mut all = Vec::new();
        publisher.each(|held| all.push(*held));
        assert_eq!(all, [3]);
    }

    #[test]
    fn a_reader_never_frees_while_many_plans_are_published() {
        let publisher = Arc::new(Publisher::new(0_u64));
        let core = {
            let mut reader = Subscriber::new(Arc::clone(&publisher));
            std::thread::spawn(move || {
                let mut last = 0;
                while last < 1_000 {
                    reader.refresh();
                    assert!(*reader.current() >= last, "generations only rise");
                    last = *reader.current();
                }
            })
        };
        let mut freed = 0_u64;
        for generation in 1..=1_000 {
            publisher.publish(generation);
            publisher.reclaim(|_| freed += 1);
        }
        core.join().unwrap();
        publisher.reclaim(|_| freed += 1);
        assert_eq!(freed, 1_000, "all but the latest came back to the control thread");
    }
}
