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
# # 01 · Text to numbers
#
# **After this notebook you can** split a text into tokens in three ways, train a tokenizer by hand, say what padding
# and the mask are for, and turn tokens into vectors whose angles mean something.
#
# **You need** notebook 00. School mathematics: a sum, a square root, the angle between two arrows.
#
# **Time:** about 30 minutes to read; the cells run in less than a minute on a laptop CPU (GPU: not measured yet).

# %%
import math
import re
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from workbench.data.load import load_texts
from workbench.models.loading import make_source
from workbench.spec import DataSpec
from workbench.teach import done, size
from workbench.teach.pictures import show
from workbench.workspace import Workspace

torch.manual_seed(0)  # so that random numbers come out the same each time
workspace = Workspace.current()
texts, _ = load_texts(DataSpec(train="rotten-tomatoes"), workspace)
texts = texts[: size(test=1_000, cpu=6_000, gpu=6_000)]
print(f"{len(texts):,} snippets of film reviews; the first: {texts[0][:90]}")

# %% [markdown]
# ## Characters: few numbers, long texts
#
# A model multiplies numbers, so each text must become a sequence of numbers. The simplest way is to give each
# character a number. The list of everything that has a number is the **vocabulary**; one entry of it is a **token**.

# %%
characters = sorted({character for text in texts for character in text})
number_of = {character: number for number, character in enumerate(characters)}
word = "moving"
print(f"a vocabulary of {len(characters)} characters; {word!r} becomes {[number_of[c] for c in word]}")
print(f"a snippet is {sum(map(len, texts)) / len(texts):.0f} tokens long on average")

# %% [markdown]
# No character is ever unknown, and the vocabulary is small. But a text becomes a long sequence, and one character says
# little: the model has to learn spelling before it can learn anything else. (And attention, notebook 03, compares each
# token with every other one: twice the length is four times the work.)
#
# ## Words: short texts, and never enough numbers
#
# So let each word be a token. How many different words are there?

# %%
split = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
known, growth = set(), []
for count, words in enumerate(split, start=1):
    known.update(words)
    if count % (len(split) // 50) == 0:
        growth.append((count, len(known)))
half = len(split) // 2
first_half = {word for words in split[:half] for word in words}
later = [word for words in split[half:] for word in words]
unknown = sum(word not in first_half for word in later) / len(later)

figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(*zip(*growth, strict=True), color="#2a7fa5")
axes.set_xlabel("snippets read")
axes.set_ylabel("different words so far")
axes.spines[["top", "right"]].set_visible(False)
first_tenth, last_tenth = growth[4][1], growth[-1][1] - growth[-6][1]
print(f"{unknown:.1%} of the words in the second half never stood in the first half")
show(
    figure,
    f"The number of different words grows to {len(known):,} after {len(texts):,} snippets; the first tenth of them "
    f"brought {first_tenth:,} words, and the last tenth still {last_tenth:,} new ones.",
)

# %% [markdown]
# The curve flattens, but it never ends: names, numbers, spelling mistakes and compounds keep coming. With a list of
# words you have to map every new word to *unknown*, and that throws away exactly the word that mattered. Also, *film*,
# *films* and *filmed* are three numbers that have nothing to do with each other.
#
# ## Subwords: learn what to keep together
#
# The way between: keep frequent words whole and split rare ones into subwords. **Byte-pair encoding** (Sennrich et al.
# 2016, arXiv 1508.07909, section 3.2) learns the subwords: begin with characters; find the pair of neighbors that
# occurs most often; make it one token; repeat. By hand on five words, each with the number of times it occurs:

# %%
counts = {"sun": 5, "sunny": 3, "run": 4, "runny": 1, "funny": 2}
pieces = {word: list(word) for word in counts}


def pair_counts(pieces, counts):
    """How often each pair of neighbouring pieces occurs."""
    pairs = Counter()
    for word, parts in pieces.items():
        for left, right in pairwise(parts):
            pairs[left, right] += counts[word]
    return pairs


def merge(parts, pair):
    """The parts of a word, with each occurrence of the pair made one."""
    merged, index = [], 0
    while index < len(parts):
        if tuple(parts[index : index + 2]) == pair:
            merged.append(parts[index] + parts[index + 1])
            index += 2
        else:
            merged.append(parts[index])
            index += 1
    return merged


for step in range(4):
    pairs = pair_counts(pieces, counts)
    best = max(pairs, key=lambda pair: (pairs[pair], pair))
    pieces = {word: merge(parts, best) for word, parts in pieces.items()}
    print(f"{step + 1}. {best[0]!r} + {best[1]!r} occurs {pairs[best]} times:", list(pieces.values()))

# %% [markdown]
# (Among equally frequent pairs this takes the last in the alphabet.) Count the first step yourself: *u* is followed by
# *n* in every word, 5 + 3 + 4 + 1 + 2 = 15 times.
#
# ## The same on the reviews, compared with the library
#
# The `tokenizers` library does the same in compiled code. Among equally frequent pairs it takes the one whose parts
# were numbered first. We do the same, so that both split every word alike.

# %%
MERGES = size(test=60, cpu=300, gpu=300)


def learn(words, merges):
    """The merges that byte-pair encoding learns from counted words, in order."""
    number = {character: i for i, character in enumerate(sorted({c for word in words for c in word}))}
    pieces, learned = {word: list(word) for word in words}, []
    pairs = pair_counts(pieces, words)
    while len(learned) < merges:
        best = max(pairs, key=lambda pair: (pairs[pair], -number[pair[0]], -number[pair[1]]))
        number.setdefault("".join(best), len(number))
        learned.append(best)
        for word, parts in pieces.items():
            if best[0] in parts:
                pairs.subtract(pair_counts({word: parts}, words))
                pieces[word] = merge(parts, best)
                pairs.update(pair_counts({word: pieces[word]}, words))
    return learned


words = Counter(word for text in split for word in text)
merges = learn(words, MERGES)
print("first:", ["".join(pair) for pair in merges[:12]])
print("last: ", ["".join(pair) for pair in merges[-12:]])

# %%
library = Tokenizer(models.BPE())
library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
trainer = trainers.BpeTrainer(vocab_size=len({c for word in words for c in word}) + MERGES, show_progress=False)
library.train_from_iterator((" ".join(text) for text in split), trainer)


def encode(word, merges):
    """The pieces of a word: the merges that were learned, in the order in which they were learned."""
    parts = list(word)
    for pair in merges:
        parts = merge(parts, pair)
    return parts


compared = list(words)[:500]
assert all(encode(word, merges) == library.encode(word).tokens for word in compared)
print(f"{len(compared)} words are cut as the library cuts them, such as", encode("wonderfully", merges))

# %% [markdown]
# *New* words are no problem now: a word that was never seen is split into subwords that were, as long as each of its
# characters was. (For a character that was not, most tokenizers have a token `[UNK]`, unknown.) From here on we use
# the library's.
#
# ## A tokenizer that came with a model
#
# A pretrained model and its tokenizer belong together: the model learned what token 2,143 means. MiniLM is a small
# relative of BERT (a well-known Transformer of 2018; notebook 04) and uses BERT's tokenizer, a **WordPiece** tokenizer
# with 30,522 tokens. It, too, has a list of learned subwords, with `##` before a subword that continues a word. To
# split a word, it takes the longest subword on the list from the left, and repeats with the rest. In the code, `load`
# returns a model and its tokenizer, and `eval` says that the model will be used, not trained. (A third kind,
# **Unigram**, works the other way around: it starts with far too many subwords and repeatedly removes those that the
# texts can do without most easily: Kudo 2018, arXiv 1804.10959.)

# %%
loaded = make_source("minilm", workspace).load("AutoModel", {})  # fetched once, 91 MB, and kept
minilm, tokenizer = loaded.model.eval(), loaded.tokenizer
for text in ("A moving film.", "Unwatchable!", "Tschaikowsky's film-noirish score"):
    ids = tokenizer(text)["input_ids"]
    print(f"{text!r}:", list(zip(tokenizer.convert_ids_to_tokens(ids), ids, strict=True)))

# %% [markdown]
# `[CLS]` and `[SEP]` are **special tokens**: they represent no text, but mark where it begins and ends. (`[MASK]`
# hides a word in pretraining, notebook 05.) A classifier reads its answer from `[CLS]` (notebook 07).
#
# ## Tables of numbers: torch in one cell
#
# From here on we compute with whole tables. `torch` is the library for that. A **tensor** is a table of numbers with a
# **shape**: `[3]` is a row of three numbers, `[2, 3]` two rows of three, `[4, 2, 3]` four such tables. This course
# writes the shape next to what it computes, with letters: B texts, T tokens, D numbers in a vector, V tokens in the
# vocabulary.

# %%
row = torch.tensor([1.0, 2.0, 3.0])  # [3]
grid = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])  # [2, 3]
print("shapes:", list(row.shape), list(grid.shape))
print("number by number:", row + row, row * row)
print("a row of the table:", grid[1], " its second column:", grid[:, 1])
print("mean over the columns (dim=1; dim=-1 is the last), one for each row:", grid.mean(dim=1))
print("None adds an axis of length 1, repeated as needed: each with each,", (row[:, None] * row[None]).tolist())

# @ multiplies tables: each row of the left with each column of the right, number by number, and the sum of that.
print("grid @ row =", grid @ row, "  [2, 3] @ [3] is [2]: 1·1 + 0·2 + 0·3 and 1·1 + 1·2 + 1·3")
print("grid @ grid.T =", (grid @ grid.T).tolist(), "  [2, 3] @ [3, 2] is [2, 2]; .T exchanges rows and columns")

# %% [markdown]
# Torch also helps to **learn**: it records how a result was computed from weights, so that it can say afterwards how
# much the result would change if a weight were a little larger. That is the weight's **gradient**; training (notebook
# 05) uses it to update each weight. `backward()` computes it. Two words tell torch that no record is needed, which
# saves time and memory:

# %%
weight = torch.tensor(3.0, requires_grad=True)  # a number that is to be learned
result = weight**2
result.backward()  # the derivative of w² is 2 w
print("gradient:", weight.grad, "= 2 · 3")
print("detach: the same number without its record, which is shown as grad_fn:", result, "->", result.detach())
with torch.no_grad():  # compute, do not learn
    print("no_grad: no record from the start:", weight**2)

# %% [markdown]
# ## Several texts at once: padding, and a mask
#
# Texts go through the model together, as one table, and the rows of a table have the same length. Short texts are
# padded with `[PAD]`. A second table, the **attention mask**, says which tokens are real (1) and which are padding
# (0). If you forget the mask, the model reads the padding.

# %%
batch = tokenizer(
    ["A quiet, moving film.", "Two hours that I will never get back.", "No."], padding=True, return_tensors="pt"
)
ids, mask = batch["input_ids"], batch["attention_mask"]  # both [B, T]: 3 texts, as many tokens as the longest has
figure, axes = plt.subplots(figsize=(9, 1.9))
axes.imshow(mask.numpy(), cmap="Blues", vmin=0, vmax=2, aspect="auto")
for row in range(ids.shape[0]):
    for column, token in enumerate(tokenizer.convert_ids_to_tokens(ids[row])):
        axes.text(
            column, row, token, ha="center", va="center", fontsize=8, color="black" if mask[row, column] else "grey"
        )
axes.set_xticks([])
axes.set_yticks(range(3), [f"text {row}" for row in range(3)])
show(figure, "Three texts as rows of a table; the short ones are padded with [PAD], where the mask is 0.")

# %% [markdown]
# ## Numbers that mean something: embeddings
#
# Token 2,142 is not "twice" token 1,071: the numbers are names. So each token gets a row of a table of its own, a
# **vector** that training adjusts. That table is the **embedding**.
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $E$ | `table` | `[V, D]` | a row for each of V tokens, D numbers in each |
# | $x_t$ | `ids[0, t]` | one number | the token at position t |
# | $E_{x_t}$ | `table[ids[0, t]]` | `[D]` | its vector |
#
# Looking up row $x$ is the same as multiplying the table with a row that is 1 at $x$ and 0 elsewhere ("one-hot"). That
# is why a network can learn it like any other weights. (`assert_close` complains unless two tensors are equal up to
# rounding. This course uses it to compare what you build by hand with the library.)

# %%
table = minilm.get_input_embeddings().weight.detach()
one_hot = torch.zeros(ids.shape[1], table.shape[0])
one_hot[torch.arange(ids.shape[1]), ids[0]] = 1.0  # in each row t, the column ids[0, t]
by_hand = one_hot @ table  # [T, V] times [V, D] is [T, D]
torch.testing.assert_close(by_hand, torch.nn.functional.embedding(ids[0], table))
torch.testing.assert_close(by_hand, minilm.get_input_embeddings()(ids[0]))
print(f"the table: {list(table.shape)}; the first text becomes {list(by_hand.shape)}, as the library has it")

# %% [markdown]
# ## Angles
#
# Do two vectors point the same way? The **cosine** of the angle between them answers that: 1 for the same direction, 0
# for a right angle, -1 for opposite directions.
#
# $$\cos(a, b) = \frac{\sum_i a_i b_i}{\sqrt{\sum_i a_i^2}\,\sqrt{\sum_i b_i^2}}$$
#
# | symbol | in the code | shape |
# |---|---|---|
# | $a$, $b$ | `a`, `b`, two rows of `table` | `[D]` each |
# | $a_i$ | `a[i]` | one number |
# | $\cos(a, b)$ | what `cosine` returns; `angles` for each pair of nine words | a number; `[9, 9]` |


# %%
def cosine(a, b):
    """The cosine of the angle between two vectors."""
    return float(sum(a * b) / (math.sqrt(sum(a * a)) * math.sqrt(sum(b * b))))


print("by hand:", round(cosine(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])), 3), "(45 degrees: 0.707)")
chosen = ["film", "movie", "actor", "actress", "good", "great", "bad", "three", "seven"]
vectors = torch.stack([table[tokenizer.convert_tokens_to_ids(word)] for word in chosen])
angles = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)  # each with each: [9, 9]
assert abs(cosine(vectors[0], vectors[1]) - float(angles[0, 1])) < 1e-5

figure, axes = plt.subplots(figsize=(5.2, 4.4))
image = axes.imshow(angles.numpy(), cmap="viridis", vmin=0, vmax=1)
axes.set_xticks(range(len(chosen)), chosen, rotation=45, ha="right")
axes.set_yticks(range(len(chosen)), chosen)
figure.colorbar(image, label="cosine (0 or less: darkest)")
others = angles - 2 * torch.eye(len(chosen))  # each word is nearest to itself, which tells nothing
nearest = [f"{word} to {chosen[int(row.argmax())]} ({row.max():.2f})" for word, row in zip(chosen, others, strict=True)]
print("nearest:", ", ".join(nearest))
show(
    figure,
    f"Cosines between nine words, as a square table of colours. Each is nearest: {', '.join(nearest)}.",
)

# %% [markdown]
# Nobody gave the model a list of similar words, such as *film* and *movie*. It learned the similarity from texts: such
# words appear in the same positions of sentences, and exchanging them changes little of the words around them. The
# same is true for *good* and *bad*: look how close they are. Closeness here means similar use, not similar meaning.
#
# ## One word, two meanings
#
# In the table each token has one vector, wherever it appears. That cannot be all: a *bank* has money, or water. A
# Transformer adds something: the vector changes with the words around it, layer by layer.

# %%
sentences = [
    "She took her money to the bank.",
    "He opened an account at the bank.",
    "They sat down on the grassy bank of the river.",
]


def states_of(sentence, word):
    """The vector of a word in a sentence before the first layer and after each: [layers + 1, D]."""
    inputs = tokenizer(sentence, return_tensors="pt")
    index = inputs["input_ids"][0].tolist().index(tokenizer.convert_tokens_to_ids(word))
    with torch.no_grad():
        return torch.stack(minilm(**inputs, output_hidden_states=True).hidden_states)[:, 0, index]


money, account, river = (states_of(sentence, "bank") for sentence in sentences)
torch.testing.assert_close(money[0], river[0])  # before the first layer they are the same
same = torch.nn.functional.cosine_similarity(money, account, dim=-1)
other = torch.nn.functional.cosine_similarity(money, river, dim=-1)
figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(same, "o-", color="#2a7fa5", label="money and money")
axes.plot(other, "s--", color="#c0562f", label="money and river")
axes.set_xlabel("layer (0: before the first)")
axes.set_ylabel("cosine of the two banks")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
show(
    figure,
    f"Cosine of two banks over the layers, two lines that begin at 1. After the last layer: two banks with money "
    f"{float(same[-1]):.2f}, a bank with money and one of a river {float(other[-1]):.2f}.",
)

# %% [markdown]
# In all three sentences *bank* is the same token at the same position (the position matters, too: before the first
# layer, something is added to each token's vector that says where it is, notebook 03). So before the first layer the
# three vectors are the same, and all of the difference comes from the words around them. How the layers do that is the
# subject of notebooks 03 and 04. Notebook 02 shows what was tried before, and where it ended.
#
# ## Summary
#
# Characters make long sequences, words make an endless list; subwords, learned by merging the most frequent pair, are
# in between. A tokenizer belongs to its model. Texts of a batch are padded, and the mask says so. Each token is a row
# of a table that training adjusts, so that tokens of similar use point the same way; layers then adapt each vector to
# its sentence.
#
# **Questions to think about.** A tokenizer was trained on English. What happens to German, to Chinese, to code: how
# many tokens for the same content, and who pays for it? Why must the merges be applied in the order in which they were
# learned? What would change if `[PAD]` had the same number as a real word?
#
# **Where to go next.** Notebook [02](02_before_transformers.ipynb) shows what was done with these vectors before there
# were Transformers, [03](03_attention.ipynb) what is done with them today. To train a tokenizer of your own:
# `workbench tokenizer train film-plots --kind bpe --vocab-size 4000 --out my-tokenizer`. The lessons are listed
# [here](../tutorials/README.md).

# %%
done("01-text-to-numbers")
