"""The tokens that a tokenizer's chat template puts around the turns of a conversation.

    <|im_start|>user\\n | turn 1 | <|im_end|>\\n<|im_start|>assistant\\n | turn 2 | <|im_end|>\\n ...

The template is rendered once for each number of turns, with a placeholder for each turn, and split at the placeholders.
It is a program of whoever published the model, so it runs in a process with limits of memory and time.
Special tokens are recognized only in the output of the template. Text written by people is always plain text, so it
can neither end its own turn nor speak for the other side.

If a tokenizer has no template, turns are separated by its end-of-text token (Zhang et al. 2020, DialoGPT, section
3.1). A history always begins with the user, so the order of the turns determines the roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np

from workbench.data.text.tokens import fast_backend
from workbench.errors import MissingPackageError, SpecError
from workbench.system.limited_process import Limits, call
from workbench.types import TokenIds, Tokenizer

_PLACEHOLDER = "\ue000{}\ue001"  # private-use characters, which no template contains
_ROLES = ("user", "assistant")
_MAX_RENDERED = 1_000_000  # characters around the turns of a conversation
_TURNS_AT_ONCE = 16  # conversations that are rendered at once: of 1, 3, 5 ... turns
_HINT = "Use a model whose template supports alternating user and assistant turns, or a model without a template."
# A template needs milliseconds and a few kB.
RENDERING = Limits(512 * 1024**2, 10.0, "Rendering the chat template of the model's tokenizer", _HINT, SpecError)


def render(template: str, special: Mapping[str, str], conversations: Sequence[Sequence[int]]) -> list[dict[str, str]]:
    """Render a chat template for conversations of placeholders; runs in a process with limits of memory and time.

    Args:
        template: of a tokenizer.
        special: the special tokens by name, which the template may use.
        conversations: for each one, the number of turns, and 1 if a prompt for the reply is added.

    Returns:
        For each conversation its ``text``, or the ``error`` that the template caused; ``missing`` without jinja2.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    answers, values = list[dict[str, str]](), cast("dict[str, Any]", special)
    for turns, prompt in conversations:
        messages = [{"role": _ROLES[i % 2], "content": _PLACEHOLDER.format(i)} for i in range(turns)]
        try:
            rendered: Any = render_jinja_template(
                conversations=[messages], chat_template=template, add_generation_prompt=bool(prompt), **values
            )
            text = str(rendered[0][0])  # texts of all conversations, and where replies are
            around = len(text) - sum(len(message["content"]) for message in messages)
            answers.append({"text": text} if around <= _MAX_RENDERED else {"error": f"it writes {around:,} characters"})
        except ImportError:
            answers.append({"missing": "jinja2"})
        except MemoryError:
            raise
        except Exception as error:  # a template can raise anything
            answers.append({"error": f"it fails with {' '.join(str(error).split())[:200]!r}"})
    return answers


@lru_cache(maxsize=256)
def _rendered(
    template: str, special: tuple[tuple[str, str], ...], conversations: tuple[tuple[int, int], ...]
) -> tuple[dict[str, str], ...]:
    arguments = {"template": template, "special": dict(special), "conversations": conversations}
    answers = call("workbench.tasks.shared.chat:render", arguments, RENDERING)
    return tuple(cast("list[dict[str, str]]", answers))


class Chat:
    """The tokens around the turns of a conversation.

    Args:
        tokenizer: the model's tokenizer.

    Raises:
        SpecError: its template cannot be used, or it has neither a template nor an end-of-text token.
        MissingPackageError: it has a template, but jinja2 is not installed.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.has_template = bool(getattr(tokenizer, "chat_template", None))
        self._frames: dict[int, list[TokenIds]] = {}
        end = tokenizer.eos_token_id
        if end is None:
            raise SpecError(
                "The model's tokenizer has no end-of-text token, which a dialogue needs to end its turns.",
                "Use a model whose tokenizer has an eos_token.",
            )
        self.end = np.array([end], dtype=np.int32)
        self.closing = self._closing()

    def frames(self, turns: int) -> list[TokenIds]:
        """Return the tokens before the first turn, between the turns, and after the last one, up to the reply.

        Args:
            turns: number of turns, which must be odd: the first and the last turn are the user's.
        """
        if turns not in self._frames:
            self._frames[turns] = self._rendered(turns) if self.has_template else self._plain(turns)
        return self._frames[turns]

    def _plain(self, turns: int) -> list[TokenIds]:
        first = self.tokenizer.bos_token_id
        opening = np.array([] if first is None else [first], dtype=np.int32)
        return [opening, *[self.end] * turns]

    def _rendered(self, turns: int) -> list[TokenIds]:
        return [self._tokens(part) for part in self._parts(turns, prompt=True)]

    def _closing(self) -> TokenIds:
        """Return the tokens that end a reply, up to the end-of-text token."""
        if not self.has_template:
            return self.end
        tail = self._tokens(self._parts(2, prompt=False)[-1])
        positions = np.flatnonzero(tail == self.end[0])
        return tail[: positions[0] + 1] if len(positions) else self.end

    def _parts(self, turns: int, prompt: bool) -> list[str]:
        """Return the text that the template writes before, between and after the turns."""
        placeholders = [_PLACEHOLDER.format(number) for number in range(turns)]
        rest = self._text(turns, prompt)
        parts = []
        for placeholder in placeholders:
            before, match, rest = rest.partition(placeholder)
            if not match:
                raise self._unusable("it omits turns or changes their order")
            parts.append(before)
        return [*parts, rest]

    def _text(self, turns: int, prompt: bool) -> str:
        """Return what the template makes of a conversation of placeholders."""
        try:
            template = str(self.tokenizer.get_chat_template())
        except Exception as error:  # several templates, and none of them is the default
            raise self._unusable(f"it fails with {' '.join(str(error).split())[:200]!r}") from error
        first = turns // (2 * _TURNS_AT_ONCE) * 2 * _TURNS_AT_ONCE + 1
        block = [(count, 1) for count in range(first, first + 2 * _TURNS_AT_ONCE, 2)]
        block = [*block, (2, 0)] if first == 1 else block
        special = tuple((name, str(token)) for name, token in self.tokenizer.special_tokens_map.items())
        answer = _rendered(template, special, tuple(block))[block.index((turns, int(prompt)))]
        if "missing" in answer:
            raise MissingPackageError(answer["missing"], "to use the chat template of the model's tokenizer")
        if "error" in answer:
            raise self._unusable(f"{answer['error']} for {turns} turns")
        return answer["text"]

    def _tokens(self, text: str) -> TokenIds:
        """Return the tokens of a text from the template, special tokens included."""
        backend = fast_backend(self.tokenizer)
        before, backend.encode_special_tokens = backend.encode_special_tokens, False
        try:
            return np.asarray(backend.encode(text, add_special_tokens=False).ids, dtype=np.int32)
        finally:
            backend.encode_special_tokens = before

    @staticmethod
    def _unusable(reason: str) -> SpecError:
        return SpecError(
            f"The chat template of the model's tokenizer cannot be used: {reason}.",
            _HINT,
        )


def history(chat: Chat, turns: Sequence[TokenIds], room: int) -> TokenIds:
    """Return the tokens of a conversation up to the reply; the oldest turns are dropped if they do not fit.

    Args:
        chat: the tokens around the turns.
        turns: tokens of each turn; the last one is the user's.
        room: maximum number of tokens.
    """
    for first in range(0, len(turns), 2):  # two at a time, because the first turn must be the user's
        newest = turns[first:]
        frames = chat.frames(len(newest))
        if sum(map(len, frames)) + sum(map(len, newest)) <= room:
            break
    else:
        newest, frames = turns[-1:], chat.frames(1)
        around = sum(map(len, frames))
        if around >= room:  # not even the template fits; keep its end, which matters most
            return np.concatenate(frames)[-room:]
        newest = [newest[0][-(room - around) :]]
    parts = [frames[0]]
    for turn, frame in zip(newest, frames[1:], strict=True):
        parts += [turn, frame]
    return np.concatenate(parts)
