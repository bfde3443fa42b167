"""Where records are kept: one Store port, several engines, batching in one place."""
