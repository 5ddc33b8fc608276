"""The chat template of a tokenizer as tokens, with the turns left out: what stands around them.

    <|im_start|>user\\n | turn 1 | <|im_end|>\\n<|im_start|>assistant\\n | turn 2 | <|im_end|>\\n ...

The template is rendered once for each number of turns, with a mark in the place of each turn, and cut at the marks:
only what the template itself writes is read with special tokens. What people wrote is text, whatever it looks like; it
cannot end its own turn or speak for the other side.

Where a tokenizer has no template, turns are parted by the token that ends a text (Zhang et al. 2020, DialoGPT, section
3.1); a history always begins with the user, so its places tell the roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.tokens import fast_backend
from workbench.errors import MissingPackageError, SpecError

Ints = NDArray[np.int32]

_MARK = "\ue000{}\ue001"  # of private use: in no template
_ROLES = ("user", "assistant")


class Chat:
    """What stands around the turns of a conversation.

    Args:
        tokenizer: a transformers tokenizer.

    Raises:
        SpecError: its template cannot be used, or it has neither a template nor a token that ends a text.
        MissingPackageError: templates need jinja2.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.templated = bool(getattr(tokenizer, "chat_template", None))
        self._frames: dict[int, list[Ints]] = {}
        end = tokenizer.eos_token_id
        if end is None:
            raise SpecError(
                "The model's tokenizer has no token that ends a text, and a dialogue needs one to end its turns.",
                "Use a model whose tokenizer has an end token (eos_token).",
            )
        self.end = np.array([end], dtype=np.int32)
        self.closing = self._closing()

    def frames(self, turns: int) -> list[Ints]:
        """The tokens before the first of so many turns, between them, and after the last one, up to the reply.

        Args:
            turns: an odd number: the user has the first and the last of them.
        """
        if turns not in self._frames:
            self._frames[turns] = self._rendered(turns) if self.templated else self._plain(turns)
        return self._frames[turns]

    def _plain(self, turns: int) -> list[Ints]:
        first = self.tokenizer.bos_token_id
        opening = np.array([] if first is None else [first], dtype=np.int32)
        return [opening, *[self.end] * turns]

    def _rendered(self, turns: int) -> list[Ints]:
        return [self._tokens(piece) for piece in self._pieces(turns, prompt=True)]

    def _closing(self) -> Ints:
        """The tokens that end a reply, up to the token that ends a text."""
        if not self.templated:
            return self.end
        tail = self._tokens(self._pieces(2, prompt=False)[-1])
        places = np.flatnonzero(tail == self.end[0])
        return tail[: places[0] + 1] if len(places) else self.end

    def _pieces(self, turns: int, prompt: bool) -> list[str]:
        """What the template writes before, between and after the turns."""
        marks = [_MARK.format(number) for number in range(turns)]
        messages = [{"role": _ROLES[number % 2], "content": mark} for number, mark in enumerate(marks)]
        try:
            rest: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
        except ImportError as error:
            raise MissingPackageError("jinja2", "to use the chat template of the model's tokenizer") from error
        except Exception as error:  # a template can raise anything
            raise self._unusable(f"it fails with {' '.join(str(error).split())[:200]!r}") from error
        pieces = []
        for mark in marks:
            before, found, rest = rest.partition(mark)
            if not found:
                raise self._unusable("it leaves turns out, or writes them in another order")
            pieces.append(before)
        return [*pieces, rest]

    def _tokens(self, piece: str) -> Ints:
        """Text of the template's own, special tokens included."""
        backend = fast_backend(self.tokenizer)
        before, backend.encode_special_tokens = backend.encode_special_tokens, False
        try:
            return np.asarray(backend.encode(piece, add_special_tokens=False).ids, dtype=np.int32)
        finally:
            backend.encode_special_tokens = before

    @staticmethod
    def _unusable(why: str) -> SpecError:
        return SpecError(
            f"The chat template of the model's tokenizer cannot be used: {why}.",
            "Use a model whose template takes turns of user and assistant, or one without a template.",
        )


def history(chat: Chat, turns: Sequence[Ints], room: int) -> Ints:
    """The tokens of a conversation up to the reply, its oldest turns left out where there is no room for them.

    Args:
        chat: what stands around the turns.
        turns: tokens of each, the last one the user's.
        room: most tokens.
    """
    for first in range(0, len(turns), 2):  # a pair at a time: the user's comes first
        kept = turns[first:]
        frames = chat.frames(len(kept))
        if sum(map(len, frames)) + sum(map(len, kept)) <= room:
            break
    else:
        kept, frames = turns[-1:], chat.frames(1)
        around = sum(map(len, frames))
        if around >= room:  # not even what the template writes: its end is what matters
            return np.concatenate(frames)[-room:]
        kept = [kept[0][-(room - around) :]]
    pieces = [frames[0]]
    for turn, frame in zip(kept, frames[1:], strict=True):
        pieces += [turn, frame]
    return np.concatenate(pieces)
