"""DNS lists as values: syntax, known facts, listings, health."""
