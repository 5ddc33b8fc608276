"""Types that every package shares: models and tokenizers, JSON, arrays.

Importing this module imports numpy and nothing heavier: the names of torch and transformers are there for type checkers
only. ``from workbench.types import Model`` works at run time as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Any

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    class Model(PreTrainedModel):
        """A model of transformers, or one with an adapter around it (peft.PeftModel passes attributes on).

        It declares what transformers leaves untyped, and exists for type checkers only.
        """

        @property
        def base_model(self) -> Model: ...
        def to(self, *args: Any, **kwargs: Any) -> Model: ...  # type: ignore[override]
        def eval(self) -> Model: ...
        def train(self, mode: bool = True) -> Model: ...
        def generate(self, *args: Any, **kwargs: Any) -> torch.Tensor: ...
        def get_input_embeddings(self) -> torch.nn.Embedding: ...
        def get_output_embeddings(self) -> torch.nn.Module | None: ...

    Tokenizer: TypeAlias = PreTrainedTokenizerFast
else:
    Model: TypeAlias = object
    Tokenizer: TypeAlias = object

# What JSON can hold; a document of the user's, or of a file that has no class of its own.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

Ints: TypeAlias = NDArray[np.int64]
TokenIds: TypeAlias = NDArray[np.int32]  # of corpora, where int64 would take twice the memory
Floats: TypeAlias = NDArray[np.float64]
Floats32: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]

# The label of a position that has no target: torch's cross-entropy leaves it out.
IGNORE_INDEX = -100
