# make run     install bley into .venv and run it in the foreground on 127.0.0.1:1337, its store under var/
# make test    install what the tests need (root and apt: Postfix, Exim, Chromium, …) and run everything
# make check   the same without installing servers
# make quick   what takes less than a minute of it: format, lint, types, architecture, docs, pure tests
# make nightly look longer for what the property tests may find: 5,000 examples of each
# make format  put the code into its form
# make fuzz MINUTES=10  look for inputs that show a defect of a parser or rule; finds go to var/fuzz
# make soak MINUTES=30  a running bley under mixed and hostile load, reloads and outages: does it leak, is all accounted for
# make bench   measure how fast bley is on this machine, and draw it (some twenty minutes)
# make screenshots  make the pictures of the dashboard in docs/ anew
# make manual  make bley.conf(5) from docs/settings.md, and the tables of findings in docs/
#
# make test PYTHON=python3.13, and any other: with that Python, in a virtual environment of its own (.venv-python3.13)

PYTHON ?= python3
VENV := .venv
ifneq ($(PYTHON),python3)
VENV := .venv-$(or $(shell $(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])'),$(error $(PYTHON) does not run))
endif
SOURCES = src tests bench docs
MINUTES ?= 10

.PHONY: run test check quick nightly format lint types tests unit fuzz soak manual efficacy bench bench-engines bench-greylisters screenshots clean

run: $(VENV)/bley
	@mkdir -p var
	@test -f var/bley.conf || printf '[bley]\ndbpath = var\n' > var/bley.conf
	@echo "Try it from another terminal:"
	@echo "  $(VENV)/bin/bley ask --client-address 192.0.2.1 --helo-name friend --sender a@example.com --recipient b@example.org"
	@exec $(VENV)/bin/bley serve -c var/bley.conf

# Two tests at a time on a core, since many wait; those of a file one after the other, as they share servers. The longest
# files begin (tests/conftest.py)
PYTEST = $(VENV)/bin/python -m pytest -n $$((2 * $$(nproc))) --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev
	@tests/integration/install-servers.sh var/test-servers
	@$(MAKE) --no-print-directory check

check: lint types tests

quick: lint types
	$(PYTEST) -q --hypothesis-profile=quick $(wildcard tests/test_*.py) tests/unit/core tests/unit/checks tests/property

nightly: $(VENV)/dev
	$(PYTEST) -q --hypothesis-profile=nightly tests/property

lint: $(VENV)/dev
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/ruff check $(SOURCES)

types: $(VENV)/dev
	$(VENV)/bin/mypy $(SOURCES)

tests: unit
	$(PYTEST) --durations=20 --ignore=tests/unit

# Only here coverage is measured: elsewhere it would cost minutes. What decides is to be covered as a whole; what opens
# sockets, forks or draws is tested in tests/integration
unit: $(VENV)/dev
	$(VENV)/bin/coverage run -m pytest tests/unit
	@$(VENV)/bin/coverage report --fail-under=98 --include='src/bley/core/*,src/bley/checks/*'
	@$(VENV)/bin/coverage report --format=total

format: $(VENV)/dev
	$(VENV)/bin/ruff format $(SOURCES)
	$(VENV)/bin/ruff check --fix $(SOURCES)

# Led by coverage where atheris can be installed, which has no wheel for every Python and machine
fuzz: $(VENV)/dev
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check atheris || echo "atheris cannot be installed: by chance"
	$(VENV)/bin/python -m tests.fuzz --minutes $(MINUTES)

soak: $(VENV)/dev
	$(VENV)/bin/python -m bench.soak --minutes $(MINUTES)

manual: $(VENV)/bley
	$(VENV)/bin/python docs/finding_tables.py
	$(VENV)/bin/python docs/manual_page.py >docs/bley.conf.5

# make efficacy SESSIONS=sessions.jsonl.gz: what the checks find in labelled sessions (bench/efficacy.py)
efficacy: $(VENV)/bley
	$(VENV)/bin/python bench/efficacy.py $(SESSIONS)

bench: $(VENV)/dev
	$(VENV)/bin/python -m bench.performance var/bench

# With the servers of the tests (make test installs them): what each engine of the store costs
bench-engines: $(VENV)/dev
	$(VENV)/bin/python -m bench.engines var/bench

# With those, too: the same load on bley, postgrey and sqlgrey
bench-greylisters: $(VENV)/dev
	$(VENV)/bin/python -m bench.greylisters var/bench

# With the browser of the tests
screenshots: $(VENV)/dev
	$(VENV)/bin/python -m bench.screenshots docs >/dev/null

clean:
	rm -rf .venv .venv-* var .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bley: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev: $(VENV)/bley
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
