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
# # 08 · Is my model biased?
#
# **After this lesson you can** test a model by swapping a word, measure gaps between groups with their intervals, and
# say what such a test can show and what it cannot.
#
# **You need** Python and school mathematics. Notebook 12 (comparing honestly) says more about intervals.
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about 2 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("08-bias.1")` helps, and `solution("08-bias.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# A film magazine lets a model read the reviews that its readers send in. What the model finds *fresh* (a kind review)
# is shown at the top, what it finds *rotten* at the bottom. A reader complains: "My review praises an actress, my
# brother's the same film's actor. His is at the top." Is it chance, or does the model treat texts about women
# differently? You are asked to find out, and to write down how sure you are.
#
# The data are snippets of film reviews, `rotten-tomatoes` in the catalogue. The magazine's model is MiniLM, a small
# Transformer that has learned from a lot of English text, trained further (*fine-tuned*) on them.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

PAIRS = {
    "he": "she",
    "him": "her",
    "his": "her",
    "himself": "herself",
    "man": "woman",
    "men": "women",
    "boy": "girl",
    "boys": "girls",
    "actor": "actress",
    "father": "mother",
    "son": "daughter",
    "husband": "wife",
    "brother": "sister",
}
OTHER = {**{woman: man for man, woman in PAIRS.items()}, **PAIRS}  # both directions

# %%
import re

import matplotlib.pyplot as plt
import numpy as np

import workbench as wb
from workbench.data.load import load_data
from workbench.runs.predictions import read_predictions
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.teach.pictures import show
from workbench.inference.predictor import Predictor
from workbench.workspace import Workspace

# %% [markdown]
# ## The model
#
# In the dashboard: on the page **Launch**, choose the task *Text classification*, the data `rotten-tomatoes` and the
# model `minilm`, then start the run. Here in code, so that it is the same for everyone:

# %%
limit = size(
    test={"train": 64, "valid": 16, "test": 60},
    cpu={"train": 1_000, "valid": 200, "test": 600},
    gpu={"train": 8_000, "valid": 500, "test": 2_500},
)
finished = wb.run(
    {
        "name": "lesson-reviews",
        "task": "text-classification",
        "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": size(test=24, cpu=64, gpu=64)},
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=2, gpu=3), "learning_rate": 2e-4},
    },
    reuse=True,
)
predictor = Predictor.load(finished)


def fresh(texts):
    """How probable the model finds it that each text is a kind review, 0 to 1."""
    return [answer.scores["fresh"] for answer in predictor.predict([{"text": text} for text in texts])]


# %% [markdown]
# ## Try one pair by hand
#
# Open the dashboard's page **Explain** and choose the run `lesson-reviews`. Write into **Text**: *she is the best
# thing in this film*. Under **Compare with** choose *another text*, and write the same sentence with *he*. Both
# answers appear next to each other, and colors show which words counted. In code:

# %%
for text in ("she is the best thing in this film", "he is the best thing in this film"):
    print(f"{fresh([text])[0]:.3f}  {text}")

# %% [markdown]
# There is nearly always **some** difference: two texts are two texts. One pair proves nothing. We need many, and real
# ones.
#
# ## Swap a word
#
# Take real reviews and exchange the words for men and for women, nothing else. Whatever changes in the answer was
# changed by these words: that is the strength of this test, which is called *counterfactual* (what would the model
# have said, had it been a woman?).
#
# **Exercise 1.** Exchange the words of a text. `other` says for each such word what replaces it: `{"he": "she", "she":
# "he"}`. The text is in lower case, and single spaces separate its words. Words that are not in `other` stay.


# %%
# exercise: 08-bias.1
def swapped(text, other):
    """The text with every word that `other` knows exchanged for the other one."""
    # solution
    return " ".join(other.get(word, word) for word in text.split(" "))
    # end solution


check("08-bias.1", swapped)

# %%
task = tasks.get("text-classification")
spec = DataSpec(train="rotten-tomatoes")
reviews = load_data(spec, task(task.Config()).columns(), Workspace.current()).test.columns["text"]
# Small letters, and spaces around punctuation, so that a word is what stands between spaces.
plain = [" ".join(re.findall(r"[\w']+|[^\w\s]", review.lower())) for review in reviews]
women, men = set(PAIRS.values()), set(PAIRS)
about = {"men": [], "women": []}
for text in plain:
    words = set(text.split(" "))
    if words & men and not words & women:
        about["men"].append(text)
    if words & women and not words & men:
        about["women"].append(text)
about = {who: texts[: size(test=15, cpu=200, gpu=500)] for who, texts in about.items()}
print({who: len(texts) for who, texts in about.items()})
print(about["women"][0])
print(swapped(about["women"][0], OTHER))

# %% [markdown]
# ## How far does the answer move?
#
# Give every text to the model twice: with words for men, and with words for women. Each pair gives one difference,
# *women minus men*.
#
# **Exercise 2.** From two lists of probabilities (pair by pair), return the mean difference, *women minus men*. **With
# its sign**: if some pairs move up and others as far down, nobody is treated better on the whole.


# %%
# exercise: 08-bias.2
def mean_change(as_women, as_men):
    """The mean of (women minus men) over the pairs."""
    # solution
    return sum(w - m for w, m in zip(as_women, as_men, strict=True)) / len(as_women)
    # end solution


check("08-bias.2", mean_change)

# %%
as_men = fresh(about["men"]) + fresh([swapped(text, OTHER) for text in about["women"]])
as_women = fresh([swapped(text, OTHER) for text in about["men"]]) + fresh(about["women"])
changes = np.array(as_women) - np.array(as_men)
print(f"{len(changes)} pairs, women minus men: {mean_change(as_women, as_men):+.4f} on average")

figure, axis = plt.subplots(figsize=(6, 3))
axis.hist(changes, bins=31)
axis.axvline(0, color="grey", linestyle="--")
axis.set(xlabel="probability of fresh: women minus men", ylabel="pairs")
show(
    figure,
    f"How far the answer moves, women minus men, in {len(changes)} pairs of texts: from {changes.min():+.2f} to "
    f"{changes.max():+.2f}. {(changes > 0.01).mean():.0%} of the pairs rise by more than 0.01, "
    f"{(changes < -0.01).mean():.0%} fall by more.",
)

# %% [markdown]
# A probability that moves a little does not hurt anyone. What readers notice is that a review **changes sides**: at
# 0.5 and more it counts as fresh.
#
# **Exercise 3.** Return the share of the pairs (0 to 1) whose two texts end on different sides of the threshold. A
# probability of exactly the threshold counts as above it.


# %%
# exercise: 08-bias.3
def share_flipped(as_women, as_men, threshold):
    """The share of pairs of which one text is at or above the threshold, and the other one is below."""
    # solution
    flipped = [(w >= threshold) != (m >= threshold) for w, m in zip(as_women, as_men, strict=True)]
    return sum(flipped) / len(flipped)
    # end solution


check("08-bias.3", share_flipped)

# %%
print(f"the decision changes for {share_flipped(as_women, as_men, 0.5):.1%} of the pairs")

# %% [markdown]
# ## Could it be chance?
#
# With other reviews the mean would be a bit different. How much? **Draw** as many pairs from ours as there are, with
# repetition, and take their mean; do this 2,000 times (this is the *bootstrap*). The middle 95% of the resulting means
# are the 95% interval. If 0 is outside, chance alone is a poor explanation.
#
# **Exercise 4.** From many such means, return the ends of the middle 95%: sort them, leave out the lowest 2.5% and the
# highest 2.5% (rounded down to whole numbers), and return the lowest and the highest of the rest.


# %%
# exercise: 08-bias.4
def middle_95(means):
    """The lowest and the highest of the middle 95% of the means, as a pair."""
    # solution
    ordered = sorted(means)
    away = int(0.025 * len(ordered))
    return ordered[away], ordered[len(ordered) - 1 - away]
    # end solution


check("08-bias.4", middle_95)

# %%
generator = np.random.default_rng(0)


def interval(values):
    """The 95% interval of the mean of some values."""
    draws = generator.integers(0, len(values), (2_000, len(values)))
    return middle_95(np.asarray(values)[draws].mean(axis=1).tolist())


low, high = interval(changes)
print(f"women minus men: {changes.mean():+.4f}, 95% interval {low:+.4f} to {high:+.4f}")
if low <= 0 <= high:
    print("0 is inside: this test cannot tell the swap from chance.")
else:
    print("0 is outside: the model treats the two differently on average.")

# %% [markdown]
# Two questions, and both need an answer: is there certainly a difference (is 0 outside)? And is it **large enough to
# matter** (the size of the mean, and the flips)? A difference of 0.0005 can be beyond doubt and still concern nobody.
#
# ## Would the test have found it?
#
# "Nothing found" is worth something only if the test finds a bias that exists. So **plant** one and see. Here is a
# model that is certainly unfair: it subtracts 0.05 from every review with words for women.


# %%
def unfair(texts):
    """The same model, but reviews with words for women lose 0.05."""
    return [p - 0.05 * bool(set(t.split(" ")) & women) for p, t in zip(fresh(texts), texts, strict=True)]


planted = np.array(unfair([swapped(text, OTHER) for text in about["men"]]) + unfair(about["women"])) - np.array(
    unfair(about["men"]) + unfair([swapped(text, OTHER) for text in about["women"]])
)
planted_low, planted_high = interval(planted)
print(f"planted -0.05: found {planted.mean():+.4f}, 95% interval {planted_low:+.4f} to {planted_high:+.4f}")
np.testing.assert_allclose(planted.mean(), changes.mean() - 0.05, atol=1e-5)

# %% [markdown]
# The planted 0.05 moves the whole interval by as much. The width of the interval says how small a bias this test could
# still detect: about half of the width, for then 0 is just outside.
#
# ## Real groups
#
# A swap tests the words. But groups also differ in what is written about them. So look at the model's **errors** on
# real test reviews, group by group. The groups here: short and long reviews (the magazine's youngest readers write
# short ones).
#
# **Exercise 5.** `groups` names the group of each review, `right` says whether the model was right about it. Return a
# dictionary: for each group the share that was right.


# %%
# exercise: 08-bias.5
def accuracy_by_group(groups, right):
    """For each group the share (0 to 1) of its reviews that the model got right."""
    # solution
    return {
        name: sum(r for g, r in zip(groups, right, strict=True) if g == name) / groups.count(name) for name in groups
    }
    # end solution


check("08-bias.5", accuracy_by_group)

# %%
tested = read_predictions(finished, ["input:text", "gold", "prediction", "correct"])
groups = ["short" if len(text.split()) <= 15 else "long" for text in tested["input:text"]]
right = [bool(correct) for correct in tested["correct"]]
for name, share in accuracy_by_group(groups, right).items():
    low, high = interval([r for g, r in zip(groups, right, strict=True) if g == name])
    print(f"{name:>5}: {groups.count(name):>4} reviews, right {share:.3f} ({low:.3f} to {high:.3f})")

# %% [markdown]
# ## Who is let down?
#
# Accuracy mixes two errors, and they hurt different people. The magazine promised: **a kind review goes to the top**.
# So look only at the reviews that *are* fresh, and ask how many of them the model recognizes, group by group. If this
# share is the same for all groups, that is called *equal opportunity* (Hardt et al. 2016, arXiv 1610.02413).
#
# **Exercise 6.** `gold` contains the true label of each review, `predicted` the model's. Return a dictionary: for each
# group the share of **its fresh reviews** that were predicted fresh. A group without any fresh review does not appear.


# %%
# exercise: 08-bias.6
def recognised(groups, gold, predicted):
    """For each group: of the reviews whose gold label is "fresh", the share that is predicted "fresh"."""
    # solution
    shares = {}
    for name in set(groups):
        fresh_ones = [p for g, t, p in zip(groups, gold, predicted, strict=True) if g == name and t == "fresh"]
        if fresh_ones:
            shares[name] = fresh_ones.count("fresh") / len(fresh_ones)
    return shares
    # end solution


check("08-bias.6", recognised)

# %%
drawn = {}  # for each group: 2,000 shares, each from as many of its fresh reviews drawn with repetition
for name, share in sorted(recognised(groups, tested["gold"], tested["prediction"]).items()):
    chosen = [
        p == "fresh"
        for g, t, p in zip(groups, tested["gold"], tested["prediction"], strict=True)
        if g == name and t == "fresh"
    ]
    drawn[name] = generator.choice(chosen, (2_000, len(chosen))).mean(axis=1)
    low, high = middle_95(drawn[name].tolist())
    print(f"{name:>5}: {len(chosen):>4} fresh reviews, recognised {share:.3f} ({low:.3f} to {high:.3f})")
low, high = middle_95((drawn["long"] - drawn["short"]).tolist())
print(f"long minus short: 95% interval of the gap {low:+.3f} to {high:+.3f}")

# %% [markdown]
# The intervals of two groups may overlap although the gap between them is real: look at the interval of the **gap**.
# If 0 is inside, the honest sentence is: *we cannot tell yet*. (Notebook 12 says how many reviews would be enough.)
# Fewer reviews, wider intervals: small groups are the ones that we know least about, and often the ones that matter
# most.
#
# ## What to write to the reader
#
# > We tested your question with real reviews, exchanging the words for men and women in each. On average the answer
# > moves by so much (with this interval), and so many reviews in a hundred change sides. The same test detects a bias
# > of 0.05 when we plant one. It says nothing about names, or about what else differs between reviews.
#
# ## Summary
#
# * One pair shows nothing. Many real pairs with one word swapped show what that word does.
# * With its sign, the mean says who is favored; the share of flips says how many people notice.
# * Compute an interval for the gap itself, and plant a bias to see that the test can detect one.
# * By group: accuracy, and the error that hurts. Small groups need more data, not smaller words.
#
# ## Questions to think about
#
# 1. *her* can become *his* or *him*; we always write one of them. Which way could that push the result?
# 2. The mean is 0, but 10% of the pairs flip. Is the model fair?
# 3. We looked at two groups and two metrics. What happens to "0 is outside" when you look at forty? ([Notebook
#    12](../notebooks/12_comparing_honestly.ipynb) has the answer.)
#
# ## Where to go next
#
# * [Lesson 09](09_explain.ipynb): explain one decision to the person it concerns.
# * Kiritchenko and Mohammad 2018, *Examining Gender and Race Bias in Two Hundred Sentiment Analysis Systems* (arXiv
#   1805.04508).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("08-bias")
