"""Write a text that is as asked: of a label, of a length, with a word in it.

    workbench run steered-reviews

The controls stand before the text (Keskar et al. 2019, "CTRL", section 3):

    label: fresh
    length: short
    keyword: camera
    text: ...

Some training texts have no controls, so that the same model also writes without (as in Ho and Salimans 2022,
"Classifier-Free Diffusion Guidance", section 3.2). Measured is how often what is written obeys, against what the same
model writes without controls. Whether a text is of its label is judged by a classifier that was trained apart: by
another run (``judge: run:ID``), or by a small one that learns here, from training texts that the model does not get.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.errors import DataError, SpecError
from workbench.metrics.measures import Measure
from workbench.metrics.overlap import rouge_tokens
from workbench.tasks.base import Array, Encoded, tasks
from workbench.tasks.shared.generation import evenly
from workbench.tasks.shared.judge import BagOfWords
from workbench.tasks.shared.prompted import (
    Columns,
    Prompt,
    PromptedOptions,
    PromptedTask,
    Row,
    Written,
    text_ends,
    token_lists,
)

CONTROLS = ("label", "length", "keyword")
LENGTHS = ("short", "medium", "long")
Length = Literal["short", "medium", "long"]
FREQUENT = 150  # so many of the most frequent words are no keywords, or a tenth of all where there are few
SHORTEST_KEYWORD = 4  # letters
JUDGED = 1_000  # test texts that the judge itself is tried on


@tasks.register("controlled-generation")
class ControlledGeneration(PromptedTask):
    """Controlled generation: write a text of a given label and length, with a given word in it."""

    trivial_name = "the same model without the controls"

    class Config(PromptedOptions):
        written: int = Field(
            100, ge=0, le=100_000, description="For so many test examples a text is written and measured at the end."
        )
        label: bool = Field(True, description="Control the label (column label).")
        length: bool = Field(True, description="Control the length: short, medium or long.")
        keyword: bool = Field(True, description="Control a word that is to stand in the text.")
        short: int = Field(14, ge=1, description="Texts of fewer words are short.")
        long: int = Field(24, ge=1, description="Texts of more words are long.")
        left_out: float = Field(0.1, ge=0, lt=1, description="Share of the training texts that have no controls.")
        judge: str = Field(
            "",
            pattern=r"^(run:.+)?$",
            description="Who judges labels: a finished text-classification run as run:ID; empty for a small classifier "
            "that learns from training texts that are kept from the model.",
        )
        judge_share: float = Field(
            0.5,
            gt=0,
            lt=1,
            description="Share of the training texts that the small classifier gets, and the model not.",
        )

        @model_validator(mode="after")
        def _something_to_control(self) -> Any:
            if not (self.label or self.length or self.keyword):
                raise ValueError("at least one of label, length and keyword must be controlled")
            if self.long < self.short:
                raise ValueError("long must not be below short")
            return self

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.frequent: frozenset[str] = frozenset()
        self.own_judge: BagOfWords | None = None
        self.kept_back: frozenset[int] = frozenset()  # training texts that the judge learned from
        self.judged: dict[str, Any] = {}

    # -- data --------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = Column("text", "The text to be written.", ("text", "sentence", "review", "content", "body"))
        guesses = ("label", "category", "class", "sentiment", "topic")
        label = Column("label", "Its label, which is asked for.", guesses, kind="label")
        return [text, label] if self.config.label else [text]

    def fit(self, train: Examples) -> None:
        texts = train.columns["text"]
        counts = Counter(word for text in texts for word in rouge_tokens(text, "unicode"))
        self.frequent = frozenset(word for word, _ in counts.most_common(min(FREQUENT, len(counts) // 10)))
        self.sample_inputs = []
        if not self.config.label:
            return
        self.labels = sorted(set(train.columns["label"]))
        if len(self.labels) < 2:
            raise DataError(
                f"The training data has one label only: {self.labels}.",
                "Give texts of two labels or more, or set task.label: false.",
            )
        self.sample_inputs = [{"label": label} for label in self.labels[:3]]
        if not self.config.judge:
            self._train_judge(train)

    def _train_judge(self, train: Examples) -> None:
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(train))
        count = int(len(train) * self.config.judge_share)
        if not 0 < count < len(train):
            raise DataError(
                f"{len(train)} training texts cannot be divided between the model and its judge.", "Give more texts."
            )
        chosen = np.sort(order[:count]).tolist()
        number = {label: i for i, label in enumerate(self.labels)}
        texts, labels = train.columns["text"], train.columns["label"]
        self.own_judge = BagOfWords([texts[i] for i in chosen], [number[labels[i]] for i in chosen], len(self.labels))
        self.kept_back = frozenset(chosen)

    def texts(self, examples: Examples) -> Iterator[str]:
        for number, text in enumerate(examples.columns["text"]):
            yield _prefix(self.controls(examples, number)) + " " + text

    def configure(self, model: Any) -> None:
        super().configure(model)
        if self.config.judge and self.config.label:
            self._ask_judge(["a text"])  # a judge that cannot judge is told of before training, not after

    def rows(self, tokenizer: Any, examples: Examples, training: bool) -> list[Row]:
        used = [number for number in range(len(examples)) if not (training and number in self.kept_back)]
        texts = [examples.columns["text"][number].strip() for number in used]
        for number, text in zip(used, texts, strict=True):
            if not text:
                raise DataError(f"{examples.locations()[number]}: the text is empty.", "Leave the row out.")
        asked = []
        for number, text in zip(used, texts, strict=True):
            bare = training and zlib.crc32(text.encode()) % 1000 < 1000 * self.config.left_out
            asked.append(_prefix({} if bare else self.controls(examples, number)))
        before, after = text_ends(tokenizer)
        prompts, targets = token_lists(tokenizer, asked), token_lists(tokenizer, [f" {text}" for text in texts])
        ending = np.array(after, dtype=np.int32)
        return [
            Row(Prompt.of(before, prompt), np.concatenate([target, ending]), number, len(text.encode()))
            for number, prompt, target, text in zip(used, prompts, targets, texts, strict=True)
        ]

    def controls(self, examples: Examples, number: int) -> dict[str, str]:
        """What an example's text is, as controls."""
        text, found = examples.columns["text"][number], {}
        if self.config.label:
            found["label"] = examples.columns["label"][number]
        if self.config.length:
            found["length"] = self.length_of(text)
        keyword = self.keyword_of(text) if self.config.keyword else None
        if keyword:
            found["keyword"] = keyword
        return found

    def length_of(self, text: str) -> Length:
        """``short``, ``medium`` or ``long``, by the number of words."""
        words = len(rouge_tokens(text, "unicode"))
        return "short" if words < self.config.short else "long" if words > self.config.long else "medium"

    def keyword_of(self, text: str) -> str | None:
        """A word of the text that is not among the most frequent; always the same one of the same text."""
        words = rouge_tokens(text, "unicode")
        rare = [w for w in words if len(w) >= SHORTEST_KEYWORD and w.isalpha() and w not in self.frequent]
        return rare[zlib.crc32(text.encode()) % len(rare)] if rare else None

    # -- results -----------------------------------------------------------------------------------------------------

    def finish(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        encoded: Encoded,
        outputs: Array,
        progress: Callable[[int, int], None],
    ) -> Written:
        if self.config.label and self.config.written:
            self.judged = self._try_judge(examples)
        return super().finish(model, tokenizer, examples, encoded, outputs, progress)

    def _try_judge(self, examples: Examples) -> dict[str, Any]:
        """How often the judge is right on texts that people wrote: what it says of written ones is worth no more."""
        chosen = evenly(len(examples), JUDGED).tolist()
        said = self._ask_judge([examples.columns["text"][i] for i in chosen])
        right = sum(label == examples.columns["label"][i] for i, label in zip(chosen, said, strict=True))
        return {
            "name": self.config.judge or f"naive Bayes on {len(self.kept_back):,} training texts kept from the model",
            "accuracy": right / len(chosen),
            "examples": len(chosen),
        }

    def _ask_judge(self, texts: Sequence[str]) -> list[str]:
        """The label that the judge gives each text. Raises SpecError when it cannot judge these labels."""
        if self.own_judge is not None:
            return [self.labels[number] for number in self.own_judge.predict(texts)]
        if self.predict_with_run is None:
            raise SpecError("Nobody can be asked here to judge labels.", "Leave task.judge empty.")
        answers = self.predict_with_run(self.config.judge.removeprefix("run:"), [{"text": text} for text in texts])
        known = set(answers[0].get("scores", ())) if answers else set()
        if known != set(self.labels):
            raise SpecError(
                f"{self.config.judge} gives the labels {sorted(known)}, and the texts here have {self.labels}.",
                "Name a text-classification run that was trained on the same labels.",
            )
        return [str(answer["label"]) for answer in answers]

    def trivial_texts(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        chosen: Sequence[int],
        progress: Callable[[int, int], None],
    ) -> list[str]:
        before, _ = text_ends(tokenizer)
        bare = [*before, *token_lists(tokenizer, [_prefix({})])[0].tolist()]
        return self.write(model, tokenizer, [bare] * len(chosen), self.config, progress)

    def measured(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> Columns:
        """For each control whether it was asked for, and whether the text obeys."""
        asked = [self.controls(examples, number) for number in chosen]
        said = self._ask_judge(texts) if self.config.label else [""] * len(texts)
        columns = {f"{name}_{what}": np.zeros(len(texts)) for name in self._used() for what in ("asked", "obeyed")}
        for i, (controls, text, label) in enumerate(zip(asked, texts, said, strict=True)):
            obeyed = {
                "label": bool(text.strip()) and label == controls.get("label"),
                "length": bool(text.strip()) and self.length_of(text) == controls.get("length"),
                "keyword": controls.get("keyword") in rouge_tokens(text, "unicode"),
            }
            for name in controls:
                columns[f"{name}_asked"][i] = 1.0
                columns[f"{name}_obeyed"][i] = float(obeyed[name])
        return columns

    def written_measures(self) -> dict[str, Measure]:
        return {f"{name}_obeyed": ("ratio", f"{name}_obeyed", f"{name}_asked") for name in self._used()}

    def _used(self) -> list[str]:
        return [name for name in CONTROLS if getattr(self.config, name)]

    def report(self, outputs: Written, targets: Any, train_targets: Any) -> dict[str, Any]:
        result = super().report(outputs, targets, train_targets)
        if self.judged:
            result["judge"] = self.judged
            result["notes"] = [
                *result["notes"],
                f"Labels were judged by {self.judged['name']}, which is right on {self.judged['accuracy']:.1%} of "
                f"{self.judged['examples']:,} test texts that people wrote.",
            ]
        return result

    def shown(self, examples: Examples, number: int) -> tuple[str, str]:
        return _prefix(self.controls(examples, number)), examples.columns["text"][number]

    # -- asked -------------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        told = {
            "label": f"One of {', '.join(self.labels[:10])}." if self.labels else "A label of the training texts.",
            "length": f"One of {', '.join(LENGTHS)}.",
            "keyword": "A word that is to stand in the text.",
        }
        found = [Column(name, told[name], required=False) for name in self._used()]
        return [*found, Column("text", "How the text begins; may be empty.", required=False, may_be_empty=True)]

    def prompts_of(self, tokenizer: Any, inputs: Sequence[dict[str, Any]]) -> list[Prompt]:
        before, _ = text_ends(tokenizer)
        asked = []
        for place, given in enumerate(inputs, start=1):
            begin = " ".join(str(given.get("text") or "").split())
            asked.append(_prefix(self._checked(given, place)) + (f" {begin}" if begin else ""))
        return [Prompt.of(before, ids) for ids in token_lists(tokenizer, asked)]

    def _checked(self, given: Mapping[str, Any], place: int) -> dict[str, str]:
        """The controls of an input. Raises DataError for one that the model does not know."""
        allowed = {"label": self.labels, "length": list(LENGTHS)}
        found = {}
        for name in CONTROLS:
            value = " ".join(str(given.get(name) or "").split())
            if not value:
                continue
            if name not in self._used():
                raise DataError(
                    f"Input {place} asks for a {name}, and this model was trained without that control.",
                    f"It has: {', '.join(self._used())}.",
                )
            if name in allowed and value not in allowed[name]:
                raise DataError(
                    f"Input {place}: there is no {name} {value[:80]!r}.", f"Allowed: {', '.join(allowed[name][:40])}."
                )
            found[name] = value.lower() if name == "keyword" else value
        return found

    def told(self, given: Mapping[str, Any]) -> str:
        return ", ".join(f"{name}: {value}" for name, value in given.items())


def _prefix(controls: Mapping[str, str]) -> str:
    """What stands before a text."""
    return "".join(f"{name}: {controls[name]}\n" for name in CONTROLS if name in controls) + "text:"
