"""How much of the texts ``data.max_length`` cuts off, in words: for every task."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.data.report import LengthReport
from workbench.runs.report_notes import WarningNote
from workbench.training.splits import EncodedSplit

WARNING_SHARE = 0.01  # of the texts of a split: from here on, a note on truncation is a warning


def truncation_notes(
    splits: Mapping[str, EncodedSplit], lengths: Mapping[str, LengthReport], positions: int | None
) -> list[str]:
    """Return notes on texts that were truncated; none if the model reads all of every text.

    Args:
        splits: the encoded splits.
        lengths: the lengths of each split's inputs.
        positions: how many tokens the model can read at most; None for no limit.
    """
    own = {name: split.encoded.truncation for name, split in splits.items() if split.encoded.truncation}
    if own:
        return [WarningNote(f"{name}: {message}") for name, message in own.items()]
    truncated = {name: report for name, report in lengths.items() if report["truncated"]}
    if not truncated:
        return []
    max_length = next(iter(truncated.values()))["max_length"]
    shares = ", ".join(
        f"{name} {report['truncated']:,} of {report['count']:,} ({_percent(report['truncated_share'])})"
        for name, report in truncated.items()
    )
    longest = max(report["max"] for report in truncated.values())
    note = (
        f"Texts longer than {max_length:,} tokens (data.max_length) are truncated: {shares}. The model does not read "
        f"what is cut off. {_remedy(longest, max_length, positions)}"
    )
    share = max(report["truncated_share"] for report in truncated.values())
    return [WarningNote(note) if share >= WARNING_SHARE else note]


def _percent(share: float) -> str:
    return f"{share:.0%}" if 0.01 <= share <= 0.99 or share == 1 else f"{share:.1%}"


def _remedy(longest: int, max_length: int, positions: int | None) -> str:
    if positions is None or longest <= positions:
        return f"The longest text has {longest:,} tokens: data.max_length: {longest} reads everything."
    if max_length < positions:
        return (
            f"The longest text has {longest:,} tokens; this model can read {positions:,} at most: data.max_length: "
            f"{positions}."
        )
    return f"The longest text has {longest:,} tokens, which is more than this model can read."
