"""One line for each decision, and where lines go: standard output, files, syslog, journald."""
