"""Base class of the tasks that continue a prompt: dialogue, code-generation and controlled-generation.

prompt + target --> one row of tokens; the loss covers only the target's tokens

Each task defines the prompt and the target of an example. All tasks shorten long rows in the same way: the target gets
the room that the prompt leaves, but at least half of ``data.max_length``; then the task shortens the prompt, oldest
content first. A truncated target has no end token, since a model must not learn to stop where a text was merely cut.

The baseline is the model before training (its perplexity on the same targets), or, for a model with random weights,
the token frequencies in training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.errors import DataError, SpecError
from workbench.metrics import measures, text_scores
from workbench.tasks.answers import Answer, GeneratedText
from workbench.tasks.base import ModelOutput, PredictionRows, Target, TargetScore, TaskReport
from workbench.tasks.contexts import Array, Batch, Encoded, FinishContext, InferenceContext, TaskInput
from workbench.tasks.shared.generation import GenerationConfig, evenly_spaced, generate_all
from workbench.tasks.shared.inputs import with_options
from workbench.tasks.shared.language import EXCERPT, SAMPLES, LanguageModel, TextTargets
from workbench.tasks.shared.prompts import (
    MIN_PROMPT,
    Prompt,
    Row,
    TextColumns,
    join_rows,
    last_rows,
    spread_columns,
    verbatim,
)
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.shared.token_sums import token_sums
from workbench.tuning.max_length import max_text_length
from workbench.types import IGNORE_INDEX, Floats, Ints, Json, Model, Tokenizer

if TYPE_CHECKING:
    import torch


PROMPT_EXCERPT = 4 * EXCERPT  # characters at the end of a prompt that predictions store
SAMPLE_MAX_LENGTH = 256  # tokens of a sample's prompt


class PromptedOptions(GenerationConfig):
    """Options of tasks that continue a prompt."""

    written: int = Field(
        50,
        ge=0,
        le=100_000,
        description="Number of test examples for which a text is generated and evaluated after training.",
    )


@dataclass(frozen=True)
class GeneratedTexts:
    """The input of ``report`` and ``prediction_rows``.

    Attributes:
        sums: the outputs, [N, 3].
        chosen: the W examples for which texts were generated.
        texts: the text for each of them, [W].
        columns: columns of measures of these texts, [D]; 0 for examples without a text.
        baseline: the same for the baseline's texts.
        extra: metrics that are not sums over examples, by name, for the generated texts and for the baseline's.
        notes: further messages.
    """

    sums: Array
    chosen: list[int]
    texts: list[str]
    columns: TextColumns
    baseline: TextColumns
    extra: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class PromptedTask(LanguageModel):
    """Base class of the tasks that continue a prompt."""

    head = "AutoModelForCausalLM"
    target_kind = "next token"
    peft_type = "CAUSAL_LM"
    primary_metric = "perplexity"
    stochastic_inputs = False
    evaluates_zero_shot = True
    metric_names = ("loss", "perplexity", "bits_per_byte", "token_accuracy")
    baseline_texts_name: ClassVar[str]  # the baseline of generated texts

    class Config(PromptedOptions):
        """The task's own options."""

    config: PromptedOptions

    def __init__(self, config: PromptedOptions | None = None) -> None:
        super().__init__(config)
        self.untrained: Array | None = None  # the outputs before training
        self.selects_logits = False  # whether the model can leave out the logits of prompts
        self.sample_inputs: list[TaskInput] = []

    # -- methods of each task ------------------------------------------------------------------------------------------

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """Return the columns that an example needs."""

    @abstractmethod
    def fit(self, train: Examples) -> None:
        """Collect what must be known before the first batch."""

    @abstractmethod
    def rows(self, tokenizer: Tokenizer, examples: Examples, training: bool) -> list[Row]:
        """Return the rows of all examples, in order; an example may have several.

        Args:
            tokenizer: the model's tokenizer.
            examples: examples of one split.
            training: whether this is the training split.

        Raises:
            DataError: an example cannot be used.
        """

    @abstractmethod
    def encode_prompts(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput]) -> list[Prompt]:
        """Return a user's inputs as prompts.

        Args:
            tokenizer: the model's tokenizer.
            inputs: the inputs; each maps roles to texts.

        Raises:
            DataError: an input cannot be used; the message says which.
        """

    @abstractmethod
    def example_inputs(self, examples: Examples, index: int) -> dict[str, Json]:
        """Return the inputs of an example, from which the model generates, by role.

        Args:
            examples: examples of one split.
            index: index of the example.
        """

    @abstractmethod
    def example_target(self, examples: Examples, index: int) -> str:
        """Return the correct text for an example.

        Args:
            examples: examples of one split.
            index: index of the example.
        """

    @abstractmethod
    def measure_texts(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> TextColumns:
        """Return the columns, [W] each, that the measures of generated texts sum.

        Args:
            examples: examples of the split that is reported on.
            chosen: the W examples for which texts were generated.
            texts: the text for each of them.
        """

    @abstractmethod
    def text_measures(self) -> dict[str, measures.Measure]:
        """Return the measures of generated texts, for the columns of ``measure_texts``."""

    @abstractmethod
    def baseline_texts(self, context: FinishContext, chosen: Sequence[int]) -> list[str]:
        """Return the baseline texts for the generated texts.

        Args:
            context: the finished model and the split that is reported on.
            chosen: the W examples for which texts were generated.
        """

    def corpus_metrics(self) -> dict[str, Callable[[Sequence[str]], float]]:
        """Return metrics computed on all generated texts together, by name."""
        return {}

    def postprocess(self, text: str, complete: bool) -> str:
        """Return the final form of a generated text.

        Args:
            text: the text as generated.
            complete: whether the model ended it itself.
        """
        return text.strip()

    # -- data ----------------------------------------------------------------------------------------------------------

    def configure(self, model: Model) -> None:
        super().configure(model)
        accepted = signature(model.forward).parameters
        # The workbench's own models skip the logits of positions without a label automatically.
        self.selects_logits = "logits_to_keep" in accepted and "document_ids" not in accepted

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        if max_length < 2 * MIN_PROMPT:
            raise SpecError(
                f"data.max_length is {max_length} tokens: too few for a prompt and its continuation.",
                f"Set it to {2 * MIN_PROMPT} or more.",
            )
        with verbatim(tokenizer):
            rows = self.rows(tokenizer, examples, training)
        if not rows:
            raise DataError("A split of the data has nothing to learn from.", "Add more examples.")
        table, prompts, cut = join_rows(rows, max_length)
        owner = np.array([row.example for row in rows], dtype=np.int64)
        lengths = np.array([len(row.target) for row in rows], dtype=np.int64)
        targets = TextTargets(
            predicted=table.lengths - prompts,
            document=owner,
            tokens=np.bincount(owner, lengths, minlength=len(examples)).astype(np.int64),
            bytes=np.bincount(owner, [row.bytes for row in rows], minlength=len(examples)).astype(np.int64),
            counts=np.bincount(np.concatenate([row.target for row in rows]), minlength=len(tokenizer)),
            more=prompts,
        )
        return Encoded(table, targets, truncation=_truncation(cut, len(rows), max_length))

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Ints, multiple: int
    ) -> dict[str, torch.Tensor]:
        # Add labels for the targets; the texts are not changed.
        import torch

        prompt = torch.from_numpy(encoded.targets.more[np.asarray(indices)])[:, None]
        positions = torch.arange(batch["input_ids"].shape[1])[None]
        ignored = (positions < prompt) | (batch["attention_mask"] == 0)
        return {**batch, "labels": batch["input_ids"].masked_fill(ignored, IGNORE_INDEX)}

    # -- model ---------------------------------------------------------------------------------------------------------

    def on_untrained_outputs(self, outputs: Array, loss: float, from_scratch: bool) -> None:
        self.untrained = None if from_scratch else outputs

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        # The model's output, if possible without the logits of the prompts, which are not needed.
        if not self.selects_logits:
            return model(**batch)
        from torch.nn import functional

        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        labels = batch["labels"]
        first = int((labels != IGNORE_INDEX).any(dim=0).int().argmax())
        selected = labels.shape[1] - max(0, first - 1)
        output = model(**inputs, logits_to_keep=selected)
        scores, targets = output.logits[:, :-1].float(), labels[:, -selected:][:, 1:]
        output.loss = functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX)
        return output

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        logits = model_output.logits
        return token_sums(logits[:, :-1], batch["labels"][:, -logits.shape[1] :][:, 1:])

    def prompt_tokens(self, tokenizer: Tokenizer, text: str, max_length: int) -> list[int]:
        with verbatim(tokenizer):
            ids: list[int] = self.encode_prompts(tokenizer, [{"text": text}])[0].within(max_length).tolist()
        return ids

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        # The score of a token as the next token after the prompt.
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- results -------------------------------------------------------------------------------------------------------

    def finish(self, context: FinishContext) -> GeneratedTexts:
        # Generate texts for evenly spaced examples; measure them and the baseline's texts.
        examples, encoded = context.examples, context.encoded
        chosen = evenly_spaced(len(examples), self.config.written).tolist()
        if not chosen:
            return GeneratedTexts(context.outputs, [], [], {}, {})
        last = last_rows(encoded, len(examples))  # an example may have several rows; a text is generated for the last
        table, prompts = encoded.tokens, encoded.targets.more
        begins = [table.offsets[row] for row in last[chosen]]
        ids = [
            table.ids[begin : begin + prompts[row]].tolist() for begin, row in zip(begins, last[chosen], strict=True)
        ]
        texts = self.generate_texts(context, ids, self.config, context.progress)
        baseline_texts = self.baseline_texts(context, chosen)
        columns, baseline = (
            spread_columns(self.measure_texts(examples, chosen, each), chosen, len(examples))
            for each in (texts, baseline_texts)
        )
        extra = {name: (metric(texts), metric(baseline_texts)) for name, metric in self.corpus_metrics().items()}
        notes = []
        if len(chosen) < len(examples):
            notes.append(
                f"Texts were generated for {len(chosen):,} of {len(examples):,} examples, evenly spaced (task.written)."
            )
        return GeneratedTexts(context.outputs, chosen, texts, columns, baseline, extra, notes)

    def generate_texts(
        self,
        context: InferenceContext,
        prompts: Sequence[list[int]],
        config: GenerationConfig,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[str]:
        """Generate a text for each prompt.

        Args:
            context: a model.
            prompts: tokens of each prompt.
            config: generation options.
            progress: called with the number of finished texts and the total number.
        """
        texts = []
        for ids in generate_all(context, prompts, config, encoder_decoder=False, progress=progress):
            text = str(context.tokenizer.decode(ids, skip_special_tokens=True))
            texts.append(self.postprocess(text, complete=len(ids) < config.max_new_tokens))
        return texts

    def report(self, outcome: GeneratedTexts, targets: TextTargets, train_targets: TextTargets) -> TaskReport:
        table = self.by_document(outcome.sums, targets)
        known = text_scores.measures(self.metric_names)
        if self.untrained is None:
            sums: Mapping[str, float | Floats] = self.baseline(table, targets, train_targets)
            name = "the token frequencies in training"
        else:
            sums = measures.totals(self.by_document(self.untrained, targets))
            name = "the model before training"
        report: TaskReport = {
            "metrics": measures.intervals(table, known),
            "measures": dict(known),
            "baseline": {each: float(measures.metric_value(measure, sums)) for each, measure in known.items()},
            "baseline_name": name,
            "documents": len(targets.bytes),
        }
        if self.untrained is not None:
            report["gain"] = measures.improvements(self.by_document(self.untrained, targets), table, known)
        report["notes"] = outcome.notes
        if outcome.chosen:
            self._report_texts(outcome, report)
        return report

    def _report_texts(self, outcome: GeneratedTexts, report: TaskReport) -> None:
        """Add the metrics of the generated texts to a report."""
        known = self.text_measures()
        report["metrics"] |= measures.intervals(outcome.columns, known)
        report["metrics"] |= {
            name: {"value": value, "low": None, "high": None} for name, (value, _) in outcome.extra.items()
        }
        report["baseline"] |= measures.metric_values(outcome.baseline, known)
        report["baseline"] |= {name: baseline for name, (_, baseline) in outcome.extra.items()}
        report["measures"] |= known
        report["gain"] = report.get("gain", {}) | measures.improvements(outcome.baseline, outcome.columns, known)
        report["baseline_name"] += f"; for generated texts: {self.baseline_texts_name}"
        report["written"] = len(outcome.chosen)

    def prediction_rows(self, examples: Examples, outcome: GeneratedTexts, targets: TextTargets) -> PredictionRows:
        # A row for each example, with a generated text if there is one; ``score`` is the loss per token.
        table = self.by_document(outcome.sums, targets)
        if self.untrained is not None:
            table["untouched_nats"] = self.by_document(self.untrained, targets)["nats"]
        generated = dict(zip(outcome.chosen, outcome.texts, strict=True))
        inputs = [self.example_inputs(examples, index) for index in range(len(examples))]
        roles = dict.fromkeys(role for each in inputs for role in each)
        return prediction_table(
            examples.ids,
            {role: [_excerpt(each.get(role)) for each in inputs] for role in roles},
            gold=[self.example_target(examples, index) for index in range(len(examples))],
            prediction=[generated.get(index, "") for index in range(len(examples))],
            score=measures.ratio(table["nats"], table["predicted"]).tolist(),
            columns={**table, **outcome.columns},
        )

    # -- inference -----------------------------------------------------------------------------------------------------

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        return list(self._continue(context, inputs, with_options(self.config, options, self.name)))

    def _continue(
        self, context: InferenceContext, inputs: Sequence[TaskInput], config: GenerationConfig
    ) -> list[GeneratedText]:
        with verbatim(context.tokenizer):
            prompts = self.encode_prompts(context.tokenizer, inputs)
        positions = max_text_length(context.model) or context.max_length
        room = max(MIN_PROMPT, min(context.max_length, positions - min(config.max_new_tokens, positions // 2)))
        texts = self.generate_texts(context, [prompt.within(room).tolist() for prompt in prompts], config)
        return [GeneratedText(text, is_code=self.generates_code) for text in texts]

    def samples(self, context: InferenceContext) -> list[dict[str, str]]:
        if not self.sample_inputs:
            return []
        inputs = self.sample_inputs[:SAMPLES]
        short = InferenceContext(context.model, context.tokenizer, SAMPLE_MAX_LENGTH)
        answers = self._continue(short, inputs, self.config)
        return [
            {"prompt": self.input_text(each), "text": answer.text} for each, answer in zip(inputs, answers, strict=True)
        ]

    def input_text(self, inputs: TaskInput) -> str:
        """Return an input as one readable text.

        Args:
            inputs: one input.
        """
        return " | ".join(str(value) for value in inputs.values())


# -- helpers -----------------------------------------------------------------------------------------------------------


def _excerpt(value: Json) -> Json:
    """Return the end of an input: the last characters of a text, or the last texts of a list."""
    if isinstance(value, str):
        return value[-PROMPT_EXCERPT:]
    if not isinstance(value, list):
        return value
    texts: list[Json] = []
    room = PROMPT_EXCERPT
    for text in reversed(value):
        texts.append(str(text)[-room:])
        room -= len(str(text))
        if room <= 0:
            break
    return texts[::-1]


def _truncation(cut: tuple[int, int], rows: int, max_length: int) -> str:
    targets, prompts = cut
    if not targets and not prompts:
        return ""
    return (
        f"Of {rows:,} texts, {prompts:,} ({prompts / rows:.0%}) had their prompt and {targets:,} "
        f"({targets / rows:.0%}) their target truncated to fit into {max_length} tokens. Raise data.max_length to use "
        "all of the text."
    )
