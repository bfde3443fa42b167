"""`bley replay`: the judgement of stored decisions by other settings, without DNS queries."""
