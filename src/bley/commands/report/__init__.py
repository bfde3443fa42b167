"""`bley report`: the decision aid of an administrator, for a terminal and by mail."""
