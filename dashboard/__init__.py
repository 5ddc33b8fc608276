"""The dashboard: a thin face in the browser over the library. ``dashboard.serving.server.serve`` serves it."""
