"""Fuzzing: random bytes for every parser and rule, and for each an oracle that is stronger than "nothing was raised".

harness.py says what a harness is and names them all; each has a file of its own name. `make fuzz` runs them for a
while, led by coverage where atheris is installed; test_harnesses.py runs each on its seeds and its past finds.
"""
