"""What the running bley shows by HTTP at `web_listen`, read-only."""
