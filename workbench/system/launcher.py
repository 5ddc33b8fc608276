"""Launchers of several processes: torchrun and ``accelerate launch``."""

from __future__ import annotations

import os

_VARIABLES = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}  # that a launcher sets for torch.distributed


def launched_processes() -> int:
    """Return how many processes a launcher has started; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if os.environ.keys() >= _VARIABLES else 1


def is_lost_process(error: BaseException) -> bool:
    """Return whether an error means that another process of the launcher has ended.

    Args:
        error: raised by torch.distributed.
    """
    signs = ("connection closed by peer", "connection reset by peer", "broken pipe", "remote process exited")
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)
