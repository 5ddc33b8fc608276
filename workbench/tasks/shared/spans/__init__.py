"""Spans of a text: entities, tags of words, marked pairs, answers."""
