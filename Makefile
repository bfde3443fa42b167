# make run     install bley into .venv and run it in the foreground on 127.0.0.1:1337, its store under var/
# make test    install what the tests need (root and apt: Postfix, Exim, Chromium, …) and run everything
# make check   the same without installing servers
# make format  put the code into its form
# make fuzz MINUTES=10  look for inputs that show a defect of a parser or rule; finds go to var/fuzz
# make soak MINUTES=30  a running bley under mixed and hostile load, reloads and outages: does it leak, is all accounted for
# make bench   measure how fast bley is on this machine, and draw it (some twenty minutes)
# make screenshots  make the pictures of the dashboard in docs/ anew
# make manual  make the manual page of the settings from docs/settings.md

PYTHON ?= python3
SOURCES = src tests bench docs
MINUTES ?= 10

.PHONY: run test check format lint types unit fuzz soak manual efficacy bench bench-engines bench-greylisters screenshots clean

run: .venv/bley
	@mkdir -p var
	@test -f var/bley.conf || printf '[bley]\ndbpath = var\n' > var/bley.conf
	@echo "Try it from another terminal:"
	@echo "  .venv/bin/bley ask --client-address 192.0.2.1 --helo-name friend --sender a@example.com --recipient b@example.org"
	@exec .venv/bin/bley serve -c var/bley.conf

test: .venv/dev
	@tests/integration/install-servers.sh var/test-servers
	@$(MAKE) --no-print-directory check

check: lint types unit

lint: .venv/dev
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)

types: .venv/dev
	.venv/bin/mypy $(SOURCES)

unit: .venv/dev
	@rm -f .coverage*
	.venv/bin/coverage run -m pytest --durations=30 --durations-min=10
	@.venv/bin/coverage combine --quiet
	.venv/bin/coverage report

format: .venv/dev
	.venv/bin/ruff format $(SOURCES)
	.venv/bin/ruff check --fix $(SOURCES)

# Led by coverage where atheris can be installed, which has no wheel for every Python and machine
fuzz: .venv/dev
	@.venv/bin/pip install --quiet --disable-pip-version-check atheris || echo "atheris cannot be installed: by chance"
	.venv/bin/python -m tests.fuzz --minutes $(MINUTES)

soak: .venv/dev
	.venv/bin/python -m bench.soak --minutes $(MINUTES)

manual: .venv/bley
	.venv/bin/python docs/manual_page.py >docs/bley.conf.5

# make efficacy SESSIONS=sessions.jsonl.gz: what the checks find in labelled sessions (bench/efficacy.py)
efficacy: .venv/bley
	.venv/bin/python bench/efficacy.py $(SESSIONS)

bench: .venv/dev
	.venv/bin/python -m bench.performance var/bench

# With the servers of the tests (make test installs them): what each engine of the store costs
bench-engines: .venv/dev
	.venv/bin/python -m bench.engines var/bench

# With those, too: the same load on bley, postgrey and sqlgrey
bench-greylisters: .venv/dev
	.venv/bin/python -m bench.greylisters var/bench

# With the browser of the tests
screenshots: .venv/dev
	.venv/bin/python -m bench.screenshots docs >/dev/null

clean:
	rm -rf .venv var .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bley: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/bley
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
