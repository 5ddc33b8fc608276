"""Write a function: from its signature and docstring to its body.

    workbench run write-code

Learned and measured is the body. What is written for test functions is parsed, never run: does it make a function with
its head, and how near does it come to the body that a person wrote (edit similarity, as in Svyatkovskiy et al. 2020,
"IntelliCode Compose", section 6)? What a model writes on after the function, less indented, is left out; of a text that
reached ``max_new_tokens`` the last, broken line is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.errors import DataError
from workbench.metrics.measures import Measure
from workbench.tasks.base import tasks
from workbench.tasks.shared.prompted import (
    Columns,
    Ints,
    Prompt,
    PromptedOptions,
    PromptedTask,
    Row,
    text_ends,
    token_lists,
)
from workbench.tasks.shared.python_text import edit_similarity, function_body, parses


@tasks.register("code-generation")
class CodeGeneration(PromptedTask):
    """Code: write the body of a function from its signature and docstring."""

    generates_code = True
    trivial_name = "the body most frequent in training"

    class Config(PromptedOptions):
        max_new_tokens: int = Field(128, ge=1, le=32_768, description="Most tokens that are written for a function.")
        temperature: float = Field(
            0.0,
            ge=0,
            le=10,
            description="Spread of what is drawn: 0 takes the most probable token, 1 draws as learned.",
        )

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.usual_body = ""

    # -- data --------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("prompt", "Signature and docstring of a function.", ("prompt", "head", "signature", "stub")),
            Column("body", "The lines of its body, indented.", ("body", "completion", "code", "solution"), target=True),
        ]

    def fit(self, train: Examples) -> None:
        bodies = Counter(body.strip("\n") for body in train.columns["body"])
        self.usual_body = min(bodies, key=lambda body: (-bodies[body], body))
        self.sample_inputs = [{"prompt": prompt} for prompt in train.columns["prompt"][:3]]

    def rows(self, tokenizer: Any, examples: Examples, training: bool) -> list[Row]:
        prompts, bodies = examples.columns["prompt"], examples.columns["body"]
        _check_code(examples)
        before, after = text_ends(tokenizer)
        heads = token_lists(tokenizer, [_head(prompt) for prompt in prompts])
        targets = token_lists(tokenizer, [_behind(body) for body in bodies])
        ending = np.array(after, dtype=np.int32)
        return [
            Row(_shortened(before, head), np.concatenate([target, ending]), number, len(bodies[number].encode()))
            for number, (head, target) in enumerate(zip(heads, targets, strict=True))
        ]

    # -- results -----------------------------------------------------------------------------------------------------

    def shown(self, examples: Examples, number: int) -> tuple[str, str]:
        return examples.columns["prompt"][number], examples.columns["body"][number]

    def postprocess(self, written: str, whole: bool) -> str:
        return function_body(written, whole)

    def trivial_texts(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        chosen: Sequence[int],
        progress: Callable[[int, int], None],
    ) -> list[str]:
        return [self.usual_body] * len(chosen)

    def measured(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> Columns:
        prompts, bodies = examples.columns["prompt"], examples.columns["body"]
        near = [edit_similarity(text, bodies[i].strip("\n").rstrip()) for i, text in zip(chosen, texts, strict=True)]
        sound = [bool(t.strip()) and parses(_head(prompts[i]) + _behind(t)) for i, t in zip(chosen, texts, strict=True)]
        return {
            "parsed": np.array(sound, dtype=np.float64),
            "similarity": np.array(near, dtype=np.float64),
            "functions": np.ones(len(texts)),
        }

    def written_measures(self) -> dict[str, Measure]:
        return {"parse_rate": ("ratio", "parsed", "functions"), "edit_similarity": ("ratio", "similarity", "functions")}

    # -- asked -------------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("prompt", "Signature and docstring of a function.", required=False),
            Column("text", "The same, under the name that the command line has.", required=False),
        ]

    def prompts_of(self, tokenizer: Any, inputs: Sequence[dict[str, Any]]) -> list[Prompt]:
        asked = [str(given.get("prompt", given.get("text")) or "") for given in inputs]
        for place, prompt in enumerate(asked, start=1):
            if not prompt.strip():
                raise DataError(
                    f"Input {place} has no signature.",
                    "Write the head of a function: def area(radius: float) -> float:",
                )
        before, _ = text_ends(tokenizer)
        return [_shortened(before, ids) for ids in token_lists(tokenizer, [_head(prompt) for prompt in asked])]

    def told(self, given: Mapping[str, Any]) -> str:
        return str(given["prompt"])


def _check_code(examples: Examples) -> None:
    """Raise DataError for a function without a head or without a line of code."""
    columns = zip(examples.locations(), examples.columns["prompt"], examples.columns["body"], strict=True)
    for place, prompt, body in columns:
        missing = "prompt" if not prompt.strip() else "body" if not body.strip() else ""
        if missing:
            raise DataError(f"{place}: the function has no {missing}.", "Leave it out, or write it.")


def _head(prompt: str) -> str:
    """A prompt without the line end behind it: that belongs to the body, as tokenizers join it with the indent."""
    return prompt.rstrip()


def _behind(body: str) -> str:
    return "\n" + body.strip("\n").rstrip()


def _shortened(before: Sequence[int], head: Ints) -> Prompt:
    """A head whose middle goes first: it begins with the signature, and ends with what the body is to go on with."""
    opening = np.asarray(before, dtype=np.int32)

    def within(room: int) -> Ints:
        kept = max(2, room - len(opening))
        if len(head) <= kept:
            return np.concatenate([opening, head])
        return np.concatenate([opening, head[: kept - kept // 2], head[len(head) - kept // 2 :]])

    return Prompt(len(opening) + len(head), within)
