# make run     install bley into .venv and run it in the foreground on 127.0.0.1:1337, with its store in var/
# make test    install the servers of the tests (root and apt: Postfix, Exim, Chromium, …) and run all tests
# make check   run all tests without installing servers
# make quick   run the tests that take less than a minute: format, lint, types, architecture, docs, pure tests
# make nightly run the property tests with 5,000 examples each
# make format  format the code
# make fuzz MINUTES=10  search for inputs that reveal a defect of a parser or rule; finds go to var/fuzz
# make soak MINUTES=30  test bley under mixed and hostile load, reloads and outages for leaks and lost records
# make bench   measure and plot the speed of bley on this machine (half an hour)
# make screenshots  update the pictures of the dashboard in docs/
# make dist    build wheel and source distribution in dist/, and check what a package index would show
# make wheel   build the same, and the compiled wheel for this Python and machine (docs/install.md)
# make compiled  build the compiled wheel, and test it
# make container  build the image bley with podman or docker (contrib/container/README.md)
# make deb     build a Debian package for this machine's Debian 12 or 13 in dist/; RELEASE=trixie: for that one, as root
# make manual  generate the manual pages bley(1) and bley.conf(5), and the tables in docs/
#
# PYTHON=python3.13, for any target: use that Python, in a separate virtual environment (.venv-python3.13)

PYTHON ?= python3
VENV := .venv
ifneq ($(PYTHON),python3)
VENV := .venv-$(or $(shell $(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])'),$(error $(PYTHON) does not run))
endif
SOURCES = src tests bench docs
MINUTES ?= 10

.PHONY: run test check quick nightly format lint types tests unit fuzz soak deb manual efficacy bench bench-engines bench-greylisters screenshots dist wheel compiled container clean

run: $(VENV)/bley
	@mkdir -p var
	@test -f var/bley.conf || printf '[bley]\ndbpath = var\n' > var/bley.conf
	@echo "Try it from another terminal:"
	@echo "  $(VENV)/bin/bley ask --client-address 192.0.2.1 --helo-name friend --sender a@example.com --recipient b@example.org"
	@exec $(VENV)/bin/bley serve -c var/bley.conf

# Two tests at a time on each core, since many wait. Tests of a file run one after the other, as they share servers. The
# longest files start first (tests/conftest.py)
PYTEST = $(VENV)/bin/python -m pytest -n $$((2 * $$(nproc))) --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev
	@tests/integration/install-servers.sh var/test-servers
	@$(MAKE) --no-print-directory check

check: lint types tests compiled

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

# Coverage is measured only here: elsewhere it would cost minutes. Core and checks must be covered as a whole; code that
# opens sockets, forks or draws is tested in tests/integration
unit: $(VENV)/dev
	$(VENV)/bin/coverage run -m pytest tests/unit
	@$(VENV)/bin/coverage report --fail-under=98 --include='src/bley/core/*,src/bley/checks/*'
	@$(VENV)/bin/coverage report --format=total

format: $(VENV)/dev
	$(VENV)/bin/ruff format $(SOURCES)
	$(VENV)/bin/ruff check --fix $(SOURCES)

# Guided by coverage if atheris can be installed, which has no wheel for every Python and machine
fuzz: $(VENV)/dev
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check atheris || echo "atheris cannot be installed: inputs are random"
	$(VENV)/bin/python -m tests.fuzz --minutes $(MINUTES)

soak: $(VENV)/dev
	$(VENV)/bin/python -m bench.soak --minutes $(MINUTES)

# make deb REVISION=2: the same bley with newer libraries (constraints.txt), to which apt upgrades
deb:
	@debian/build "$(RELEASE)" "$(REVISION)"

manual: $(VENV)/bley
	$(VENV)/bin/python -m docs

# make efficacy SESSIONS=sessions.jsonl.gz: measure the findings in labelled sessions (bench/efficacy.py)
efficacy: $(VENV)/bley
	$(VENV)/bin/python -m bench.efficacy $(SESSIONS)

bench: $(VENV)/dev
	$(VENV)/bin/python -m bench.performance var/bench

# The cost of each engine of the store; needs the servers that make test installs
bench-engines: $(VENV)/dev
	$(VENV)/bin/python -m bench.engines var/bench

# The same load on bley, postgrey and sqlgrey; needs the same servers
bench-greylisters: $(VENV)/dev
	$(VENV)/bin/python -m bench.greylisters var/bench

# Needs the browser that make test installs
screenshots: $(VENV)/dev
	$(VENV)/bin/python -m bench.screenshots docs >/dev/null

# Without isolation, hatchling has the version of constraints.txt, so the same source gives the same bytes
dist: $(VENV)/dev
	rm -f dist/bley-*
	$(VENV)/bin/python -m build --no-isolation
	$(VENV)/bin/twine check --strict dist/bley-*

# mypyc compiles in the copy that build unpacks, so the checkout stays without libraries
COMPILED := $(VENV)-compiled
$(COMPILED)/dist: $(VENV)/dev pyproject.toml $(shell find src -name '*.py')
	rm -rf $(COMPILED)
	HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(VENV)/bin/python -m build --no-isolation --outdir $@.new >/dev/null
	mv $@.new $@

wheel: dist $(COMPILED)/dist
	cp $(COMPILED)/dist/*.whl dist/

# All packages but bley are those of the other environment
$(COMPILED)/bley: $(COMPILED)/dist
	$(VENV)/bin/python -m venv --without-pip $(COMPILED)
	$(VENV)/bin/pip --python $(COMPILED)/bin/python install --quiet --disable-pip-version-check --no-deps $</*.whl
	$(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		$$($(COMPILED)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dependencies.pth
	@touch $@

# What the compiled modules do, by themselves and together
compiled: $(COMPILED)/bley
	$(COMPILED)/bin/bley --version | grep -F '(compiled)'
	$(subst $(VENV)/bin,$(COMPILED)/bin,$(PYTEST)) -q $(addprefix tests/unit/,core checks service store log) \
		$(addprefix tests/integration/,test_cli.py test_reload.py test_exempt_if_spf_passes.py test_workers.py)

container:
	@contrib/container/build

clean:
	rm -rf dist .venv .venv-* var .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bley: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev: $(VENV)/bley
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
