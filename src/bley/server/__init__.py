"""The policy server: listening sockets and the connections of Postfix and Exim."""
