"""Postfix and Exim come in here: listening sockets and their connections."""
