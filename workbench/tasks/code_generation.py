"""Generate the body of a function from its signature and docstring.

    workbench run write-code

The loss and the metrics cover only the body. Bodies generated for test functions are parsed but never run. They are
measured by whether signature and body parse as a function, and by their similarity to the body that a person wrote
(edit similarity, as in Svyatkovskiy et al. 2020, "IntelliCode Compose", section 6). Code that a model generates after
the function, with less indentation, is dropped. If the text reached ``max_new_tokens``, so is its last, incomplete
line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.metrics.measures import Measure
from workbench.tasks.base import tasks
from workbench.tasks.contexts import FinishContext, TaskInput
from workbench.tasks.shared.prompted import PromptedOptions, PromptedTask
from workbench.tasks.shared.prompts import Prompt, Row, TextColumns, text_ends, token_lists
from workbench.tasks.shared.python_text import edit_similarity, function_body, parses
from workbench.types import Json, TokenIds, Tokenizer


@tasks.register("code-generation")
class CodeGeneration(PromptedTask):
    """Code generation: write the body of a Python function from its signature and docstring."""

    example = N_("Write the body of a function from its description.")
    generates_code = True
    baseline_texts_name = "the most frequent body in training"

    class Config(PromptedOptions):
        max_new_tokens: int = Field(
            128, ge=1, le=32_768, description="Maximum number of tokens to generate for a function."
        )
        temperature: float = Field(
            0.0,
            ge=0,
            le=10,
            description="Sampling temperature: 0 is greedy decoding, 1 samples from the model's distribution "
            "unchanged.",
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.majority_body = ""

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        return [
            Column("prompt", "Signature and docstring of a function.", ("prompt", "head", "signature", "stub")),
            Column("body", "The indented lines of its body.", ("body", "completion", "code", "solution"), target=True),
        ]

    def check_examples(self, examples: Examples) -> None:
        _check_code(examples)

    def fit(self, train: Examples) -> None:
        bodies = Counter(body.strip("\n") for body in train.columns["body"])
        self.majority_body = min(bodies, key=lambda body: (-bodies[body], body))
        self.sample_inputs = [{"prompt": prompt} for prompt in train.columns["prompt"][:3]]

    def rows(self, tokenizer: Tokenizer, examples: Examples, training: bool) -> list[Row]:
        prompts, bodies = examples.columns["prompt"], examples.columns["body"]
        _check_code(examples)
        prefix, suffix = text_ends(tokenizer)
        heads = token_lists(tokenizer, [_head(prompt) for prompt in prompts])
        targets = token_lists(tokenizer, [_body(body) for body in bodies])
        ending = np.array(suffix, dtype=np.int32)
        return [
            Row(_prompt(prefix, head), np.concatenate([target, ending]), number, len(bodies[number].encode()))
            for number, (head, target) in enumerate(zip(heads, targets, strict=True))
        ]

    # -- results -------------------------------------------------------------------------------------------------------

    def example_inputs(self, examples: Examples, index: int) -> dict[str, Json]:
        return {"prompt": examples.columns["prompt"][index]}

    def example_target(self, examples: Examples, index: int) -> str:
        return str(examples.columns["body"][index])

    def postprocess(self, text: str, complete: bool) -> str:
        return function_body(text, complete)

    def baseline_texts(self, context: FinishContext, chosen: Sequence[int]) -> list[str]:
        return [self.majority_body] * len(chosen)

    def measure_texts(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> TextColumns:
        prompts, bodies = examples.columns["prompt"], examples.columns["body"]
        similar = [edit_similarity(text, bodies[i].strip("\n").rstrip()) for i, text in zip(chosen, texts, strict=True)]
        valid = [bool(t.strip()) and parses(_head(prompts[i]) + _body(t)) for i, t in zip(chosen, texts, strict=True)]
        return {
            "parsed": np.array(valid, dtype=np.float64),
            "similarity": np.array(similar, dtype=np.float64),
            "functions": np.ones(len(texts)),
        }

    def text_measures(self) -> dict[str, Measure]:
        return {"parse_rate": ("ratio", "parsed", "functions"), "edit_similarity": ("ratio", "similarity", "functions")}

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("prompt", "Signature and docstring of a function.", required=False),
            Column("text", "Signature and docstring, under the name that the command line uses.", required=False),
        ]

    def encode_prompts(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput]) -> list[Prompt]:
        prompts = [str(each.get("prompt", each.get("text")) or "") for each in inputs]
        for number, prompt in enumerate(prompts, start=1):
            if not prompt.strip():
                raise DataError(
                    f"Input {number} has no signature.",
                    "Write the signature of a function: def area(radius: float) -> float:",
                )
        prefix, _ = text_ends(tokenizer)
        return [_prompt(prefix, ids) for ids in token_lists(tokenizer, [_head(prompt) for prompt in prompts])]

    def input_text(self, inputs: TaskInput) -> str:
        return str(inputs["prompt"])


def _check_code(examples: Examples) -> None:
    """Raise DataError for a function without a signature or without a line of code."""
    columns = zip(examples.locations(), examples.columns["prompt"], examples.columns["body"], strict=True)
    for where, prompt, body in columns:
        missing = "prompt" if not prompt.strip() else "body" if not body.strip() else ""
        if missing:
            raise DataError(f"{where}: the function has no {missing}.", "Add it, or remove the row.")


def _head(prompt: str) -> str:
    """Return a prompt without its final newline, which belongs to the body: tokenizers join it to the indentation."""
    return prompt.rstrip()


def _body(body: str) -> str:
    return "\n" + body.strip("\n").rstrip()


def _prompt(prefix: Sequence[int], head: TokenIds) -> Prompt:
    """Return a prompt that is shortened in its middle: the signature begins it, and the body continues its end."""
    opening = np.asarray(prefix, dtype=np.int32)

    def within(room: int) -> TokenIds:
        length = max(2, room - len(opening))
        if len(head) <= length:
            return np.concatenate([opening, head])
        return np.concatenate([opening, head[: length - length // 2], head[len(head) - length // 2 :]])

    return Prompt(len(opening) + len(head), within)
