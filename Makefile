# Every target installs what it needs by itself; `make` lists them. STACK=name and ARGS='…' are passed on to Pulumi.
STACK ?= local
ARGS ?=
NAME ?=
TARGET ?= eks
TTL ?= 8h
DESTROY ?=
# The Python environment, made from the requirement files on first use and found again in milliseconds.
run = env=$$(sh sandbox/bootstrap.sh) && PATH="$$env/bin:$$PATH"
pytest = $(run) python -m pytest -q
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help doctor up down status preview render ephemeral ephemeral-down janitor test test-unit test-hermetic test-live lint format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

doctor: ## say what is missing or wrong on this machine, and the fix, before anything is built
	@$(run) python -m sandbox.doctor

up: ## bring the stack up and print a request that works
	@$(run) python -m sandbox up --stack $(STACK) -- $(ARGS)

down: ## destroy the stack and remove everything that it left
	@$(run) python -m sandbox down --stack $(STACK) -- $(ARGS)

status: ## show the sandbox, the stack's outputs and the pods
	@$(run) python -m sandbox status --stack $(STACK)

preview: ## show what `make up` would change
	@$(run) python -m sandbox preview --stack $(STACK) -- $(ARGS)

render: ## write every Kubernetes object of the stack as YAML to render/<stack>/
	@$(run) python -m sandbox render --stack $(STACK) --out render/$(STACK)

ephemeral: ## make a test cluster: NAME=pr-123 TARGET=eks [TTL=8h]
	@$(run) python -m ci.ephemeral up "$(NAME)" --target "$(TARGET)" --ttl "$(TTL)"

ephemeral-down: ## destroy a test cluster: NAME=pr-123
	@$(run) python -m ci.ephemeral down "$(NAME)"

janitor: ## list the test clusters; with DESTROY=yes destroy those past their time
	@$(run) python -m ci.ephemeral janitor $(if $(filter yes,$(DESTROY)),--destroy)

test: lint test-unit test-hermetic test-live ## everything: checks, unit, hermetic and live tests

test-unit: ## settings, components, frontend, engine, sandbox parts; no cluster
	@$(pytest) tests/unit $(ARGS)

test-hermetic: ## the real Pulumi engine against a real API server
	@$(pytest) tests/hermetic $(ARGS)

test-live: ## real traffic through the whole local stack, in a sandbox of its own
	@$(pytest) tests/live $(ARGS)

lint: ## ruff, pyright, import-linter, actionlint
	@$(run) ruff check . && $(run) ruff format --check . && $(run) pyright && $(run) lint-imports
	@$(run) sh -c '"$$(python -m sandbox.toolchain path actionlint)" .github/workflows/*.yaml'

format: ## let ruff rewrite what it can
	@$(run) ruff check --fix . ; $(run) ruff format .

bench: ## measure; writes bench/results.json and bench/README.md
	@$(run) python -m bench $(ARGS)

clean: down ## also forget what was built: the next `make up` is a first one
	@$(run) python -m sandbox clean
