"""`bley doctor`: examine bley, its surroundings, and the mail server that queries it."""
