"""One request: the nine steps from a request to its answer."""
