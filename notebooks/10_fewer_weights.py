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
# **After this notebook you can** write LoRA by hand, explain what AdaLoRA, adapters and prefixes do instead, count
# what each costs, and choose among them by measuring.
#
# **You need** notebook 07 (fine-tuning). From school: the product of two matrices.
#
# **Time:** about 30 minutes to read; the cells run in about 4 minutes on a laptop CPU (GPU: not measured yet).

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.adalora import AdaLoraModel
from torch import nn

import workbench as wb
from workbench.models.loading import make_source
from workbench.teach import done, formulas, size, widgets
from workbench.teach.pictures import show
from workbench.tuning.adapters import register_peft_methods
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

torch.manual_seed(0)
workspace = Workspace.current()

# %% [markdown]
# ## Why train fewer weights
#
# Full fine-tuning makes a copy of the whole model for each task, and AdamW stores two more numbers for each trainable
# weight. But the change that a task needs is small. So freeze the model, and learn a small addition: it is cheap to
# store, to exchange and to undo, and with few examples it overfits less.
#
# ## LoRA
#
# A linear map has a matrix $W$ of $D_{out} \times D_{in}$ numbers and a bias $b$. Full fine-tuning can learn any
# change $\Delta W$ of the same size. **LoRA** (Hu et al. 2021, arXiv 2106.09685) allows only changes that are the
# product of two thin matrices, changes of low *rank* (explained below):
#
# $$y = W x + b + \frac{\alpha}{r}\, B A\, x$$
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $x$ | `x` | `[..., D_in]` | the input |
# | $W$ | `base.weight` | `[D_out, D_in]` | frozen |
# | $b$ | `base.bias` | `[D_out]` | frozen |
# | $A$ | `A` | `[r, D_in]` | initialized at random |
# | $B$ | `B` | `[D_out, r]` | initialized with 0, so that nothing changes at first |
# | $r$ | `rank` | a number | the width of the bottleneck |
# | $\alpha$ | `alpha` | a number | the scale of the addition |
#
# That is $r(D_{in} + D_{out})$ numbers to learn instead of $D_{in} D_{out}$.


# %%
class MyLoRA(nn.Module):
    """A frozen linear map with a learned change of low rank: [..., D_in] to [..., D_out]."""

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
    trainable = sum(p.numel() for p in lora.parameters() if p.requires_grad)
    print(f"rank {rank:>3}: {trainable:>7,} trainable weights, {trainable / base.weight.numel():7.1%} of W")

# %% [markdown]
# Is a low rank enough? Any matrix can be decomposed into **directions**, sorted by their strength. This is its
# *singular value decomposition*, and the strengths are its **singular values** $\sigma_1 \ge \sigma_2 \ge \dots$. The
# number of singular values above 0 is its **rank**: for a product $BA$ at most $r$. The best approximation of rank $r$
# keeps the $r$ strongest directions and misses the others. The share that it misses (where the size of a matrix is the
# root of the sum of its squared numbers) is:
#
# $$\text{missed}(r) = \sqrt{\frac{\sigma_{r+1}^2 + \sigma_{r+2}^2 + \dots}{\sigma_1^2 + \sigma_2^2 + \dots}}$$
#
# Compare a change that has four strong directions and some noise with one that is only noise:


# %%
def missed(change):
    """Return the share of a change that the best matrix of rank 0, 1, 2 ... misses: [ranks + 1]."""
    squares = torch.linalg.svdvals(change) ** 2
    remainders = torch.cat([squares.flip(0).cumsum(0).flip(0), torch.zeros(1)])
    return (remainders / squares.sum()).sqrt()


strong = torch.randn(384, 4) @ torch.randn(4, 384)
noise = torch.randn(384, 384)
np.testing.assert_allclose(missed(strong + noise), formulas.rank_errors((strong + noise).numpy()), atol=1e-3)
figure, axis = plt.subplots(figsize=(6, 3))
descriptions = []
for name, change in (("4 directions and noise", strong + 0.5 * noise), ("noise alone", noise)):
    share = missed(change)[:65]
    axis.plot(share.numpy(), label=name)
    descriptions.append(f"of {name}, rank 4 misses {share[4]:.0%} and rank 64 {share[64]:.0%}")
axis.set(xlabel="rank r", ylabel="share missed", ylim=(0, 1.05))
axis.legend()
show(figure, f"The share of a 384 by 384 change that rank r misses, for ranks 0 to 64: {'; '.join(descriptions)}.")

# %% [markdown]
# Now change the rank, on a smaller change of the same kind: up to 4, each further direction helps a lot; after that,
# only noise is left to learn. Then raise the noise: the bend in the curve disappears, and no small rank is good.

# %%
widgets.rank()

# %% [markdown]
# LoRA assumes that the change a task needs has few strong directions. The end of this notebook measures whether that
# is true for a real task.
#
# ### LoRA by hand in a real model, compared with peft
#
# `peft` is the most widely used library for this. Put our LoRA on the queries and values of MiniLM, and set the same
# $A$ and $B$ in both (not 0, so that there is something to see): the outputs must be equal.

# %%
loaded = make_source("minilm", workspace).load("AutoModel", {})
minilm, tokenizer = loaded.model.eval(), loaded.tokenizer
inputs = tokenizer("A quiet, moving film.", return_tensors="pt")


def output(model, **options):
    """Return the text's vectors at the end of a model: [1, T, D]."""
    with torch.no_grad():
        return model(**inputs, **options).last_hidden_state


mine = copy.deepcopy(minilm).requires_grad_(False)
for layer in mine.encoder.layer:
    attention = layer.attention.self
    attention.query, attention.value = MyLoRA(attention.query, 8, 16), MyLoRA(attention.value, 8, 16)
    for lora in (attention.query, attention.value):
        nn.init.normal_(lora.B, std=0.05)

config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], lora_dropout=0.0)
theirs = inject_adapter_in_model(config, copy.deepcopy(minilm)).eval()
with torch.no_grad():
    for ours, other in zip(mine.encoder.layer, theirs.encoder.layer, strict=True):
        for name in ("query", "value"):
            here, there = getattr(ours.attention.self, name), getattr(other.attention.self, name)
            there.lora_A["default"].weight.copy_(here.A)
            there.lora_B["default"].weight.copy_(here.B)
torch.testing.assert_close(output(mine), output(theirs), atol=1e-5, rtol=1e-5)
print(f"ours and peft's: largest difference {(output(mine) - output(theirs)).abs().max():.1e}")
print(f"with and without LoRA:             {(output(mine) - output(minilm)).abs().max():.2f}")

# %% [markdown]
# After training, the addition can be multiplied out and merged into $W$: $W + \frac{\alpha}{r} BA$. The model is then
# as fast as before, with the same architecture.

# %%
layer = mine.encoder.layer[0].attention.self.query
x = torch.randn(5, 384)
merged = layer.base.weight + layer.scale * layer.B @ layer.A
with torch.no_grad():
    torch.testing.assert_close(layer(x), nn.functional.linear(x, merged, layer.base.bias), atol=1e-5, rtol=1e-5)
    direct = theirs.encoder.layer[0].attention.self.query.get_delta_weight("default")
    torch.testing.assert_close(direct, layer.scale * layer.B @ layer.A, atol=1e-5, rtol=1e-5)
print("merged: same outputs, and the same change as peft's")

# %% [markdown]
# ## AdaLoRA: ranks where they matter
#
# LoRA gives every matrix the same rank. But some matrices may need a higher rank, and others none. **AdaLoRA** (Zhang
# et al. 2023, arXiv 2303.10512) writes the change as
#
# $$\Delta W = \frac{\alpha}{r_0}\, B\, \Lambda\, A, \qquad \Lambda = \operatorname{diag}(\lambda_1, \dots,
# \lambda_{r_0})$$
#
# so that direction $i$ is column $i$ of $B$, row $i$ of $A$ and one strength $\lambda_i$. Setting $\lambda_i$ to 0
# removes the direction. Training starts with a rank $r_0$ that is larger than the final budget. During training,
# AdaLoRA tracks how **important** each direction is. The importance of a weight $w$ is $|w \cdot \partial L / \partial
# w|$, roughly how much the loss $L$ would change if $w$ were 0 (averaged over the last steps, and weighted more where
# it varies much). The importance of direction $i$ is that of $\lambda_i$, plus the mean over the numbers of column $i$
# and of row $i$. From time to time, the least important directions *of all matrices together* get $\lambda = 0$, until
# the budget is met. (The paper's loss has one more term, which keeps the directions orthogonal to each other. The
# library has it too; the short training below omits it.)
#
# | symbol | in the code | shape |
# |---|---|---|
# | $r_0$ | `initial_rank` | a number |
# | $A$ | `lora_A` | `[r_0, D_in]` |
# | $B$ | `lora_B` | `[D_out, r_0]` |
# | $\lambda$ | `lora_E` | `[r_0, 1]` |
#
# A short training on film reviews shows how it happens:

# %%
LENGTH = size(test=24, cpu=64, gpu=64)  # tokens; longer texts are truncated
steps, batch_size = size(test=8, cpu=60, gpu=150), size(test=4, cpu=16, gpu=16)
few = {"train": size(test=32, cpu=800, gpu=2_000), "valid": 8, "test": 8}
data = wb.load_data("rotten-tomatoes", limit=few).train
labels = sorted(set(data.columns["label"]))

method = tunings.get("adalora")
method = method(method.Config(rank=4, initial_rank=8, targets="attention"))
classifier = make_source("minilm", workspace).load("AutoModelForSequenceClassification", {"num_labels": 2}).model
config = method.peft_config(classifier, "SEQ_CLS", [])
config.total_step, config.tinit, config.tfinal = steps, steps // 8, steps // 4  # when ranks are removed
tuner = AdaLoraModel(classifier, {"default": config}, "default")  # from peft
classifier.classifier.requires_grad_(True)
matrices = {name: module for name, module in classifier.named_modules() if hasattr(module, "lora_E")}

optimizer = torch.optim.AdamW([p for p in classifier.parameters() if p.requires_grad], lr=method.learning_rate)
budget = []
classifier.train()
for step in range(1, steps + 1):
    rows = torch.randint(len(data), (batch_size,))
    texts = [data.columns["text"][i] for i in rows]
    batch = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    right = torch.tensor([labels.index(data.columns["label"][i]) for i in rows])
    classifier(**batch, labels=right).loss.backward()
    optimizer.step()
    tuner.update_and_allocate(step)  # tracks the importance, and removes ranks
    optimizer.zero_grad()
    budget.append(sum(int((matrix.lora_E["default"] != 0).sum()) for matrix in matrices.values()))

matrix = next(iter(matrices.values()))
with torch.no_grad():
    A, B, strength = matrix.lora_A["default"], matrix.lora_B["default"], matrix.lora_E["default"][:, 0]
    change = 16 / 8 * B @ torch.diag(strength) @ A  # alpha is 16, the initial rank 8
    torch.testing.assert_close(change, matrix.get_delta_weight("default"), atol=1e-5, rtol=1e-5)
assert budget[-1] == 4 * len(matrices)  # 4 for each matrix on average, but not 4 in each
every = max(1, steps // 8)
print(f"{len(matrices)} matrices; directions every {every} steps: {budget[::every]}, at the end {budget[-1]}")

# %%
ranks = [int((matrix.lora_E["default"] != 0).sum()) for matrix in matrices.values()]
ranks = np.array(ranks).reshape(-1, 2).T  # [2, layers]
figure, axis = plt.subplots(figsize=(5.4, 1.9))
axis.imshow(ranks, cmap="viridis", vmin=0, vmax=8)
for (row, column), rank in np.ndenumerate(ranks):
    axis.text(column, row, rank, ha="center", va="center", color="white" if rank < 5 else "black")
axis.set_yticks(range(2), ["query", "value"])
axis.set(xlabel="layer")
show(
    figure,
    f"The final rank of each matrix, from 8 at the start: queries of the layers {ranks[0].tolist()}, values "
    f"{ranks[1].tolist()}.",
)

# %% [markdown]
# ## Adapters
#
# An **adapter** (Houlsby et al. 2019, arXiv 1902.00751) is a small network of its own, inserted after attention and
# after the feed-forward network of each layer. It maps the vector down to $m$ numbers, applies a nonlinearity, maps it
# up again, and adds the result:
#
# $$x + W_{up}\,\operatorname{gelu}(W_{down}\,x + b_{down}) + b_{up}$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x` | `[..., D]` |
# | $W_{down}, b_{down}$ | `down` | `[m, D]`, `[m]` |
# | $W_{up}, b_{up}$ | `up` | `[D, m]`, `[D]` |
#
# With $W_{up} = 0$ at the start, nothing changes at first: the same trick as $B = 0$. (The paper, and the library,
# start with very small numbers instead.) Compare it with the library's adapter, with the same weights in both:


# %%
class MyAdapter(nn.Module):
    def __init__(self, width, bottleneck):
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        return x + self.up(nn.functional.gelu(self.down(x)))


torch.testing.assert_close(MyAdapter(384, 16)(x), x)  # nothing changes at first

register_peft_methods()  # adds the library's own methods to peft
method = tunings.get("adapter")
config = method(method.Config(width=16)).peft_config(minilm, "FEATURE_EXTRACTION", [])
theirs = inject_adapter_in_model(config, copy.deepcopy(minilm)).eval()
mine = copy.deepcopy(minilm)
for ours, other in zip(mine.encoder.layer, theirs.encoder.layer, strict=True):
    for here, there in ((ours.attention.output, other.attention.output), (ours.output, other.output)):
        adapter = MyAdapter(384, 16)
        for small, library in ((adapter.down, there.dense.bottleneck_down), (adapter.up, there.dense.bottleneck_up)):
            nn.init.normal_(library["default"].weight, std=0.1)  # large enough to make a difference
            small.load_state_dict(library["default"].state_dict())
        here.dense = nn.Sequential(here.dense, adapter)
torch.testing.assert_close(output(mine), output(theirs), atol=1e-5, rtol=1e-5)
print(f"ours and the library's: largest difference {(output(mine) - output(theirs)).abs().max():.1e}")
print(f"with and without adapters:                 {(output(mine) - output(minilm)).abs().max():.2f}")

# %% [markdown]
# ## Prefixes
#
# **Prefix tuning** (Li and Liang 2021, arXiv 2101.00190) leaves the network as it is. In each layer it puts learned
# keys and values *before* those of the text, as if the text began with some words that nobody typed. The queries
# attend to them like to any others. In the code, P is the number of virtual positions in a layer, H the number of
# heads, and K the size of a head, $D / H$.


# %%
class MyPrefixAttention(nn.Module):
    """A layer's attention, [1, T, D] to [1, T, D], with P learned keys and values [H, P, K] before the text's."""

    def __init__(self, base, keys, values):
        super().__init__()
        self.base, self.keys, self.values = base, nn.Parameter(keys), nn.Parameter(values)

    def heads(self, x):
        """Divide each vector among the heads: [1, T, D] to [1, H, T, K]."""
        return x.view(1, x.shape[1], len(self.keys), -1).transpose(1, 2)

    def forward(self, hidden_states, **others):
        query, key, value = (
            self.heads(linear(hidden_states)) for linear in (self.base.query, self.base.key, self.base.value)
        )
        key = torch.cat([self.keys[None], key], dim=2)  # [1, H, P + T, K]
        value = torch.cat([self.values[None], value], dim=2)
        weights = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(-1)  # [1, H, T, P + T]
        return (weights @ value).transpose(1, 2).flatten(2), weights


first = minilm.encoder.layer[0].attention.self
hidden = torch.randn(1, 6, 384)
keys, values = torch.randn(12, 4, 32), torch.randn(12, 4, 32)  # 12 heads, 4 virtual positions, 32 numbers
with torch.no_grad():
    mixed, weights = MyPrefixAttention(first, keys, values)(hidden)
    plain, _ = MyPrefixAttention(first, keys[:, :0], values[:, :0])(hidden)  # no prefix: plain attention
    share = weights[..., :4].sum(-1, keepdim=True)  # [1, 12, 6, 1]: the attention to the prefix
    learned = (weights[..., :4] / share) @ values
    heads = (1 - share) * plain.view(1, 6, 12, 32).transpose(1, 2) + share * learned
    torch.testing.assert_close(mixed, heads.transpose(1, 2).flatten(2), atol=1e-5, rtol=1e-5)
print("a prefix mixes each head's output for the text with learned values; the prefix's share here is", end=" ")
print(f"{share.min():.0%} to {share.max():.0%}")

# %% [markdown]
# Below, we put a trained prefix into this attention, and compare it with the library's model.
#
# ## What each costs
#
# | method | what is learned | after training |
# |---|---|---|
# | `head` | the head alone: it is solved, not trained step by step | nothing added |
# | `bitfit` | the biases (Ben Zaken et al. 2022, arXiv 2106.10199) | nothing added |
# | `lora` | a change of rank r in addition to chosen matrices | can be merged |
# | `adalora` | like LoRA, but unimportant directions are removed | can be merged |
# | `adapter` | two small networks in each layer | adds a little computation |
# | `prefix` | some virtual keys and values before the text, in each layer | makes each text a little longer |
# | `full` | everything | nothing added |
#
# How many weights is that? We compute the number from the formula and count it in MiniLM, with the library's default
# settings. (The new classifier, which all methods train, comes on top: 2 x 384 + 2 = 770 weights for two classes.)

# %%
D, L, F = 384, 6, 1_536  # the width of a vector, layers, the width of the feed-forward network
settings = {name: tunings.get(name).Config() for name in ("lora", "adalora", "adapter", "prefix")}
r, r0 = settings["lora"].rank, settings["adalora"].initial_rank
m, P = settings["adapter"].width, settings["prefix"].tokens
computed = {
    "head": 0,
    "bitfit": D + L * (4 * D + D + F + D + D) + D,  # a norm; six maps and two norms in each layer; the pooler
    "lora": L * 2 * r * 2 * D,  # queries and values
    "adalora": L * (4 * r0 * 2 * D + 2 * r0 * (D + F) + 6 * r0),  # all six maps of a layer, before ranks are removed
    "adapter": L * 2 * (2 * m * D + D + m + 2 * D),  # two in each layer, each with a norm that is trained, too
    "prefix": L * 2 * P * D,
    "full": sum(p.numel() for p in minilm.parameters()),
}
for name in ("bitfit", "lora", "adalora", "adapter"):
    method = tunings.get(name)
    frozen = copy.deepcopy(minilm).requires_grad_(False)
    tuned = inject_adapter_in_model(method(method.Config()).peft_config(frozen, "FEATURE_EXTRACTION", []), frozen)
    counted = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    assert counted == computed[name], (name, counted, computed[name])
for name, count in computed.items():
    print(f"{name:>8}: {count:>10,} trainable weights, {count / computed['full']:7.2%} of the body")

# %% [markdown]
# ## Measured
#
# Task, data, seed and number of epochs are the same. Only `tuning` changes, and with it the learning rate: with fewer
# trainable weights, a larger rate works. The library has a default rate for each method that usually works. For the
# adapter, that rate (6e-3) was too large for the few steps of the CPU setting: the model ended up predicting the same
# class for every text. So the adapter gets a smaller rate below. A method with the wrong rate looks worse than it is.
# Before you call one bad, try other rates (the range test of notebook 07), and compare it with always predicting the
# same class, the dashed line in the figure.

# %%
limit = size(
    test={"train": 16, "valid": 8, "test": 16},
    cpu={"train": 600, "valid": 200, "test": 400},
    gpu={"train": 6_000, "valid": 500, "test": 2_000},
)
everything = ["head", "lora", "adapter", "prefix", "full"]
methods = size(test=["prefix", "full"], cpu=everything, gpu=everything)
runs = {}
for method in methods:
    runs[method] = wb.run(
        {
            "name": f"course-10-{method}",
            "task": "text-classification",
            "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": LENGTH},
            "model": "minilm",
            "tuning": method,
            "training": {
                "epochs": size(test=1, cpu=2, gpu=3),
                "batch_size": batch_size,
                "learning_rate": 2e-3 if method == "adapter" else None,  # None: the library's default
            },
        },
        quiet=True,
        reuse=True,
    )
    cost = runs[method].report().cost
    accuracy = runs[method].report().metrics["accuracy"]
    print(
        f"{method:>8}: {cost.trained_parameters:>10,} trainable weights, {cost.seconds:6.1f} s, "
        f"accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})"
    )

# %%
figure, axis = plt.subplots(figsize=(6, 3.2))
descriptions, intervals = [], []
for method, finished in runs.items():
    accuracy, cost = finished.report().metrics["accuracy"], finished.report().cost
    x, y = cost.trained_parameters, accuracy.value
    axis.errorbar(x, y, yerr=[[y - accuracy.low], [accuracy.high - y]], fmt="o", capsize=4)
    offset = {"xytext": (-8, 4), "ha": "right"} if method == "prefix" else {"xytext": (8, 4)}  # `head` is on its right
    axis.annotate(method, (x, y), textcoords="offset points", **offset)
    descriptions.append(f"{method} {y:.2f} with {x:,} weights")
    intervals.append((accuracy.low, accuracy.high))
always = finished.report().baseline["accuracy"]
axis.axhline(always, color="grey", linestyle="--", label="always the same class")
axis.set(xscale="log", xlabel="trainable weights", ylabel="accuracy, 95% interval")
axis.margins(x=0.2)
axis.legend(fontsize=8)
show(
    figure,
    f"Accuracy with its 95% interval over the number of trainable weights: {'; '.join(descriptions)}. A dashed line: "
    f"always the same class, {always:.2f}.",
)

# %%
common = max(low for low, _ in intervals) <= min(high for _, high in intervals)
print("All intervals overlap." if common else "Not all intervals overlap.")
print(wb.compare(runs[methods[-1]], runs[methods[0]]))

# %% [markdown]
# Overlapping intervals do not mean that two methods are equally good, only that the intervals cannot tell. The last
# line comes from `compare`, which looks at the same examples in both runs (notebook 12).
#
# ### The trained prefix, compared with the library

# %%
tuned = runs["prefix"].predictor().model
learned = tuned.prompt_encoder["default"].embedding.weight.detach()  # [P, layers x 2 x D]
learned = learned.view(len(learned), L, 2, 12, 32).permute(1, 2, 3, 0, 4)  # [layers, keys and values, H, P, K]
mine = copy.deepcopy(minilm)
for layer, (keys, values) in zip(mine.encoder.layer, learned, strict=True):
    layer.attention.self = MyPrefixAttention(layer.attention.self, keys.clone(), values.clone())
# The positions of the text start after the prefix.
positions = (learned.shape[3] + torch.arange(inputs["input_ids"].shape[1]))[None]
torch.testing.assert_close(output(mine, position_ids=positions), output(tuned.base_model.bert), atol=1e-5, rtol=1e-5)
print("the same vectors as the library's model with its prefix")

# %% [markdown]
# ### Does the change of full fine-tuning have few directions?
#
# Now test LoRA's assumption: take $W_{full} - W$, the change that full fine-tuning made to each matrix of queries and
# values, and compute how much of it a low rank would miss.

# %%
full = runs["full"].predictor().model.bert.encoder.layer
curves = []
for before, after in zip(minilm.encoder.layer, full, strict=True):
    for name in ("query", "value"):
        old, new = (getattr(layer.attention.self, name).weight.detach() for layer in (before, after))
        curves.append(missed(new - old))
change = torch.stack(curves).mean(0)
reference = missed(noise)
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(change.numpy(), label="W_full - W, mean over 12 matrices")
axis.plot(reference.numpy(), "--", color="grey", label="noise alone")
axis.axvline(8, color="tab:orange", linewidth=0.8, label="rank 8")
axis.set(xlabel="rank r", ylabel="share missed", ylim=(0, 1.05))
axis.legend(fontsize=8)
show(
    figure,
    f"The share of full fine-tuning's change that rank r misses, mean over 12 matrices: rank 8 misses {change[8]:.0%} "
    f"and rank 64 {change[64]:.0%}; of noise they miss {reference[8]:.0%} and {reference[64]:.0%}.",
)

# %%
print(f"rank 8 misses {change[8]:.0%} of full fine-tuning's change; of noise it would miss {reference[8]:.0%}")

# %% [markdown]
# The further the curve lies below the dashed one, the more of the change lies in few directions. What a low rank
# misses need not matter for the *task*: AdamW changes every weight by about the same amount, whether it matters or
# not. LoRA is free to find another change, of low rank, that serves the task as well; the accuracies above show
# whether it did.
#
# ## Summary
#
# * LoRA adds $\frac{\alpha}{r}BA$ to frozen matrices; it starts at 0, and can be merged. Ours equals peft's.
# * AdaLoRA distributes the ranks by importance. Adapters and prefixes add something that stays in the model; training
#   only the head adds nothing.
# * The number of trainable weights is known in advance; the quality is not. Measure, with intervals.
#
# ## Questions to think about
#
# 1. What happens if both $A$ and $B$ start at 0? (Write down the gradient of each.)
# 2. LoRA trains fewer weights than full fine-tuning, but each step is not that much faster. Why? (Which gradients must
#    still be computed?)
# 3. When would you prefer an adapter to a merged LoRA?
# 4. A prefix cannot be merged into $W$. Why not?
#
# ## Where to go next
#
# * [Notebook 11](11_looking_inside.ipynb) looks inside the fine-tuned model; [notebook
#   12](12_comparing_honestly.ipynb): is the better one better?
# * Lesson 07, [make it small](../tutorials/07_small.ipynb).
# * [workbench/tuning](../workbench/tuning): a file for each method; `workbench tunings` lists all.

# %%
done("10-fewer-weights")
