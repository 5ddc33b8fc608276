"""Notes that runs and estimates store in English, and their translation where they are shown.

A note is one of the templates here with its values filled in: ``notes.BEST.format(step=120)``. The file keeps the
English sentence. :func:`translate` finds the template and the values again.
"""

from __future__ import annotations

import re
from functools import cache

from workbench.i18n import N_, _

PACKED = N_("{documents} documents were packed into {rows} rows of {length} tokens, {share} full.")
CACHE_TOO_LARGE = N_(
    "The {layers} frozen layers ran again in every epoch: their activations need {size} GB, more than "
    "training.cache_memory_gb and training.cache_disk_gb allow."
)
CACHE_IMPOSSIBLE = N_(
    "The {layers} frozen layers ran again in every epoch: this architecture cannot replay their activations."
)
CACHED_IN_MEMORY = N_(
    "The {layers} frozen layers ran once per example; their activations ({size} MB in memory) were used in every epoch."
)
CACHED_ON_DISK = N_(
    "The {layers} frozen layers ran once per example; their activations ({size} MB on disk) were used in every epoch."
)
OUT_OF_TIME = N_("Stopped early at step {step} of {steps}: training.max_minutes have passed.")
NO_IMPROVEMENT = N_("Stopped early at step {step} of {steps}: no improvement.")
BEST = N_("The weights of step {step} are kept: its evaluation was the best.")
SOLVED_HEAD = N_(
    "The head was solved, not trained step by step: C = {C} has the best {metric} {where} (tried: {values}). Epochs "
    "and learning rate have no effect on it."
)
REFITTED = N_("The head was solved once more with this C on the training and the validation examples.")
NO_TEST_SPLIT = N_("There is no test split: the metrics are those of the validation split, which chose the weights.")
RESUMED_ELSEWHERE = N_("Resumed with a different {what}: {new}; at first it was {old}.")
HEADS_REMOVED = N_(
    "{heads} heads of {run} were removed, the least important by {measure} over {texts} texts; nothing was trained "
    "after that."
)
TIME_LIMIT = N_("Training ends after training.max_minutes ({minutes}), before its last step.")
MAY_STOP_EARLY = N_("training.early_stopping_patience may end training sooner; the lower end of the range shows that.")
BUSY_MACHINE = N_("Another run was active during the measurement: the run will take less time on an idle machine.")

TEMPLATES = (
    PACKED,
    CACHE_TOO_LARGE,
    CACHE_IMPOSSIBLE,
    CACHED_IN_MEMORY,
    CACHED_ON_DISK,
    OUT_OF_TIME,
    NO_IMPROVEMENT,
    BEST,
    SOLVED_HEAD,
    REFITTED,
    NO_TEST_SPLIT,
    RESUMED_ELSEWHERE,
    HEADS_REMOVED,
    TIME_LIMIT,
    MAY_STOP_EARLY,
    BUSY_MACHINE,
)
_SPLITS = (N_("train"), N_("valid"), N_("test"))
_OF_SPLIT = re.compile(rf"({'|'.join(_SPLITS)}): (.+)", re.DOTALL)


def translate(note: str) -> str:
    """Translate a stored note.

    Args:
        note: an English sentence of ``report.json`` or an estimate, perhaps after the name of a split.

    Returns:
        The note in the language in force; a note of no template as it is.
    """
    if of_split := _OF_SPLIT.fullmatch(note):
        return f"{_(of_split[1])}: {translate(of_split[2])}"
    for template, pattern in _patterns():
        if values := pattern.fullmatch(note):
            return _(template).format(**values.groupdict())
    return note


def matches(template: str, note: str) -> bool:
    """Return whether a stored note is a filled-in template.

    Args:
        template: one of ``TEMPLATES``.
        note: an English sentence.
    """
    return any(own == template and pattern.fullmatch(note) for own, pattern in _patterns())


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return each template with the expression that its filled-in sentences match."""
    field = re.compile(r"\\\{(\w+)\\\}")
    return [(template, re.compile(field.sub(r"(?P<\1>.+?)", re.escape(template)), re.DOTALL)) for template in TEMPLATES]
