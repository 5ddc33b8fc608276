"""The dashboard: a thin face in the browser over the library. ``dashboard.server.serve`` serves it."""
