# Two commands do everything: `make demo` and `make test`. Both install what they need.

CARGO ?= cargo

.PHONY: demo test check book deps build lint unit sim system clean bench-check bench-record bench-page bench-rates fuzz

demo: deps
	$(CARGO) build --release --locked -p wirepatch
	./deploy/demo.sh

test: deps lint unit sim build bench-check system

# Before a change is shown to anyone: the format, the lints, and the unit tests of the crates that
# changed since BASE and of their dependants. Three minutes.
BASE ?= origin/main
check:
	$(CARGO) run -q --locked -p xtask -- check $(BASE)

# README.md and docs/ as one site with a search: target/book/book/index.html.
MDBOOK = $(or $(shell command -v mdbook),target/tools/bin/mdbook)
book:
	$(CARGO) run -q --locked -p xtask -- book
	test -x $(MDBOOK) || $(CARGO) install --locked --root target/tools mdbook
	$(MDBOOK) build target/book

deps:
	./deploy/install-packages.sh

build:
	$(CARGO) build --release --locked -p wirepatch

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy -p wirepatch --no-default-features --locked -- -D warnings
	$(CARGO) run -q --locked -p xtask -- tidy

unit:
	$(CARGO) test --workspace --locked

# Connections between two stacks with the box between them: a few seeds that stay, and others every time.
sim:
	$(CARGO) run -q --release --locked -p sim -- --seeds 0..2000
	$(CARGO) run -q --release --locked -p sim -- --fresh 4000

system:
	python3 crates/wirepatch/tests/system/run.py

# Instructions a packet, counted under valgrind, against benches/record/.
bench-check:
	$(CARGO) run -q --release --locked -p benches -- --check

bench-record:
	$(CARGO) run -q --release --locked -p benches -- --record

# Rates, ratios, latencies, two cores, and the reverse proxies beside us: half an hour, on a machine that has nothing else to do.
# Needs root, 512 free hugepages of 2 MiB, dpdk-testpmd, nginx, haproxy, wrk and libnginx-mod-http-modsecurity.
BENCH_ROUNDS ?= 5
BENCH_SECONDS ?= 1
BENCH = $(or $(CARGO_TARGET_DIR),target)/release/wirepatch bench --hugepages --repeat $(BENCH_ROUNDS) --seconds $(BENCH_SECONDS) --json
bench-rates: build
	$(BENCH) --library patches > benches/record/throughput.json
	$(BENCH) --pairs > benches/record/pairs.json
	$(BENCH) --scaling --library patches > benches/record/scaling.json
	python3 benches/proxies.py > benches/record/proxies.json
	$(MAKE) bench-record bench-page

bench-page:
	$(CARGO) run -q --release --locked -p benches -- --page

# Every fuzz target for SECONDS, one after the other; docs/fuzzing.md. RUSTC_BOOTSTRAP: sanitizer coverage is not stable.
SECONDS ?= 600
fuzz:
	command -v cargo-fuzz || $(CARGO) install --locked cargo-fuzz
	targets=$$($(CARGO) run -q -p fuzzing --example run) && cd fuzz && for target in $$targets; do \
		mkdir -p corpus/$$target && \
		FUZZ_TARGET=$$target RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run any corpus/$$target -- \
			-max_total_time=$(SECONDS) -max_len=4096 -timeout=60 || exit 1; \
	done

clean:
	$(CARGO) clean
