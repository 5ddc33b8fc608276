"""Layers of the fine-tuning methods: those that peft lacks, and those that are written differently here."""
