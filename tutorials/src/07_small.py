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
# **After this lesson you can** say what a model costs before you train it, choose the tuning and the model that fit a
# budget, tell whether the small one is good enough, and store weights in a quarter of the room.
#
# **You need** Python and school mathematics. Notebooks 07 (fine-tuning) and 10 (fewer weights) say more about the
# words used here.
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about 3 minutes; on a GPU: not measured yet.
#
# **How to work:** fill in the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("07-small.1")` helps, and `solution("07-small.1")` ends the search. Cells below
# an exercise need your function: they fail until it is filled in.
#
# ## The story
#
# A maker of kitchen radios wants the box to understand what people ask of it: play this, rate that book, will it rain.
# Nothing may leave the kitchen, so the model must live **in the radio**: 20 megabytes are free there, and the
# processor is slow. Your team has one laptop for training. Which model, and which way of tuning it?
#
# The data are real requests of that kind, `snips` in the catalogue: 7 *intents* (what somebody wants), about 2,000
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
# ## First look, on the dashboard
#
# Start it in a terminal with `workbench dashboard` (or `make dashboard`).
#
# 1. Page **Data**: choose `snips`. You see some requests, and bars for the 7 intents: all about equally frequent.
# 2. Page **Launch**: task *Text classification*, data `snips`, model `minilm`, training examples 1,000. Now change
#    **Tuning** from `full` to `lora` and press **Estimate** each time. The page takes a few real steps and tells the
#    time and the memory of each. You need not start anything: the cells below do.
#
# `minilm` is a small Transformer that has learned from much English text before; *tuning* makes it fit for our intents.
# The tunings differ in **which weights move**. `full` moves all of them, `head` only the layers at the end that make
# the decision, `lora` a small addition beside the big matrices. Can you foresee what the estimate says?
#
# ## What training costs
#
# A weight is a number; stored with 32 bits it takes 4 bytes. Each step of training works out for each weight that moves
# which way it should go (its *gradient*); AdamW, the usual rule, then says how far. For that the machine holds:
#
# * every weight of the model: 4 bytes each,
# * for each weight that **moves** also its gradient (4 bytes) and two running means that AdamW keeps (4 bytes each).
#
# (The numbers in between, the *activations*, come on top; they depend on how many requests a step looks at.)
#
# **Exercise 1.** Write how many megabytes that is. One megabyte is 1,000,000 bytes here.


# %%
# exercise: 07-small.1
def training_megabytes(total, moving):
    """Megabytes for the weights, the gradients and what AdamW keeps.

    total: how many weights the model has. moving: how many of them are trained.
    """
    # solution
    return (4 * total + 12 * moving) / 1_000_000
    # end solution


check("07-small.1", training_megabytes)

# %%
# MiniLM has 22.7 million weights. Its head for 7 intents: a layer from 384 numbers to 384, and one from these to 7.
head = (384 * 384 + 384) + (384 * 7 + 7)
for name, moving in (("full", 22_700_000), ("head", head)):
    print(f"{name}: {moving:,} weights move, {training_megabytes(22_700_000, moving):.0f} MB")

# %% [markdown]
# ## What LoRA costs
#
# A matrix that turns $D_{in}$ numbers into $D_{out}$ numbers has $D_{in} \cdot D_{out}$ weights. LoRA leaves it as it
# is, and learns beside it a thin detour: from $D_{in}$ numbers down to $r$ (the *rank*, a small number such as 8), and
# from these $r$ up to $D_{out}$. So there are two new matrices, of $D_{in} \cdot r$ and $r \cdot D_{out}$ weights.
#
# **Exercise 2.** Given the rank and a list of pairs `(d_in, d_out)`, one for each matrix that gets a detour, count the
# new weights of all of them together.


# %%
# exercise: 07-small.2
def lora_weights(rank, matrices):
    """How many weights LoRA adds to matrices, each given as a pair (d_in, d_out)."""
    # solution
    return sum(rank * d_in + rank * d_out for d_in, d_out in matrices)
    # end solution


check("07-small.2", lora_weights)

# %%
# MiniLM has 6 layers; say two matrices of attention in each (queries, values) get a detour: 12 matrices of 384 x 384.
added = lora_weights(8, [(384, 384)] * 12)
print(f"{added:,} new weights, {added / 22_700_000:.1%} of the model")

# %% [markdown]
# ## The candidates
#
# Four ways, from tiny to large. The first one is no Transformer at all: it looks up a vector for each word, takes the
# mean, and decides. If *that* is enough, the rest is luxury. Each has a learning rate (how far a step moves the
# weights) that suits it: small where all the pretrained weights move, larger where only something new is learned. (On
# the dashboard: page **Launch**, model `bag-of-embeddings`. The runs that you start here appear on the page **Runs**
# while they work.)

# %%
limit = size(
    test={"train": 140, "valid": 21, "test": 70},
    cpu={"train": 1_000, "valid": 210, "test": 700},
    gpu={"train": 10_000, "valid": 700, "test": 700},
)
words = {"source": "bag-of-embeddings", "embedding_size": 64, "tokenizer": {"train": "wordpiece", "vocab_size": 2_000}}
epochs = size(test=1, cpu=3, gpu=3)
wanted = {
    "words": (words, "full", {"epochs": 8 * epochs, "learning_rate": 5e-3}),
    "head": ("minilm", "head", {"epochs": epochs, "learning_rate": 5e-3}),
    "lora": ("minilm", "lora", {"epochs": epochs, "learning_rate": 2e-3}),
    "full": ("minilm", "full", {"epochs": epochs, "learning_rate": 3e-4}),
}
chosen = size(test=["words", "head"], cpu=list(wanted), gpu=list(wanted))
runs = {
    name: wb.run(
        {
            "name": f"lesson-07-{name}",
            "task": "text-classification",
            "data": {"train": "snips", "limit": limit, "max_length": 32},
            "model": wanted[name][0],
            "tuning": wanted[name][1],
            "training": wanted[name][2],
        },
        quiet=True,
        reuse=True,
    )
    for name in chosen
}

# %% [markdown]
# Now measure what matters in the kitchen. Three sizes that are often mixed up:
#
# * **moved**: how many weights were trained (the laptop's memory, exercise 1);
# * **in all**: megabytes of everything that is needed for an answer (must fit into the radio);
# * **stored**: megabytes that this run has saved. With LoRA that is only the addition, so a second task on the same
#   radio would cost only so much more.

# %%
candidates = []
for name, finished in runs.items():
    report, predictor = finished.report(), Predictor.load(finished)
    questions = [{"text": text} for text in read_predictions(finished, ["input:text"])["input:text"][:50]]
    predictor.predict(questions[:5])  # the first answers also wait for what is only done once
    start = time.perf_counter()
    predictor.predict(questions)
    candidates.append(
        {
            "name": name,
            "accuracy": report.metrics["accuracy"].value,
            "moved": report.cost.trained_parameters,
            "megabytes": report.cost.total_parameters * 4 / 1e6,
            "stored": sum(file.stat().st_size for file in (finished.folder / "model").glob("*.safetensors")) / 1e6,
            "milliseconds": (time.perf_counter() - start) / len(questions) * 1_000,
        }
    )
for one in candidates:
    print(
        f"{one['name']:>6}: accuracy {one['accuracy']:.3f}, moved {one['moved']:>11,}, in all {one['megabytes']:6.2f} "
        f"MB, stored {one['stored']:6.2f} MB, {one['milliseconds']:.1f} ms for an answer"
    )

# %%
figure, axis = plt.subplots(figsize=(6, 3.2))
for one in candidates:
    axis.plot(one["megabytes"], one["accuracy"], "o")
    axis.annotate(one["name"], (one["megabytes"], one["accuracy"]), xytext=(6, 4), textcoords="offset points")
axis.axvline(20, color="grey", linestyle="--")
axis.set(xscale="log", xlabel="megabytes in all (dashed: what the radio has)", ylabel="accuracy")
axis.margins(x=0.2, y=0.2)
show(
    figure,
    "Accuracy of each candidate against the megabytes it needs in all. The model of words is far left of the dashed "
    "line at 20 MB; the three made from MiniLM need about 91 MB and are right of it.",
)

# %% [markdown]
# Two figures may look like mistakes. `lora` moves more than you counted: it also trains the last layer anew, 384 · 7 +
# 7 = 2,695 weights (not the layer before it, as `head` does). And `head` stores the whole model, although little of it
# moved: only of `lora` the addition is stored alone.
#
# ## What fits
#
# **Exercise 3.** From such a list of dictionaries, give a list of the **names** of the candidates that fit
# (`"megabytes"`) into a budget, the most accurate first. What needs exactly the budget still fits.


# %%
# exercise: 07-small.3
def that_fit(candidates, budget):
    """Names of the candidates with at most so many megabytes, the most accurate first."""
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
# Some candidates are out whatever the budget: another one is **at least as good in both** (no larger, no less
# accurate) **and better in one**. It is said to *beat* them. Those that nobody beats form the *Pareto front*, and only
# among these is the choice a matter of taste.
#
# **Exercise 4.** Say whether one candidate beats another. Two that are equal in both do not beat each other.


# %%
# exercise: 07-small.4
def beats(one, other):
    """Whether `one` beats `other` in "megabytes" (less is better) and "accuracy" (more is better)."""
    # solution
    as_good = one["megabytes"] <= other["megabytes"] and one["accuracy"] >= other["accuracy"]
    return as_good and (one["megabytes"] < other["megabytes"] or one["accuracy"] > other["accuracy"])
    # end solution


check("07-small.4", beats)

# %%
front = [other["name"] for other in candidates if not any(beats(one, other) for one in candidates)]
print("nobody beats:", ", ".join(front))

# %% [markdown]
# ## Is the small one good enough?
#
# The small model and the large one were tested on the same requests. The page **Compare** of the dashboard shows both
# with their **95% intervals**: how far the luck of which requests were tested could have moved a figure (lesson 08
# works one out). Choose the runs `lesson-07-words` and the last one in the table above, and read the sentence at the
# top. It claims a difference only if such luck explains it badly (papers call such a difference *significant*). In
# code:

# %%
small, large = runs[chosen[0]], runs[chosen[-1]]
found = compare([small, large])
print(found.verdict)
print(f"small minus large: {found.difference:+.3f}, 95% interval {found.low:+.3f} to {found.high:+.3f}")

# %% [markdown]
# "No difference can be claimed" would **not** mean "as good": with few test requests none ever can. So say
# beforehand what loss you would accept, the *margin*, say 0.03 (3 requests in 100). Then ask whether even the
# **pessimistic end** of the interval loses no more than that. This is called a test of *non-inferiority*.
#
# **Exercise 5.** `low` is the lower end of the interval of *small minus large*, so it is negative where the small one
# may be worse. Give `True` if the small one is good enough in this sense. Exactly the margin is still accepted.


# %%
# exercise: 07-small.5
def good_enough(low, margin):
    """Whether the small model surely loses no more than the margin (a positive number)."""
    # solution: return ...
    return low >= -margin
    # end solution


check("07-small.5", good_enough)

# %%
for margin in (0.01, 0.03, 0.1):
    print(f"accepting a loss of {margin}: good enough is {good_enough(found.low, margin)}")

# %% [markdown]
# ## A quarter of the room
#
# If the large model should be the one after all, it can still shrink. A weight is stored with 32 bits; often 8 are
# enough. Take the largest weight without its sign, $m$, and cut the way from 0 to $m$ into 127 equal steps of
# $s = m / 127$. Each weight $w$ becomes the whole number of steps that is nearest, $q = \operatorname{round}(w / s)$,
# from -127 to 127, which fits into one byte. Read back, $s \cdot q$ is wrong by half a step at most.
#
# **Exercise 6.** Give the whole numbers $q$ of a list of weights and the step $s$, as a pair. (Python's `round` is
# right. At least one weight is not 0.)


# %%
# exercise: 07-small.6
def in_bytes(weights):
    """A list of numbers from -127 to 127, and the step that they are multiplied with to be read back."""
    # solution
    step = max(abs(w) for w in weights) / 127
    return [round(w / step) for w in weights], step
    # end solution


check("07-small.6", in_bytes)

# %% [markdown]
# The same for every matrix of the most accurate model, row by row (each row has its own step), and then the same test
# requests again. What is read back takes the place of the weights, so that we see what the loss of bits does.

# %%
best = max(candidates, key=lambda one: one["accuracy"])["name"]
predictor = Predictor.load(runs[best])
asked = read_predictions(runs[best], ["input:text", "gold"])
questions = [{"text": text} for text in asked["input:text"]]


def accuracy():
    answers = [answer.label for answer in predictor.predict(questions)]
    return sum(a == g for a, g in zip(answers, asked["gold"], strict=True)) / len(answers)


before = accuracy()
furthest = 0.0
with torch.no_grad():
    for weight in predictor.model.parameters():
        if weight.dim() == 2:  # matrices; the few other weights stay as they are
            step = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            read_back = (weight / step).round() * step
            furthest = max(furthest, ((read_back - weight).abs() / step).max().item())
            weight.copy_(read_back)
print(f"{best}: accuracy {before:.3f} with 32 bits, {accuracy():.3f} with 8; wrong by {furthest:.2f} steps at most")

# One row by your function: the same numbers as the matrices got.
row = next(weight for weight in predictor.model.parameters() if weight.dim() == 2)[-1]
numbers, step = in_bytes(row.tolist())
torch.testing.assert_close(torch.tensor(numbers) * step, row.detach(), atol=1e-5, rtol=1e-5)
size_now = next(one["megabytes"] for one in candidates if one["name"] == best) / 4
print(f"stored in bytes it would need about {size_now:.1f} MB")

# %% [markdown]
# MiniLM with 8 bits needs about 23 MB: a little too much for this radio, so somebody has to talk to the people who
# build it. Numbers like these are what you bring to that talk. (To run with 8 bits, and not only to store them, needs
# arithmetic made for it; the accuracy is the one you have just seen.)
#
# ## Summary
#
# * Training costs 4 bytes for each weight, and 12 more for each that moves. LoRA moves few; the model stays large.
# * First what fits, then what nobody beats, then whether the small one is *surely* not much worse.
# * Choose the margin before you look. "No difference can be claimed" is not "as good".
# * 8 bits a weight: a quarter of the room, for nearly the same answers.
#
# ## Questions to think about
#
# 1. Twenty tasks on one radio: which candidates would you choose now? (Look at *stored*.)
# 2. One weight of a row is a hundred times as large as all others. What does that do to the steps of that row?
# 3. Why is the speed of answers about the same for `head`, `lora` and `full`?
#
# ## Where to go on
#
# * [Notebook 10](../notebooks/10_fewer_weights.ipynb): LoRA by hand.
# * The dashboard's **Sweeps** page: let it try ranks and learning rates.
# * Dettmers et al. 2022 on 8 bits (arXiv 2208.07339).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("07-small")
