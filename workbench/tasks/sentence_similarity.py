"""Put texts that mean the same near to each other: for search, for finding the answer to a question, for duplicates.

    workbench run similar-questions

A text becomes one vector, the mean of its tokens'. Of B pairs in a batch, each first text has to find its second one
among all B: the others are what it must not find ("in-batch negatives"; Henderson et al. 2017, arXiv 1705.00652,
section 4.4; with a temperature: van den Oord et al. 2018; Gao et al. 2021, SimCSE, equation 1).

Pairs are given (``text_a``, ``text_b``: a question and its answer), or drawn anew in each epoch from the texts that
have one label (``pairs_from_labels``). Two texts of one label, or pairs that share a text, are never each other's
negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.tokens import TokenTable, tokenize
from workbench.errors import DataError, SpecError
from workbench.metrics import measures
from workbench.metrics.correlation import spearman
from workbench.spec import SpecModel
from workbench.tasks.base import INFERENCE_BATCH_SIZE, Array, Encoded, Task, read_list, tasks
from workbench.tasks.shared.ranking import (
    RETRIEVAL,
    Ints,
    Retrieved,
    retrieve,
    spearman_gain,
    spearman_interval,
    tf_idf,
)
from workbench.tasks.text_classification import LABEL_GUESSES, TEXT_GUESSES

if TYPE_CHECKING:
    import torch

LEFT_OUT = -100  # of a pair of rows that is neither partner nor negative
FIRST = ("question", "query", "sentence1", "text1", "anchor", "premise")
SECOND = ("answer", "positive", "sentence2", "text2", "reply", "paraphrase")
UNTOUCHED = "the model before training"
SAME = "each text with one of its label (1), and with one of another (0)"


@dataclass(frozen=True)
class Embeddings:
    """A batch's pairs as vectors of length 1.

    Attributes:
        loss: mean over the pairs.
        first, second: [B, D].
    """

    loss: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor


@dataclass(frozen=True)
class Pairs:
    """What is to be found.

    Attributes:
        texts: a table of what is embedded: two rows for each pair, first and second text in turn; or a row a text.
        first, second: int64 [N], number of each pair's first and second text, the same for the same text. Of texts with
            labels ``first`` is the text itself, and ``second`` its label.
        score: float64 [N], how alike a pair is, 0 to 1; None where nobody has said.
        positive: bool [N], whether the pair counts as alike.
        members: of texts with labels: the rows, sorted by label.
        drawn: of texts with labels: of each that is not alone with its label, and has another label beside, a row with
            its label and one with another, both drawn once; int64 [n, 3], its own row first.
    """

    texts: TokenTable
    first: Ints
    second: Ints
    score: NDArray[np.float64] | None
    positive: NDArray[np.bool_]
    members: Ints | None = None
    drawn: Ints | None = None

    @property
    def judged(self) -> NDArray[np.float64] | None:
        """How alike pairs are, 0 to 1: of given pairs their scores, [N]; of drawn ones 1 and 0, [n, 2]; or None."""
        if self.drawn is None or not len(self.drawn):
            return self.score
        return np.tile([1.0, 0.0], (len(self.drawn), 1))


@dataclass(frozen=True)
class Found:
    """What the finished model found in the part that is reported on.

    Attributes:
        retrieved: for each query.
        candidate_row: the row of the examples that each candidate stands for.
        similarity: of the pairs that ``Pairs.judged`` holds, in their shape; None where there are none.
    """

    retrieved: Retrieved
    candidate_row: Ints
    similarity: NDArray[np.float64] | None


@tasks.register("sentence-similarity")
class SentenceSimilarity(Task):
    """Sentence similarity: texts that mean the same come near to each other, for search and retrieval."""

    head = "AutoModel"
    peft_type = "FEATURE_EXTRACTION"
    primary_metric = "recall@1"
    stochastic_inputs = True
    evaluates_zero_shot = True
    input_aliases = ("text_a",)

    class Config(SpecModel):
        pairs_from_labels: bool = Field(
            False, description="Pairs are drawn from texts with the same label (columns text and label)."
        )
        pooling: Literal["mean", "cls"] = Field(
            "mean", description="A text's vector: the mean of its tokens' vectors, or the first token's."
        )
        temperature: float = Field(
            0.05,
            gt=0,
            le=10,
            description="Cosines are divided by this scale: the smaller, the harder the nearest count.",
        )
        both_ways: bool = Field(False, description="Second texts have to find their first ones, too.")
        positive_from: float = Field(
            0.5, ge=0, le=1, description="Where pairs have a score: the probability of being alike from which they are."
        )

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._before: tuple[Array, bool] | None = None

    # -- data ----------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        if self.config.pairs_from_labels:
            return [
                Column("text", "The text.", TEXT_GUESSES),
                Column("label", "Texts with the same label belong together.", LABEL_GUESSES, kind="label"),
            ]
        return [
            Column("text_a", "The first text: a question, say.", FIRST),
            Column("text_b", "The text that belongs to it: its answer, say.", SECOND),
            Column("score", "How alike they are, 0 to 1.", ("similarity",), required=False, kind="number", target=True),
        ]

    def fit(self, train: Examples) -> None:
        if self.config.pairs_from_labels:
            kinds, count = len(set(train.columns["label"])), len(train)
            if kinds < 2 or kinds == count:
                raise DataError(
                    f"The {count:,} training texts have {kinds:,} different labels: there is nothing to tell apart, or "
                    "nothing that belongs together.",
                    "At least two labels are needed, and texts that share one.",
                )

    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        if self.config.pairs_from_labels:
            return _by_label(tokenizer, examples, max_length)
        score = _scores(examples)
        positive = np.ones(len(examples), dtype=bool) if score is None else score >= self.config.positive_from
        note = ""
        if training and not positive.all():
            below = int((~positive).sum())
            note = f"{below:,} pairs with a score below {self.config.positive_from:g} are not learned from."
            examples, positive = examples.take(np.flatnonzero(positive)), positive[positive]
            score = _scores(examples)
            if not len(examples):
                raise DataError(
                    f"No training pair has a score of {self.config.positive_from:g} or more.",
                    "Scores go from 0 to 1; set task.positive_from to a lower one.",
                )
        a, b = examples.columns["text_a"], examples.columns["text_b"]
        texts = tokenize(tokenizer, [text for pair in zip(a, b, strict=True) for text in pair], max_length=max_length)
        return Encoded(_joined(texts), Pairs(texts, _numbers(a), _numbers(b), score, positive), note)

    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        """First texts, then second texts: 2B rows. ``labels`` [B, B]: 1 partner, 0 negative, -100 neither."""
        import torch

        pairs: Pairs = encoded.targets
        if pairs.members is None:
            rows = np.concatenate([2 * indices, 2 * indices + 1])
        else:
            rows = np.concatenate([indices, _partners(pairs, indices)])
        # Pairs that share a text are alike; texts of one label have the same number as second.
        one, other = pairs.second[indices], pairs.first[indices]
        alike = one[:, None] == one
        if pairs.members is None:
            alike |= other[:, None] == other
        labels = np.where(alike, LEFT_OUT, 0)
        np.fill_diagonal(labels, np.where(pairs.positive[indices], 1, LEFT_OUT))
        batch = pairs.texts.pad(rows, pad_id, multiple)
        return {name: torch.from_numpy(array) for name, array in {**batch, "labels": labels}.items()}

    def loss_weight(self, encoded: Encoded, indices: Array) -> int:
        return max(1, int(encoded.targets.positive[indices].sum()))

    # -- model ---------------------------------------------------------------------------------------------------

    def model_options(self) -> dict[str, Any]:
        return {}

    def configure(self, model: Any) -> None:
        if getattr(model.config, "is_encoder_decoder", False):
            raise SpecError(
                f"{type(model).__name__} has an encoder and a decoder, and this task needs one vector for a text.",
                "Use an encoder, such as minilm or transformer-encoder.",
            )

    def forward(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Embeddings:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        vectors = self.embed(model(**inputs), inputs["attention_mask"])
        first, second = vectors.chunk(2)
        loss = contrastive_loss(first, second, batch["labels"], self.config.temperature, self.config.both_ways)
        if model.training and not loss.requires_grad:
            raise SpecError(
                "None of the weights that are trained has a part in a text's vector: the model is used without a head.",
                "Use another tuning: full, freeze or lora.",
            )
        return Embeddings(loss, first, second)

    def embed(self, model_output: Any, attention_mask: torch.Tensor) -> torch.Tensor:
        """A vector of length 1 for each text, [B, D].

        Args:
            model_output: with ``last_hidden_state`` [B, T, D]; virtual tokens of a tuning may stand before.
            attention_mask: [B, T].
        """
        from torch.nn import functional

        hidden = model_output.last_hidden_state[:, -attention_mask.shape[1] :].float()
        if self.config.pooling == "cls":
            return functional.normalize(hidden[:, 0], dim=-1)
        mask = attention_mask[:, :, None].to(hidden.dtype)
        return functional.normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1), dim=-1)

    def outputs(self, model_output: Embeddings, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Vectors: of each pair both, [B, 2, D]; of a text with a label its own, [B, D]."""
        import torch

        if self.config.pairs_from_labels:
            return model_output.first
        return torch.stack([model_output.first, model_output.second], dim=1)

    def on_untrained_outputs(self, outputs: Array, loss: float, from_scratch: bool) -> None:
        self._before = outputs, from_scratch

    # -- results -------------------------------------------------------------------------------------------------

    def finish(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        encoded: Encoded,
        outputs: Array,
        progress: Callable[[int, int], None],
    ) -> Found:
        return self._found(outputs, encoded.targets)

    def metrics(self, outputs: Array, targets: Pairs) -> dict[str, float]:
        return _figures(self._found(outputs, targets), targets)

    def _found(self, outputs: Array, targets: Pairs) -> Found:
        """Rank with a model's vectors."""
        if targets.drawn is not None:
            own, pairs = outputs[targets.drawn[:, 0]], outputs[targets.drawn[:, 1:]]
            drawn = (own[:, None] * pairs).sum(axis=-1).astype(np.float64)
            return _retrieve(targets, lambda rows, _: outputs[rows] @ outputs.T, drawn)
        given = (outputs[:, 0] * outputs[:, 1]).sum(axis=1).astype(np.float64)
        return _retrieve(targets, lambda rows, chosen: outputs[rows, 0] @ outputs[chosen, 1].T, given)

    def report(self, outputs: Found, targets: Pairs, train_targets: Pairs) -> dict[str, Any]:
        table = outputs.retrieved.columns()
        metrics = measures.intervals(table, RETRIEVAL)
        judged, given = targets.judged, targets.score is not None
        if outputs.similarity is not None and judged is not None:
            low, high = spearman_interval(judged, outputs.similarity)
            metrics["spearman"] = {"value": spearman(judged, outputs.similarity), "low": low, "high": high}
        found = {"words in common (TF-IDF)": _lexical(targets, train_targets)}
        name = next(iter(found))
        if self._before is not None:
            vectors, random = self._before
            name = f"{UNTOUCHED}, whose weights are random" if random else UNTOUCHED
            found = {name: self._found(vectors, targets), **found}
        baselines = {each: _figures(ranked, targets) for each, ranked in found.items()}
        gain = measures.improvements(found[name].retrieved.columns(), table, RETRIEVAL)
        untouched = found[name].similarity
        if judged is not None and outputs.similarity is not None and untouched is not None:
            gain["spearman"] = spearman_gain(judged, untouched, outputs.similarity)
        return {
            "metrics": metrics,
            "measures": RETRIEVAL,
            "baseline": baselines[name],
            "baseline_name": name,
            "baselines": baselines,
            "gain": gain,
            "notes": [f"Spearman is of {judged.size:,} pairs: {SAME}."] if judged is not None and not given else [],
            "queries": int(table["queries"].sum()),
            "candidates": len(outputs.candidate_row),
            "ranked": "every other text" if self.config.pairs_from_labels else "every different second text",
        }

    def prediction_rows(self, examples: Examples, outputs: Found, targets: Pairs) -> dict[str, list[Any]]:
        """A row for each query: the nearest text, and whether it is one that was meant."""
        by_label = self.config.pairs_from_labels
        texts = examples.columns["text" if by_label else "text_b"]
        nearest = outputs.candidate_row[outputs.retrieved.best].tolist()
        table = outputs.retrieved.columns()
        rows: dict[str, list[Any]] = {
            "id": list(examples.ids),
            "input": list(examples.columns["text" if by_label else "text_a"]),
            "gold": list(examples.columns["label" if by_label else "text_b"]),
            "prediction": [examples.columns["label" if by_label else "text_b"][i] for i in nearest],
            "nearest": [texts[i] for i in nearest],
            "score": outputs.retrieved.score.tolist(),
            "rank": outputs.retrieved.rank.tolist(),
            "correct": [
                bool(hit) if asked else None for hit, asked in zip(table["found_1"], table["queries"], strict=True)
            ],
        }
        if outputs.similarity is not None and not by_label:
            rows["similarity"] = outputs.similarity.tolist()
        return rows | {name: column.tolist() for name, column in table.items()}

    # -- asked -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "The text to find others for, or to compare with text_b.", ("text_a", "query", "question")),
            Column("text_b", "The text to compare with it; one more candidate, where there are some.", required=False),
            Column("candidates", "Texts to be put in order, the nearest first.", required=False, kind="texts"),
        ]

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """Of two texts ``{"similarity"}``; of a text and candidates ``{"text", "score", "ranked"}``, the nearest first;
        of a text alone its vector, ``{"text", "embedding"}``."""
        if options:
            raise SpecError(
                f"{', '.join(options)} cannot be set: a model for {self.name} does not write.", "Ask without options."
            )
        asked = [_asked(given, place) for place, given in enumerate(inputs, start=1)]
        number = {
            text: i for i, text in enumerate(dict.fromkeys(t for query, others, _ in asked for t in [query, *others]))
        }
        vectors = self._vectors(model, tokenizer, list(number), max_length)
        results = []
        for query, others, ranked in asked:
            near = vectors[[number[text] for text in others]] @ vectors[number[query]]
            if not others:
                results.append({"text": query, "embedding": vectors[number[query]].tolist()})
            elif not ranked:
                results.append({"similarity": float(near[0]), "text_a": query, "text_b": others[0]})
            else:
                order = np.argsort(-near, kind="stable")
                best = [{"text": others[i], "score": float(near[i])} for i in order]
                results.append({**best[0], "ranked": best})
        return results

    def _vectors(self, model: Any, tokenizer: Any, texts: list[str], max_length: int) -> NDArray[np.float64]:
        """A vector of length 1 for each text, [N, D]; ``model`` in evaluation mode."""
        import torch

        tokens = tokenize(tokenizer, texts, max_length=max_length)
        batches = Batches(tokens.lengths, INFERENCE_BATCH_SIZE).in_order()
        device = next(model.parameters()).device
        found = []
        with torch.inference_mode():
            for indices in batches:
                arrays = tokens.pad(indices, tokenizer.pad_token_id or 0)
                batch = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
                found.append(self.embed(model(**batch), batch["attention_mask"]).double().cpu().numpy())
        stacked = np.concatenate(found)
        in_order = np.empty_like(stacked)
        in_order[np.concatenate(batches)] = stacked
        return in_order


def contrastive_loss(
    first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor, temperature: float, both_ways: bool = False
) -> torch.Tensor:
    """Mean cross-entropy of finding one's partner among the batch (InfoNCE).

    Args:
        first, second: [B, D], of length 1; row i of both are partners.
        labels: [B, B]; on the diagonal 1 where the two are alike, and that pair is learned; elsewhere 0 for a negative,
            and -100 for what is left out.
        temperature: cosines are divided by it.
        both_ways: the mean with that of second texts finding their first ones.
    """
    import torch
    from torch.nn import functional

    places = torch.arange(len(first), device=first.device)
    left_out = (labels == LEFT_OUT) & (places[:, None] != places)
    wanted = torch.where(labels.diagonal() == 1, places, LEFT_OUT)
    count = (wanted != LEFT_OUT).sum().clamp(min=1)
    with torch.autocast(first.device.type, enabled=False):  # half precision is too coarse for cosines / temperature
        scores = (first.float() @ second.float().T / temperature).masked_fill(left_out, float("-inf"))
        loss = functional.cross_entropy(scores, wanted, ignore_index=LEFT_OUT, reduction="sum")
        if both_ways:
            back = functional.cross_entropy(scores.T, wanted, ignore_index=LEFT_OUT, reduction="sum")
            loss = (loss + back) / 2
    return loss / count


# -- small parts ---------------------------------------------------------------------------------------------------


def _numbers(values: Sequence[str]) -> Ints:
    """The same number for the same value."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def _scores(examples: Examples) -> NDArray[np.float64] | None:
    """The pairs' scores, [N]. Raises DataError for one outside 0 to 1."""
    given = examples.columns.get("score")
    if given is None:
        return None
    score = np.array(given, dtype=np.float64)
    outside = np.flatnonzero((score < 0) | (score > 1))
    if len(outside):
        raise DataError(
            f"{examples.locations()[outside[0]]}: the score is {score[outside[0]]:g}, and 0 to 1 is allowed "
            f"({len(outside):,} such rows).",
            "Divide the scores by the largest possible one.",
        )
    return score


def _by_label(tokenizer: Any, examples: Examples, max_length: int) -> Encoded:
    texts = tokenize(tokenizer, examples.columns["text"], max_length=max_length)
    label = _numbers(examples.columns["label"])
    everything = np.ones(len(examples), dtype=bool)
    members = np.argsort(label, kind="stable")
    pairs = Pairs(texts, np.arange(len(examples)), label, None, everything, members)
    return Encoded(texts, replace(pairs, drawn=_drawn(pairs)))


def _partners(pairs: Pairs, indices: Ints) -> Ints:
    """Another text with the same label for each, drawn from torch's generator; a text that is alone is its own
    partner, which dropout makes another one (Gao et al. 2021, section 3)."""
    import torch

    return _mates(pairs, indices, torch.randint(2**62, (len(indices),)).numpy())[0]


def _drawn(pairs: Pairs) -> Ints:
    """See ``Pairs.drawn``: the same ones for the same labels."""
    rows = np.arange(len(pairs.second))
    size = np.bincount(pairs.second)[pairs.second]
    usable = rows[(size > 1) & (size < len(rows))]
    generator = np.random.Generator(np.random.PCG64(0))
    same, other = _mates(pairs, usable, generator.integers(2**62, size=len(usable)))
    return np.stack([usable, same, other], axis=1)


def _mates(pairs: Pairs, indices: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Of each text, by a drawn ``number`` of its own, another row with its label and one with another label.

    A text that is alone with its label is its own mate; where there is one label only, so are all others.
    """
    assert pairs.members is not None
    label, count = pairs.second, len(pairs.second)
    size = np.bincount(label)
    begin = np.cumsum(size) - size
    place = np.empty(count, dtype=np.int64)
    place[pairs.members] = np.arange(count) - begin[label[pairs.members]]
    mine = label[indices]
    step = 1 + number % np.maximum(size[mine] - 1, 1)
    same: Ints = pairs.members[begin[mine] + (place[indices] + step) % size[mine]]
    other: Ints = pairs.members[(begin[mine] + size[mine] + number % np.maximum(count - size[mine], 1)) % count]
    return same, other


def _joined(texts: TokenTable) -> TokenTable:
    """Rows of pairs as one row each: what lengths and batches go by."""
    return TokenTable(texts.ids, None, texts.offsets[::2], texts.full_lengths.reshape(-1, 2).max(axis=1))


def _candidates(targets: Pairs) -> Ints:
    """The rows that candidates stand for: every text, or the first row of each different second text."""
    if targets.members is not None:
        return np.arange(len(targets.first))
    return np.unique(targets.second, return_index=True)[1]


def _retrieve(
    targets: Pairs,
    similarity: Callable[[slice, Ints], NDArray[Any]],
    given: NDArray[np.float64] | None = None,
) -> Found:
    """Rank candidates for every text, or every pair's first text; relevant is what has its label, or goes with it in
    any pair that counts as alike."""
    chosen = _candidates(targets)
    queries = len(targets.first)
    if targets.members is not None:
        label = targets.second

        def relevant(rows: slice) -> NDArray[np.bool_]:
            return np.asarray(label[rows, None] == label)

        itself: Ints | None = np.arange(queries)
    else:
        known = np.zeros((0, 2), dtype=np.int64)
        known = np.unique(np.stack([targets.first, targets.second], axis=1)[targets.positive], axis=0)
        begin = np.searchsorted(known[:, 0], np.arange(int(targets.first.max()) + 2))

        def relevant(rows: slice) -> NDArray[np.bool_]:
            found = np.zeros((rows.stop - rows.start, len(chosen)), dtype=bool)
            first = targets.first[rows]
            many = begin[first + 1] - begin[first]
            row = np.repeat(np.arange(len(first)), many)
            place = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many) + begin[first][row]
            found[row, known[place, 1]] = True
            return found

        itself = None
    found = retrieve(lambda rows: similarity(rows, chosen), relevant, queries, len(chosen), itself)
    return Found(found, chosen, given)


def _lexical(targets: Pairs, train_targets: Pairs) -> Found:
    """Rank by the words in common."""
    if targets.drawn is not None:
        near = tf_idf(targets.texts, targets.texts, train_targets.texts)
        drawn = [_picked(near, rows, targets.drawn) for rows in _slices(len(targets.first))]
        return _retrieve(targets, lambda rows, _: near(rows), np.concatenate(drawn))
    first, second = _every_second(targets.texts, 0), _every_second(targets.texts, 1)
    chosen = _candidates(targets)
    near = tf_idf(first, second, train_targets.texts)
    given = None
    if targets.score is not None:
        given = np.concatenate([np.diagonal(near(rows), rows.start) for rows in _slices(len(first))])
    return _retrieve(targets, lambda rows, _: near(rows)[:, chosen], given)


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, min(start + 256, count)) for start in range(0, count, 256))


def _picked(near: Callable[[slice], NDArray[Any]], rows: slice, drawn: Ints) -> NDArray[np.float64]:
    """The similarities of the drawn pairs whose first text is among ``rows``, [n, 2]."""
    chosen = drawn[(drawn[:, 0] >= rows.start) & (drawn[:, 0] < rows.stop)]
    return np.take_along_axis(near(rows)[chosen[:, 0] - rows.start], chosen[:, 1:], axis=1)


def _every_second(texts: TokenTable, begin: int) -> TokenTable:
    """The first texts of all pairs (0), or the second ones (1)."""
    lengths = texts.lengths
    kept = np.repeat(np.arange(len(texts)) % 2 == begin, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths[begin::2])])
    return TokenTable(texts.ids[kept], None, offsets, texts.full_lengths[begin::2])


def _figures(found: Found, targets: Pairs) -> dict[str, float]:
    figures, judged = measures.metric_values(found.retrieved.columns(), RETRIEVAL), targets.judged
    if judged is not None and found.similarity is not None:
        figures["spearman"] = spearman(judged, found.similarity)
    return figures


def _asked(given: Mapping[str, Any], place: int) -> tuple[str, list[str], bool]:
    """The text of an input, what it is compared with, and whether these are candidates. Raises DataError."""
    query = str(given.get("text_a") or given.get("text") or "")
    candidates = read_list(given, "candidates", place)
    if candidates is not None and not (isinstance(candidates, list | tuple) and candidates):
        raise DataError(f"Input {place}: the candidates are no list of texts.", 'Write "candidates": ["...", "..."].')
    others = [str(each) for each in candidates] if candidates is not None else []
    if given.get("text_b") is not None:
        others.append(str(given["text_b"]))
    for role, text in [("text", query), *(("text to compare with", other) for other in others)]:
        if not text.strip():
            raise DataError(f"Input {place}: the {role} is empty.", "Write some text.")
    return query, others, candidates is not None
