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
# # 11 · Looking inside
#
# **After this notebook you can** look at attention in three views, compute rollout and integrated gradients by hand,
# and test whether an explanation says anything about the model.
#
# **You need** notebooks 03 (attention) and 07 (a fine-tuned classifier).
#
# **Time:** about 20 minutes to read; the cells run in about 3 minutes on a laptop CPU (GPU: not measured yet).

# %%
import html

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML

from workbench.explain import explain
from workbench.explain.capture import capture_attention
from workbench.explain.render.bertviz import head_view, model_view
from workbench.explain.rollout import rollout
from workbench.teach import size
from workbench.teach.pictures import show
from workbench.teach.runs import run
from workbench.training.predictor import Predictor

TEXT = "A quiet, moving film with a dreadful ending."

# %% [markdown]
# ## A model to look into
#
# MiniLM, fine-tuned on film reviews (notebook 07).

# %%
limit = size(
    test={"train": 32, "valid": 8, "test": 16},
    cpu={"train": 800, "valid": 200, "test": 300},
    gpu={"train": 4_000, "valid": 500, "test": 1_000},
)
finished = run(
    {
        "name": "course-11",
        "task": "text-classification",
        "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": size(test=24, cpu=64, gpu=64)},
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=2, gpu=3)},
    }
)
predictor = Predictor.load(finished)
print(predictor.predict([{"text": TEXT}])[0])

# %% [markdown]
# ## Three views of attention
#
# All weights of one text are `[layers, heads, T, T]`: 6 x 12 tables. Three ways to look at them come from bertviz
# (Vig 2019, arXiv
# 1906.05714): the **head view** (lines from each token to those it looks at, one layer at a time), the **model view**
# (all tables at once, small), and the **neuron view** (query, key and their products for one head: the steps of
# notebook 03). Here the first two; each is a page of its own that works without a network. The dashboard's
# **Explain** page has all three.

# %%
attention = capture_attention(predictor.model, predictor.tokenizer, TEXT)
print("weights:", list(attention.weights.shape), "tokens:", attention.tokens)


def page(document, height):
    """A page inside the notebook, apart from its scripts and styles."""
    inside = html.escape(document)
    return HTML(f'<div><iframe title="Attention view" width="100%" height="{height}" srcdoc="{inside}"></iframe></div>')


page(head_view(attention, layer=5), 420)

# %%
page(model_view(attention, layers=[4, 5], heads=[0, 1, 2, 3]), 420)

# %% [markdown]
# ## Rollout, by hand
#
# One layer's weights say what a token takes from the vectors of the layer below, and those are mixtures already.
# **Rollout** (Abnar and Zuidema 2020, arXiv 2005.00928) multiplies the layers: $R = \hat A_L \cdots \hat A_2 \hat
# A_1$, where $\hat A_l = \tfrac12 A_l + \tfrac12 I$ is the mean over the heads of layer $l$ with half of each token
# passing by unchanged (the residual).
#
# | symbol | in the code | shape |
# |---|---|---|
# | $A_l$ | `layer` | `[T, T]` |
# | $I$ | `np.eye(T)` | `[T, T]` |
# | $R$ | `rolled` | `[T, T]`, rows sum to 1 |

# %%
means = attention.weights.astype(float).mean(axis=1)  # over the heads: [layers, T, T]
rolled = np.eye(len(attention.tokens))
for layer in means:
    rolled = (0.5 * layer + 0.5 * np.eye(len(layer))) @ rolled
np.testing.assert_allclose(rolled, rollout(attention.weights), atol=1e-5)
print("same as the library's; rows sum to", np.unique(rolled.sum(1).round(3)))

# %% [markdown]
# ## Integrated gradients, by hand
#
# Another question: how much does each token's vector $x_t$ contribute to the **answer** $f(x)$ (here the score of the
# predicted class)? The gradient says how $f$ changes when $x_t$ changes a little. But a little is not enough: so go
# the whole way, from a text $x'$ that says nothing (every word replaced by `[MASK]`) to the text, and add up the
# gradients on the way (Sundararajan et al. 2017, arXiv 1703.01365):
#
# $$\mathrm{IG}_t = (x_t - x'_t) \cdot \int_0^1 \frac{\partial f\bigl(x' + a\,(x - x')\bigr)}{\partial x_t}\,da$$
#
# The dot sums over the $D$ numbers of the vector. What makes it trustworthy is a promise that can be checked: **the
# contributions sum to $f(x) - f(x')$**.

# %%
model, tokenizer = predictor.model, predictor.tokenizer
inputs = tokenizer(TEXT, return_tensors="pt")
special = torch.tensor(
    tokenizer.get_special_tokens_mask(inputs["input_ids"][0], already_has_special_tokens=True)
).bool()
masked = inputs["input_ids"].masked_fill(~special, tokenizer.mask_token_id)
look_up = model.get_input_embeddings()
x, x0 = look_up(inputs["input_ids"]).detach(), look_up(masked).detach()  # [1, T, D]


def answer(vectors):
    """Both classes' scores [N, 2] for vectors [N, T, D]."""
    return model(inputs_embeds=vectors, attention_mask=torch.ones(vectors.shape[:2])).logits


with torch.no_grad():
    chosen = int(answer(x)[0].argmax())
    difference = (answer(x) - answer(x0))[0, chosen].item()

steps = size(test=16, cpu=64, gpu=64)
total = torch.zeros_like(x)
for step in range(steps):
    a = (step + 0.5) / steps  # the middle of each of so many equal parts
    at = (x0 + a * (x - x0)).requires_grad_()
    answer(at)[0, chosen].backward()
    total += at.grad / steps
contributions = ((x - x0) * total).sum(-1)[0]
print(f"sum of contributions {contributions.sum():+.3f}, difference of scores {difference:+.3f}")

# %% [markdown]
# Held against the library's, which uses captum and a finer rule of integration, so a small difference stays:

# %%
library = explain(predictor, TEXT, method="integrated-gradients")
theirs = np.array(library.scores)
ours = contributions.detach().numpy()
print(f"correlation {np.corrcoef(ours, theirs)[0, 1]:.4f}, largest difference {np.abs(ours - theirs).max():.4f}")
print("library's own check:", {k: library.details[k] for k in ("steps", "complete")})
np.testing.assert_allclose(ours, theirs, atol=0.02 * max(1.0, np.abs(theirs).sum()))

# %% [markdown]
# ## Three explanations of one answer

# %%
methods = ("attention", "rollout", "integrated-gradients")
explained = {method: explain(predictor, TEXT, method=method) for method in methods}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
names = library.shown
for axis, (method, found) in zip(axes, explained.items(), strict=True):
    colours = ["tab:orange" if s < 0 else "tab:blue" for s in found.scores]
    axis.barh(range(len(names)), found.scores, color=colours)
    axis.set_title(method)
axes[0].set_yticks(range(len(names)), names)
axes[0].invert_yaxis()
figure.tight_layout()
show(
    figure,
    "Bars for each token of the text by three methods. Attention and rollout are positive and spread over all tokens, "
    "special ones included; integrated gradients have both signs and differ from token to token.",
)

# %% [markdown]
# They disagree. Which one should be believed?
#
# ## What attention does not say: the faithfulness test
#
# An explanation marks some words as important. So **hide them and ask the model again**. If its answer does not move,
# or moves no more than when random words are hidden, the marks say nothing about the model (DeYoung et al. 2020,
# arXiv 1911.03429). Every explanation of this workbench carries that test:

# %%
for method, found in explained.items():
    print(f"{method:>20}: {found.faithfulness['sentence']}")

# %% [markdown]
# By hand, for the first one: which are the marked tokens, and what does the model say without them?

# %%
proof = explained["attention"].faithfulness
hidden = inputs["input_ids"].clone()
hidden[0, proof["marked"]] = tokenizer.mask_token_id
with torch.no_grad():
    label = predictor.labels.index(explained["attention"].target)
    before = model(**inputs).logits.softmax(-1)[0, label].item()
    after = model(**{**inputs, "input_ids": hidden}).logits.softmax(-1)[0, label].item()
np.testing.assert_allclose([before, after], [proof["whole"], proof["without_marked"]], atol=1e-5)
print(f"{before:.3f} -> {after:.3f}, marked:", [names[i] for i in proof["marked"]])

# %% [markdown]
# One text is one toss of a coin. Over several texts, the mean fall of the probability, beside that of random words:

# %%
texts = [
    "A wonderful cast and a clever script.",
    "Dull, overlong and badly acted.",
    "It made me laugh, and then it made me think.",
    "The plot makes no sense and the jokes are stale.",
    "One of the best films of the year.",
    "A waste of a talented director.",
][: size(test=2, cpu=6, gpu=6)]
figure, axis = plt.subplots(figsize=(6, 3))
for place, method in enumerate(methods):
    proofs = [explain(predictor, text, method=method).faithfulness for text in texts]
    fall = np.mean([proof["comprehensiveness"] for proof in proofs])
    chance = np.mean([proof["random_comprehensiveness"] for proof in proofs])
    axis.bar(place - 0.2, fall, 0.4, color="tab:blue", label="marked words hidden" if place == 0 else None)
    axis.bar(place + 0.2, chance, 0.4, color="lightgrey", label="random words hidden" if place == 0 else None)
    print(f"{method:>20}: {fall:+.3f}, random {chance:+.3f}")
axis.axhline(0, color="grey", linewidth=0.8)
axis.set_xticks(range(len(methods)), methods)
axis.set_ylabel("fall of the probability")
axis.legend()
show(
    figure,
    "For each method, the fall of the answer's probability when marked words are hidden, beside random ones.",
)

# %% [markdown]
# Read the bars in pairs: a method is worth something here as far as its bar stands above the grey one beside it. With
# a model this weakly trained (and with so few texts) the differences may be small; `workbench prove RUN` does the
# same over a run's own test texts, with intervals. Jain and Wallace (2019, arXiv 1902.10186) found that one can often
# change attention weights a lot without changing the answer: weights are what a layer *took*, not what decided.
#
# ## Summary
#
# * Views show the weights of heads; rollout multiplies layers; integrated gradients share out the answer itself.
# * Explanations of one answer disagree. The faithfulness test asks the model, not the eye.
# * Always beside random words, and over more than one text.
#
# ## Questions to think about
#
# 1. Rollout knows nothing of the values. Think of a head with large weights and values that are all 0: what would
#    rollout say?
# 2. Why must a baseline text be chosen for integrated gradients, and how would `[PAD]` in place of `[MASK]` change
#    it?
# 3. A hidden word leaves a text such as no one writes. Whom may that favour?
#
# ## Where to go on
#
# * The dashboard's **Explain** page; lesson 09, [explain a decision to a
#   customer](../tutorials/09_explain.ipynb).
# * `workbench explainers` lists all methods; `workbench/explain/`, a file a method.
