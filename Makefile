# The commands of this repository.  Each sets up what it needs; all can be run again and again.

PYTHON := .venv/bin/python
OPENECS := .venv/bin/openecs
# Everything that is checked; examples and tools included.
CHECKED := src tests tools examples $(wildcard bench)

.PHONY: help up down status test lint bench-core bench-deploy bench-edge bench-observe soak clean setup setup-dev engine

help:
	@echo 'make up            start OpenECS here, deploy the sample web service, fetch a page from it'
	@echo 'make down          stop its tasks, then OpenECS'
	@echo 'make test          run every check and test (starts a container engine if need be, as root)'
	@echo 'make lint          only the static checks'
	@echo 'make bench-core    measure against floors and peers'
	@echo 'make bench-deploy  the same for services, placement and deployments'
	@echo 'make bench-edge    the same for load balancing, networks and names (as root)'
	@echo 'make bench-observe the same for logs, metrics and alarms'
	@echo 'make soak          run the long tests'
	@echo 'make clean         remove what these commands made in this folder'

up: setup engine
	@$(OPENECS) status >/dev/null 2>&1 && echo 'OpenECS runs already.' || $(OPENECS) up --detach
	@echo
	@echo 'Deploying the sample web service'
	@$(PYTHON) examples/deploy.py

down: setup
	@$(OPENECS) down

status: setup
	@$(OPENECS) status

setup:
	@scripts/bootstrap.sh

setup-dev:
	@scripts/bootstrap.sh --dev

engine: setup
	@scripts/ensure_engine.sh

lint: setup-dev
	.venv/bin/ruff check $(CHECKED)
	.venv/bin/ruff format --check $(CHECKED)
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) tools/generate_shapes.py --check

test: setup-dev engine
	@scripts/ensure_clients.sh
	@scripts/test.sh

bench-core: setup-dev engine
	@UV_PROJECT_ENVIRONMENT=.venv-bench .venv-tools/bin/uv sync --quiet --frozen --group bench
	.venv-bench/bin/python bench/core.py

bench-deploy: setup-dev engine
	@UV_PROJECT_ENVIRONMENT=.venv-bench .venv-tools/bin/uv sync --quiet --frozen --group bench
	.venv-bench/bin/python bench/deploy.py

bench-edge: setup-dev engine
	@UV_PROJECT_ENVIRONMENT=.venv-bench .venv-tools/bin/uv sync --quiet --frozen --group bench
	@scripts/ensure_peers.sh
	.venv-bench/bin/python bench/edge.py

bench-observe: setup-dev engine
	@UV_PROJECT_ENVIRONMENT=.venv-bench .venv-tools/bin/uv sync --quiet --frozen --group bench
	.venv-bench/bin/python bench/observe.py

soak: setup-dev engine
	OPENECS_SOAK=1 OPENECS_SIMULATION_SEEDS=20000 .venv/bin/pytest tests/fuzz tests/chaos tests/simulation $(wildcard tests/soak) --timeout 36000
	OPENECS_SOAK=1 .venv/bin/pytest tests/docker/test_see_and_scale.py tests/multihost/test_provisioner_on_machines.py --timeout 36000

clean:
	rm -rf .venv .venv-bench .venv-tools dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
