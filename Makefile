# The two commands of the README, and the rest by name:
#   make demo          install what is missing, build, start a box on loopback, ask the product's own cases, stay up
#   make demo ONCE=1   the same, and end after the answers
#   make test          install what is missing, run every test
#   make test-fast     the tests that need neither llama.cpp nor a model
#   make fuzz          every parser against changed inputs, SECONDS=60 each (tests/fuzz/README.md)
#   make crash         the daemon and the broker while everything under them fails; ROUNDS=500, SEED=17 for one again,
#                      MODEL=1 with llama.cpp in place of the scripted engine
#   make lost-writes   the daemon on a disk that drops what was not synced; LIVES=1000, SEED=17 for one again
#   make evaluate      cases through rules and the demo model, as a table; OUT=report.html as a page with pictures, too,
#                      SCRIPTED=1 the rules alone, in seconds, CASES="a.jsonl b.jsonl" others than ours
#   make train         an adapter from samples, as CONFIG=my.yaml says (adapters/README.md)
#   make bench         against llama.cpp's own server, in turns (tests/bench/README.md)
# Everything that is fetched or built goes to CACHE, outside the checkout.

CACHE ?= $(HOME)/.cache/consultd
export CONSULTD_CACHE := $(CACHE)
export CONSULTD_DEMO_MODEL := $(CACHE)/models/gemma-3-270m-q4_k_m.gguf
export CARGO_TARGET_DIR ?= $(CACHE)/target
# A cargo that is new enough, wherever `tests/setup.sh` found or put it.
CARGO := $(CURDIR)/tests/setup.sh cargo
# Threads that spin for long while they wait slow everything else down; those that never do are slow themselves.
export OMP_WAIT_POLICY := passive
export GOMP_SPINCOUNT := 500
export GGML_NO_BACKTRACE := 1

ifeq ($(shell uname),Darwin)
FEATURES ?= metal
else
FEATURES ?= llama
endif
LOCKED := --locked --release

BENCH_PYTHON := $(CACHE)/bench-venv/bin/python

.PHONY: demo test test-fast bench bench-wrong-results bench-levers bench-rows bench-venv bench-intake bench-alert evaluate soak fuzz fuzz-corpus crash lost-writes lint setup model build train adapters schemas

demo: build model
	@ONCE=$(ONCE) tests/demo.sh

test: setup lint test-fast model
	$(CARGO) test $(LOCKED) -p engine --features $(FEATURES)
	$(CARGO) test $(LOCKED) -p consultd --features $(FEATURES) --test worker --test plan
	$(CARGO) test $(LOCKED) -p consultd --features $(FEATURES) --test answers
	$(CARGO) build $(LOCKED) -p consultd -p adapterctl --features $(FEATURES)
	tests/package.sh

# The parsers get their dice for a minute each in CI, and for a moment elsewhere.
test-fast: setup
	FUZZ_SECONDS=$(if $(CI),60) $(CARGO) test $(LOCKED) -p contract -p decide -p engine -p adapterctl -p fuzz-targets
	$(CARGO) test $(LOCKED) -p consultd --no-default-features
	$(CARGO) build $(LOCKED) -p consultd -p adapterctl --no-default-features
	SCRIPTED=1 tests/evaluate.sh

evaluate: setup $(if $(SCRIPTED),,model)
	$(CARGO) build $(LOCKED) -p consultd -p adapterctl $(if $(SCRIPTED),--no-default-features,--features $(FEATURES))
	@SCRIPTED=$(SCRIPTED) CASES="$(CASES)" OUT="$(OUT)" tests/evaluate.sh

# Distributions package rustfmt and clippy apart from Rust: where one is missing, that is said and not a failure.
# A newer clippy has new opinions: they are faults in CI, whose version we know, and remarks elsewhere.
lint: setup
	@if $(CARGO) fmt --version >/dev/null 2>&1; then $(CARGO) fmt --all --check; else echo "no rustfmt here: not checked"; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; \
	then $(CARGO) clippy $(LOCKED) --workspace --all-targets --features $(FEATURES) $(if $(CI),-- -D warnings); \
	else echo "no clippy here: not checked"; fi

# From publish to `accepted` with 20 tablets and the scripted engine, against one sync of the disk. RUNS=5
bench-intake: setup
	RUNS=$(RUNS) $(CARGO) test $(LOCKED) -p consultd --no-default-features --test load -- --ignored --nocapture intake

# From publish to alert, idle and with a full queue. RUNS=300 cases each; MODEL=1 with llama.cpp.
bench-alert: setup $(if $(MODEL),model)
	RUNS=$(RUNS) MODEL=$(MODEL) $(CARGO) test $(LOCKED) -p consultd \
		$(if $(MODEL),--features $(FEATURES),--no-default-features) --test load -- --ignored --nocapture alert

# tests/crash.rs by itself, with a line for each round; without ROUNDS as many as `make test-fast` has.
crash: setup $(if $(MODEL),model)
	ROUNDS=$(ROUNDS) SEED=$(SEED) MODEL=$(MODEL) $(CARGO) test $(LOCKED) -p consultd \
		$(if $(MODEL),--features $(FEATURES),--no-default-features) --test crash -- --nocapture

# tests/lost_writes.rs by itself; without LIVES as many as `make test-fast` has.
lost-writes: setup
	LIVES=$(LIVES) SEED=$(SEED) $(CARGO) test $(LOCKED) -p consultd --no-default-features --test lost_writes -- --nocapture

# Thousands of forms through the real model with flat memory: SOAK_JOBS=2000 (the default) takes half an hour on two cores.
soak: setup model
	$(CARGO) test $(LOCKED) -p engine --features $(FEATURES) --lib -- --ignored --nocapture soak

# All targets in turn; needs rustup's nightly and cargo-fuzz. TARGETS=a,b chooses. What it finds to try next time stays
# in CACHE; what fails is named and ends the run.
SECONDS ?= 60
FUZZ := cargo +nightly fuzz
fuzz:
	@for target in $(if $(TARGETS),$$(echo $(TARGETS) | tr , ' '),$$($(FUZZ) list --fuzz-dir tests/fuzz)); do \
		mkdir -p "$(CACHE)/fuzz/work/$$target" && echo "$$target, $(SECONDS) s" && \
		CARGO_TARGET_DIR="$(CACHE)/fuzz/target" $(FUZZ) run --fuzz-dir tests/fuzz $$target \
			"$(CACHE)/fuzz/work/$$target" tests/fuzz/corpus/$$target -- -max_total_time=$(SECONDS) -max_len=8192 \
			-len_control=20 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix="$(CACHE)/fuzz/failed-$$target-" || exit 1; \
	done

fuzz-corpus:
	CARGO_TARGET_DIR="$(CACHE)/fuzz/target" tests/fuzz/corpus.sh "$(CACHE)/fuzz/work"

# Checkouts share the target folder for the sake of the third-party crates. Our own are not shared: cargo takes a test
# of another checkout for fresh, and it would look for its files there.
OWN := -p contract -p decide -p engine -p consultd -p adapterctl -p fuzz-targets
setup:
	@tests/setup.sh
	@if [ "$$(cat "$(CARGO_TARGET_DIR)/.checkout" 2>/dev/null)" != "$(CURDIR)" ]; then \
		$(CARGO) clean --quiet $(LOCKED) $(OWN) && mkdir -p "$(CARGO_TARGET_DIR)" && \
		echo "$(CURDIR)" >"$(CARGO_TARGET_DIR)/.checkout"; fi

model: setup
	@adapters/demo/fetch-model.sh "$(CONSULTD_DEMO_MODEL)"

build: setup
	$(CARGO) build $(LOCKED) -p consultd -p adapterctl --features $(FEATURES)

# From samples to a package, as the YAML file says (adapters/README.md): make train CONFIG=obstetrics.yaml
train: build
	$(CARGO_TARGET_DIR)/release/adapterctl train --config "$(CONFIG)"

# The demonstration's adapters anew, signed with its open key: hours without a GPU. DEPARTMENT=surgery that one alone.
adapters: build model
	adapters/demo/train.sh $(DEPARTMENT)

# The contract's JSON Schemas and its AsyncAPI document, from the types.
schemas: setup
	$(CARGO) run $(LOCKED) -p contract --example schemas

# SCENARIOS=a,b chooses, RUNS=n turns of each side, THREADS=n, PEER=/path/to/llama-server another peer than the wheel's,
# SAVE=1 keeps the results in tests/bench/results.
bench: build model bench-venv
	$(BENCH_PYTHON) tests/bench/bench.py --consultd $(CARGO_TARGET_DIR)/release/consultd \
		--adapterctl $(CARGO_TARGET_DIR)/release/adapterctl --model $(CONSULTD_DEMO_MODEL) --out $(CACHE)/bench \
		$(if $(SCENARIOS),--scenarios $(SCENARIOS)) $(if $(RUNS),--runs $(RUNS)) $(if $(THREADS),--threads $(THREADS)) \
		$(if $(PEER),--peer $(PEER)) $(if $(SAVE),--save tests/bench/results) $(BENCH)

# Three wrong answers of the peer at temperature 0, and what should have come.
bench-wrong-results: build model bench-venv
	$(BENCH_PYTHON) tests/bench/wrong_results.py --adapterctl $(CARGO_TARGET_DIR)/release/adapterctl \
		--model $(CONSULTD_DEMO_MODEL) $(if $(PEER),--peer $(PEER))

# What each lever of our own engine brings: contexts or epochs, orders of sections, batching. RUNS=2
bench-levers: model
	$(CARGO) build $(LOCKED) -p consultd --features $(FEATURES) --bins --example levers
	$(CARGO_TARGET_DIR)/release/examples/levers $(or $(RUNS),2) $(LEVERS)

# What a step costs by the number of its rows, with threads that sleep at once and with those that spin for a moment.
bench-rows: model
	$(CARGO) build $(LOCKED) -p engine --features $(FEATURES) --example rows
	for run in 1 2; do for spin in 0 500; do \
		GOMP_SPINCOUNT=$$spin $(CARGO_TARGET_DIR)/release/examples/rows || exit 1; done; done

bench-venv: $(CACHE)/bench-venv/.requirements
$(CACHE)/bench-venv/.requirements: tests/bench/requirements.txt
	@python3 -m venv $(CACHE)/bench-venv || { echo "python3 cannot make a venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(BENCH_PYTHON) -m pip install --quiet --requirement $<
	cp $< $@
