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
# # 00 · Start here
#
# **After this notebook you can** fine-tune a Transformer, ask it, say how far its figure can be trusted, and look at
# its attention. The notebooks after it take each of these steps apart.
#
# **You need** nothing but Python at the level of a function and a list. How to use a notebook: click into a cell and
# press Shift + Enter; the cell runs, and the next one is chosen. Run them in order, from the top.
#
# **Time:** about 3 minutes to read; the cells run in about a minute on a laptop CPU (GPU: not measured yet). The first
# time, MiniLM and the reviews are fetched as well.

# %% [markdown]
# ## This machine
#
# A Transformer is trained by multiplying large tables of numbers. A graphics card (GPU) does that tens of times faster
# than a processor (CPU), but nothing in this course needs one: where there is none, models and data are smaller, and
# the code is the same: where it says `size`, the size that fits your machine is taken. (The course belongs to a
# *workbench*, whose code the cells import, and which is meant by "the library" where no other is named. The lines that
# draw a picture need not be understood.)

# %%
import html

import matplotlib.pyplot as plt
from IPython.display import HTML

import workbench as wb
from workbench.explain.capture import capture_attention
from workbench.explain.render.bertviz import head_view
from workbench.inference.predictor import Predictor
from workbench.machine import describe
from workbench.teach import done, scale, size
from workbench.teach.overview import overview
from workbench.teach.pictures import show

machine = describe()
print(f"{machine['cpu']['cores']} processor cores, {machine['memory']['total_bytes'] / 1e9:.0f} GB of memory")
print("graphics cards:", ", ".join(card["name"] for card in machine["gpus"]) or "none")
print("sizes in this course follow from that:", scale())

# %% [markdown]
# ## A first fine-tuning
#
# **MiniLM** is a small Transformer: 22.7 million numbers, its *weights*, which were set by reading much text, by
# learning from a larger model, and last by learning which of very many pairs of texts belong together (its full name is
# all-MiniLM-L6-v2). It knows a good deal about English and nothing about film critics. We show it snippets of reviews
# with the critic's verdict, *fresh* or *rotten*, and after every few snippets each weight moves a little towards the
# right answer. That is **fine-tuning**.
#
# What is to be done is said in one document, a **spec**. `train`, `valid` and `test` are three parts of the reviews:
# one to learn from, one to watch meanwhile, and one that is kept back for the end. `limit` says how many reviews of
# each are taken, `max_length` after how many pieces (words, or parts of words) a review is cut off, `epochs` how many
# times all of `train` is gone through, and `batch_size` after how many reviews the weights move. The cell tells how it
# goes on: the *loss* is a measure of how wrong the model is, smaller is better. A *step* is one move of the weights,
# and *eval* means: on `valid`. Look at `loss` and `accuracy` only; `macro_f1` and `matthews` are two other figures,
# harder to get high where one answer is much more frequent (lesson 01 has the first of them).

# %%
limit = size(
    test={"train": 48, "valid": 16, "test": 24},
    cpu={"train": 800, "valid": 200, "test": 400},
    gpu={"train": 6_000, "valid": 1_000, "test": 2_000},
)
finished = wb.run(
    {
        "name": "course-00",
        "task": "text-classification",
        "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": 64},
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=2, gpu=2), "batch_size": 16},
    },
    reuse=True,
)

# %% [markdown]
# Run the cell a second time: it is done at once. The run was kept, with its spec, its figures and its weights, and was
# found again. The dashboard (`make dashboard`) lists it on the page **Runs**.
#
# ## How good is it?
#
# **Accuracy** is the share of test reviews that it gets right. With a few hundred reviews that share would come out a
# little different for other reviews; the **interval** says how different: were the test repeated with new reviews many
# times, about 95 of 100 such intervals would hold the true share, which is that of all reviews there are. Beside it
# stands a **baseline**: always saying what is most frequent. Without one, no figure means anything.

# %%
report = finished.report()
accuracy = report.metrics["accuracy"]
baseline = report.baseline["accuracy"]
figure, axes = plt.subplots(figsize=(7, 1.8))
axes.barh(["always the same answer", "fine-tuned MiniLM"], [baseline, accuracy.value], color=["#9aa5b1", "#2a7fa5"])
error = [[accuracy.value - accuracy.low], [accuracy.high - accuracy.value]]
axes.errorbar([accuracy.value], [1], xerr=error, color="black", capsize=4)
axes.set_xlim(0, 1)
axes.set_xlabel(f"accuracy on {report.examples['test']} test reviews, with its 95% interval")
show(
    figure,
    f"The fine-tuned model gets {accuracy.value:.0%} right (interval {accuracy.low:.0%} to "
    f"{accuracy.high:.0%}), the baseline {baseline:.0%}. Two horizontal bars.",
)

# %% [markdown]
# ## Ask it
#
# Change the sentences and run the cell again. The number is the probability that the model gives its answer.

# %%
predictor = Predictor.load(finished)
sentences = [
    "A quiet, moving film with wonderful actors.",
    "Two hours that I will never get back.",
    "Not the worst film of the year.",
]
for sentence, answer in zip(sentences, predictor.predict([{"text": each} for each in sentences]), strict=True):
    print(f"{answer['label']:>7} {answer['score']:.2f}  {sentence}")

# %% [markdown]
# ## A first look inside
#
# Inside, each word looks at the others and takes something from them: that is **attention**, the subject of notebook
# 03. The picture shows where each word (left) looks (right); a colour is one of twelve *heads*, and each looks in its
# own way. Move the mouse over a word. `[CLS]` and `[SEP]` mark the beginning and the end. Below the picture it is said
# in words.
#
# Do not wonder that most lines end at `[CLS]`: a head that finds nothing for it in this sentence has to look somewhere,
# and in this model it looks there (notebook 03). Choose another layer, or double-click a coloured square to see one
# head alone.
#
# A warning that will return in notebook 11: the picture shows where information *can* flow. It does not prove why the
# model answered so.

# %%
attention = capture_attention(predictor.model, predictor.tokenizer, sentences[0])
LAYER = 3  # of 0 to 5
picture = html.escape(head_view(attention, layer=LAYER))
weights = attention.weights[LAYER].mean(axis=0)  # of all heads; row: the word that looks, column: the one that is seen
seen = ", ".join(
    f"{word} at {attention.tokens[row.argmax()]} ({row.max():.0%})"
    for word, row in zip(attention.tokens, weights, strict=True)
)
words = html.escape(f"In the mean of its heads, each word of layer {LAYER} looks most: {seen}.")
HTML(
    f'<div><iframe title="Attention of layer {LAYER}, from each word to each word" aria-describedby="seen" '
    f'width="100%" height="460" srcdoc="{picture}"></iframe><p id="seen">{words}</p></div>'
)

# %% [markdown]
# ## Summary
#
# You have fine-tuned a Transformer, measured it on reviews that it had not seen, put the figure beside a baseline and
# an interval, asked it, and looked at its attention.
#
# **Questions to think about.** Which of your sentences did it get wrong, and what do they have in common? Why is the
# test part kept back until the end? If the interval is 10 points wide, what would make it narrower?
#
# **Where to go on.** Notebooks [01](01_text_to_numbers.ipynb) to [12](12_comparing_honestly.ipynb) take this apart, one
# piece at a time. If you would rather do a job first, take a [lesson](../tutorials/README.md): its exercises check
# themselves. Each notebook ends with a cell like the next one, which marks it as read and names what comes next:

# %%
done("00-start-here")

# %% [markdown]
# And this is the whole course, with what you have done so far (the dashboard's page **Learn** shows the same):

# %%
overview()
