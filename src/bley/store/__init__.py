"""The storage of records and decisions: one Store port, several engines, batching in one place."""
