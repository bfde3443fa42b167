"""DNS lists: their queries, self-tests and reports."""
