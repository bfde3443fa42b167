"""The operator's exemption lists: mail that is never delayed."""
