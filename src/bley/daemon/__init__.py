"""Running bley: one process or several, reload, systemd."""
