# tsbox: everything is built into dist/, by `make` alone.
#
# Two commands need nothing prepared but Node 20 or later, git and make on a Debian or Ubuntu:
#
#     make demo      the main job on the built-in images
#     make test      everything that is checked
#
# What takes time runs again only when what it reads has changed; the parts in C have Makefiles of
# their own (helper-c/, wasm/) that know their sources, so they are always asked.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

STAMPS := build/stamps
RUNNER := $(shell find runner -name '*.ts' -o -name '*.html' -o -name '*.css')
TSX := node --import tsx

.PHONY: all
all: helper wasm $(STAMPS)/bundle $(STAMPS)/types dist/base.tar ## Build everything into dist/ (the default)

.PHONY: help
help: ## This table of contents
	@echo "make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '  %-10s %s\n' "$$target" "$$text"; done

# --- for people ---------------------------------------------------------------------------------

.PHONY: demo
demo: all ## Build, then run programs in the built-in images `host` and `base`
	@scripts/demo

.PHONY: test
test: all ## Build, then run every check and test (as root: as an ordinary user)
	@scripts/bootstrap test
	@scripts/test

.PHONY: test-vm
test-vm: all ## Run what needs cgroup v2 and systemd in a virtual machine (tests/vm; not part of `test`)
	@scripts/vm test

.PHONY: stress
stress: all ## A thousand runs, twenty of them killed: nothing may be left (as an ordinary user)
	@$(TSX) scripts/stress.ts

.PHONY: bench
bench: all ## Build, then measure beside podman, bwrap and crun where they are installed
	@scripts/bench.sh

.PHONY: fuzz
fuzz: bootstrap ## Fuzz the layer engine until interrupted, or for FUZZ_SECONDS
	@$(MAKE) -C wasm $(if $(FUZZ_SECONDS),fuzz-short FUZZ_SECONDS=$(FUZZ_SECONDS),fuzz) CLANG="$$(scripts/find-clang)"

.PHONY: format
format: node_modules/.package-lock.json ## Put the TypeScript and JSON files into the one format
	@npx biome check --write .

.PHONY: lint
lint: node_modules/.package-lock.json ## Format, lint, types, import order, wire and test rules; changes nothing
	@scripts/lint

.PHONY: clean
clean: ## Remove what was built (not node_modules)
	rm -rf dist build
	@$(MAKE) -C helper-c clean
	@$(MAKE) -C wasm clean

# --- the parts ----------------------------------------------------------------------------------

# Says nothing when everything is installed.
.PHONY: bootstrap
bootstrap:
	@scripts/bootstrap build

.PHONY: helper
helper: | bootstrap
	@$(MAKE) -q -C helper-c 2>/dev/null || $(MAKE) -C helper-c

.PHONY: wasm
wasm: | bootstrap
	@clang=$$(scripts/find-clang) && { $(MAKE) -q -C wasm CLANG=$$clang 2>/dev/null || $(MAKE) -C wasm CLANG=$$clang; }

# npm writes this file last: it is as old as the last complete installation. Not `npm ci`: that refuses
# a lock file that lacks the packages of other platforms, which not every registry has. What the lock
# file names is installed in that version and verified; --no-save leaves the file itself alone.
node_modules/.package-lock.json: package-lock.json | bootstrap
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

# dist/tsbox.cjs, dist/main.cjs and its like, dist/index.mjs, dist/index.cjs
# What V8 compiled is taken from a run of each of the usual commands: those need all the rest.
$(STAMPS)/bundle: $(RUNNER) scripts/bundle.ts $(wildcard scripts/bundle/*) package.json node_modules/.package-lock.json | helper wasm dist/base.tar
	@mkdir -p dist $(STAMPS)
	$(TSX) scripts/bundle.ts
	@touch $@

# dist/types/
$(STAMPS)/types: $(RUNNER) tsconfig.json scripts/types.tsconfig.json node_modules/.package-lock.json
	@mkdir -p $(STAMPS)
	@rm -rf dist/types
	npx tsc -p scripts/types.tsconfig.json
	@touch $@

dist/base.tar: scripts/base-image.ts scripts/base-image/tar.ts node_modules/.package-lock.json | bootstrap
	@mkdir -p dist
	$(TSX) scripts/base-image.ts $@
