"""`python -m bley`."""

from bley.cli import main

main(prog_name="bley")
