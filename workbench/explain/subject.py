"""What is explained: one text, as the model sees it, and the model's answer when some of its tokens are hidden.

Explainers and the faithfulness check ask the model only through :class:`Subject`, so that all of them mean the same by
"token", "hidden" and "probability".
"""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError, UnknownNameError

BATCH = 32
# Explaining touches the model for a moment (its mode, its attention, a hook): one at a time in this process.
MODEL_LOCK = threading.RLock()


class Classifier(Protocol):
    """The part of :class:`workbench.training.predictor.Predictor` that explaining needs."""

    model: Any
    tokenizer: Any
    task: Any
    max_length: int

    @property
    def labels(self) -> list[str]:
        """The labels in the order of the head's outputs."""
        ...


@dataclass(frozen=True)
class Encoded:
    """One text (or pair of texts) as tokens.

    Attributes:
        tokens: the tokenizer's own names of the tokens: ``"##ing"``, ``"Ġthe"``.
        shown: the same as a person would read them.
        offsets: where each token stands in its own text, as (start, end) characters; (0, 0) for a special token.
        segments: 0 for a token of the first text, 1 for one of the second, None for a special token.
        special: whether the tokenizer added the token: ``[CLS]``, ``[SEP]``.
        words: the number of the word that a token belongs to, counted in its own text; None for a special token.
        inputs: what the model is given, each of shape [1, tokens].
        notes: what a reader has to know, such as that the text was cut off.
    """

    tokens: list[str]
    shown: list[str]
    offsets: list[tuple[int, int]]
    segments: list[int | None]
    special: list[bool]
    words: list[int | None]
    inputs: dict[str, torch.Tensor]
    notes: list[str] = field(default_factory=list)


def encode(
    tokenizer: Any, text: str, text_pair: str | None = None, max_length: int | None = None, device: Any = "cpu"
) -> Encoded:
    """A text as the model sees it, cut off at ``max_length`` tokens.

    Raises:
        RequestError: the text holds nothing that becomes a token, or the tokenizer cannot tell where tokens stand.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise RequestError(
            f"The tokenizer {type(tokenizer).__name__} cannot tell where its tokens stand in the text.",
            "Use a model with a fast tokenizer (one with a tokenizer.json).",
        )
    for role, given in (("text", text), ("second text", text_pair)):
        if given is not None and not isinstance(given, str):
            raise RequestError(f"The {role} must be a string, not {type(given).__name__}.")
    # A tokenizer without a limit says 10^30, which its own library cannot count.
    longest = min(length for length in (max_length, tokenizer.model_max_length, 2**31 - 1) if length)
    found = tokenizer(text, text_pair, truncation=True, max_length=longest, return_offsets_mapping=True)
    encoding = found.encodings[0]
    segments: list[int | None] = found.sequence_ids(0)
    special = [segment is None for segment in segments]
    if all(special):
        raise RequestError("The text holds no token that could be explained.", "Give a text with at least one word.")
    offsets = [(int(start), int(end)) for start, end in found["offset_mapping"]]
    texts = {0: text, 1: text_pair or ""}
    pieces = ["" if s is None else texts[s][start:end] for s, (start, end) in zip(segments, offsets, strict=True)]
    names = [name for name in tokenizer.model_input_names if name in found]
    return Encoded(
        tokens=list(encoding.tokens),
        shown=[_shown(*pair, tokenizer.unk_token) for pair in zip(encoding.tokens, pieces, strict=True)],
        offsets=offsets,
        segments=segments,
        special=special,
        words=list(found.word_ids(0)),
        inputs={name: torch.tensor([found[name]], device=device) for name in names},
        notes=_cut_off(encoding, longest),
    )


def _cut_off(encoding: Any, longest: int) -> list[str]:
    if not encoding.overflowing:
        return []
    return [f"The text is longer than the {longest} tokens that the model reads: the rest was not seen."]


def _shown(token: str, piece: str, unknown: str | None) -> str:
    """A token as a person would read it. Byte-level tokens look like noise; the text they came from does not."""
    readable = token.replace("Ġ", "").replace("▁", "").replace("</w>", "")
    if piece and token == unknown:
        readable = f"{token} {piece.strip()}"
    elif piece and _plain(readable.removeprefix("##")) != _plain(piece):
        readable = piece.strip() or piece
    return "".join(map(_visible, readable)) or "␣"


def _plain(text: str) -> str:
    """``text`` without what tokenizers commonly normalise away: case, accents, spaces around."""
    letters = unicodedata.normalize("NFD", text.strip().lower())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def _visible(character: str) -> str:
    """Control characters as their pictures: they would be dropped, or change how the rest is drawn."""
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in ("Cc", "Cs") else character


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode and nobody else explaining with it; each module's mode is given back after."""
    with MODEL_LOCK:
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


class Subject:
    """One text and the classifier whose answer to it is explained.

    Args:
        predictor: the classifier.
        text, text_pair: what it reads.
    """

    def __init__(self, predictor: Classifier, text: str, text_pair: str | None = None) -> None:
        self.task = predictor.task
        self.model = predictor.model
        self.tokenizer = predictor.tokenizer
        self.labels = list(predictor.labels)
        self.device = next(self.model.parameters()).device
        _check_roles(self.task, text_pair)
        self.encoded = encode(self.tokenizer, text, text_pair, predictor.max_length, self.device)
        # The tokens that may be hidden, as positions.
        self.positions: NDArray[np.int64] = np.flatnonzero(~np.array(self.encoded.special))

    def predict(self) -> dict[str, Any]:
        """The answer to the whole text, as ``Predictor.predict`` gives it: ``{"label", "score", "scores"}``."""
        everything = np.ones((1, len(self.encoded.tokens)), dtype=bool)
        prediction: dict[str, Any] = self.task.readable(self.when_kept(everything))[0]
        return prediction

    def target_index(self, target: str | None, prediction: dict[str, Any]) -> int:
        """The label that is explained: the one named, or the predicted one. Raises UnknownNameError."""
        if target is not None and target not in self.labels:
            raise UnknownNameError("label", target, self.labels)
        return self.labels.index(prediction["label"] if target is None else target)

    @property
    def stand_in(self) -> str:
        """The token that stands where one is hidden: the mask token, or else padding, or else unknown."""
        tokenizer = self.tokenizer
        found = tokenizer.mask_token or tokenizer.pad_token or tokenizer.unk_token
        if found is None:
            raise RequestError(
                "The tokenizer has no mask, padding or unknown token to stand in for a hidden one.",
                "Use a model whose tokenizer has one of these.",
            )
        return str(found)

    def spread(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[choices, hideable tokens] as [choices, tokens], as :meth:`when_kept` takes it."""
        kept = np.ones((len(chosen), len(self.encoded.tokens)), dtype=bool)
        kept[:, self.positions] = chosen
        return kept

    def when_kept(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The probabilities when only some tokens are seen.

        Args:
            kept: [choices, tokens]; a token that is False is replaced by ``stand_in`` (and masked where that is
                padding). Special tokens are always kept.

        Returns:
            [choices, labels].
        """
        keep = torch.from_numpy(kept | np.array(self.encoded.special)).to(self.device)
        rows = []
        with evaluating(self.model), torch.no_grad():
            for part in torch.split(keep, BATCH):
                inputs = self._hide(part)
                rows.append(self.task.outputs(self.model(**inputs), inputs).double().cpu().numpy())
        return np.concatenate(rows)

    def _hide(self, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        inputs = {name: value.expand(len(keep), -1) for name, value in self.encoded.inputs.items()}
        if bool(keep.all()):
            return inputs
        ids = torch.full_like(inputs["input_ids"], self.tokenizer.convert_tokens_to_ids(self.stand_in))
        hidden = {**inputs, "input_ids": torch.where(keep, inputs["input_ids"], ids)}
        if self.stand_in == self.tokenizer.pad_token and "attention_mask" in inputs:
            hidden["attention_mask"] = inputs["attention_mask"] * keep
        return hidden


def _check_roles(task: Any, text_pair: str | None) -> None:
    """Raises RequestError unless the task reads as many texts as are given."""
    pairs = bool(getattr(task.config, "pairs", False))
    if pairs and text_pair is None:
        raise RequestError("This model reads pairs of texts, and there is one text.", "Give the second text too.")
    if text_pair is not None and not pairs:
        raise RequestError("This model reads one text, and there are two.", "Leave out the second text.")
