"""What is explained: one text, as the model sees it, and the model's answer when some of its tokens are hidden.

Explainers and the faithfulness check ask the model only through :class:`Instance`, so that all of them mean the same by
"token", "hidden" and "probability".
"""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.data.text.tokenizers import special_tokens_in_text
from workbench.errors import RequestError
from workbench.explain.examples import reads_pairs
from workbench.tasks.base import Target, TargetScore
from workbench.tasks.shared.prompted import PromptedTask
from workbench.tasks.shared.prompted import as_text as verbatim

BATCH = 32
# Explaining touches the model for a moment (its mode, its attention, a hook): one at a time in this process.
MODEL_LOCK = threading.RLock()


class Predictor(Protocol):
    """The part of :class:`workbench.inference.predictor.Predictor` that explaining needs."""

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


def encode_beginning(
    tokenizer: Any, text: str, before: Sequence[int], max_length: int | None = None, device: Any = "cpu"
) -> Encoded:
    """A text that a model goes on with: nothing stands behind it, and of a long one the end is kept.

    Args:
        before: the special tokens that it begins with.
    """
    longest = min(length for length in (max_length, tokenizer.model_max_length, 2**31 - 1) if length)
    room = longest - len(before)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = found["input_ids"][-room:]
    cut = len(found["input_ids"]) - len(ids)
    if not ids:
        raise RequestError("The text holds no token that could be explained.", "Give a text with at least one word.")
    offsets = [(int(start), int(end)) for start, end in found["offset_mapping"][cut:]]
    notes = [f"Of the text only the last {room} tokens are read."] if cut else []
    return _within(tokenizer, [*before, *ids], len(before), text, offsets, found.word_ids(0)[cut:], device, notes)


def encode_prompt(task: Any, tokenizer: Any, text: str, max_length: int | None = None, device: Any = "cpu") -> Encoded:
    """A text within the prompt that a task makes of it (a chat's template, say): what stands around it is special.

    Raises:
        RequestError: the prompt does not hold the text as it is, because it is too long, or is written otherwise.
    """
    longest = min(length for length in (max_length, tokenizer.model_max_length, 2**31 - 1) if length)
    core = text.strip()
    with verbatim(tokenizer):
        row = task.prompts_of(tokenizer, [{"text": text}])[0].within(longest).tolist()
        for written in (core, f" {core}"):  # behind other text, a word's token holds the space before it
            found = tokenizer(written, add_special_tokens=False, return_offsets_mapping=True)
            begin = _last_place(row, found["input_ids"])
            if begin is not None and core:
                shift = text.index(core) - (len(written) - len(core))
                offsets = [(max(0, start + shift), end + shift) for start, end in found["offset_mapping"]]
                return _within(tokenizer, row, begin, text, offsets, found.word_ids(0), device, [])
    raise RequestError(
        "The text does not stand in the model's prompt as it was written: it is empty, too long, or has lines.",
        f"Give one line of fewer than {longest} tokens.",
    )


def _last_place(row: Sequence[int], part: Sequence[int]) -> int | None:
    """Where ``part`` stands in ``row`` for the last time."""
    places = (i for i in range(len(row) - len(part), -1, -1) if list(row[i : i + len(part)]) == list(part))
    return next(places, None)


def _within(
    tokenizer: Any,
    row: Sequence[int],
    begin: int,
    text: str,
    offsets: list[tuple[int, int]],
    words: list[int | None],
    device: Any,
    notes: list[str],
) -> Encoded:
    """A row of tokens in which those of ``text`` stand from ``begin`` on, and all others are special."""
    end = begin + len(offsets)
    before, behind = begin, len(row) - end
    tokens = tokenizer.convert_ids_to_tokens(list(row))
    pieces = [text[start:stop] for start, stop in offsets]
    shown = [_shown(*pair, tokenizer.unk_token) for pair in zip(tokens[begin:end], pieces, strict=True)]
    ids = torch.tensor([list(row)], device=device)
    return Encoded(
        tokens=tokens,
        shown=[*map(visible, tokens[:begin]), *shown, *map(visible, tokens[end:])],
        offsets=[(0, 0)] * before + offsets + [(0, 0)] * behind,
        segments=[None] * before + [0] * len(offsets) + [None] * behind,
        special=[True] * before + [False] * len(offsets) + [True] * behind,
        words=[None] * before + words + [None] * behind,
        inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        notes=notes,
    )


def encode_for(predictor: Predictor, text: str, text_pair: str | None = None) -> Encoded:
    """A text (or two) as the task gives it to the model, on the model's device.

    Raises:
        RequestError: the task reads another number of texts, or the text holds no token.
    """
    task, tokenizer, model = predictor.task, predictor.tokenizer, predictor.model
    device = next(model.parameters()).device
    _check_roles(task, text_pair)
    if isinstance(task, PromptedTask):
        return encode_prompt(task, tokenizer, text, predictor.max_length, device)
    if task.head == "AutoModelForCausalLM":
        return encode_beginning(tokenizer, text, task.ends(tokenizer)[0], predictor.max_length, device)
    if not task.generates:
        return encode(tokenizer, text, text_pair, predictor.max_length, device)
    with special_tokens_in_text(tokenizer):  # a mask in the text is one
        encoded = encode(tokenizer, text, text_pair, predictor.max_length, device)
    start = getattr(model.config, "decoder_start_token_id", None)
    if not getattr(model.config, "is_encoder_decoder", False) or start is None:
        return encoded
    return replace(encoded, inputs={**encoded.inputs, "decoder_input_ids": torch.tensor([[start]], device=device)})


def _cut_off(encoding: Any, longest: int) -> list[str]:
    if not encoding.overflowing:
        return []
    return [f"The text is longer than the {longest} tokens that the model reads: the rest was not seen."]


def _shown(token: str, piece: str, unknown: str | None) -> str:
    """A token as a person would read it. Byte-level tokens look like noise; the text they came from does not."""
    name = token.replace("Ġ", "").replace("▁", "").replace("</w>", "")
    if piece and token == unknown:
        name = f"{token} {piece.strip()}"
    elif piece and _plain(name.removeprefix("##")) != _plain(piece):
        name = piece.strip() or piece
    return visible(name) or "␣"


def readable(text: str) -> str:
    """A token's text as it is drawn: without the space around it, and never empty."""
    return visible(text.strip()) or "␣"


def visible(text: str) -> str:
    """A text with what cannot be seen made visible."""
    return "".join(map(_visible, text))


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


def mask_token(tokenizer: Any) -> str | None:
    """The token that stands where one is hidden: the mask, or else padding, unknown, or a text's end."""
    found = tokenizer.mask_token or tokenizer.pad_token or tokenizer.unk_token or tokenizer.eos_token
    return None if found is None else str(found)


class Instance:
    """One text and the model whose answer to it is explained.

    Args:
        predictor: a loaded run.
        text, text_pair: what it reads.
    """

    def __init__(self, predictor: Predictor, text: str, text_pair: str | None = None) -> None:
        self.task = predictor.task
        self.model = predictor.model
        self.tokenizer = predictor.tokenizer
        self.labels = list(predictor.labels)
        self.device = next(self.model.parameters()).device
        self.texts = (text, text_pair or "")
        self.encoded = encode_for(predictor, text, text_pair)
        # Where a model gives scores for each place and one is needed, the others would fill the memory.
        inside = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        keeps = self.task.head == "AutoModelForCausalLM" and "logits_to_keep" in signature(inside.forward).parameters
        self._only_last = {"logits_to_keep": 1} if keeps else {}
        # The tokens that may be hidden, as positions.
        self.positions: NDArray[np.int64] = np.flatnonzero(~np.array(self.encoded.special))

    def answer(self) -> Any:
        """The model's output for the whole text, without gradients."""
        with evaluating(self.model), torch.no_grad():
            return self.model(**self.encoded.inputs, **self._only_last)

    def explained(self, inputs: dict[str, torch.Tensor], target: Target) -> TargetScore:
        """How much the model, in the mode it is in, is for ``target`` in each row of ``inputs``."""
        found: TargetScore = self.task.target_score(self.model(**inputs, **self._only_last), inputs, target)
        return found

    def readout_position(self, attention: Any, target: Target) -> int:
        """The token whose view of the text the answer is read from."""
        return int(attention.readout if target.position is None else target.position)

    @property
    def mask_token(self) -> str:
        """The token that stands where one is hidden."""
        found = mask_token(self.tokenizer)
        if found is None:
            raise RequestError(
                "The tokenizer has no mask, padding, unknown or end token to stand in for a hidden one.",
                "Use a model whose tokenizer has one of these.",
            )
        return found

    def expand_mask(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[choices, maskable tokens] as [choices, tokens], as :meth:`masked_probabilities` takes it."""
        kept = np.ones((len(chosen), len(self.encoded.tokens)), dtype=bool)
        kept[:, self.positions] = chosen
        return kept

    def masked_probabilities(self, kept: NDArray[np.bool_], target: Target) -> NDArray[np.float64]:
        """The target's probability when only some tokens are seen.

        Args:
            kept: [choices, tokens]; a token that is False is replaced by ``mask_token`` (and masked where that is
                padding). Special tokens are always kept.
            target: what is explained.

        Returns:
            [choices].
        """
        # Draws of a short text repeat: each choice is asked once.
        distinct, place = np.unique(kept | np.array(self.encoded.special), axis=0, return_inverse=True)
        keep = torch.from_numpy(distinct).to(self.device)
        rows = []
        with evaluating(self.model), torch.no_grad():
            for part in torch.split(keep, BATCH):
                rows.append(self.explained(self._hide(part), target).probability.double().cpu().numpy())
        found: NDArray[np.float64] = np.concatenate(rows)[place.reshape(-1)]
        return found

    def _hide(self, keep: torch.Tensor) -> dict[str, torch.Tensor]:
        inputs = {name: value.expand(len(keep), -1) for name, value in self.encoded.inputs.items()}
        if bool(keep.all()):
            return inputs
        ids = torch.full_like(inputs["input_ids"], self.tokenizer.convert_tokens_to_ids(self.mask_token))
        hidden = {**inputs, "input_ids": torch.where(keep, inputs["input_ids"], ids)}
        if self.mask_token == self.tokenizer.pad_token and "attention_mask" in inputs:
            mask = inputs["attention_mask"] * keep
            # A text of which nothing is left to look at has no answer at all: there the padding is seen.
            hidden["attention_mask"] = torch.where(mask.any(-1, keepdim=True), mask, inputs["attention_mask"])
        return hidden


def _check_roles(task: Any, text_pair: str | None) -> None:
    """Raises RequestError unless the task reads as many texts as are given."""
    pairs = reads_pairs(task)
    if pairs and text_pair is None:
        raise RequestError("This model reads pairs of texts, and there is one text.", "Give the second text too.")
    if text_pair is not None and not pairs:
        raise RequestError("This model reads one text, and there are two.", "Leave out the second text.")
