"""Ranking metrics, compared with brute force, scikit-learn, SciPy, and cases computed by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from workbench.data.text.tokens import TokenTable
from workbench.metrics import measures
from workbench.metrics.correlation import ranks, spearman
from workbench.tasks.shared.ranking import (
    RETRIEVAL,
    rank_for_users,
    retrieve,
    spearman_interval,
    tf_idf,
)

GENERATOR = np.random.default_rng(0)


def table(texts: list[list[int]]) -> TokenTable:
    lengths = [len(text) for text in texts]
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    return TokenTable(ids, None, np.concatenate([[0], np.cumsum(lengths)]), np.array(lengths, dtype=np.int32))


# -- retrieval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [7, 4_000_000])
def test_the_rank_of_the_first_relevant_candidate(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare with a sort of every row, where ties count as misses; in batches and at once."""
    monkeypatch.setattr("workbench.tasks.shared.ranking.CELLS_AT_ONCE", cells)
    similarity = GENERATOR.integers(0, 6, (40, 30)).astype(float)
    relevant = GENERATOR.random((40, 30)) < 0.1
    retrieved = retrieve(lambda rows: similarity[rows], lambda rows: relevant[rows], 40, 30)
    for query in range(40):
        order = sorted(range(30), key=lambda c: (-similarity[query, c], relevant[query, c]))
        rank = next((i for i, c in enumerate(order, start=1) if relevant[query, c]), 0)
        assert retrieved.rank[query] == rank
        assert similarity[query, retrieved.best[query]] == similarity[query].max() == retrieved.score[query]
    assert (retrieved.rank == 0).any() and (retrieved.rank > 5).any()


def test_a_query_does_not_retrieve_itself() -> None:
    similarity = GENERATOR.random((12, 12)) - 2.0
    np.fill_diagonal(similarity, 1.0)
    label = GENERATOR.integers(0, 4, 12)
    label[0] = 9  # the only one of its label: no candidate is relevant
    retrieved = retrieve(lambda rows: similarity[rows], lambda rows: label[rows, None] == label, 12, 12, np.arange(12))
    for query in range(12):
        others = [c for c in np.argsort(-similarity[query]) if c != query]
        ranks = [i for i, c in enumerate(others, start=1) if label[c] == label[query]]
        assert retrieved.rank[query] == (ranks[0] if ranks else 0) and retrieved.best[query] == others[0]
    assert retrieved.columns()["queries"].sum() == 11


def test_a_collapsed_or_broken_model_retrieves_nothing() -> None:
    """If all scores are equal or NaN, every irrelevant candidate ranks before the relevant one."""
    relevant = np.eye(10, dtype=bool)
    for value in (0.5, np.nan):
        retrieved = retrieve(lambda rows, v=value: np.full((10, 10), v)[rows], lambda rows: relevant[rows], 10, 10)
        assert (retrieved.rank == 10).all()


def test_recall_and_mean_reciprocal_rank_by_hand() -> None:
    similarity = np.array([[3.0, 2, 1, 0, 0, 0], [1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 6], [1, 0, 0, 0, 0, 0]])
    relevant = np.zeros((4, 6), dtype=bool)
    relevant[0, 0] = relevant[1, 1] = relevant[2, 0] = True  # ranks 1, 4, 6; the last query has no relevant candidate
    columns = retrieve(lambda rows: similarity[rows], lambda rows: relevant[rows], 4, 6).columns()
    result = measures.metric_values(columns, RETRIEVAL)
    assert result == pytest.approx({"recall@1": 1 / 3, "recall@5": 2 / 3, "mrr": (1 + 1 / 4 + 1 / 6) / 3})


def test_tf_idf_equals_scikit_learns() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [[1, *GENERATOR.integers(5, 30, GENERATOR.integers(1, 9)).tolist(), 2] for _ in range(25)]
    queries, candidates = table(texts[:10]), table(texts[10:])
    similarity = tf_idf(queries, candidates, table(texts))(slice(2, 9))
    as_words = [" ".join(map(str, text)) for text in texts]
    theirs = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True, norm=None).fit(as_words)
    # scikit-learn adds 1 to the idf; ours does not, so that tokens of every text have no weight
    idf = theirs.idf_ - 1
    counted = theirs.transform(as_words).toarray() / theirs.idf_ * idf
    unit = counted / np.linalg.norm(counted, axis=1, keepdims=True)
    np.testing.assert_allclose(similarity, unit[2:9] @ unit[10:].T, atol=1e-12)


# -- rank correlation ------------------------------------------------------------------------------------------------


def test_spearman_equals_scipys() -> None:
    for spread in (3, 1000):
        one, other = GENERATOR.integers(0, spread, 50), GENERATOR.integers(0, spread, 50)
        np.testing.assert_array_equal(ranks(one), stats.rankdata(one))
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert spearman(np.ones(5), np.arange(5)) == 0.0


def test_the_interval_of_spearman_contains_the_value() -> None:
    one = np.linspace(0, 1, 80)
    low, high = spearman_interval(one, one + GENERATOR.normal(0, 0.3, 80))
    assert 0.4 < low < high < 1.0
    assert spearman_interval(one, one) == (1.0, 1.0)


# -- ranking for users ---------------------------------------------------------------------------------------------


def metrics_by_hand(liked: np.ndarray, scores: np.ndarray, first: int) -> tuple[float, float]:
    """Return nDCG and recall as means over every order of equal scores."""
    values = []
    groups = [np.flatnonzero(scores == value) for value in sorted(set(scores), reverse=True)]
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        order = [i for group in orders for i in group][:first]
        dcg = sum(liked[i] / np.log2(rank + 2) for rank, i in enumerate(order))
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(first, int(liked.sum()))))
        values.append((dcg / ideal, liked[order].sum() / liked.sum()))
    return tuple(np.mean(values, axis=0))


def test_metrics_of_users_equal_brute_force() -> None:
    user = np.arange(60) % 9
    GENERATOR.shuffle(user)
    liked = GENERATOR.random(60) < 0.5
    liked[user == 3], liked[user == 5] = True, False  # these two have only one class
    scores = GENERATOR.integers(0, 4, 60) / 4
    columns = rank_for_users(user, liked, scores, first=3)
    for each in range(9):
        rows = np.flatnonzero(user == each)
        assert (columns["users"][rows[1:]] == 0).all(), "a user's metrics are in the user's first row"
        if liked[rows].all() or not liked[rows].any():
            assert all(columns[name][rows].sum() == 0 for name in columns)
            continue
        ndcg, recall = metrics_by_hand(liked[rows], scores[rows], 3)
        assert columns["users"][rows[0]] == 1
        assert columns["user_auc"][rows[0]] == pytest.approx(metrics.roc_auc_score(liked[rows], scores[rows]))
        assert columns["user_ndcg"][rows[0]] == pytest.approx(ndcg)
        assert columns["user_recall"][rows[0]] == pytest.approx(recall)


def test_ndcg_equals_scikit_learns() -> None:
    liked, scores = GENERATOR.random(40) < 0.3, np.round(GENERATOR.random(40), 1)
    columns = rank_for_users(np.zeros(40, dtype=np.int64), liked, scores)
    assert columns["user_ndcg"][0] == pytest.approx(metrics.ndcg_score([liked], [scores], k=10))


def test_the_order_of_rows_does_not_matter() -> None:
    user, liked, scores = GENERATOR.integers(0, 5, 40), GENERATOR.random(40) < 0.5, GENERATOR.random(40)
    order = GENERATOR.permutation(40)
    one, other = rank_for_users(user, liked, scores), rank_for_users(user[order], liked[order], scores[order])
    for name in one:
        assert one[name].sum() == pytest.approx(other[name].sum())
