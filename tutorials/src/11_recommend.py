# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · Recommend
#
# **After this lesson you can** hold out data so that nobody's future is known, measure a ranking with AUC and nDCG,
# and say whether a model beats the simplest rival of all: what everybody likes.
#
# **You need** Python and school mathematics (logarithms, for one formula).
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about a minute; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("11-recommend.1")` helps, and `solution("11-recommend.1")` shows the solution. Cells below
# an exercise need your function: they fail until you have written it.
#
# ## The story
#
# A small cinema shows old films on demand, and wants its web page to suggest to each member what to see next. The
# owner has a rule that works already: suggest what most people liked. A supplier offers "artificial intelligence"
# instead. You are asked: **is it better than the owner's rule?**
#
# The data: 100,000 ratings of films by 610 people, `movielens-small` in the catalogue. Four stars and more count as
# *liked*.

# %% tags=["setup"]
import math

from workbench.teach import check, done, hint, size, solution

# %%
from collections import defaultdict

import matplotlib.pyplot as plt
import numpy as np

import workbench as wb
from workbench.data.load import load_data
from workbench.compare.differences import compare
from workbench.runs.predictions import read_predictions
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.tasks.shared.ranking import rank_for_users
from workbench.teach.pictures import show
from workbench.inference.predictor import Predictor
from workbench.workspace import Workspace

# %% [markdown]
# ## First look, in the dashboard
#
# Choose `movielens-small` on the page **Data**. Each row is one rating: the user, what this user liked **before**
# (*history*, the newest first), the film in question (*candidate*: title, year and kind), and whether it was liked.
# About half are.
#
# ## Hold out the last one
#
# To test a recommender we hide something and see whether it is suggested. Hide ratings at random, and the model may
# learn from what a user did **after** the hidden one: somebody who likes part 3 has surely seen part 2. On the web
# page nobody knows tomorrow. So hide each user's **last** rating (*leave-last-out*).
#
# **Exercise 1.** `ratings` is a list of `(user, time, film)`, in any order. Return two lists: the ratings that stay,
# and the last one of each user. Both in the order of `ratings`. (No user rates two films at the same time.)


# %%
# exercise: 11-recommend.1
def leave_last_out(ratings):
    """All ratings but each user's last, and these last ones: two lists of (user, time, film)."""
    # solution
    latest = {}
    for user, time, _ in ratings:
        latest[user] = max(time, latest.get(user, time))
    stay = [rating for rating in ratings if rating[1] < latest[rating[0]]]
    return stay, [rating for rating in ratings if rating[1] == latest[rating[0]]]
    # end solution


check("11-recommend.1", leave_last_out)

# %% [markdown]
# ## The owner's rule
#
# **Exercise 2.** Count for each film how many people **liked** it. `ratings` is a list of `(film, liked)`; films that
# nobody liked do not appear.


# %%
# exercise: 11-recommend.2
def popularity(ratings):
    """A dictionary: for each film that somebody liked, by how many it was liked."""
    # solution
    count = {}
    for film, liked in ratings:
        if liked:
            count[film] = count.get(film, 0) + 1
    return count
    # end solution


check("11-recommend.2", popularity)

# %% [markdown]
# The test: put the hidden film among 99 films that this user has never rated, and let the rule rank all 100. What is
# the rank of the hidden one?
#
# **Exercise 3.** Return its rank, the best being 1. `score` is the hidden film's score (here: its popularity),
# `others` are the scores of the other films. **Ties must not flatter**: of equal scores the hidden film comes last.


# %%
# exercise: 11-recommend.3
def rank(score, others):
    """The rank from 1 of a film with this score among others; of equal scores it is the last."""
    # solution
    return 1 + sum(other >= score for other in others)
    # end solution


check("11-recommend.3", rank)

# %%
task = tasks.get("recommendation")
films = load_data(DataSpec(train="movielens-small"), task(task.Config()).columns(), Workspace.current())
columns = films.train.columns  # in the order of time, so that the number of a row can stand for its time
liked = [label == "liked" for label in columns["label"]]
rated = list(zip(columns["user"], range(len(films.train)), columns["candidate"], strict=True))
likes = [rating for rating, good in zip(rated, liked, strict=True) if good]
stay, last = leave_last_out(likes)
print(f"{len(stay):,} likes stay, {len(last)} are hidden, one for each user")

counts = popularity([(film, True) for _, _, film in stay])
for film, count in sorted(counts.items(), key=lambda one: -one[1])[:3]:
    print(f"{count:>4} people liked {film}")

# %%
seen = defaultdict(set)
for user, _, film in rated:
    seen[user].add(film)
catalogue = sorted({film for _, _, film in rated})
generator = np.random.default_rng(0)


def ranks(counts):
    """The rank of each user's hidden film, by popularity."""
    draw = np.random.default_rng(0)  # the same 99 films whatever is measured
    ranked = []
    for user, _, film in last:
        chosen = [catalogue[i] for i in draw.choice(len(catalogue), 150, replace=False)]
        others = [other for other in chosen if other not in seen[user]][:99]
        ranked.append(rank(counts.get(film, 0), [counts.get(other, 0) for other in others]))
    return np.array(ranked)


last_out = ranks(counts)
leaking = ranks(popularity([(film, True) for _, _, film in likes]))  # the hidden ratings are counted, too!
for name, ranked in (("popularity", last_out), ("popularity that has seen the answers", leaking)):
    print(f"{name}: among the first 10 for {(ranked <= 10).mean():.1%} of the users")
print("by chance it would be 10%")

# %% [markdown]
# The owner's rule is far better than chance. And see how easily one cheats without noticing: the second line counted
# the hidden ratings themselves. Even the first has one leak left: it counts what *others* liked later. A split by time
# for all users at once, as the library makes it, removes that, too. (That split is also why not all of the 610 people
# are here: some began to rate only in its later splits.)
#
# ## A model
#
# In the dashboard: on the page **Launch**, choose the preset `liked-films` under *Begin with*. The model reads a
# film's title and kind (and, if we let it, what the user liked before) and predicts how probable it is that the user
# likes it. The library splits by time for **all** users at once: it trains on the earliest 80% of the ratings and
# tests on the last 10%.
#
# The cell below runs something simpler than the preset: `bag-of-embeddings` looks up a vector (a row of numbers) for
# each word, takes the mean, and decides. It runs twice: `titles` reads the film in question only, `history` also the
# last 3 films that the user liked. In brackets is the 95% interval of each metric: how much it depends on which users
# were tested. `rule` is the owner's rule, popularity, on the same ratings.

# %%
limit = size(
    test={"train": 1_500, "valid": 200, "test": 800},
    cpu={"train": 30_000, "valid": 1_000, "test": 10_000},
    gpu={"train": 80_000, "valid": 3_000, "test": 10_000},
)
runs = {}
for name, length in (("titles", 0), ("history", 3))[: size(test=1, cpu=2, gpu=2)]:
    runs[name] = wb.run(
        {
            "name": f"lesson-11-{name}",
            "task": {"name": "recommendation", "history_length": length},
            "data": {"train": "movielens-small", "max_length": 32 if length == 0 else 128, "limit": limit},
            "model": {
                "source": "bag-of-embeddings",
                "tokenizer": {"train": "wordpiece", "vocab_size": size(test=2_000, cpu=8_000, gpu=8_000)},
            },
            "training": {
                "epochs": size(test=1, cpu=4, gpu=4),
                "batch_size": 256,
                "learning_rate": 1e-3,
                "weight_decay": 0.1,
            },
        },
        quiet=True,
        reuse=True,
    )
    report = runs[name].report()
    for metric in ("auc", "ndcg@10"):
        reached, rule = report.metrics[metric], report.baseline[metric]
        print(f"{name:>8} {metric:>8}: {reached.value:.3f} ({reached.low:.3f} to {reached.high:.3f}), rule {rule:.3f}")

# %% [markdown]
# What do these numbers say?
#
# ## AUC: pairs in the right order
#
# Take a film that the user liked and one that the user did not. Does the liked one have the higher score? The share of
# all such pairs in the right order is the **AUC** (*area under the curve*, for a reason that we do not need). 1 is
# perfect, 0.5 is chance. A tie counts half.
#
# **Exercise 4.** Write it.


# %%
# exercise: 11-recommend.4
def auc(liked_scores, other_scores):
    """The share of pairs (liked, not liked) in which the liked one has the higher score; ties count half."""
    # solution
    pairs = [(a, b) for a in liked_scores for b in other_scores]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    # end solution


check("11-recommend.4", auc)

# %% [markdown]
# ## nDCG: the top counts most
#
# Nobody scrolls to rank 200. **Discounted cumulative gain** gives a liked film at rank 1 a full point, and less the
# further down it is:
#
# $$\mathrm{DCG} = \sum_{i \le k,\ \text{liked at rank } i} \frac{1}{\log_2(1 + i)}$$
#
# Rank 1 gives $1/\log_2 2 = 1$, rank 3 gives $1/\log_2 4 = 0.5$. The best possible order has all liked films first.
# Divide by *its* DCG, and 1 is perfect for everybody (**n**ormalized).
#
# **Exercise 5.** `liked` says for each rank, from the top, whether the film there was liked (`True` or `False`). At
# least one was. Return nDCG; only the first `k` ranks count. Use `dcg(order)`.


# %%
# exercise: 11-recommend.5
def ndcg(liked, k):
    """nDCG of the first k ranks, 0 to 1."""

    def dcg(order):
        """The gains of an order: a list of True and False from the top."""
        return sum(1 / math.log2(1 + i) for i, good in enumerate(order[:k], start=1) if good)

    # solution
    return dcg(liked) / dcg(sorted(liked, reverse=True))
    # end solution


check("11-recommend.5", ndcg)

# %% [markdown]
# Now with the predictions that the run has saved: AUC and nDCG for each user who has liked some of the tested films
# and not others, and then the mean over the **users** (otherwise those who rate most would decide alone). Compare both
# with the library's metrics:

# %%
chosen = runs[list(runs)[-1]]


def users_of(finished):
    """For each user who liked some tested films and others not: a row (liked, score, popularity) for each film."""
    predictions = read_predictions(finished, ["user", "gold", "score", "popularity"])
    rows_of_user = defaultdict(list)
    columns = (predictions[name] for name in ("user", "gold", "score", "popularity"))
    for user, gold, score, popular in zip(*columns, strict=True):
        rows_of_user[user].append((gold == "liked", score, popular))
    return [rows for rows in rows_of_user.values() if len({good for good, _, _ in rows}) == 2]


by_user = users_of(chosen)


def of_user(rows, column):
    """AUC and nDCG@10 of one user's films, ranked by a column."""
    ranked = sorted(rows, key=lambda row: -row[column])
    return (
        auc([row[column] for row in rows if row[0]], [row[column] for row in rows if not row[0]]),
        ndcg([row[0] for row in ranked], 10),
    )


ours = np.mean([of_user(rows, 1) for rows in by_user], axis=0)
report = chosen.report()
print(f"{list(runs)[-1]}, {len(by_user)} users: AUC {ours[0]:.4f}, nDCG@10 {ours[1]:.4f}")
np.testing.assert_allclose(ours[0], report.metrics["auc"].value, atol=1e-5)
print("the library reports the same AUC")

# Of films with equal scores our order takes one, and the library the mean over all orders. So nDCG is held against the
# library's user by user, where no two scores are equal.
clear = [rows for rows in by_user if len({score for _, score, _ in rows}) == len(rows)]
for rows in clear:
    good, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    theirs = rank_for_users(np.zeros(len(rows), dtype=int), good, score)["user_ndcg"][0]
    np.testing.assert_allclose(of_user(rows, 1)[1], theirs, atol=1e-5)
value = report.metrics["ndcg@10"].value
print(f"and the same nDCG for each of {len(clear)} users without equal scores; over all users it has {value:.4f}")

# %% [markdown]
# ## Is it better than the owner's rule?
#
# Per user: the model's AUC minus that of popularity. The mean with its interval (draw users with repetition, as in
# [notebook 12](../notebooks/12_comparing_honestly.ipynb)) is the answer to the owner.

# %%
for name, finished in runs.items():
    gaps = np.array([of_user(rows, 1)[0] - of_user(rows, 2)[0] for rows in users_of(finished)])
    means = gaps[generator.integers(0, len(gaps), (2_000, len(gaps)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    print(f"{name}: AUC of the model minus that of popularity {gaps.mean():+.3f}, interval {low:+.3f} to {high:+.3f}")
    if low > 0:
        print("  The model is better than the owner's rule.")
    elif high < 0:
        print("  The owner's rule is better than the model.")
    else:
        print("  It cannot be claimed that the model is better: keep the rule, or gather more users.")
if len(runs) > 1:
    print(compare(list(runs.values())).verdict)

figure, axis = plt.subplots(figsize=(6, 3))
axis.hist(gaps, bins=np.linspace(-1, 1, 41))
axis.axvline(0, color="grey", linestyle="--")
axis.set(xlabel=f"AUC of {name!r} minus AUC of popularity", ylabel="users")
show(
    figure, "A bar for each range of differences: for some users the model orders films better, for others popularity."
)

# %% [markdown]
# In the dashboard: compare the two runs `lesson-11-titles` and `lesson-11-history` on the page **Compare**, metric
# *auc*.
#
# More to read is not always better: see which of the two models the history has helped. And AUC and nDCG may disagree
# (look at the table above): decide which of them counts **before** you look.
#
# Popularity is the first rival to beat, and much of what has been published did not beat simple rules once they were
# tuned as well (Ferrari Dacrema et al. 2019, arXiv 1907.06902). A model has one thing that popularity has not: a film
# that nobody has rated yet has a title and a kind.
#
# ## The web page
#
# **Exercise 6.** Return the `k` films with the highest scores that the member has **not seen yet**, the best first. If
# fewer are left, return those.


# %%
# exercise: 11-recommend.6
def recommend(scores, seen, k):
    """The k best films of a dictionary film -> score, without those in seen."""
    # solution
    unseen = [film for film in scores if film not in seen]
    return sorted(unseen, key=lambda film: -scores[film])[:k]
    # end solution


check("11-recommend.6", recommend)

# %%
predictor = Predictor.load(chosen)
user = last[-1][0]
history = "; ".join(film for one, _, film in reversed(likes) if one == user)[:200]
shelf = sorted(counts, key=lambda film: -counts[film])[:200]
ranked = predictor.predict([{"history": history, "candidates": shelf}])[0].items
by_model = {one.text: one.score for one in ranked}
print("liked before:", history[:100], "...")
print("the model:   ", recommend(by_model, seen[user], 3))
print("the rule:    ", recommend({film: counts[film] for film in shelf}, seen[user], 3))

# %% [markdown]
# ## Summary
#
# * Hold out the last rating, not any: what comes later must not be known. One careless count, and the answers have
#   leaked.
# * AUC: pairs in the right order. nDCG: the top counts most. Mean over users, ties never flatter.
# * Popularity has to be beaten, with an interval around the difference.
# * Leave out what was seen.
#
# ## Questions to think about
#
# 1. Members rate only what they have chosen to see. What does the test say about films that they would never choose?
# 2. A page that suggests what is popular makes it more popular. How would you notice?
# 3. The 99 other films were drawn at random. What if they were drawn by popularity instead?
#
# ## Where to go next
#
# * `workbench predict RUN --input '{"history": [], "candidates": ["Heat (1995)"]}'`.
# * `workbench run liked-films` reads two films that were liked before, in order, with a Transformer of one layer.
# * Jarvelin and Kekalainen 2002 (nDCG); Krichene and Rendle 2020, *On Sampled Metrics for Item Recommendation*.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("11-recommend")
