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
# # 08 · One model, many tasks
#
# **After this notebook you can** say how one body serves names, relations and answers: what the head gives for each,
# how its numbers become spans of text, and how they are scored.
#
# **You need** notebook 07 (a head on a body).
#
# **Time:** about 15 minutes to read; the cells run in about 3 minutes on a laptop CPU (GPU: not measured yet).

# %%
import torch
from seqeval.metrics import f1_score

from workbench.teach import size
from workbench.teach.runs import run
from workbench.training.predictor import Predictor

_ = torch.manual_seed(0)

# %% [markdown]
# ## Names: a label at each word
#
# The head is one map from **each** token's vector to the labels: `[B, T, D]` to `[B, T, labels]`. A name may have
# several words, so labels say where one begins (`B-`), goes on (`I-`), and what is none (`O`).

# %%
words = ["Ada", "Lovelace", "met", "Babbage", "in", "London"]
gold = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC"]
guess = ["B-PER", "O", "O", "B-PER", "O", "B-LOC"]


def spans(labels):
    """(first word, word after the last, kind) of each name."""
    found, start = set(), None
    for place, label in enumerate([*labels, "O"]):
        goes_on = start is not None and label == f"I-{labels[start][2:]}"
        if start is not None and not goes_on:
            found.add((start, place, labels[start][2:]))
            start = None
        if label.startswith("B-"):
            start = place
    return found


for start, end, kind in sorted(spans(gold)):
    print(kind, " ".join(words[start:end]))

# %% [markdown]
# A name counts only when both ends and the kind are right. **Precision** is the share of the guessed names that are
# right,
# **recall** the share of the true names that were found, $F_1 = 2PR/(P+R)$. Here *Ada* alone is wrong. Held against
# seqeval, which the field uses:

# %%
right = len(spans(gold) & spans(guess))
precision, recall = right / len(spans(guess)), right / len(spans(gold))
f1 = 2 * precision * recall / (precision + recall)
print(f"precision {precision:.2f}, recall {recall:.2f}, F1 {f1:.2f}; by word {5 / 6:.2f} would be right")
assert abs(f1 - f1_score([gold], [guess])) < 1e-5

# %% [markdown]
# ## Answers: a first and a last token
#
# To find an answer in a text, the head gives each token two scores: begins here, $s_i$, and ends here, $e_j$. The
# answer is the pair with the largest $s_i + e_j$ where $i \le j$ and the answer is not too long.

# %%
begin, end, longest = torch.randn(12), torch.randn(12), 4
both = begin[:, None] + end[None, :]  # [T, T]
place = torch.arange(12)
allowed = (place[:, None] <= place[None, :]) & (place[None, :] - place[:, None] < longest)
best = divmod(int(both.masked_fill(~allowed, -torch.inf).argmax()), 12)

by_force = max((begin[i] + end[j], i, j) for i in range(12) for j in range(i, min(12, i + longest)))
assert best == by_force[1:]
alone = (int(begin.argmax()), int(end.argmax()))
print("best pair:", best, " best begin and best end by themselves:", alone)

# %% [markdown]
# ## Relations: mark two things
#
# *"The **storm** flooded the **city**."* Are they cause and effect, and which is which? Write marks around the two
# into the text, and it is a text classification. The direction is part of the label.

# %%
sentence = "The [storm] flooded the {city} ."
print(sentence, "-> Cause-Effect(first, second)")

# %% [markdown]
# ## The same body, by the library
#
# Only `task` and `data` change. (Trained shortly; the presets `wikigold-entities`, `semeval-relations` and
# `question-answering` do it in full.)

# %%
limit = size(
    test={"train": 24, "valid": 8, "test": 8},
    cpu={"train": 600, "valid": 100, "test": 200},
    gpu={"train": 1_200, "valid": 150, "test": 300},
)
finished = run(
    {
        "name": "course-08-names",
        "task": "token-classification",
        "data": {"train": "wikigold", "limit": limit, "max_length": 64},
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=3, gpu=5), "learning_rate": 2e-4},
    }
)
print(Predictor.load(finished).predict([{"text": "Ada Lovelace met Babbage in London."}])[0])

# %% [markdown]
# ## Summary
#
# * One body; a head a task: a label a text, a label a token, two scores a token.
# * Names are scored whole: both ends and the kind.
# * The best pair is not the two best ends.
#
# ## Questions to think about
#
# 1. A word is cut into three pieces. Which of them should carry the label, and what about the others in the loss?
# 2. What would the head have to give so that "there is no answer in this text" is possible?
#
# ## Where to go on
#
# * Tutorials 02 (names), 04 (relations), 05 (answers). `workbench tasks` lists all tasks.
# * Devlin et al. 2018, section 4 (arXiv 1810.04805).
