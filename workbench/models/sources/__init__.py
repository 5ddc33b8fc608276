"""The model sources: ``pretrained.py``, ``transformer.py`` and ``baselines.py`` register them.

``scratch.py`` is the base of those whose weights are newly initialized.
"""
