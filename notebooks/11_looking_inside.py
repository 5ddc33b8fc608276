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
# **Time:** about 20 minutes to read; the cells run in about a minute on a laptop CPU (GPU: not measured yet).

# %%
import html

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML
from scipy.stats import spearmanr

import workbench as wb
from workbench.explain import capture_queries_keys
from workbench.explain.capture import capture_attention
from workbench.explain.methods.rollout import rollout
from workbench.explain.render.bertviz import head_view, model_view
from workbench.explain.render.neuron import neuron_view
from workbench.teach import done, size
from workbench.teach.pictures import show

TEXT = "A quiet, moving film with a dreadful ending."

# %% [markdown]
# ## A model to look into
#
# MiniLM, fine-tuned on film reviews (notebook 07).

# %%
limit = size(
    test={"train": 16, "valid": 8, "test": 8},
    cpu={"train": 800, "valid": 200, "test": 300},
    gpu={"train": 4_000, "valid": 500, "test": 1_000},
)
finished = wb.run(
    {
        "name": "course-11",
        "task": "text-classification",
        "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": size(test=24, cpu=64, gpu=64)},
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=2, gpu=3)},
    },
    reuse=True,
)
answer = finished.predict(TEXT)[0]
print(f"{answer.label}, with a probability of {answer.score:.2f}")

# %% [markdown]
# ## Three views of attention
#
# Every head of every layer gives each token a weight for each token: a table `[T, T]`. For one text that is `[layers,
# heads, T, T]`, here 6 x 12 tables. bertviz (Vig 2019, arXiv 1906.05714) offers three ways to look at them:
#
# * the **head view**: lines from each token to those it attends to, one layer at a time;
# * the **model view**: many tables at once, in small size (below, only those of two layers and four heads);
# * the **neuron view**: query, key and their products for one head, the steps of notebook 03.
#
# Each view is a separate page inside the notebook, and works offline. The dashboard's **Explain** page has the same
# three. A description in words follows each view, for readers who cannot see it. Layers and heads are counted from 0,
# as in the code.

# %%
predictor = finished.predictor()
attention = capture_attention(predictor.model, predictor.tokenizer, TEXT)
print("weights:", list(attention.weights.shape), "tokens:", attention.tokens)


def page(document, height, title, words):
    """Return a page inside the notebook, separate from its scripts and styles, and a description in words."""
    frame = f'<iframe title="{title}" width="100%" height="{height}" srcdoc="{html.escape(document)}"></iframe>'
    return HTML(f"<div>{frame}<p>In words: {html.escape(words)}</p></div>")


def looked_at(weights):
    """Return the token that receives most of the weights [..., T, T], and its share."""
    received = weights.reshape(-1, len(attention.tokens)).mean(axis=0)
    return f"“{attention.tokens[received.argmax()]}” ({received.max():.0%} of all weight)"


LAYER = 5  # the last
words = f"lines from each token to those it attends to in layer {LAYER}, in a color for each of {attention.heads} heads"
page(
    head_view(attention, layer=LAYER),
    420,
    "Attention view",
    f"{words}. Most attention over all heads: {looked_at(attention.weights[LAYER])}.",
)

# %% [markdown]
# Point at a token on the left to see only its lines; click a colored square to hide or show a head.

# %%
LAYERS, HEADS = [4, 5], [0, 1, 2, 3]
each = [f"layer {i}, head {j}: {looked_at(attention.weights[i, j])}" for i in LAYERS for j in HEADS]
page(
    model_view(attention, layers=LAYERS, heads=HEADS),
    420,
    "Attention view",
    f"{len(each)} small plots, a row for each layer, a column for each head. Most attention in {'; '.join(each)}.",
)

# %% [markdown]
# The third view goes one step deeper, to how the weights are computed: a head compares the query $q_i$ of a token with
# the key $k_j$ of each token. It multiplies them number by number, sums the products and divides by $\sqrt{K}$ (where
# $K$ is the size of each vector), and the softmax over $j$ returns the weights. Point at a token on the left, and
# click the **+** that appears: stripes of numbers replace the lines.

# %%
captured = capture_queries_keys(predictor.model, predictor.tokenizer, TEXT)
queries, keys = captured.queries[LAYER, 0], captured.keys[LAYER, 0]  # of head 0: [T, K] both
products = queries @ keys.T / np.sqrt(queries.shape[1])  # [T, T]
powers = np.exp(products - products.max(axis=1, keepdims=True))  # minus the largest: same shares, no huge numbers
softmax = powers / powers.sum(axis=1, keepdims=True)
np.testing.assert_allclose(softmax, attention.weights[LAYER, 0], atol=1e-5)  # the same weights as above
strongest = [attention.tokens[i] for i in np.unravel_index(products.argmax(), products.shape)]
page(
    neuron_view(captured, layers=[LAYER], head=0),
    480,
    "Neuron view",
    f"queries and keys of layer {LAYER}, head 0, as colored stripes of {queries.shape[1]} numbers for each token. The "
    f"query of “{strongest[0]}” and the key of “{strongest[1]}” have the largest product, {products.max():.1f}.",
)

# %% [markdown]
# ## Rollout, by hand
#
# The weights of one layer show what a token takes from the vectors of the layer below, but those are already mixtures.
# **Rollout** (Abnar and Zuidema 2020, arXiv 2005.00928) multiplies the layers: $R = \hat A_L \cdots \hat A_2 \hat
# A_1$. Here $A_l$ is the mean over the heads of layer $l$, and $\hat A_l = \tfrac12 A_l + \tfrac12 I$ lets half of
# each token pass unchanged (the residual connection of notebook 04). $R$ shows how much of each token of the text is
# in each final vector, if layers did nothing but mix.
#
# | symbol | in the code | shape |
# |---|---|---|
# | $A_l$ | `layer` | `[T, T]` |
# | $I$ | `np.eye(T)` | `[T, T]` |
# | $\hat A_l$ | `0.5 * layer + 0.5 * np.eye(T)` | `[T, T]` |
# | $R$ | `rolled` | `[T, T]`, rows sum to 1 |

# %%
means = attention.weights.astype(float).mean(axis=1)  # over the heads: [layers, T, T]
T = len(attention.tokens)
rolled = np.eye(T)
for layer in means:
    rolled = (0.5 * layer + 0.5 * np.eye(T)) @ rolled
np.testing.assert_allclose(rolled, rollout(attention.weights), atol=1e-5)
print("the same as the library's; rows sum to", np.unique(rolled.sum(1).round(3)))

# %% [markdown]
# ## Integrated gradients, by hand
#
# Another question: how much does each token's vector $x_t$ contribute to the **answer** $f(x)$ (here the score of the
# predicted class)? The gradient shows how $f$ changes when $x_t$ changes a little. But a little is not enough. So
# follow the whole path, from a text $x'$ that says nothing (every word replaced by `[MASK]`) to the real text, and sum
# the gradients along it (Sundararajan et al. 2017, arXiv 1703.01365):
#
# $$\mathrm{IG}_t = (x_t - x'_t) \cdot \int_0^1 \frac{\partial f\bigl(x' + a\,(x - x')\bigr)}{\partial x_t}\,da$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | `[1, T, D]`: the vectors of the text's tokens |
# | $x'$ | `x0` | `[1, T, D]`: those of the same text with `[MASK]` for each word |
# | $a$ | `a` | a number: the position on the path, 0 is $x'$ and 1 is $x$ |
# | $f$ | `score` | `[1, T, D]` to a number |
# | $\int \dots da$ | `total` | `[1, T, D]`: the mean gradient along the path |
# | $\mathrm{IG}_t$ | `contributions` | `[T]` |
#
# The dot sums over the $D$ numbers of a vector. The method guarantees a property that you can check: **the
# contributions sum to $f(x) - f(x')$**.

# %%
model, tokenizer = predictor.model, predictor.tokenizer
inputs = tokenizer(TEXT, return_tensors="pt")
special = torch.tensor(
    tokenizer.get_special_tokens_mask(inputs["input_ids"][0], already_has_special_tokens=True)
).bool()
masked = inputs["input_ids"].masked_fill(~special, tokenizer.mask_token_id)
embeddings = model.get_input_embeddings()
x, x0 = embeddings(inputs["input_ids"]).detach(), embeddings(masked).detach()  # [1, T, D]
chosen = model(**inputs).logits[0].argmax().item()  # the predicted class


def score(vectors):
    """Return the chosen class's score, a number, for a text's vectors [1, T, D]."""
    return model(inputs_embeds=vectors, attention_mask=inputs["attention_mask"]).logits[0, chosen]


def integrated(points, weights):
    """Return the contributions [T] of the tokens, from the weighted gradients at some points on the path."""
    total = torch.zeros_like(x)
    for a, weight in zip(points, weights, strict=True):
        vectors = (x0 + float(a) * (x - x0)).requires_grad_()
        (gradient,) = torch.autograd.grad(score(vectors), vectors)
        total += float(weight) * gradient
    return ((x - x0) * total).sum(-1)[0]


with torch.no_grad():
    difference = float(score(x) - score(x0))
print(f"f(x) - f(x') = {difference:+.5f}")
for steps in (1, 4, 16):
    middles = (np.arange(steps) + 0.5) / steps  # the middle of each step, all equally long
    total = float(integrated(middles, np.full(steps, 1 / steps)).sum())
    print(f"{steps:>2} steps: the contributions sum to {total:+.5f}, off by {abs(total - difference):.5f}")

# %% [markdown]
# Equal steps are the simplest rule for an integral. The library (through captum) uses a more accurate one, the
# **Gauss-Legendre rule**, which chooses the points on the path and their weights so that fewer steps are needed. numpy
# provides them, for a path from -1 to 1. The library also doubles the number of steps until the sum is accurate to 1%.
# With its number of steps and its rule, our contributions must be the same:

# %%
library = finished.explain(TEXT, method="integrated-gradients")
steps = library.details["steps"]
points, weights = np.polynomial.legendre.leggauss(steps)
contributions = integrated((points + 1) / 2, weights / 2).numpy()  # from 0 to 1 instead of from -1 to 1
np.testing.assert_allclose(contributions, library.scores, atol=1e-5)
gap = np.abs(contributions - library.scores).max()
print(f"the same as the library's with {steps} steps: largest difference {gap:.1e}")
print(f"the contributions sum to {contributions.sum():+.5f}, and f(x) - f(x') is {difference:+.5f}")

# %% [markdown]
# ## Three explanations of one answer
#
# * **attention**: the rows of the last layer, their mean over the heads and over the tokens. (The classifier reads the
#   mean of all tokens' vectors. Of one that reads `[CLS]`, it would be the row of `[CLS]`.)
# * **rollout**: the mean of the rows of $R$.
# * **integrated gradients**: $\mathrm{IG}_t$.

# %%
methods = ("attention", "rollout", "integrated-gradients")
explanations = {method: finished.explain(TEXT, method=method) for method in methods}
np.testing.assert_allclose(explanations["attention"].scores, means[-1].mean(axis=0), atol=1e-5)
np.testing.assert_allclose(explanations["rollout"].scores, rolled.mean(axis=0), atol=1e-5)

names = library.shown
own = [index for index, special in enumerate(library.special) if not special]  # without [CLS] and [SEP]
scores = {method: np.array(explanation.scores)[own] for method, explanation in explanations.items()}
top = {method: [names[own[i]] for i in np.argsort(-values)[:3]] for method, values in scores.items()}

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
for axis, (method, values) in zip(axes, scores.items(), strict=True):
    axis.barh(range(len(own)), values, color=["tab:orange" if value < 0 else "tab:blue" for value in values])
    axis.set_title(method)
axes[0].set_yticks(range(len(own)), [names[i] for i in own])
axes[0].invert_yaxis()
figure.tight_layout()
against = [names[i] for i in own if library.scores[i] < 0]
show(
    figure,
    "Bars for each word by three methods. The highest scores: "
    + "; ".join(f"{method}: {', '.join(words)}" for method, words in top.items())
    + f". Only integrated gradients can be below 0, against the answer; here {', '.join(against) or 'none'}.",
)

# %% [markdown]
# The plot shows only the words, without `[CLS]` and `[SEP]`. You cannot compare the lengths of the bars between methods
# (shares of attention, contributions to a score), only their order.
#
# Do they agree? The **rank correlation** compares two orders of the words: 1 is the same order, 0 no relation, -1 the
# opposite order.

# %%
for first, second in (methods[:2], methods[1:], methods[::2]):
    shared = len(set(top[first]) & set(top[second]))
    correlation = spearmanr(scores[first], scores[second]).statistic
    print(f"{first} and {second}: rank correlation {correlation:+.2f}, {shared} of the top 3 words in common")

# %% [markdown]
# Where they differ, which one should you believe?
#
# ## What attention does not say: the faithfulness test
#
# An explanation marks some words as important. So **mask them and run the model again**. If its answer does not
# change, or changes no more than when random words are masked, the marks say nothing about the model (DeYoung et al.
# 2020, arXiv 1911.03429). Every explanation of this workbench includes this test: it replaces about a fifth of the
# text's tokens (at least one), those with the highest scores, by `[MASK]`.

# %%
for method, explanation in explanations.items():
    print(f"{method:>20}: {explanation.faithfulness['sentence']}")

# %% [markdown]
# By hand, for attention: which tokens are marked, and what does the model predict without them?

# %%
faithfulness = explanations["attention"].faithfulness
ids = inputs["input_ids"].clone()
ids[0, faithfulness["top_k"]] = tokenizer.mask_token_id
with torch.no_grad():
    label = predictor.labels.index(explanations["attention"].target)
    before = model(**inputs).logits.softmax(-1)[0, label].item()
    after = model(**{**inputs, "input_ids": ids}).logits.softmax(-1)[0, label].item()
np.testing.assert_allclose([before, after], [faithfulness["original"], faithfulness["without_top_k"]], atol=1e-5)
print(f"{before:.3f} -> {after:.3f}, marked:", [names[i] for i in faithfulness["top_k"]])

# %% [markdown]
# A single text is like a single coin toss. Here is the mean over several texts of how far the probability falls (this
# is called *comprehensiveness*), next to the same for random words:

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
descriptions = []
for index, method in enumerate(methods):
    results = [finished.explain(text, method=method).faithfulness for text in texts]
    fall = np.mean([result["comprehensiveness"] for result in results])
    chance = np.mean([result["random_comprehensiveness"] for result in results])
    axis.bar(index - 0.2, fall, 0.4, color="tab:blue", label="marked words masked" if index == 0 else None)
    axis.bar(index + 0.2, chance, 0.4, color="lightgrey", label="random words masked" if index == 0 else None)
    descriptions.append(f"{method} {fall:+.3f}, random {chance:+.3f}")
    print(f"{method:>20}: {fall:+.3f}, random {chance:+.3f}")
axis.axhline(0, color="grey", linewidth=0.8)
axis.set_xticks(range(len(methods)), methods)
axis.set_ylabel("fall of the probability")
axis.legend()
show(
    figure,
    "How far the answer's probability falls when marked words are masked, and when random words are: "
    + "; ".join(descriptions)
    + ".",
)

# %% [markdown]
# Read the bars in pairs: a method is useful here as far as its bar exceeds the gray bar next to it. With a model
# trained this little (and with so few texts) the differences may be small; `workbench faithfulness RUN` computes the
# same on a run's test texts, with intervals. Jain and Wallace (2019, arXiv 1902.10186) showed that you can often
# change attention weights a lot without changing the answer: weights show what a layer *read*, not what was decisive.
#
# ## Summary
#
# * Views show the weights of heads; rollout multiplies layers; integrated gradients divide the answer itself among the
#   tokens.
# * Explanations of one answer disagree. The faithfulness test asks the model, not the eye.
# * Always compare with random words, and over more than one text.
#
# ## Questions to think about
#
# 1. Rollout does not use the values. Think of a head with large weights and values that are all 0: what would rollout
#    show?
# 2. Why do integrated gradients need a baseline text, and how would `[PAD]` in place of `[MASK]` change the result?
# 3. Masking a word makes a text that nobody would write. Which methods may that favor?
#
# ## Where to go next
#
# * [Notebook 12](12_comparing_honestly.ipynb): is a difference more than chance?
# * The dashboard's **Explain** page; lesson 09, [explain a decision to a customer](../tutorials/09_explain.ipynb).
# * `workbench explainers` lists all methods; each is a file in
#   [workbench/explain/methods](../workbench/explain/methods).

# %%
done("11-looking-inside")
