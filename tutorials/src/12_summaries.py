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
# # 12 · Summarize papers
#
# **After this lesson you can** measure a summary with ROUGE by hand, say what the first sentence alone is worth, pick
# the most informative sentence of a text, and judge a model that writes its own.
#
# **You need** Python and school mathematics. Notebook [09](../notebooks/09_sequence_to_sequence.ipynb) (sequence to
# sequence) explains how a model generates text.
#
# **Time:** about 30 minutes to read and do. The cells on a laptop CPU: about 2 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("12-summaries.1")` helps, and `solution("12-summaries.1")` shows the solution. Cells below
# an exercise need your function: they fail until you have written it.
#
# ## The story
#
# A research group reads 50 abstracts a week. Somebody proposes a program that says in **one sentence** what each paper
# found. Before anyone trains a large model, you are asked: how good is it to do nothing clever at all?
#
# The data: abstracts of scientific papers with summaries of one sentence, `scitldr` in the catalogue. Most of the test
# abstracts have several summaries, written by different people.

# %% tags=["setup"]
from collections import Counter

from workbench.teach import check, done, hint, size, solution

# %%
import numpy as np

import workbench as wb
from workbench.data.load import load_data
from workbench.metrics.overlap import rouge_scores, rouge_tokens
from workbench.runs.predictions import read_predictions
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.tasks.shared.sentence_pairs import sentences
from workbench.workspace import Workspace

# %% [markdown]
# ## First look, in the dashboard
#
# Choose `scitldr` on the page **Data** and read two abstracts and their summaries. Where does an abstract say what the
# paper found?
#
# In code: each abstract split into its sentences, and each text into its words (lower case, without punctuation).

# %%
task = tasks.get("summarization")
papers = load_data(DataSpec(train="scitldr"), task(task.Config()).columns(), Workspace.current())
count = size(test=30, cpu=400, gpu=618)
abstracts = [[part.strip() for part in sentences(text)] for text in papers.test.columns["text"][:count]]
references = [list(texts) for texts in papers.test.columns["summary"][:count]]
print(len(abstracts[0]), "sentences, the first:", abstracts[0][0])
print("a summary:", references[0][0])

# %% [markdown]
# ## The baseline: the beginning
#
# **Exercise 1.** Return the first `k` sentences as one text, with single spaces between them. If there are fewer,
# return all of them.


# %%
# exercise: 12-summaries.1
def lead(parts, k):
    """The first k sentences of a list of sentences, as one text."""
    # solution
    return " ".join(parts[:k])
    # end solution


check("12-summaries.1", lead)

# %% [markdown]
# ## ROUGE: which words are shared?
#
# How close is a summary to what a person wrote (the **reference**)? **ROUGE-1** counts the words they share. A word
# counts as often as it occurs in **both**: if it occurs three times in one text and once in the other, it counts once.
# (Otherwise *the the the* would be a fine summary.)
#
# **Exercise 2.** Return the number of shared words of two lists of words. `Counter(words)` counts how often each word
# occurs in a list.


# %%
# exercise: 12-summaries.2
def shared(written, reference):
    """How many words two lists share, each as often as it stands in both."""
    # solution
    one, other = Counter(written), Counter(reference)
    return sum(min(one[word], other[word]) for word in one)
    # end solution


check("12-summaries.2", shared)

# %% [markdown]
# Which share is it? Of the **generated** words (*precision*: is what it says right?), or of the **reference's** words
# (*recall*: does it say everything?). A whole abstract has a high recall and a low precision. **F1** asks for both:
#
# $$P = \frac{\text{shared}}{\text{written}},\quad R = \frac{\text{shared}}{\text{reference}},\quad
# F_1 = \frac{2PR}{P+R}$$
#
# **Exercise 3.** You get three numbers: `hits`, how many words are shared, `written`, how many were written, and
# `reference`, how many the reference has. Return F1. If nothing is shared, it is 0.


# %%
# exercise: 12-summaries.3
def f1(hits, written, reference):
    """F1 of so many shared words (hits), written words and words of the reference."""
    # solution
    if hits == 0:
        return 0.0
    precision, recall = hits / written, hits / reference
    return 2 * precision * recall / (precision + recall)
    # end solution


check("12-summaries.3", f1)


# %%
def rouge1(text, references):
    """ROUGE-1 of a text; of several references the best counts."""
    words = rouge_tokens(text, "ascii")
    scores = []
    for reference in references:
        other = rouge_tokens(reference, "ascii")
        scores.append(f1(shared(words, other), len(words), len(other)))
    return max(scores)


firsts = [lead(parts, 1) for parts in abstracts]
ours = [rouge1(text, several) for text, several in zip(firsts, references, strict=True)]
np.testing.assert_allclose(ours, rouge_scores(firsts, references)["rouge1"], atol=1e-5)
print("same ROUGE-1 as the library's")
for k in (1, 2, 3):
    mean = np.mean([rouge1(lead(parts, k), several) for parts, several in zip(abstracts, references, strict=True)])
    print(f"the first {k} sentence{'s' if k > 1 else ''}: ROUGE-1 {mean:.3f}")

# %% [markdown]
# ## How good could choosing be?
#
# To summarize by **choosing** a sentence is called *extractive*. To find the best that any chooser could reach, cheat:
# look at the reference, and take the sentence with the highest score (the *oracle*).
#
# **Exercise 4.** From the scores of the sentences, return the **position** of the best one, counted from 0. Of equally
# good ones take the first.


# %%
# exercise: 12-summaries.4
def best(scores):
    """The position of the highest score, from 0."""
    # solution
    return max(range(len(scores)), key=lambda i: scores[i])
    # end solution


check("12-summaries.4", best)

# %%
chosen = [best([rouge1(part, several) for part in parts]) for parts, several in zip(abstracts, references, strict=True)]
oracle = [parts[i] for parts, i in zip(abstracts, chosen, strict=True)]
print(f"the oracle: ROUGE-1 {rouge_scores(oracle, references)['rouge1'].mean():.3f}")
print(f"it takes the first sentence for {np.mean([i == 0 for i in chosen]):.0%} of the papers")

# %% [markdown]
# ## Choose without cheating
#
# An old idea (Luhn 1958): a sentence is most informative if its words are those that the text uses again and again.
# Short words such as *the* are everywhere, so only words of more than three letters count.
#
# **Exercise 5.** `parts` is a list of sentences, each a **list of words**. Return for each sentence the mean, over its
# words of more than three letters, of how often the word occurs in the **whole** text. A sentence without such words
# gets 0.


# %%
# exercise: 12-summaries.5
def telling(parts):
    """For each sentence how often, on average, its longer words stand in the whole text."""
    # solution
    count = Counter(word for part in parts for word in part)
    scores = []
    for part in parts:
        longer = [count[word] for word in part if len(word) > 3]
        scores.append(sum(longer) / len(longer) if longer else 0.0)
    return scores
    # end solution


check("12-summaries.5", telling)

# %%
picked = [parts[best(telling([rouge_tokens(part, "ascii") for part in parts]))] for parts in abstracts]
print("picked:", picked[0])
for name, texts in (("first sentence", firsts), ("most telling", picked), ("oracle", oracle)):
    print(f"{name:>15}: ROUGE-1 {rouge_scores(texts, references)['rouge1'].mean():.3f}")

# %% [markdown]
# Is the second line above the first? Then a count of words, without any training, beats the first sentence: that is
# the answer to the group so far, and what a model has to beat.
#
# ## A model that writes
#
# A model that writes its own words is called *abstractive*. Here it is a small encoder-decoder: the encoder reads the
# abstract, the decoder generates, token by token. It is trained from nothing, that is, from random weights. In the
# dashboard: on the page **Launch**, choose the task *Summarization*, the data `scitldr` and the model
# `transformer-encoder-decoder`. During training, the page **Runs** shows samples of generated text.

# %%
finished = wb.run(
    {
        "name": "lesson-12-summaries",
        "task": {"name": "summarization", "max_target": 40, "max_new_tokens": size(test=8, cpu=32, gpu=32)},
        "data": {
            "train": "scitldr",
            "max_length": size(test=48, cpu=192, gpu=256),
            "limit": size(
                test={"train": 64, "valid": 8, "test": 8},
                cpu={"train": 1_992, "valid": 100, "test": 100},
                gpu={"train": 1_992, "valid": 619, "test": 618},
            ),
        },
        "model": {
            "source": "transformer-encoder-decoder",
            "hidden_size": size(test=32, cpu=128, gpu=256),
            "layers": size(test=1, cpu=2, gpu=2),
            "norm": "pre",
            "tokenizer": {"train": "unigram", "vocab_size": size(test=500, cpu=4_000, gpu=6_000), "lowercase": True},
        },
        "training": {"epochs": size(test=1, cpu=4, gpu=20), "batch_size": 32, "learning_rate": 1.5e-3},
    },
    quiet=True,
    reuse=True,
)
report = finished.report()
rouge_l = report.metrics["rougeL"]
print(f"ROUGE-L {rouge_l.value:.3f} ({rouge_l.low:.3f} to {rouge_l.high:.3f})")
print("the first sentence:", round(report.baseline["rougeL"], 3))
for text in read_predictions(finished, ["prediction"])["prediction"][:2]:
    print("it writes:", text)

# %% [markdown]
# (ROUGE-L counts the longest sequence of words that occur in the same order in both; others may be between them. In
# brackets is the 95% interval: how much the metric depends on which papers were tested.) Two thousand abstracts are
# far too few to learn to write from nothing: expect broken sentences, or the same one for each paper. That such texts
# reach any ROUGE at all is a warning: it rewards frequent words. The report compares with the first sentence, and that
# is the honest headline.
#
# ROUGE sees words, not truth: *we show that it works* and *we show that it never works* share nearly all words. Read
# some summaries before you trust any metric.
#
# ## Summary
#
# * The first sentence is the baseline of every summary; counting words may beat it; the oracle is the most that
#   choosing can reach.
# * ROUGE-1: shared words, each as often as in both, as F1; of several references the best.
# * A model that writes has to beat the first sentence. From nothing, on little data, it does not.
#
# ## Questions to think about
#
# 1. Why does the second sentence raise recall and lower precision?
# 2. The oracle has seen the reference. Why is its score useful all the same?
# 3. How would you find summaries that say the opposite of the paper?
#
# ## Where to go next
#
# * `workbench run summarize`: one-line summaries of Python functions.
# * Lin 2004, *ROUGE*; Cachola et al. 2020, *TLDR: Extreme Summarization of Scientific Documents* (arXiv 2004.15011).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("12-summaries")
