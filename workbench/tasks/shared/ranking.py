"""Ranking metrics (for retrieval and for candidates ranked for a user), and the TF-IDF baseline.

All computations are vectorized. Ties never improve a metric: either the irrelevant candidate counts as first
(retrieval), or the metric is averaged over all orders of the tied candidates (ranking for users).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from workbench.data.text.tokens import TokenTable
from workbench.metrics.correlation import spearman
from workbench.metrics.scores import percentile_interval
from workbench.tasks.contexts import Array
from workbench.types import Bools, Floats, Ints, TokenIds

CELLS_AT_ONCE = 4_000_000  # similarities in memory at once: 16 MB
RESAMPLES = 500


@dataclass(frozen=True)
class Retrieved:
    """The results of Q queries over M candidates.

    Attributes:
        rank: int64 [Q], rank of the first relevant candidate, from 1; 0 for a query without a relevant candidate.
        best: int64 [Q], the top candidate.
        score: float64 [Q], its similarity.
    """

    rank: Ints
    best: Ints
    score: Floats

    def columns(self) -> dict[str, Floats]:
        """Return each query's contribution to the metrics in :data:`RETRIEVAL`."""
        answerable = self.rank > 0
        return {
            "queries": answerable.astype(np.float64),
            "found_1": (answerable & (self.rank <= 1)).astype(np.float64),
            "found_5": (answerable & (self.rank <= 5)).astype(np.float64),
            "reciprocal_rank": np.where(answerable, 1.0 / np.maximum(self.rank, 1), 0.0),
        }


# recall@k: the share of queries with a relevant candidate among the first k; mrr: the mean of 1 / its rank.
RETRIEVAL: dict[str, tuple[str, ...]] = {
    "recall@1": ("ratio", "found_1", "queries"),
    "recall@5": ("ratio", "found_5", "queries"),
    "mrr": ("ratio", "reciprocal_rank", "queries"),
}


def retrieve(
    similarity: Callable[[slice], Array],
    relevant: Callable[[slice], Bools],
    queries: int,
    candidates: int,
    itself: Ints | None = None,
) -> Retrieved:
    """Rank all candidates for each query.

    Args:
        similarity: takes a slice of queries, and returns their similarity to every candidate, [q, M].
        relevant: takes a slice of queries, and returns which candidates are relevant to them, bool [q, M].
        queries: number of queries, Q.
        candidates: number of candidates, M.
        itself: int64 [Q], the candidate that is the query itself and is not ranked; None if there is none.
    """
    rank, best = np.zeros(queries, dtype=np.int64), np.zeros(queries, dtype=np.int64)
    score = np.zeros(queries)
    step = max(1, CELLS_AT_ONCE // max(1, candidates))
    for start in range(0, queries, step):
        rows = slice(start, min(start + step, queries))
        near, hits = np.array(similarity(rows), dtype=np.float64), np.array(relevant(rows))
        # NaN counts as infinitely far away: a model that has diverged retrieves nothing.
        near[np.isnan(near)] = -np.inf
        if itself is not None:
            own = (np.arange(len(near)), itself[rows])
            near[own], hits[own] = -np.inf, False
        first = np.where(hits, near, -np.inf).max(axis=1)
        before = (~hits & (near >= first[:, None])).sum(axis=1)
        if itself is not None:
            before -= np.isneginf(first)  # the query itself, which is at the same distance as everything else
        rank[rows] = np.where(hits.any(axis=1), before + 1, 0)
        best[rows] = near.argmax(axis=1)
        score[rows] = np.take_along_axis(near, best[rows][:, None], axis=1)[:, 0]
    return Retrieved(rank, best, score)


def tf_idf(queries: TokenTable, candidates: TokenTable, corpus: TokenTable) -> Callable[[slice], Array]:
    """Return a function that computes cosine similarities of TF-IDF vectors, a baseline without a model.

    Term frequency is 1 + log(count). Inverse document frequency is log((1 + N) / (1 + n)) over the corpus, which is 0
    for tokens that occur in every text, such as special tokens (Manning, Raghavan and Schuetze 2008, section 6.4).

    Args:
        queries: Q texts.
        candidates: M texts.
        corpus: the texts from which document frequencies are computed.

    Returns:
        The ``similarity`` argument of :func:`retrieve`.
    """
    import torch

    words = np.unique(np.concatenate([queries.ids, candidates.ids]))
    documents = np.bincount(_word_counts(corpus, words)[1], minlength=len(words))
    idf = np.log((1 + len(corpus)) / (1 + documents))
    candidate_row, candidate_word, candidate_weight = _weighted(candidates, words, idf)
    row, word, weight = _weighted(queries, words, idf)
    sparse = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([candidate_row, candidate_word])),
        torch.from_numpy(candidate_weight),
        (len(candidates), len(words)),
        check_invariants=False,
    ).coalesce()

    def similarity(rows: slice) -> Array:
        selected = (row >= rows.start) & (row < rows.stop)
        dense = np.zeros((len(words), rows.stop - rows.start))
        dense[word[selected], row[selected] - rows.start] = weight[selected]
        product: Array = torch.sparse.mm(sparse, torch.from_numpy(dense)).numpy()
        return product.T

    return similarity


def _word_counts(table: TokenTable, words: TokenIds) -> tuple[Ints, Ints, Ints]:
    """Return the occurrences of ``words`` (sorted) in the texts as three columns: text, word and count."""
    row = np.repeat(np.arange(len(table)), table.lengths)
    index = np.searchsorted(words, table.ids).clip(max=len(words) - 1)
    known = words[index] == table.ids
    both, count = np.unique(row[known] * len(words) + index[known], return_counts=True)
    return both // len(words), both % len(words), count


def _weighted(table: TokenTable, words: TokenIds, idf: Floats) -> tuple[Ints, Ints, Floats]:
    row, word, count = _word_counts(table, words)
    weight = (1 + np.log(count)) * idf[word]
    norm = np.sqrt(np.bincount(row, weight**2, minlength=len(table)))
    return row, word, weight / np.where(norm > 0, norm, 1.0)[row]


# -- rank correlation --------------------------------------------------------------------------------------------------


def spearman_interval(one: Floats, other: Floats, seed: int = 0) -> tuple[float, float]:
    """Return the 95% percentile interval of Spearman's correlation over bootstrap samples of the rows.

    Args:
        one: values, [N] or [N, columns].
        other: values of the same shape.
        seed: seed of the bootstrap.
    """
    return percentile_interval([spearman(one[rows], other[rows]) for rows in _samples(len(one), seed)])


def spearman_gain(true: Floats, before: Floats, after: Floats, seed: int = 0) -> dict[str, float]:
    """Return the improvement of Spearman's correlation, ``{"value", "low", "high"}`` (paired bootstrap of the rows).

    Args:
        true: the true values, [N] or [N, columns].
        before: values of the baseline.
        after: values of the model.
        seed: seed of the bootstrap.
    """
    samples = [
        spearman(true[rows], after[rows]) - spearman(true[rows], before[rows]) for rows in _samples(len(true), seed)
    ]
    low, high = percentile_interval(samples)
    return {"value": spearman(true, after) - spearman(true, before), "low": low, "high": high}


def _samples(count: int, seed: int) -> Iterator[Ints]:
    generator = np.random.default_rng(seed)
    return (generator.integers(0, count, count) for _ in range(RESAMPLES))


# -- ranking for users -------------------------------------------------------------------------------------------------

# Each metric is the mean over the users with both liked and disliked candidates.
RANKING: dict[str, tuple[str, ...]] = {
    "auc": ("ratio", "user_auc", "users"),
    "ndcg@10": ("ratio", "user_ndcg", "users"),
    "recall@10": ("ratio", "user_recall", "users"),
}


def rank_for_users(user: Ints, liked: Bools, scores: Floats, first: int = 10) -> dict[str, Floats]:
    """Measure how well each user's candidates are ranked.

    AUC is the share of pairs (liked, not liked) in the correct order, with ties counting half. nDCG@k has gain 1 for
    liked candidates, discounted by log2(1 + rank) and divided by the value of the ideal order (Jarvelin and Kekalainen
    2002). recall@k is the share of liked candidates among the first k. Tied scores are averaged over all orders
    (McSherry and Najork 2008).

    Args:
        user: int64 [N], index of the user, from 0.
        liked: bool [N], whether the user liked the candidate.
        scores: [N]; candidates with higher scores rank first.
        first: the cutoff k.

    Returns:
        ``user_auc``, ``user_ndcg``, ``user_recall`` and ``users`` (1 for a user who counts), [N]. A user's values are
        in the user's first row; all other rows are 0.
    """
    count = int(user.max()) + 1
    order = np.lexsort((-scores, user))
    who, hit, value = user[order], liked[order].astype(np.float64), scores[order]
    begins = np.concatenate([[True], who[1:] != who[:-1]])
    rank = np.arange(len(who)) - np.maximum.accumulate(np.where(begins, np.arange(len(who)), 0))
    tie = np.cumsum(begins | np.concatenate([[True], value[1:] != value[:-1]])) - 1
    size_of_tie = np.bincount(tie)
    gain = (np.bincount(tie, hit) / size_of_tie)[tie]  # the mean at this rank over all orders of tied scores
    likes, size = np.bincount(who, hit, minlength=count), np.bincount(who, minlength=count)
    early = rank < first
    discount = np.where(early, 1 / np.log2(rank + 2.0), 0.0)
    ideal = np.bincount(who, np.where(rank < likes[who], discount, 0.0), minlength=count)
    # Mann and Whitney (1947): from the sum of the ranks of liked candidates, where the lowest score has rank 1.
    mean_rank = np.bincount(tie, rank) / size_of_tie
    rank_sum = np.bincount(who, hit * (size[who] - mean_rank[tie]), minlength=count)
    pairs = likes * (size - likes)
    counts = pairs > 0
    by_user = {
        "user_auc": (rank_sum - likes * (likes + 1) / 2) / np.where(counts, pairs, 1),
        "user_ndcg": np.bincount(who, gain * discount, minlength=count) / np.where(counts, ideal, 1),
        "user_recall": np.bincount(who, gain * early, minlength=count) / np.where(counts, likes, 1),
        "users": np.ones(count),
    }
    users, first_row = np.unique(user, return_index=True)
    columns = {name: np.zeros(len(user)) for name in by_user}
    for name, column in columns.items():
        column[first_row] = np.where(counts, by_user[name], 0.0)[users]
    return columns
