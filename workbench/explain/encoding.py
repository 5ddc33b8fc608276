"""A text as a model reads it: its tokens, their positions in the text, and how they are displayed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from tokenizers import Encoding

from workbench.data.text.tokenizers import special_tokens_in_text
from workbench.errors import RequestError
from workbench.explain.examples import reads_pairs
from workbench.explain.predictor import Predictor
from workbench.i18n import _
from workbench.tasks.base import Task
from workbench.types import Model, Tokenizer

Inputs: TypeAlias = dict[str, torch.Tensor]
Offsets: TypeAlias = list[tuple[int, int]]
Device: TypeAlias = torch.device | str

NO_TOKEN = "The text has no tokens to explain."
TWO_TEXTS_NEEDED = "This model reads pairs of texts, but there is only one text."
ONE_TEXT_NEEDED = "This model reads one text, but there are two."
NOT_IN_PROMPT = "The text cannot be located in the model's prompt: it is empty, too long, or has several lines."


@dataclass(frozen=True)
class Encoded:
    """One text (or pair of texts) as tokens.

    Attributes:
        tokens: the tokenizer's own names of the tokens: ``"##ing"``, ``"Ġthe"``.
        shown: the same tokens as a person would read them.
        offsets: (start, end) characters of each token in its own text; (0, 0) for a special token.
        segments: 0 for a token of the first text, 1 for one of the second, None for a special token.
        special: whether the token is not part of the user's text: ``[CLS]``, ``[SEP]``, a prompt.
        words: the index of each token's word in its own text; None for a special token.
        inputs: the model's inputs, [1, tokens] each.
        notes: what readers should know, such as that the text was truncated.
    """

    tokens: list[str]
    shown: list[str]
    offsets: Offsets
    segments: list[int | None]
    special: list[bool]
    words: list[int | None]
    inputs: Inputs
    notes: list[str] = field(default_factory=list)


def encode(
    tokenizer: Tokenizer,
    text: str,
    text_pair: str | None = None,
    max_length: int | None = None,
    device: Device = "cpu",
) -> Encoded:
    """Tokenize a text, or a pair of texts.

    Args:
        tokenizer: a fast tokenizer.
        text: the text.
        text_pair: the second text of a pair.
        max_length: truncate to this many tokens; the tokenizer's own limit always applies.
        device: where to put the inputs.

    Raises:
        RequestError: the text has no tokens, or the tokenizer does not report offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise RequestError(
            f"The tokenizer {type(tokenizer).__name__} does not report where its tokens are in the text.",
            "Use a model with a fast tokenizer (one with a tokenizer.json).",
        )
    for role, value in (("text", text), ("second text", text_pair)):
        if value is not None and not isinstance(value, str):
            raise RequestError(f"The {role} must be a string, not {type(value).__name__}.")
    limit = _limit(tokenizer, max_length)
    batch = tokenizer(text, text_pair, truncation=True, max_length=limit, return_offsets_mapping=True)
    encoding: Encoding = batch.encodings[0]
    segments: list[int | None] = batch.sequence_ids(0)
    special = [segment is None for segment in segments]
    if all(special):
        raise RequestError(NO_TOKEN, "Enter a text with at least one word.")
    offsets = [(int(start), int(end)) for start, end in batch["offset_mapping"]]
    texts = {0: text, 1: text_pair or ""}
    surfaces = ["" if s is None else texts[s][start:end] for s, (start, end) in zip(segments, offsets, strict=True)]
    names = [name for name in tokenizer.model_input_names if name in batch]
    return Encoded(
        tokens=list(encoding.tokens),
        shown=[_shown(*pair, tokenizer.unk_token) for pair in zip(encoding.tokens, surfaces, strict=True)],
        offsets=offsets,
        segments=segments,
        special=special,
        words=list(batch.word_ids(0)),
        inputs={name: torch.tensor([batch[name]], device=device) for name in names},
        notes=[f"The text is longer than {limit} tokens; the rest was cut off."] if encoding.overflowing else [],
    )


def encode_continuation(
    tokenizer: Tokenizer, text: str, prefix: Sequence[int], max_length: int | None = None, device: Device = "cpu"
) -> Encoded:
    """Tokenize a text for a model to continue: nothing follows it, and a long text loses its beginning.

    Args:
        tokenizer: a fast tokenizer.
        text: the text.
        prefix: special tokens before the text.
        max_length: keep at most this many tokens; the tokenizer's own limit always applies.
        device: where to put the inputs.

    Raises:
        RequestError: the text has no tokens.
    """
    room = _limit(tokenizer, max_length) - len(prefix)
    batch = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = batch["input_ids"][-room:]
    cut = len(batch["input_ids"]) - len(ids)
    if not ids:
        raise RequestError(NO_TOKEN, "Enter a text with at least one word.")
    offsets = [(int(start), int(end)) for start, end in batch["offset_mapping"][cut:]]
    notes = [_("Only the last {n} tokens of the text are read.").format(n=room)] if cut else []
    return _surrounded(tokenizer, [*prefix, *ids], len(prefix), text, offsets, batch.word_ids(0)[cut:], device, notes)


def encode_in_prompt(
    tokenizer: Tokenizer, text: str, prompt: Sequence[int], max_length: int | None = None, device: Device = "cpu"
) -> Encoded:
    """Locate a text within the tokens of a prompt, such as a chat template; the tokens around it are special.

    Args:
        tokenizer: a fast tokenizer.
        text: the text.
        prompt: the tokens of the whole prompt.
        max_length: the longest prompt, for the error message.
        device: where to put the inputs.

    Raises:
        RequestError: the prompt does not contain the text as it is.
    """
    core = text.strip()
    for written in (core, f" {core}"):  # after other text, a word's token includes the space before it
        batch = tokenizer(written, add_special_tokens=False, return_offsets_mapping=True)
        start = _last_occurrence(prompt, batch["input_ids"])
        if start is not None and core:
            shift = text.index(core) - (len(written) - len(core))
            offsets = [(max(0, begin + shift), end + shift) for begin, end in batch["offset_mapping"]]
            return _surrounded(tokenizer, prompt, start, text, offsets, batch.word_ids(0), device, [])
    raise RequestError(NOT_IN_PROMPT, f"Enter one line of fewer than {_limit(tokenizer, max_length)} tokens.")


def encode_for(predictor: Predictor, text: str, text_pair: str | None = None) -> Encoded:
    """Tokenize a text as the predictor's task does, on the model's device.

    Args:
        predictor: a loaded run.
        text: the text.
        text_pair: the second text, for a task of text pairs.

    Raises:
        RequestError: the task reads another number of texts, or the text has no tokens.
    """
    task, tokenizer, model = predictor.task, predictor.tokenizer, predictor.model
    device = next(model.parameters()).device
    _check_roles(task, text_pair)
    prompt = task.prompt_tokens(tokenizer, text, _limit(tokenizer, predictor.max_length))
    if prompt is not None:
        return encode_in_prompt(tokenizer, text, prompt, predictor.max_length, device)
    prefix = task.continuation_prefix(tokenizer)
    if prefix is not None:
        return encode_continuation(tokenizer, text, prefix, predictor.max_length, device)
    # A task that generates text reads a mask that is written in it.
    tokenizing: AbstractContextManager[None] = special_tokens_in_text(tokenizer) if task.generates else nullcontext()
    with tokenizing:
        encoded = encode(tokenizer, text, text_pair, predictor.max_length, device)
    return with_decoder_start(model, encoded) if task.generates else encoded


def with_decoder_start(model: Model, encoded: Encoded) -> Encoded:
    """Add the token that an encoder-decoder starts to write from; other models' inputs stay as they are.

    Args:
        model: the model that reads the inputs.
        encoded: the text.
    """
    start = getattr(model.config, "decoder_start_token_id", None)
    is_encoder_decoder = getattr(model.config, "is_encoder_decoder", False)
    if not is_encoder_decoder or start is None or "decoder_input_ids" in encoded.inputs:
        return encoded
    ids = torch.tensor([[start]], device=next(model.parameters()).device)
    return replace(encoded, inputs={**encoded.inputs, "decoder_input_ids": ids})


def readable(text: str) -> str:
    """Return a token's text for display: without surrounding space, and never empty.

    Args:
        text: the token's text.
    """
    return visible(text.strip()) or "␣"


def visible(text: str) -> str:
    """Replace control characters by their pictures; they would be dropped, or change how the rest is displayed.

    Args:
        text: any text.
    """
    return "".join(map(_visible, text))


def _limit(tokenizer: Tokenizer, max_length: int | None) -> int:
    # A tokenizer without a limit reports 10^30, which overflows in its own library.
    return min(length for length in (max_length, tokenizer.model_max_length, 2**31 - 1) if length)


def _last_occurrence(row: Sequence[int], part: Sequence[int]) -> int | None:
    starts = (i for i in range(len(row) - len(part), -1, -1) if list(row[i : i + len(part)]) == list(part))
    return next(starts, None)


def _surrounded(
    tokenizer: Tokenizer,
    row: Sequence[int],
    start: int,
    text: str,
    offsets: Offsets,
    words: list[int | None],
    device: Device,
    notes: list[str],
) -> Encoded:
    """Build the encoding of a row in which the tokens of ``text`` begin at ``start`` and all others are special."""
    end = start + len(offsets)
    before, after = start, len(row) - end
    tokens = list(tokenizer.convert_ids_to_tokens(list(row)))
    surfaces = [text[begin:stop] for begin, stop in offsets]
    shown = [_shown(*pair, tokenizer.unk_token) for pair in zip(tokens[start:end], surfaces, strict=True)]
    ids = torch.tensor([list(row)], device=device)
    return Encoded(
        tokens=tokens,
        shown=[*map(visible, tokens[:start]), *shown, *map(visible, tokens[end:])],
        offsets=[(0, 0)] * before + offsets + [(0, 0)] * after,
        segments=[None] * before + [0] * len(offsets) + [None] * after,
        special=[True] * before + [False] * len(offsets) + [True] * after,
        words=[None] * before + words + [None] * after,
        inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        notes=notes,
    )


def _check_roles(task: Task, text_pair: str | None) -> None:
    pairs = reads_pairs(task)
    if pairs and text_pair is None:
        raise RequestError(TWO_TEXTS_NEEDED, "Enter the second text as well.")
    if text_pair is not None and not pairs:
        raise RequestError(ONE_TEXT_NEEDED, "Leave out the second text.")


def _shown(token: str, surface: str, unknown: str | None) -> str:
    """Return a token as a person would read it. Byte-level tokens look like noise; the text they came from does not."""
    name = token.replace("Ġ", "").replace("▁", "").replace("</w>", "")
    if surface and token == unknown:
        name = f"{token} {surface.strip()}"
    elif surface and _plain(name.removeprefix("##")) != _plain(surface):
        name = surface.strip() or surface
    return visible(name) or "␣"


def _plain(text: str) -> str:
    """Return the text without what tokenizers commonly normalize away: case, accents, spaces around."""
    letters = unicodedata.normalize("NFD", text.strip().lower())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def _visible(character: str) -> str:
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in ("Cc", "Cs") else character
