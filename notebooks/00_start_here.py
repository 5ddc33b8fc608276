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
# **After this notebook you can** fine-tune a Transformer, ask it questions, say how far its accuracy can be trusted,
# and look at its attention. The later notebooks take each of these steps apart.
#
# **You need** nothing but Python at the level of a function and a list. To use a notebook, click into a cell and press
# Shift + Enter: the cell runs, and the next one is selected. Run the cells in order, from the top.
#
# **Time:** about 3 minutes to read; the cells run in about a minute on a laptop CPU (GPU: not measured yet). The first
# time, MiniLM and the reviews are downloaded as well.

# %% [markdown]
# ## This machine
#
# A Transformer is trained by multiplying large tables of numbers. A graphics card (GPU) does that tens of times faster
# than a processor (CPU), but nothing in this course needs one. Without a GPU, models and data are smaller and the code
# is the same: `size` picks the values that fit your machine. (The course belongs to a *workbench*. Its code is what
# the cells import, and what "the library" means where no other library is named. You do not have to understand the
# lines that draw pictures.)

# %%
import html

import matplotlib.pyplot as plt
from IPython.display import HTML

import workbench as wb
from workbench.explain.capture import capture_attention
from workbench.explain.render.bertviz import head_view
from workbench.inference.predictor import Predictor
from workbench.system.machine import describe
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
# **MiniLM** is a small Transformer with 22.7 million numbers, its *weights*. They were learned in three steps: by
# reading a lot of text, by imitating a larger model, and by learning which of very many pairs of texts belong together
# (its full name is all-MiniLM-L6-v2). It knows a good deal about English and nothing about film critics. We show it
# snippets of reviews with the critic's verdict, *fresh* or *rotten*. After every few snippets, each weight moves a
# little towards the right answer. That is **fine-tuning**.
#
# One document, the **spec**, describes a run. `train`, `valid` and `test` are three splits of the reviews: one to
# learn from, one to watch during training, and one that is saved for the end. `limit` sets how many reviews of each
# are used, `max_length` the number of tokens (words or parts of words) after which a review is cut off, `epochs` how
# many times the training split is read, and `batch_size` after how many reviews the weights are updated. The cell
# shows its progress: the *loss* measures how wrong the model is, and smaller is better. A *step* is one update of the
# weights, and *eval* means: on the validation split. Look at `loss` and `accuracy` only; `macro_f1` and `matthews` are
# two other metrics, which are harder to get high when one answer is much more frequent (lesson 01 has the first).

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
# Run the cell a second time: it is done at once. The run was saved with its spec, its metrics and its weights, and is
# reused. The dashboard (`make dashboard`) lists it on the page **Runs**.
#
# ## How good is it?
#
# **Accuracy** is the share of test reviews that it gets right. With a few hundred reviews, other reviews would give a
# slightly different share. The **interval** says how different: if you repeated the test with new reviews many times,
# about 95 of 100 such intervals would contain the true share, the one over all reviews there are. The **baseline**
# always gives the most frequent answer. Without a baseline, no metric means anything.

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
# Change the sentences and run the cell again. The number is the probability that the model assigns to its answer.

# %%
predictor = Predictor.load(finished)
sentences = [
    "A quiet, moving film with wonderful actors.",
    "Two hours that I will never get back.",
    "Not the worst film of the year.",
]
for sentence, answer in zip(sentences, predictor.predict([{"text": each} for each in sentences]), strict=True):
    print(f"{answer.label:>7} {answer.score:.2f}  {sentence}")

# %% [markdown]
# ## A first look inside
#
# Inside the model, each word looks at the others and takes something from them: that is **attention**, the subject of
# notebook 03. The picture shows where each word (left) looks (right). Each color is one of twelve *heads*, and each
# head looks in its own way. Move the mouse over a word. `[CLS]` and `[SEP]` mark the beginning and the end. The text
# below the picture describes it in words.
#
# Do not be surprised that most lines end at `[CLS]`: a head that finds nothing of interest in this sentence has to
# look somewhere, and in this model it looks there (notebook 03). Choose another layer, or double-click a colored
# square to see one head alone.
#
# A warning that notebook 11 comes back to: the picture shows where information *can* flow. It does not prove why the
# model answered as it did.

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
# You have fine-tuned a Transformer, measured it on reviews that it had not seen, compared its accuracy with a baseline
# and read the interval, asked it questions, and looked at its attention.
#
# **Questions to think about.** Which of your sentences did it get wrong, and what do they have in common? Why is the
# test split saved for the end? If the interval is 10 points wide, what would make it narrower?
#
# **Where to go next.** Notebooks [01](01_text_to_numbers.ipynb) to [12](12_comparing_honestly.ipynb) take this apart,
# one piece at a time. If you would rather solve a real problem first, take a [lesson](../tutorials/README.md): its
# exercises check themselves. Each notebook ends with a cell like the next one, which marks it as read and names what
# comes next:

# %%
done("00-start-here")

# %% [markdown]
# This is the whole course, with what you have done so far (the dashboard's page **Learn** shows the same):

# %%
overview()
