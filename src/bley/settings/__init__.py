"""What the operator wrote: bley.conf, its settings and their types, the database's place, keys and passwords."""
