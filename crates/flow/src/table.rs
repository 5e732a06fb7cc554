//! The flow table: which connection a segment belongs to.
//!
//! Holds:     connections by their addresses, ports and VLAN tags, up to a number fixed at the
//!            start.
//! Promises:  a look-up costs a few cache lines however full the table is, and an attacker who
//!            chooses addresses cannot make it cost more: the hash is keyed. A full table refuses a
//!            connection.
//! Never:     allocates after [`Table::new`], or looks at more than a few entries at once to find
//!            idle ones.

use crate::Tick;
use crate::connection::Connection;
use crate::in_flight::Stores;
use stage::position::{index, len32, minus, plus, times};

/// Two segments with the same key belong to the same connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Address of the client, IPv4 mapped into IPv6.
    pub client: [u8; 16],
    /// Address of the server.
    pub server: [u8; 16],
    /// Port of the client.
    pub client_port: u16,
    /// Port of the server.
    pub server_port: u16,
    /// Tells apart networks that use the same addresses (their VLAN tags).
    pub vlan_key: u32,
}

/// Number of a connection in its table; free for another once the connection is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId(u32);

impl FlowId {
    /// The one with this index, which may be free.
    pub fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    /// As an index, for a caller that keeps an array beside the table.
    pub fn index(self) -> usize {
        index(self.0)
    }
}

/// A connection and its key.
#[derive(Debug)]
pub struct Entry {
    key: FlowKey,
    /// Absent: the entry is free.
    connection: Option<Connection>,
}

/// A key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(u64);

/// A bucket of the index: an entry's number plus one, and the upper half of its hash, so that most
/// other entries are never looked at. 0 is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket(u64);

impl Bucket {
    const EMPTY: Self = Self(0);

    fn new(id: u32, hash: u64) -> Self {
        Self((hash & TAG) | u64::from(plus(id, 1)))
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has_tag(self, hash: u64) -> bool {
        (self.0 ^ hash) & TAG == 0
    }

    fn id(self) -> u32 {
        u32::try_from(self.0 & !TAG).unwrap_or(0).wrapping_sub(1)
    }
}

/// Buckets of eight bytes in a cache line.
const BUCKETS_A_LINE: usize = 8;

const TAG: u64 = 0xffff_ffff_0000_0000;

/// All connections of one core.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Open addressing, a power of two, at most half full.
    buckets: Vec<u64>,
    secret: [u64; 2],
    live: u32,
    most: u32,
    /// Where the search for idle connections goes on.
    sweep_cursor: usize,
}

impl Table {
    /// Room for `most` connections. `secret` keys the hash: random, and another on every start.
    pub fn new(most: u32, secret: [u64; 2]) -> Self {
        let buckets = times(index(most).max(1), 2).next_power_of_two();
        Self {
            entries: Vec::with_capacity(index(most)),
            free: Vec::with_capacity(index(most)),
            buckets: vec![0; buckets],
            secret: [secret[0] | 1, secret[1]],
            live: 0,
            most,
            sweep_cursor: 0,
        }
    }

    /// Connections in it.
    pub const fn len(&self) -> u32 {
        self.live
    }

    /// It has none.
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The connection with this key.
    pub fn find(&self, key: &FlowKey) -> Option<FlowId> {
        self.find_hashed(key, self.hash(key))
    }

    /// The same where its hash is known already.
    pub fn find_hashed(&self, key: &FlowKey, KeyHash(hash): KeyHash) -> Option<FlowId> {
        let mut at = self.home(hash);
        loop {
            let bucket = self.bucket(at);
            if bucket.is_empty() {
                return None;
            }
            if bucket.has_tag(hash)
                && self.entries.get(index(bucket.id())).is_some_and(|entry| entry.key == *key)
            {
                return Some(FlowId(bucket.id()));
            }
            at = at.wrapping_add(1) & self.mask();
        }
    }

    /// The bucket that the look-up of a key with this hash reads first, to be prefetched.
    pub fn first_bucket(&self, KeyHash(hash): KeyHash) -> Option<&u64> {
        self.buckets.get(self.home(hash))
    }

    /// The entry that it most likely reads next.
    pub fn likely_entry(&self, KeyHash(hash): KeyHash) -> Option<&Entry> {
        let mut at = self.home(hash);
        // Most look-ups end within the first line of buckets, and only that was prefetched.
        for _ in 0..BUCKETS_A_LINE {
            let bucket = self.bucket(at);
            if bucket.is_empty() {
                break;
            }
            if bucket.has_tag(hash) {
                return self.entries.get(index(bucket.id()));
            }
            at = at.wrapping_add(1) & self.mask();
        }
        None
    }

    /// It has no room.
    pub const fn is_full(&self) -> bool {
        self.live >= self.most
    }

    /// Begins to track a connection that is not there yet. `None`: the table is full.
    pub fn insert(&mut self, key: &FlowKey, connection: Connection) -> Option<FlowId> {
        if self.is_full() {
            return None;
        }
        let KeyHash(hash) = self.hash(key);
        let entry = Entry { key: *key, connection: Some(connection) };
        let id = match self.free.pop() {
            Some(id) => {
                *self.entries.get_mut(index(id))? = entry;
                id
            }
            None => {
                let id = len32(self.entries.len());
                self.entries.push(entry);
                id
            }
        };
        self.live = plus(self.live, 1);
        let mut at = self.home(hash);
        while !self.bucket(at).is_empty() {
            at = at.wrapping_add(1) & self.mask();
        }
        self.set_bucket(at, Bucket::new(id, hash));
        Some(FlowId(id))
    }

    /// The connection.
    pub fn get(&self, id: FlowId) -> Option<&Connection> {
        self.entries.get(id.index())?.connection.as_ref()
    }

    /// The connection, to take a segment.
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut Connection> {
        self.entries.get_mut(id.index())?.connection.as_mut()
    }

    /// Its key.
    pub fn key(&self, id: FlowId) -> Option<&FlowKey> {
        self.entries.get(id.index()).filter(|entry| entry.connection.is_some()).map(|e| &e.key)
    }

    /// Stops tracking it. The caller has called [`Connection::release`].
    pub fn remove(&mut self, id: FlowId) {
        let Some(entry) = self.entries.get_mut(id.index()) else { return };
        if entry.connection.take().is_none() {
            return;
        }
        let key = entry.key;
        let KeyHash(hash) = self.hash(&key);
        self.live = minus(self.live, 1);
        self.free.push(id.0);
        let mut at = self.home(hash);
        while self.bucket(at) != Bucket::new(id.0, hash) {
            if self.bucket(at).is_empty() {
                return;
            }
            at = at.wrapping_add(1) & self.mask();
        }
        self.close_up(at);
    }

    /// Looks at the next `count` entries for connections that were silent for too long (open ones
    /// for `idle_ms`), and names one. To be called until it names none, or so often as time allows.
    pub fn next_expired(&mut self, now: Tick, idle_ms: u32, count: usize) -> Option<FlowId> {
        self.next(count, |connection| connection.is_expired(now, idle_ms))
    }

    /// Looks at the next `count` entries for a connection that may make room for another, and names
    /// one.
    pub fn next_half_open(&mut self, stores: &Stores, now: Tick, count: usize) -> Option<FlowId> {
        self.next(count, |connection| connection.may_make_room(stores, now))
    }

    fn next(&mut self, count: usize, wanted: impl Fn(&Connection) -> bool) -> Option<FlowId> {
        for _ in 0..count.min(self.entries.len()) {
            let at = self.sweep_cursor;
            self.sweep_cursor = plus(at, 1);
            if self.sweep_cursor >= self.entries.len() {
                self.sweep_cursor = 0;
            }
            let found = self.entries.get(at).and_then(|entry| entry.connection.as_ref());
            if found.is_some_and(&wanted) {
                return Some(FlowId(len32(at)));
            }
        }
        None
    }

    /// Every connection, for a caller that shows them.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &FlowKey, &Connection)> {
        self.entries.iter().enumerate().filter_map(|(at, entry)| {
            entry.connection.as_ref().map(|connection| (FlowId(len32(at)), &entry.key, connection))
        })
    }

    /// Moves later buckets of the same run into the hole, so that no look-up ends early.
    fn close_up(&mut self, mut hole: usize) {
        let mut at = hole;
        loop {
            at = at.wrapping_add(1) & self.mask();
            let bucket = self.bucket(at);
            if bucket.is_empty() {
                break;
            }
            // Kept in no entry: a million of them would take eight million bytes.
            let hash =
                self.entries.get(index(bucket.id())).map_or(0, |entry| self.hash(&entry.key).0);
            let from_home = at.wrapping_sub(self.home(hash)) & self.mask();
            let from_hole = at.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                self.set_bucket(hole, bucket);
                hole = at;
            }
        }
        self.set_bucket(hole, Bucket::EMPTY);
    }

    fn mask(&self) -> usize {
        minus(self.buckets.len(), 1)
    }

    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash & !TAG).unwrap_or(0) & self.mask()
    }

    fn bucket(&self, at: usize) -> Bucket {
        self.buckets.get(at).map_or(Bucket::EMPTY, |&bucket| Bucket(bucket))
    }

    fn set_bucket(&mut self, at: usize, bucket: Bucket) {
        if let Some(place) = self.buckets.get_mut(at) {
            *place = bucket.0;
        }
    }

    /// A key's hash in this table. Folded multiplications keyed by the secret: every bit of the key
    /// reaches every bit of the result.
    pub fn hash(&self, key: &FlowKey) -> KeyHash {
        let [first, second] = self.secret;
        let halves = |address: &[u8; 16]| {
            let whole = u128::from_le_bytes(*address);
            let part = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
            (part(whole) ^ first, part(whole >> 64) ^ second)
        };
        let (a, b) = halves(&key.client);
        let client = fold(a, b);
        let (a, b) = halves(&key.server);
        let server = fold(a ^ client, b);
        let ports = (u64::from(key.client_port) << 16) | u64::from(key.server_port);
        let rest = (u64::from(key.vlan_key) << 32) | ports;
        KeyHash(fold(fold(server ^ first, rest ^ second), first))
    }
}

fn fold(a: u64, b: u64) -> u64 {
    // An even distribution needs an odd factor; the sum keeps zero from staying zero.
    let product = u128::from(a.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(u128::from(b));
    let [low, high] = [product & u128::from(u64::MAX), product >> 64];
    u64::try_from(low).unwrap_or(0) ^ u64::try_from(high).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{OPEN_IDLE_MS, TRANSITORY_IDLE_MS};
    use std::collections::HashMap;

    fn key(n: u32) -> FlowKey {
        let mut key = FlowKey { client_port: n as u16, server_port: 80, ..FlowKey::default() };
        key.client[12..].copy_from_slice(&(n / 7).to_be_bytes());
        key
    }

    #[test]
    fn any_history_against_a_map() {
        let mut table = Table::new(300, [0x1234_5678_9abc_def1, 42]);
        let mut model: HashMap<FlowKey, FlowId> = HashMap::new();
        let mut state = 1_u32;
        for _ in 0..50_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = key((state >> 8) % 600);
            match (model.get(&key).copied(), state >> 30) {
                (None, 0..=1) => match table.insert(&key, Connection::new(Tick(0))) {
                    Some(id) => assert!(model.insert(key, id).is_none()),
                    None => assert_eq!(model.len(), 300),
                },
                (Some(id), 2..) => {
                    table.remove(id);
                    model.remove(&key);
                }
                (known, _) => assert_eq!(table.find(&key), known),
            }
            assert_eq!(table.len() as usize, model.len());
        }
        for n in 0..600 {
            assert_eq!(table.find(&key(n)), model.get(&key(n)).copied());
        }
        for (key, id) in &model {
            assert_eq!(table.key(*id), Some(key));
        }
    }

    #[test]
    fn idle_ones_are_found_a_few_at_a_time() {
        let mut table = Table::new(100, [7, 9]);
        for n in 0..100 {
            table.insert(&key(n), Connection::new(Tick(u32::MAX - 10))).unwrap();
        }
        let soon = Tick(1000);
        let late = Tick(TRANSITORY_IDLE_MS);
        assert_eq!(table.next_expired(soon, OPEN_IDLE_MS, 200), None);
        let mut gone = 0;
        while let Some(id) = table.next_expired(late, OPEN_IDLE_MS, 4) {
            table.remove(id);
            gone += 1;
        }
        assert_eq!(gone, 100);
        assert!(table.is_empty());
    }

    #[test]
    fn addresses_that_count_up_spread_over_the_buckets() {
        let mut table = Table::new(1 << 14, [0xdead_beef_1234_5679, 0x0bad_cafe]);
        for n in 0..1 << 14 {
            table.insert(&key(n), Connection::new(Tick(0))).unwrap();
        }
        let run = |start: usize| {
            (start..).take_while(|&at| !table.bucket(at & table.mask()).is_empty()).count()
        };
        let longest = (0..table.buckets.len()).map(run).max().unwrap();
        assert!(longest < 64, "{longest}");
    }
}
