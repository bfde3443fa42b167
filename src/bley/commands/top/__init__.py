"""`bley top`: live view of the running bley in the terminal."""
