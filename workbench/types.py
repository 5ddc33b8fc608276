"""Types that every package shares: models and tokenizers, JSON, arrays.

Importing this module imports numpy and nothing heavier: the names of torch and transformers are there for type checkers
only. ``from workbench.types import Model`` works at run time as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    # A model with an adapter (peft.PeftModel) passes its attributes on, and is one of these to its callers.
    Model: TypeAlias = PreTrainedModel
    Tokenizer: TypeAlias = PreTrainedTokenizerFast
else:
    Model: TypeAlias = object
    Tokenizer: TypeAlias = object

# What JSON can hold; a document of the user's, or of a file that has no class of its own.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Floats32: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]

# The label of a position that has no target: torch's cross-entropy leaves it out.
IGNORE_INDEX = -100
