# The verbs people type.  `make help` lists them.
SHELL := /bin/bash
PREFIX ?= /usr/local
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# Everything but benches/xskpeer, which needs a C compiler, libelf and zlib.
ALL := --workspace --exclude weft-xskpeer

.PHONY: help build demo test fast netns lint bench bench-veth bench-tcp bench-workers bench-guest bench-ofproto bench-ovsdb bench-scale bench-restart bpf install manuals deb deps clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## Build weftd and weft, optimised
	@$(CARGO) build --release --locked -p weft-vswitchd -p weft-cli

deps: ## Install the Debian packages that are missing (build, demo, tests)
	@tests/deps.sh test

demo: ## Three hosts joined by GRE tunnels, from nothing (root; KEEP=1 leaves them up)
	@tests/need-root.sh "make demo"
	@tests/deps.sh demo
	@echo "Building weftd and weft (a few minutes the first time)"
	@$(CARGO) build --quiet --release --locked -p weft-vswitchd -p weft-cli
	@WEFTD=$(TARGET_DIR)/release/weftd WEFT=$(TARGET_DIR)/release/weft KEEP=$(KEEP) tests/demo.sh

test: ## Everything that can be tested: without a network, then in namespaces (root)
	@tests/need-root.sh "make test"
	@tests/deps.sh test
	@$(MAKE) --no-print-directory --keep-going fast netns

fast: ## Unit, property and model tests of every crate
	$(CARGO) test --locked $(ALL) --exclude weft-tests --no-run
	tests/isolated.sh $(CARGO) test --locked --offline --no-fail-fast $(ALL) --exclude weft-tests

netns: build manuals ## Hosts in namespaces and stock clients against the real weftd (root)
	@echo "Hosts in namespaces"
	$(CARGO) test --locked -p weft-tests --no-run
	-tests/guest_image.sh $(abspath $(TARGET_DIR))/guest
	WEFTD=$(abspath $(TARGET_DIR)/release/weftd) WEFT=$(abspath $(TARGET_DIR)/release/weft) \
		tests/isolated.sh $(CARGO) test --locked --offline --no-fail-fast -p weft-tests

lint: ## Format and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked $(ALL) --all-targets -- -D warnings
	cd ebpf/prog && $(CARGO) fmt --check
	cd ebpf/prog && $(CARGO) clippy --locked --target x86_64-unknown-linux-gnu \
		--target-dir $(abspath $(TARGET_DIR))/bpf-lint -- -D warnings

bench: ## What a frame costs, in memory; figures in target/bench.json
	$(CARGO) bench --locked -p weft-benches --bench datapath

bench-veth: ## Beside raw AF_XDP, the kernel bridge and OVS, on veth (root); target/bench-veth.json
	@tests/need-root.sh "make bench-veth"
	benches/veth.sh

bench-scale: ## What a port more costs among 10,000 (root); target/bench-scale.json
	@tests/need-root.sh "make bench-scale"
	benches/scale.sh

bench-restart: ## How long a restart with many NICs is silent, beside OVS (root); target/bench-restart.json
	@tests/need-root.sh "make bench-restart"
	benches/restart.sh

bench-workers: ## TCP with one worker and with two (root); target/bench-workers.json
	@tests/need-root.sh "make bench-workers"
	benches/workers.sh

bench-tcp: ## TCP over tunnels and between containers, beside OVS (root); target/bench-tcp.json
	@tests/need-root.sh "make bench-tcp"
	benches/tcp.sh

bench-guest: ## TCP of a real guest (qemu), beside the kernel's bridge (root); target/bench-guest.json
	@tests/need-root.sh "make bench-guest"
	benches/guest.sh

bench-ofproto: ## What flow mods cost, and bytes for each flow
	$(CARGO) bench --locked -p weft-benches --bench ofproto

bench-ovsdb: ## What a transaction costs, beside ovsdb-server; target/bench-ovsdb.json
	$(CARGO) bench --locked -p weft-benches --bench ovsdb

bpf: ## Rebuild the committed eBPF object (installs its toolchain)
	ebpf/toolchain.sh
	ebpf/build.sh

install: ## Install weftd and weft below PREFIX (/usr/local), their debug files beside them
	@test -x $(TARGET_DIR)/release/weftd || { echo "run make build first" >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(TARGET_DIR)/release/weftd $(DESTDIR)$(PREFIX)/sbin/weftd
	install -m 755 $(TARGET_DIR)/release/weft $(DESTDIR)$(PREFIX)/bin/weft
	control/deb/split.sh $(DESTDIR)$(PREFIX)/sbin/weftd $(DESTDIR)$(PREFIX)/sbin/.debug/weftd.debug
	control/deb/split.sh $(DESTDIR)$(PREFIX)/bin/weft $(DESTDIR)$(PREFIX)/bin/.debug/weft.debug

manuals: ## Manual pages and shell completions, in target/manuals
	$(CARGO) run --quiet --locked -p weft-cli --example manuals -- $(TARGET_DIR)/manuals

deb: build manuals ## Debian packages: programs, service, manual pages, completions; debug symbols
	control/deb/build.sh $(TARGET_DIR)

clean: ## Remove what was built
	$(CARGO) clean
