"""The nine steps from a request to its answer."""
