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
# # 02 · Before Transformers
#
# **After this notebook you can** write a fully connected, a convolutional and a recurrent network by hand, see in a
# picture why long memories fade, and say what each kind of network cannot do.
#
# **You need** notebook 01 (tokens are numbers, each with a vector).
#
# **Time:** about 25 minutes to read; the cells run in about 3 minutes on a laptop CPU (GPU: not measured yet).

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

from workbench.teach import size
from workbench.teach.pictures import show
from workbench.teach.runs import run

_ = torch.manual_seed(0)

# %% [markdown]
# ## The question
#
# A review is a row of T words; each word has a vector of D numbers (its embedding, notebook 01). So a review is a table
# `[T, D]`, and T differs from review to review. The answer is one of two labels. How does one get from a table of
# any length to an answer?
#
# Four small reviews of four words each, with vectors of three numbers, are enough to see how each network does it.

# %%
vocabulary = ["not", "good", "bad", "but", "film", "very"]
reviews = [["not", "good", "but", "bad"], ["not", "bad", "but", "good"], ["very", "good", "film", "film"]]
embedding = nn.Embedding(len(vocabulary), 3)
ids = torch.tensor([[vocabulary.index(word) for word in review] for review in reviews])
x = embedding(ids).detach()
print("ids", list(ids.shape), "-> vectors", list(x.shape), "= [B, T, D]: reviews, words, numbers")

# %% [markdown]
# ## Fully connected: take the mean
#
# The shortest way: the mean of all vectors, then a **fully connected** network. One of its layers multiplies with a
# table of weights and adds a bias; between two layers stands something that is not a straight line, here the ReLU,
# which makes negative numbers 0. Without it two layers would be no more than one.
#
# $$h = \operatorname{ReLU}(W_1 \bar x + b_1), \qquad y = W_2 h + b_2$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $\bar x$ | `mean` | `[B, D]`: the mean over the T words |
# | $W_1$, $b_1$ | `first.weight`, `first.bias` | `[H, D]`, `[H]` |
# | $W_2$, $b_2$ | `second.weight`, `second.bias` | `[2, H]`, `[2]` |

# %%
first, second = nn.Linear(3, 8), nn.Linear(8, 2)


def fully_connected(x):
    """Scores [B, 2] from the mean of the vectors [B, T, D]."""
    mean = x.mean(dim=1)
    hidden = torch.clamp(mean @ first.weight.T + first.bias, min=0)  # ReLU
    return hidden @ second.weight.T + second.bias


with torch.no_grad():
    scores = fully_connected(x)
    torch.testing.assert_close(scores, nn.Sequential(first, nn.ReLU(), second)(x.mean(dim=1)))  # torch's own layers
print(scores)

# %% [markdown]
# Look at the first two rows: *not good but bad* and *not bad but good* get the same scores, and always will, however
# the network is trained. A mean does not know the order. For many reviews that hurts little: *wonderful* is wonderful
# wherever it stands.
#
# ## Convolution: look at neighbours
#
# A **convolution** slides over the text and looks at a few neighbours at once, here at 3. At each place it lays their
# vectors end to end (3 x D numbers) and multiplies with a table of **filters**; each filter learns to answer to one
# kind of phrase. Then the largest answer of each filter is kept, wherever it was found (TextCNN: Kim 2014, arXiv
# 1408.5882).
#
# $$c_{t,f} = \sum_{k=0}^{2} W_{f,k} \cdot x_{t+k} + b_f, \qquad m_f = \max_t c_{t,f}$$

# %%
filters = nn.Conv1d(in_channels=3, out_channels=5, kernel_size=3)  # weight [F, D, 3]


def convolution(x):
    """What each of F filters answers at each place: [B, T - 2, F]."""
    places = x.shape[1] - 2
    answers = []
    for place in range(places):
        window = x[:, place : place + 3]  # [B, 3, D]: three neighbours
        answers.append(torch.einsum("bkd,fdk->bf", window, filters.weight) + filters.bias)
    return torch.stack(answers, dim=1)


with torch.no_grad():
    torch.testing.assert_close(convolution(x), filters(x.transpose(1, 2)).transpose(1, 2))  # torch's own
    pooled = convolution(x).amax(dim=1)  # [B, F]
print("the first two reviews differ now:", [round(v, 2) for v in (pooled[0] - pooled[1]).tolist()])

# %% [markdown]
# *not good* and *not bad* are different windows, so the two reviews can be told apart. But a window sees three words.
# *Not, as so many had hoped after his last film, good* is out of reach; more layers widen the view, slowly.
#
# ## Recurrence: read word by word
#
# A **recurrent** network reads from left to right and keeps a **state**, a vector that sums up what it has read. Each
# word changes it (Elman 1990):
#
# $$h_t = \tanh(W x_t + U h_{t-1} + b)$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x_t$ | `x[:, t]` | `[B, D]` |
# | $h_t$ | `state` | `[B, H]` |
# | $W$, $U$ | `weight_ih_l0`, `weight_hh_l0` | `[H, D]`, `[H, H]` |
#
# The same $W$ and $U$ at each word, so the text may have any length; and in principle the last state knows of the
# first word.

# %%
elman = nn.RNN(3, 6, batch_first=True)


def recurrent(x):
    """The state after each word: [B, T, H]."""
    state, states = torch.zeros(x.shape[0], 6), []
    for t in range(x.shape[1]):
        from_word = x[:, t] @ elman.weight_ih_l0.T + elman.bias_ih_l0
        from_before = state @ elman.weight_hh_l0.T + elman.bias_hh_l0
        state = torch.tanh(from_word + from_before)
        states.append(state)
    return torch.stack(states, dim=1)


with torch.no_grad():
    torch.testing.assert_close(recurrent(x), elman(x)[0])
print("the last state of each review:", list(recurrent(x)[:, -1].shape))

# %% [markdown]
# ## Why memories fade
#
# To learn from a mistake, training asks how the last state would change if the first word changed a little: a
# gradient. By the chain rule it is a product, with one factor for each word in between:
#
# $$\frac{\partial h_T}{\partial h_1} = \prod_{t=2}^{T} \frac{\partial h_t}{\partial h_{t-1}}, \qquad
# \frac{\partial h_t}{\partial h_{t-1}} = \operatorname{diag}(1 - h_t^2)\, U$$
#
# Sixty factors that each shrink by a tenth leave $0.9^{60} \approx 0.002$; sixty that grow by a tenth make 304. In
# between is a knife's edge. This is the **vanishing** (or exploding) gradient (Bengio et al. 1994). First the formula
# against torch, then the picture.

# %%
torch.manual_seed(0)
long = nn.RNN(3, 6, batch_first=True).double()
text = torch.randn(1, 12, 3, dtype=torch.float64)
with torch.no_grad():
    states = long(text)[0][0]  # [T, H]
    product = torch.eye(6, dtype=torch.float64)
    for t in range(1, 12):
        product = torch.diag(1 - states[t] ** 2) @ long.weight_hh_l0 @ product
after_first = states[:1].clone()  # the state after the first word, from which the rest is read


def rest(state):
    return long(text[:, 1:], state[None])[1][0, 0]


by_torch = torch.autograd.functional.jacobian(rest, after_first)[:, 0]
torch.testing.assert_close(product, by_torch)
print("the product of the formula is torch's gradient; its size:", f"{product.norm():.1e}")

# %% [markdown]
# The **LSTM** (Hochreiter and Schmidhuber 1997) was made against this. Beside the state it keeps a second vector, the
# *cell* $c$, which is changed by adding and by **gates**: numbers between 0 and 1 that say how much to keep (f), how
# much to write (i) and how much to show (o).
#
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh(c_t)$$
#
# Where the gate f is open (near 1), the factor from $c_{t-1}$ to $c_t$ is near 1, and nothing fades. ($\odot$ is number
# by number; $\sigma(z) = 1 / (1 + e^{-z})$ makes any number one between 0 and 1. The GRU, Cho et al. 2014, does with
# two gates and no cell.)

# %%
lstm = nn.LSTM(3, 6, batch_first=True)


def by_gates(x):
    """The states of an LSTM: [B, T, H]."""
    state = cell = torch.zeros(x.shape[0], 6)
    states = []
    for t in range(x.shape[1]):
        z = x[:, t] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + state @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        i, f, g, o = z.chunk(4, dim=-1)  # torch keeps the four tables below each other, in this order
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        state = torch.sigmoid(o) * torch.tanh(cell)
        states.append(state)
    return torch.stack(states, dim=1)


with torch.no_grad():
    torch.testing.assert_close(by_gates(x), lstm(x)[0])
print("the states by hand are torch's")

# %% [markdown]
# How much does the last state feel each word before it? The size of the gradient, by distance. The LSTM's forgetting
# gate begins open here, as is usual in practice (a bias of 2).

# %%
WORDS, WIDTH = 60, 64


def felt(network):
    """The size of the gradient of the last state with respect to each word: [T], the last word first."""
    text = torch.randn(8, WORDS, WIDTH, requires_grad=True)
    network(text)[0][:, -1].sum().backward()
    return text.grad.norm(dim=-1).mean(dim=0).flip(0)


torch.manual_seed(0)
networks = {name: kind(WIDTH, WIDTH, batch_first=True) for name, kind in (("RNN", nn.RNN), ("LSTM", nn.LSTM))}
networks["LSTM, gate open"] = nn.LSTM(WIDTH, WIDTH, batch_first=True)
with torch.no_grad():
    networks["LSTM, gate open"].bias_ih_l0[WIDTH : 2 * WIDTH] = 2.0
sizes = {name: felt(network) for name, network in networks.items()}

figure, axes = plt.subplots(figsize=(6.5, 3.2))
for (name, gradient), style in zip(sizes.items(), ("-", "--", "-."), strict=True):
    axes.semilogy(gradient / gradient[0], style, label=name)
axes.set_xlabel("words between this word and the end")
axes.set_ylabel("gradient, the last word's = 1")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
faded = {name: float(gradient[50] / gradient[0]) for name, gradient in sizes.items()}
show(
    figure,
    "On a logarithmic scale the gradient falls as a straight line: fifty words back it is "
    + ", ".join(f"{share:.0e} for the {name}" for name, share in faded.items())
    + ".",
)

# %% [markdown]
# A straight line on this scale is a shrinking by the same factor with each word. The gate makes the line flatter; it
# does not make it level. And there is a second trouble, of time: word 60 has to wait for word 59. A GPU that could work
# on all words at once stands idle.
#
# ## On real reviews
#
# All of these are models of the workbench, and are trained like any other; so is a small Transformer that has never
# read anything before. From here on we use the library's.

# %%
limit = size(
    test={"train": 64, "valid": 16, "test": 32},
    cpu={"train": 2_000, "valid": 300, "test": 1_000},
    gpu={"train": 8_000, "valid": 1_000, "test": 2_000},
)
kinds = {
    "mean + fully connected": "bag-of-embeddings",
    "convolution": "textcnn",
    "recurrent (LSTM)": "lstm",
    "Transformer, from nothing": "transformer-encoder",
}
results = {}
for name, source in kinds.items():
    finished = run(
        {
            "name": f"course-02-{source}",
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": 64},
            "model": {"source": source, "tokenizer": {"train": "wordpiece", "vocab_size": 2_000, "lowercase": True}},
            "training": {"epochs": size(test=1, cpu=4, gpu=6), "batch_size": 32},
        },
        quiet=True,
    )
    report = finished.report()
    results[name] = report["metrics"]["accuracy"]
    print(f"{name:>26}: {results[name]['value']:.3f} ({results[name]['low']:.3f} to {results[name]['high']:.3f})")

# %%
figure, axes = plt.subplots(figsize=(7, 2.4))
values = [result["value"] for result in results.values()]
errors = [[v - r["low"] for v, r in zip(values, results.values(), strict=True)],
          [r["high"] - v for v, r in zip(values, results.values(), strict=True)]]  # fmt: skip
axes.barh(list(results), values, xerr=errors, capsize=3, color="#2a7fa5", ecolor="black")
axes.axvline(report["baseline"]["accuracy"], color="#c0562f", linestyle="--", label="always the same answer")
axes.set_xlim(0, 1)
axes.set_xlabel("accuracy on the test part, with its 95% interval")
axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
axes.invert_yaxis()
show(
    figure,
    "Accuracies of four networks with their intervals: "
    + ", ".join(f"{name} {result['value']:.2f}" for name, result in results.items())
    + f"; the most frequent answer alone gives {report['baseline']['accuracy']:.2f}.",
)

# %% [markdown]
# Look at the intervals before you name a winner (notebook 12): with so few reviews the four are near each other. From
# nothing, and on little data, a Transformer is *not* better than a mean of vectors. What makes the difference is in the
# next notebooks: it learns from all places at once, so it can be shown billions of words beforehand (05, 06), and what
# it learned there it brings along (07): notebook 00's model is right far more often, after 800 reviews.
#
# ## Summary
#
# | network | sees | cannot |
# |---|---|---|
# | mean, fully connected | which words there are | tell any order |
# | convolution | a few neighbours | join what stands far apart |
# | recurrent | all that came before, fading | keep long memories; work on all words at once |
# | attention (03) | all words at once | tell order by itself, as you will see |
#
# **Questions to think about.** Which of the reviews in your own mailbox would a mean of vectors get wrong? A
# convolution with windows of 3 and ten layers: how far does it see? Why do two directions (one LSTM from the left and
# one from the right) help, and what can they still not do?
#
# **Where to go on.** [Notebook 03](03_attention.ipynb) lets each word look at every other one. `workbench run
# baseline-lstm` trains the LSTM on all reviews; the dashboard's page Compare sets it beside a Transformer.
