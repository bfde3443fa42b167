"""The log: one line per decision, and its destinations: standard output, files, syslog, journald."""
