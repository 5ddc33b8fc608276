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
# **You need** notebook 01 (tokens are numbers, each with a vector; what a tensor is). From school: the chain rule of
# derivatives, for one section.
#
# **Time:** about 25 minutes to read; the cells run in about 90 seconds on a laptop CPU (GPU: not measured yet).

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

import workbench as wb
from workbench.teach import done, size
from workbench.teach.pictures import show

_ = torch.manual_seed(0)

# %% [markdown]
# ## The question
#
# A review is a sequence of T words; each word has a vector of D numbers (its embedding, notebook 01). So a review is a
# table `[T, D]`, and T differs from review to review. The answer is one of two labels. How do you get from a table of
# any length to an answer?
#
# Three small reviews of four words each, with vectors of three numbers, are enough to see how each network does it.
# (`nn` holds torch's ready-made layers. `nn.Embedding` is a table of vectors to look tokens up in, random at first.)

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
# The shortest way: the mean of all vectors, then a **fully connected** network. Each of its layers multiplies by a
# table of weights and adds a bias. Between two layers there is a function that is not a straight line, here the ReLU,
# which sets negative numbers to 0. Without it, two layers would be no more than one.
#
# $$h = \operatorname{ReLU}(W_1 \bar x + b_1), \qquad y = W_2 h + b_2$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $\bar x$ | `mean` | `[B, D]`: the mean over the T words |
# | $W_1$, $b_1$ | `first.weight`, `first.bias` | `[H, D]`, `[H]`: we choose H, here 8 |
# | $h$ | `hidden` | `[B, H]` |
# | $W_2$, $b_2$ | `second.weight`, `second.bias` | `[2, H]`, `[2]` |
# | $y$ | `scores` | `[B, 2]`: one for each label; the larger one is the answer |
#
# The formula is for one review, whose vector is a column. In the code, the B vectors are the rows of a table, so the
# product is written the other way around, with `.T`. `nn.Linear(3, 8)` is torch's table of weights with a bias, from 3
# numbers to 8, filled with random numbers. `no_grad` (notebook 01) says: compute, do not learn.

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
# wherever it appears.
#
# ## Convolution: look at neighbors
#
# A **convolution** slides over the text and looks at a few neighbors at once, here at 3. At each position it
# concatenates their vectors (3 x D numbers) and multiplies them by a table of **filters**; each filter learns to
# respond to one kind of phrase. Then only the largest response of each filter is used, wherever it occurred (TextCNN:
# Kim 2014, arXiv 1408.5882).
#
# $$c_{t,f} = \sum_{k=0}^{2} W_{f,k} \cdot x_{t+k} + b_f, \qquad m_f = \max_t c_{t,f}$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x_{t+k}$ | `x[:, t + k]` | `[B, D]`: the word k positions after word t |
# | $W$ | `filters.weight` | `[F, D, 3]`: F filters |
# | $W_{f,k}$ | `filters.weight[f, :, k]` | `[D]`: what filter f looks for in word k of the three |
# | $b$ | `filters.bias` | `[F]` |
# | $c$ | what `convolution` returns | `[B, T - 2, F]` |
# | $m$ | `pooled` | `[B, F]` |

# %%
filters = nn.Conv1d(in_channels=3, out_channels=5, kernel_size=3)  # weight [F, D, 3]


def convolution(x):
    """What each of F filters answers at each position: [B, T - 2, F]."""
    table = filters.weight.transpose(1, 2).flatten(1)  # [F, D, 3] -> [F, 3, D] -> [F, 3 D]: each filter as one row
    answers = []
    for position in range(x.shape[1] - 2):
        window = x[:, position : position + 3].flatten(1)  # [B, 3, D] -> [B, 3 D]: three neighbours, end to end
        answers.append(window @ table.T + filters.bias)  # [B, F]
    return torch.stack(answers, dim=1)


with torch.no_grad():
    torch.testing.assert_close(convolution(x), filters(x.transpose(1, 2)).transpose(1, 2))  # torch's, on [B, D, T]
    pooled = convolution(x).amax(dim=1)  # [B, F]
print("the first two reviews differ now:", [round(v, 2) for v in (pooled[0] - pooled[1]).tolist()])

# %% [markdown]
# *not good* and *not bad* are different windows, so the two reviews can be told apart. But a window sees three words.
# *Not, as so many had hoped after his last film, good* is out of reach. More layers widen the view, slowly.
#
# ## Recurrence: read word by word
#
# A **recurrent** network reads from left to right and maintains a **state**, a vector that sums up what it has read.
# Each word changes it. $\tanh$ maps any number to one between -1 and 1, so that the state cannot grow without limit
# (Elman 1990):
#
# $$h_t = \tanh(W x_t + U h_{t-1} + b)$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x_t$ | `x[:, t]` | `[B, D]` |
# | $h_t$ | `state` | `[B, H]`; before the first word it is 0 |
# | $W$, $U$ | `weight_ih_l0`, `weight_hh_l0` | `[H, D]`, `[H, H]` |
# | $b$ | `bias_ih_l0 + bias_hh_l0`: torch has two, of which only the sum matters | `[H]` |
#
# $W$ and $U$ are the same at each word, so the text may have any length; and in principle the last state knows about
# the first word. (`nn.RNN` returns two things: `[0]` is the states after every word, `[1]` the last state, with an
# additional first axis for layers.)

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
# gradient. By the chain rule it is a product, with one factor for each word after the first. ($\partial$ is the *d* of
# a derivative with several variables, all but one of which are held constant; $\prod$ says: multiply them all.)
#
# $$\frac{\partial h_T}{\partial h_1} = \prod_{t=2}^{T} \frac{\partial h_t}{\partial h_{t-1}}, \qquad
# \frac{\partial h_t}{\partial h_{t-1}} = \operatorname{diag}(1 - h_t^2)\, U$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $\partial h_T / \partial h_1$ | `product` | `[H, H]`: how each number of the last state follows each of the first |
# | $\partial h_t / \partial h_{t-1}$ | `torch.diag(1 - states[t - 1] ** 2) @ weight_hh_l0` | `[H, H]` |
# | $1 - h_t^2$ | `1 - states[t - 1] ** 2` | `[H]`: the derivative of tanh, as $\tanh'(z) = 1 - \tanh^2(z)$ |
# | $U$ | `weight_hh_l0` | `[H, H]` |
#
# The formula counts words from 1, the code from 0: $h_1$ is `states[0]`.
#
# Matrix products do not commute, so the order matters: the factor of $t = T$ is leftmost, that of $t = 2$ rightmost.
# $\operatorname{diag}$ puts the H numbers on the diagonal of a table that is 0 elsewhere.
#
# Sixty factors that each shrink by a tenth leave $0.9^{60} \approx 0.002$; sixty that grow by a tenth make 304. In
# between is a knife's edge. This is the **vanishing** (or exploding) gradient (Bengio et al. 1994). First the formula
# compared with torch, then the picture.

# %%
torch.manual_seed(0)
long = nn.RNN(3, 6, batch_first=True).double()
text = torch.randn(1, 12, 3, dtype=torch.float64)
with torch.no_grad():
    states = long(text)[0][0]  # [T, H]
    product = torch.eye(6, dtype=torch.float64)
    for t in range(2, 13):
        product = torch.diag(1 - states[t - 1] ** 2) @ long.weight_hh_l0 @ product  # the later factor goes to the left
after_first = states[:1].clone()  # the state after the first word, from which the rest is read


def rest(state):
    """The last state, when reading goes on from a state after the first word."""
    return long(text[:, 1:], state[None])[1][0, 0]


by_torch = torch.autograd.functional.jacobian(rest, after_first)[:, 0]  # torch's table of all these derivatives
torch.testing.assert_close(product, by_torch)
print("the product of the formula is torch's gradient; its size:", f"{product.norm():.1e}")

# %% [markdown]
# The **LSTM** (Hochreiter and Schmidhuber 1997; the gate f was added by Gers et al. 2000) was invented to solve this.
# In addition to the state it has a second vector, the *cell* $c$, which is changed by adding and by **gates**: numbers
# between 0 and 1 that say how much to write (i), how much to keep (f) and how much to show (o). What is written is
# $g$. Each is computed from the new word and the last state, just as the state of a plain recurrent network is:
#
# $$i_t = \sigma(W_i x_t + U_i h_{t-1} + b_i), \qquad f_t = \sigma(W_f x_t + U_f h_{t-1} + b_f)$$
# $$o_t = \sigma(W_o x_t + U_o h_{t-1} + b_o), \qquad g_t = \tanh(W_g x_t + U_g h_{t-1} + b_g)$$
# $$c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh(c_t)$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $i_t$, $f_t$, $o_t$, $g_t$ | `write`, `keep`, `reveal`, `new` | `[B, H]` each |
# | $c_t$, $h_t$ | `cell`, `state` | `[B, H]` each |
# | $W_i$, $W_f$, $W_g$, $W_o$ | `weight_ih_l0`: the four on top of each other, in this order | `[4H, D]` |
# | $U_i$, $U_f$, $U_g$, $U_o$ | `weight_hh_l0`, likewise | `[4H, H]` |
# | $b_i$, $b_f$, $b_g$, $b_o$ | `bias_ih_l0 + bias_hh_l0`, likewise | `[4H]` |
#
# $\sigma(z) = 1 / (1 + e^{-z})$ maps any number to one between 0 and 1; $\odot$ multiplies number by number. Where the
# gate f is open (near 1), the factor from $c_{t-1}$ to $c_t$ is near 1, and nothing fades. (The GRU, Cho et al. 2014,
# makes do with two gates and no cell.)

# %%
lstm = nn.LSTM(3, 6, batch_first=True)


def by_gates(x):
    """The states of an LSTM: [B, T, H]."""
    state = cell = torch.zeros(x.shape[0], 6)
    states = []
    for t in range(x.shape[1]):
        z = x[:, t] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + state @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)  # [B, 4 H] cut into four
        write, keep, reveal = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.sigmoid(z_o)
        new = torch.tanh(z_g)
        cell = keep * cell + write * new
        state = reveal * torch.tanh(cell)
        states.append(state)
    return torch.stack(states, dim=1)


with torch.no_grad():
    torch.testing.assert_close(by_gates(x), lstm(x)[0])
print("the states by hand are torch's")

# %% [markdown]
# How strongly does the last state depend on each word before it? The size of the gradient, by distance, for three
# networks with random weights: a plain one, an LSTM, and an LSTM whose gate f starts open, as is often done in
# practice (here with a bias of 2; 1 is more common, and opens it less).

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
    "The size of the gradient by distance, on a logarithmic scale: fifty words back it is "
    + ", ".join(f"{share:.0e} for the {name}" for name, share in faded.items())
    + ".",
)

# %% [markdown]
# A straight line on this scale means shrinking by the same factor with each word. The open gate makes the line
# flatter; it does not make it level. And there is a second problem, time: word 60 has to wait for word 59. A GPU that
# could process all words at once is idle.
#
# ## On real reviews
#
# All of these are models of the workbench, and you train them like any other; so is a small Transformer that has never
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
    finished = wb.run(
        {
            "name": f"course-02-{source}",
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": 64},
            "model": {"source": source, "tokenizer": {"train": "wordpiece", "vocab_size": 2_000, "lowercase": True}},
            "training": {"epochs": size(test=1, cpu=4, gpu=6), "batch_size": 32},
        },
        quiet=True,
        reuse=True,
    )
    report = finished.report()
    results[name] = report.metrics["accuracy"]
    print(f"{name:>26}: {results[name].value:.3f} ({results[name].low:.3f} to {results[name].high:.3f})")

# %%
figure, axes = plt.subplots(figsize=(7, 2.4))
values = [result.value for result in results.values()]
errors = [[v - r.low for v, r in zip(values, results.values(), strict=True)],
          [r.high - v for v, r in zip(values, results.values(), strict=True)]]  # fmt: skip
axes.barh(list(results), values, xerr=errors, capsize=3, color="#2a7fa5", ecolor="black")
axes.axvline(report.baseline["accuracy"], color="#c0562f", linestyle="--", label="always the same answer")
axes.set_xlim(0, 1)
axes.set_xlabel("accuracy on the test part, with its 95% interval")
axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
axes.invert_yaxis()
best = max(results, key=lambda name: results[name].value)
near = [name for name in results if name != best and results[name].high >= results[best].low]
print(f"highest: {best}; with an interval that reaches into its own: {', '.join(near) or 'none'}")
show(
    figure,
    "Accuracies of four networks with their intervals: "
    + ", ".join(f"{name} {result.value:.2f}" for name, result in results.items())
    + f"; the most frequent answer alone gives {report.baseline['accuracy']:.2f}.",
)

# %% [markdown]
# Look at the intervals before you name a winner: where two overlap, other test reviews might well reverse the order
# (notebook 12 says how to be sure). Look at the dashed line, too: a network whose interval reaches it has not been
# shown to have learned anything. With another seed, that is, with other initial weights, the ranks in the middle
# change. All four began with random weights and read only these reviews. The Transformer already does well, but what
# makes it special is in the next notebooks: it learns from all positions at once, so it can be shown billions of words
# beforehand (05, 06), and it brings along what it learned there (07). Compare with the accuracy that notebook 00
# printed: that model had read a lot before, and was trained on fewer reviews than these.
#
# ## Summary
#
# | network | sees | cannot |
# |---|---|---|
# | mean, fully connected | which words there are | see any order |
# | convolution | a few neighbors | connect words that are far apart |
# | recurrent | everything before, fading | keep long memories; process all words at once |
# | attention (03) | all words at once | see the order without help, as you will find |
#
# **Questions to think about.** Which of the reviews in your own mailbox would a mean of vectors get wrong? A
# convolution with windows of 3 and ten layers: how far does it see? Why do two directions (one LSTM from the left and
# one from the right) help, and what can they still not do?
#
# **Where to go next.** [Notebook 03](03_attention.ipynb) lets each word look at every other one. `workbench run
# baseline-lstm` trains a stronger LSTM, which reads in both directions and has more subwords; the dashboard's page
# Compare shows it next to a Transformer.

# %%
done("02-before-transformers")
