"""Nearest-neighbour search among the texts of a split, by embeddings or by shared words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from workbench.data.text.tokens import TokenTable
from workbench.metrics import measures
from workbench.metrics.correlation import spearman
from workbench.tasks.contexts import Array
from workbench.tasks.shared.ranking import RETRIEVAL, Retrieved, retrieve, tf_idf
from workbench.tasks.shared.text_pairs import Pairs
from workbench.types import Bools, Floats, Ints

ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class SearchResult:
    """The result of searching a split.

    Attributes:
        retrieved: the ranks of the candidates for each query.
        candidate_row: the row of each candidate in the examples.
        similarity: similarity of the pairs in ``Pairs.true_similarity``, with its shape; None if there are none.
    """

    retrieved: Retrieved
    candidate_row: Ints
    similarity: Floats | None

    def metrics(self, targets: Pairs) -> dict[str, float]:
        """Return the metrics of the search.

        Args:
            targets: targets of the split.
        """
        values, true = measures.metric_values(self.retrieved.columns(), RETRIEVAL), targets.true_similarity
        if true is not None and self.similarity is not None:
            values["spearman"] = spearman(true, self.similarity)
        return values


def search_by_vectors(outputs: Array, targets: Pairs) -> SearchResult:
    """Search with the embeddings of a model.

    Args:
        outputs: unit vectors: two for each pair, [N, 2, D]; with labels, one for each text, [N, D].
        targets: targets of the split.
    """
    if targets.sampled is not None:
        own, others = outputs[targets.sampled[:, 0]], outputs[targets.sampled[:, 1:]]
        sampled = (own[:, None] * others).sum(axis=-1).astype(np.float64)
        return _search(targets, lambda rows, _: outputs[rows] @ outputs.T, sampled)
    pairs = (outputs[:, 0] * outputs[:, 1]).sum(axis=1).astype(np.float64)
    return _search(targets, lambda rows, chosen: outputs[rows, 0] @ outputs[chosen, 1].T, pairs)


def search_by_words(targets: Pairs, train_targets: Pairs) -> SearchResult:
    """Search by shared words (TF-IDF).

    Args:
        targets: targets of the split.
        train_targets: targets of the training split, from which the inverse document frequencies are computed.
    """
    if targets.sampled is not None:
        near = tf_idf(targets.texts, targets.texts, train_targets.texts)
        sampled = [_sampled_similarity(near, rows, targets.sampled) for rows in _slices(len(targets.first))]
        return _search(targets, lambda rows, _: near(rows), np.concatenate(sampled))
    first, second = _texts_of_pairs(targets.texts, 0), _texts_of_pairs(targets.texts, 1)
    chosen = _candidates(targets)
    near = tf_idf(first, second, train_targets.texts)
    pairs = None
    if targets.score is not None:
        pairs = np.concatenate([np.diagonal(near(rows), rows.start) for rows in _slices(len(first))])
    return _search(targets, lambda rows, _: near(rows)[:, chosen], pairs)


def _candidates(targets: Pairs) -> Ints:
    """Return the rows of the candidates: every text, or the first row of each distinct second text."""
    if targets.members is not None:
        return np.arange(len(targets.first))
    return np.unique(targets.second, return_index=True)[1]


def _search(
    targets: Pairs, similarity: Callable[[slice, Ints], Array], pair_similarity: Floats | None = None
) -> SearchResult:
    """Rank the candidates for every text, or for the first text of every pair.

    Texts are relevant if they have the same label, or form a similar pair with the query.
    """
    chosen = _candidates(targets)
    queries = len(targets.first)
    if targets.members is not None:
        label = targets.second

        def relevant(rows: slice) -> Bools:
            return np.asarray(label[rows, None] == label)

        itself: Ints | None = np.arange(queries)
    else:
        similar = np.unique(np.stack([targets.first, targets.second], axis=1)[targets.positive], axis=0)
        begin = np.searchsorted(similar[:, 0], np.arange(int(targets.first.max()) + 2))

        def relevant(rows: slice) -> Bools:
            result = np.zeros((rows.stop - rows.start, len(chosen)), dtype=bool)
            first = targets.first[rows]
            count = begin[first + 1] - begin[first]
            row = np.repeat(np.arange(len(first)), count)
            index = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + begin[first][row]
            result[row, similar[index, 1]] = True
            return result

        itself = None
    retrieved = retrieve(lambda rows: similarity(rows, chosen), relevant, queries, len(chosen), itself)
    return SearchResult(retrieved, chosen, pair_similarity)


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, min(start + ROWS_AT_ONCE, count)) for start in range(0, count, ROWS_AT_ONCE))


def _sampled_similarity(near: Callable[[slice], Array], rows: slice, sampled: Ints) -> Floats:
    """Return the similarities of the sampled pairs whose first text is among ``rows``, [n, 2]."""
    chosen = sampled[(sampled[:, 0] >= rows.start) & (sampled[:, 0] < rows.stop)]
    return np.take_along_axis(near(rows)[chosen[:, 0] - rows.start], chosen[:, 1:], axis=1)


def _texts_of_pairs(texts: TokenTable, which: int) -> TokenTable:
    """Return the first (0) or second (1) texts of all pairs."""
    lengths = texts.lengths
    selected = np.repeat(np.arange(len(texts)) % 2 == which, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths[which::2])])
    return TokenTable(texts.ids[selected], None, offsets, texts.full_lengths[which::2])
