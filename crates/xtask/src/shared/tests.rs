use super::*;

/// The complaints about one file, taken for `crates/{shown}`. Rows of other files are missing
/// then, and the result leaves those complaints out.
fn complaints_of(shown: &str, text: &str) -> Vec<String> {
    let mut held = Held::default();
    held.file(shown, &syn::parse_file(text).unwrap());
    held.complaints
}

#[test]
fn a_new_atomic_has_to_be_named() {
    let text = "struct Flow { seen: core::sync::atomic::AtomicU64 }";
    let [complaint] = &complaints_of("flow/src/new.rs", text)[..] else { panic!("one complaint") };
    assert!(complaint.contains("Flow.seen (AtomicU64)"), "{complaint}");
    assert!(complaint.contains("say there who writes it"), "{complaint}");
    for text in [
        "static SEEN: AtomicBool = AtomicBool::new(false);",
        "static mut SEEN: u64 = 0;",
        "struct Flow(Box<[Option<Arc<u8>>]>);",
        "enum Flow { Seen(Mutex<u8>) }",
        "struct Flow { seen: Cell }",
        "type Seen = RwLock<u8>;",
        "thread_local! { static SEEN: AtomicU64 = const { AtomicU64::new(0) }; }",
        "mod inner { struct Flow { seen: OnceLock<u8> } }",
    ] {
        assert_eq!(complaints_of("flow/src/new.rs", text).len(), 1, "{text}");
    }
    for text in [
        "struct Flow { seen: std::cell::Cell<u64> }",
        "struct Flow { atom: Atom, cells: Vec<CoreCounters> }",
        "#[cfg(test)] mod tests { static SEEN: AtomicBool = AtomicBool::new(false); }",
        "use std::sync::Arc; fn f(shared: &Arc<u8>) -> &u8 { shared }",
    ] {
        assert_eq!(complaints_of("flow/src/new.rs", text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn what_is_to_have_lines_of_its_own_says_so() {
    let generation = "#[repr(align(128))] struct Generation(AtomicU64);";
    assert_eq!(complaints_of("plan/src/publish.rs", generation), [] as [&str; 0]);
    for text in
        ["struct Generation(AtomicU64);", "#[repr(align(64))] struct Generation(AtomicU64);"]
    {
        let complaints = complaints_of("plan/src/publish.rs", text);
        assert!(complaints[0].contains("is missing"), "{complaints:?}");
    }
    // Cells only: an atomic of another kind beside them has to be named.
    let beside = "#[repr(align(128))] struct CoreCounters { turns: Cell, other: AtomicU64 }";
    assert_eq!(complaints_of("datapath/src/counters.rs", beside).len(), 1);
}

#[test]
fn nothing_locks_a_line_where_packets_pass() {
    for (text, complaints) in [
        ("fn f(seen: &AtomicU64) { seen.fetch_add(1, Relaxed); }", 1),
        ("impl Flow { fn f(&self) { self.seen.swap(1, Ordering::AcqRel); } }", 1),
        ("fn f(seen: &AtomicU64) { seen.compare_exchange_weak(1, 2, Relaxed, Relaxed); }", 1),
        ("fn f(held: &Mutex<u8>) { held.lock(); }", 1),
        ("fn f(held: &Arc<u8>) -> Arc<u8> { Arc::clone(held) }", 1),
        ("fn f(seen: &AtomicU64) { seen.store(seen.load(Relaxed) + 1, Relaxed); }", 0),
        ("fn f(slots: &mut [u8]) { slots.swap(1, 2); }", 0),
    ] {
        assert_eq!(complaints_of("flow/src/new.rs", text).len(), complaints, "{text}");
        assert_eq!(complaints_of("telemetry/src/new.rs", text).len(), 0, "{text}");
    }
}

#[test]
fn a_row_that_names_nothing_is_told() {
    let told = Held::default().end();
    assert!(told.len() >= SHARED.len() + CALLS.len(), "{}", told.len());
    assert!(told.iter().all(|told| told.contains("is no more") || told.contains("is to stand in")));
}
