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
# **After this notebook you can** train a decoder to predict the next token, generate text with it by several sampling
# methods, and build the cache that makes generation fast.
#
# **You need** notebooks 04 (the decoder, causal mask) and 05 (cross-entropy, AdamW, warm-up).
#
# **Time:** about 25 minutes to read; the cells run in about 2 minutes on a laptop CPU (GPU: not measured yet).

# %%
import math
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from workbench.data.load import load_texts
from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer
from workbench.models.networks.heads import DecoderForCausalLM
from workbench.models.networks.transformer import DecoderConfig
from workbench.spec import DataSpec, TrainingSpec
from workbench.teach import done, size
from workbench.teach.pictures import show
from workbench.training.core.optim import learning_rate_factor, make_optimizer
from workbench.workspace import Workspace

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# ## The exercise
#
# The probability of a text $x_0, x_1, \dots, x_{T-1}$ is that of its first token, times that of the second after the
# first, and so on: $p(x) = \prod_t p(x_t \mid x_0, \dots, x_{t-1})$ ($\prod$: multiply them all; $\mid$: "given").
# With the logarithm the product becomes a sum, and the loss is its negative mean (the first token is left out: there
# is nothing before it to predict it from):
#
# $$L = -\frac{1}{T-1}\sum_{t=1}^{T-1} \ln p(x_t \mid x_0, \dots, x_{t-1})$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x_t$ | `ids[:, t]` | `[B]`: token t of each text of the batch |
# | $x$ | `ids` | `[B, T]` |
# | $p(x_t \mid x_0, \dots, x_{t-1})$ | the softmax of `logits[:, t - 1]`, at $x_t$ | `[B]` |
# | V words' scores | `logits` | `[B, T, V]` |
# | $L$ | `my_loss(logits, ids)`, mean over the texts as well | a number |
#
# Thanks to the causal mask, one pass makes all $T - 1$ predictions: the scores at position $t - 1$ predict token $t$.
# So the labels are the text itself, **shifted by one**.

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
    """Mean surprise at the tokens 1 ... T-1, each predicted at the position before it."""
    logs = logits[:, :-1].log_softmax(-1)  # [B, T - 1, V]; the last position predicts what comes after the text
    return -logs.gather(2, ids[:, 1:, None]).mean()


model.eval()
with torch.no_grad():
    output = model(valid_rows[:4].to(device), labels=valid_rows[:4].to(device))
    torch.testing.assert_close(my_loss(output.logits, valid_rows[:4].to(device)), output.loss, atol=1e-5, rtol=1e-5)
print(f"loss by hand and by the library: {output.loss.item():.4f}; knows nothing: {math.log(len(tokenizer)):.4f}")

# %% [markdown]
# ## The training
#
# As in notebook 05, with other rows and labels, and a rate that falls along half a cosine. (The model shifts the
# labels itself, so it receives the text twice.)

# %%
batch_size, peak = size(test=(32, 2e-3), cpu=(8, 2e-3), gpu=(32, 2e-3))  # few texts: small batches make more steps
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
# ## Generating text
#
# Give the model a beginning, sample one token from its prediction, append it, and repeat. You can sample in several
# ways:
#
# * **greedy**: always the most probable token. Dull, and it soon repeats itself.
# * **temperature** $\tau$: divide the scores by $\tau$ before the softmax, $p_v = e^{z_v / \tau} / \sum_u e^{z_u /
#   \tau}$; below 1 more focused, above 1 wilder.
# * **top-k**: only the k most probable tokens.
# * **top-p** (Holtzman et al. 2019, arXiv 1904.09751): the fewest tokens whose probabilities sum to p or more.
#
# Here $z$ is `scores` and $p$ what `filtered` returns, each `[V]`; $\tau$ is `temperature`, a number. The remaining
# probabilities are divided by their sum, so that they sum to 1 again.


# %%
def filtered(scores, temperature=1.0, top_k=0, top_p=1.0):
    """Probabilities [V] to draw from."""
    p = (scores / temperature).softmax(-1)
    if top_k:
        p = p.masked_fill(p < p.topk(top_k).values[-1], 0.0)
        p = p / p.sum()
    if top_p < 1:
        sorted_p, order = p.sort(descending=True)
        before = sorted_p.cumsum(0) - sorted_p  # what the more probable tokens have together
        p = p.scatter(0, order[before >= top_p], 0.0)  # they have enough already
        p = p / p.sum()
    return p


@torch.no_grad()
def write(beginning, count, greedy=False, **how):
    ids = tokenizer(beginning, add_special_tokens=False, return_tensors="pt")["input_ids"].to(device)
    for _ in range(count):
        scores = model(ids).logits[0, -1]
        following = scores.argmax() if greedy else torch.multinomial(filtered(scores, **how), 1)[0]  # draw one
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

# %% [markdown]
# On a CPU this is not yet English, and cannot be: the model has read fewer than a thousand plots a few times, and its
# tokens are mostly parts of words. It has learned which subwords are frequent, and which follow each other. Compare
# the sampling methods, not the stories: greedy soon goes in circles, and a temperature of 1.5 breaks words. This is
# what each of them does to the probabilities:

# %%
ids = tokenizer("A young", add_special_tokens=False, return_tensors="pt")["input_ids"].to(device)
with torch.no_grad():
    scores = model(ids).logits[0, -1].cpu()
figure, axis = plt.subplots(figsize=(6, 3))
summary = []
for how in ({}, {"temperature": 0.5}, {"top_k": 10}, {"top_p": 0.5}):
    label = ", ".join(f"{name} {value}" for name, value in how.items()) or "as it is"
    drawn = filtered(scores, **how).sort(descending=True).values
    axis.plot(drawn[:40], label=label)
    summary.append(f"{label}: {int((drawn > 0).sum())} tokens can be drawn, the first five with {drawn[:5].sum():.0%}")
axis.set(xlabel="tokens, the most probable first", ylabel="probability to be drawn")
axis.legend()
show(figure, f"Probability of the 40 likeliest next tokens. {'; '.join(summary)}.")

# %% [markdown]
# ### Compared with the library
#
# transformers has a class for each of the three, and calls them *warpers*. A warper sets the scores of excluded tokens
# to $-\infty$; the softmax of its scores must be our probabilities, for each method alone and for all three. And
# `generate`, transformers' own method, which our models have, must return the same tokens when greedy.

# %%
warpers = {"temperature": TemperatureLogitsWarper, "top_k": TopKLogitsWarper, "top_p": TopPLogitsWarper}
for how in ({"temperature": 0.5}, {"top_k": 10}, {"top_p": 0.5}, {"temperature": 1.5, "top_k": 50, "top_p": 0.9}):
    theirs = scores[None]  # [1, V]
    for name, value in how.items():
        warper = warpers[name]
        theirs = warper(value)(None, theirs)
    torch.testing.assert_close(filtered(scores, **how), theirs.softmax(-1)[0], atol=1e-5, rtol=1e-5)
    print("same probabilities:", ", ".join(f"{name} {value}" for name, value in how.items()))

start = tokenizer("A young", add_special_tokens=False, return_tensors="pt").to(device)
theirs = model.generate(
    start["input_ids"],
    attention_mask=torch.ones_like(start["input_ids"]),
    max_new_tokens=count,
    do_sample=False,
    pad_token_id=0,
    eos_token_id=None,  # no token ends the text: it writes all of max_new_tokens
)
assert torch.equal(theirs, write("A young", count, greedy=True))
print("greedy by hand and generate: same", theirs.shape[1], "tokens")

# %% [markdown]
# ## The cache
#
# Our `write` reads the whole text again for each new token. But keys and values of earlier tokens do not change, as
# they see nothing after them. So **store** them: a step then reads one token, and computes the query, key and value of
# that one alone. $T$ steps read $T$ tokens instead of $T(T+1)/2$.
#
# For one attention layer that is two tables which grow by a row at each step. No mask is needed: the newest token may
# look at everything so far.
#
# | what | in the code | shape at step t |
# |---|---|---|
# | the new token's vector | `x` | `[B, 1, D]` |
# | its query, key and value, split into heads | `query`, `key`, `value` | `[B, H, 1, D / H]` each |
# | all keys and values so far | `self.key`, `self.value` | `[B, H, t + 1, D / H]` each |
# | the softmax | `weights` | `[B, H, 1, t + 1]` |


# %%
class MyCachedAttention:
    """An attention layer that reads one token at a time and keeps the keys and values of those before."""

    def __init__(self, layer):
        self.layer, self.key, self.value = layer, None, None

    def split(self, x):  # [B, 1, D] -> [B, H, 1, D / H]
        return x.view(x.shape[0], 1, self.layer.num_heads, -1).transpose(1, 2)

    def step(self, x):
        """The new token's vector [B, 1, D], after it has looked at itself and at all before it."""
        query, key, value = (self.split(part) for part in self.layer.query_key_value(x).chunk(3, dim=-1))
        self.key = key if self.key is None else torch.cat([self.key, key], dim=2)
        self.value = value if self.value is None else torch.cat([self.value, value], dim=2)
        weights = (query @ self.key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(dim=-1)
        return self.layer.output((weights @ self.value).transpose(1, 2).reshape(x.shape))


# %% [markdown]
# Compared with the library's layer, which reads the whole text at once under a causal mask, and with the tables that
# the library stores (`past_key_values`).

# %%
first_layer = model.model.layers[0]
text = valid_rows[:2, :12].to(device)
mine = MyCachedAttention(first_layer.attention)
with torch.no_grad():
    output = model(text, use_cache=True, output_hidden_states=True)
    x = first_layer.attention_norm(output.hidden_states[0])  # what the first layer's attention is given: [B, T, D]
    one_by_one = torch.cat([mine.step(x[:, t : t + 1]) for t in range(x.shape[1])], dim=1)
    at_once, _ = first_layer.attention(x, causal=True)
cached = output.past_key_values.layers[0]
torch.testing.assert_close(one_by_one, at_once, atol=1e-5, rtol=1e-5)
torch.testing.assert_close(mine.key, cached.keys, atol=1e-5, rtol=1e-5)
torch.testing.assert_close(mine.value, cached.values, atol=1e-5, rtol=1e-5)
print("token by token with the cache, and all at once: the same vectors", list(at_once.shape))
print("cached keys:", list(mine.key.shape), "as in the library")

# %% [markdown]
# ### Generating with the cache
#
# A model has such a cache in each layer. The rest of a block processes each token separately, so it needs none: the
# decoder of notebook 04, one token at a time.


# %%
class Reader:
    """A decoder that reads one token at a time; ``model`` has the weights."""

    def __init__(self, model):
        self.model, self.position = model, 0
        self.caches = [MyCachedAttention(block.attention) for block in model.model.layers]

    @torch.no_grad()
    def read(self, token):
        """Scores [B, V] for what follows a token [B, 1]."""
        embeddings = self.model.model.embeddings
        x = embeddings.tokens(token) + embeddings.positions(torch.tensor([[self.position]], device=token.device))
        for block, cache in zip(self.model.model.layers, self.caches, strict=True):
            x = x + cache.step(block.attention_norm(x))
            x = x + block.feed_forward(block.feed_forward_norm(x))
        self.position += 1
        return self.model.vocabulary(self.model.model.final_norm(x))[:, 0]


def write_cached(model, ids, count):
    """Greedy: the text [1, T + count], and the seconds at which each new token was there."""
    reader, seconds, begun = Reader(model), [], time.perf_counter()
    for position in range(ids.shape[1]):
        scores = reader.read(ids[:, position : position + 1])
    for _ in range(count):
        following = int(scores.argmax())
        seconds.append(time.perf_counter() - begun)
        ids = torch.cat([ids, torch.tensor([[following]], device=ids.device)], dim=1)
        scores = reader.read(ids[:, -1:])
    return ids, seconds, scores


@torch.no_grad()
def write_uncached(model, ids, count):
    """The same, reading the whole text again for each token."""
    seconds, begun = [], time.perf_counter()
    for _ in range(count):
        following = int(model(ids).logits[0, -1].argmax())
        seconds.append(time.perf_counter() - begun)
        ids = torch.cat([ids, torch.tensor([[following]], device=ids.device)], dim=1)
    return ids, seconds


ids, _, last = write_cached(model, start["input_ids"], count)
assert torch.equal(ids, write("A young", count, greedy=True))
with torch.no_grad():
    torch.testing.assert_close(last[0], model(ids).logits[0, -1], atol=1e-5, rtol=1e-5)
first = start["input_ids"].shape[1]
print(f"the same text with the cache; tokens read: {ids.shape[1]}, without: {sum(range(first, first + count))}")

# %% [markdown]
# What is it worth in seconds? Our model is so small that most of a step is overhead. A larger one shows it better. Its
# speed does not depend on what it has learned, so its weights may be random.

# %%
wide, deep, long = size(test=(32, 1, 12), cpu=(256, 4, 250), gpu=(1_024, 12, 1_000))
torch.manual_seed(0)
larger = (
    DecoderForCausalLM(
        DecoderConfig(
            vocab_size=len(tokenizer),
            hidden_size=wide,
            num_hidden_layers=deep,
            num_attention_heads=wide // 32,
            intermediate_size=4 * wide,
            max_position_embeddings=long + 8,
        )
    )
    .to(device)
    .eval()
)
write_uncached(larger, start["input_ids"], 3)  # the first steps of a program are slow; they are not to count
_, uncached = write_uncached(larger, start["input_ids"], long)
_, cached, _ = write_cached(larger, start["input_ids"], long)

figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(range(1, long + 1), uncached, label="reads all again")
axis.plot(range(1, long + 1), cached, linestyle="--", label="keeps keys and values")
axis.set(xlabel="tokens written", ylabel="seconds")
axis.legend()
summary = f"{long} tokens took {uncached[-1]:.2f} s without the cache, and {cached[-1]:.2f} s with it"
print(summary)
halves = [f"{line[long // 2 - 1] / line[-1]:.0%}" for line in (uncached, cached)]
show(
    figure,
    f"Seconds against tokens written: {summary}. The first half of the tokens took {halves[0]} of the time without the "
    f"cache, and {halves[1]} with it.",
)

# %% [markdown]
# The price is memory: two vectors of width $D$ (a key and a value) for each token and layer, so $2 L D$ numbers for
# each token with $L$ layers.
#
# ## Summary
#
# * A decoder learns by predicting each next token; labels are the text shifted by one.
# * Generating means sampling again and again; temperature, top-k and top-p shape the distribution.
# * The cache stores the keys and values of each layer: same text, far fewer tokens read.
#
# ## Questions to think about
#
# 1. Why can an encoder like BERT not have such a cache?
# 2. What do top-k 1 and a temperature near 0 have in common?
# 3. What would the loss be if the labels were not shifted?
#
# ## Where to go next
#
# * [Notebook 07](07_fine_tuning.ipynb): fine-tuning. [Notebook 09](09_sequence_to_sequence.ipynb): generation with an
#   encoder-decoder.
# * `workbench run write-tiny` in a terminal trains a decoder from a ready-made spec (a *preset*); its task is in
#   [`causal_lm.py`](../workbench/tasks/causal_lm.py).
# * Radford et al. 2019, *Language Models are Unsupervised Multitask Learners* (GPT-2); [Holtzman et al.
#   2019](https://arxiv.org/abs/1904.09751) (top-p).

# %%
done("06-pretraining-causal")
