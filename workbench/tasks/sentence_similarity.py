"""Map texts with the same meaning to similar vectors, for search, question answering and duplicate detection.

    workbench run similar-questions

A text becomes one vector, the mean of its tokens' vectors. In a batch of B pairs, each first text has to find its
second text among all B: the others are the negatives ("in-batch negatives"; Henderson et al. 2017, arXiv 1705.00652,
section 4.4; with a temperature: van den Oord et al. 2018; Gao et al. 2021, SimCSE, equation 1).

Pairs come from the data (``text_a``, ``text_b``: a question and its answer, say), or are sampled in each epoch from
texts with the same label (``pairs_from_labels``). Texts with the same label, and pairs that share a text, are never
each other's negatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError, SpecError
from workbench.i18n import N_
from workbench.metrics import measures
from workbench.metrics.correlation import spearman
from workbench.spec import SpecModel
from workbench.tasks.answers import Answer, Embedding, Ranking, Similarity
from workbench.tasks.base import ModelOutput, PredictionRows, Task, TaskReport, tasks
from workbench.tasks.contexts import (
    Array,
    Batch,
    Encoded,
    FinishContext,
    InferenceContext,
    TaskInput,
    compute_in_batches,
)
from workbench.tasks.shared.inputs import read_list
from workbench.tasks.shared.labels import LABEL_GUESSES
from workbench.tasks.shared.pair_search import SearchResult, search_by_vectors, search_by_words
from workbench.tasks.shared.ranking import RETRIEVAL, spearman_gain, spearman_interval
from workbench.tasks.shared.results import prediction_table
from workbench.tasks.shared.text_pairs import (
    Pairs,
    contrastive_loss,
    encode_labelled,
    numbered,
    pair_scores,
    sample_positives,
)
from workbench.tasks.text_classification import TEXT_GUESSES
from workbench.types import IGNORE_INDEX, Ints, Json, Model, Tokenizer

if TYPE_CHECKING:
    import torch

FIRST_GUESSES = ("question", "query", "sentence1", "text1", "anchor", "premise", "question1")
SECOND_GUESSES = ("answer", "positive", "sentence2", "text2", "reply", "paraphrase", "question2")
UNTRAINED = "the model before training"
SAMPLED_PAIRS = "each text paired with one of the same label (1) and one of another label (0)"


@dataclass(frozen=True)
class Embeddings:
    """The pairs of a batch as unit vectors.

    Attributes:
        loss: mean loss over the pairs.
        first, second: [B, D].
    """

    loss: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor


@tasks.register("sentence-similarity")
class SentenceSimilarity(Task):
    """Sentence similarity: embed texts so that similar meanings have similar vectors, for search and retrieval."""

    example = N_("Which earlier question means the same as this one?")
    head = "AutoModel"
    peft_type = "FEATURE_EXTRACTION"
    primary_metric = "recall@1"
    stochastic_inputs = True
    compares_rows = True
    evaluates_zero_shot = True
    input_aliases = ("text_a",)

    class Config(SpecModel):
        pairs_from_labels: bool = Field(
            False, description="Sample pairs from texts with the same label (columns text and label)."
        )
        pooling: Literal["mean", "cls"] = Field(
            "mean",
            description="The embedding of a text: the mean of its token vectors, or the vector of its first token.",
        )
        temperature: float = Field(
            0.05,
            gt=0,
            le=10,
            description="Divides the cosine similarities in the loss: a smaller value gives hard negatives "
            "more weight.",
        )
        both_ways: bool = Field(False, description="Symmetric loss: each second text also has to find its first text.")
        positive_from: float = Field(
            0.5, ge=0, le=1, description="For pairs with scores: the lowest score that counts as similar."
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.untrained: tuple[Array, bool] | None = None  # outputs before training, and whether weights were random

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        if self.config.pairs_from_labels:
            return [
                Column("text", "The text.", TEXT_GUESSES),
                Column("label", "The label; texts with the same label count as similar.", LABEL_GUESSES, kind="label"),
            ]
        return [
            Column("text_a", "The first text: a question, say.", FIRST_GUESSES),
            Column("text_b", "The text that matches it: its answer, say.", SECOND_GUESSES),
            Column(
                "score",
                "The similarity of the two texts, 0 to 1.",
                ("similarity",),
                required=False,
                kind="number",
                target=True,
            ),
        ]

    def fit(self, train: Examples) -> None:
        if self.config.pairs_from_labels:
            labels, count = len(set(train.columns["label"])), len(train)
            if labels < 2 or labels == count:
                raise DataError(
                    f"The {count:,} training texts have {labels:,} different labels, so there are no similar "
                    "pairs or no "
                    "dissimilar ones.",
                    "At least two labels are needed, and texts that share a label.",
                )

    def check_examples(self, examples: Examples) -> None:
        pair_scores(examples)

    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        if self.config.pairs_from_labels:
            return encode_labelled(tokenizer, examples, max_length)
        score = pair_scores(examples)
        positive = np.ones(len(examples), dtype=bool) if score is None else score >= self.config.positive_from
        note = ""
        if training and not positive.all():
            below = int((~positive).sum())
            note = f"{below:,} pairs with a score below {self.config.positive_from:g} are not trained on."
            examples, positive = examples.take(np.flatnonzero(positive)), positive[positive]
            score = pair_scores(examples)
            if not len(examples):
                raise DataError(
                    f"No training pair has a score of {self.config.positive_from:g} or more.",
                    "Scores range from 0 to 1. Lower task.positive_from.",
                )
        a, b = examples.columns["text_a"], examples.columns["text_b"]
        texts = tokenize(tokenizer, [text for pair in zip(a, b, strict=True) for text in pair], max_length=max_length)
        return Encoded(_rows_of_pairs(texts), Pairs(texts, numbered(a), numbered(b), score, positive), note)

    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        # 2B rows: the first texts, then the second texts; ``labels`` [B, B]: 1 positive, 0 negative, -100 neither.
        import torch

        pairs: Pairs = encoded.targets
        if pairs.members is None:
            rows = np.concatenate([2 * indices, 2 * indices + 1])
        else:
            rows = np.concatenate([indices, sample_positives(pairs, indices)])
        # Pairs that share a text count as similar; texts with the same label have the same number in ``second``.
        second, first = pairs.second[indices], pairs.first[indices]
        similar = second[:, None] == second
        if pairs.members is None:
            similar |= first[:, None] == first
        labels = np.where(similar, IGNORE_INDEX, 0)
        np.fill_diagonal(labels, np.where(pairs.positive[indices], 1, IGNORE_INDEX))
        batch = pairs.texts.pad(rows, pad_id, multiple)
        return {name: torch.from_numpy(array) for name, array in {**batch, "labels": labels}.items()}

    def loss_weight(self, encoded: Encoded, indices: Ints) -> int:
        return max(1, int(encoded.targets.positive[indices].sum()))

    # -- model ---------------------------------------------------------------------------------------------------------

    def configure(self, model: Model) -> None:
        if getattr(model.config, "is_encoder_decoder", False):
            raise SpecError(
                f"{type(model).__name__} has an encoder and a decoder, but this task needs a single vector for "
                "each text.",
                "Use an encoder, such as minilm or transformer-encoder.",
            )

    def forward(self, model: torch.nn.Module, batch: Batch) -> Embeddings:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        vectors = self.embed(model(**inputs), inputs["attention_mask"])
        first, second = vectors.chunk(2)
        loss = contrastive_loss(first, second, batch["labels"], self.config.temperature, self.config.both_ways)
        if model.training and not loss.requires_grad:
            raise SpecError(
                "None of the trainable weights affects the text vectors, because this task uses the model "
                "without a head.",
                "Use another fine-tuning method, such as full, freeze or lora.",
            )
        return Embeddings(loss, first, second)

    def embed(self, model_output: ModelOutput, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return a unit vector for each text, [B, D].

        Args:
            model_output: has ``last_hidden_state`` [B, T, D]; a fine-tuning method may prepend virtual tokens.
            attention_mask: [B, T].
        """
        from torch.nn import functional

        hidden = model_output.last_hidden_state[:, -attention_mask.shape[1] :].float()
        if self.config.pooling == "cls":
            return functional.normalize(hidden[:, 0], dim=-1)
        mask = attention_mask[:, :, None].to(hidden.dtype)
        return functional.normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1), dim=-1)

    def outputs(self, model_output: Embeddings, batch: Batch) -> torch.Tensor:
        # The vectors of each pair, [B, 2, D]; with labels, the vector of each text, [B, D].
        import torch

        if self.config.pairs_from_labels:
            return model_output.first
        return torch.stack([model_output.first, model_output.second], dim=1)

    def on_untrained_outputs(self, outputs: Array, loss: float, from_scratch: bool) -> None:
        self.untrained = outputs, from_scratch

    # -- results -------------------------------------------------------------------------------------------------------

    def finish(self, context: FinishContext) -> SearchResult:
        return search_by_vectors(context.outputs, context.encoded.targets)

    def metrics(self, outputs: Array, targets: Pairs) -> dict[str, float]:
        return search_by_vectors(outputs, targets).metrics(targets)

    def report(self, outcome: SearchResult, targets: Pairs, train_targets: Pairs) -> TaskReport:
        table = outcome.retrieved.columns()
        metrics = measures.intervals(table, RETRIEVAL)
        true, has_scores = targets.true_similarity, targets.score is not None
        if outcome.similarity is not None and true is not None:
            low, high = spearman_interval(true, outcome.similarity)
            metrics["spearman"] = {"value": spearman(true, outcome.similarity), "low": low, "high": high}
        results = {"words in common (TF-IDF)": search_by_words(targets, train_targets)}
        if self.untrained is not None:
            vectors, random = self.untrained
            before_training = f"{UNTRAINED} (random weights)" if random else UNTRAINED
            results = {before_training: search_by_vectors(vectors, targets), **results}
        baselines = {each: result.metrics(targets) for each, result in results.items()}
        name = max(baselines, key=lambda each: baselines[each][self.primary_metric])  # the better one
        improvement = measures.improvements(results[name].retrieved.columns(), table, RETRIEVAL)
        before = results[name].similarity
        if true is not None and outcome.similarity is not None and before is not None:
            improvement["spearman"] = spearman_gain(true, before, outcome.similarity)
        notes = []
        if true is not None and not has_scores:
            notes.append(f"Spearman is computed on {true.size:,} pairs: {SAMPLED_PAIRS}.")
        return {
            "metrics": metrics,
            "measures": RETRIEVAL,
            "baseline": baselines[name],
            "baseline_name": name,
            "baselines": baselines,
            "gain": improvement,
            "notes": notes,
            "queries": int(table["queries"].sum()),
            "candidates": len(outcome.candidate_row),
            "ranked": "every other text" if self.config.pairs_from_labels else "every distinct second text",
        }

    def prediction_rows(self, examples: Examples, outcome: SearchResult, targets: Pairs) -> PredictionRows:
        # A row for each query: the nearest text, and whether it is relevant.
        by_label = self.config.pairs_from_labels
        query, answer = ("text", "label") if by_label else ("text_a", "text_b")
        texts = examples.columns["text" if by_label else "text_b"]
        nearest = outcome.candidate_row[outcome.retrieved.best].tolist()
        table = outcome.retrieved.columns()
        columns: dict[str, Array] = {
            "nearest": np.array([texts[i] for i in nearest], dtype=object),
            "rank": outcome.retrieved.rank,
            **table,
        }
        if outcome.similarity is not None and not by_label:
            columns["similarity"] = outcome.similarity
        return prediction_table(
            examples.ids,
            {"text": examples.columns[query]},
            gold=examples.columns[answer],
            prediction=[examples.columns[answer][i] for i in nearest],
            score=outcome.retrieved.score.tolist(),
            correct=[bool(hit) if one else None for hit, one in zip(table["found_1"], table["queries"], strict=True)],
            columns=columns,
        )

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "The query text, or the text to compare with text_b.", ("text_a", "query", "question")),
            Column("text_b", "The text to compare it with, or one more candidate.", required=False),
            Column("candidates", "The texts to rank by similarity.", required=False, kind="texts"),
        ]

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        # The similarity of two texts, the ranking of candidates, or the embedding of a single text.
        self.refuse_options(options)
        queries = [_query(each, number) for number, each in enumerate(inputs, start=1)]
        texts = list(dict.fromkeys(text for query in queries for text in [query.text, *query.others]))
        index = {text: i for i, text in enumerate(texts)}
        vectors = self._vectors(context, texts)
        answers: list[Answer] = []
        for query in queries:
            own = vectors[index[query.text]]
            cosines = vectors[[index[text] for text in query.others]] @ own
            if not query.others:
                answers.append(Embedding(query.text, tuple(own.tolist())))
            elif not query.ranks:
                answers.append(Similarity(float(cosines[0]), query.text, query.others[0]))
            else:
                answers.append(Ranking.of(query.others, cosines.tolist()))
        return answers

    def truncated(self, context: InferenceContext, inputs: Sequence[TaskInput]) -> int:
        queries = [_query(each, number) for number, each in enumerate(inputs, start=1)]
        texts = list(dict.fromkeys(text for query in queries for text in [query.text, *query.others]))
        tokens = tokenize(context.tokenizer, texts, max_length=context.max_length)
        cut = {text for text, is_cut in zip(texts, tokens.full_lengths > tokens.lengths, strict=True) if is_cut}
        return sum(not cut.isdisjoint([query.text, *query.others]) for query in queries)

    def _vectors(self, context: InferenceContext, texts: list[str]) -> Array:
        """Return a unit vector for each text, float64 [N, D]."""
        import torch

        tokens = tokenize(context.tokenizer, texts, max_length=context.max_length)

        def compute(indices: Ints) -> torch.Tensor:
            arrays = tokens.pad(indices, context.pad_id)
            batch = context.to_device({name: torch.from_numpy(array) for name, array in arrays.items()})
            return self.embed(context.model(**batch), batch["attention_mask"]).double()

        return compute_in_batches(tokens.lengths, compute)


@dataclass(frozen=True)
class _Query:
    """An input: a text, the texts to compare it with, and whether these are candidates to rank."""

    text: str
    others: list[str]
    ranks: bool


def _rows_of_pairs(texts: TokenTable) -> TokenTable:
    """Return the two texts of each pair as one row, to compute lengths and batches."""
    return TokenTable(texts.ids, None, texts.offsets[::2], texts.full_lengths.reshape(-1, 2).max(axis=1))


def _query(inputs: TaskInput, number: int) -> _Query:
    """Return the query of an input. Raise DataError if it is invalid."""
    text = str(inputs.get("text_a") or inputs.get("text") or "")
    candidates = read_list(inputs, "candidates", number)
    if candidates is not None and not (isinstance(candidates, list | tuple) and candidates):
        raise DataError(f"Input {number}: candidates is not a list of texts.", 'Write "candidates": ["...", "..."].')
    others = [] if candidates is None else [str(each) for each in candidates]
    if inputs.get("text_b") is not None:
        others.append(str(inputs["text_b"]))
    for role, value in [("text", text), *(("text to compare with", other) for other in others)]:
        if not value.strip():
            raise DataError(f"Input {number}: the {role} is empty.", "Write some text.")
    return _Query(text, others, candidates is not None)
