"""Fuzzing: random bytes for every parser and rule, each with an oracle that is stronger than "no exception".

harness.py defines a harness and lists them all; each has a file of its own name. `make fuzz` runs them for a while,
guided by coverage if atheris is installed; test_harnesses.py runs each on its seeds and its past finds.
"""
