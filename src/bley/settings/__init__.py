"""The operator's input: bley.conf, its settings and their types, database, privacy key and web password."""
