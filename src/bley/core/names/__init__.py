"""What a host name says: its words, its host's address, its registered domain."""
