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
# # 12 · Comparing honestly
#
# **After this notebook you can** report a metric with its interval, use a test to tell chance from a real difference,
# explain why seeds matter, and catch a "better" model that is not better.
#
# **You need** notebook 07 (accuracy, train and test splits). From school: what a probability is.
#
# **Time:** about 20 minutes to read; the cells run in about 90 seconds on a laptop CPU (GPU: not measured yet).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binom

import workbench as wb
from workbench.compare.differences import accuracy_interval, examples_needed, holm, mcnemar
from workbench.metrics.scores import bootstrap_intervals
from workbench.teach import done, size
from workbench.teach.pictures import show

generator = np.random.default_rng(0)

# %% [markdown]
# ## A coin that looks like progress
#
# Imagine two models that are each right on 80% of all possible texts, and that err independently of each other.
# Neither is better. Test both on the same 400 texts, and look at the difference of their accuracies; then repeat this
# many times with new test sets.
#
# | symbol | in the code | |
# |---|---|---|
# | $n$ | `count` | texts of a test set |
# | $a$ | `right.mean()` | accuracy: the share of right answers |
# | $b$ | `b` | texts that only the first model gets right |
# | $c$ | `c` | texts that only the second model gets right |
# | $p$ | `my_mcnemar(b, c)` | how often chance alone is at least as uneven |
# | $m$ | `len(ps)` | the number of tests |

# %%
times, count = size(test=500, cpu=5_000, gpu=5_000), 400
first = generator.binomial(count, 0.8, times)  # for each test set, the number of right answers
second = generator.binomial(count, 0.8, times)
difference = (first - second) / count
large = np.abs(first - second) >= 0.02 * count  # whole numbers: a share of exactly 2 points could be rounded below 0.02
print(f"difference of 2 points (0.02) or more, by chance alone: {large.mean():.0%} of the test sets")

figure, axis = plt.subplots(figsize=(6, 3))
axis.hist(difference * 100, bins=np.arange(-10.125, 10.375, 0.5))
axis.set(xlabel="difference of accuracy, in points", ylabel="test sets")
show(
    figure,
    f"Differences of two equally good models over {times:,} test sets of {count} texts: a bell around "
    f"{difference.mean() * 100:.1f} points, from {difference.min() * 100:.1f} to {difference.max() * 100:.1f}.",
)

# %% [markdown]
# Many published improvements are about two points; the printed share shows how often chance alone produces such a
# difference. A table of accuracies without intervals cannot show that. (Real models err on the same hard texts, which
# makes chance differences smaller. How to use that comes below.)
#
# ## An interval
#
# Instead of collecting new test sets (we have one), sample **from the one we have**: the same number of texts, with
# replacement. This is the *bootstrap* (Efron 1979). The accuracy varies between these samples about as much as it
# would between new test sets; the middle 95% of the accuracies are a 95% interval. (The rule of thumb is the one of
# notebook 07, $2\sqrt{a(1-a)/n}$.)

# %%
right = generator.random(count) < 0.8  # which of a model's 400 answers are right
samples = generator.integers(0, count, (2_000, count))  # each row: the texts of one sample
accuracies = right[samples].mean(axis=1)
low, high = np.quantile(accuracies, [0.025, 0.975])
theory = 2 * math.sqrt(right.mean() * (1 - right.mean()) / count)
print(f"accuracy {right.mean():.3f}, bootstrap 95% interval {low:.3f} to {high:.3f}; rule of thumb ± {theory:.3f}")

# %% [markdown]
# The library does the same with less work: for the accuracy it does not matter *which* texts were sampled, only how
# many right and how many wrong ones. So instead of 400 texts it samples these two counts (from a *multinomial
# distribution*, which says how probable each pair of counts is). With the same random numbers, our interval must equal
# the library's:

# %%
share = right.mean()
counts = np.random.default_rng(0).multinomial(count, [share, 1 - share], size=2_000)  # [samples, 2]: right, wrong
ours = np.quantile(counts[:, 0] / count, [0.025, 0.975])
table = [[right.sum(), (~right).sum()], [0, 0]]  # true label by predicted label; here all texts have the first label
np.testing.assert_allclose(ours, bootstrap_intervals(table)["accuracy"], atol=1e-5)
print(f"by counts {ours[0]:.3f} to {ours[1]:.3f}, the same as the library's; by texts {low:.3f} to {high:.3f}")

# %% [markdown]
# Is the interval reliable? "95%" means: computed from many new test sets, the interval contains the true value (0.8)
# in 95 of 100 cases.

# %%
covered = 0
tests = size(test=50, cpu=300, gpu=300)
for _ in range(tests):
    sample = generator.random(count) < 0.8
    ends = np.quantile(sample[generator.integers(0, count, (500, count))].mean(axis=1), [0.025, 0.975])
    covered += ends[0] <= 0.8 <= ends[1]
print(f"the interval contained the true value in {covered / tests:.0%} of {tests} tests")

# %% [markdown]
# ## The same texts for both: a paired test
#
# If both models answer the same texts, those that both get right, or both wrong, say nothing about which one is
# better. Only their **disagreements** count: $b$ texts that only the first gets right, $c$ that only the second does.
# If neither were better, each of the $b + c$ would be a toss of a fair coin. How probable is a result at least as
# uneven? That is **McNemar's exact test**. ($\binom{n}{k}$ is the number of ways to choose $k$ of $n$ tosses, and each
# sequence of $n$ tosses has the probability $(1/2)^n$. The sum counts all ways to get at most the smaller of the two,
# and the factor 2 covers both directions.)
#
# $$p = \min\Bigl(1,\; 2\sum_{k=0}^{\min(b,c)} \binom{b+c}{k} \Bigl(\tfrac12\Bigr)^{b+c}\Bigr)$$


# %%
def my_mcnemar(b, c):
    total = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    return min(1.0, 2 * total / 2 ** (b + c))


def my_interval(b, c, n):
    """Return the 95% interval of the difference of two accuracies; both models are scored on the same samples."""
    counts = np.random.default_rng(0).multinomial(n, [b / n, c / n, (n - b - c) / n], size=10_000)
    return np.quantile((counts[:, 0] - counts[:, 1]) / n, [0.025, 0.975])


for b, c in ((0, 0), (3, 9), (30, 18), (300, 240)):
    np.testing.assert_allclose(my_mcnemar(b, c), mcnemar(b, c), atol=1e-5)  # compared with the library
    if b + c:
        np.testing.assert_allclose(my_mcnemar(b, c), min(1, 2 * binom.cdf(min(b, c), b + c, 0.5)), atol=1e-5)
    low, high = my_interval(b, c, 1_000)
    np.testing.assert_allclose([low, high], accuracy_interval(b, c, 1_000), atol=1e-5)
    print(f"only first {b:>3}, only second {c:>3} of 1,000: p = {my_mcnemar(b, c):.3f}", end=", ")
    print(f"difference {100 * (b - c) / 1_000:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})")

# %% [markdown]
# A **p-value** is not the probability that the models are equal. It is how often chance alone would produce a result
# at least this uneven. If it is small, chance is a poor explanation; below 0.05 a difference is often called
# *significant*. If it is large, *we cannot tell*, which does not mean "they are equal". (If the models never disagree,
# as in the first line, the bootstrap has no disagreements to sample, and its interval of zero width is too confident.)
#
# ## Try often enough, and something looks better
#
# Take twenty settings, none of them better than the baseline. Compare each with the baseline by its p-value, and
# report the best one. How often is the best p below 0.05?


# %%
def best_of(settings, rounds, correct):
    """Return the share of rounds in which at least one of several equal models seems better."""
    discoveries = 0
    for _ in range(rounds):
        disagree = generator.binomial(count, 0.2, settings)
        first = generator.binomial(disagree, 0.5)
        ps = [mcnemar(int(b), int(n - b)) for b, n in zip(first, disagree, strict=True)]
        discoveries += min(holm(ps) if correct else ps) < 0.05
    return discoveries / rounds


rounds = size(test=20, cpu=300, gpu=300)
numbers = [1, 5, 20]
figure, axis = plt.subplots(figsize=(6, 3))
descriptions = []
for correct, label, marker in ((False, "plain p-values", "o"), (True, "corrected (Holm)", "s")):
    shares = [best_of(n, rounds, correct) for n in numbers]
    results = ", ".join(f"{n} tried {share:.0%}" for n, share in zip(numbers, shares, strict=True))
    descriptions.append(f"{label}: {results}")
    print(descriptions[-1])
    axis.plot(numbers, shares, marker=marker, label=label)
axis.axhline(0.05, color="grey", linestyle="--", label="0.05")
axis.set(xlabel="settings tried, none of them better", ylabel='share with a "discovery"', ylim=(0, 1))
axis.legend()
show(
    figure,
    "How often at least one of several equal settings seems better at p below 0.05. " + "; ".join(descriptions) + ".",
)

# %% [markdown]
# (Each line uses new random tests: with one setting, where nothing is corrected, the two differ by chance.) **Holm's
# correction** (Holm 1979) accounts for the number of tests: sort the p-values, multiply the smallest by the number of
# tests $m$, the next by $m-1$, and so on (no corrected value may be smaller than the one before it, nor larger than
# 1). The code above used the library's `holm`; by hand:


# %%
def my_holm(ps):
    order, corrected, highest = np.argsort(ps), [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, ps[i] * (len(ps) - rank)))
        corrected[i] = highest
    return corrected


np.testing.assert_allclose(my_holm([0.01, 0.2, 0.03, 0.04]), holm([0.01, 0.2, 0.03, 0.04]), atol=1e-5)
print(my_holm([0.01, 0.2, 0.03, 0.04]))

# %% [markdown]
# ## A "better" model that is not better
#
# Now a real case. A small network that only averages the vectors of a text's words (notebook 02) is trained on film
# reviews several times. Only the **seed** differs. It determines everything random: the initial weights, the order of
# the batches, and what dropout drops. Someone says: "the best seed is my new method."

# %%
limit = size(
    test={"train": 100, "valid": 20, "test": 50},
    cpu={"train": 2_000, "valid": 300, "test": 500},
    gpu={"train": 4_000, "valid": 500, "test": 2_000},
)
seeds = size(test=(0, 1), cpu=(0, 1, 2), gpu=(0, 1, 2, 3, 4))
runs = [
    wb.run(
        {
            "name": f"course-12-seed-{seed}",
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": 48},
            "model": {"source": "bag-of-embeddings", "tokenizer": {"train": "wordpiece", "vocab_size": 2_000}},
            "training": {"epochs": size(test=1, cpu=4, gpu=6), "seed": seed},
        },
        quiet=True,
        reuse=True,
    )
    for seed in seeds
]
for seed, finished in zip(seeds, runs, strict=True):
    accuracy = finished.report().metrics["accuracy"]
    print(f"seed {seed}: accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})")

# %%
values = [finished.report().metrics["accuracy"].value for finished in runs]
best, worst = int(np.argmax(values)), int(np.argmin(values))
if best == worst:  # all have the same accuracy
    best, worst = 0, 1
comparison = wb.compare(runs[best], runs[worst])
print(comparison)
print(f"p = {comparison.p_value:.3f} ({comparison.test}), over {comparison.examples} texts")

# %% [markdown]
# Comparing the best seed with the worst is the most unfair comparison there is, and it was chosen after seeing the
# results: even if p is small here, it means nothing. A difference between two methods must be larger than the
# difference between two seeds. So **train several seeds of each, and report mean and spread.** (The spread is the
# *standard deviation*: the root of the mean squared distance from the mean, where you divide by one less than the
# number of seeds.)

# %%
spread = np.std(values, ddof=1)
print(f"{len(seeds)} seeds: mean {np.mean(values):.3f}, standard deviation {spread:.3f}")

# %% [markdown]
# ## How many texts would you need?
#
# The interval shrinks with the square root of the number of test texts: half the width costs four times the texts.
# With each inconclusive verdict, the library estimates how many *more* texts would be enough if the difference stayed
# the same. Enough means that four of five such tests would show the difference. (Fewer texts may be enough by luck, as
# with 5 points on 400 texts.) The following lines show the total, for two models that disagree on a fifth of 400
# texts:

# %%
for points in (5, 2, 1):
    b, c = round(400 * (0.1 + points / 200)), round(400 * (0.1 - points / 200))
    low, high = accuracy_interval(b, c, 400)[:2]
    print(f"a difference of {points} points: about {examples_needed((b - c) / 400, low, high, 400):,} texts")

# %% [markdown]
# ## Summary
#
# * A metric without its interval is half a result. The bootstrap provides an interval for any metric.
# * Same texts, paired test: only disagreements count. p says how often chance alone does this.
# * Many tests need a correction. Choose on validation data; look at the test data once.
# * Seeds alone make differences. Repeat before you believe.
#
# ## Questions to think about
#
# 1. Model A is better than B with p = 0.04 on the test data, after 30 settings of A were tried *on the test data*.
#    What do you know?
# 2. Two snippets about one film are similar. What does the bootstrap get wrong when it samples single texts?
# 3. When is a difference significant, and still not worth anything?
#
# ## Where to go next
#
# * This is the end of the course's notebooks. The [lessons](../tutorials/README.md) solve real problems with what you
#   know now; [lesson 08, is my model biased](../tutorials/08_bias.ipynb), uses this notebook most.
# * The dashboard's **Compare** page, or `workbench compare RUN RUN`.
# * [workbench/compare/differences.py](../workbench/compare/differences.py).
# * Dror et al. 2018, *The Hitchhiker's Guide to Testing Statistical Significance in NLP* (ACL); Bouthillier et al.
#   2021 on seeds (arXiv 2103.03098).

# %%
done("12-comparing-honestly")
