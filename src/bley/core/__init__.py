"""The decision as pure values and functions: no I/O, clock, await or logging."""
