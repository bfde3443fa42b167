"""The running daemon: one process or several, reload, systemd."""
