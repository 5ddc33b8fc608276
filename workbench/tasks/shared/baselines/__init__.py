"""Simple models that a run is compared with."""
