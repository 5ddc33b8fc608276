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
# **After this lesson you can** set up what any translator has to beat, check that a translation keeps what must be
# kept, score it by its characters, and decide which lines a person has to look at.
#
# **You need** Python and school mathematics. Notebook [09](../notebooks/09_sequence_to_sequence.ipynb) shows the model
# behind it.
#
# **Time:** about 30 minutes to read and do. The cells on a laptop CPU: about 2 minutes; on a GPU: not measured yet.
#
# **How to work:** fill in the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("06-translate.1")` helps, and `solution("06-translate.1")` ends the search. Cells below
# an exercise need your function: they fail until it is filled in.
#
# ## The story
#
# A small company sells a program with 3,000 lines of English in its menus and messages, and wants it in French. A line
# such as *Could not find %1* has a **placeholder**: the program puts a file's name there. A translation that loses it
# crashes the program, however good its French is. Two people can look at 300 lines. Which?
#
# The data is `jupyterlab-fr`: the messages of JupyterLab, translated by volunteers. On the dashboard: page **Data**,
# choose `jupyterlab-fr`, and read some lines. Under *Near-duplicates* it says how many lines of the test part
# stand nearly so in training.

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
# ## What must be kept
#
# Placeholders are `%1`, `%2` ... here: a percent sign and digits. They may change their order (French often does), but
# each must stand in the translation as often as in the line.
#
# **Exercise 1.** Give the placeholders of `line` that `translation` has lost, as a list in the order of the line. One
# that stands twice in the line and once in the translation is lost once. `placeholders(text)` finds them all.


# %% tags=["setup"]
def placeholders(text):
    """All placeholders of a text, in order: ["%1", "%2"]."""
    found, rest = [], text
    while "%" in rest:
        rest = rest[rest.index("%") + 1 :]
        digits = ""
        while rest[len(digits) : len(digits) + 1].isdigit():
            digits = rest[: len(digits) + 1]
        if digits:
            found.append("%" + digits)
    return found


# %%
# exercise: 06-translate.1
def lost(line, translation):
    """The placeholders of the line that the translation does not have."""
    # solution
    left = Counter(placeholders(translation))
    missing = []
    for one in placeholders(line):
        if left[one] > 0:
            left[one] -= 1
        else:
            missing.append(one)
    return missing
    # end solution


check("06-translate.1", lost)

# %%
by_people = [(line, text) for line, text in zip(english, french, strict=True) if lost(line, text)]
print(f"even people lose some: {len(by_people)} of {len(english):,} lines")

# %% [markdown]
# ## What has to be beaten: word by word
#
# Before a model there is the dictionary. From pairs of lines one can be guessed: the French word that most often stands
# in lines whose English has *file* is probably *fichier* (or *de*, which stands everywhere: so it is divided by how
# often the French word stands at all).
#
# **Exercise 2.** Two dictionaries are given: `together[(word, french)]` says in how many pairs of lines an English word
# and a French one both stand, `alone[french]` in how many French lines a word stands. Give the French word with the
# largest `together[(word, french)] / alone[french]` among those that stand together with `word` at least `least` times;
# the word itself, unchanged, when there is none. Of equals take the first in the alphabet.


# %%
# exercise: 06-translate.2
def best_word(word, together, alone, least):
    """The likeliest translation of a word."""
    # solution
    offered = sorted(other for (left, other), count in together.items() if left == word and count >= least)
    return max(offered, key=lambda other: together[(word, other)] / alone[other], default=word)
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
# (With `least=3`, *file* would become *explorateur*: what stands together three times is soon there by chance.)
#
# ## A score by characters
#
# *fichiers* for *fichier* is nearly right, and a score of words says: wrong. **chrF** (Popović 2015) counts runs of
# characters that stand side by side: *file* has the runs *fi*, *il*, *le* of length 2. The **reference** is a person's
# translation. For one length $n$: of the translation's runs the share that the reference has ($P$), of the reference's
# runs the share that the translation has ($R$), each run counted at most as often as the other has it, and then
#
# $$F = \frac{(1 + 2^2)\,P\,R}{2^2 P + R}$$
#
# which counts what is missing more than what is too much (the 2 is called *beta*). The chrF of a report puts the
# lengths 1 to 6 together.
#
# **Exercise 3.** Give $F$ for runs of `n` characters, spaces left out; 0 where nothing is common or there is no run.


# %%
# exercise: 06-translate.3
def character_f(translation, reference, n):
    """F over runs of n characters, 0 to 1."""
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
# On the dashboard: page **Launch**, *Begin with* the preset `translate`, and put `jupyterlab-fr` in place of its data.
# Below runs a smaller version. Its *encoder* reads the English line, its *decoder* writes the French one, piece by
# piece. Its weights begin at random: from two thousand lines alone it will not become a translator. Look at what the
# report sets beside it, a dictionary such as yours, and at which lines go wrong.

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
# All whose placeholders are lost, in any case. Of the others, those of which the model is least sure, as many as there
# is time for.
#
# How sure is it? Give the model the line and what it has written, and ask how probable it finds each piece behind those
# before it (notebook [09](../notebooks/09_sequence_to_sequence.ipynb) does this by hand). A long line has more pieces,
# and a product of more numbers below 1 is smaller: so take the mean of the logarithms, and turn it back with the
# exponential function. What comes out is a mean probability of a piece, and lines of any length can be compared.
#
# **Exercise 4.** `lines` are pairs (broken, probability): whether a placeholder was lost, and how probable the model
# finds its translation, as above. Give the numbers (from 0) of the lines that a person looks at, at most `most`: first
# the broken ones in their order, then the least probable of the others.


# %%
# exercise: 06-translate.4
def to_look_at(lines, most):
    """The numbers of the lines that a person has to look at, in the order in which to do it."""
    # solution
    broken = [i for i, (is_broken, _) in enumerate(lines) if is_broken]
    others = sorted((i for i in range(len(lines)) if i not in broken), key=lambda i: lines[i][1])
    return (broken + others)[:most]
    # end solution


check("06-translate.4", to_look_at)

# %%
lines = data.test.columns["source"]
asked = [line for line in lines if placeholders(line)][:10] + [line for line in lines if not placeholders(line)][:10]
predictor = Predictor.load(finished)
answers = predictor.predict([{"source": line} for line in asked])
translated = [answer.text for answer in answers]


def probability(line, translation):
    """How probable the model finds its translation of a line, 0 to 1: of a piece, in the (geometric) mean."""
    tokenizer = predictor.tokenizer
    source = tokenizer(line, return_tensors="pt", truncation=True, max_length=predictor.max_length)["input_ids"]
    pieces = tokenizer(translation, add_special_tokens=False)["input_ids"]
    labels = torch.tensor([[*pieces, predictor.model.config.eos_token_id]])
    with torch.no_grad():
        return math.exp(-predictor.model(source, labels=labels).loss)  # the loss is the mean of -ln p


judged = [(bool(lost(a, b)), probability(a, b)) for a, b in zip(asked, translated, strict=True)]
for i in to_look_at(judged, most=8):
    broken, sure = judged[i]
    print(f"{'lost' if broken else 'unsure'} {sure:.2f}: {asked[i]!r} -> {translated[i]!r}")

# %% [markdown]
# ## Summary
#
# * What must be kept is checked by a rule, not hoped for: placeholders, numbers, names of keys.
# * A translator has to beat a dictionary; its report shows whether it does.
# * chrF forgives endings. A lost placeholder hardly moves it: two characters of thirty.
# * People look at what a rule finds broken, then at what the model finds least probable itself.
#
# ## Questions to think about
#
# 1. Many lines of the test part are nearly those of training (*Download as*, *Download folder as*). Is
#    the figure too good?
# 2. Which rule would you add for a program that is translated into a language written from right to left?
#
# ## Where to go on
#
# * Lesson [12](12_summaries.ipynb): another task that writes.
# * Notebook [09](../notebooks/09_sequence_to_sequence.ipynb): beam search and BLEU by hand.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("06-translate")
