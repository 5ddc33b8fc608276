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
# parts, say what each part is for, count the weights, and load published weights into what you have built.
#
# **You need** notebook 03 (attention, masks, heads). A *layer* is one step of computation with weights of its own.
#
# **Time:** about 25 minutes to read; the cells run in about a minute on a laptop CPU (GPU: not measured yet).

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from workbench.models.attention import CrossAttention, MultiHeadAttention, causal_mask, padding_mask
from workbench.models.convert import from_transformers
from workbench.models.pretrained import make_source
from workbench.models.transformer import (
    Block,
    DecoderConfig,
    DecoderModel,
    EncoderConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    EncoderModel,
)
from workbench.teach import size
from workbench.teach.pictures import show
from workbench.workspace import Workspace

torch.manual_seed(0)
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## The plan
#
# A Transformer is a tower of equal **blocks**. A text comes in as numbers, each becomes a vector of width $D$, and
# each block changes these vectors a little. What a block does:
#
# 1. **Attention**: tokens take from each other (notebook 03). It is the only place where tokens meet.
# 2. **Feed-forward network**: each token by itself, the same small network for all.
#
# Around both stand three things that make deep towers trainable: the **residual** (what comes in is added to what
# comes out), the **layer norm**, and **dropout**.
#
# The letters of shapes are those of notebook 03: B texts, T tokens, D width, H heads.
#
# ## Part 1: the feed-forward network
#
# Two linear maps with a bend between them: $\operatorname{FFN}(x) = W_2\,\operatorname{gelu}(W_1 x + b_1) + b_2$,
# from $D$ numbers to $4D$ and back. Without the bend two linear maps would be one. GELU is close to "negative numbers
# become 0, positive ones stay", with a soft corner: $\operatorname{gelu}(z) = z\,\Phi(z)$, where $\Phi(z)$ is the
# probability that a normally distributed number is below $z$.


# %%
class MyFeedForward(nn.Module):
    """[B, T, D] to [B, T, D], each token by itself."""

    def __init__(self, width, inner):
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        z = self.up(x)
        phi = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
        return self.down(z * phi)


z = torch.linspace(-4, 4, 200)
figure, axis = plt.subplots(figsize=(5, 2.8))
axis.plot(z, z * 0.5 * (1 + torch.erf(z / math.sqrt(2))), label="gelu")
axis.plot(z, z.clamp(min=0), linestyle="--", label="relu: max(0, z)")
axis.set(xlabel="z")
axis.legend()
show(figure, "GELU follows max(0, z) for large numbers of either sign; near 0 it is smooth and dips slightly below 0.")

# %% [markdown]
# ## Part 2: layer norm
#
# Numbers that grow from layer to layer make training unstable. A **layer norm** brings each token's vector to mean 0
# and variance 1, then stretches and shifts each number by a learned gain $\gamma$ and bias $\beta$:
#
# $$\operatorname{norm}(x) = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$$
#
# $\mu$ and $\sigma^2$ are mean and variance of the $D$ numbers of **one token**; $\varepsilon$ is tiny and keeps from
# dividing by 0; $\odot$ multiplies number by number.


# %%
def my_norm(x, gain, bias, epsilon=1e-12):
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return gain * (x - mean) / torch.sqrt(variance + epsilon) + bias


x = torch.randn(2, 5, 32) * 7 + 3
norm = nn.LayerNorm(32, eps=1e-12)
torch.testing.assert_close(my_norm(x, norm.weight, norm.bias), norm(x), atol=1e-5, rtol=1e-5)
print("before: mean", round(x[0, 0].mean().item(), 2), " after: mean", round(norm(x)[0, 0].mean().abs().item(), 5))

# %% [markdown]
# ## Part 3: the residual, and where the norm stands
#
# Each part only says what to **change**: $x + \operatorname{part}(x)$. So there is a straight way from the last layer
# to the first, and gradients come through unhurt. There are two places for the norm:
#
# * **post** (the first Transformer, BERT): $\operatorname{norm}(x + \operatorname{part}(x))$
# * **pre** (GPT-2 and nearly all since): $x + \operatorname{part}(\operatorname{norm}(x))$, with one more norm at the
#   top. The straight way is left untouched, and training is steadier.
#
# **Dropout** sets a share of the numbers to 0 while training, at random, and scales up the rest, so that no part can
# rely on one number alone. In evaluation, which `eval()` switches to, it does nothing.


# %%
class MyBlock(nn.Module):
    """One layer: [B, T, D] to [B, T, D]."""

    def __init__(self, width, heads, inner, dropout=0.1, pre=False):
        super().__init__()
        self.attention, self.feed_forward = MultiHeadAttention(width, heads), MyFeedForward(width, inner)
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.dropout, self.pre = nn.Dropout(dropout), pre

    def forward(self, x, mask=None):
        if self.pre:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask)[0])
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)[0]))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


# %% [markdown]
# Held against the library's `Block`, with the same weights, both ways of the norm:

# %%
for place in ("post", "pre"):
    numbers = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 128, "norm": place}
    library = Block(EncoderConfig(**numbers), layer=0).eval()
    mine = MyBlock(32, 4, 128, pre=place == "pre").eval()
    mine.load_state_dict(library.state_dict())  # the parts have the same names, so the weights find their places
    x = torch.randn(2, 7, 32)
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]]))
    torch.testing.assert_close(mine(x, mask), library(x, mask)[0], atol=1e-5, rtol=1e-5)
    print(f"norm {place}: same outputs")

# %% [markdown]
# What does the residual do? Stack 24 fresh blocks, with it and without it, send a text of 16 random vectors through,
# and look after each layer at how alike its tokens are: the mean *cosine* of two different tokens' vectors, which is
# 1 where they point the same way.


# %%
@torch.no_grad()
def likeness(kind, layers=24):
    torch.manual_seed(0)
    tower = nn.ModuleList(MyBlock(64, 4, 256, dropout=0.0, pre=kind == "pre norm") for _ in range(layers))
    x = torch.randn(4, 16, 64)
    found = []
    for block in tower:
        if kind == "no residual":
            x = block.attention_norm(block.attention(x)[0])
            x = block.feed_forward_norm(block.feed_forward(x))
        else:
            x = block(x)
        unit = nn.functional.normalize(x, dim=-1)
        cosines = unit @ unit.transpose(1, 2)  # [B, T, T]; 1 on the diagonal
        found.append(((cosines.sum() - 4 * 16) / (4 * 16 * 15)).item())
    return found


figure, axis = plt.subplots(figsize=(6, 3))
for kind, marker in zip(("post norm", "pre norm", "no residual"), "os^", strict=True):
    cosine = likeness(kind)
    print(f"{kind:>11}: after the first layer {cosine[0]:.2f}, after the last {cosine[-1]:.2f}")
    axis.plot(range(1, 25), cosine, marker=marker, label=kind)
axis.set(xlabel="layer", ylabel="cosine of two tokens", ylim=(-0.1, 1.1))
axis.legend()
show(
    figure,
    "How alike the tokens of a text are after each of 24 fresh layers. Without residuals their vectors are soon the "
    "same; with residuals they stay apart much longer.",
)

# %% [markdown]
# Attention is a mean, and means of means are soon all alike: without the residual a fresh tower forgets which token
# is which within a few layers (Dong et al. 2021, arXiv 2103.03404), and there is nothing left to learn from. The
# residual keeps each token itself. Deep models with post norm need a slowly rising learning rate at the start
# (**warm-up**, notebook 05), those with pre norm can do without it (Xiong et al. 2020, arXiv 2002.04745).
#
# ## The encoder: BERT
#
# Embeddings, then blocks without a causal mask: each token sees the whole text. The embedding of a token is the sum
# of three vectors that are looked up in tables: of the token, of its place, of its segment (first or second text of a
# pair).


# %%
class MyEncoder(nn.Module):
    """Token numbers [B, T] to vectors [B, T, D]."""

    def __init__(self, vocabulary, width, layers, heads, inner, places, dropout=0.1):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(places, width)
        self.types = nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width, eps=1e-12), nn.Dropout(dropout)
        self.layers = nn.ModuleList(MyBlock(width, heads, inner, dropout) for _ in range(layers))

    def forward(self, input_ids, attention_mask, token_type_ids):
        place = torch.arange(input_ids.shape[1])
        x = self.tokens(input_ids) + self.positions(place) + self.types(token_type_ids)
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, padding_mask(attention_mask))
        return x


# %% [markdown]
# ### Published weights in what you built
#
# MiniLM is a BERT that others have trained. Its weights are a dictionary of names and tables of numbers. We only need
# to say which of ours is which of theirs. Ours keeps queries, keys and values in one matrix, so three of theirs are
# put on top of each other.

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
    found = {}
    embeddings = {"tokens": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings"}
    for ours, name in embeddings.items():
        found[f"{ours}.weight"] = theirs[f"embeddings.{name}.weight"]
    for kind in ("weight", "bias"):
        found[f"norm.{kind}"] = theirs[f"embeddings.LayerNorm.{kind}"]
        for i in range(layers):
            old, new = f"encoder.layer.{i}", f"layers.{i}"
            three = [theirs[f"{old}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            found[f"{new}.attention.query_key_value.{kind}"] = torch.cat(three)
            for ours, name in {
                "attention.output": "attention.output.dense",
                "attention_norm": "attention.output.LayerNorm",
                "feed_forward.up": "intermediate.dense",
                "feed_forward.down": "output.dense",
                "feed_forward_norm": "output.LayerNorm",
            }.items():
                found[f"{new}.{ours}.{kind}"] = theirs[f"{old}.{name}.{kind}"]
    return found


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
# Every weight found its place. Now the proof, on two texts of different length: the class written above, the
# library's encoder, and transformers' BERT give the same numbers.

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
# The vectors mean something: MiniLM was trained so that texts of like meaning have vectors of like direction. The
# mean over the tokens, scaled to length 1, gives one vector a text; the dot product of two of these is their *cosine
# similarity*.

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
axis.imshow(similar, cmap="Blues", vmin=0, vmax=1)
axis.set_yticks(range(4), texts)
axis.set_xticks(range(4), ["1", "2", "3", "4"])
for i in range(4):
    for j in range(4):
        colour = "white" if similar[i, j] > 0.6 else "black"
        axis.text(j, i, f"{similar[i, j]:.2f}", ha="center", va="center", color=colour)
show(
    figure,
    "Cosine similarity of four sentences: the two about a film are alike, the two about a train are alike, and "
    "across the two pairs similarity is near 0.",
)

# %% [markdown]
# ## The decoder: GPT-2
#
# The same blocks with a causal mask, pre norm, and one norm at the top. What follows a token cannot change it. That
# lets one text train T guesses at once: from each token's vector the next token is guessed, and none has seen it.

# %%
small = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
}
torch.manual_seed(0)
decoder = DecoderModel(DecoderConfig(**small)).eval()
text = torch.randint(100, (1, 8))
other_end = text.clone()
other_end[0, 5:] = torch.randint(100, (3,))
with torch.no_grad():
    one, two = decoder(text).last_hidden_state, decoder(other_end).last_hidden_state
for place in range(8):
    same = torch.allclose(one[0, place], two[0, place], atol=1e-6)
    print(f"token {place}: {'same vector' if same else 'another vector'}")


# %% [markdown]
# By hand, from the pieces above:


# %%
class MyDecoder(nn.Module):
    """Token numbers [B, T] to vectors [B, T, D]; a token sees itself and what stands before it."""

    def __init__(self, library):
        super().__init__()
        self.embeddings, self.layers, self.final_norm = library.embeddings, library.layers, library.final_norm

    def forward(self, input_ids):
        length = input_ids.shape[1]
        x = self.embeddings.tokens(input_ids) + self.embeddings.positions(torch.arange(length))
        for block in self.layers:
            x = x + block.attention(block.attention_norm(x), causal_mask(length, length, x.device))[0]
            x = x + block.feed_forward(block.feed_forward_norm(x))
        return self.final_norm(x)


with torch.no_grad():
    torch.testing.assert_close(MyDecoder(decoder)(text), one, atol=1e-5, rtol=1e-5)
print("decoder by hand and library: same outputs")

# %% [markdown]
# ## Both: the encoder-decoder
#
# To translate, one text is read and another is written. The encoder reads. Each decoder block gets a third part
# between its two, **cross attention**: queries from the text that is being written, keys and values from the text
# that was read (`memory`). It is the same attention, only $T \ne S$ now.

# %%
cross = CrossAttention(width=64, heads=4).eval()
written, memory = torch.randn(1, 3, 64), torch.randn(1, 9, 64)
output, weights = cross(written, memory, want_weights=True)
print("output", list(output.shape), " weights", list(weights.shape), "(B, H, T, S)")

torch.manual_seed(0)
both = EncoderDecoderModel(EncoderDecoderConfig(**small, tie_word_embeddings=True)).eval()
read, write = torch.randint(100, (1, 9)), torch.randint(100, (1, 3))
with torch.no_grad():
    found = both(input_ids=read, decoder_input_ids=write, output_attentions=True)
for name in ("encoder_attentions", "decoder_attentions", "cross_attentions"):
    print(f"{name:>20}: {len(found[name])} layers of {list(found[name][0].shape)}")

figure, axes = plt.subplots(1, 3, figsize=(10, 3))
for axis, name in zip(axes, ("encoder_attentions", "decoder_attentions", "cross_attentions"), strict=True):
    axis.imshow(found[name][0][0, 0] > 0, cmap="Blues", vmin=0, vmax=1.4)
    axis.set(title=name.replace("_", " "), xlabel="is looked at", ylabel="looks")
    axis.set_xticks(range(found[name][0].shape[-1]))
    axis.set_yticks(range(found[name][0].shape[-2]))
figure.tight_layout()
show(
    figure,
    "Who may look at whom. Encoder: all of nine tokens at all. Decoder: a triangle, each of three tokens at itself and "
    "those before. Cross: each of three written tokens at all nine read ones.",
)

# %% [markdown]
# | | who sees whom | good for | published |
# |---|---|---|---|
# | encoder | all see all | sorting, finding, comparing texts | BERT |
# | decoder | only back | writing | GPT-2 |
# | encoder-decoder | read: all; write: back, and all that was read | translating, summing up | the first Transformer |
#
# ## Where the weights are
#
# A block has $4D^2$ weights in attention (query, key, value, output) and $8D^2$ in the feed-forward network ($D \to
# 4D \to D$), biases and norms apart: $12D^2$. So the tower has about $12 L D^2$ for $L$ layers, and the embeddings
# $VD$ for $V$ tokens. (Counted below is also the *pooler*: one more map of $D \times D$, which BERT puts on the vector
# of `[CLS]`, the mark at the beginning of a text.)

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
# * A block is attention (tokens meet) and a feed-forward network (each by itself), each added to what came in.
# * The residual keeps tokens apart, layer norm keeps sizes steady, pre norm leaves the straight way untouched.
# * Encoder, decoder and both together differ in who may look at whom, and in nothing else that matters.
# * What you built gives the numbers of a published model, to a hundred-thousandth.
#
# ## Questions to think about
#
# 1. Which part of a block makes tokens alike, and which cannot? (Leave out one after the other in `likeness`.)
# 2. Two thirds of a block's weights work on each token by itself. What might they be for?
# 3. Why can the encoder's memory be computed once, while the decoder runs again for each new token?
#
# ## Where to go on
#
# * Notebook 05 trains an encoder from nothing, 06 a decoder.
# * `workbench/models/transformer.py` and `workbench/models/convert.py`: the same, for every model of this workbench.
# * Vaswani et al. 2017 (arXiv 1706.03762); Devlin et al. 2018 (BERT, arXiv 1810.04805); Xiong et al. 2020 on the
#   place of the norm (arXiv 2002.04745).
