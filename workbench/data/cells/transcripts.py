"""Conversations written as one text: the templates of chat models, and lines that begin with the speaker.

    <|im_start|>user                <s>[INST] Hello [/INST] Hi! </s>        User: Hello
    Hello<|im_end|>                 <start_of_turn>user                     Assistant: Hi!
    <|im_start|>assistant           Hello<end_of_turn>
    Hi!<|im_end|>                   ### Human: Hello ### Assistant: Hi!     [Human]: Hello<eoh> [MOSS]: Hi!<eoa>

A text file may hold several conversations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

Message: TypeAlias = tuple[str, str]  # the role as it is written, and the text

_SIGNS = {"[INST]": "user", "[/INST]": "assistant", "<<SYS>>": "system", "<</SYS>>": "user"}
_HEADINGS = {"instruction": "user", "input": "user", "response": "assistant", "output": "assistant"}
_SPEAKERS = r"user|human|customer|client|system|assistant|bot|chatbot|agent|ai|gpt|moss|model|support|operator"
_END = re.compile(
    r"\s*(?:<\|(?:im_end|eot_id|end|end_of_text|endoftext|eom_id)\|>|<end_of_turn>|</?s>|<eo[a-z]>|<eos>|<bos>|"
    r"<\|begin_of_text\|>)\s*"
)
_OPENING = re.compile(r"\s*(?:(?:<\|begin_of_text\|>|<s>|<bos>)\s*)*")

_HEAD = 1 << 16  # characters that show the template of a file
_LOOKED_AT = 50  # lines
_MIN_SHARE = 0.9
_BREAK = re.compile(r"\n[ \t]*\n\s*$|(?:<\|begin_of_text\|>|<s>|<bos>)\s*$")
_LONG_BREAK = re.compile(r"\n[ \t]*\n[ \t]*\n\s*$|(?:<\|begin_of_text\|>|<s>|<bos>)\s*$")
_OPENINGS = frozenset(("user", "human", "customer", "client", "instruction", "[inst]"))
_CONTEXT = 64  # characters before a mark that show whether a conversation begins there


@dataclass(frozen=True)
class Template:
    """A way to write a conversation as one text.

    Attributes:
        name: what people call it.
        mark: what precedes a message; its group ``role`` names the speaker.
        preamble: whether a text may precede the first message: it is part of the template.
    """

    name: str
    mark: re.Pattern[str]
    preamble: bool = False


TEMPLATES = (
    Template("ChatML", re.compile(r"<\|im_start\|>[ \t]*(?P<role>\w+)[ \t]*\n?")),
    Template("Llama 3's template", re.compile(r"<\|start_header_id\|>\s*(?P<role>\w+)\s*<\|end_header_id\|>")),
    Template("Gemma's template", re.compile(r"<start_of_turn>[ \t]*(?P<role>\w+)[ \t]*\n?")),
    Template("[INST] and [/INST]", re.compile(r"(?P<role>\[/?INST\]|<</?SYS>>)")),
    Template("marks such as <|user|>", re.compile(rf"<\|(?P<role>{_SPEAKERS})\|>:?", re.IGNORECASE)),
    Template("marks such as [Human]:", re.compile(rf"\[(?P<role>{_SPEAKERS})\]:", re.IGNORECASE)),
    Template(
        "headings such as ### Response:",
        re.compile(rf"\#\#\#\s*(?P<role>{_SPEAKERS}|instruction|input|response|output)\s*:", re.IGNORECASE),
        preamble=True,
    ),
    Template("lines such as User:", re.compile(rf"^[ \t]*(?P<role>{_SPEAKERS})[ \t]*[:：]", re.I | re.M)),
)


def read_transcript(text: str, template: Template) -> list[Message]:
    """Return the messages of a text; none if it does not begin with one.

    Args:
        text: a conversation.
        template: how it is written.
    """
    marks = list(template.mark.finditer(text))
    opening = _OPENING.match(text)
    begin = opening.end() if opening else 0
    if not marks or not (template.preamble or text[begin : marks[0].start()].strip() in ("", "<meta>")):
        return []
    messages: list[Message] = []
    for i, mark in enumerate(marks):
        end = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        content = _END.sub("\n", text[mark.end() : end]).strip()
        written = mark["role"]
        role = _SIGNS.get(written) or _HEADINGS.get(written.casefold(), written)
        if content or written not in _SIGNS:  # [INST] is empty before <<SYS>>
            messages.append((role, content))
    return messages


def find_template(texts: list[str], share: float) -> Template | None:
    """Return the template of most texts; None if they are no conversations.

    Args:
        texts: such as the first cells of a column.
        share: of the texts, which have two messages or more.
    """
    for template in TEMPLATES if texts else ():
        if sum(len(read_transcript(text, template)) > 1 for text in texts) >= share * len(texts):
            return template
    return None


def split_transcripts(text: str) -> list[tuple[int, str]] | None:
    """Return the conversations of a file, each with the number of its first line; None if it holds none.

    A conversation begins behind an empty line (behind two, if there is one before most answers), with a system
    message, with a sign such as ``<s>``, or, if each line holds a question and its answer, with each line.

    Args:
        text: the file.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and find_template(lines[:_LOOKED_AT], _MIN_SHARE) is not None:
        return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    template = find_template([text[:_HEAD]], 1)
    if template is None:
        return None
    marks = list(template.mark.finditer(text))
    answers = [mark for mark in marks if mark["role"].casefold() not in (*_OPENINGS, "system")]
    spaced = 2 * sum(_BREAK.search(_before(text, mark)) is not None for mark in answers) > len(answers)
    starts = [0, *(mark.start() for mark in marks[1:] if _begins(text, mark, spaced))]
    ends = [*starts[1:], len(text)]
    line, counted = 1, 0
    result = []
    for start, end in zip(starts, ends, strict=True):
        line += text.count("\n", counted, start)
        counted = start
        result.append((line, text[start:end]))
    return result


def _before(text: str, mark: re.Match[str]) -> str:
    return text[max(0, mark.start() - _CONTEXT) : mark.start()]


def _begins(text: str, mark: re.Match[str], spaced: bool) -> bool:
    """Return whether a conversation begins with a message; ``spaced`` if empty lines are between all messages."""
    written = mark["role"].casefold()
    if written == "system":
        return True
    gap = _LONG_BREAK if spaced and written != "instruction" else _BREAK  # an instruction has one answer
    return written in _OPENINGS and gap.search(_before(text, mark)) is not None
