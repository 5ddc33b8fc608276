"""Base class of the sequence-to-sequence tasks: translation and summarization.

    encoder-decoder:  source -> [encoder]        target -> [decoder], which predicts each next token
    decoder:          source + prompt + target   in one row; only the target's tokens are predicted

The task's option ``architecture`` selects one of the two, and with it the head that a model must have. The loss covers
the target's tokens, including its end token, but not padding, the source and the prompt. A truncated target has no end
token, since a model must not learn to stop where a text was merely cut.

After training, texts are generated for up to ``written`` test examples, evenly spaced. Every metric of the report is
computed on these examples, so runs with texts for different examples cannot be compared by mistake.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
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
from workbench.tasks.answers import Answer, GeneratedText
from workbench.tasks.base import ModelOutput, PredictionRows, Target, TargetScore, Task, TaskReport
from workbench.tasks.contexts import Array, Batch, Encoded, FinishContext, InferenceContext, TaskInput
from workbench.tasks.shared.generation import GenerationConfig, evenly_spaced, generate_all
from workbench.tasks.shared.inputs import with_options
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.shared.seq2seq_targets import GeneratedTexts, PairTargets, loss_columns, unigram_columns
from workbench.tasks.shared.token_sums import token_sums
from workbench.tuning.max_length import max_text_length
from workbench.types import IGNORE_INDEX, Bools, Ints, Json, JsonObject, Model, Tokenizer

if TYPE_CHECKING:
    import torch

EXCERPT = 500  # characters of a source that predictions store
SAMPLES = 3  # training sources whose texts are generated during training
SAMPLE_EXCERPT = 200  # characters of them that are shown
LOSSES = ("loss", "perplexity", "bits_per_byte", "token_accuracy")
SOURCE = "{source}"  # placeholder for the source in a prompt


class Seq2SeqOptions(GenerationConfig):
    """Options of the sequence-to-sequence tasks."""

    architecture: Literal["encoder-decoder", "decoder"] = Field(
        "encoder-decoder",
        description="Architecture of the model: encoder-decoder (transformer-encoder-decoder, BART, T5, Marian), or a "
        "decoder that continues a prompt (transformer-decoder, smollm2, GPT-2).",
    )
    prompt: str = Field(SOURCE + "\n", description="Prompt for a decoder; {source} is replaced by the source text.")
    max_target: int = Field(
        128, ge=2, le=32_768, description="Maximum length of a target in tokens; longer targets are truncated."
    )
    written: int = Field(
        500,
        ge=1,
        le=1_000_000,
        description="Maximum number of test examples for which a text is generated and evaluated after training.",
    )
    max_new_tokens: int = Field(64, ge=1, le=32_768, description="Maximum number of tokens to generate for a text.")
    temperature: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Sampling temperature: 0 is greedy decoding, 1 samples from the model's distribution unchanged.",
    )

    @field_validator("prompt")
    @classmethod
    def _has_one_source(cls, prompt: str) -> str:
        if prompt.count(SOURCE) != 1:
            raise ValueError(
                f"the prompt must contain {SOURCE} exactly once, but contains it {prompt.count(SOURCE)} times"
            )
        return prompt


@dataclass(frozen=True)
class _EncodedRows:
    """Encoded sources and targets.

    Attributes:
        tokens: the model's input.
        labels: see ``PairTargets``.
        prompt: see ``PairTargets``.
        cut: number of truncated sources and number of truncated targets.
    """

    tokens: TokenTable
    labels: TokenTable | None
    prompt: Ints
    cut: tuple[int, int]


class Seq2Seq(Task):
    """Base class of the sequence-to-sequence tasks."""

    class Config(Seq2SeqOptions):
        """The task's own options."""

    config: Seq2SeqOptions
    generates = True
    target_kind = "next token"
    input_aliases = ("text",)
    source_role: ClassVar[str]
    text_measures: ClassVar[measures.Measures]  # the metrics of generated texts, the primary one first

    def __init__(self, config: Seq2SeqOptions | None = None) -> None:
        super().__init__(config)
        self.start_id: int | None = None  # the token that the model's decoder starts with
        self.max_target = self.config.max_target  # tokens
        self.excerpts: list[str] = []

    @property
    def is_decoder(self) -> bool:
        """Whether the model is a decoder that continues a prompt."""
        return self.config.architecture == "decoder"

    @property
    def head(self) -> str:  # type: ignore[override]
        return "AutoModelForCausalLM" if self.is_decoder else "AutoModelForSeq2SeqLM"

    @property
    def peft_type(self) -> str:  # type: ignore[override]
        return "CAUSAL_LM" if self.is_decoder else "SEQ_2_SEQ_LM"

    @property
    def evaluation_metric(self) -> str:
        return "loss"

    # -- methods of each task ------------------------------------------------------------------------------------------

    @abstractmethod
    def references(self, examples: Examples) -> list[list[str]]:
        """Return the reference texts of each example.

        Args:
            examples: examples of one split.
        """

    @abstractmethod
    def counts(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        """Return the columns, [N] each, that ``text_measures`` sum.

        Args:
            texts: N generated texts.
            references: the reference texts of each.
        """

    @abstractmethod
    def baseline_texts(self, sources: Sequence[str], train: PairTargets) -> dict[str, list[str]]:
        """Return the texts of each baseline by its name; the best one is the run's main baseline.

        Args:
            sources: N sources.
            train: targets of the training split.
        """

    @abstractmethod
    def details(self) -> JsonObject:
        """Return the details of the metrics, for the report."""

    # -- data ----------------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [column for column in self.columns() if column.role == self.source_role]

    def fit(self, train: Examples) -> None:
        self.excerpts = list(train.columns[self.source_role][:SAMPLES])

    def texts(self, examples: Examples) -> Iterator[str]:
        yield from examples.columns[self.source_role]
        for references in self.references(examples):
            yield from references

    def configure(self, model: Model) -> None:
        positions = max_text_length(model)
        self.max_target = min(self.config.max_target, positions or self.config.max_target)
        self.start_id = getattr(model.config, "decoder_start_token_id", None)
        if not self.is_decoder and self.start_id is None:
            raise SpecError(
                f"{type(model).__name__} does not specify the token that its decoder starts with.",
                "Set decoder_start_token_id in its config.json, or use another model.",
            )

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        # For training, each reference becomes a separate row; otherwise, each example is a row with its first
        # reference.
        references = self.references(examples)
        owner = np.repeat(np.arange(len(examples)), [len(each) if training else 1 for each in references])
        sources = [examples.columns[self.source_role][i] for i in owner]
        wanted = [text for each in references for text in (each if training else each[:1])]
        encode = self._encode_decoder if self.is_decoder else self._encode_encoder_decoder
        rows = encode(tokenizer, sources, wanted, max_length)
        tokens, labels, prompt = rows.tokens, rows.labels, rows.prompt
        ids = tokens.ids[_after_prompt(tokens, prompt)] if labels is None else labels.ids
        targets = PairTargets(
            sources=sources,
            references=[references[i] for i in owner],
            labels=labels,
            prompt=prompt,
            predicted=(tokens.lengths - prompt) if labels is None else labels.lengths,
            bytes=np.array([len(text.encode("utf-8")) for text in wanted], dtype=np.int64),
            counts=np.bincount(ids, minlength=len(tokenizer)),
        )
        return Encoded(tokens, targets, truncation=_truncation(rows.cut, len(tokens), max_length))

    def _encode_encoder_decoder(
        self, tokenizer: Tokenizer, sources: Sequence[str], wanted: Sequence[str], max_length: int
    ) -> _EncodedRows:
        """Return each source as a row, and each target as labels."""
        tokens, labels = tokenize(tokenizer, sources, max_length=max_length), self._target_table(tokenizer, wanted)
        cut = [int((table.full_lengths > table.lengths).sum()) for table in (tokens, labels)]
        return _EncodedRows(tokens, labels, np.zeros(len(tokens), dtype=np.int64), (cut[0], cut[1]))

    def _target_table(self, tokenizer: Tokenizer, texts: Sequence[str]) -> TokenTable:
        """Return the decoder's targets: the tokens of each text and the end token, truncated if too long."""
        prefix, suffix = self._target_special_tokens(tokenizer)
        documents = tokenize_documents(tokenizer, texts)
        room = self.max_target - len(prefix) - len(suffix)
        lengths = np.minimum(documents.lengths, max(1, room))
        span = TokenSpan(documents.offsets[:-1], lengths)
        ending = SpecialTokens(suffix, where=lengths == documents.lengths)
        table = join_chunks(documents, len(texts), [SpecialTokens(prefix), span, ending])
        full = documents.lengths + len(prefix) + len(suffix)
        return replace(table, full_lengths=full.astype(np.int32), words=None)

    def _target_special_tokens(self, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        """Return the special tokens around a target, without the token that the decoder starts with anyway."""
        prefix, suffix = special_prefix_suffix(tokenizer)
        if prefix and prefix[0] == self.start_id:
            prefix = prefix[1:]
        if not suffix and tokenizer.eos_token_id is not None:
            suffix = [tokenizer.eos_token_id]
        return prefix, suffix

    def _encode_decoder(
        self, tokenizer: Tokenizer, sources: Sequence[str], wanted: Sequence[str], max_length: int
    ) -> _EncodedRows:
        """Return source, prompt and target of each example as one row.

        A target may take half of the room, plus whatever its source leaves; a source is truncated at its end.
        """
        prefix, middle, suffix = self._prompt_tokens(tokenizer)
        room = max_length - len(prefix) - len(middle) - len(suffix)
        if room < 2:
            raise SpecError(
                f"data.max_length is {max_length} tokens, but the prompt alone takes {max_length - room}.",
                "Increase data.max_length, or shorten task.prompt.",
            )
        source, target = tokenize_documents(tokenizer, sources), tokenize_documents(tokenizer, wanted)
        most = np.minimum(np.maximum(room // 2, room - source.lengths), max(1, self.max_target - len(suffix)))
        target_lengths = np.minimum(target.lengths, most)
        source_lengths = np.minimum(source.lengths, room - target_lengths)
        both = Documents(
            np.concatenate([source.ids, target.ids]),
            np.concatenate([source.words, target.words]),
            np.concatenate([source.offsets, len(source.ids) + target.offsets[1:]]),
        )
        layout: list[TokenSpan | SpecialTokens] = [
            SpecialTokens(prefix),
            TokenSpan(source.offsets[:-1], source_lengths),
            SpecialTokens(middle),
            TokenSpan(len(source.ids) + target.offsets[:-1], target_lengths),
            SpecialTokens(suffix, where=target_lengths == target.lengths),
        ]
        table = join_chunks(both, len(sources), layout)
        missing = [source.lengths - source_lengths, target.lengths - target_lengths]
        full = table.lengths + missing[0] + missing[1]
        table = replace(table, full_lengths=full.astype(np.int32), words=None)
        cut = (int((missing[0] > 0).sum()), int((missing[1] > 0).sum()))
        return _EncodedRows(table, None, len(prefix) + source_lengths + len(middle), cut)

    def _prompt_tokens(self, tokenizer: Tokenizer) -> tuple[list[int], list[int], list[int]]:
        """Return the tokens before a source, between source and target, and after a target."""
        prefix, suffix = special_prefix_suffix(tokenizer)
        if not suffix and tokenizer.eos_token_id is not None:
            suffix = [tokenizer.eos_token_id]
        if not prefix and tokenizer.bos_token_id is not None:
            prefix = [tokenizer.bos_token_id]
        parts = tokenize_documents(tokenizer, self.config.prompt.split(SOURCE))
        first, second = np.split(parts.ids, [int(parts.offsets[1])])
        return [*prefix, *first.tolist()], second.tolist(), suffix

    def continuation_prefix(self, tokenizer: Tokenizer) -> list[int] | None:
        return self._prompt_tokens(tokenizer)[0] if self.is_decoder else None

    # -- batches -------------------------------------------------------------------------------------------------------

    def loss_weight(self, encoded: Encoded, indices: Ints) -> int:
        return int(encoded.targets.predicted[indices].sum())

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        import torch

        targets: PairTargets = encoded.targets
        table = encoded.tokens if targets.labels is None else targets.labels
        labels = table.pad_values(table.ids, indices, IGNORE_INDEX, multiple)
        labels[np.arange(labels.shape[1]) < targets.prompt[indices][:, None]] = IGNORE_INDEX
        batch = encoded.tokens.pad(indices, pad_id, multiple)
        return {name: torch.from_numpy(array) for name, array in {**batch, "labels": labels}.items()}

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # For each row, the loss in nats, the number of predicted tokens and the number of correct ones, [B, 3].
        if self.is_decoder:
            return token_sums(model_output.logits[:, :-1], batch["labels"][:, 1:])
        return token_sums(model_output.logits, batch["labels"])

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        # The score of the first generated token.
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- results -------------------------------------------------------------------------------------------------------

    def metrics(self, outputs: Array, targets: PairTargets) -> dict[str, float]:
        return measures.metric_values(loss_columns(outputs, targets.bytes), text_scores.measures(LOSSES))

    def finish(self, context: FinishContext) -> GeneratedTexts:
        chosen = evenly_spaced(len(context.examples), self.config.written)
        tokens, prompt = context.encoded.tokens, context.encoded.targets.prompt
        ends = tokens.offsets[:-1] + (prompt if self.is_decoder else tokens.lengths)
        rows = [tokens.ids[tokens.offsets[i] : ends[i]].tolist() for i in chosen]
        texts = self._generate(context, rows, self.config, context.progress)
        return GeneratedTexts(chosen, texts, context.outputs[chosen])

    def _generate(
        self,
        context: InferenceContext,
        rows: Sequence[Sequence[int]],
        config: Seq2SeqOptions,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[str]:
        ids = generate_all(context, rows, config, encoder_decoder=not self.is_decoder, progress=progress)
        return [text.strip() for text in context.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def table(self, outcome: GeneratedTexts, targets: PairTargets) -> Counts:
        """Return the columns, [W] each, that the measures sum.

        Args:
            outcome: the texts generated for W examples.
            targets: targets of the split.
        """
        references = [targets.references[i] for i in outcome.chosen]
        return self.counts(outcome.texts, references) | loss_columns(outcome.sums, targets.bytes[outcome.chosen])

    def report(self, outcome: GeneratedTexts, targets: PairTargets, train_targets: PairTargets) -> TaskReport:
        table = self.table(outcome, targets)
        known = {**self.text_measures, **text_scores.measures(LOSSES)}
        sources = [targets.sources[i] for i in outcome.chosen]
        references = [targets.references[i] for i in outcome.chosen]
        baseline_texts = self.baseline_texts(sources, train_targets)
        counted = {name: self.counts(texts, references) for name, texts in baseline_texts.items()}
        baselines = {name: measures.metric_values(counts, self.text_measures) for name, counts in counted.items()}
        name = max(baselines, key=lambda each: baselines[each][self.primary_metric])  # the best one
        unigram = measures.metric_values(unigram_columns(targets, train_targets), text_scores.measures(LOSSES))
        return {
            "metrics": measures.intervals(table, known),
            "measures": known,
            "baseline": {**baselines[name], **unigram},
            "baseline_name": f"{name}; for the loss, the token frequencies in training",
            "baselines": baselines,
            "gain": measures.improvements(counted[name], table, self.text_measures),
            "written": {"examples": len(outcome.chosen), "of": len(targets.sources)},
            "notes": _generated_note(len(outcome.chosen), len(targets.sources)),
            **self.details(),
        }

    def prediction_rows(self, examples: Examples, outcome: GeneratedTexts, targets: PairTargets) -> PredictionRows:
        # A row for each example with a generated text; ``score`` is the primary metric of that text alone.
        table = self.table(outcome, targets)
        chosen = outcome.chosen.tolist()
        return prediction_table(
            [examples.ids[i] for i in chosen],
            {self.source_role: [targets.sources[i][:EXCERPT] for i in chosen]},
            gold=["\n".join(targets.references[i]) for i in chosen],
            prediction=outcome.texts,
            score=measures.metric_value(self.text_measures[self.primary_metric], table).tolist(),
            columns=table,
        )

    def samples(self, context: InferenceContext) -> list[dict[str, str]]:
        # Generate texts for the first training sources.
        rows, _ = self._source_rows(context, self.excerpts, self.config)
        texts = self._generate(context, rows, self.config)
        return [{"prompt": a[:SAMPLE_EXCERPT], "text": b} for a, b in zip(self.excerpts, texts, strict=True)]

    # -- inference -----------------------------------------------------------------------------------------------------

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        config = with_options(self.config, options, self.name)
        sources = [self._source(each, number) for number, each in enumerate(inputs, start=1)]
        rows, unread = self._source_rows(context, sources, config)
        texts = self._generate(context, rows, config)
        lengths = tokenize_documents(context.tokenizer, texts).lengths.tolist()
        return [
            GeneratedText(text, tokens=tokens, unread_tokens=lost)
            for text, tokens, lost in zip(texts, lengths, unread, strict=True)
        ]

    def _source(self, inputs: TaskInput, number: int) -> str:
        """Return the text of an input, which has the role's name or ``text`` as its key."""
        text = inputs.get(self.source_role, inputs.get("text", ""))
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"Input {number} has no {self.source_role}.", "Write some text.")
        return text

    def _source_rows(
        self, context: InferenceContext, sources: Sequence[str], config: Seq2SeqOptions
    ) -> tuple[list[list[int]], list[int]]:
        """Return the tokens that the model reads of each source, and the number of tokens that were cut."""
        tokenizer, max_length = context.tokenizer, context.max_length
        if not self.is_decoder:
            table = tokenize(tokenizer, sources, max_length=max_length)
            rows = [row.tolist() for row in np.split(table.ids, table.offsets[1:-1])]
            return rows, (table.full_lengths - table.lengths).tolist()
        prefix, middle, _ = self._prompt_tokens(tokenizer)
        room = max_length - len(prefix) - len(middle)
        most = max(1, room - min(config.max_new_tokens, room // 2))
        documents = tokenize_documents(tokenizer, sources)
        ids = np.split(documents.ids, documents.offsets[1:-1])
        unread = np.maximum(0, documents.lengths - most)
        return [prefix + each[:most].tolist() + middle for each in ids], unread.tolist()


# -- helpers -----------------------------------------------------------------------------------------------------------


def _after_prompt(table: TokenTable, prompt: Ints) -> Bools:
    """Return which tokens of the table come after their row's prompt, [total tokens]."""
    position = np.arange(len(table.ids)) - np.repeat(table.offsets[:-1], table.lengths)
    return np.asarray(position >= np.repeat(prompt, table.lengths))


def _truncation(cut: tuple[int, int], rows: int, max_length: int) -> str:
    counts = zip(cut, ("sources", "targets"), strict=True)
    notes = [f"{count:,} of {rows:,} {what} ({count / rows:.0%})" for count, what in counts if count]
    if not notes:
        return ""
    return (
        f"{' and '.join(notes)} were too long and were truncated (data.max_length is {max_length}; task.max_target "
        "limits targets). Raise them to use all of the text."
    )


def _generated_note(count: int, total: int) -> list[str]:
    if count == total:
        return []
    return [
        f"Texts were generated for {count:,} of {total:,} examples (task.written); all metrics are computed on these."
    ]
