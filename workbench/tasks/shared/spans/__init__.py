"""Spans in texts: entities, word tags, marked pairs and answers."""
