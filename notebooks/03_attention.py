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
# # 03 · Attention
#
# **After this notebook you can** compute attention with pencil and paper, write it in four lines of torch, say what a
# mask and a head are, and name the two things that attention alone cannot do.
#
# **You need** notebook 01 (a text is a sequence of token numbers, and each token has a vector). School mathematics:
# sums, square roots, the exponential function. A *vector* here is a list of numbers; a *matrix* a table of them.
#
# **Time:** about 20 minutes to read; the cells run in less than a minute on a laptop CPU (GPU: not measured yet).

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from workbench.models.loading import make_source
from workbench.models.networks.attention import MultiHeadAttention, causal_mask, padding_mask
from workbench.models.networks.transformer import Sinusoidal
from workbench.teach import done, size, widgets
from workbench.teach.pictures import show
from workbench.workspace import Workspace

torch.manual_seed(0)
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## The question
#
# *"The pilot saw the storm because **it** was huge."* What is *it*? You looked back at *pilot* and at *storm*, and
# picked the one that fits. A network that reads tokens one by one has to carry everything it may need later (notebook
# 02). **Attention** lets each token look directly at all others, and take from each as much as it wants.
#
# Each token does three things, with three vectors of its own:
#
# | vector | letter | what it is for |
# |---|---|---|
# | query | $q$ | what this token is looking for |
# | key | $k$ | what this token offers to match a query |
# | value | $v$ | what this token hands over when it matches |
#
# ## By hand, one number at a time
#
# Three tokens, vectors of two numbers. The numbers are chosen so that you can follow each step in your head. Imagine
# that the first number of a key says "I am a thing", and the second "I can be huge": a pilot is a thing, a storm is a
# thing that can well be huge, and *it* offers nothing yet.

# %%
tokens = ["pilot", "storm", "it"]
keys = [[1.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
values = [[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]]
query_of_it = [1.0, 1.0]  # "it" looks for a thing, and for one that can be huge

# %% [markdown]
# **Step 1: scores.** How well does the query match each key? Multiply number by number and add up: the *dot product*.
# It is large when two vectors point the same way. Then divide by $\sqrt{d_k}$, where $d_k$ is the number of numbers in
# a key (here 2); the reason follows below.
#
# $$s_j = \frac{q \cdot k_j}{\sqrt{d_k}}$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $q$ | `query_of_it` | $d_k$ numbers |
# | $k_j$, $v_j$ | `keys[j]`, `values[j]` | $d_k$ numbers each |
# | $s_j$, and in step 2 $w_j$ | `scores[j]`, `weights[j]` | one number for each token j |
# | $o$, in step 3 | `output` | as a value |

# %%
scores = []
for token, key in zip(tokens, keys, strict=True):
    dot = query_of_it[0] * key[0] + query_of_it[1] * key[1]
    scores.append(dot / math.sqrt(2))
    print(f"{token:>6}: {query_of_it[0]} x {key[0]} + {query_of_it[1]} x {key[1]} = {dot},  / √2 = {scores[-1]:.3f}")

# %% [markdown]
# **Step 2: weights.** Scores become shares that are positive and sum to 1. The *softmax* does that: take $e$ to the
# power of each score, and divide by the sum of all of them.
#
# $$w_j = \frac{e^{s_j}}{\sum_i e^{s_i}}$$

# %%
powers = [math.exp(score) for score in scores]
weights = [power / sum(powers) for power in powers]
for token, power, weight in zip(tokens, powers, weights, strict=True):
    print(f"{token:>6}: e^score = {power:.3f},  weight = {weight:.3f}")
print(f"   sum: {sum(weights):.3f}")

# %% [markdown]
# **Step 3: mix.** The new vector of *it* is the mean of all values, each counted by its weight: $o = \sum_j w_j v_j$.

# %%
output = [0.0, 0.0]
for weight, value in zip(weights, values, strict=True):
    output = [output[0] + weight * value[0], output[1] + weight * value[1]]
print("the new vector of 'it':", [round(number, 3) for number in output])

# %% [markdown]
# *storm* got the largest share, so the new vector of *it* is mostly storm's value. That is all attention is: **a
# weighted mean, whose weights are computed from the content**.
#
# ## All tokens at once
#
# Each token has a query. Stack the queries as the rows of a matrix $Q$, and likewise $K$ and $V$. Then all dot
# products are one matrix product, $QK^\top$ ("$\top$": rows and columns exchanged):
#
# $$\operatorname{Attention}(Q, K, V) = \operatorname{softmax}\!\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$
#
# This is equation 1 of *Attention Is All You Need* (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1). The shapes,
# which this workbench uses everywhere:
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $Q$ | `query` | $[T, d_k]$ | T tokens that look |
# | $K$ | `key` | $[S, d_k]$ | S tokens that are looked at; within one text S = T |
# | $V$ | `value` | $[S, d_k]$ | |
# | $d_k$ | `query.shape[-1]` | a number | the width of a key |
# | the softmax | `weights` | `[T, S]` | row t: what token t takes from each; each row sums to 1 |
#
# In torch `@` multiplies matrices, and `transpose(-2, -1)` exchanges the last two axes. Three dots in a shape mean any
# axes that come before (texts, heads); each of them is processed separately. What a mask is for comes below;
# `masked_fill(~mask, -math.inf)` writes $-\infty$ wherever the mask is not True (`~` is *not*).


# %%
def attention(query, key, value, mask=None):
    """softmax(Q Kᵀ / √d_k) V; a mask is True where a query may look."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [..., T, S]
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


query = torch.tensor([[1.0, 0.0], [0.0, 1.0], query_of_it])
all_outputs, all_weights = attention(query, torch.tensor(keys), torch.tensor(values))
print(all_weights)
torch.testing.assert_close(all_outputs[2], torch.tensor(output))  # the last row is what was computed by hand


# %%
def heatmap(axis, weights, rows, columns, title=""):
    axis.imshow(weights.numpy(), cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axis.set_yticks(range(len(rows)), rows)
    axis.set_title(title)
    if len(rows) <= 6:
        for i in range(len(rows)):
            for j in range(len(columns)):
                colour = "white" if weights[i][j] > 0.6 else "black"
                axis.text(j, i, f"{float(weights[i][j]):.2f}", ha="center", va="center", color=colour)


figure, axis = plt.subplots(figsize=(4, 3.4))
heatmap(axis, all_weights, tokens, tokens)
axis.set_xlabel("is looked at")
axis.set_ylabel("looks")
most = int(all_weights[2].argmax())
show(
    figure,
    f"Table of attention weights, 3 by 3. The row of 'it' has its largest weight, {all_weights[2, most]:.2f}, on "
    f"'{tokens[most]}'.",
)

# %% [markdown]
# ## Why divide by √d_k
#
# Let the numbers of $q$ and $k$ be independent, with mean 0 and variance 1 (this is about right at the beginning of
# training; the *variance* is the mean squared distance from the mean). Their dot product is a sum of $d_k$ products,
# each with mean 0 and variance 1. Variances of independent numbers add up, so the dot product has variance $d_k$. Wide
# vectors would produce scores like ±20, and a softmax of such scores is almost 1 in one position and almost 0
# elsewhere. Its gradient (which way, and how much, each weight has to move) is then almost 0, and almost nothing is
# learned. Divided by $\sqrt{d_k}$ the variance is 1, whatever the width. Look:

# %%
widths = [4, 16, 64, 256, 1024]
largest = {"without division": [], "divided by √d_k": []}
for width in widths:
    q, k = torch.randn(500, 1, width), torch.randn(500, 10, width)
    raw = (q @ k.transpose(1, 2)).squeeze(1)  # 500 queries, 10 keys each
    scaled = raw / math.sqrt(width)
    for name, scores_of_all in zip(largest, (raw, scaled), strict=True):
        largest[name].append(scores_of_all.softmax(-1).max(-1).values.mean().item())
    print(f"d_k = {width:>4}: variance of the scores {raw.var():8.1f}, after division {scaled.var():.2f}")

figure, axis = plt.subplots(figsize=(6, 3))
for (name, line), marker in zip(largest.items(), "os", strict=True):
    axis.plot(widths, line, marker=marker, label=name)
axis.set(xscale="log", xlabel="d_k, numbers in a key", ylabel="largest of 10 weights (mean)", ylim=(0, 1))
axis.legend()
summary = [f"{name} from {line[0]:.2f} to {line[-1]:.2f}" for name, line in largest.items()]
show(
    figure,
    f"The largest of ten weights as keys get wider, from {widths[0]} to {widths[-1]} numbers: {', '.join(summary)}. "
    "Two lines.",
)

# %% [markdown]
# The same division, seen from another side, is a **temperature**: dividing scores by a larger number makes the weights
# more even, by a smaller one more concentrated. You will meet it again when text is generated (notebook 06).

# %%
scores_of_it = torch.tensor(scores)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.2), sharey=True)
summary = []
for axis, temperature in zip(axes, (0.2, 1.0, 3.0, 20.0), strict=True):
    shares = (scores_of_it / temperature).softmax(0)
    axis.bar(tokens, shares.tolist())
    axis.set_title(f"temperature {temperature}")
    summary.append(
        f"at {temperature} " + ", ".join(f"{t} {w:.2f}" for t, w in zip(tokens, shares.tolist(), strict=True))
    )
axes[0].set(ylim=(0, 1), ylabel="weight")
show(figure, f"Weights of 'it' at four temperatures: {'; '.join(summary)}.")

# %% [markdown]
# ## Where queries, keys and values come from
#
# Nobody writes them down. A token's vector $x$ (width $D$) is multiplied by three matrices, and these matrices are
# learned: $q = xW^Q + b^Q$, $k = xW^K + b^K$, $v = xW^V + b^V$. In torch such a map is `nn.Linear`, which stores its
# matrix transposed:
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x`, all tokens as rows | `[T, D]` |
# | $W^Q$, $W^K$, $W^V$ | `W_q.weight.T`, `W_k.weight.T`, `W_v.weight.T` | `[D, D]` each |
# | $b^Q$, $b^K$, $b^V$ | `W_q.bias`, `W_k.bias`, `W_v.bias` | `[D]` each |
#
# ## Masks: where no token may look
#
# Two kinds of positions have to be hidden, and both in the same way: the score becomes $-\infty$ before the softmax.
# As $e^{-\infty} = 0$, the weight is exactly 0, and the others still sum to 1.
#
# * **Padding.** The texts of a batch are padded to the same length with `[PAD]`. No token may look at it.
# * **The future.** A model that learns to predict the next token must not see it: token t sees tokens 0 … t (a
#   *causal* mask).

# %%
words = ["a", "quiet", "moving", "film", "[PAD]", "[PAD]"]
length, width = len(words), 16
x = torch.randn(length, width)
W_q, W_k, W_v = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
q, k, v = W_q(x), W_k(x), W_v(x)
torch.testing.assert_close(q, x @ W_q.weight.T + W_q.bias)

is_text = torch.tensor([word != "[PAD]" for word in words])
padding = is_text[None, :].expand(length, length)  # [T, S]: a column is hidden from everybody
causal = torch.ones(length, length).tril().bool()  # row t: True up to column t

figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
summary = []
for axis, mask, title in zip(axes, (None, padding, causal), ("no mask", "padding hidden", "causal"), strict=True):
    weights = attention(q, k, v, mask)[1].detach()
    heatmap(axis, weights, words, words, title)
    hidden = torch.zeros_like(weights, dtype=torch.bool) if mask is None else ~mask
    assert torch.equal(weights == 0, hidden)  # 0 where the mask hides, and nowhere else
    summary.append(f"{title}: {int(hidden.sum())} of {weights.numel()} weights are 0")
figure.tight_layout()
show(
    figure,
    f"Three tables of weights of six tokens. {'; '.join(summary)}: with padding hidden the last two columns, with the "
    "causal mask all above the diagonal.",
)

# %% [markdown]
# Now try it yourself. Lower the temperature to 0.1 and raise it to 20, and watch the largest weight of each row. Then
# choose the causal mask, and hide two positions at the end, like padding. Every row still sums to 1, and what is
# hidden has weight 0 at any temperature. (The sliders need a running notebook; elsewhere three settings are shown.)

# %%
widgets.attention(q @ k.T / math.sqrt(width), words)

# %% [markdown]
# A forgotten mask raises no error, and the numbers look reasonable. So test it: **change what must not be seen; the
# result must not change.**

# %%
changed = x.clone()
changed[4:] = 100.0  # garbage in the padding
before, _ = attention(W_q(x), W_k(x), W_v(x), padding)
after, _ = attention(W_q(changed), W_k(changed), W_v(changed), padding)
without, _ = attention(W_q(changed), W_k(changed), W_v(changed))
print("largest change of a real token, with the mask:   ", (before - after)[:4].abs().max().item())
print("largest change of a real token, without the mask:", round((before - without)[:4].abs().max().item(), 2))
torch.testing.assert_close(before[:4], after[:4])

# %% [markdown]
# ## Heads
#
# One softmax is one way of looking. A token may need several: its verb, its adjective, the word before it. So the $D$
# numbers of query, key and value are split into $H$ groups of $d_k = D / H$ numbers. Each group attends separately (a
# **head**), and the outputs are concatenated again and mixed by one last matrix $W^O$ (section 3.2.2 of the paper).
#
# $$\operatorname{head}_h = \operatorname{Attention}(Q_h, K_h, V_h) \qquad
# \operatorname{MultiHead} = [\operatorname{head}_1; \dots; \operatorname{head}_H]\,W^O + b^O$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $Q_h$, $K_h$, $V_h$ | `q[:, h]`, `k[:, h]`, `v[:, h]` | $[B, T, d_k]$ |
# | $\operatorname{head}_h$ | `mixed[:, h]` | $[B, T, d_k]$ |
# | $[\operatorname{head}_1; \dots; \operatorname{head}_H]$ | `joined` | `[B, T, D]` |
# | $W^O$, $b^O$ | `output.weight.T`, `output.bias` | `[D, D]`, `[D]` (the paper omits all biases) |
#
# In the code, splitting is a change of shape: `[B, T, D]` becomes $[B, T, H, d_k]$, and then the axes are exchanged to
# $[B, H, T, d_k]$, so that torch computes all heads of all texts in one product. (B: the texts in the batch, which are
# computed together. The library's comments write K for $d_k$.)
#
# `nn.Module` is torch's class for a layer with weights. Its `__init__` creates the weights, its `forward` says what is
# computed; you call it like a function.


# %%
class MyAttention(nn.Module):
    """Multi-head self-attention: [B, T, D] to [B, T, D]."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def split(self, x):  # [B, T, D] -> [B, H, T, d_k]
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x, mask=None):
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        mixed, weights = attention(q, k, v, mask)  # [B, H, T, d_k]
        joined = mixed.transpose(1, 2).reshape(x.shape)  # [B, T, D]
        return self.output(joined), weights


mine = MyAttention(width=32, heads=4)
batch = torch.randn(2, 7, 32)
output, weights = mine(batch)
print("output ", list(output.shape), " weights", list(weights.shape), "(B, H, T, S)")

# %% [markdown]
# The word *weights* has two meanings here: the shares of attention, computed for each text, and the numbers that a
# model learns. How many of the second kind are there? Four maps of $D \times D$ and a bias each, however many heads.
# More heads cost no more weights: each is narrower.

# %%
for heads in (1, 4, 8):
    print(heads, "heads:", sum(p.numel() for p in MyAttention(32, heads).parameters()), "weights")

# %% [markdown]
# ## Compared with the library
#
# `workbench.models.networks.attention.MultiHeadAttention` is what all models of this workbench run. It stores the
# three maps in one matrix (one large product is faster than three small ones). With the same weights, it must compute
# the same numbers. It does so in two ways: one written out like ours, and one with torch's *fused kernel*, a single
# piece of compiled code for all the steps that never stores the table of weights. (`eval()` switches off what is for
# training only; `no_grad()` tells torch that no gradients are needed.)

# %%
library = MultiHeadAttention(hidden_size=32, num_heads=4).eval()
with torch.no_grad():
    library.query_key_value.weight.copy_(torch.cat([m.weight for m in (mine.query, mine.key, mine.value)]))
    library.query_key_value.bias.copy_(torch.cat([m.bias for m in (mine.query, mine.key, mine.value)]))
    library.output.load_state_dict(mine.output.state_dict())

attention_mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]])  # the second text is shorter
for name, mask in {
    "no mask": None,
    "padding": padding_mask(attention_mask),
    "causal": causal_mask(7, 7, batch.device),
}.items():
    ours, our_weights = mine(batch, mask)
    theirs, their_weights = library(batch, mask, output_attentions=True)
    fused, _ = library(batch, mask)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours, fused, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(our_weights, their_weights, atol=1e-5, rtol=1e-5)
    print(f"{name:>8}: same outputs and weights; largest difference {(ours - theirs).abs().max().item():.1e}")

# %% [markdown]
# From here on we use the library's.
#
# ## What attention cannot do, 1: see the order
#
# Shuffle the tokens, and each gets the very same vector as before, only at another position: "dog bites man" and "man
# bites dog" are the same set.

# %%
order = torch.randperm(7)
straight, _ = library(batch)
shuffled, _ = library(batch[:, order])
torch.testing.assert_close(straight[:, order], shuffled, atol=1e-5, rtol=1e-5)
print("order:", order.tolist(), "-> the same vectors, in that order")

# %% [markdown]
# So each token needs to know its position. The first Transformer adds **waves** of many lengths to the tokens' vectors
# (section 3.5): number $2i$ of position $p$ is $\sin(p / 10000^{2i/D})$, number $2i+1$ the cosine. In the code these
# are `table[p, 2 * i]` and `table[p, 2 * i + 1]` of a `table` `[positions, D]`. Fast waves distinguish neighbors, slow
# ones say roughly where in the text a token is. BERT and GPT-2 learn a vector for each position instead. Newer models
# rotate queries and keys by an angle that grows with the position ("rotary"), so that a score depends on the distance.

# %%
table = Sinusoidal(max_positions=64, hidden_size=64).make_table()  # [positions, D]
by_hand = [math.sin(5 / 10_000 ** (2 * 3 / 64)), math.cos(5 / 10_000 ** (2 * 3 / 64))]  # p = 5, i = 3
torch.testing.assert_close(table[5, 6:8], torch.tensor(by_hand), atol=1e-5, rtol=1e-5)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
axes[0].imshow(table.T.numpy(), aspect="auto", cmap="RdBu")
axes[0].set(xlabel="position p", ylabel="number in the vector", title="waves")
summary = []
for position in (5, 30, 50):
    products = table @ table[position]
    axes[1].plot(products, label=f"position {position}")
    summary.append(f"of position {position} it is largest at position {int(products.argmax())}")
axes[1].set(xlabel="other position", ylabel="dot product", title="near positions are alike", ylim=(None, 38))
axes[1].legend(ncols=3, loc="upper center", fontsize=8)
figure.tight_layout()
show(
    figure,
    "Left: waves over 64 positions, quick in the upper rows and slow in the lower. Right: the dot product of a "
    "position's "
    f"vector with all others: {', '.join(summary)}.",
)

# %% [markdown]
# (In the left picture the lower rows hardly change over 64 positions, since their waves are thousands of positions
# long: the sine stays near 0 and the cosine near 1, which makes the stripes.)
#
# Below, you can change all this, and choose other kinds of positions. (For *rotary*, three arrows are drawn at the
# left: the numbers of a query or key are taken two at a time, each pair is an arrow in the plane, and each pair
# rotates at its own speed as the position grows.)
#
# Move the position: with waves and with rotary positions the curve keeps its shape and only shifts, because it depends
# on the distance alone. Then change the base, the 10000 of the formula. With a small base all waves are fast: the
# curve drops at once and then only ripples, and no longer says how far away a distant position is.

# %%
widgets.positions()

# %% [markdown]
# ## What attention cannot do, 2: be cheap on long texts
#
# There are $T \times T$ weights in each head: a text twice as long has four times as many. BERT-base has 12 layers of
# 12 heads, and a number takes 4 bytes (a MiB is $2^{20}$ bytes):

# %%
lengths = size(test=[64, 128], cpu=[128, 256, 512, 1024], gpu=[512, 1024, 2048, 4096])
for length in lengths:
    print(f"{length:>5} tokens: {12 * 12 * length**2 * 4 / 2**20:>8,.0f} MiB for all weights of BERT-base, one text")

# %% [markdown]
# This is why the fused kernel never writes them down, and why notebook 11 asks for them only when it shows them.
#
# ## Real attention
#
# MiniLM is a small published BERT (6 layers, 12 heads). Two of its 72 heads, on a sentence (layers and heads are
# counted from 0, as in the code):

# %%
loaded = make_source("minilm", Workspace.current()).load("AutoModel", {})  # fetched once, 91 MB, and kept
minilm, tokenizer = loaded.model.eval(), loaded.tokenizer
minilm.set_attn_implementation("eager")  # attention that is written out
inputs = tokenizer("The pilot saw the storm because it was huge.", return_tensors="pt")
names = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
with torch.no_grad():
    attentions = torch.stack(minilm(**inputs, output_attentions=True).attentions)[:, 0]  # [layers, H, T, T]
print("all weights:", list(attentions.shape))

# %% [markdown]
# Which head looks one token back, and which one looks everywhere about evenly? Measure it instead of judging by eye:
# the mean weight on the previous token, and the mean *entropy* $-\sum_j w_j \ln w_j$ of a row, which is 0 when one
# token takes all, and largest when all take the same.

# %%
back = attentions.diagonal(offset=-1, dim1=-2, dim2=-1).mean(-1)  # [layers, H]
entropy = torch.special.entr(attentions).sum(-1).mean(-1)  # [layers, H]
picked = [(int(m.argmax()) // 12, int(m.argmax()) % 12) for m in (back, entropy)]
print(f"weight one token back: {back.max():.2f} in one head, {back.mean():.2f} in the mean of all")
print(f"entropy: from {entropy.min():.2f} to {entropy.max():.2f}; even over all tokens is {math.log(len(names)):.2f}")

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6))
summary = []
for axis, (layer, head), what in zip(axes, picked, ("one token back", "about evenly"), strict=True):
    weights = attentions[layer, head]
    heatmap(axis, weights, names, names, f"layer {layer}, head {head}: {what}")
    summary.append(
        f"weight one token back {weights.diagonal(offset=-1).mean():.2f} in the mean, "
        f"largest weight anywhere {weights.max():.2f}"
    )
figure.tight_layout()
show(figure, f"Two heads of MiniLM on one sentence, as tables of weights. Left: {summary[0]}. Right: {summary[1]}.")

# %% [markdown]
# Weights must sum to 1, so a head that finds nothing of interest in a sentence still has to put them somewhere. Where?
# See how much `[CLS]` and `[SEP]` get, on average over all tokens and heads of a layer:

# %%
for name, position in (("[CLS]", 0), ("[SEP]", -1)):
    shares = attentions[..., position].mean(dim=(1, 2)).tolist()
    print(f"share on {name}, layer by layer:", [round(share, 2) for share in shares])

# %% [markdown]
# In MiniLM it is mostly `[CLS]`; in BERT it is often `[SEP]` (Clark et al. 2019, arXiv 1906.04341). A large weight
# does not make a token important. Notebook 11 tests that.
#
# ## Summary
#
# * Attention is a weighted mean of values. The weights are a softmax of scaled dot products of queries and keys.
# * $\sqrt{d_k}$ prevents the softmax from saturating. A mask is $-\infty$ before the softmax: weight exactly 0.
# * Heads are narrow attentions that run in parallel; they cost no more weights.
# * Attention alone sees no order, and its cost grows with the square of the length.
#
# ## Questions to think about
#
# 1. What happens to a row whose every position is masked with $-\infty$? (Try it. The library uses the smallest finite
#    number instead: why?)
# 2. If all keys were the same vector, what would attention compute?
# 3. A causal mask makes the matrix of weights lower triangular. How many of the $T^2$ scores are then computed for
#    nothing?
#
# ## Where to go next
#
# * [Notebook 04](04_transformer.ipynb) puts attention into a Transformer, and loads published weights into it.
# * [`attention.py`](../workbench/models/networks/attention.py) is what this notebook built, as a module of the library
#   (with rotary positions and the cache of notebook 06).
# * Vaswani et al. 2017, [*Attention Is All You Need*](https://arxiv.org/abs/1706.03762), section 3.2.

# %%
done("03-attention")
