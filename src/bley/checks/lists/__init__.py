"""The health of DNS lists: self-tests, watch, report."""
