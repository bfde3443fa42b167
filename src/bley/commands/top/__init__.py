"""`bley top`: what the running bley does, live in the terminal."""
