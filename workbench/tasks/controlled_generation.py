"""Generate a text with a given label, length and keyword.

    workbench run steered-reviews

The controls come before the text (Keskar et al. 2019, "CTRL", section 3):

    label: fresh
    length: short
    keyword: camera
    text: ...

Some training texts have no controls, so that the same model can also generate without them (as in Ho and Salimans
2022, "Classifier-Free Diffusion Guidance", section 3.2). The metrics are the shares of generated texts that obey each
control; the baseline is the same model without controls. A separately trained classifier judges whether a text has its
label: another run (``judge: run:ID``), or a small classifier trained on texts that are held out from the model.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypedDict

import numpy as np
from pydantic import Field, model_validator

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.errors import DataError, SpecError
from workbench.i18n import N_
from workbench.metrics.label_order import sort_labels
from workbench.metrics.measures import Measure
from workbench.metrics.overlap import rouge_tokens
from workbench.tasks.answers import ScoredLabels
from workbench.tasks.base import TaskReport, tasks
from workbench.tasks.contexts import FinishContext, TaskInput
from workbench.tasks.shared.generation import evenly_spaced
from workbench.tasks.shared.judge import BagOfWords
from workbench.tasks.shared.language import TextTargets
from workbench.tasks.shared.prompted import GeneratedTexts, PromptedOptions, PromptedTask
from workbench.tasks.shared.prompts import Prompt, Row, TextColumns, text_ends, token_lists
from workbench.types import Json, Model, Tokenizer

CONTROLS = ("label", "length", "keyword")
LENGTHS = ("short", "medium", "long")
Length = Literal["short", "medium", "long"]
FREQUENT_WORDS = 150  # the most frequent words, which are never keywords; a tenth of the vocabulary if it is small
SHORTEST_KEYWORD = 4  # letters
JUDGE_EXAMPLES = 1_000  # test texts on which the judge itself is evaluated


class JudgeReport(TypedDict):
    """The accuracy of the judge.

    Attributes:
        name: a description of the judge.
        accuracy: its accuracy on texts that people wrote, 0 to 1.
        examples: number of these texts.
    """

    name: str
    accuracy: float
    examples: int


@tasks.register("controlled-generation")
class ControlledGeneration(PromptedTask):
    """Controlled generation: write a text with a given label, length and keyword."""

    example = N_("Write a friendly review of a given length about a given word.")
    baseline_texts_name = "the same model without the controls"

    class Config(PromptedOptions):
        written: int = Field(
            100,
            ge=0,
            le=100_000,
            description="Number of test examples for which a text is generated and evaluated after training.",
        )
        label: bool = Field(True, description="Control the label (column label).")
        length: bool = Field(True, description="Control the length: short, medium or long.")
        keyword: bool = Field(True, description="Control a keyword: a word that the text contains.")
        short: int = Field(14, ge=1, description="Texts with fewer words than this are short.")
        long: int = Field(24, ge=1, description="Texts with more words than this are long.")
        left_out: float = Field(0.1, ge=0, lt=1, description="Share of the training texts without controls.")
        judge: str = Field(
            "",
            pattern=r"^(run:.+)?$",
            description="Judge of the labels: a finished text-classification run as run:ID; empty for a small "
            "classifier trained on texts that are held out from the model.",
        )
        judge_share: float = Field(
            0.5,
            gt=0,
            lt=1,
            description="Share of the training texts held out from the model to train the small classifier.",
        )

        @model_validator(mode="after")
        def _something_to_control(self) -> ControlledGeneration.Config:
            if not (self.label or self.length or self.keyword):
                raise ValueError("at least one of label, length and keyword must be controlled")
            if self.long < self.short:
                raise ValueError("long must not be below short")
            return self

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.frequent: frozenset[str] = frozenset()
        self.own_judge: BagOfWords | None = None
        self.held_out: frozenset[int] = frozenset()  # training texts held out from the model to train the judge
        self.judge_report: JudgeReport | None = None

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        text = Column("text", "The text to generate.", ("text", "sentence", "review", "content", "body"))
        guesses = ("label", "category", "class", "sentiment", "topic")
        label = Column("label", "Its label, used as a control.", guesses, kind="label")
        return [text, label] if self.config.label else [text]

    def judge_run(self) -> str | None:
        return self.config.judge.removeprefix("run:") if self.config.judge and self.config.label else None

    def fit(self, train: Examples) -> None:
        texts = train.columns["text"]
        counts = Counter(word for text in texts for word in rouge_tokens(text, "unicode"))
        self.frequent = frozenset(word for word, _ in counts.most_common(min(FREQUENT_WORDS, len(counts) // 10)))
        self.sample_inputs = []
        if not self.config.label:
            return
        self.labels = sort_labels(train.columns["label"], self.labels)
        if len(self.labels) < 2:
            raise DataError(
                f"The training data has only one label: {self.labels}.",
                "Add texts with other labels, or set task.label: false.",
            )
        self.sample_inputs = [{"label": label} for label in self.labels[:3]]
        if not self.config.judge:
            self._train_judge(train)

    def _train_judge(self, train: Examples) -> None:
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(train))
        count = int(len(train) * self.config.judge_share)
        if not 0 < count < len(train):
            raise DataError(
                f"{len(train)} training texts are too few to divide between the model and its judge.", "Add more texts."
            )
        chosen = np.sort(order[:count]).tolist()
        index = {label: i for i, label in enumerate(self.labels)}
        texts, labels = train.columns["text"], train.columns["label"]
        self.own_judge = BagOfWords([texts[i] for i in chosen], [index[labels[i]] for i in chosen], len(self.labels))
        self.held_out = frozenset(chosen)

    def texts(self, examples: Examples) -> Iterator[str]:
        for number, text in enumerate(examples.columns["text"]):
            yield _prefix(self.controls(examples, number)) + " " + text

    def configure(self, model: Model) -> None:
        super().configure(model)
        if self.config.judge and self.config.label:
            self._judge(["a text"])  # fail before training, not after it, if the judge cannot be used

    def rows(self, tokenizer: Tokenizer, examples: Examples, training: bool) -> list[Row]:
        used = [number for number in range(len(examples)) if not (training and number in self.held_out)]
        texts = [examples.columns["text"][number].strip() for number in used]
        for number, text in zip(used, texts, strict=True):
            if not text:
                raise DataError(f"{examples.locations()[number]}: the text is empty.", "Remove the row.")
        prefixes = []
        for number, text in zip(used, texts, strict=True):
            bare = training and zlib.crc32(text.encode()) % 1000 < 1000 * self.config.left_out
            prefixes.append(_prefix({} if bare else self.controls(examples, number)))
        prefix, suffix = text_ends(tokenizer)
        prompts, targets = token_lists(tokenizer, prefixes), token_lists(tokenizer, [f" {text}" for text in texts])
        ending = np.array(suffix, dtype=np.int32)
        return [
            Row(Prompt.of(prefix, prompt), np.concatenate([target, ending]), number, len(text.encode()))
            for number, prompt, target, text in zip(used, prompts, targets, texts, strict=True)
        ]

    def controls(self, examples: Examples, index: int) -> dict[str, str]:
        """Return the controls that describe an example's text.

        Args:
            examples: examples of one split.
            index: index of the example.
        """
        text, controls = examples.columns["text"][index], {}
        if self.config.label:
            controls["label"] = examples.columns["label"][index]
        if self.config.length:
            controls["length"] = self.length_of(text)
        keyword = self.keyword_of(text) if self.config.keyword else None
        if keyword:
            controls["keyword"] = keyword
        return controls

    def length_of(self, text: str) -> Length:
        """Return ``short``, ``medium`` or ``long``, depending on the number of words.

        Args:
            text: any text.
        """
        words = len(rouge_tokens(text, "unicode"))
        return "short" if words < self.config.short else "long" if words > self.config.long else "medium"

    def keyword_of(self, text: str) -> str | None:
        """Return a word of the text that is not among the most frequent words; deterministic for each text.

        Args:
            text: any text.
        """
        words = rouge_tokens(text, "unicode")
        rare = [w for w in words if len(w) >= SHORTEST_KEYWORD and w.isalpha() and w not in self.frequent]
        return rare[zlib.crc32(text.encode()) % len(rare)] if rare else None

    # -- results -------------------------------------------------------------------------------------------------------

    def finish(self, context: FinishContext) -> GeneratedTexts:
        if self.config.label and self.config.written:
            self.judge_report = self._measure_judge(context.examples)
        return super().finish(context)

    def _measure_judge(self, examples: Examples) -> JudgeReport:
        """Return the judge's accuracy on texts written by people, an upper bound for that on generated texts."""
        chosen = evenly_spaced(len(examples), JUDGE_EXAMPLES).tolist()
        labels = self._judge([examples.columns["text"][i] for i in chosen])
        right = sum(label == examples.columns["label"][i] for i, label in zip(chosen, labels, strict=True))
        return {
            "name": self.config.judge
            or f"naive Bayes on {len(self.held_out):,} training texts held out from the model",
            "accuracy": right / len(chosen),
            "examples": len(chosen),
        }

    def _judge(self, texts: Sequence[str]) -> list[str]:
        """Return the judge's label for each text. Raise SpecError if it does not know these labels."""
        if self.own_judge is not None:
            return [self.labels[index] for index in self.own_judge.predict(texts)]
        if self.predict_with_run is None:
            raise SpecError("Another run cannot be used as the judge here.", "Leave task.judge empty.")
        answers = self.predict_with_run(self.config.judge.removeprefix("run:"), [{"text": text} for text in texts])
        labelled = [answer for answer in answers if isinstance(answer, ScoredLabels)]
        known = set(labelled[0].scores) if labelled else set()
        if known != set(self.labels):
            raise SpecError(
                f"{self.config.judge} predicts the labels {sorted(known)}, but the texts have the labels "
                f"{self.labels}.",
                "Choose a text-classification run that was trained on the same labels.",
            )
        return [answer.label for answer in labelled]

    def baseline_texts(self, context: FinishContext, chosen: Sequence[int]) -> list[str]:
        prefix, _ = text_ends(context.tokenizer)
        bare = [*prefix, *token_lists(context.tokenizer, [_prefix({})])[0].tolist()]
        return self.generate_texts(context, [bare] * len(chosen), self.config, context.progress)

    def measure_texts(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> TextColumns:
        # For each control, whether it was set and whether the text obeys it.
        all_controls = [self.controls(examples, index) for index in chosen]
        labels = self._judge(texts) if self.config.label else [""] * len(texts)
        columns = {f"{name}_{what}": np.zeros(len(texts)) for name in self._used() for what in ("asked", "obeyed")}
        for i, (controls, text, label) in enumerate(zip(all_controls, texts, labels, strict=True)):
            obeyed = {
                "label": bool(text.strip()) and label == controls.get("label"),
                "length": bool(text.strip()) and self.length_of(text) == controls.get("length"),
                "keyword": controls.get("keyword") in rouge_tokens(text, "unicode"),
            }
            for name in controls:
                columns[f"{name}_asked"][i] = 1.0
                columns[f"{name}_obeyed"][i] = float(obeyed[name])
        return columns

    def text_measures(self) -> dict[str, Measure]:
        return {f"{name}_obeyed": ("ratio", f"{name}_obeyed", f"{name}_asked") for name in self._used()}

    def _used(self) -> list[str]:
        return [name for name in CONTROLS if getattr(self.config, name)]

    def report(self, outcome: GeneratedTexts, targets: TextTargets, train_targets: TextTargets) -> TaskReport:
        report = super().report(outcome, targets, train_targets)
        if self.judge_report:
            judge = self.judge_report
            report["judge"] = judge
            report["notes"] = [
                *report["notes"],
                f"Labels were judged by {judge['name']}, which is correct for {judge['accuracy']:.1%} of "
                f"{judge['examples']:,} test texts written by people.",
            ]
        return report

    def example_inputs(self, examples: Examples, index: int) -> dict[str, Json]:
        return {name: self.controls(examples, index).get(name) for name in self._used()}

    def example_target(self, examples: Examples, index: int) -> str:
        return str(examples.columns["text"][index])

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        descriptions = {
            "label": f"One of {', '.join(self.labels[:10])}." if self.labels else "A label from the training data.",
            "length": f"One of {', '.join(LENGTHS)}.",
            "keyword": "A word that the text contains.",
        }
        controls = [Column(name, descriptions[name], required=False) for name in self._used()]
        return [
            *controls,
            Column("text", "The beginning of the text; may be empty.", required=False, may_be_empty=True),
        ]

    def encode_prompts(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput]) -> list[Prompt]:
        prefix, _ = text_ends(tokenizer)
        texts = []
        for number, each in enumerate(inputs, start=1):
            begin = " ".join(str(each.get("text") or "").split())
            texts.append(_prefix(self._input_controls(each, number)) + (f" {begin}" if begin else ""))
        return [Prompt.of(prefix, ids) for ids in token_lists(tokenizer, texts)]

    def _input_controls(self, inputs: TaskInput, number: int) -> dict[str, str]:
        """Return the controls of an input. Raise DataError for a control that the model does not know."""
        allowed = {"label": self.labels, "length": list(LENGTHS)}
        controls = {}
        for name in CONTROLS:
            value = " ".join(str(inputs.get(name) or "").split())
            if not value:
                continue
            if name not in self._used():
                raise DataError(
                    f"Input {number} sets a {name}, but this model was trained without that control.",
                    f"Available controls: {', '.join(self._used())}.",
                )
            if name in allowed and value not in allowed[name]:
                raise DataError(
                    f"Input {number}: unknown {name} {value[:80]!r}.", f"Allowed: {', '.join(allowed[name][:40])}."
                )
            controls[name] = value.lower() if name == "keyword" else value
        return controls

    def input_text(self, inputs: TaskInput) -> str:
        return ", ".join(f"{name}: {value}" for name, value in inputs.items())


def _prefix(controls: Mapping[str, str]) -> str:
    """Return the prefix of a text with these controls."""
    return "".join(f"{name}: {controls[name]}\n" for name in CONTROLS if name in controls) + "text:"
