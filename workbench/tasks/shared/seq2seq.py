"""What the tasks share that write one text from another: translation and summarization.

    encoder-decoder:  source -> [encoder]        target -> [decoder], whose every next token is to be guessed
    decoder:          source + prompt + target   in one row; only the target's tokens are to be guessed

Which of the two is the task's option ``architecture``: it names the head that a model must have. The loss is that of
the target's tokens, its end included; padding, the source and the prompt count nothing. A target that had to be cut has
no end token: a model must not learn to stop where a text was merely cut.

At the end texts are written for at most ``written`` test examples, evenly spread over them, and every figure of the
report is of these examples: two runs that wrote for different ones cannot be compared by mistake.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.packing import (
    Documents,
    SpecialTokens,
    TokenSpan,
    join_chunks,
    special_prefix_suffix,
    tokenize_documents,
)
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError, SpecError
from workbench.metrics import measures, text_scores
from workbench.metrics.overlap import Counts
from workbench.tasks.base import Array, Encoded, Target, TargetScore, Task
from workbench.tasks.shared.generation import GenerationConfig, evenly, write_all
from workbench.tasks.shared.language import IGNORED, token_sums
from workbench.tuning.max_length import max_text_length

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int64]

EXCERPT = 500  # characters of a source that predictions keep
SAMPLES = 3  # training sources whose texts are shown as training goes on
SAMPLE_EXCERPT = 200  # characters of them that are shown
LOSSES = ("loss", "perplexity", "bits_per_byte", "token_accuracy")
PLACE = "{source}"  # where a prompt has the source


class Seq2SeqOptions(GenerationConfig):
    """Options of the tasks that write a text from a text."""

    architecture: Literal["encoder-decoder", "decoder"] = Field(
        "encoder-decoder",
        description="Models that read with an encoder (transformer-encoder-decoder, BART, T5, Marian), or models that "
        "go on with a prompt (transformer-decoder, smollm2, GPT-2).",
    )
    prompt: str = Field(PLACE + "\n", description="What a decoder goes on with; {source} stands for the text.")
    max_target: int = Field(128, ge=2, le=32_768, description="Longest target in tokens; longer ones are cut.")
    written: int = Field(
        500, ge=1, le=1_000_000, description="Most test examples that texts are written and measured for at the end."
    )
    max_new_tokens: int = Field(64, ge=1, le=32_768, description="Most tokens that are written for a text.")
    temperature: float = Field(
        0.0, ge=0, le=10, description="Spread of what is drawn: 0 takes the most probable token, 1 draws as learned."
    )

    @field_validator("prompt")
    @classmethod
    def _has_one_place(cls, prompt: str) -> str:
        if prompt.count(PLACE) != 1:
            raise ValueError(f"the prompt must hold {PLACE} once; it holds it {prompt.count(PLACE)} times")
        return prompt


@dataclass(frozen=True)
class PairTargets:
    """What the figures need to know of N rows.

    Attributes:
        sources: the text that each is written from.
        references: what may be written for each, one text or several; the loss is the first's.
        labels: the tokens to be guessed, of an encoder-decoder; None where they stand in the rows.
        prompt: int64 [N], how many tokens of a row stand before the target; 0 for an encoder-decoder.
        predicted: int64 [N], how many tokens are guessed.
        bytes: int64 [N], length of the target in UTF-8.
        counts: int64 [V], how often each token is guessed: the unigram model.
    """

    sources: list[str]
    references: list[list[str]]
    labels: TokenTable | None
    prompt: Ints
    predicted: Ints
    bytes: Ints
    counts: Ints


@dataclass(frozen=True)
class Written:
    """What was written for W test examples.

    Attributes:
        chosen: which they are, int64 [W], ascending.
        texts: what was written for each.
        sums: nats, predicted tokens, and how many are right of each, [W, 3].
    """

    chosen: Ints
    texts: list[str]
    sums: Array


class Seq2Seq(Task):
    """Base of the tasks that write a text from a text."""

    class Config(Seq2SeqOptions):
        """The task's own options."""

    config: Seq2SeqOptions
    generates = True
    target_kind = "next token"
    input_aliases = ("text",)
    source_role: ClassVar[str]

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.start_id: int | None = None
        self.target_room = self.config.max_target
        self.excerpts: list[str] = []
        self.max_length = 0  # of the training data

    @property
    def decodes(self) -> bool:
        """Whether the model goes on with a prompt, and has no encoder."""
        return self.config.architecture == "decoder"

    @property
    def head(self) -> str:  # type: ignore[override]
        return "AutoModelForCausalLM" if self.decodes else "AutoModelForSeq2SeqLM"

    @property
    def peft_type(self) -> str:  # type: ignore[override]
        return "CAUSAL_LM" if self.decodes else "SEQ_2_SEQ_LM"

    @property
    def evaluation_metric(self) -> str:
        return "loss"

    # -- what a task says --------------------------------------------------------------------------------------------

    text_measures: ClassVar[measures.Measures]  # the metrics of what was written, the primary one first

    @abstractmethod
    def references(self, examples: Examples) -> list[list[str]]:
        """What may be written for each example."""

    @abstractmethod
    def counts(self, written: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """The columns [N] that ``text_measures`` need."""

    @abstractmethod
    def trivial(self, sources: Sequence[str], train: PairTargets) -> dict[str, list[str]]:
        """Texts that need no model, by the name of how they came about; the first is the run's baseline."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """How the texts are measured, for the report."""

    # -- data --------------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [column for column in self.columns() if column.role == self.source_role]

    def fit(self, train: Examples) -> None:
        self.excerpts = list(train.columns[self.source_role][:SAMPLES])

    def texts(self, examples: Examples) -> Iterator[str]:
        yield from examples.columns[self.source_role]
        for references in self.references(examples):
            yield from references

    def configure(self, model: Any) -> None:
        positions = max_text_length(model)
        self.target_room = min(self.config.max_target, positions or self.config.max_target)
        self.start_id = getattr(model.config, "decoder_start_token_id", None)
        if not self.decodes and self.start_id is None:
            raise SpecError(
                f"{type(model).__name__} does not say which token its decoder begins with.",
                "Set decoder_start_token_id in its config.json, or use another model.",
            )

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        """While training each reference is a row of its own; otherwise an example is a row, with its first one."""
        self.max_length = max_length
        references = self.references(examples)
        owner = np.repeat(np.arange(len(examples)), [len(each) if training else 1 for each in references])
        sources = [examples.columns[self.source_role][i] for i in owner]
        wanted = [text for each in references for text in (each if training else each[:1])]
        if self.decodes:
            tokens, labels, prompt, cut = self._rows(tokenizer, sources, wanted, max_length)
        else:
            tokens, labels = tokenize(tokenizer, sources, max_length=max_length), self._targets(tokenizer, wanted)
            prompt = np.zeros(len(tokens), dtype=np.int64)
            cut = [int((table.full_lengths > table.lengths).sum()) for table in (tokens, labels)]
        ids = tokens.ids[_behind(tokens, prompt)] if labels is None else labels.ids
        targets = PairTargets(
            sources=sources,
            references=[references[i] for i in owner],
            labels=labels,
            prompt=prompt,
            predicted=(tokens.lengths - prompt) if labels is None else labels.lengths,
            bytes=np.array([len(text.encode("utf-8")) for text in wanted], dtype=np.int64),
            counts=np.bincount(ids, minlength=len(tokenizer)),
        )
        return Encoded(tokens, targets, _told_cut(cut, len(tokens), max_length))

    def _targets(self, tokenizer: Any, texts: Sequence[str]) -> TokenTable:
        """What a decoder beside an encoder is to write: the tokens of each text and the end, no longer than it may."""
        before, after = self._target_ends(tokenizer)
        documents = tokenize_documents(tokenizer, texts)
        room = self.target_room - len(before) - len(after)
        kept = np.minimum(documents.lengths, max(1, room))
        span = TokenSpan(documents.offsets[:-1], kept)
        ending = SpecialTokens(after, where=kept == documents.lengths)
        table = join_chunks(documents, len(texts), [SpecialTokens(before), span, ending])
        full = documents.lengths + len(before) + len(after)
        return replace(table, full_lengths=full.astype(np.int32), words=None)

    def _target_ends(self, tokenizer: Any) -> tuple[list[int], list[int]]:
        """The special tokens around a target; one that the decoder is given to start with is none of them."""
        before, after = special_prefix_suffix(tokenizer)
        if before and before[0] == self.start_id:
            before = before[1:]
        if not after and tokenizer.eos_token_id is not None:
            after = [tokenizer.eos_token_id]
        return before, after

    # -- data of a decoder -------------------------------------------------------------------------------------------

    def _rows(
        self, tokenizer: Any, sources: Sequence[str], wanted: Sequence[str], max_length: int
    ) -> tuple[TokenTable, None, Ints, list[int]]:
        """Source, prompt and target in one row; where the target begins, [N]; how many sources and targets were cut.

        A target may take half of the room, and what its source leaves over; the source gives way at its end.
        """
        before, behind, after = self._prompt(tokenizer)
        room = max_length - len(before) - len(behind) - len(after)
        if room < 2:
            raise SpecError(
                f"data.max_length is {max_length} tokens, and the prompt alone takes {max_length - room}.",
                "Raise data.max_length, or shorten task.prompt.",
            )
        source, target = tokenize_documents(tokenizer, sources), tokenize_documents(tokenizer, wanted)
        most = np.minimum(np.maximum(room // 2, room - source.lengths), max(1, self.target_room - len(after)))
        written = np.minimum(target.lengths, most)
        read = np.minimum(source.lengths, room - written)
        both = Documents(
            np.concatenate([source.ids, target.ids]),
            np.concatenate([source.words, target.words]),
            np.concatenate([source.offsets, len(source.ids) + target.offsets[1:]]),
        )
        layout: list[TokenSpan | SpecialTokens] = [
            SpecialTokens(before),
            TokenSpan(source.offsets[:-1], read),
            SpecialTokens(behind),
            TokenSpan(len(source.ids) + target.offsets[:-1], written),
            SpecialTokens(after, where=written == target.lengths),
        ]
        table = join_chunks(both, len(sources), layout)
        missing = [source.lengths - read, target.lengths - written]
        full = table.lengths + missing[0] + missing[1]
        table = replace(table, full_lengths=full.astype(np.int32), words=None)
        return table, None, len(before) + read + len(behind), [int((each > 0).sum()) for each in missing]

    def _prompt(self, tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
        """The tokens before a source, those between it and the target, and those that end a target."""
        begin, after = special_prefix_suffix(tokenizer)
        if not after and tokenizer.eos_token_id is not None:
            after = [tokenizer.eos_token_id]
        if not begin and tokenizer.bos_token_id is not None:
            begin = [tokenizer.bos_token_id]
        pieces = tokenize_documents(tokenizer, self.config.prompt.split(PLACE))
        first, second = np.split(pieces.ids, [int(pieces.offsets[1])])
        return [*begin, *first.tolist()], second.tolist(), after

    # -- batches -----------------------------------------------------------------------------------------------------

    def loss_weight(self, encoded: Encoded, indices: Array) -> int:
        return int(encoded.targets.predicted[indices].sum())

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        targets: PairTargets = encoded.targets
        table = encoded.tokens if targets.labels is None else targets.labels
        labels = table.pad_values(table.ids, indices, IGNORED, multiple)
        labels[np.arange(labels.shape[1]) < targets.prompt[indices][:, None]] = IGNORED
        batch = encoded.tokens.pad(indices, pad_id, multiple)
        return {name: torch.from_numpy(array) for name, array in {**batch, "labels": labels}.items()}

    def model_options(self) -> dict[str, Any]:
        return {}

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Nats, guessed tokens, and how many of them are right, of each row: [B, 3]."""
        if self.decodes:
            return token_sums(model_output.logits[:, :-1], batch["labels"][:, 1:])
        return token_sums(model_output.logits, batch["labels"])

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """The token that is written first."""
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- results -----------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: PairTargets) -> dict[str, float]:
        return measures.metric_values(_losses(outputs, targets.bytes), text_scores.measures(LOSSES))

    def finish(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        encoded: Encoded,
        outputs: Array,
        progress: Callable[[int, int], None],
    ) -> Written:
        chosen = evenly(len(examples), self.config.written)
        tokens, prompt = encoded.tokens, encoded.targets.prompt
        ends = tokens.offsets[:-1] + (prompt if self.decodes else tokens.lengths)
        rows = [tokens.ids[tokens.offsets[i] : ends[i]].tolist() for i in chosen]
        texts = self._write(model, tokenizer, rows, self.config, progress)
        return Written(chosen, texts, outputs[chosen])

    def _write(
        self,
        model: Any,
        tokenizer: Any,
        rows: Sequence[Sequence[int]],
        settings: Any,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[str]:
        found = write_all(model, tokenizer, rows, settings, reads_apart=not self.decodes, progress=progress)
        return [text.strip() for text in tokenizer.batch_decode(found, skip_special_tokens=True)]

    def table(self, outputs: Written, targets: PairTargets) -> Counts:
        """The columns [W] of every measure."""
        references = [targets.references[i] for i in outputs.chosen]
        return self.counts(outputs.texts, references) | _losses(outputs.sums, targets.bytes[outputs.chosen])

    def report(self, outputs: Written, targets: PairTargets, train_targets: PairTargets) -> dict[str, Any]:
        table = self.table(outputs, targets)
        known = {**self.text_measures, **text_scores.measures(LOSSES)}
        sources = [targets.sources[i] for i in outputs.chosen]
        references = [targets.references[i] for i in outputs.chosen]
        counted = {name: self.counts(texts, references) for name, texts in self.trivial(sources, train_targets).items()}
        trivial = {name: measures.metric_values(counts, self.text_measures) for name, counts in counted.items()}
        name = next(iter(trivial))
        guessed = measures.metric_values(_unigram(targets, train_targets), text_scores.measures(LOSSES))
        return {
            "metrics": measures.intervals(table, known),
            "measures": known,
            "baseline": {**trivial[name], **guessed},
            "baseline_name": f"{name}; for the loss, the frequencies of the tokens in training",
            "baselines": trivial,
            "gain": measures.improvements(counted[name], table, self.text_measures),
            "written": {"examples": len(outputs.chosen), "of": len(targets.sources)},
            "notes": _told_written(len(outputs.chosen), len(targets.sources)),
            **self.details(),
        }

    def prediction_rows(self, examples: Examples, outputs: Written, targets: PairTargets) -> dict[str, list[Any]]:
        """A row for each example that a text was written for; ``score`` is its primary metric by itself."""
        table = self.table(outputs, targets)
        chosen = outputs.chosen.tolist()
        return {
            "id": [examples.ids[i] for i in chosen],
            "input": [targets.sources[i][:EXCERPT] for i in chosen],
            "gold": ["\n".join(targets.references[i]) for i in chosen],
            "prediction": list(outputs.texts),
            "score": measures.metric_value(self.text_measures[self.primary_metric], table).tolist(),
            "correct": [None] * len(chosen),
            **{name: column.tolist() for name, column in table.items()},
        }

    def samples(self, model: Any, tokenizer: Any) -> list[dict[str, str]]:
        """What is written by now for the first training sources."""
        rows, _ = self._read(tokenizer, self.excerpts, self.max_length, self.config)
        written = self._write(model, tokenizer, rows, self.config)
        return [{"prompt": a[:SAMPLE_EXCERPT], "text": b} for a, b in zip(self.excerpts, written, strict=True)]

    # -- asked -------------------------------------------------------------------------------------------------------

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """``{"text", "tokens"}``, and ``"unread_tokens"`` where the end of a source was cut off."""
        settings = self.changed(options)
        sources = [self._source(given, place) for place, given in enumerate(inputs, start=1)]
        rows, cut = self._read(tokenizer, sources, max_length, settings)
        texts = self._write(model, tokenizer, rows, settings)
        lengths = tokenize_documents(tokenizer, texts).lengths.tolist()
        return [
            {"text": text, "tokens": length, **({"unread_tokens": unread} if unread else {})}
            for text, length, unread in zip(texts, lengths, cut, strict=True)
        ]

    def _source(self, given: Mapping[str, Any], place: int) -> str:
        """The text of an input, under the role's name or as ``text``."""
        text = given.get(self.source_role, given.get("text", ""))
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"Input {place} has no {self.source_role}.", "Write some text.")
        return text

    def _read(
        self, tokenizer: Any, sources: Sequence[str], max_length: int, settings: Seq2SeqOptions
    ) -> tuple[list[list[int]], list[int]]:
        """What the model reads of each source, and how many tokens of it had to be left out."""
        if not self.decodes:
            table = tokenize(tokenizer, sources, max_length=max_length)
            rows = [row.tolist() for row in np.split(table.ids, table.offsets[1:-1])]
            return rows, (table.full_lengths - table.lengths).tolist()
        before, behind, _ = self._prompt(tokenizer)
        room = max_length - len(before) - len(behind)
        most = max(1, room - min(settings.max_new_tokens, room // 2))
        documents = tokenize_documents(tokenizer, sources)
        ids = np.split(documents.ids, documents.offsets[1:-1])
        return [before + each[:most].tolist() + behind for each in ids], np.maximum(
            0, documents.lengths - most
        ).tolist()


# -- small parts -----------------------------------------------------------------------------------------------------


def _behind(table: TokenTable, prompt: Ints) -> NDArray[np.bool_]:
    """Which tokens of the table stand behind their row's prompt, [total tokens]."""
    place = np.arange(len(table.ids)) - np.repeat(table.offsets[:-1], table.lengths)
    found: NDArray[np.bool_] = place >= np.repeat(prompt, table.lengths)
    return found


def _losses(sums: Array, size: Ints) -> Counts:
    """Columns [N] of :mod:`workbench.metrics.text_scores`."""
    nats, predicted, right = sums.astype(np.float64).T
    return {"nats": nats, "predicted": predicted, "right": right, "tokens": predicted, "bytes": size.astype(np.float64)}


def _unigram(targets: PairTargets, train: PairTargets) -> Counts:
    """The sums of a model that knows how often each token stands in training (add-one smoothing), and no more."""
    known, asked = train.counts, targets.counts
    nats = -np.log((known + 1.0) / (known.sum() + len(known)))
    sums = np.array([[(asked * nats).sum(), asked.sum(), asked[known.argmax()]]])
    return _losses(sums, np.array([targets.bytes.sum()]))


def _told_cut(cut: Sequence[int], rows: int, max_length: int) -> str:
    told = [f"{count:,} of {rows:,} {what}" for count, what in zip(cut, ("sources", "targets"), strict=True) if count]
    if not told:
        return ""
    return f"{' and '.join(told)} were too long and lost their end (data.max_length is {max_length}, task.max_target)."


def _told_written(count: int, of: int) -> list[str]:
    if count == of:
        return []
    return [f"Texts were written for {count:,} of {of:,} examples (task.written); all figures are of these."]
