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
# # 04 · The Transformer
#
# **After this notebook you can** build an encoder, a decoder and an encoder-decoder from attention and a few small
# layers, say what each of them is for, count the weights, and load published weights into what you have built.
#
# **You need** notebook 03 (attention, masks, heads). A *layer* is one step of computation with weights of its own.
#
# **Time:** about 35 minutes to read; the cells run in less than a minute on a laptop CPU (GPU: not measured yet).

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from workbench.models.convert import from_transformers
from workbench.models.loading import make_source
from workbench.models.networks.attention import MultiHeadAttention, causal_mask, padding_mask
from workbench.models.networks.transformer import (
    Block,
    EncoderConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    EncoderModel,
)
from workbench.teach import done, size
from workbench.teach.pictures import show
from workbench.workspace import Workspace

torch.manual_seed(0)
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## The plan
#
# A Transformer is a stack of identical **blocks**. A text comes in as numbers, each becomes a vector of width $D$, and
# each block changes these vectors a little. A block consists of:
#
# 1. **Attention**: tokens take from each other (notebook 03). It is the only place where tokens interact.
# 2. **Feed-forward network**: the same small network, applied to each token separately.
#
# Three things around them make deep stacks trainable: the **residual connection** (the input is added to the output),
# the **layer norm**, and **dropout**.
#
# Nearly all of it comes from one paper, *Attention Is All You Need* (Vaswani et al. 2017, arXiv 1706.03762). This is
# where each component is described:
#
# | component | section of the paper | below |
# |---|---|---|
# | block, residual, position of the norm | 3.1 | part 3 |
# | attention, and its heads | 3.2.1, 3.2.2 | notebook 03 |
# | what attends to what: encoder, decoder, from one to the other | 3.2.3 | the three models |
# | feed-forward network | 3.3 | part 1 |
# | embeddings, and back to words | 3.4 | encoder-decoder, decoder |
# | waves for positions | 3.5 | notebook 03, encoder-decoder |
# | dropout | 5.4 | part 3 |
#
# Two components come from other papers: layer norm, which this one uses (Ba et al. 2016, arXiv 1607.06450), and GELU,
# which became common with GPT and BERT (Hendrycks and Gimpel 2016, arXiv 1606.08415).
#
# The letters of shapes are those of notebook 03: B texts, T tokens, D width, H heads. We compare what we build with
# the library, which is this workbench's own code, and with **transformers**, Hugging Face's library, which most
# published models are used with.
#
# ## Part 1: the feed-forward network
#
# Two linear maps with an activation function between them, from $D$ numbers to $4D$ and back. Without the activation,
# two linear maps would be one.
#
# $$\operatorname{FFN}(x) = W_2\,\operatorname{act}(W_1 x + b_1) + b_2$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $x$ | `x[b, t]` | `[D]`: one token's vector |
# | $W_1$, $b_1$ | `up.weight`, `up.bias` | `[4D, D]`, `[4D]` |
# | $W_2$, $b_2$ | `down.weight`, `down.bias` | `[D, 4D]`, `[D]` |
# | $z = W_1 x + b_1$ | `z` | `[4D]` |
#
# Three activations are in use. **ReLU** (the first Transformer): negative numbers become 0, positive ones stay.
# **GELU** (BERT) is close to it, with a soft corner: $\operatorname{gelu}(z) = z\,\Phi(z)$, where $\Phi(z)$ is the
# probability that a normally distributed number (one from the bell curve with mean 0 and variance 1) is below $z$.
# There is no elementary formula for that probability, so it has a function of its own, `erf` (the "error function"):
# $\Phi(z) = \tfrac12\bigl(1 + \operatorname{erf}(z / \sqrt2)\bigr)$. **GPT-2** uses an approximation, from the days
# when `erf` was slow: $\tfrac12 z\bigl(1 + \tanh(\sqrt{2/\pi}\,(z + 0.044715\,z^3))\bigr)$.


# %%
def relu(z):
    return z.clamp(min=0)


def gelu(z):
    phi = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    return z * phi


def gelu_tanh(z):
    return 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


class MyFeedForward(nn.Module):
    """[B, T, D] to [B, T, D], each token by itself."""

    def __init__(self, width, inner, activation=gelu):
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.activation = activation

    def forward(self, x):
        z = self.up(x)  # [B, T, 4D]
        return self.down(self.activation(z))


z = torch.linspace(-4, 4, 201)
torch.testing.assert_close(gelu(z), nn.functional.gelu(z), atol=1e-5, rtol=1e-5)
torch.testing.assert_close(gelu_tanh(z), nn.functional.gelu(z, approximate="tanh"), atol=1e-5, rtol=1e-5)
apart = (gelu(z) - gelu_tanh(z)).abs().max().item()
print(f"both gelus are torch's; they differ from each other by {apart:.4f} at most")
figure, axis = plt.subplots(figsize=(5, 2.8))
axis.plot(z, gelu(z), label="gelu")
axis.plot(z, relu(z), linestyle="--", label="relu: max(0, z)")
axis.set(xlabel="z")
axis.legend()
show(
    figure,
    f"GELU against max(0, z): at -4 and at 4 they differ by {(gelu(z) - relu(z)).abs()[[0, -1]].max():.4f}; between, "
    f"GELU is smooth, and dips to {gelu(z).min():.2f} at z = {z[gelu(z).argmin()]:.2f}.",
)

# %% [markdown]
# ## Part 2: layer norm
#
# Numbers that grow from layer to layer make training unstable. A **layer norm** brings each token's vector to mean 0
# and variance 1, then scales and shifts each number by a learned gain $\gamma$ and bias $\beta$:
#
# $$\operatorname{norm}(x) = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$$
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $x$ | `x` | `[B, T, D]` | |
# | $\mu$, $\sigma^2$ | `mean`, `variance` | `[B, T, 1]` | over the $D$ numbers of **one token** |
# | $\gamma$ | `gain`, torch's `norm.weight` | `[D]` | learned |
# | $\beta$ | `bias`, torch's `norm.bias` | `[D]` | learned |
# | $\varepsilon$ | `epsilon` | a number | tiny, and prevents a division by 0 |
#
# $\odot$ multiplies number by number.


# %%
def my_norm(x, gain, bias, epsilon=1e-12):
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return gain * (x - mean) / torch.sqrt(variance + epsilon) + bias


x = torch.randn(2, 5, 32) * 7 + 3
norm = nn.LayerNorm(32, eps=1e-12)
with torch.no_grad():  # a fresh norm has gain 1 and bias 0, with which a forgotten one would not be noticed
    norm.weight.copy_(torch.rand(32) + 0.5)
    norm.bias.copy_(torch.randn(32))
torch.testing.assert_close(my_norm(x, norm.weight, norm.bias), norm(x), atol=1e-5, rtol=1e-5)
token = my_norm(x, gain=1, bias=0)[0, 0]  # without gain and bias, to see what the fraction does
print(f"one token before: mean {x[0, 0].mean():.2f}, variance {x[0, 0].var(unbiased=False):.2f}")
print(f"one token after:  mean {token.mean().abs():.2f}, variance {token.var(unbiased=False):.2f}")

# %% [markdown]
# ## Part 3: the residual, and the position of the norm
#
# Each sublayer only says what to **change**: $x + \operatorname{sublayer}(x)$, where the *sublayer* is attention or
# the feed-forward network, and $x$ and the output are `[B, T, D]`. So there is a direct path from the last layer to
# the first, and gradients pass through it unchanged. The norm can be in two positions:
#
# * **post** (the first Transformer, BERT): $\operatorname{norm}(x + \operatorname{sublayer}(x))$
# * **pre** (GPT-2 and nearly all since): $x + \operatorname{sublayer}(\operatorname{norm}(x))$, with one more norm at
#   the top. The direct path is left alone, and training is more stable.
#
# **Dropout** sets a random share of the numbers to 0 during training and scales up the rest, so that no layer can rely
# on a single number. In evaluation, which `eval()` switches to, it does nothing.


# %%
class MyBlock(nn.Module):
    """One layer: [B, T, D] to [B, T, D]."""

    def __init__(self, width, heads, inner, dropout=0.1, pre=False, activation=gelu, epsilon=1e-12):
        super().__init__()
        self.attention = MultiHeadAttention(width, heads)  # notebook 03 built its equal; gives vectors, weights
        self.attention_norm = nn.LayerNorm(width, eps=epsilon)
        self.feed_forward = MyFeedForward(width, inner, activation)
        self.feed_forward_norm = nn.LayerNorm(width, eps=epsilon)
        self.dropout, self.pre = nn.Dropout(dropout), pre

    def forward(self, x, mask=None):
        if self.pre:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask)[0])
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)[0]))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


# %% [markdown]
# Compared with the library's `Block`, with the same weights, for both positions of the norm. (`state_dict` returns the
# weights of a layer as a dictionary of names and tables, and `load_state_dict` reads them. `padding_mask` turns the
# ones and zeros of a tokenizer into notebook 03's mask, `causal_mask` is the other one; both apply to a whole batch
# and all heads.)

# %%
for norm in ("post", "pre"):
    numbers = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 128, "norm": norm}
    library = Block(EncoderConfig(**numbers), layer=0).eval()
    mine = MyBlock(32, 4, 128, pre=norm == "pre").eval()
    mine.load_state_dict(library.state_dict())  # the layers have the same names, so the weights match
    x = torch.randn(2, 7, 32)
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]]))
    torch.testing.assert_close(mine(x, mask), library(x, mask)[0], atol=1e-5, rtol=1e-5)
    print(f"norm {norm}: same outputs")

# %% [markdown]
# What does the residual do? Stack 24 new blocks, with and without it, send a text of 16 random vectors through, and
# check after each layer how similar its tokens are: the mean *cosine* of two different tokens' vectors, which is 1
# when they point the same way.


# %%
@torch.no_grad()
def similarity_by_layer(kind, layers=24):
    torch.manual_seed(0)
    stack = nn.ModuleList(MyBlock(64, 4, 256, dropout=0.0, pre=kind == "pre norm") for _ in range(layers))
    x = torch.randn(4, 16, 64)
    similarities = []
    for block in stack:
        if kind == "no residual":
            x = block.attention_norm(block.attention(x)[0])
            x = block.feed_forward_norm(block.feed_forward(x))
        else:
            x = block(x)
        unit = nn.functional.normalize(x, dim=-1)
        cosines = unit @ unit.transpose(1, 2)  # [B, T, T]; 1 on the diagonal
        similarities.append(((cosines.sum() - 4 * 16) / (4 * 16 * 15)).item())
    return similarities


figure, axis = plt.subplots(figsize=(6, 3))
curves = {kind: similarity_by_layer(kind) for kind in ("post norm", "pre norm", "no residual")}
for (kind, cosine), marker in zip(curves.items(), "os^", strict=True):
    print(f"{kind:>11}: after the first layer {cosine[0]:.2f}, after the last {cosine[-1]:.2f}")
    axis.plot(range(1, 25), cosine, marker=marker, label=kind)
axis.set(xlabel="layer", ylabel="cosine of two tokens", ylim=(-0.1, 1.1))
axis.legend()
last = ", ".join(f"{kind} {cosine[-1]:.2f}" for kind, cosine in curves.items())
show(figure, f"How similar the tokens of a text are after each of 24 new layers; after the last: {last}. Three lines.")

# %% [markdown]
# A cosine near 1 means that all tokens have become the same vector. Attention is a mean, and means of means soon
# become equal: without the residual, a new stack forgets within a few layers which token is which (Dong et al. 2021,
# arXiv 2103.03404), and there is nothing left to learn from. With the residual, tokens become similar far more slowly:
# look at the numbers after the first layer, and after the last.
#
# Deep models with post norm need a slowly rising learning rate at the start (**warm-up**, notebook 05). Those with pre
# norm can do without it (Xiong et al. 2020, arXiv 2002.04745).
#
# ## The encoder: BERT
#
# Embeddings, then blocks without a causal mask: each token sees the whole text. The embedding of a token is the sum of
# three vectors that are looked up in tables: one for the token, one for its position, one for its segment (first or
# second text of a pair). (`nn.Embedding` is such a table, and `nn.ModuleList` a list of layers whose weights torch
# keeps track of.)


# %%
class MyEncoder(nn.Module):
    """Token numbers [B, T] to vectors [B, T, D]."""

    def __init__(self, vocabulary, width, layers, heads, inner, positions, dropout=0.1):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        self.types = nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width, eps=1e-12), nn.Dropout(dropout)
        self.layers = nn.ModuleList(MyBlock(width, heads, inner, dropout) for _ in range(layers))

    def forward(self, input_ids, attention_mask, token_type_ids):
        position = torch.arange(input_ids.shape[1])
        x = self.tokens(input_ids) + self.positions(position) + self.types(token_type_ids)
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, padding_mask(attention_mask))
        return x


# %% [markdown]
# ### Published weights in what you built
#
# MiniLM is a BERT that others have trained. Its weights are a dictionary of names and tables of numbers. We only have
# to say which of ours is which of theirs. Ours stores queries, keys and values in one matrix, so three of theirs are
# stacked.

# %%
loaded = make_source("minilm", Workspace.current()).load("AutoModel", {})
bert, tokenizer = loaded.model.eval(), loaded.tokenizer
theirs, numbers = bert.state_dict(), bert.config
print(len(theirs), "tables, for example:")
for name in list(theirs)[:8]:
    print(f"   {name:<48} {list(theirs[name].shape)}")


# %%
def bert_weights(theirs, layers):
    """Their names, in our names."""
    weights = {}
    embeddings = {"tokens": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings"}
    for ours, name in embeddings.items():
        weights[f"{ours}.weight"] = theirs[f"embeddings.{name}.weight"]
    for kind in ("weight", "bias"):
        weights[f"norm.{kind}"] = theirs[f"embeddings.LayerNorm.{kind}"]
        for i in range(layers):
            old, new = f"encoder.layer.{i}", f"layers.{i}"
            three = [theirs[f"{old}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            weights[f"{new}.attention.query_key_value.{kind}"] = torch.cat(three)
            for ours, name in {
                "attention.output": "attention.output.dense",
                "attention_norm": "attention.output.LayerNorm",
                "feed_forward.up": "intermediate.dense",
                "feed_forward.down": "output.dense",
                "feed_forward_norm": "output.LayerNorm",
            }.items():
                weights[f"{new}.{ours}.{kind}"] = theirs[f"{old}.{name}.{kind}"]
    return weights


mine = MyEncoder(
    numbers.vocab_size,
    numbers.hidden_size,
    numbers.num_hidden_layers,
    numbers.num_attention_heads,
    numbers.intermediate_size,
    numbers.max_position_embeddings,
).eval()
print(mine.load_state_dict(bert_weights(theirs, numbers.num_hidden_layers)))

# %% [markdown]
# Every weight was matched. Now the test, on two texts of different length: the class written above, the library's
# encoder, and transformers' BERT return the same numbers. (`from_transformers` converts a model of transformers to the
# library's, with the same weights.)

# %%
texts = ["A quiet, moving film.", "The second half loses its way, and the actors know it."]
inputs = tokenizer(texts, padding=True, return_tensors="pt")
inputs.setdefault("token_type_ids", torch.zeros_like(inputs["input_ids"]))
library = from_transformers(bert)
with torch.no_grad():
    published = bert(**inputs).last_hidden_state
    ours = mine(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])
    theirs_again = library(**inputs).last_hidden_state
real = inputs["attention_mask"].bool()  # what stands on padding is nobody's business
torch.testing.assert_close(ours[real], published[real], atol=1e-5, rtol=1e-5)
torch.testing.assert_close(theirs_again[real], published[real], atol=1e-5, rtol=1e-5)
print("by hand against published:", f"{(ours - published)[real].abs().max().item():.1e}")
print("library against published:", f"{(theirs_again - published)[real].abs().max().item():.1e}")

# %% [markdown]
# The vectors mean something: MiniLM was trained so that texts with similar meaning have vectors with similar
# direction. The mean over the tokens, scaled to length 1, is one vector for each text; the dot product of two of them
# is their *cosine similarity*.

# %%
texts = ["A wonderful film.", "I loved this movie.", "The train to Bern is late.", "My railway connection is delayed."]
inputs = tokenizer(texts, padding=True, return_tensors="pt")
inputs.setdefault("token_type_ids", torch.zeros_like(inputs["input_ids"]))
with torch.no_grad():
    hidden = mine(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])
mask = inputs["attention_mask"][..., None]
sentences = nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
similar = sentences @ sentences.T

figure, axis = plt.subplots(figsize=(6, 3.6))
axis.imshow(similar.numpy(), cmap="Blues", vmin=0, vmax=1)
axis.set_yticks(range(4), texts)
axis.set_xticks(range(4), ["1", "2", "3", "4"])
for i in range(4):
    for j in range(4):
        colour = "white" if similar[i, j] > 0.6 else "black"
        axis.text(j, i, f"{similar[i, j]:.2f}", ha="center", va="center", color=colour)
alike = [similar[0, 1].item(), similar[2, 3].item()]
across = similar[:2, 2:].flatten().tolist()
show(
    figure,
    f"Cosine similarity of four sentences: the two about a film {alike[0]:.2f}, the two about a train {alike[1]:.2f}; "
    f"across the two pairs from {min(across):.2f} to {max(across):.2f}.",
)

# %% [markdown]
# ## The decoder: GPT-2
#
# The same blocks with a causal mask, pre norm, and one norm at the top. What follows a token cannot change it. So one
# text trains T predictions at once: the next token is predicted from each token's vector, and none of them has seen
# it.
#
# To predict, a token's vector is compared with the vectors of all words: its dot product with row $v$ of the table of
# embeddings is the score of word $v$. The table is used twice, for input and for output (section 3.4 of the paper).


# %%
class MyDecoder(nn.Module):
    """Token numbers [B, T] to a score for each word [B, T, V]; a token sees itself and what stands before it."""

    def __init__(self, vocabulary, width, layers, heads, inner, positions, dropout=0.1):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(positions, width)
        more = {"pre": True, "activation": gelu_tanh, "epsilon": 1e-5}
        self.layers = nn.ModuleList(MyBlock(width, heads, inner, dropout, **more) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(width, eps=1e-5), nn.Dropout(dropout)

    def forward(self, input_ids):
        length = input_ids.shape[1]
        x = self.dropout(self.tokens(input_ids) + self.positions(torch.arange(length)))
        for layer in self.layers:
            x = layer(x, causal_mask(length, length, x.device))
        return self.norm(x) @ self.tokens.weight.T  # [B, T, D] times [D, V]


torch.manual_seed(0)
decoder = MyDecoder(vocabulary=100, width=64, layers=2, heads=4, inner=256, positions=32).eval()
text = torch.randint(100, (1, 8))
other_end = text.clone()
other_end[0, 5:] = (text[0, 5:] + 1) % 100  # other tokens at the last three positions
with torch.no_grad():
    one, two = decoder(text), decoder(other_end)
for position in range(8):
    same = torch.allclose(one[0, position], two[0, position], atol=1e-6)
    print(f"token {position}: {'same scores' if same else 'other scores'}")

# %% [markdown]
# ### GPT-2's weights in what you built
#
# The published GPT-2 is not among this workbench's models (its smallest file has 548 MB). Instead, we use
# transformers' own GPT-2 here, small and with random weights: names, shapes and arithmetic are the real ones, and any
# numbers will show whether each one ends up where it belongs. GPT-2 stores its maps transposed (rows and columns
# exchanged), so ours are the transposes, `.T`.


# %%
def gpt2_weights(theirs, layers):
    """Their names, in our names."""
    weights = {"tokens.weight": theirs["transformer.wte.weight"], "positions.weight": theirs["transformer.wpe.weight"]}
    for kind in ("weight", "bias"):
        weights[f"norm.{kind}"] = theirs[f"transformer.ln_f.{kind}"]
        for i in range(layers):
            for ours, name in {
                "attention_norm": "ln_1",
                "attention.query_key_value": "attn.c_attn",
                "attention.output": "attn.c_proj",
                "feed_forward_norm": "ln_2",
                "feed_forward.up": "mlp.c_fc",
                "feed_forward.down": "mlp.c_proj",
            }.items():
                table = theirs[f"transformer.h.{i}.{name}.{kind}"]
                weights[f"layers.{i}.{ours}.{kind}"] = table.T if table.dim() == 2 else table
    return weights


torch.manual_seed(0)
gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=100, n_embd=64, n_layer=2, n_head=4, n_positions=32)).eval()
with torch.no_grad():
    for parameter in gpt2.parameters():  # fresh biases are 0 and fresh gains 1: a mix-up would not be seen
        parameter.add_(0.1 * torch.randn_like(parameter))
print(decoder.load_state_dict(gpt2_weights(gpt2.state_dict(), layers=2)))

library = from_transformers(gpt2)
with torch.no_grad():
    torch.testing.assert_close(decoder(text), gpt2(text).logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(decoder(text), library(text).logits, atol=1e-5, rtol=1e-5)
print("by hand, transformers' GPT-2 and the library's decoder: same scores")

# %% [markdown]
# ## Both: the encoder-decoder
#
# To translate, one text is read and another is written. The encoder reads. Each decoder block has a third sublayer
# between its two, **cross-attention**: queries from the text that is being written, keys and values from the text that
# was read (`memory`). It is the same attention as in notebook 03, but now with $T \ne S$:
#
# | symbol | in the code | shape |
# |---|---|---|
# | T tokens that are written | `x` | `[B, T, D]` |
# | S tokens that were read | `memory` | `[B, S, D]` |
# | $Q$ | `self.query(x)`, split into heads | `[B, H, T, D / H]` |
# | $K$, $V$ | `self.key_value(memory)`, split in two and into heads | `[B, H, S, D / H]` each |
# | the softmax | `weights` | `[B, H, T, S]` |


# %%
def attention(query, key, value, mask=None):
    """Notebook 03: softmax(Q Kᵀ / √d) V; a mask is True where a query may look."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


class MyCrossAttention(nn.Module):
    """Tokens that are written [B, T, D] look at tokens that were read [B, S, D]."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def split(self, x):  # [B, T, D] -> [B, H, T, D / H]
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x, memory, mask=None):
        query, (key, value) = self.query(x), self.key_value(memory).chunk(2, dim=-1)
        mixed, weights = attention(self.split(query), self.split(key), self.split(value), mask)
        return self.output(mixed.transpose(1, 2).reshape(x.shape)), weights


class MyDecoderBlock(MyBlock):
    """A block with a third part, cross attention; post norm, as in the first Transformer."""

    def __init__(self, width, heads, inner, dropout=0.1, **more):
        super().__init__(width, heads, inner, dropout, **more)
        self.cross_attention = MyCrossAttention(width, heads)
        self.cross_attention_norm = nn.LayerNorm(width, eps=self.attention_norm.eps)

    def forward(self, x, mask, memory, memory_mask=None):
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)[0]))
        x = self.cross_attention_norm(x + self.dropout(self.cross_attention(x, memory, memory_mask)[0]))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


# %% [markdown]
# Now all of figure 1 of the paper. Both sides share one table of embeddings, and its vectors are multiplied by $\sqrt
# D$ before the waves are added, so that the waves do not drown them (section 3.4; the tables are `self.tokens` `[V,
# D]` and `self.waves` `[positions, D]`).


# %%
def waves(positions, width):
    """Notebook 03: number 2i of position p is sin(p / 10000^(2i/D)), number 2i + 1 the cosine; [positions, D]."""
    angles = torch.arange(positions)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)  # [positions, D / 2]
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(positions, width)


class MyEncoderDecoder(nn.Module):
    """Token numbers that are read [B, S] and written [B, T] to the written tokens' vectors [B, T, D]."""

    def __init__(self, vocabulary, width, layers, heads, inner, positions=512, dropout=0.1):
        super().__init__()
        self.tokens, self.dropout = nn.Embedding(vocabulary, width), nn.Dropout(dropout)
        self.waves, self.scale = waves(positions, width), math.sqrt(width)
        more = {"activation": relu, "epsilon": 1e-5}
        self.encoder = nn.ModuleList(MyBlock(width, heads, inner, dropout, **more) for _ in range(layers))
        self.decoder = nn.ModuleList(MyDecoderBlock(width, heads, inner, dropout, **more) for _ in range(layers))

    def embed(self, ids):
        return self.dropout(self.tokens(ids) * self.scale + self.waves[: ids.shape[1]])

    def forward(self, read, write, read_mask):
        memory = self.embed(read)
        for block in self.encoder:
            memory = block(memory, padding_mask(read_mask))
        x = self.embed(write)
        for block in self.decoder:
            x = block(x, causal_mask(x.shape[1], x.shape[1], x.device), memory, padding_mask(read_mask))
        return x


# %% [markdown]
# Compared with the library's encoder-decoder with the same weights, on two texts, the second of which is shorter. Our
# layers have the same names as the library's, so each model loads the other's weights as they are.

# %%
torch.manual_seed(0)
both = EncoderDecoderModel(
    EncoderDecoderConfig(
        vocab_size=100, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256
    )
).eval()
mine = MyEncoderDecoder(vocabulary=100, width=64, layers=2, heads=4, inner=256).eval()
mine.tokens.load_state_dict(both.encoder.embeddings.tokens.state_dict())
mine.encoder.load_state_dict(both.encoder.layers.state_dict())
mine.decoder.load_state_dict(both.decoder.layers.state_dict())

read, write = torch.randint(100, (2, 9)), torch.randint(100, (2, 4))  # S = 9, T = 4
read_mask = torch.tensor([[1] * 9, [1] * 6 + [0] * 3])
with torch.no_grad():
    ours = mine(read, write, read_mask)
    theirs = both(input_ids=read, attention_mask=read_mask, decoder_input_ids=write).last_hidden_state
torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
print("encoder-decoder by hand and library:", f"{(ours - theirs).abs().max().item():.1e} apart at most")

# %% [markdown]
# And compared with one that is not ours at all: `torch.nn.Transformer`, which is the same figure 1 without the
# embeddings. It has other names, and one more norm at the top of each stack, which we remove.


# %%
def torch_weights(theirs):
    """Names of ``torch.nn.Transformer`` for the weights of one of our towers."""
    weights = {}
    for name, table in theirs.items():
        for ours, other in {
            "cross_attention.output": "multihead_attn.out_proj",
            "cross_attention_norm": "norm2",
            "attention.query_key_value.": "self_attn.in_proj_",
            "attention.output": "self_attn.out_proj",
            "attention_norm": "norm1",
            "feed_forward.up": "linear1",
            "feed_forward.down": "linear2",
            "feed_forward_norm": "norm3" if any("cross" in each for each in theirs) else "norm2",
        }.items():
            if f".{ours}" in name:
                weights[name.replace(ours, other)] = table
        if "cross_attention.query." in name:  # queries, keys and values in one table, as in self-attention
            three = torch.cat([table, theirs[name.replace("query", "key_value")]])
            weights[name.replace("cross_attention.query.", "multihead_attn.in_proj_")] = three
    return weights


by_torch = nn.Transformer(64, 4, 2, 2, dim_feedforward=256, dropout=0.0, batch_first=True)
by_torch.encoder.norm = by_torch.decoder.norm = None
by_torch.encoder.layers.load_state_dict(torch_weights(mine.encoder.state_dict()))
by_torch.decoder.layers.load_state_dict(torch_weights(mine.decoder.state_dict()))
unseen = read_mask == 0  # torch's masks say where nobody may look
with torch.no_grad():
    theirs = by_torch(
        mine.embed(read),
        mine.embed(write),
        tgt_mask=~causal_mask(4, 4, read.device)[0, 0],
        src_key_padding_mask=unseen,
        memory_key_padding_mask=unseen,
    )
torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
print("encoder-decoder by hand and torch.nn.Transformer: same outputs")

# %% [markdown]
# What attends to what in the three kinds of attention? The library returns its weights on request
# (`output_attentions`), each `[B, H, T, S]`; every weight above 0 is dark.

# %%
with torch.no_grad():
    output = both(input_ids=read[:1], decoder_input_ids=write[:1], output_attentions=True)
kinds = ("encoder_attentions", "decoder_attentions", "cross_attentions")
seen = {}
figure, axes = plt.subplots(1, 3, figsize=(10, 3))
for axis, name in zip(axes, kinds, strict=True):
    first = output[name][0][0, 0] > 0  # of the first layer, text and head: [T, S]
    assert name != "decoder_attentions" or torch.equal(first, first.tril())  # nothing above the diagonal
    seen[name] = f"{name.replace('_', ' ')}: {int(first.sum())} of {first.shape[0]} x {first.shape[1]} weights above 0"
    print(seen[name])
    axis.imshow(first.numpy(), cmap="Blues", vmin=0, vmax=1.4)
    axis.set(title=name.replace("_", " "), xlabel="is looked at", ylabel="looks")
    axis.set_xticks(range(first.shape[1]))
    axis.set_yticks(range(first.shape[0]))
figure.tight_layout()
show(
    figure,
    f"Who may look at whom. {'; '.join(seen.values())}. The decoder's lie on and below the diagonal: each written "
    "token looks at itself and at those before.",
)

# %% [markdown]
# | | who sees whom | good for | published |
# |---|---|---|---|
# | encoder | all see all | classifying, searching, comparing texts | BERT |
# | decoder | only back | generating | GPT-2 |
# | encoder-decoder | input: all; output: back, and the whole input | translating, summarizing | the first Transformer |
#
# ## Where the weights are
#
# A block has $4D^2$ weights in attention (query, key, value, output) and $8D^2$ in the feed-forward network ($D \to 4D
# \to D$), not counting biases and norms: $12D^2$. So the stack has about $12 L D^2$ for $L$ layers, and the embeddings
# $VD$ for $V$ tokens. (The count below includes the *pooler*: one more map of $D \times D$, which BERT applies to the
# vector of `[CLS]`, the mark at the beginning of a text.)

# %%
layers, width, vocabulary = size(test=(2, 128, 8_000), cpu=(12, 768, 30_522), gpu=(12, 768, 30_522))
config = EncoderConfig(
    vocab_size=vocabulary,
    hidden_size=width,
    num_hidden_layers=layers,
    num_attention_heads=width // 64,
    intermediate_size=4 * width,
)
with torch.device("meta"):  # only shapes, no numbers: nothing is allocated
    shapes = EncoderModel(config)
counted = sum(p.numel() for p in shapes.parameters())
print(f"12 L D² + V D = {12 * layers * width**2 + vocabulary * width:>12,}")
print(f"counted       = {counted:>12,}  (with biases, norms, positions, pooler)")

# %% [markdown]
# ## Summary
#
# * A block is attention (tokens interact) and a feed-forward network (each token separately), each added to its input.
# * The residual keeps tokens distinct, layer norm keeps sizes stable, pre norm leaves the direct path alone.
# * Encoder, decoder and encoder-decoder differ in who may look at whom, and in nothing else that matters.
# * What you built returns the numbers of a published model (MiniLM), of transformers' GPT-2 and of torch's
#   Transformer, to a hundred-thousandth.
#
# ## Questions to think about
#
# 1. Leave out attention, then the feed-forward network, in the branch without residual of `similarity_by_layer`.
#    Which one makes tokens similar at once, and which only slowly? (The second never sees another token; but a random
#    map with an activation brings any two vectors a little closer.)
# 2. Two thirds of a block's weights process each token separately. What might they be for?
# 3. Why can the encoder's memory be computed once, while the decoder runs again for each new token?
#
# ## Where to go next
#
# * [Notebook 05](05_pretraining_masked.ipynb) trains an encoder from nothing, [06](06_pretraining_causal.ipynb) a
#   decoder, [09](09_sequence_to_sequence.ipynb) an encoder-decoder.
# * [`transformer.py`](../workbench/models/networks/transformer.py) and [`convert.py`](../workbench/models/convert.py):
#   the same, for every model of this workbench.
# * [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762); [Devlin et al. 2018](https://arxiv.org/abs/1810.04805)
#   (BERT); [Xiong et al. 2020](https://arxiv.org/abs/2002.04745) on the position of the norm.

# %%
done("04-transformer")
