# Everything that is done with this repository, by name. `make help` lists it.
# What a target needs is put in place by scripts/setup first, which says what it does and why.

.DEFAULT_GOAL := help
.PHONY: help demo test soak check lint bench docs engine-stop base-images binary

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## show a release going DEV → TEST → STAGING → approval → PRODUCTION, a bad one stopped, a rollback
	@scripts/setup engine
	@$(MAKE) --no-print-directory -j2 base-images binary
	@cargo run --quiet -- demo $(if $(KEEP),--keep)

test: ## run every test (sets up an engine, images and tools first)
	@scripts/setup all
	@scripts/test

soak: ## simulate 20,000 rollouts, and a kill at every request with every successor (SEED=… COUNT=…)
	ML_DEPLOY_SIM_SOAK=1 ML_DEPLOY_SIM_FIRST=$(or $(SEED),1) ML_DEPLOY_SIM_COUNT=$(or $(COUNT),20000) \
		cargo test --test simulation -- --nocapture

check: ## format, clippy and unit tests: fast, needs no engine
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --workspace --lib --bins

lint: ## every lint: Rust, docs, generated files, workflows, Dockerfiles, scripts
	@scripts/setup python-tools node-tools shell-tools
	@scripts/lint

bench: ## measure the figures that the README states
	@scripts/setup load-tools
	cargo bench --workspace

docs: ## write action.yml, docs/inputs.md, docs/errors.md and the JSON schemas anew from the code
	cargo run --quiet -- generate

engine-stop: ## stop the Docker engine, if `make` started it
	@scripts/setup engine-stop

# Built beside the base images, to shorten the first demo; the plain profile builds fastest.
binary:
	@echo 'setup: binary: building ml-deploy' >&2
	@cargo build --quiet

base-images:
	@scripts/setup base-images
