"""Metrics over time: how they are stored, summarized, drawn and watched."""
