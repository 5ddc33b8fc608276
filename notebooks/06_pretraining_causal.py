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
# # 06 · Pretraining II: the next word
#
# **After this notebook you can** train a decoder to guess the next token, write text with it by several ways of
# sampling, and build the cache that makes writing quick.
#
# **You need** notebooks 04 (the decoder, causal mask) and 05 (cross-entropy, AdamW, warm-up).
#
# **Time:** about 20 minutes to read; the cells run in about 3 minutes on a laptop CPU (GPU: not measured yet).

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from workbench.data.load import load_texts
from workbench.data.tokenizers import TokenizerSpec, train_tokenizer
from workbench.models.heads import DecoderForCausalLM
from workbench.models.transformer import DecoderConfig
from workbench.spec import DataSpec, TrainingSpec
from workbench.teach import size
from workbench.teach.pictures import show
from workbench.training.optim import learning_rate_factor, make_optimizer
from workbench.workspace import Workspace

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# ## The exercise
#
# A text $x_1, x_2, \dots, x_T$ is as probable as its first token, times the second after the first, and so on: $p(x) =
# \prod_t p(x_t \mid x_1 \dots x_{t-1})$ ($\prod$: multiply them all; $\mid$: "when there stands before it"). With the
# logarithm the product becomes a sum, and the loss is its mean with a minus:
#
# $$L = -\frac{1}{T-1}\sum_{t=2}^{T} \ln p(x_t \mid x_1, \dots, x_{t-1})$$
#
# Thanks to the causal mask one pass gives all $T - 1$ guesses: the scores at place $t-1$ (`logits[:, t - 1]`) guess
# token $t$. So labels are the text itself, **shifted by one**.

# %%
vocabulary, length = size(test=(400, 32), cpu=(1_500, 64), gpu=(4_000, 128))
texts, _ = load_texts(DataSpec(train="film-plots", holdout={"valid": 0.1, "test": 0}), Workspace.current())
texts = texts[: size(test=100, cpu=1_000, gpu=1_000)]
tokenizer = train_tokenizer(texts, TokenizerSpec(train="bpe", vocab_size=vocabulary))
documents = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def rows_of(documents):
    """One long row of tokens, cut into rows of equal length [N, T]."""
    stream = torch.tensor([token for document in documents for token in document])
    return stream[: len(stream) // length * length].view(-1, length)


train_rows, valid_rows = rows_of(documents[len(documents) // 10 :]), rows_of(documents[: len(documents) // 10])
print(len(tokenizer), "tokens; training rows", list(train_rows.shape), "held out", list(valid_rows.shape))

# %%
width, layers, epochs = size(test=(32, 1, 1), cpu=(128, 2, 5), gpu=(256, 4, 20))
config = DecoderConfig(
    vocab_size=len(tokenizer),
    hidden_size=width,
    num_hidden_layers=layers,
    num_attention_heads=width // 32,
    intermediate_size=4 * width,
    max_position_embeddings=2 * length,
)
model = DecoderForCausalLM(config).to(device)


def my_loss(logits, ids):
    """Mean surprise at the tokens 1 ... T-1, each guessed at the place before it."""
    logs = logits[:, :-1].log_softmax(-1)
    return -logs.gather(2, ids[:, 1:, None]).mean()


model.eval()
with torch.no_grad():
    found = model(valid_rows[:4].to(device), labels=valid_rows[:4].to(device))
    torch.testing.assert_close(my_loss(found.logits, valid_rows[:4].to(device)), found.loss, atol=1e-5, rtol=1e-5)
print(f"loss by hand and by the library: {found.loss.item():.4f}; knows nothing: {math.log(len(tokenizer)):.4f}")

# %% [markdown]
# ## The training
#
# As in notebook 05, with other rows and labels.

# %%
batch_size, peak = 32, 2e-3
steps = epochs * math.ceil(len(train_rows) / batch_size)
optimizer = make_optimizer(model, TrainingSpec(weight_decay=0.1), peak)
step = 0
for epoch in range(1, epochs + 1):
    model.train()
    for rows in torch.randperm(len(train_rows)).split(batch_size):
        ids = train_rows[rows].to(device)
        loss = model(ids, labels=ids).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = peak * learning_rate_factor(step, steps, 0.1, "cosine")
        optimizer.step()
        optimizer.zero_grad()
        step += 1
    model.eval()
    with torch.no_grad():
        losses = [model(part.to(device), labels=part.to(device)).loss.item() for part in valid_rows.split(64)]
    held_out = sum(losses) / len(losses)
    print(f"epoch {epoch}: held out {held_out:.2f}, perplexity {math.exp(held_out):.0f}")

# %% [markdown]
# ## Writing
#
# Give the model a beginning, draw one token from its guess, append it, and again. How to draw is a choice:
#
# * **greedy**: always the most probable. Dull, and soon repeats itself.
# * **temperature** $\tau$: divide the scores by $\tau$ before the softmax; below 1 more decided, above 1 wilder.
# * **top-k**: only the k most probable. **top-p** (Holtzman et al. 2019, arXiv 1904.09751): as few as together have
#   the probability p.


# %%
def filtered(scores, temperature=1.0, top_k=0, top_p=1.0):
    """Probabilities [V] to draw from."""
    p = (scores / temperature).softmax(-1)
    if top_k:
        p = p.masked_fill(p < p.topk(top_k).values[-1], 0.0)
    if top_p < 1:
        sorted_p, order = p.sort(descending=True)
        enough = sorted_p.cumsum(0) - sorted_p >= top_p  # what comes before has the probability already
        p = p.scatter(0, order[enough], 0.0)
    return p / p.sum()


@torch.no_grad()
def write(beginning, count, greedy=False, **how):
    ids = tokenizer(beginning, add_special_tokens=False, return_tensors="pt")["input_ids"].to(device)
    for _ in range(count):
        scores = model(ids).logits[0, -1]
        following = scores.argmax() if greedy else torch.multinomial(filtered(scores, **how), 1)[0]
        ids = torch.cat([ids, following.view(1, 1)], dim=1)
    return ids


count = size(test=10, cpu=40, gpu=80)
for name, how in {
    "greedy": {"greedy": True},
    "temperature 0.7": {"temperature": 0.7},
    "temperature 1.5": {"temperature": 1.5},
    "top-k 20": {"top_k": 20},
    "top-p 0.9": {"top_p": 0.9},
}.items():
    torch.manual_seed(0)
    print(f"{name:>16}: {tokenizer.decode(write('A young', count, **how)[0])!r}")

# %%
with torch.no_grad():
    scores = model(tokenizer("A young", add_special_tokens=False, return_tensors="pt")["input_ids"].to(device)).logits[
        0, -1
    ]
figure, axis = plt.subplots(figsize=(6, 3))
for how in ({}, {"temperature": 0.5}, {"top_k": 10}, {"top_p": 0.5}):
    label = ", ".join(f"{name} {value}" for name, value in how.items()) or "as it is"
    axis.plot(filtered(scores.cpu(), **how).sort(descending=True).values[:40], label=label)
axis.set(xlabel="tokens, the most probable first", ylabel="probability to be drawn")
axis.legend()
show(figure, "Probability of the 40 likeliest next tokens: temperature 0.5, top-k and top-p move it to the first few.")

# %% [markdown]
# Held against the library's way to write (transformers' `generate`, which our models have): greedy must give the same
# tokens.

# %%
start = tokenizer("A young", add_special_tokens=False, return_tensors="pt").to(device)
theirs = model.generate(
    start["input_ids"],
    attention_mask=torch.ones_like(start["input_ids"]),
    max_new_tokens=count,
    do_sample=False,
    pad_token_id=0,
    eos_token_id=None,
)
assert torch.equal(theirs, write("A young", count, greedy=True))
print("greedy by hand and generate: same", theirs.shape[1], "tokens")

# %% [markdown]
# ## The cache
#
# Our `write` reads the whole text again for each new token. But keys and values of earlier tokens do not change, as
# they see nothing after them. So **keep** them: a step then reads one token, and only its query is new. $T$ steps
# read $T$ tokens instead of $T(T+1)/2$.


# %%
@torch.no_grad()
def write_cached(beginning, count):
    ids = tokenizer(beginning, add_special_tokens=False, return_tensors="pt")["input_ids"].to(device)
    found = model(ids, use_cache=True)
    read = ids.shape[1]
    for _ in range(count):
        following = found.logits[0, -1].argmax().view(1, 1)
        ids = torch.cat([ids, following], dim=1)
        found = model(following, past_key_values=found.past_key_values, use_cache=True)
        read += 1
    return ids, found.logits[0, -1], read


ids, last, read = write_cached("A young", count)
assert torch.equal(ids, write("A young", count, greedy=True))
with torch.no_grad():
    torch.testing.assert_close(last, model(ids).logits[0, -1], atol=1e-5, rtol=1e-5)
first = start["input_ids"].shape[1]
print(f"tokens read with the cache: {read}; without: {sum(range(first, first + count))}")

# %% [markdown]
# The price is memory: two vectors of width $D$ (a key and a value) for each token and layer.
#
# ## Summary
#
# * A decoder learns by guessing each next token; labels are the text shifted by one.
# * Writing is drawing again and again; temperature, top-k and top-p shape the draw.
# * The cache keeps keys and values: same text, far fewer tokens read.
#
# ## Questions to think about
#
# 1. Why can an encoder like BERT not have such a cache?
# 2. What do top-k 1 and a temperature near 0 have in common?
# 3. What would the loss be if the labels were not shifted?
#
# ## Where to go on
#
# * The preset `write-tiny`, a ready-made spec: `workbench run write-tiny` in a terminal;
#   `workbench/tasks/causal_lm.py`. Notebook 07: fine-tuning.
# * Radford et al. 2019 (GPT-2).
