# Two commands do everything: `make demo` and `make test`. Both install what they need.

CARGO ?= cargo

.PHONY: demo test deps build lint unit system clean bench-check bench-record bench-page

demo: deps
	$(CARGO) build --release --locked -p wirepatch
	./deploy/demo.sh

test: deps lint unit build bench-check system

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

system:
	python3 crates/wirepatch/tests/system/run.py

# Instructions a packet, counted under valgrind, against benches/record/.
bench-check:
	$(CARGO) run -q --release --locked -p benches -- --check

bench-record:
	$(CARGO) run -q --release --locked -p benches -- --record

bench-page:
	$(CARGO) run -q --release --locked -p benches -- --page

clean:
	$(CARGO) clean
