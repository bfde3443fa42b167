"""Host names: the words in them, the address in them, their registered domain."""
