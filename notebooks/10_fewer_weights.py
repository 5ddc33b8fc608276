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
# # 10 · Fewer weights
#
# **After this notebook you can** write LoRA by hand, say what adapters, prefixes and AdaLoRA do instead, count what
# each costs, and choose among them by measuring.
#
# **You need** notebook 07 (fine-tuning). From school: the product of two matrices.
#
# **Time:** about 20 minutes to read; the cells run in about 5 minutes on a laptop CPU (GPU: not measured yet).

# %%
import copy
import warnings

import matplotlib.pyplot as plt
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from workbench.models.pretrained import make_source
from workbench.runs.compare import compare
from workbench.teach import size, widgets
from workbench.teach.pictures import show
from workbench.teach.runs import run
from workbench.workspace import Workspace

torch.manual_seed(0)
workspace = Workspace.current()

# %% [markdown]
# ## Why move fewer
#
# Full fine-tuning makes a copy of the whole model for each task, and AdamW keeps two more numbers for each weight
# that moves. But the change that a task needs is small. So freeze the model, and learn a small addition: it is quick
# to store, to exchange, and to undo, and with few examples it over-fits less.
#
# ## LoRA
#
# A linear map has a matrix $W$ of $D_{out} \times D_{in}$ numbers. Full tuning learns any change $\Delta W$ of the
# same size.
# **LoRA** (Hu et al. 2021, arXiv 2106.09685) only allows changes that are a product of two thin matrices:
#
# $$y = W x + \frac{\alpha}{r}\, B A\, x$$
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $W$ | `base.weight` | `[D_out, D_in]` | frozen |
# | $A$ | `A` | `[r, D_in]` | begins random |
# | $B$ | `B` | `[D_out, r]` | begins 0, so that nothing is changed at first |
# | $r$ | `rank` | a number | the width of the bottleneck |
# | $\alpha$ | `alpha` | a number | how much the addition counts |
#
# $r(D_{in} + D_{out})$ numbers instead of $D_{in} D_{out}$.


# %%
class MyLoRA(nn.Module):
    """A frozen linear map and a learned change of low rank: [..., D_in] to [..., D_out]."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + (x @ self.A.T @ self.B.T) * self.scale


base = nn.Linear(384, 384)
for rank in (1, 4, 8, 64, 384):
    lora = MyLoRA(base, rank, alpha=16)
    moved = sum(p.numel() for p in lora.parameters() if p.requires_grad)
    print(f"rank {rank:>3}: {moved:>7,} weights move, {moved / base.weight.numel():7.1%} of W")

# %% [markdown]
# Is low rank enough? Take a change that has a few strong directions and noise, and see how much of it the best matrix
# of rank $r$ catches. (The best one is known: it comes from the singular value decomposition. The share caught is the
# sum of the $r$ largest squared singular values, divided by the sum of all.)

# %%
strong = torch.randn(384, 4) @ torch.randn(4, 384)
noise = torch.randn(384, 384)
figure, axis = plt.subplots(figsize=(6, 3))
for name, change in (("4 directions and noise", strong + 0.5 * noise), ("noise alone", noise)):
    power = torch.linalg.svdvals(change) ** 2
    axis.plot(range(1, 65), (power.cumsum(0) / power.sum())[:64], label=name)
axis.set(xlabel="rank r", ylabel="share of the change caught", ylim=(0, 1.05))
axis.legend()
show(
    figure,
    "Share of a 384 by 384 change that rank r can express. With four strong directions rank 4 has nearly all; a change "
    "that is all noise needs far more than 64.",
)

# %% [markdown]
# Move the rank: up to 4 each direction more is worth much, after that only noise is left to learn. Then turn the noise
# up: the corner of the curve wears away, and no small rank is good.

# %%
widgets.rank()

# %% [markdown]
# LoRA bets that the change a task needs looks like the upper line. Measured below.
#
# ### LoRA by hand in a real model, equal to peft's
#
# `peft` is the library that most people use for this. Put our LoRA on the queries and values of MiniLM, give both the
# same $A$ and $B$ (not 0, so that there is something to see): the outputs must be equal.

# %%
loaded = make_source("minilm", workspace).load("AutoModel", {})
minilm, tokenizer = loaded.model.eval(), loaded.tokenizer
inputs = tokenizer("A quiet, moving film.", return_tensors="pt")

mine = copy.deepcopy(minilm).requires_grad_(False)
for layer in mine.encoder.layer:
    attention = layer.attention.self
    attention.query, attention.value = MyLoRA(attention.query, 8, 16), MyLoRA(attention.value, 8, 16)
    for lora in (attention.query, attention.value):
        nn.init.normal_(lora.B, std=0.05)

config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], lora_dropout=0.0)
with warnings.catch_warnings():  # peft asks transformers for something under its old name
    warnings.simplefilter("ignore", FutureWarning)
    theirs = get_peft_model(copy.deepcopy(minilm), config).eval()
with torch.no_grad():
    for ours, other in zip(mine.encoder.layer, theirs.base_model.model.encoder.layer, strict=True):
        for part in ("query", "value"):
            here, there = getattr(ours.attention.self, part), getattr(other.attention.self, part)
            there.lora_A["default"].weight.copy_(here.A)
            there.lora_B["default"].weight.copy_(here.B)
    one, two, plain = (m(**inputs).last_hidden_state for m in (mine, theirs, minilm))
torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
print(f"ours and peft's: largest difference {(one - two).abs().max():.1e}")
print(f"with and without LoRA:             {(one - plain).abs().max():.2f}")

# %% [markdown]
# After training, the addition can be multiplied out and put into $W$: $W + \frac{\alpha}{r} BA$. The model is then as
# fast as before, and nothing shows that LoRA was there.

# %%
layer = mine.encoder.layer[0].attention.self.query
x = torch.randn(5, 384)
merged = layer.base.weight + layer.scale * layer.B @ layer.A
with torch.no_grad():
    torch.testing.assert_close(layer(x), nn.functional.linear(x, merged, layer.base.bias), atol=1e-5, rtol=1e-5)
    direct = theirs.base_model.model.encoder.layer[0].attention.self.query.get_delta_weight("default")
    torch.testing.assert_close(direct, layer.scale * layer.B @ layer.A, atol=1e-5, rtol=1e-5)
print("merged: same outputs, and the same change as peft's")

# %% [markdown]
# ## The others, in a sentence each
#
# | method | what is learned | after training |
# |---|---|---|
# | `head` | the head alone; the body stays as published | nothing added |
# | `bitfit` | the biases | nothing added |
# | `lora` | a change of rank r beside chosen matrices | can be merged |
# | `adalora` | like LoRA, but directions that matter little are cut while training | can be merged |
# | `adapter` | a small network with a bottleneck after each part of a block | runs beside the model |
# | `prefix` | some made-up keys and values before the text, in each layer | makes each text a little longer |
#
# An adapter, by hand: $x + W_{up}\,\operatorname{gelu}(W_{down}\,x)$, with $W_{up} = 0$ at the beginning, so that
# nothing is changed at first. (The same trick as $B = 0$.)


# %%
class MyAdapter(nn.Module):
    def __init__(self, width, bottleneck):
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        return x + self.up(nn.functional.gelu(self.down(x)))


torch.testing.assert_close(MyAdapter(384, 16)(x), x)

# %% [markdown]
# A prefix, by hand, in one head: learned keys and values are put before those of the text. Queries find them like any
# others.

# %%
query, key, value = (torch.randn(6, 32) for _ in range(3))
prefix_key, prefix_value = torch.randn(4, 32), torch.randn(4, 32)  # learned, 4 made-up places
weights = (query @ torch.cat([prefix_key, key]).T / 32**0.5).softmax(-1)  # [6, 4 + 6]
output = weights @ torch.cat([prefix_value, value])
share = weights[:, :4].sum(-1, keepdim=True)  # what goes to the prefix
plain = (query @ key.T / 32**0.5).softmax(-1) @ value
learned = (query @ prefix_key.T / 32**0.5).softmax(-1) @ prefix_value
torch.testing.assert_close(output, (1 - share) * plain + share * learned, atol=1e-5, rtol=1e-5)
print("a prefix mixes each output with one that does not depend on the text's values:", list(share.shape))

# %% [markdown]
# ## Measured
#
# The same task, data, seed and number of epochs; only `tuning` changes. Each method has its own learning rate (the
# library knows what suits it).

# %%
limit = size(
    test={"train": 24, "valid": 8, "test": 24},
    cpu={"train": 600, "valid": 200, "test": 400},
    gpu={"train": 6_000, "valid": 500, "test": 2_000},
)
methods = size(test=["head", "lora"], cpu=["head", "lora", "adapter", "full"], gpu=["head", "lora", "adapter", "full"])
runs = {}
for method in methods:
    runs[method] = run(
        {
            "name": f"course-10-{method}",
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": size(test=24, cpu=64, gpu=64)},
            "model": "minilm",
            "tuning": method,
            "training": {"epochs": size(test=1, cpu=2, gpu=3)},
        },
        quiet=True,
    )
    cost = runs[method].report()["cost"]
    accuracy = runs[method].report()["metrics"]["accuracy"]
    print(
        f"{method:>8}: {cost['trained_parameters']:>10,} weights moved, {cost['seconds']:6.1f} s, "
        f"accuracy {accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f})"
    )

# %%
figure, axis = plt.subplots(figsize=(6, 3.2))
for method, finished in runs.items():
    accuracy, cost = finished.report()["metrics"]["accuracy"], finished.report()["cost"]
    x, y = cost["trained_parameters"], accuracy["value"]
    axis.errorbar(x, y, yerr=[[y - accuracy["low"]], [accuracy["high"] - y]], fmt="o", capsize=4)
    axis.annotate(method, (x, y), xytext=(8, 4), textcoords="offset points")
axis.set(xscale="log", xlabel="weights that moved", ylabel="accuracy, 95% interval")
axis.margins(x=0.2)
show(figure, "Accuracy with its 95% interval against the number of weights that moved, one point a method.")

# %% [markdown]
# The intervals overlap, as they usually do on a test set of this size. Whether one method really is better is asked
# of `compare`, which looks at the same examples in both runs:

# %%
print(compare([runs[methods[-1]], runs[methods[0]]]).verdict)

# %% [markdown]
# ## Summary
#
# * LoRA adds $\frac{\alpha}{r}BA$ to frozen matrices; it begins at 0, and can be merged away. Ours is peft's.
# * Adapters and prefixes add something that stays; a head alone adds nothing to run.
# * How much moves is known beforehand, how good it gets is not: measure, with intervals.
#
# ## Questions to think about
#
# 1. What happens if both $A$ and $B$ begin at 0? (Write down the gradient of each.)
# 2. LoRA moves fewer weights than full tuning, but each step is not that much faster. Why? (Which gradients must
#    still be computed?)
# 3. When would you rather have an adapter than a merged LoRA?
#
# ## Where to go on
#
# * Notebook 12: is the better one better? Lesson 07, [make it small](../tutorials/07_small.ipynb).
# * `workbench/tuning/`: a file a method; `workbench tunings` lists all.
# * Houlsby et al. 2019 (adapters, arXiv 1902.00751); Li and Liang 2021 (prefix, arXiv 2101.00190); Zhang et al. 2023
#   (AdaLoRA, arXiv 2303.10512).
