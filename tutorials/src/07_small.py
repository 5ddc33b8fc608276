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
# # 07 · Make it small
#
# **After this lesson you can** say what a model costs before you train it, choose the fine-tuning method and the model
# that fit a budget, decide whether the small one is good enough, and store weights in a quarter of the space.
#
# **You need** Python and school mathematics. Notebooks 07 (fine-tuning) and 10 (fewer weights) explain the terms used
# here in more detail.
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about 3 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("07-small.1")` helps, and `solution("07-small.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# A maker of kitchen radios wants its radio to understand what people ask it to do: play this, rate that book, will it
# rain. No data may leave the kitchen, so the model must run **in the radio**: it has 20 megabytes free, and its
# processor is slow. Your team has one laptop for training. Which model do you choose, and which way of fine-tuning it?
#
# The data is `snips` in the catalogue, real requests of that kind: 7 *intents* (what somebody wants), about 2,000
# requests for each.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

# %%
import time

import matplotlib.pyplot as plt
import torch

import workbench as wb
from workbench.compare.differences import compare
from workbench.runs.predictions import read_predictions
from workbench.teach.pictures import show
from workbench.inference.predictor import Predictor

# %% [markdown]
# ## A first look at the dashboard
#
# Start it in a terminal with `workbench dashboard` (or `make dashboard`).
#
# 1. On the page **Data**, choose `snips`. You see some requests, and bars for the 7 intents: all are about equally
#    frequent.
# 2. On the page **Launch**, choose the task *Text classification*, the data `snips`, the model `minilm` and 1,000
#    training examples. Now change the **Fine-tuning method** from `full` to `lora`, and press **Estimate time and
#    memory** for each. The page runs a few real steps and shows the time and the memory that the run would take. You
#    don't need to start anything: the cells below do.
#
# `minilm` is a small Transformer that has learned from a lot of English text; *fine-tuning* adapts it to our intents.
# The methods differ in **which weights they train**. `full` trains all of them, `head` only the last layer, which makes
# the decision, `lora` a small addition to the big matrices. Can you predict the estimate?
#
# ## What training costs
#
# A weight is a number; stored with 32 bits it takes 4 bytes. Each training step computes, for each trainable weight,
# in which direction it should move (its *gradient*); AdamW, the usual rule, then determines how far. For that the
# memory contains:
#
# * every weight of the model: 4 bytes each,
# * for each **trainable** weight also its gradient (4 bytes) and two running means that AdamW stores (4 bytes each).
#
# (The intermediate results, the *activations*, come on top; they depend on the number of requests in a step.)
#
# **Exercise 1.** Return how many megabytes that is. One megabyte is 1,000,000 bytes here.


# %%
# exercise: 07-small.1
def training_megabytes(total, trainable):
    """Return the megabytes that the weights, the gradients and AdamW's running means take.

    total: how many weights the model has. trainable: how many of them are trained.
    """
    # solution
    return (4 * total + 12 * trainable) / 1_000_000
    # end solution


check("07-small.1", training_megabytes)

# %%
# MiniLM has 22.7 million weights. Its head for 7 intents is a layer from 384 numbers to 7.
head = 384 * 7 + 7
for name, trainable in (("full", 22_700_000), ("head", head)):
    print(f"{name}: {trainable:,} trainable weights, {training_megabytes(22_700_000, trainable):.0f} MB")

# %% [markdown]
# ## What LoRA costs
#
# A matrix that turns $D_{in}$ numbers into $D_{out}$ numbers has $D_{in} \cdot D_{out}$ weights. LoRA does not change
# it, and trains a thin detour parallel to it: from $D_{in}$ numbers down to $r$ (the *rank*, a small number such as
# 8), and from these $r$ up to $D_{out}$. So there are two new matrices, with $D_{in} \cdot r$ and $r \cdot D_{out}$
# weights.
#
# **Exercise 2.** You get the rank and a list of pairs `(d_in, d_out)`, one for each matrix that gets a detour. Return
# the number of new weights of all matrices together.


# %%
# exercise: 07-small.2
def lora_weights(rank, matrices):
    """Return how many weights LoRA adds to matrices; each matrix is a pair (d_in, d_out)."""
    # solution
    return sum(rank * d_in + rank * d_out for d_in, d_out in matrices)
    # end solution


check("07-small.2", lora_weights)

# %%
# MiniLM has 6 layers; in each, two attention matrices (queries, values) get a detour: 12 matrices of 384 x 384.
added = lora_weights(8, [(384, 384)] * 12)
print(f"{added:,} new weights, {added / 22_700_000:.1%} of the model")

# %% [markdown]
# ## The candidates
#
# Four candidates, from tiny to large. The first is not a Transformer at all: it looks up a vector for each word, takes
# the mean, and decides. If *that* is enough, you don't need the others. Each has a learning rate (how far a step moves
# the weights) that suits it: small if all the pretrained weights are trained, larger if only something new is trained.
# (In the dashboard: on the page **Launch**, the first model is `bag-of-embeddings`. The runs that you start here
# appear on the page **Runs** while they train.)

# %%
limit = size(
    test={"train": 140, "valid": 21, "test": 70},
    cpu={"train": 1_000, "valid": 210, "test": 700},
    gpu={"train": 10_000, "valid": 700, "test": 700},
)
words = {"source": "bag-of-embeddings", "embedding_size": 64, "tokenizer": {"train": "wordpiece", "vocab_size": 2_000}}
epochs = size(test=1, cpu=3, gpu=3)
recipes = {
    "words": (words, "full", {"epochs": 8 * epochs, "learning_rate": 5e-3}),
    "head": ("minilm", "head", {}),  # it is solved in one go, without epochs
    "lora": ("minilm", "lora", {"epochs": epochs, "learning_rate": 2e-3}),
    "full": ("minilm", "full", {"epochs": epochs, "learning_rate": 3e-4}),
}
chosen = size(test=["words", "head"], cpu=list(recipes), gpu=list(recipes))
runs = {
    name: wb.run(
        {
            "name": f"lesson-07-{name}",
            "task": "text-classification",
            "data": {"train": "snips", "limit": limit, "max_length": 32},
            "model": recipes[name][0],
            "tuning": recipes[name][1],
            "training": recipes[name][2],
        },
        quiet=True,
        reuse=True,
    )
    for name in chosen
}

# %% [markdown]
# Now measure what matters in the kitchen. Three sizes are often confused:
#
# * **trained**: how many weights were trained (the laptop's memory, exercise 1);
# * **in all**: the megabytes of everything that is needed for an answer (they must fit into the radio);
# * **stored**: the megabytes that this run has saved. With LoRA that is only the addition, so a second task on the
#   same radio would only cost that much more.

# %%
candidates = []
for name, finished in runs.items():
    report, predictor = finished.report(), Predictor.load(finished)
    questions = [{"text": text} for text in read_predictions(finished, ["input:text"])["input:text"][:50]]
    predictor.predict(questions[:5])  # the first answers take longer: some work is done only once
    start = time.perf_counter()
    predictor.predict(questions)
    candidates.append(
        {
            "name": name,
            "accuracy": report.metrics["accuracy"].value,
            "trained": report.cost.trained_parameters,
            "megabytes": report.cost.total_parameters * 4 / 1e6,
            "stored": sum(file.stat().st_size for file in (finished.folder / "model").glob("*.safetensors")) / 1e6,
            "milliseconds": (time.perf_counter() - start) / len(questions) * 1_000,
        }
    )
for one in candidates:
    print(
        f"{one['name']:>6}: accuracy {one['accuracy']:.3f}, trained {one['trained']:>11,}, "
        f"in all {one['megabytes']:6.2f} MB, stored {one['stored']:6.2f} MB, {one['milliseconds']:.1f} ms per answer"
    )

# %%
figure, axis = plt.subplots(figsize=(6, 3.2))
for one in candidates:
    axis.plot(one["megabytes"], one["accuracy"], "o")
    axis.annotate(one["name"], (one["megabytes"], one["accuracy"]), xytext=(6, 4), textcoords="offset points")
axis.axvline(20, color="grey", linestyle="--")
axis.set(xscale="log", xlabel="megabytes in all (dashed: free in the radio)", ylabel="accuracy")
axis.margins(x=0.2, y=0.2)
show(
    figure,
    "Accuracy of each candidate against the megabytes that it needs in all. The model of words is far to the left of "
    "the dashed line at 20 MB; the three that use MiniLM need about 91 MB and are to the right of it.",
)

# %% [markdown]
# Two numbers may look like mistakes. `lora` trains more weights than you counted: it also trains a new last layer, 384
# · 7 + 7 = 2,695 weights, as `head` does. And `head` stores the whole model, although only a few of its weights were
# trained: only for `lora` is the addition stored separately.
#
# ## What fits
#
# **Exercise 3.** From such a list of dictionaries, return a list of the **names** of the candidates that fit
# (`"megabytes"`) into a budget, the most accurate first. A candidate that needs exactly the budget still fits.


# %%
# exercise: 07-small.3
def that_fit(candidates, budget):
    """Return the names of the candidates that need at most `budget` megabytes, the most accurate first."""
    # solution
    fitting = [one for one in candidates if one["megabytes"] <= budget]
    return [one["name"] for one in sorted(fitting, key=lambda one: -one["accuracy"])]
    # end solution


check("07-small.3", that_fit)

# %%
for budget in (20, 25, 100):
    print(f"{budget} MB:", that_fit(candidates, budget))

# %% [markdown]
# ## What nobody should choose
#
# You can rule out some candidates whatever the budget is, because another one is **at least as good in both** respects
# (no larger, no less accurate) **and better in one**. It is said to *beat* them. The candidates that no other one
# beats form the *Pareto front*, and only among them is the choice a matter of taste.
#
# **Exercise 4.** Return whether one candidate beats another. Two that are equal in both respects do not beat each
# other.


# %%
# exercise: 07-small.4
def beats(one, other):
    """Return whether `one` beats `other` in "megabytes" (less is better) and "accuracy" (more is better)."""
    # solution
    as_good = one["megabytes"] <= other["megabytes"] and one["accuracy"] >= other["accuracy"]
    return as_good and (one["megabytes"] < other["megabytes"] or one["accuracy"] > other["accuracy"])
    # end solution


check("07-small.4", beats)

# %%
front = [other["name"] for other in candidates if not any(beats(one, other) for one in candidates)]
print("on the Pareto front:", ", ".join(front))

# %% [markdown]
# ## Is the small one good enough?
#
# The small model and the large one were tested on the same requests. The dashboard's page **Compare** shows both with
# their **95% intervals**: how much a metric could have changed by the chance of which requests were tested (lesson 08
# computes one). Choose the runs `lesson-07-words` and the last one in the table above, and read the sentence at the
# top. It claims a difference only if chance is an unlikely explanation (papers call such a difference *significant*).
# In code:

# %%
small, large = runs[chosen[0]], runs[chosen[-1]]
comparison = compare([small, large])
print(comparison.verdict)
print(f"small minus large: {comparison.difference:+.3f}, 95% interval {comparison.low:+.3f} to {comparison.high:+.3f}")

# %% [markdown]
# "No difference can be claimed" would **not** mean "as good": with few test requests, a difference can hardly ever be
# claimed. So decide beforehand which loss you would accept, the *margin*, for example 0.03 (3 requests in 100). Then
# check that even the **pessimistic end** of the interval loses no more than that. This is called a test of
# *non-inferiority*.
#
# **Exercise 5.** `low` is the lower end of the interval of *small minus large*, so it is negative if the small one may
# be worse. Return `True` if the small one is good enough in this sense. A loss of exactly the margin is still
# accepted.


# %%
# exercise: 07-small.5
def good_enough(low, margin):
    """Return whether the small model certainly loses no more than the margin (a positive number)."""
    # solution: return ...
    return low >= -margin
    # end solution


check("07-small.5", good_enough)

# %%
for margin in (0.01, 0.03, 0.1):
    print(f"if a loss of {margin} is accepted, good enough: {good_enough(comparison.low, margin)}")

# %% [markdown]
# ## A quarter of the space
#
# If you choose the large model after all, you can still shrink it. A weight is stored with 32 bits; often 8 are
# enough. Take the largest weight without its sign, $m$, and divide the range from 0 to $m$ into 127 equal steps of
# $s = m / 127$. Each weight $w$ becomes the nearest whole number of steps, $q = \operatorname{round}(w / s)$, from -127
# to 127, which fits into one byte. When you read it back, $s \cdot q$ is off by half a step at most.
#
# **Exercise 6.** Return the whole numbers $q$ of a list of weights and the step $s$, as a pair. (Use Python's `round`.
# At least one weight is not 0.)


# %%
# exercise: 07-small.6
def in_bytes(weights):
    """Return a list of numbers from -127 to 127, and the step by which you multiply them to read them back."""
    # solution
    step = max(abs(w) for w in weights) / 127
    return [round(w / step) for w in weights], step
    # end solution


check("07-small.6", in_bytes)

# %% [markdown]
# Now do the same for every matrix of the most accurate model, row by row (each row has its own step), and then repeat
# the test on the same requests. The values that are read back replace the weights, so you see the effect of fewer
# bits.

# %%
best = max(candidates, key=lambda one: one["accuracy"])["name"]
predictor = Predictor.load(runs[best])
predictions = read_predictions(runs[best], ["input:text", "gold"])
questions = [{"text": text} for text in predictions["input:text"]]


def accuracy():
    answers = [answer.label for answer in predictor.predict(questions)]
    return sum(a == g for a, g in zip(answers, predictions["gold"], strict=True)) / len(answers)


before = accuracy()
largest_error = 0.0
with torch.no_grad():
    for weight in predictor.model.parameters():
        if weight.dim() == 2:  # matrices; the few other weights do not change
            step = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            read_back = (weight / step).round() * step
            largest_error = max(largest_error, ((read_back - weight).abs() / step).max().item())
            weight.copy_(read_back)
print(
    f"{best}: accuracy {before:.3f} with 32 bits, {accuracy():.3f} with 8; errors of at most {largest_error:.2f} steps"
)

# Your function on one row: the same numbers as in the matrix.
row = next(weight for weight in predictor.model.parameters() if weight.dim() == 2)[-1]
numbers, step = in_bytes(row.tolist())
torch.testing.assert_close(torch.tensor(numbers) * step, row.detach(), atol=1e-5, rtol=1e-5)
size_now = next(one["megabytes"] for one in candidates if one["name"] == best) / 4
print(f"stored with 8 bits it would need about {size_now:.1f} MB")

# %% [markdown]
# MiniLM with 8 bits needs about 23 MB: a little too much for this radio, so somebody has to talk to the people who
# build it. Bring numbers like these to that talk. (To compute with 8 bits, not only store them, you need special
# arithmetic; the accuracy is the one that you have just seen.)
#
# ## Summary
#
# * Training costs 4 bytes for each weight, and 12 more for each trainable one. LoRA trains few; the model stays large.
# * First check what fits, then what no other candidate beats, then whether the small one is *certainly* not much
#   worse.
# * Choose the margin before you look at the results. "No difference can be claimed" is not "as good".
# * 8 bits for a weight: a quarter of the space, with nearly the same answers.
#
# ## Questions to think about
#
# 1. There are twenty tasks on one radio: which candidates would you choose now? (Look at *stored*.)
# 2. One weight of a row is a hundred times as large as all the others. What does that do to the steps of that row?
# 3. Why are `head`, `lora` and `full` about equally fast when they answer?
#
# ## Where to go next
#
# * [Notebook 10](../notebooks/10_fewer_weights.ipynb): LoRA by hand.
# * The dashboard's page **Sweeps**: let it try ranks and learning rates.
# * Dettmers et al. 2022 on 8 bits (arXiv 2208.07339).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("07-small")
