"""The dashboard: a thin browser interface to the library. ``dashboard.serving.server.serve`` serves it."""
