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
# # 07 · Fine-tuning
#
# **After this notebook you can** put a task's head on a pretrained model, write the training loop by hand, find a
# learning rate with a range test, freeze layers, and recognize overfitting when it happens.
#
# **You need** notebooks 04 (the encoder) and 05 (loss, AdamW, warm-up).
#
# **Time:** about 25 minutes to read; the cells run in about 8 minutes on a laptop CPU (GPU: not measured yet).

# %%
import copy
import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from accelerate import Accelerator
from torch import nn

import workbench as wb
from workbench.data.load import load_data
from workbench.models.loading import make_source
from workbench.runs.lr_range_test import analyze, lr_multiplier
from workbench.spec import DataSpec, TrainingSpec
from workbench.tasks.base import tasks
from workbench.teach import done, size, widgets
from workbench.teach.pictures import show
from workbench.training import loop
from workbench.training.core.optim import learning_rate_factor, make_optimizer
from workbench.workspace import Workspace

torch.manual_seed(0)
workspace = Workspace.current()
device = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# ## The task
#
# Snippets of film reviews, *fresh* or *rotten*. They are divided into the splits train, valid and test, and all
# snippets about one film go into the same split: otherwise the model could learn films instead of opinions, and look
# better than it is. (`tasks` contains the library's tasks. A task says which columns it needs: here the text and its
# label.)

# %%
limit = size(
    test={"train": 16, "valid": 8, "test": 16},
    cpu={"train": 800, "valid": 300, "test": 400},
    gpu={"train": 6_000, "valid": 1_000, "test": 2_000},
)
data = DataSpec(train="rotten-tomatoes", limit=limit)
entry = tasks.get("text-classification")
dataset = load_data(data, entry(entry.Config()).columns(), workspace)
labels = sorted(set(dataset.train.columns["label"]))
for text, label in list(zip(dataset.train.columns["text"], dataset.train.columns["label"], strict=True))[:4]:
    print(f"{label:>7}: {text[:90]}")

# %% [markdown]
# ## A head on a body
#
# Pretraining produced a **body** that turns each token into a vector. The task needs a **head**: here one linear map
# to two scores. It reads the vector of the first token, `[CLS]`, as BERT's own classifiers do: through one more map
# and a tanh, the **pooler**. In BERT, pretraining has trained it (to predict the next sentence, notebook 05). MiniLM
# was trained on the mean of its tokens instead, so its pooler is still random, and has to be learned like the head.
# (The library's runs therefore read the mean of MiniLM's tokens, `model.pooling`; here we build what BERT has.)
#
# $$\text{scores} = W_c \tanh(W_p\, h_{\text{CLS}} + b_p) + b_c$$
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $B, T, D$ | | numbers | texts in a batch, tokens of a text, numbers in a token's vector |
# | $h_{\text{CLS}}$ | `hidden[:, 0]` | `[B, D]` | the body's vector of the first token |
# | $W_p, b_p$ | `body.pooler.dense` | `[D, D]`, `[D]` | pretrained in BERT, random in MiniLM |
# | $W_c, b_c$ | `classifier` | `[classes, D]`, `[classes]` | new |
# | scores | `scores` | `[B, classes]` | their softmax is the probabilities |
#
# The other weights of the body are already useful; the head's are random. That difference makes fine-tuning fast, and
# delicate.


# %%
class MyClassifier(nn.Module):
    def __init__(self, body, classes):
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(body.config.hidden_size, classes)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        hidden = self.body(input_ids, attention_mask, token_type_ids).last_hidden_state  # [B, T, D]
        pooled = torch.tanh(self.body.pooler.dense(hidden[:, 0]))  # [B, D]
        return self.classifier(self.dropout(pooled))  # [B, classes]


loaded = make_source("minilm", workspace).load("AutoModel", {})
tokenizer = loaded.tokenizer


def fresh(seed=0):
    """MiniLM as published, with a new head."""
    torch.manual_seed(seed)
    return MyClassifier(copy.deepcopy(loaded.model), len(labels)).to(device)


model = fresh()
body = sum(p.numel() for p in model.body.parameters())
head = sum(p.numel() for p in model.classifier.parameters())
print(f"body {body:,} weights, head {head:,}")

# %% [markdown]
# Does the library compute the same? With the same weights and the same texts, the scores and the loss must be equal.
# (The loss is the cross-entropy, the mean of $-\ln p$ of the right class.)

# %%
source = make_source("minilm", workspace).with_pooling("pooler")  # transformers' own class
theirs = source.load("AutoModelForSequenceClassification", {"num_labels": len(labels)}).model
theirs = theirs.to(device).eval()
mine = MyClassifier(theirs.bert, len(labels)).to(device).eval()
mine.classifier.load_state_dict(theirs.classifier.state_dict())
inputs = tokenizer(dataset.test.columns["text"][:8], padding=True, return_tensors="pt").to(device)
right = torch.tensor([labels.index(label) for label in dataset.test.columns["label"][:8]], device=device)
with torch.no_grad():
    scores, expected = mine(**inputs), theirs(**inputs, labels=right)
torch.testing.assert_close(scores, expected.logits, atol=1e-5, rtol=1e-5)
torch.testing.assert_close(nn.functional.cross_entropy(scores, right), expected.loss, atol=1e-5, rtol=1e-5)
print("our classifier and transformers' give the same scores and loss")

# %% [markdown]
# ## The loop, by hand
#
# This is all that training is: take a batch, compute the loss, let torch compute the gradients, clip, step, repeat.
# **Clip** means: if all gradients together, seen as one long vector, are longer than 1 (the length is the root of the
# sum of their squares), they are shortened to 1, so that one odd batch cannot throw the weights far. **Step** is
# AdamW's (notebook 05), with a rate that rises over the first tenth of the steps and then falls to 0.


# %%
LENGTH = size(test=24, cpu=64, gpu=64)  # tokens; what is longer is cut
BATCH = size(test=4, cpu=16, gpu=16)  # texts


def batches(part, batch_size, generator=None):
    """Yield batches of a split as tensors; in random order if there is a generator."""
    texts, right = part.columns["text"], torch.tensor([labels.index(x) for x in part.columns["label"]])
    order = torch.randperm(len(texts), generator=generator) if generator else torch.arange(len(texts))
    for rows in order.split(batch_size):
        chosen = [texts[i] for i in rows]
        inputs = tokenizer(chosen, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        yield inputs.to(device), right[rows].to(device)


@torch.no_grad()
def evaluate(model, part):
    """Mean loss, and the share of right answers."""
    model.eval()
    loss = correct = count = 0
    for inputs, right in batches(part, 64):
        scores = model(**inputs)
        loss += nn.functional.cross_entropy(scores, right, reduction="sum").item()
        correct += (scores.argmax(1) == right).sum().item()
        count += len(right)
    return loss / count, correct / count


def train(model, part, epochs, peak, batch_size=BATCH, schedule=None, seen=None, held_out=None):
    """Train in place. ``schedule(step, steps)`` scales the peak rate; ``seen`` receives each loss.

    With ``held_out``, return the loss on the part and on the held-out texts after each epoch.
    """
    generator = torch.Generator().manual_seed(0)
    steps = epochs * math.ceil(len(part) / batch_size)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = make_optimizer(model, TrainingSpec(), peak)
    schedule = schedule or (lambda step, steps: learning_rate_factor(step, steps, 0.1, "linear"))
    history, step = [], 0
    for _ in range(epochs):
        model.train()
        for inputs, right in batches(part, batch_size, generator):
            rate = peak * schedule(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = nn.functional.cross_entropy(model(**inputs), right)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if seen and seen(rate, loss.item()):
                return history
        if held_out:
            history.append((evaluate(model, part)[0], evaluate(model, held_out)[0]))
    return history


# %% [markdown]
# The library's loop ([workbench/training/loop.py](../workbench/training/loop.py)) is these lines, with checkpoints and
# metrics around them. (A *checkpoint* is a copy of the weights on disk; the `Accelerator`, from Hugging Face, moves
# the work to the processor or the graphics card.) Here is the test: with the same weights and the same batches,
# without dropout (which is random), the losses of all steps, and the weights at the end, must be equal.


# %%
class OurBatches:
    """The batches of our loop, in the form that the library's loop expects."""

    def __init__(self, part, epochs, batch_size):
        generator = torch.Generator().manual_seed(0)
        self.epochs = [torch.randperm(len(part), generator=generator).split(batch_size) for _ in range(epochs)]

    def epoch(self, number):
        return [rows.numpy() for rows in self.epochs[number]]

    def count(self, number):
        return len(self.epochs[number])


class Listener:
    """Collects the losses that the library's loop reports."""

    def __init__(self):
        self.losses = []

    def log(self, row):
        self.losses.append(row["train/loss"])

    def progress(self, position, steps, epoch):
        pass

    def save(self, position, save):
        pass  # no checkpoints here

    def stop_requested(self):
        return False


def material(part, epochs):
    """What the library's loop trains on: our batches."""

    def batch(rows):
        chosen = part.take(rows.tolist())
        ((inputs, right),) = batches(chosen, len(rows))
        return {**inputs, "labels": right}

    return loop.TrainingInputs(OurBatches(part, epochs, BATCH), batch, loss_weight=len, tokens=len)


def without_dropout(model):
    """Return the model with its dropout turned off."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


part, losses, listener = dataset.train.take(range(2 * BATCH)), [], Listener()
start = without_dropout(copy.deepcopy(theirs))  # transformers' classifier, for the library
mine = MyClassifier(copy.deepcopy(start.bert), len(labels)).to(device)
mine.classifier.load_state_dict(start.classifier.state_dict())

train(without_dropout(mine), part, 2, 1e-4, seen=lambda rate, loss: losses.append(loss))
settings = TrainingSpec(epochs=2, batch_size=BATCH, warmup_ratio=0.1, log_every=1)
loop.train(start, material(part, 2), settings, 1e-4, Accelerator(cpu=device == "cpu"), listener, Path("checkpoints"))
near = 1e-5 if device == "cpu" else 1e-3  # a GPU adds up in another order each time
torch.testing.assert_close(torch.tensor(losses), torch.tensor(listener.losses), atol=near, rtol=near)
torch.testing.assert_close(mine.classifier.weight, start.classifier.weight, atol=near, rtol=near)
print("our losses:        ", [round(loss, 4) for loss in losses])
print("the library's loop:", [round(loss, 4) for loss in listener.losses])

# %% [markdown]
# ## Which learning rate? A range test
#
# Here you can change the rate and watch the loss, in the two-weight valley of notebook 05. Move the rate from left to
# right and look at the right-hand picture: too small and little is learned, larger is better, and just beyond the best
# rate there is a wall. Then raise the warm-up and see the wall recede.

# %%
widgets.learning_rate()

# %% [markdown]
# For a real model nobody knows where the wall is, so you go and look. Let the rate rise from far too small to far too
# large within one short training, multiplied by the same factor at each step (`rise`), and watch the loss: as a rule
# it stays, falls, and explodes. Two readings are common: the rate where the loss falls fastest (Smith 2015, arXiv
# 1506.01186), and a tenth of the rate where it is lowest. The library's `analyze` smooths the curve and takes
# the smaller one.

# %%
lowest, highest, epochs = 1e-6, 1e-1, size(test=2, cpu=1, gpu=1)
rates, losses = [], []


def watch(rate, loss):
    rates.append(rate)
    losses.append(loss)
    return loss > 4 * losses[0]  # it has exploded: enough seen


train(fresh(), dataset.train, epochs, highest, schedule=lambda s, n: lr_multiplier(s, n, lowest, highest), seen=watch)
finding = analyze(rates, losses)
print(finding.how)

figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(rates, losses, alpha=0.4, label="each batch")
axis.plot(finding.rates, finding.smoothed, label="smoothed")
axis.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0, 2))
axis.legend()
deepest = min(range(len(finding.smoothed)), key=lambda step: finding.smoothed[step])
show(
    figure,
    f"Loss while the learning rate rises from {rates[0]:.0e} to {rates[-1]:.0e}: smoothed it begins at "
    f"{finding.smoothed[0]:.2f}, is lowest with {finding.smoothed[deepest]:.2f} at a rate of "
    f"{finding.rates[deepest]:.0e}, and the last batch has {losses[-1]:.2f}.",
)

# %% [markdown]
# A small data set gives a rough curve: read the order of magnitude, no more. For full fine-tuning of BERT-base, values
# between 2e-5 and 5e-5 are common; small models such as this one, MiniLM, take up to 3e-4. We take 1e-4.
#
# ## Fine-tuning, frozen, and from nothing
#
# Three models with the same head and loop:
#
# * **full**: all weights are trained;
# * **head only**: the body is **frozen** (`requires_grad_(False)`), only the pooler and $W_c$, $b_c$ are trained;
# * **from nothing**: the same architecture with random weights. Pretraining has to beat this.

# %%
epochs = size(test=1, cpu=3, gpu=3)


def from_nothing():
    """The same architecture with weights as a new BERT has them."""
    model = fresh()
    for name, p in model.body.named_parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=0.02)
        else:
            nn.init.constant_(p, 1.0 if "LayerNorm.weight" in name else 0.0)
    return model


frozen = fresh()
frozen.body.requires_grad_(False)
frozen.body.pooler.requires_grad_(True)
for name, model, peak in (
    ("full", fresh(), 1e-4),
    ("head only", frozen, 1e-3),
    ("from nothing", from_nothing(), 3e-4),
):
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    train(model, dataset.train, epochs, peak)
    accuracy = evaluate(model, dataset.test)[1]
    print(f"{name:>12}: {trained:>10,} weights trained, accuracy on unseen films {accuracy:.3f}")
most = max(labels, key=dataset.train.columns["label"].count)
always = dataset.test.columns["label"].count(most) / len(dataset.test)
print(f"{'always ' + most:>12}: {0:>10,} weights trained, accuracy on unseen films {always:.3f}")

# %% [markdown]
# Compare each with the last line. With so few reviews, a model from nothing is hardly better than that: it would have
# to learn English from them. The frozen body's vectors contain much of what is needed, but not in the form that the
# task wants.
#
# How certain is such a number? It would differ with other test texts. On $n$ examples an accuracy $a$ varies by about
# $\sqrt{a(1-a)/n}$ (its *standard error*); twice that, to both sides, is a rough 95% interval. [Notebook
# 12](12_comparing_honestly.ipynb) does it properly.

# %%
count = len(dataset.test)
print(f"with {count} test examples: about ± {2 * math.sqrt(0.7 * 0.3 / count):.3f} at an accuracy of 0.7")

# %% [markdown]
# ## Overfitting, seen
#
# Few examples, many passes, a high rate: watch what the loss of the training examples does, and what that of the
# held-out ones does. If the first goes towards 0 and the second rises, the model memorizes its examples.

# %%
few = size(test=8, cpu=100, gpu=200)
small = dataset.train.take(range(few))
history = train(fresh(), small, size(test=2, cpu=10, gpu=20), 3e-4, held_out=dataset.valid)
figure, axis = plt.subplots(figsize=(6, 3))
for column, label in ((0, f"the {few} training examples"), (1, "held out")):
    axis.plot(range(1, len(history) + 1), [row[column] for row in history], marker="o", label=label)
axis.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
axis.legend()
first, last = history[0], history[-1]
best = min(row[1] for row in history)
show(
    figure,
    f"Loss after each of {len(history)} epochs: that of the training examples goes from {first[0]:.2f} to "
    f"{last[0]:.2f}, that of held-out ones from {first[1]:.2f} to {last[1]:.2f}; its lowest was {best:.2f}.",
)

# %% [markdown]
# What helps: more data, fewer passes (stop when the held-out loss stops falling: `training.early_stopping_patience`),
# fewer trainable weights (notebook 10), dropout and weight decay.
#
# ## The same with the library
#
# Classifier, loss and loop are the library's, as you have seen. Now the whole job as one document; the run goes into a
# folder with its metrics, predictions and report. Its accuracy is not exactly ours: head, order and dropout use other
# random numbers, and at the end the library restores the weights of the best evaluation (`load_best`). Look at
# `eval/loss`, too: if it rises from epoch to epoch, the model overfits again. (`macro_f1` and `matthews` are two more
# metrics. Always predicting the most frequent class does not raise them: its `matthews` is 0.)

# %%
finished = wb.run(
    {
        "name": "course-07-full",
        "task": "text-classification",
        "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": LENGTH},
        "model": "minilm",
        "tuning": "full",
        "training": {"epochs": epochs, "batch_size": 16, "learning_rate": 1e-4},
    },
    reuse=True,
)
print({name: round(value, 3) for name, value in finished.results().items()})

# %% [markdown]
# ## Summary
#
# * A task is a head on a pretrained body. The loop is six lines; the rest is bookkeeping.
# * A range test finds the order of magnitude of the learning rate.
# * Full fine-tuning trains all weights; frozen bodies are cheap. Compare with a model from nothing, and mind the size
#   of the test split.
# * When held-out loss rises while training loss falls, the model overfits.
#
# ## Questions to think about
#
# 1. Why is the best rate for the head alone so much higher than for the whole model?
# 2. The split keeps films together. Which accuracy would you expect without that, and which one is the honest one?
# 3. With the body frozen and its dropout off (the library turns it off in frozen layers; our `train` does not), its
#    vectors are the same in every epoch. What can be saved? (The library does it: `training.cache_activations`.)
#
# ## Where to go next
#
# * [Notebook 08](08_many_tasks.ipynb): other heads, other tasks. [Notebook 10](10_fewer_weights.ipynb): fewer weights.
#   [Notebook 12](12_comparing_honestly.ipynb): is the better one better?
# * Lesson 01, [the mail of a bank](../tutorials/01_mail.ipynb), does this for many classes.
# * [workbench/training/loop.py](../workbench/training/loop.py), and the same in the browser: **Launch** in the
#   dashboard.
# * Howard and Ruder 2018 (arXiv 1801.06146); Mosbach et al. 2021 on the stability of fine-tuning (arXiv 2006.04884).

# %%
done("07-fine-tuning")
