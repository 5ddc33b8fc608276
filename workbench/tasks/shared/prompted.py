"""What the tasks share whose model goes on with a prompt: dialogue, code-generation and controlled-generation.

    prompt + target --> one row of tokens; the loss is on the target's tokens alone

A task of this kind says what an example's prompt and target are. A row too long is cut by one rule: the target keeps
what the prompt leaves it, but at least half of ``data.max_length``; the prompt is then shortened by the task, the
oldest first. A target that was cut has no end token: a model must not learn to stop where a text was merely cut.

What the figures are held against is the model as it was before training (its perplexity on the same targets), or, for a
model that begins at random, the frequencies of the tokens in training.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.packing import special_prefix_suffix, tokenize_documents
from workbench.data.text.tokens import TokenTable, fast_backend
from workbench.errors import DataError, SpecError
from workbench.metrics import measures, text_scores
from workbench.tasks.base import Array, Encoded, Target, TargetScore
from workbench.tasks.shared.generation import GenerationConfig, evenly, write_all
from workbench.tasks.shared.language import EXCERPT, IGNORED, SAMPLES, LanguageModel, TextTargets, token_sums
from workbench.tuning.max_length import max_text_length
from workbench.types import Tokenizer

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int32]
Columns = dict[str, NDArray[np.float64]]

LEAST_PROMPT = 4  # tokens of a prompt that must fit beside a target


class PromptedOptions(GenerationConfig):
    """Options of the tasks that go on with a prompt."""

    written: int = Field(
        50,
        ge=0,
        le=100_000,
        description="For so many test examples a text is written and measured at the end.",
    )


@dataclass(frozen=True)
class Prompt:
    """What a model is to go on with.

    Attributes:
        length: its tokens, nothing cut.
        within: the tokens, shortened to at most so many.
    """

    length: int
    within: Callable[[int], Ints]

    @classmethod
    def of(cls, before: Sequence[int], ids: Ints) -> Prompt:
        """Tokens of which the first are dropped, but for those in ``before``, which open every prompt."""
        opening = np.asarray(before, dtype=np.int32)

        def within(room: int) -> Ints:
            kept = max(1, room - len(opening))
            return np.concatenate([opening, ids[-kept:]])

        return cls(len(opening) + len(ids), within)


@dataclass(frozen=True)
class Row:
    """One text to learn: a prompt and what comes after it.

    Attributes:
        prompt: see :class:`Prompt`.
        target: tokens, the end token included.
        example: the number of the example that it is of.
        bytes: length of the target's text in UTF-8.
    """

    prompt: Prompt
    target: Ints
    example: int
    bytes: int


@dataclass(frozen=True)
class Written:
    """What ``report`` and ``prediction_rows`` get.

    Attributes:
        sums: what ``outputs`` gave, [N, 3].
        chosen: the W examples that texts were written for.
        texts: what was written for each, [W].
        columns: columns of measures of what was written, [D], 0 where nothing was.
        baseline: the same of the trivial texts.
        extra: metrics that are no sums over examples, by name: of what was written, and of the trivial texts.
        notes: what else to tell.
    """

    sums: Array
    chosen: list[int]
    texts: list[str]
    columns: Columns
    baseline: Columns
    extra: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class PromptedTask(LanguageModel):
    """Base of the tasks whose model goes on with a prompt."""

    head = "AutoModelForCausalLM"
    target_kind = "next token"
    peft_type = "CAUSAL_LM"
    primary_metric = "perplexity"
    stochastic_inputs = False
    evaluates_zero_shot = True
    figures = ("loss", "perplexity", "bits_per_byte", "token_accuracy")
    trivial_name: ClassVar[str]  # what the texts are compared with, in words

    class Config(PromptedOptions):
        pass

    config: PromptedOptions

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.untouched: Array | None = None
        self.spares_logits = False
        self.sample_inputs: list[dict[str, Any]] = []

    # -- to be said by the task --------------------------------------------------------------------------------------

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """The columns that an example needs."""

    @abstractmethod
    def fit(self, train: Examples) -> None:
        """Learn what has to be known before the first batch."""

    @abstractmethod
    def rows(self, tokenizer: Any, examples: Examples, training: bool) -> list[Row]:
        """The texts to learn of all examples, in their order; an example may have several. Raises DataError."""

    @abstractmethod
    def prompts_of(self, tokenizer: Any, inputs: Sequence[dict[str, Any]]) -> list[Prompt]:
        """What a user asks, as prompts. Raises DataError, which says which input cannot be used."""

    def prompt_tokens(self, tokenizer: Tokenizer, text: str, max_length: int) -> list[int]:
        with as_text(tokenizer):
            ids: list[int] = self.prompts_of(tokenizer, [{"text": text}])[0].within(max_length).tolist()
        return ids

    @abstractmethod
    def shown(self, examples: Examples, number: int) -> tuple[str, str]:
        """An example's prompt and the target that is written for it, for people."""

    @abstractmethod
    def measured(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> Columns:
        """Columns [W] of the measures of texts written for the examples ``chosen``."""

    @abstractmethod
    def written_measures(self) -> dict[str, measures.Measure]:
        """The measures of what is written, of the columns of ``measured``."""

    def postprocess(self, written: str, whole: bool) -> str:
        """What was written, as a user gets it; ``whole``: the model itself has ended it."""
        return written.strip()

    # -- data --------------------------------------------------------------------------------------------------------

    def configure(self, model: Any) -> None:
        super().configure(model)
        takes = signature(model.forward).parameters
        # Ours spare the logits of what has no label by themselves.
        self.spares_logits = "logits_to_keep" in takes and "document_ids" not in takes

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        if max_length < 2 * LEAST_PROMPT:
            raise SpecError(
                f"data.max_length is {max_length} tokens: too few for a prompt and what comes after it.",
                f"Set it to {2 * LEAST_PROMPT} or more.",
            )
        with as_text(tokenizer):
            rows = self.rows(tokenizer, examples, training)
        if not rows:
            raise DataError("A part of the data has nothing to learn.", "Give more examples.")
        table, prompts, cut = _put_together(rows, max_length)
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
        return Encoded(table, targets, _told_of_cuts(cut, len(rows), max_length))

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        """Labels on the targets only."""
        import torch

        prompt = torch.from_numpy(encoded.targets.more[np.asarray(indices)])[:, None]
        places = torch.arange(batch["input_ids"].shape[1])[None]
        unseen = (places < prompt) | (batch["attention_mask"] == 0)
        return {**batch, "labels": batch["input_ids"].masked_fill(unseen, IGNORED)}

    # -- model -------------------------------------------------------------------------------------------------------

    def on_untrained_outputs(self, outputs: Array, loss: float, from_scratch: bool) -> None:
        self.untouched = None if from_scratch else outputs

    def forward(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Any:
        """The model's own; where it can, without the scores of the prompts, which nobody reads."""
        if not self.spares_logits:
            return model(**batch)
        from torch.nn import functional

        given = {name: tensor for name, tensor in batch.items() if name != "labels"}
        labels = batch["labels"]
        first = int((labels != IGNORED).any(dim=0).int().argmax())
        keep = labels.shape[1] - max(0, first - 1)
        result = model(**given, logits_to_keep=keep)
        scores, wanted = result.logits[:, :-1].float(), labels[:, -keep:][:, 1:]
        result.loss = functional.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return result

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        logits = model_output.logits
        return token_sums(logits[:, :-1], batch["labels"][:, -logits.shape[1] :][:, 1:])

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """The token that comes after the prompt."""
        return TargetScore.choice(model_output.logits[:, -1], target.index)

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
        """Write for some of the examples, spread evenly, and measure it; the same for trivial texts."""
        chosen = evenly(len(examples), self.config.written).tolist()
        if not chosen:
            return Written(outputs, [], [], {}, {})
        last = np.zeros(len(examples), dtype=np.int64)
        last[encoded.targets.document] = np.arange(len(encoded))  # of an example of several rows the last is written
        table, prompts = encoded.tokens, encoded.targets.more
        begins = [table.offsets[row] for row in last[chosen]]
        asked = [table.ids[at : at + prompts[row]].tolist() for at, row in zip(begins, last[chosen], strict=True)]
        texts = self.write(model, tokenizer, asked, self.config, progress)
        trivial = self.trivial_texts(model, tokenizer, examples, chosen, progress)
        columns, baseline = (self.measured(examples, chosen, found) for found in (texts, trivial))
        extra = {name: (f(texts), f(trivial)) for name, f in self.corpus_metrics().items()}
        notes = []
        if len(chosen) < len(examples):
            notes.append(
                f"Texts were written for {len(chosen):,} of {len(examples):,} examples, spread evenly (task.written)."
            )
        columns, baseline = (placed(found, chosen, len(examples)) for found in (columns, baseline))
        return Written(outputs, chosen, texts, columns, baseline, extra, notes)

    def write(
        self,
        model: Any,
        tokenizer: Any,
        asked: Sequence[list[int]],
        options: GenerationConfig,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[str]:
        """What the model writes after each prompt, as text."""
        found = []
        for ids in write_all(model, tokenizer, asked, options, reads_apart=False, progress=progress):
            text = tokenizer.decode(ids, skip_special_tokens=True)
            found.append(self.postprocess(text, whole=len(ids) < options.max_new_tokens))
        return found

    @abstractmethod
    def trivial_texts(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        chosen: Sequence[int],
        progress: Callable[[int, int], None],
    ) -> list[str]:
        """What the written texts are held against."""

    def corpus_metrics(self) -> dict[str, Callable[[Sequence[str]], float]]:
        """Metrics of all that was written together."""
        return {}

    def report(self, outputs: Written, targets: TextTargets, train_targets: TextTargets) -> dict[str, Any]:
        table = self.by_document(outputs.sums, targets)
        known = text_scores.measures(self.figures)
        if self.untouched is None:
            sums: Mapping[str, Any] = self.baseline(table, targets, train_targets)
            name = "the frequencies of the tokens in training"
        else:
            sums = measures.totals(self.by_document(self.untouched, targets))
            name = "the model before training"
        result = {
            "metrics": measures.intervals(table, known),
            "measures": dict(known),
            "baseline": {each: float(measures.metric_value(measure, sums)) for each, measure in known.items()},
            "baseline_name": name,
            "documents": len(targets.bytes),
        }
        if self.untouched is not None:
            result["gain"] = measures.improvements(self.by_document(self.untouched, targets), table, known)
        result["notes"] = outputs.notes
        if outputs.chosen:
            self._report_written(outputs, result)
        return result

    def _report_written(self, outputs: Written, result: dict[str, Any]) -> None:
        """Add what is known of the written texts."""
        known = self.written_measures()
        result["metrics"] |= measures.intervals(outputs.columns, known)
        result["metrics"] |= {
            name: {"value": value, "low": None, "high": None} for name, (value, _) in outputs.extra.items()
        }
        result["baseline"] |= measures.metric_values(outputs.baseline, known)
        result["baseline"] |= {name: trivial for name, (_, trivial) in outputs.extra.items()}
        result["measures"] |= known
        result["gain"] = result.get("gain", {}) | measures.improvements(outputs.baseline, outputs.columns, known)
        result["baseline_name"] += f"; for written texts: {self.trivial_name}"
        result["written"] = len(outputs.chosen)

    def prediction_rows(self, examples: Examples, outputs: Written, targets: TextTargets) -> dict[str, list[Any]]:
        """A row for each example: what was asked, what followed in truth, and what was written, where it was."""
        table = self.by_document(outputs.sums, targets)
        if self.untouched is not None:
            before = self.by_document(self.untouched, targets)
            table["untouched_nats"] = before["nats"]
        shown = [self.shown(examples, number) for number in range(len(examples))]
        written = dict(zip(outputs.chosen, outputs.texts, strict=True))
        return {
            "id": list(examples.ids),
            "input": [asked[-EXCERPT * 4 :] for asked, _ in shown],
            "gold": [gold for _, gold in shown],
            "prediction": [written.get(number, "") for number in range(len(examples))],
            "score": measures.ratio(table["nats"], table["predicted"]).tolist(),
            "correct": [None] * len(examples),
            **{name: column.tolist() for name, column in {**table, **outputs.columns}.items()},
        }

    # -- asked -------------------------------------------------------------------------------------------------------

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        settings = self.changed(options)
        with as_text(tokenizer):
            prompts = self.prompts_of(tokenizer, inputs)
        positions = max_text_length(model) or max_length
        room = max(LEAST_PROMPT, min(max_length, positions - min(settings.max_new_tokens, positions // 2)))
        asked = [prompt.within(room).tolist() for prompt in prompts]
        return [{"text": text} for text in self.write(model, tokenizer, asked, settings)]

    def samples(self, model: Any, tokenizer: Any) -> list[dict[str, str]]:
        if not self.sample_inputs:
            return []
        inputs = self.sample_inputs[:SAMPLES]
        found = self.predict(model, tokenizer, inputs, 256, {})
        return [{"prompt": self.told(given), "text": got["text"]} for given, got in zip(inputs, found, strict=True)]

    def told(self, given: Mapping[str, Any]) -> str:
        """An input in one text, for people."""
        return " | ".join(str(value) for value in given.values())


# -- parts -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def as_text(tokenizer: Any) -> Iterator[None]:
    """While this lasts, a special token that somebody wrote into a text is text: no one else can end a turn."""
    backend = fast_backend(tokenizer)
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        yield
    finally:
        backend.encode_special_tokens = before


def token_lists(tokenizer: Any, texts: Sequence[str]) -> list[Ints]:
    """The tokens of each text, without special ones."""
    documents = tokenize_documents(tokenizer, texts)
    return np.split(documents.ids, documents.offsets[1:-1]) if len(documents) else []


def text_ends(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens before a text, as the tokenizer has them, and the one that ends what a model writes."""
    before, after = special_prefix_suffix(tokenizer)
    if tokenizer.eos_token_id is not None:
        after = [tokenizer.eos_token_id]
    return before, after[:1]


def _put_together(rows: Sequence[Row], max_length: int) -> tuple[TokenTable, NDArray[np.int64], tuple[int, int]]:
    """Rows as a table, the length of each one's prompt [N], and how many targets and how many prompts were cut."""
    pieces: list[Ints] = []
    prompts = np.zeros(len(rows), dtype=np.int64)
    full = np.zeros(len(rows), dtype=np.int32)
    cut_targets = cut_prompts = 0
    for number, row in enumerate(rows):
        target = row.target[: max(max_length - row.prompt.length, max_length // 2)]
        prompt = row.prompt.within(max_length - len(target))
        cut_targets += len(target) < len(row.target)
        cut_prompts += len(prompt) < row.prompt.length
        pieces += [prompt, target]
        prompts[number] = len(prompt)
        full[number] = row.prompt.length + len(row.target)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(a) + len(b) for a, b in zip(pieces[::2], pieces[1::2], strict=True)], out=offsets[1:])
    return TokenTable(np.concatenate(pieces), None, offsets, full), prompts, (cut_targets, cut_prompts)


def _told_of_cuts(cut: tuple[int, int], rows: int, max_length: int) -> str:
    targets, prompts = cut
    if not targets and not prompts:
        return ""
    return (
        f"Of {rows:,} texts {prompts:,} had a part of their prompt left out and {targets:,} their target cut, to "
        f"fit into {max_length} tokens (data.max_length)."
    )


def placed(columns: Columns, chosen: Sequence[int], count: int) -> Columns:
    """Columns [W] of the chosen examples as columns [D] of all, 0 elsewhere."""
    found = {}
    for name, column in columns.items():
        found[name] = np.zeros(count)
        found[name][list(chosen)] = column
    return found
