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
# # 06 · Translate an interface
#
# **After this lesson you can** set up the baseline that any translator has to beat, check that a translation keeps
# what must stay unchanged, score it by its characters, and decide which lines a person has to look at.
#
# **You need** Python and school mathematics. Notebook [09](../notebooks/09_sequence_to_sequence.ipynb) explains the
# model behind it.
#
# **Time:** about 30 minutes to read and do. The cells on a laptop CPU: about 2 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("06-translate.1")` helps, and `solution("06-translate.1")` shows the solution. Cells below
# an exercise need your function: they fail until you have written it.
#
# ## The story
#
# A small company sells a program with 3,000 lines of English in its menus and messages, and wants it in French. A line
# such as *Could not find %1* has a **placeholder**: the program inserts a file's name there. A translation that loses
# it crashes the program, however good its French is. There is time for two people to look at 300 lines. Which ones?
#
# The data is `jupyterlab-fr`: the messages of JupyterLab, translated by volunteers. In the dashboard, choose
# `jupyterlab-fr` on the page **Data**, and read some lines. *Near-duplicates* shows how many lines of the test split
# appear almost unchanged in the training split.

# %% tags=["setup"]
from collections import Counter

from workbench.teach import check, done, hint, size, solution

# %%
import math
import re

import torch

import workbench as wb
from workbench.data.load import load_data
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.inference.predictor import Predictor
from workbench.workspace import Workspace

entry = tasks.get("translation")
data = load_data(DataSpec(train="jupyterlab-fr"), entry(entry.Config()).columns(), Workspace.current())
english, french = data.train.columns["source"], data.train.columns["target"]
print(f"{len(english):,} lines to learn from, such as {english[3]!r}: {french[3]!r}")

# %% [markdown]
# ## What must stay unchanged
#
# Placeholders are `%1`, `%2` ... here: a percent sign and digits. Their order may change (in French it often does),
# but each must occur in the translation as often as in the line.
#
# **Exercise 1.** Return the placeholders of `line` that `translation` has lost, as a list in the order of the line. A
# placeholder that occurs twice in the line and once in the translation is lost once. `placeholders(text)` returns all
# placeholders of a text.


# %% tags=["setup"]
def placeholders(text):
    """Return all placeholders of a text, in order: ["%1", "%2"]."""
    matches, rest = [], text
    while "%" in rest:
        rest = rest[rest.index("%") + 1 :]
        digits = ""
        while rest[len(digits) : len(digits) + 1].isdigit():
            digits = rest[: len(digits) + 1]
        if digits:
            matches.append("%" + digits)
    return matches


# %%
# exercise: 06-translate.1
def lost(line, translation):
    """Return the placeholders of the line that the translation lacks."""
    # solution
    left = Counter(placeholders(translation))
    missing = []
    for placeholder in placeholders(line):
        if left[placeholder] > 0:
            left[placeholder] -= 1
        else:
            missing.append(placeholder)
    return missing
    # end solution


check("06-translate.1", lost)

# %%
by_people = [(line, text) for line, text in zip(english, french, strict=True) if lost(line, text)]
print(f"people lose some, too: {len(by_people)} of {len(english):,} lines")

# %% [markdown]
# ## The baseline: word by word
#
# Before you train a model, try a dictionary. You can derive one from pairs of lines: the French word that occurs most
# often in lines whose English contains *file* is probably *fichier* (or *de*, which occurs everywhere: so divide by
# how often the French word occurs at all).
#
# **Exercise 2.** You get two dictionaries: `together[(word, french)]` is the number of pairs of lines that contain
# both an English word and a French one, `alone[french]` is the number of French lines that contain a word. Among the
# French words that occur together with `word` at least `least` times, return the one with the largest `together[(word,
# french)] / alone[french]`; if there is none, return the word itself, unchanged. For equal shares, take the first in
# the alphabet.


# %%
# exercise: 06-translate.2
def best_word(word, together, alone, least):
    """Return the most probable translation of a word."""
    # solution
    candidates = sorted(french for (english, french), n in together.items() if english == word and n >= least)
    return max(candidates, key=lambda french: together[(word, french)] / alone[french], default=word)
    # end solution


check("06-translate.2", best_word)

# %%
together, alone = Counter(), Counter()
for line, text in list(zip(english, french, strict=True))[: size(test=200, cpu=2_000, gpu=2_000)]:
    ours, theirs = set(re.findall(r"\w+", line.lower())), set(re.findall(r"\w+", text.lower()))
    alone.update(theirs)
    together.update((a, b) for a in ours for b in theirs)
for word in ("file", "cell", "settings"):
    print(f"{word:>9} -> {best_word(word, together, alone, least=size(test=3, cpu=5, gpu=5))}")

# %% [markdown]
# (With `least=3`, *file* would become *explorateur*: two words that occur together three times may do so by chance.)
#
# ## A score by characters
#
# *fichiers* for *fichier* is nearly right, but a score that compares words counts it as wrong. **chrF** (Popović 2015)
# counts sequences of adjacent characters, here called runs: *file* has the runs *fi*, *il*, *le* of length 2. The
# **reference** is a person's translation. For one length $n$, $P$ is the share of the translation's runs that the
# reference has, and $R$ is the share of the reference's runs that the translation has; each run is counted at most as
# often as it occurs in the other text. Then
#
# $$F = \frac{(1 + 2^2)\,P\,R}{2^2 P + R}$$
#
# which gives what is missing more weight than what is superfluous (the 2 is called *beta*). The chrF in a report
# combines the lengths 1 to 6.
#
# **Exercise 3.** Return $F$ for runs of `n` characters, ignoring spaces; return 0 if the texts have no run in common
# or one of them has no runs.


# %%
# exercise: 06-translate.3
def character_f(translation, reference, n):
    """Return F over runs of n characters, 0 to 1."""
    # solution
    ours, theirs = (
        Counter(text[i : i + n] for i in range(len(text) - n + 1))
        for text in (translation.replace(" ", ""), reference.replace(" ", ""))
    )
    both = sum((ours & theirs).values())
    if not both:
        return 0.0
    precision, recall = both / sum(ours.values()), both / sum(theirs.values())
    return 5 * precision * recall / (4 * precision + recall)
    # end solution


check("06-translate.3", character_f)

# %% [markdown]
# ## Train it
#
# In the dashboard: on the page **Launch**, choose the preset `translate` under *Start from*, and replace its data with
# `jupyterlab-fr`. The cell below runs a smaller version. Its *encoder* reads the English line, its *decoder* generates
# the French one, subword by subword. Its weights are initialized randomly: two thousand lines alone do not make it a
# translator. Look at the baseline in its report, a dictionary such as yours, and at the lines that go wrong.

# %%
finished = wb.run(
    {
        "name": "lesson-06-translate",
        "task": "translation",
        "data": {
            "train": "jupyterlab-fr",
            "limit": size(
                test={"train": 64, "valid": 16, "test": 24},
                cpu={"train": 2_000, "valid": 100, "test": 200},
                gpu={"train": 2_200, "valid": 100, "test": 400},
            ),
            "max_length": 32,
        },
        "model": {
            "source": "transformer-encoder-decoder",
            "hidden_size": size(test=32, cpu=128, gpu=192),
            "layers": 2,
            "norm": "pre",
            "tokenizer": {"train": "unigram", "vocab_size": size(test=400, cpu=2_000, gpu=2_000)},
        },
        "training": {"epochs": size(test=1, cpu=12, gpu=20), "batch_size": 32, "learning_rate": 1.5e-3},
    },
    quiet=True,
    reuse=True,
)
report = finished.report()
print(f"the model: chrF {finished.results()['chrf']:.3f}")
print(f"{report.baseline_name}: chrF {report.baseline['chrf']:.3f}")

# %% [markdown]
# ## Which lines does a person look at?
#
# All lines that have lost a placeholder, in any case. From the others, the lines of which the model is least certain,
# as many as there is time for.
#
# How certain is it? Pass the model the line and its own translation, and compute the probability that it assigns to
# each subword after those before it (notebook [09](../notebooks/09_sequence_to_sequence.ipynb) does this by hand). A
# long line has more subwords, and a product of more numbers below 1 is smaller: so take the mean of the logarithms,
# and convert it back with the exponential function. The result is the mean probability of a subword, so you can
# compare lines of any length.
#
# **Exercise 4.** `lines` contains pairs (broken, probability): whether a placeholder was lost, and the probability
# that the model assigns to its translation, as above. Return the numbers (from 0) of the lines that a person looks at,
# `most` of them at most: first the broken ones in their order, then the least probable of the others.


# %%
# exercise: 06-translate.4
def to_look_at(lines, most):
    """Return the numbers of the lines that a person has to look at, the most urgent first."""
    # solution
    broken = [i for i, (is_broken, _) in enumerate(lines) if is_broken]
    others = sorted((i for i in range(len(lines)) if i not in broken), key=lambda i: lines[i][1])
    return (broken + others)[:most]
    # end solution


check("06-translate.4", to_look_at)

# %%
lines = data.test.columns["source"]
sources = [line for line in lines if placeholders(line)][:10] + [line for line in lines if not placeholders(line)][:10]
predictor = Predictor.load(finished)
answers = predictor.predict([{"source": line} for line in sources])
translated = [answer.text for answer in answers]


def probability(line, translation):
    """Return the (geometric) mean probability of the subwords of the model's translation of a line, 0 to 1."""
    tokenizer = predictor.tokenizer
    source = tokenizer(line, return_tensors="pt", truncation=True, max_length=predictor.max_length)["input_ids"]
    subwords = tokenizer(translation, add_special_tokens=False)["input_ids"]
    labels = torch.tensor([[*subwords, predictor.model.config.eos_token_id]])
    with torch.no_grad():
        return math.exp(-predictor.model(source, labels=labels).loss)  # the loss is the mean of -ln p


judged = [(bool(lost(a, b)), probability(a, b)) for a, b in zip(sources, translated, strict=True)]
for i in to_look_at(judged, most=8):
    broken, certainty = judged[i]
    print(f"{'lost' if broken else 'uncertain'} {certainty:.2f}: {sources[i]!r} -> {translated[i]!r}")

# %% [markdown]
# ## Summary
#
# * Check what must stay unchanged with a rule: placeholders, numbers, names of keys. Do not rely on the model for it.
# * A translator has to beat a dictionary; its report shows whether it does.
# * chrF tolerates wrong endings. A lost placeholder hardly changes it: two characters of thirty.
# * People look at what a rule finds broken, then at the lines that the model itself finds least probable.
#
# ## Questions to think about
#
# 1. Many lines of the test split are almost the same as lines of the training split (*Download as*, *Download folder
#    as*). Is the metric too good?
# 2. Which rule would you add for a program that is translated into a language written from right to left?
#
# ## Where to go next
#
# * Lesson [12](12_summaries.ipynb): another task that generates text.
# * Notebook [09](../notebooks/09_sequence_to_sequence.ipynb): beam search and BLEU by hand.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("06-translate")
