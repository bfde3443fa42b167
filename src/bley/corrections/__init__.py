"""The corrections of an operator, by a command or on the dashboard: exemptions and records."""
