"""The HTTP server at `web_listen`: dashboard, metrics, health. Read-only.

`lists`, `metrics`, `health`, `pages` and `downloads` each define the routes of the paths that they are named after.
"""
