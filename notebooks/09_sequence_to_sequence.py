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
# hand, see where a translator looks, and compute BLEU, chrF and ROUGE by hand.
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
from workbench.teach import done, size, widgets
from workbench.teach.pictures import show

_ = torch.manual_seed(0)

# %% [markdown]
# ## Two texts
#
# A translator reads a sentence and writes another, of another length, in another order. Its **encoder** reads the
# whole sentence at once. Its **decoder** writes one token after the other, and attends to the encoder's vectors of the
# sentence (cross-attention, notebook 04). Here it learns English to Chinese from pairs of sentences alone.
#
# The probability of a whole translation $y = y_1 \dots y_T$ of the sentence $x$ is a product, as in notebook 06,
# except that every factor also depends on $x$:
#
# $$p(y \mid x) = \prod_{t=1}^{T} p(y_t \mid y_1 \dots y_{t-1},\, x)$$
#
# Both languages share one tokenizer, of a kind that notebook 01 did not build: **unigram** (Kudo 2018, arXiv
# 1804.10959) starts with far too many subwords, each with a probability, and repeatedly drops those whose removal
# lowers the probability of the texts least. It needs no spaces between words, and Chinese has none.

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
print(f"baseline, {report.baseline_name}: chrF {report.baseline['chrf']:.3f}")

# %% [markdown]
# chrF, from 0 to 1, measures how much of the reference translation the output reproduces; below you compute it by
# hand. (`token_accuracy` is the share of next tokens that were predicted correctly, `bits_per_byte` the loss in bits
# for each byte of text.) The baseline is a lexicon that was learned from the same pairs and translates word by word. A
# few minutes on a laptop are not enough to beat it: the model has learned how Chinese sentences begin and end, and few
# words. The preset `translate` uses all 18,000 pairs and trains longer, and it does beat the baseline. Judge for
# yourself:

# %%
for sentence in ("He is my friend.", "I like tea.", "Where do you live?", "The weather was better than we thought."):
    print(f"{sentence:>40}  {finished.predict(sentence)[0].text or '(nothing)'}")

# %% [markdown]
# ## Teacher forcing
#
# During training, the decoder does not continue its own words, which are nonsense at first. It reads the *right* words
# up to each position, and predicts the next: **teacher forcing**. Its input is the target text shifted right by one
# position, with a start token in front, so all positions are computed at once.
#
# | symbol | in the code | shape |
# |---|---|---|
# | $B, S, T, V$ | | numbers: texts, tokens of the source, tokens of the target, tokens of the vocabulary |
# | $x$ | `source` | `[B, S]` |
# | $y$ | `labels` | `[B, T]`: the target, with the end token |
# | $y$ shifted | `decoder_inputs` | `[B, T]`: start token, then all of $y$ except its last token |
# | $\ln p$ | `logits.log_softmax(-1)` | `[B, T, V]` |

# %%
predictor = finished.predictor()
model, tokenizer = predictor.model.eval(), predictor.tokenizer
source = tokenizer("He is my friend.", return_tensors="pt")["input_ids"]
end, start = model.config.eos_token_id, model.config.decoder_start_token_id
labels = torch.tensor([[*tokenizer("他是我的朋友。", add_special_tokens=False)["input_ids"], end]])

decoder_inputs = torch.cat([torch.tensor([[start]]), labels[:, :-1]], dim=1)
with torch.no_grad():
    logits = model(source, decoder_input_ids=decoder_inputs).logits
    by_hand = -logits.log_softmax(-1)[0, torch.arange(labels.shape[1]), labels[0]].mean()
    torch.testing.assert_close(by_hand, model(source, labels=labels).loss)
print(f"the mean of -ln p over {labels.shape[1]} tokens is {by_hand:.3f}, as the library computes it")

# %% [markdown]
# ## Decoding: greedy
#
# At inference there is no teacher. **Greedy** decoding takes the most probable token, appends it, and runs the model
# again, until the end token comes.


# %%
def greedy(source, max_new_tokens=12):
    """Return the tokens that are generated if the most probable one is taken at each position."""
    written = [start]
    while len(written) <= max_new_tokens:
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
# ## Decoding: a beam
#
# Greedy decoding may take a good first word and end in a bad sentence. **Beam search** keeps the best few beginnings
# instead of one, extends all of them, and keeps the best few again. The number that it keeps is its **width**. Its
# score is the logarithm of the product above, a sum: $\sum_t \ln p(y_t \mid \dots)$. Change the width, and see from
# which width on it finds the better sentence:

# %%
widgets.beam()


# %%
def beam(source, width, max_new_tokens=12):
    """Return the most probable text that a beam search of this width finds, and the logarithm of its probability."""
    beams, ended = [([start], 0.0)], []
    for _ in range(max_new_tokens):
        candidates = []
        for written, total in beams:
            with torch.no_grad():
                scores = model(source, decoder_input_ids=torch.tensor([written])).logits[0, -1].log_softmax(-1)
            best = scores.topk(width + 1)  # one of them may be the end token
            candidates += [
                ([*written, int(token)], total + float(score))
                for score, token in zip(best.values, best.indices, strict=True)
            ]
        candidates.sort(key=lambda candidate: -candidate[1])
        ended += [candidate for candidate in candidates[:width] if candidate[0][-1] == end]
        beams = [candidate for candidate in candidates if candidate[0][-1] != end][:width]
        # Each further token makes a sum smaller: no beginning can overtake a finished text with a larger sum.
        if ended and max(total for _, total in ended) >= beams[0][1]:
            break
    return max([*ended, *beams], key=lambda candidate: candidate[1])


def probability(source, written):
    """Return the logarithm of the probability of a text that begins with the start token."""
    with torch.no_grad():
        scores = model(source, decoder_input_ids=torch.tensor([written[:-1]])).logits[0].log_softmax(-1)
    return float(scores[torch.arange(len(written) - 1), torch.tensor(written[1:])].sum())


narrow, wide = beam(source, 1), beam(source, 4)
assert narrow[0] == ours  # a beam of width 1 is greedy
for name, (written, total) in (("width 1", narrow), ("width 4", wide)):
    assert abs(total - probability(source, written)) < 1e-4  # step by step and all at once: the same
    print(f"{name}: ln p = {total:.2f}  {tokenizer.decode(written, skip_special_tokens=True) or '(nothing)'}")

# %% [markdown]
# Compare it with transformers' `generate`, which does the same with `num_beams=4`. (With `length_penalty=0`, the sum
# is not divided by anything.)

# %%
for sentence in ("He is my friend.", "I like tea.", "Where do you live?"):
    input_ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
    written, total = beam(input_ids, 4)
    with torch.no_grad():
        generated = model.generate(
            input_ids,
            max_new_tokens=12,
            do_sample=False,
            num_beams=4,
            length_penalty=0.0,
            early_stopping=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
    assert generated.sequences[0].tolist() == written
    assert abs(float(generated.sequences_scores[0]) - total) < 1e-4
    print(f"{sentence:>20}  the same {len(written) - 1} tokens, ln p = {total:.3f}")

# %% [markdown]
# A wider beam finds more probable texts, but not always better ones. Short texts are more probable, because each
# further token multiplies the probability by a number below 1. In practice the sum is divided by a power of the length
# (`generate` calls this power `length_penalty`), and a width of 4 or 5 is enough.
#
# ## Where does it look?
#
# For each generated token, cross-attention shows where in the sentence the decoder looked.

# %%
model.set_attn_implementation("eager")  # attention written out step by step, as in notebook 03: it returns its weights
with torch.no_grad():
    attentions = model(source, decoder_input_ids=decoder_inputs, output_attentions=True).cross_attentions
weights = torch.stack(attentions)[:, 0].mean(dim=(0, 1))  # the mean over layers and heads: [T, S]
assert torch.allclose(weights.sum(-1), torch.ones(len(weights)), atol=1e-5)
figure, axes = plt.subplots(figsize=(5, 3.4))
axes.imshow(weights.numpy(), cmap="viridis", vmin=0)
axes.set_xticks(range(source.shape[1]), tokenizer.convert_ids_to_tokens(source[0]), rotation=45, ha="right")
axes.set_xlabel("token of the source")
axes.set_ylabel("position in the target")
show(
    figure,
    f"Cross-attention: {weights.shape[0]} positions of the target, as rows, look at {weights.shape[1]} tokens of the "
    "source, as columns; brighter is more.",
)
print("the target, position by position:", tokenizer.convert_ids_to_tokens(labels[0]))

# %% [markdown]
# Do not expect much of it: after such a short training, the model mostly looks at the end of the sentence, whatever it
# writes.

# %% [markdown]
# ## How good is a translation? BLEU and chrF by hand
#
# There are many right translations, but often only one **reference**. **BLEU** (Papineni et al. 2002) counts n-grams,
# sequences of one to four consecutive words, that also occur in the reference: $P_n$ is the share of the text's
# n-grams that do (each counted at most as often as it occurs in the reference). The geometric mean of the four shares
# (the fourth root of their product) is multiplied by a penalty $b$ for texts that are too short:
#
# $$\text{BLEU} = b \cdot \exp\Big(\tfrac14 \sum_{n=1}^{4} \ln P_n\Big), \qquad
# b = \begin{cases} 1 & \text{where } c \ge r \\ e^{1 - r/c} & \text{where } c < r \end{cases}$$
#
# | symbol | in the code | |
# |---|---|---|
# | $P_n$ | `shares[n - 1]` | share of the text's n-grams that the reference contains |
# | $c$ | `c` | words of the text |
# | $r$ | `r` | words of the reference |
# | $b$ | `penalty` | brevity penalty |

# %%
reference = "the cat sat on the mat all day long"
text = "the cat sat on the red mat all"  # one word shorter than the reference


def ngrams(items, n):
    """Count how often each sequence of n consecutive items occurs."""
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def matches(text, reference, n):
    """Return how many n-grams of the text the reference has, too, and how many the text has."""
    ours, theirs = ngrams(text, n), ngrams(reference, n)
    return sum(min(count, theirs[ngram]) for ngram, count in ours.items()), sum(ours.values())


shares = []
for n in range(1, 5):
    shared, total = matches(text.split(), reference.split(), n)
    shares.append(shared / total)
    print(f"n-grams of {n}: {shared} of {total}")
c, r = len(text.split()), len(reference.split())
penalty = 1.0 if c >= r else math.exp(1 - r / c)
bleu = penalty * math.exp(sum(map(math.log, shares)) / 4)
assert abs(100 * bleu - sacrebleu.sentence_bleu(text, [reference]).score) < 1e-4
print(f"{c} words, the reference has {r}: penalty {penalty:.3f}; BLEU {bleu:.3f}, the same as sacrebleu's")

# %% [markdown]
# **chrF** (Popović 2015) does the same with characters: n-grams of one to six characters, without the spaces. It
# weighs what is missing more than what is superfluous. With $P$ (`precision`) the share of the text's n-grams that the
# reference contains, and $R$ (`recall`) the share of the reference's n-grams that the text contains, both averaged
# over the six lengths, it is $5PR / (4P + R)$. It tolerates an ending that differs, and it needs no words: good for
# Chinese.

# %%
ours, theirs = text.replace(" ", ""), reference.replace(" ", "")
precision = sum(matches(ours, theirs, n)[0] / matches(ours, theirs, n)[1] for n in range(1, 7)) / 6
recall = sum(matches(theirs, ours, n)[0] / matches(theirs, ours, n)[1] for n in range(1, 7)) / 6
chrf = 5 * precision * recall / (4 * precision + recall)
assert abs(100 * chrf - sacrebleu.sentence_chrf(text, [reference]).score) < 1e-4
print(f"chrF {chrf:.3f}, the same as sacrebleu's")

# %% [markdown]
# ## Summaries, and a baseline that is hard to beat
#
# Summarization is sequence to sequence as well, from a long text to a short one. It is scored by **ROUGE** (Lin 2004),
# which counts the words that both texts share (ROUGE-1), or the longest sequence of words that both have in the same
# order (ROUGE-L). That count is divided by the length of the summary (precision) and by the length of the reference
# (recall), and the score is the harmonic mean of the two, as in notebook 08. Before any model: how good is the first
# sentence of the text? The texts are abstracts of scientific papers, each with one or more one-sentence summaries.


# %%
def longest_common(a, b):
    """Return the length of the longest sequence of words that both have in this order, perhaps with gaps."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def rouge(text, reference):
    """Return ROUGE-1 and ROUGE-L of two lists of words."""
    counts = (sum((Counter(text) & Counter(reference)).values()), longest_common(text, reference))
    return [2 * shared / (len(text) + len(reference)) for shared in counts]  # the harmonic mean, simplified


scorer = RougeScorer(["rouge1", "rougeL"])
expected = scorer.score(reference, text)
for ours, name in zip(rouge(text.split(), reference.split()), ("rouge1", "rougeL"), strict=True):
    assert abs(ours - expected[name].fmeasure) < 1e-6

limit = {"train": 50, "valid": 5, "test": size(test=20, cpu=200, gpu=200)}
papers = wb.load_data("scitldr", "summarization", limit=limit).test.columns
abstracts, summaries = papers["text"], [several[0] for several in papers["summary"]]  # some papers have several
indices = {"first": 0, "second": 1, "last": -1}
scores = {name: [] for name in indices}
for abstract, summary in zip(abstracts, summaries, strict=True):
    sentences = [sentence for sentence in abstract.split(". ") if sentence]
    for name, index in indices.items():
        chosen = sentences[min(index, len(sentences) - 1)]
        scores[name].append(scorer.score(summary, chosen)["rougeL"].fmeasure)
means = {name: sum(values) / len(values) for name, values in scores.items()}

figure, axes = plt.subplots(figsize=(6, 1.8))
axes.barh([f"the {name} sentence" for name in means], list(means.values()), color="#2a7fa5")
axes.set_xlabel(f"ROUGE-L over {len(abstracts)} papers")
axes.invert_yaxis()
show(
    figure,
    "ROUGE-L of one sentence of the abstract as its summary: " + ", ".join(f"{n} {v:.2f}" for n, v in means.items()),
)

# %% [markdown]
# One sentence, chosen without reading the text, is a summary that small models rarely beat. That is why every
# summarization run of the workbench reports the first sentence as a baseline, and why ROUGE alone says little: it
# counts words, not truth. A fluent sentence with a wrong number scores well. This notebook trains no summarization
# model: [lesson 12](../tutorials/12_summaries.ipynb) trains one, and compares it with the first sentence.
#
# ## Summary
#
# An encoder reads; a decoder writes with cross-attention. In training, the decoder sees the right words up to each
# position; at inference it needs a search, greedy or with a beam. BLEU, chrF and ROUGE count what a text shares with a
# reference, and mean something only in comparison with a baseline.
#
# ## Questions to think about
#
# 1. Why can training compute all positions at once, and decoding not?
# 2. For a text of one right word, what are $P_1$ and the penalty of BLEU?
# 3. How would you score a translation if there were no reference?
#
# ## Where to go next
#
# * [Notebook 10](10_fewer_weights.ipynb) fine-tunes models by training few weights.
# * `workbench run translate` and `workbench run summarize` train on all data.
# * Lesson 06, [translate an interface](../tutorials/06_translate.ipynb); lesson 12,
#   [summaries](../tutorials/12_summaries.ipynb).

# %%
done("09-sequence-to-sequence")
