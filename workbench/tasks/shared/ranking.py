"""Figures of what was put in order: nearest texts, candidates ranked for a user; and what they are held against.

Everything is computed on whole arrays. Ties never flatter: of equal scores the irrelevant one counts as first
(retrieval), or every order of them counts alike (ranking for users).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.tokens import TokenTable
from workbench.metrics.correlation import spearman
from workbench.metrics.scores import percentile_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELLS_AT_ONCE = 4_000_000  # similarities held at a time: 16 MB
RESAMPLES = 500


@dataclass(frozen=True)
class Retrieved:
    """What Q queries found among M candidates.

    Attributes:
        rank: int64 [Q], place from 1 of the first relevant candidate; 0 for a query that nothing is relevant to.
        best: int64 [Q], the candidate in the first place.
        score: float64 [Q], its similarity.
    """

    rank: Ints
    best: Ints
    score: Floats

    def columns(self) -> dict[str, Floats]:
        """Each query's share of the metrics: see :data:`RETRIEVAL`."""
        asked = self.rank > 0
        return {
            "queries": asked.astype(np.float64),
            "found_1": (asked & (self.rank <= 1)).astype(np.float64),
            "found_5": (asked & (self.rank <= 5)).astype(np.float64),
            "reciprocal_rank": np.where(asked, 1.0 / np.maximum(self.rank, 1), 0.0),
        }


# recall@k: the share of the queries with a relevant candidate among the first k; mrr: the mean of 1 / its place.
RETRIEVAL: dict[str, tuple[str, ...]] = {
    "recall@1": ("ratio", "found_1", "queries"),
    "recall@5": ("ratio", "found_5", "queries"),
    "mrr": ("ratio", "reciprocal_rank", "queries"),
}


def retrieve(
    similarity: Callable[[slice], NDArray[Any]],
    relevant: Callable[[slice], NDArray[np.bool_]],
    queries: int,
    candidates: int,
    leave_out: Ints | None = None,
) -> Retrieved:
    """Rank all candidates for each query.

    Args:
        similarity: of some queries to every candidate, [q, M].
        relevant: which candidates are relevant to these queries, [q, M].
        queries: Q.
        candidates: M.
        leave_out: int64 [Q], the candidate that is the query itself, and is not ranked.
    """
    rank, best = np.zeros(queries, dtype=np.int64), np.zeros(queries, dtype=np.int64)
    score = np.zeros(queries)
    step = max(1, CELLS_AT_ONCE // max(1, candidates))
    for start in range(0, queries, step):
        rows = slice(start, min(start + step, queries))
        near, fits = np.array(similarity(rows), dtype=np.float64), np.array(relevant(rows))
        # What is not a number is nothing to be near to: a model that has broken down finds nothing.
        near[np.isnan(near)] = -np.inf
        if leave_out is not None:
            itself = (np.arange(len(near)), leave_out[rows])
            near[itself], fits[itself] = -np.inf, False
        first = np.where(fits, near, -np.inf).max(axis=1)
        before = (~fits & (near >= first[:, None])).sum(axis=1)
        if leave_out is not None:
            before -= np.isneginf(first)  # the query itself, which is as far as everything
        rank[rows] = np.where(fits.any(axis=1), before + 1, 0)
        best[rows] = near.argmax(axis=1)
        score[rows] = np.take_along_axis(near, best[rows][:, None], axis=1)[:, 0]
    return Retrieved(rank, best, score)


def tf_idf(queries: TokenTable, candidates: TokenTable, corpus: TokenTable) -> Callable[[slice], NDArray[Any]]:
    """Cosine of the tokens that two texts share, the rare ones counting most: similarity without a model.

    Term frequency as 1 + log(count), inverse document frequency as log((1 + N) / (1 + n)) over the corpus, which is 0
    for what stands in every text, special tokens among them (Manning, Raghavan and Schuetze 2008, section 6.4).

    Returns:
        what :func:`retrieve` takes as ``similarity``.
    """
    import torch

    words = np.unique(np.concatenate([queries.ids, candidates.ids]))
    seen = np.bincount(_pairs(corpus, words)[1], minlength=len(words))
    idf = np.log((1 + len(corpus)) / (1 + seen))
    found = _weighted(candidates, words, idf)
    row, word, weight = _weighted(queries, words, idf)
    sparse = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack(found[:2])),
        torch.from_numpy(found[2]),
        (len(candidates), len(words)),
        check_invariants=False,
    ).coalesce()

    def similarity(rows: slice) -> NDArray[Any]:
        there = (row >= rows.start) & (row < rows.stop)
        dense = np.zeros((len(words), rows.stop - rows.start))
        dense[word[there], row[there] - rows.start] = weight[there]
        product: NDArray[Any] = torch.sparse.mm(sparse, torch.from_numpy(dense)).numpy()
        return product.T

    return similarity


def _pairs(table: TokenTable, words: NDArray[np.int32]) -> tuple[Ints, Ints, Ints]:
    """Which texts hold which of ``words`` (sorted), and how often: three columns."""
    row = np.repeat(np.arange(len(table)), table.lengths)
    place = np.searchsorted(words, table.ids).clip(max=len(words) - 1)
    known = words[place] == table.ids
    both, count = np.unique(row[known] * len(words) + place[known], return_counts=True)
    return both // len(words), both % len(words), count


def _weighted(table: TokenTable, words: NDArray[np.int32], idf: Floats) -> tuple[Ints, Ints, Floats]:
    row, word, count = _pairs(table, words)
    weight = (1 + np.log(count)) * idf[word]
    norm = np.sqrt(np.bincount(row, weight**2, minlength=len(table)))
    return row, word, weight / np.where(norm > 0, norm, 1.0)[row]


# -- rank correlation ------------------------------------------------------------------------------------------------


def spearman_interval(one: NDArray[Any], other: NDArray[Any], seed: int = 0) -> tuple[float, float]:
    """95% percentile interval of :func:`spearman` over bootstrap samples of the rows."""
    return percentile_interval([spearman(one[rows], other[rows]) for rows in _samples(len(one), seed)])


def spearman_gain(wanted: NDArray[Any], before: NDArray[Any], after: NDArray[Any], seed: int = 0) -> dict[str, float]:
    """How much nearer to ``wanted`` the order has come, ``{"value", "low", "high"}`` (paired bootstrap of the rows)."""
    drawn = [
        spearman(wanted[rows], after[rows]) - spearman(wanted[rows], before[rows])
        for rows in _samples(len(wanted), seed)
    ]
    low, high = percentile_interval(drawn)
    return {"value": spearman(wanted, after) - spearman(wanted, before), "low": low, "high": high}


def _samples(count: int, seed: int) -> Iterator[Ints]:
    generator = np.random.default_rng(seed)
    return (generator.integers(0, count, count) for _ in range(RESAMPLES))


# -- ranking for users ---------------------------------------------------------------------------------------------

# Each is the mean over the users that have both: something that they liked, and something that they did not.
RANKING: dict[str, tuple[str, ...]] = {
    "auc": ("ratio", "user_auc", "users"),
    "ndcg@10": ("ratio", "user_ndcg", "users"),
    "recall@10": ("ratio", "user_recall", "users"),
}


def rank_for_users(user: Ints, liked: NDArray[np.bool_], scores: NDArray[Any], first: int = 10) -> dict[str, Floats]:
    """How well each user's candidates are ordered; a user's figures stand in the user's first row, 0 elsewhere.

    AUC: the share of pairs (liked, not liked) in the right order, ties counting half. nDCG@k: gains 1 for liked,
    discounted by log2(1 + place), against the best order (Jarvelin and Kekalainen 2002). recall@k: the share of what
    the user likes that is among the first k. Of equal scores every order is counted alike (McSherry and Najork 2008).

    Args:
        user: int64 [N], from 0.
        liked: [N].
        scores: [N], the higher the earlier.
        first: k.

    Returns:
        ``user_auc``, ``user_ndcg``, ``user_recall`` and ``users`` (1 in the first row of a user who counts), [N].
    """
    count = int(user.max()) + 1
    order = np.lexsort((-scores, user))
    who, hit, value = user[order], liked[order].astype(np.float64), scores[order]
    begins = np.concatenate([[True], who[1:] != who[:-1]])
    place = np.arange(len(who)) - np.maximum.accumulate(np.where(begins, np.arange(len(who)), 0))
    tie = np.cumsum(begins | np.concatenate([[True], value[1:] != value[:-1]])) - 1
    alike = np.bincount(tie)
    gain = (np.bincount(tie, hit) / alike)[tie]  # what stands here on average, over every order of equal scores
    likes, size = np.bincount(who, hit, minlength=count), np.bincount(who, minlength=count)
    early = place < first
    discount = np.where(early, 1 / np.log2(place + 2.0), 0.0)
    ideal = np.bincount(who, np.where(place < likes[who], discount, 0.0), minlength=count)
    # Mann and Whitney (1947): from the sum of the ranks of what is liked, the lowest score having rank 1.
    middle = np.bincount(tie, place) / alike
    rank_sum = np.bincount(who, hit * (size[who] - middle[tie]), minlength=count)
    pairs = likes * (size - likes)
    counts = pairs > 0
    found = {
        "user_auc": (rank_sum - likes * (likes + 1) / 2) / np.where(counts, pairs, 1),
        "user_ndcg": np.bincount(who, gain * discount, minlength=count) / np.where(counts, ideal, 1),
        "user_recall": np.bincount(who, gain * early, minlength=count) / np.where(counts, likes, 1),
        "users": np.ones(count),
    }
    _, at = np.unique(user, return_index=True)
    there = np.unique(user)
    columns = {name: np.zeros(len(user)) for name in found}
    for name, column in columns.items():
        column[at] = np.where(counts, found[name], 0.0)[there]
    return columns
