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
# # 05 · Pretraining I: masked words
#
# **After this notebook you can** turn plain text into exercises that a model sets itself, derive the loss and its
# gradient, write AdamW and warm-up by hand, and train a small BERT from nothing, with a validation split that says
# when to stop.
#
# **You need** notebook 04 (the encoder). School mathematics and the derivative of $e^x$ and $\ln x$.
#
# **Time:** about 30 minutes to read; the cells run in about 3 minutes on a laptop CPU (GPU: not measured yet).

# %%
import copy
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from workbench.check import check
from workbench.data.load import load_texts
from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer
from workbench.models.networks.heads import EncoderForPreTraining
from workbench.models.networks.losses import fused_cross_entropy, token_loss
from workbench.models.networks.transformer import EncoderConfig
from workbench.spec import DataSpec, RunSpec, TrainingSpec
from workbench.tasks.shared.masking import replace
from workbench.teach import done, size, widgets
from workbench.teach.pictures import show
from workbench.training.core.optim import learning_rate_factor, make_optimizer
from workbench.workspace import Workspace

torch.manual_seed(0)
workspace = Workspace.current()
device = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# ## Exercises that cost nothing
#
# Labels are expensive; text is not. Hide some words of a text and let the model predict them: the text is its own
# solution. *"The detective finds the [MASK] in the old house."* To predict well, you have to know grammar, and a
# little of the world. What a model learns this way can be used for other tasks afterwards (notebook 07). That is
# **pretraining**.
#
# ## Text, and a tokenizer for it
#
# We use the plots of a thousand films, and a WordPiece tokenizer trained on them (notebook 01). Every tenth plot is
# held out: we need texts that the model has not trained on.

# %%
texts, _ = load_texts(DataSpec(train="film-plots", holdout={"valid": 0.1, "test": 0}), workspace)
texts = texts[: size(test=60, cpu=1_000, gpu=1_000)]
vocabulary = size(test=800, cpu=4_000, gpu=4_000)
tokenizer = train_tokenizer(texts, TokenizerSpec(train="wordpiece", vocab_size=vocabulary, lowercase=True))
print(len(texts), "plots,", len(tokenizer), "tokens")
print(texts[0][:160], "...")
print(tokenizer.tokenize(texts[0])[:24])

# %% [markdown]
# ## The second exercise: does it follow?
#
# BERT reads two passages at once, `[CLS] first [SEP] second [SEP]`. In half of the examples the second really follows
# the first, in the other half it is from another text. From the vector of `[CLS]` the model predicts which. (Later
# work showed that this *next-sentence* task helps little: RoBERTa leaves it out. It is here because BERT has it, and
# because it is a good first example of a loss with two terms.)

# %%
PIECE = size(test=12, cpu=24, gpu=60)  # tokens in each of the two pieces
numbers = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def make_pairs(documents, generator):
    """Rows of token numbers [N, T], their segments [N, T], and 0 where the second piece follows, 1 where not [N]."""
    rows, follows = [], []
    for document in documents:
        for start in range(0, len(document) - 2 * PIECE, 2 * PIECE):
            first, second = document[start : start + PIECE], document[start + PIECE : start + 2 * PIECE]
            random = bool(torch.rand((), generator=generator) < 0.5)
            if random:
                other = documents[int(torch.randint(len(documents), (), generator=generator))]
                if other is document or len(other) < PIECE:
                    continue
                second = other[:PIECE]
            cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
            rows.append([cls, *first, sep, *second, sep])
            follows.append(int(random))
    segments = torch.tensor([0] * (PIECE + 2) + [1] * (PIECE + 1)).expand(len(rows), -1)
    return torch.tensor(rows), segments, torch.tensor(follows)


generator = torch.Generator().manual_seed(0)
held_out = numbers[::10]
train_pairs = make_pairs([n for i, n in enumerate(numbers) if i % 10], generator)
valid_pairs = make_pairs(held_out, generator)
print("training pairs:", list(train_pairs[0].shape), " held out:", list(valid_pairs[0].shape), "(N, T)")

# %% [markdown]
# ## Masking
#
# 15% of the tokens are chosen, never special ones (`[CLS]`, `[SEP]`). Of the chosen ones, 80% become `[MASK]`, 10%
# become another token, and 10% stay as they are. Why not all `[MASK]`? Because later texts contain no `[MASK]`: the
# model must not learn that it can ignore all other tokens. The label of a position that was not chosen is $-100$:
# "nothing to predict here". The masks are sampled again each time a text is seen.


# %%
def mask_tokens(ids, tokenizer, share=0.15):
    """What the model reads [B, T], and the labels [B, T]."""
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    chosen = (torch.rand(ids.shape) < share) & ~special
    labels = ids.masked_fill(~chosen, -100)
    dice = torch.rand(ids.shape)
    special_count = len(tokenizer.all_special_ids)  # they have the first numbers
    others = special_count + torch.randint(len(tokenizer) - special_count, ids.shape)
    shown = ids.masked_fill(chosen & (dice < 0.8), tokenizer.mask_token_id)
    shown = torch.where(chosen & (dice >= 0.8) & (dice < 0.9), others, shown)
    return shown, labels


shown, labels = mask_tokens(train_pairs[0][:200], tokenizer)
chosen = labels != -100
print("read: ", tokenizer.decode(shown[0])[:150])
print("truth:", tokenizer.decode(train_pairs[0][0])[:150])
may_be = ~torch.isin(train_pairs[0][:200], torch.tensor(tokenizer.all_special_ids))
print(f"chosen: {chosen.sum() / may_be.sum():.1%} of all tokens that may be, {chosen.sum()} of them")

# %% [markdown]
# The library chooses the positions in another way (the same number in each text, and whole words on request). How it
# then replaces them follows the same rule; its function is `replace`. Compare ours with it: use the same positions and
# the same random numbers (the same *seed*). Then count whether 80% and 10% come out, within what chance does to so
# few: where a share $s$ is expected (`share`), the result of $n$ draws (`count`) is off by about $\sqrt{s(1-s)/n}$,
# its *standard deviation* (`spread`), and rarely by more than twice that.

# %%
ids = train_pairs[0][:200]
ordinary = torch.arange(len(tokenizer.all_special_ids), len(tokenizer))  # the tokens that may stand in for another
torch.manual_seed(1)
ours, labels = mask_tokens(ids, tokenizer)
torch.manual_seed(1)
torch.rand(ids.shape)  # the draw with which ours chose the places
theirs = replace(ids, labels != -100, tokenizer.mask_token_id, ordinary, mask_share=0.8, random_share=0.1)
assert torch.equal(ours, theirs)
print("masked by hand and by the library: the same", ours.numel(), "tokens")

chosen = labels != -100
count = int(chosen.sum())
for name, fits, share in (
    ("[MASK]", ours[chosen] == tokenizer.mask_token_id, 0.8),
    ("as they were", ours[chosen] == ids[chosen], 0.1),
):
    spread = math.sqrt(share * (1 - share) / count)
    print(f"{name:>12}: {fits.float().mean():.1%} of the chosen; expected {share:.0%}, give or take {2 * spread:.1%}")

# %% [markdown]
# ## The loss, derived
#
# At a masked position the model outputs a score (*logit*) $z_v$ for each of the $V$ words. The softmax turns them into
# probabilities, $p_v = e^{z_v} / \sum_u e^{z_u}$. We want the right word $y$ to be probable, so the loss is its
# surprise, $-\ln p_y$: 0 when the model is certain and right, large when it is certain and wrong. Over the set $M$ of
# masked positions this is the **cross-entropy**:
#
# $$L = -\frac{1}{|M|}\sum_{m \in M} \ln p_{m, y_m}$$
#
# To learn, we need its gradient: the derivative of the loss with respect to each score. It says whether the loss rises
# or falls when that score rises a little, and how fast. Write one position out: $-\ln p_y = -z_y + \ln\sum_u e^{z_u}$.
# The derivative of the first term with respect to $z_v$ is $-1$ if $v = y$ and $0$ otherwise; that of the second is
# $e^{z_v}/\sum_u e^{z_u} = p_v$. So
#
# $$\frac{\partial L}{\partial z_{m,v}} = \frac{1}{|M|}\,\bigl(p_{m,v} - [v = y_m]\bigr)$$
#
# where $[v = y_m]$ is 1 for the right word and 0 otherwise (and $\partial$ is the *d* of a derivative with several
# variables, all but one of which are held constant). In words:
#
# **the probabilities, minus 1 at the right word.** Every wrong word is pushed down by its probability, the right word
# is pushed up by what it lacks. At positions that are not masked the gradient is 0.
#
# | symbol | in the code | shape |
# |---|---|---|
# | $z$ | `logits` | `[B, T, V]` |
# | $p$ | `probabilities` | `[B, T, V]` |
# | $y$ | `labels`, -100 outside $M$ | `[B, T]` |
# | $M$ | `masked`, True at a masked position | `[B, T]` |
# | $\lvert M\rvert$ | `masked.sum()` | a number |
# | $[v = y_m]$ | `one_hot(labels[masked], V)` | $[\lvert M\rvert, V]$: a row for each masked position |

# %%
logits = torch.randn(2, 6, 50, requires_grad=True)  # B = 2, T = 6, V = 50
labels = torch.full((2, 6), -100)
labels[0, 2], labels[1, 0], labels[1, 5] = 7, 49, 3

masked = labels != -100
probabilities = logits.detach().exp() / logits.detach().exp().sum(-1, keepdim=True)
right = probabilities[masked].gather(1, labels[masked][:, None])  # of each row, the right word's: [|M|, 1]
my_loss = -right.log().sum() / masked.sum()
my_gradient = torch.zeros_like(probabilities)
my_gradient[masked] = (probabilities[masked] - nn.functional.one_hot(labels[masked], 50)) / masked.sum()

library_loss = token_loss(logits, labels)
library_loss.backward()  # torch computes the gradient by itself
torch.testing.assert_close(my_loss, library_loss.detach(), atol=1e-5, rtol=1e-5)
torch.testing.assert_close(my_gradient, logits.grad, atol=1e-5, rtol=1e-5)
print(f"loss {my_loss:.5f}; same loss and gradient as the library's")

# %% [markdown]
# The library goes one step further in training: `fused_cross_entropy` uses this gradient formula to compute loss and
# gradient a few rows at a time, and never holds all $|M| \times V$ scores.

# %%
hidden, to_words = torch.randn(5, 16), nn.Linear(16, 50)
words = torch.tensor([3, -100, 7, 7, 0])
torch.testing.assert_close(fused_cross_entropy(hidden, to_words, words), token_loss(to_words(hidden), words))
print("a few rows at a time, and all at once: the same loss")

# %% [markdown]
# Which loss is bad? A model that knows nothing assigns each word $1/V$: $L = \ln V$. Compare every loss below with it.
# $e^L$ is called **perplexity**: the model is as uncertain as if it chose among that many equally likely words.

# %%
print(f"knows nothing: loss {math.log(len(tokenizer)):.2f}, perplexity {len(tokenizer)}")

# %% [markdown]
# ### Two exercises, one loss
#
# The second exercise, whether the second passage follows, is a choice between two answers, so its loss is a
# cross-entropy as well, over the $B$ pairs of a batch, with two scores each. BERT adds the two:
#
# $$L = L_\text{mask} + L_\text{next}, \qquad L_\text{next} = -\frac{1}{B}\sum_{b=1}^{B} \ln q_{b, n_b}$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $L_\text{mask}$ | `mask_loss`: $L$ from above | a number |
# | $q$ | the softmax of `seq_relationship_logits` | `[B, 2]` |
# | $n$ | `follows`: 0 where it follows, 1 where not | `[B]` |
#
# A model that knows nothing has $\ln V + \ln 2$. The library's `EncoderForPreTraining` is the encoder of notebook 04
# with what both exercises need on top: from each token's vector a score for each word, and from that of `[CLS]` the
# two scores. Below is a tiny one that has learned nothing yet: is our sum the loss that the library computes?

# %%
tiny = EncoderForPreTraining(
    EncoderConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=2 * PIECE + 3,
        sparse_prediction=False,  # scores at all places, as in the formula
    )
).eval()
some = slice(0, 8)
shown, labels = mask_tokens(train_pairs[0][some], tokenizer)
segments, follows = train_pairs[1][some], train_pairs[2][some]
with torch.no_grad():
    output = tiny(shown, labels=labels, token_type_ids=segments, next_sentence_label=follows)

masked = labels != -100
words = output.prediction_logits.softmax(-1)[masked]  # [M, V]
mask_loss = -words.gather(1, labels[masked][:, None]).log().mean()
next_loss = -output.seq_relationship_logits.softmax(-1).gather(1, follows[:, None]).log().mean()
torch.testing.assert_close(mask_loss + next_loss, output.loss, atol=1e-5, rtol=1e-5)
print(f"{mask_loss:.3f} + {next_loss:.3f} = {output.loss:.3f}, as the library has it")
print(f"knows nothing: {math.log(len(tokenizer)):.3f} + {math.log(2):.3f}")

# %% [markdown]
# ## AdamW by hand
#
# The simplest step is $\theta \leftarrow \theta - \eta g$: weight $\theta$, gradient $g$, learning rate $\eta$.
# **Adam** uses a running mean of gradients, $m$, instead of the newest one alone, and divides by the root of the
# running mean of their squares, $v$: weights with small gradients move as far as those with large ones. Both means
# start at 0 and are too small at first, which the division by $1 - \beta^t$ corrects at step $t$. The **W** is weight
# decay: each step also shrinks the weights a little, by $\eta\lambda\theta$.
#
# $$m \leftarrow \beta_1 m + (1-\beta_1) g \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2 \quad
# \theta \leftarrow \theta - \eta\lambda\theta - \eta\,\frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} +
# \varepsilon}$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $\theta$ | `p`, one table of weights | its own shape, say `[4D, D]` |
# | $g$ | `p.grad` | as $\theta$ |
# | $m$, $v$ | `m`, `v` | as $\theta$: two more numbers are stored for each weight |
# | $\eta$, $\lambda$ | `lr`, `decay` | a number each |
# | $\beta_1$, $\beta_2$ | `b1`, `b2`: how long the running means remember | a number each |
# | $\varepsilon$ | `epsilon`: prevents a division by 0 | a number |
# | $t$ | `self.t`: steps so far | a whole number |
#
# (In torch a name that ends in `_` changes the tensor in place: `m.mul_(b1)` multiplies `m` by `b1`.)


# %%
class MyAdamW:
    def __init__(self, parameters, lr, betas=(0.9, 0.999), epsilon=1e-8, decay=0.01):
        self.parameters, self.lr, self.betas, self.epsilon, self.decay = list(parameters), lr, betas, epsilon, decay
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for p, m, v in zip(self.parameters, self.m, self.v, strict=True):
            m.mul_(b1).add_(p.grad, alpha=1 - b1)
            v.mul_(b2).add_(p.grad**2, alpha=1 - b2)
            p.sub_(self.lr * self.decay * p)
            p.sub_(self.lr * (m / (1 - b1**self.t)) / ((v / (1 - b2**self.t)).sqrt() + self.epsilon))


settings = TrainingSpec(weight_decay=0.1)
mine = nn.Linear(8, 3, bias=False)  # biases and norms do not decay in the library, so compare on a matrix
theirs, torchs = copy.deepcopy(mine), copy.deepcopy(mine)
betas = (settings.adam_beta1, settings.adam_beta2)
one = MyAdamW(mine.parameters(), 0.01, betas, settings.adam_epsilon, settings.weight_decay)
two = make_optimizer(theirs, settings, learning_rate=0.01)
three = torch.optim.AdamW(
    torchs.parameters(), lr=0.01, betas=betas, eps=settings.adam_epsilon, weight_decay=settings.weight_decay
)
for _ in range(5):
    x = torch.randn(16, 8)
    for model, optimizer in ((mine, one), (theirs, two), (torchs, three)):
        model.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()
torch.testing.assert_close(mine.weight, theirs.weight, atol=1e-5, rtol=1e-5)
torch.testing.assert_close(mine.weight, torchs.weight, atol=1e-5, rtol=1e-5)
print("after five steps: the same weights as by the library's optimizer and by torch's AdamW")

# %% [markdown]
# ## Warm-up
#
# In the first steps $v$ has seen few gradients, and the network is random: large steps then do damage that takes long
# to repair. So the learning rate rises from 0 over the first steps, and falls to 0 towards the end, when weights
# should settle. At step $t$ of $N$, with a warm-up of $R$ steps, the rate is $\eta$ times
#
# $$f(t) = \begin{cases} t / R & t < R \\ (N - t) / (N - R) & t \ge R \end{cases}$$
#
# | symbol | in the code |
# |---|---|
# | $t$, $N$ | `step`, `steps` |
# | $R$ | `rising`: the share `warmup` of all steps, rounded up |
# | $f(t)$ | what `my_factor` returns, from 0 to 1 |


# %%
def my_factor(step, steps, warmup):
    """The share of the largest learning rate at a step: up in a line, then down in a line."""
    rising = math.ceil(warmup * steps)
    return step / rising if step < rising else (steps - step) / (steps - rising)


for warmup in (0.1, 0.3):
    mine = [my_factor(step, 100, warmup) for step in range(101)]
    library = [learning_rate_factor(step, 100, warmup, "linear") for step in range(101)]
    torch.testing.assert_close(mine, library, atol=1e-5, rtol=1e-5)
print("warm-up by hand and by the library: the same at every step")

# %% [markdown]
# In the library the rate can also fall along half a cosine, slowly at first and at the end.

# %%
figure, axis = plt.subplots(figsize=(6, 2.8))
for warmup, schedule in ((0.1, "linear"), (0.1, "cosine"), (0.3, "linear")):
    line = [learning_rate_factor(step, 100, warmup, schedule) for step in range(101)]
    axis.plot(line, label=f"{schedule}, warm-up {warmup:.0%}")
axis.set(xlabel="step of 100", ylabel="share of the largest rate")
axis.legend()
show(
    figure,
    "The learning rate's way over 100 steps: it rises in a line over the first 10 or 30 steps, then falls to 0, in a "
    "line or along half a cosine.",
)

# %% [markdown]
# You can see what warm-up is worth with only two weights, $x$ and $y$, and the loss $\tfrac14 x^4 + 0.01 y^2$: steep
# in $x$ at the start, as a random network is, and flat in $y$, where the rest of the path leads. The steps are plain:
# $\theta \leftarrow \theta - \eta g$. Raise the rate without warm-up: above 0.22 the first steps throw the training
# out of the valley. Now add warm-up: the rate may be many times larger, and the loss ends far lower.

# %%
widgets.learning_rate()

# %% [markdown]
# ## The training
#
# Everything is ready: model, loss, optimizer, schedule. A step uses one **batch**, some randomly chosen rows; an
# **epoch** is one pass over all rows. After each epoch, we compute the loss on the held-out pairs, always with the
# same masks. When it has not improved for `PATIENCE` epochs, we stop and restore the best weights: what comes later is
# memorizing (**overfitting**).
#
# In a step, `backward()` computes the gradient of every weight, `optimizer.step()` updates the weights, and
# `zero_grad()` clears the gradients before the next batch. (At first the training loss may be the higher one: it is
# computed with dropout, and before the later steps of its epoch.)

# %%
width, layers, epochs, batch_size, peak = size(
    test=(32, 1, 1, 16, 2e-3), cpu=(128, 2, 12, 32, 1e-3), gpu=(256, 4, 30, 64, 7e-4)
)
PATIENCE = 2
torch.manual_seed(0)
model = EncoderForPreTraining(
    EncoderConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 32),
        intermediate_size=4 * width,
        max_position_embeddings=2 * PIECE + 3,
        pad_token_id=tokenizer.pad_token_id,
    )
).to(device)
print(f"{sum(p.numel() for p in model.parameters()):,} weights")

masked_valid = mask_tokens(valid_pairs[0], tokenizer)  # drawn once


def loss_of(ids, labels, segments, follows):
    batch = {"input_ids": ids, "labels": labels, "token_type_ids": segments, "next_sentence_label": follows}
    return model(**{name: tensor.to(device) for name, tensor in batch.items()}).loss


@torch.no_grad()
def validate():
    model.eval()
    total = loss_of(masked_valid[0], masked_valid[1], valid_pairs[1], valid_pairs[2]).item()
    model.train()
    return total


steps = epochs * math.ceil(len(train_pairs[0]) / batch_size)
optimizer = make_optimizer(model, TrainingSpec(weight_decay=0.1), learning_rate=peak)
step, best, waited = 0, (math.inf, None), 0
history = {"train": [], "valid": [(0, validate())]}
for epoch in range(1, epochs + 1):
    for rows in torch.randperm(len(train_pairs[0])).split(batch_size):
        shown, labels = mask_tokens(train_pairs[0][rows], tokenizer)
        loss = loss_of(shown, labels, train_pairs[1][rows], train_pairs[2][rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # a rare huge gradient must not throw everything over
        for group in optimizer.param_groups:
            group["lr"] = peak * my_factor(step, steps, warmup=0.1)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        history["train"].append((step, loss.item()))
    valid = validate()
    history["valid"].append((step, valid))
    of_epoch = [loss for _, loss in history["train"][-(steps // epochs) :]]
    print(f"epoch {epoch:>2}: training loss {sum(of_epoch) / len(of_epoch):.2f}, held out {valid:.2f}")
    if valid < best[0]:
        best, waited = (valid, copy.deepcopy(model.state_dict())), 0
    else:
        waited += 1
    if waited == PATIENCE:
        print("no better for", PATIENCE, "epochs: stop")
        break
model.load_state_dict(best[1])

figure, axis = plt.subplots(figsize=(6.5, 3.2))
axis.plot(*zip(*history["train"], strict=True), alpha=0.4, label="training, each batch")
axis.plot(*zip(*history["valid"], strict=True), marker="o", label="held out")
nothing = math.log(len(tokenizer)) + math.log(2)
axis.axhline(nothing, linestyle="--", color="grey", label="knows nothing")
axis.set(xlabel="step", ylabel="loss (both parts)")
axis.legend()
losses = [loss for _, loss in history["valid"]]  # before the training, and after each epoch
show(
    figure,
    f"Loss over {step} steps. Held out: {losses[0]:.2f} before the training, lowest {min(losses):.2f} after epoch "
    f"{losses.index(min(losses))}, {losses[-1]:.2f} at the end; knowing nothing is a level line at {nothing:.2f}.",
)

# %% [markdown]
# A fair look at what it has learned, on held-out text: the masked words alone, compared with a model that only counts
# how often each word occurs; and whether the second passage follows.

# %%
model.eval()
with torch.no_grad():
    output = model(masked_valid[0].to(device), token_type_ids=valid_pairs[1].to(device))
masked = masked_valid[1] != -100
loss = token_loss(output.prediction_logits.cpu(), masked_valid[1]).item()
counts = torch.bincount(train_pairs[0].flatten(), minlength=len(tokenizer)).float() + 1
counts[tokenizer.all_special_ids] = 0  # they are never masked
by_count = -(counts / counts.sum()).log()[masked_valid[1][masked]].mean().item()
for name, value in (
    ("knows nothing", math.log(len(tokenizer))),
    ("counts words", by_count),
    ("this model", loss),
):
    print(f"{name:>13}: loss {value:.2f}, perplexity {math.exp(value):8,.0f}")
follow = nn.functional.cross_entropy(output.seq_relationship_logits.cpu(), valid_pairs[2]).item()
print(f"does it follow: loss {follow:.3f}; knows nothing: {math.log(2):.3f}")

# %% [markdown]
# The steps and the texts are few, so do not expect much: a small model first learns how often words occur, then which
# ones go together. If the last line is near $\ln 2$, the second exercise has taught the model nothing so far: it takes
# far more text than this. BERT saw 3.3 billion words. Judge pretraining by what it is worth afterwards, on a task,
# compared with a model that starts from random weights: notebook 07 does that, and notebook 12 says how to be sure.
#
# ## The same with the library
#
# One document describes everything above. `check` reports whatever is wrong with it before anything runs.

# %%
spec = RunSpec.parse(
    {
        "name": "pretrain-tiny",
        "task": {"name": "masked-lm-nsp", "whole_words": True},
        "data": "film-plots",
        "model": {
            "source": "transformer-encoder",
            "size": "tiny",
            "tokenizer": {"train": "wordpiece", "vocab_size": 4_000, "lowercase": True},
        },
        "training": {"epochs": 30, "batch_size": 16, "learning_rate": 1e-3, "weight_decay": 0.1},
    }
)
problems = [problem for problem in check(spec, workspace) if problem.severity == "error"]
print("errors:", problems)

# %% [markdown]
# `workbench run pretrain-tiny` in a terminal starts it (some minutes on a CPU), and `workbench run demo-full --set
# model=run:pretrain-tiny` fine-tunes the result.
#
# ## Summary
#
# * Hide words, predict them: text is its own label. The loss is the cross-entropy at the masked positions; its
#   gradient is probabilities minus the right word.
# * AdamW: running means of gradients and their squares, and decay. Warm-up protects the first steps.
# * A validation split says when to stop. Compare with $\ln V$ and with word counts.
#
# ## Questions to think about
#
# 1. The gradient formula contains the right word's probability. What is the gradient of a word that the model already
#    knows for certain?
# 2. What would change if 50% of the tokens were masked? And 1%?
# 3. Our random second passages come from the *beginning* of other plots. How could the model cheat?
#
# ## Where to go next
#
# * [Notebook 06](06_pretraining_causal.ipynb): predict the next word instead, and generate text.
# * The library's own: [`masking.py`](../workbench/tasks/shared/masking.py),
#   [`losses.py`](../workbench/models/networks/losses.py), [`optim.py`](../workbench/training/core/optim.py),
#   [`loop.py`](../workbench/training/loop.py).
# * [Devlin et al. 2018](https://arxiv.org/abs/1810.04805) (BERT); [Loshchilov and Hutter
#   2019](https://arxiv.org/abs/1711.05101) (AdamW); [Liu et al. 2019](https://arxiv.org/abs/1907.11692) (RoBERTa).

# %%
done("05-pretraining-masked")
