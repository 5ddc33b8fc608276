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
# # 09 · Sequence to sequence
#
# **After this notebook you can** train a model that reads one text and writes another, write greedy and beam search by
# hand, see where a translator looks, and compute BLEU, chrF and ROUGE with pencil and paper.
#
# **You need** notebooks 04 (encoder, decoder, cross-attention) and 06 (the next word).
#
# **Time:** about 30 minutes to read; the cells run in about 2 minutes on a laptop CPU (GPU: not measured yet).

# %%
import math
from collections import Counter

import matplotlib.pyplot as plt
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer

import workbench as wb
from workbench.data.load import load_data
from workbench.inference.predictor import Predictor
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.teach import done, size, widgets
from workbench.teach.pictures import show
from workbench.workspace import Workspace

workspace = Workspace.current()
_ = torch.manual_seed(0)

# %% [markdown]
# ## Two texts
#
# A translator reads a sentence and writes another, of another length, in another order. Its **encoder** reads the whole
# sentence at once; its **decoder** writes one token after the other, and looks at what the encoder made of the sentence
# (cross-attention, notebook 04). Here it learns English to Chinese from pairs of sentences alone.
#
# The probability of a whole translation $y = y_1 \dots y_T$ of the sentence $x$ is a product, as in notebook 06, only
# that $x$ is known throughout:
#
# $$p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid y_1 \dots y_{t-1},\, x)$$
#
# Both languages share one tokenizer, of a kind that notebook 01 did not build: **unigram** (Kudo 2018, arXiv
# 1804.10959) begins with far too many pieces of text, each with a probability, and drops again and again those that the
# texts can best do without. It needs no spaces between words, and Chinese has none.

# %%
finished = wb.run(
    {
        "name": "course-09",
        "task": "translation",
        "data": {
            "train": "tatoeba-en-zh",
            "max_length": 24,
            "limit": size(
                test={"train": 32, "valid": 8, "test": 8},
                cpu={"train": 4_000, "valid": 200, "test": 200},
                gpu={"train": 18_000, "valid": 500, "test": 500},
            ),
        },
        "model": {
            "source": "transformer-encoder-decoder",
            "hidden_size": size(test=32, cpu=128, gpu=192),
            "layers": 2,
            "norm": "pre",
            "tokenizer": {"train": "unigram", "vocab_size": size(test=500, cpu=3_000, gpu=4_000), "lowercase": True},
        },
        "training": {"epochs": size(test=1, cpu=6, gpu=10), "batch_size": 32, "learning_rate": 1.5e-3},
    },
    reuse=True,
)
report = finished.report()
print(f"beside it, {report.baseline_name}: chrF {report.baseline['chrf']:.3f}")

# %% [markdown]
# chrF, from 0 to 1, says how much of the right translation is found again; below you compute it by hand.
# (`token_accuracy` is the share of the next tokens that were guessed right, `bits_per_byte` the loss in bits for each
# byte of text.) Beside it stands a lexicon that was learned from the same pairs and translates word by word. A laptop's
# few minutes do not beat it: the model has learned how Chinese sentences begin and end, and few words. The preset
# `translate` takes all 18,000 pairs and more time, and does. Judge for yourself:

# %%
predictor = Predictor.load(finished)
for sentence in ("He is my friend.", "I like tea.", "Where do you live?", "The weather was better than we thought."):
    print(f"{sentence:>40}  {predictor.predict([{'text': sentence}])[0].text or '(nothing)'}")

# %% [markdown]
# ## Teacher forcing
#
# While training, the decoder is not asked to go on from its own words, which are nonsense at first. It is given the
# *right* words up to each place, and guesses the next: **teacher forcing**. So its input is the wanted text moved one
# place to the right, with a start token in front, and all places are computed at once.
#
# | symbol | in the code | shape |
# |---|---|---|
# | $B, S, T, V$ | | numbers: texts, tokens that are read, tokens that are written, tokens that there are |
# | $x$ | `source` | `[B, S]` |
# | $y$ | `labels` | `[B, T]`: what is to be written, with the end token |
# | $y$ moved | `given` | `[B, T]`: start token, then all of $y$ but its last |
# | $\ln p$ | `logits.log_softmax(-1)` | `[B, T, V]` |

# %%
model, tokenizer = predictor.model.eval(), predictor.tokenizer
source = tokenizer("He is my friend.", return_tensors="pt")["input_ids"]
end, start = model.config.eos_token_id, model.config.decoder_start_token_id
labels = torch.tensor([[*tokenizer("他是我的朋友。", add_special_tokens=False)["input_ids"], end]])

given = torch.cat([torch.tensor([[start]]), labels[:, :-1]], dim=1)
with torch.no_grad():
    logits = model(source, decoder_input_ids=given).logits
    by_hand = -logits.log_softmax(-1)[0, torch.arange(labels.shape[1]), labels[0]].mean()
    torch.testing.assert_close(by_hand, model(source, labels=labels).loss)
print(f"the mean of -ln p over {labels.shape[1]} tokens is {by_hand:.3f}, as the library computes it")

# %% [markdown]
# ## Writing: greedy
#
# When it is used there is no teacher. **Greedy** writing takes the most probable token, appends it, and asks again,
# until the end token comes.


# %%
def greedy(source, most=12):
    """The tokens that are written if the most probable one is taken at each place."""
    written = [start]
    while len(written) <= most:
        with torch.no_grad():
            scores = model(source, decoder_input_ids=torch.tensor([written])).logits[0, -1]  # [V]
        written.append(int(scores.argmax()))
        if written[-1] == end:
            break
    return written


ours = greedy(source)
with torch.no_grad():
    theirs = model.generate(source, max_new_tokens=12, do_sample=False, num_beams=1)[0].tolist()
assert ours == theirs
print("greedy, by hand and by transformers:", tokenizer.decode(ours, skip_special_tokens=True) or "(nothing)")

# %% [markdown]
# ## Writing: a beam
#
# Greedy may take a good first word and end in a bad sentence. A **beam search** keeps the best few beginnings instead
# of one, goes on from all of them, and keeps the best few again. How many it keeps is its **width**. Its measure is the
# logarithm of the product above, a sum: $\sum_t \ln p(y_t \mid \dots)$. Move the width, and see at which one it finds
# the better sentence:

# %%
widgets.beam()


# %%
def beam(source, width, most=12):
    """The most probable text that a beam search of this width finds, and the logarithm of its probability."""
    kept, ended = [([start], 0.0)], []
    for _ in range(most):
        tried = []
        for written, total in kept:
            with torch.no_grad():
                scores = model(source, decoder_input_ids=torch.tensor([written])).logits[0, -1].log_softmax(-1)
            best = scores.topk(width + 1)  # one of them may be the end token
            tried += [
                ([*written, int(token)], total + float(score))
                for score, token in zip(best.values, best.indices, strict=True)
            ]
        tried.sort(key=lambda one: -one[1])
        ended += [one for one in tried[:width] if one[0][-1] == end]
        kept = [one for one in tried if one[0][-1] != end][:width]
        # Each further token makes a sum smaller: a text that has ended and is ahead of all beginnings has won.
        if ended and max(total for _, total in ended) >= kept[0][1]:
            break
    return max([*ended, *kept], key=lambda one: one[1])


def probability(source, written):
    """The logarithm of the probability of a text that begins with the start token."""
    with torch.no_grad():
        scores = model(source, decoder_input_ids=torch.tensor([written[:-1]])).logits[0].log_softmax(-1)
    return float(scores[torch.arange(len(written) - 1), torch.tensor(written[1:])].sum())


narrow, wide = beam(source, 1), beam(source, 4)
assert narrow[0] == ours  # a beam of width 1 is greedy
for name, (written, total) in (("width 1", narrow), ("width 4", wide)):
    assert abs(total - probability(source, written)) < 1e-4  # step by step and all at once are the same
    print(f"{name}: ln p = {total:.2f}  {tokenizer.decode(written, skip_special_tokens=True) or '(nothing)'}")

# %% [markdown]
# Held against transformers' `generate`, which does the same with `num_beams=4`. (`length_penalty=0`: the sum is not
# divided by anything.)

# %%
for sentence in ("He is my friend.", "I like tea.", "Where do you live?"):
    asked = tokenizer(sentence, return_tensors="pt")["input_ids"]
    written, total = beam(asked, 4)
    with torch.no_grad():
        found = model.generate(
            asked,
            max_new_tokens=12,
            do_sample=False,
            num_beams=4,
            length_penalty=0.0,
            early_stopping=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
    assert found.sequences[0].tolist() == written
    assert abs(float(found.sequences_scores[0]) - total) < 1e-4
    print(f"{sentence:>20}  the same {len(written) - 1} tokens, ln p = {total:.3f}")

# %% [markdown]
# A wider beam finds more probable texts, not always better ones: short ones are more probable, because each further
# token multiplies by a number below 1. In practice the sum is divided by a power of the length, and a width of 4 or 5
# is enough (`generate` calls the power `length_penalty`).
#
# ## Where does it look?
#
# Cross-attention says for each token that is written where in the sentence the decoder looked.

# %%
model.set_attn_implementation("eager")  # attention that is written out, as in notebook 03
with torch.no_grad():
    found = model(source, decoder_input_ids=given, output_attentions=True).cross_attentions
weights = torch.stack(found)[:, 0].mean(dim=(0, 1))  # the mean over layers and heads: [T, S]
assert torch.allclose(weights.sum(-1), torch.ones(len(weights)), atol=1e-5)
figure, axes = plt.subplots(figsize=(5, 3.4))
axes.imshow(weights.numpy(), cmap="viridis", vmin=0)
axes.set_xticks(range(source.shape[1]), tokenizer.convert_ids_to_tokens(source[0]), rotation=45, ha="right")
axes.set_xlabel("the sentence that is read")
axes.set_ylabel("place that is written")
show(
    figure,
    f"Cross-attention: {weights.shape[0]} places that are written, as rows, look at {weights.shape[1]} tokens of the "
    "sentence, as columns; brighter is more.",
)
print("what is written, place by place:", tokenizer.convert_ids_to_tokens(labels[0]))

# %% [markdown]
# Do not expect much of it: after so short a training it mostly looks at the end of the sentence, whatever it writes.

# %% [markdown]
# ## How good is a translation? BLEU and chrF by hand
#
# There are many right translations, and one **reference**. **BLEU** (Papineni et al. 2002) counts which runs of one to
# four words stand in the reference: $P_n$ is the share of the text's runs of $n$ words that do (each counted at most as
# often as the reference has it). Their geometric mean (the fourth root of the product of the four) is multiplied by a
# penalty $b$ for texts that are too short:
#
# $$\text{BLEU} = b \cdot \exp\Big(\tfrac14 \sum_{n=1}^{4} \ln P_n\Big), \qquad
# b = \begin{cases} 1 & \text{where } c \ge r \\ e^{1 - r/c} & \text{where } c < r \end{cases}$$
#
# | symbol | in the code | |
# |---|---|---|
# | $P_n$ | `shares[n - 1]` | share of the text's runs of $n$ words that the reference has |
# | $c$ | `c` | words of the text |
# | $r$ | `r` | words of the reference |
# | $b$ | `penalty` | for brevity |

# %%
reference = "the cat sat on the mat all day long"
text = "the cat sat on the red mat all"  # a word less than the reference


def runs_of(items, n):
    """How often each run of n neighbours occurs."""
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def matches(text, reference, n):
    """Runs of n that both have, and how many the text has."""
    ours, theirs = runs_of(text, n), runs_of(reference, n)
    return sum(min(count, theirs[each]) for each, count in ours.items()), sum(ours.values())


shares = []
for n in range(1, 5):
    both, all_ours = matches(text.split(), reference.split(), n)
    shares.append(both / all_ours)
    print(f"runs of {n}: {both} of {all_ours}")
c, r = len(text.split()), len(reference.split())
penalty = 1.0 if c >= r else math.exp(1 - r / c)
bleu = penalty * math.exp(sum(map(math.log, shares)) / 4)
assert abs(100 * bleu - sacrebleu.sentence_bleu(text, [reference]).score) < 1e-4
print(f"{c} words, the reference has {r}: penalty {penalty:.3f}; BLEU {bleu:.3f}, as sacrebleu has it")

# %% [markdown]
# **chrF** (Popović 2015) does the same with characters, runs of one to six without the spaces, and counts what is
# missing more than what is too much. With $P$ (`precision`) the share of the text's runs that the reference has, and
# $R$ (`recall`) the share of the reference's runs that the text has, both the mean over the six lengths, it is
# $5PR / (4P + R)$. It forgives an ending that differs, and needs no words: good for Chinese.

# %%
characters, wanted = text.replace(" ", ""), reference.replace(" ", "")
precision = sum(matches(characters, wanted, n)[0] / matches(characters, wanted, n)[1] for n in range(1, 7)) / 6
recall = sum(matches(wanted, characters, n)[0] / matches(wanted, characters, n)[1] for n in range(1, 7)) / 6
chrf = 5 * precision * recall / (4 * precision + recall)
assert abs(100 * chrf - sacrebleu.sentence_chrf(text, [reference]).score) < 1e-4
print(f"chrF {chrf:.3f}, as sacrebleu has it")

# %% [markdown]
# ## Summaries, and a baseline that is hard to beat
#
# A summary is sequence to sequence as well, with a long text and a short one. It is scored by **ROUGE** (Lin 2004),
# which counts the words that both have (ROUGE-1), or the longest row of words that both have in the same order
# (ROUGE-L). That count is divided by the length of what was written (precision) and by that of the reference (recall),
# and the score is the harmonic mean of the two, as in notebook 08. Before any model: how good is the first sentence of
# the text? The texts are abstracts of scientific papers, each with one or more summaries of one sentence.


# %%
def longest_common(a, b):
    """The length of the longest row of words that both have in this order, perhaps with gaps."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def rouge(text, reference):
    """ROUGE-1 and ROUGE-L of two lists of words."""
    found = []
    for both in (sum((Counter(text) & Counter(reference)).values()), longest_common(text, reference)):
        found.append(2 * both / (len(text) + len(reference)))  # the harmonic mean, shortened
    return found


scorer = RougeScorer(["rouge1", "rougeL"])
held = scorer.score(reference, text)
for ours_, theirs_ in zip(rouge(text.split(), reference.split()), (held["rouge1"], held["rougeL"]), strict=True):
    assert abs(ours_ - theirs_.fmeasure) < 1e-6

entry = tasks.get("summarization")
papers = load_data(
    DataSpec(train="scitldr", limit={"train": 50, "valid": 5, "test": size(test=20, cpu=200, gpu=200)}),
    entry(entry.Config()).columns(),
    workspace,
).test.columns
body, summary = papers["text"], [several[0] for several in papers["summary"]]  # some papers have several
places = {"first": 0, "second": 1, "last": -1}
scores = {name: [] for name in places}
for text_, wanted_ in zip(body, summary, strict=True):
    sentences = [each for each in text_.split(". ") if each]
    for name, place in places.items():
        chosen = sentences[min(place, len(sentences) - 1)]
        scores[name].append(scorer.score(wanted_, chosen)["rougeL"].fmeasure)
means = {name: sum(each) / len(each) for name, each in scores.items()}

figure, axes = plt.subplots(figsize=(6, 1.8))
axes.barh([f"the {name} sentence" for name in means], list(means.values()), color="#2a7fa5")
axes.set_xlabel(f"ROUGE-L over {len(body)} papers")
axes.invert_yaxis()
show(
    figure,
    "ROUGE-L of one sentence of the abstract as its summary: " + ", ".join(f"{n} {v:.2f}" for n, v in means.items()),
)

# %% [markdown]
# One sentence, chosen without reading, is a summary that small models rarely beat. That is why every summary run of the
# workbench has the first sentence beside its figures, and why ROUGE alone says little: it counts words, not truth. A
# fluent sentence with a wrong number scores well. No model that summarises is trained here:
# [lesson 12](../tutorials/12_summaries.ipynb) trains one, and holds it against the first sentence.
#
# ## Summary
#
# An encoder reads, a decoder writes with cross-attention. Training shows it the right words up to each place; using it
# needs a search, greedy or with a beam. BLEU, chrF and ROUGE count what a text shares with a reference, and are worth
# what the baseline beside them is worth.
#
# ## Questions to think about
#
# 1. Why can training compute all places at once, and writing not?
# 2. A text of one right word: what do $P_1$ and the penalty of BLEU say?
# 3. How would you score a translation if there were no reference?
#
# ## Where to go on
#
# * [Notebook 10](10_fewer_weights.ipynb) tunes large models with few weights.
# * `workbench run translate` and `workbench run summarize` train on all data.
# * Lesson 06, [translate an interface](../tutorials/06_translate.ipynb); lesson 12,
#   [summaries](../tutorials/12_summaries.ipynb).

# %%
done("09-sequence-to-sequence")
