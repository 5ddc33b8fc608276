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
# # 09 · Explain a decision to a customer
#
# **After this lesson you can** find the words that decided an answer, test whether that finding can be believed, and
# say it in a letter that a customer understands.
#
# **You need** Python and school mathematics. [Notebook 11](../notebooks/11_looking_inside.ipynb) builds one of the
# methods from nothing.
#
# **Time:** about 35 minutes to read and do. The cells on a laptop CPU: about 2 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("09-explain.1")` helps, and `solution("09-explain.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# The film magazine of [lesson 08](08_bias.ipynb) lets a model decide which readers' reviews appear at the top
# (*fresh*, a kind review) and which at the bottom (*rotten*). Ms. Lindqvist's review was put at the bottom. She
# writes: "Why? I praised the acting!" She has a right to an answer: in plain words, and **true**. A nice story about
# what the model might have thought is not an answer.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

REVIEW = "the acting is fine but the story is a mess and the jokes are dull"
WORDS = REVIEW.split()

# %%
import matplotlib.pyplot as plt
import numpy as np

import workbench as wb
from workbench.explain import explain
from workbench.runs.predictions import read_predictions
from workbench.teach.pictures import show
from workbench.inference.predictor import Predictor

# %% [markdown]
# ## The model and its answer
#
# If you did lesson 08 in this workspace, the same run is reused, and nothing is trained. (If your model calls her
# review *fresh*, read on with that word: the steps are the same.)

# %%
limit = size(
    test={"train": 64, "valid": 16, "test": 60},
    cpu={"train": 1_000, "valid": 200, "test": 600},
    gpu={"train": 8_000, "valid": 500, "test": 2_500},
)
finished = wb.run(
    {
        "name": "lesson-reviews",
        "task": "text-classification",
        "data": {"train": "rotten-tomatoes", "limit": limit, "max_length": size(test=24, cpu=64, gpu=64)},
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=2, gpu=3), "learning_rate": 2e-4},
    },
    quiet=True,
    reuse=True,
)
predictor = Predictor.load(finished)
answer = predictor.predict([{"text": REVIEW}])[0]
LABEL = answer.label
print(f"{REVIEW!r}: {LABEL} with {answer.score:.3f}")


def probability(texts):
    """How probable the model finds that label for each text."""
    return [one.scores[LABEL] for one in predictor.predict([{"text": text} for text in texts])]


# %% [markdown]
# ## First look, in the dashboard
#
# On the page **Explain**, choose the run `lesson-reviews` and enter her review as the **Text**: *the acting is fine
# but the story is a mess and the jokes are dull*. Under **View** choose **Tokens**, under **Method** *Occlusion*. The
# words are colored: the stronger the color, the more the word speaks for the decision; the other color speaks against
# it. Change the method to *Integrated gradients*, then to *Attention*. The colors change. Which of them goes into the
# letter?
#
# ## Hide one word
#
# Start with the simplest idea: **hide a word and ask again**. If the answer becomes less certain, the word counted. A
# model reads **tokens**: words, or subwords. MiniLM, our model, knows the token `[MASK]`, which represents a word that
# cannot be read.
#
# **Exercise 1.** From a list of words make as many texts, in each of which **one** word is hidden: in the first text
# the first word, and so on. In a text, single spaces separate the words.


# %%
# exercise: 09-explain.1
def each_hidden(words):
    """As many texts as words; in text number i the word number i is replaced by [MASK]."""
    # solution
    return [" ".join([*words[:i], "[MASK]", *words[i + 1 :]]) for i in range(len(words))]
    # end solution


check("09-explain.1", each_hidden)

# %% [markdown]
# **Exercise 2.** `whole` is the probability of the decision for the whole text, `hidden` the list of probabilities
# with each word hidden. Return for each word how much it counted **for** the decision: how far the probability
# **falls** without it.


# %%
# exercise: 09-explain.2
def falls(whole, hidden):
    """For each word how far the probability falls when it is hidden; below 0 where it rises."""
    # solution
    return [whole - one for one in hidden]
    # end solution


check("09-explain.2", falls)

# %%
scores = falls(probability([REVIEW])[0], probability(each_hidden(WORDS)))
figure, axis = plt.subplots(figsize=(6, 3.6))
axis.barh(range(len(WORDS)), scores, color=["tab:blue" if score > 0 else "tab:orange" for score in scores])
axis.set_yticks(range(len(WORDS)), WORDS)
axis.invert_yaxis()
axis.axvline(0, color="grey", linewidth=0.8)
axis.set_xlabel(f"how far {LABEL!r} falls when the word is hidden")
show(figure, "A bar for each word of the review: how far the decision's probability falls when the word is hidden.")

# %% [markdown]
# That is **occlusion**, one of the methods of the library. Compared with it (each word of this review is one token, so
# both hide the same things):

# %%
library = explain(predictor, REVIEW, method="occlusion")
theirs = [score for score, special in zip(library.scores, library.special, strict=True) if not special]
np.testing.assert_allclose(scores, theirs, atol=1e-5)
print("same as the library's occlusion, for", len(scores), "words")

# %% [markdown]
# ## Integrated gradients, and subwords
#
# Occlusion hides one word at a time, so it overlooks words that say the same twice: hide *dull*, and *mess* is still
# there. **Integrated gradients** work differently: they blend the text in slowly, starting from a text that consists
# of `[MASK]` alone, and add up how strongly each token pushes at every step. You can check what they promise: their
# numbers add up to the whole difference between the two texts (up to 1%: the library adds up in steps, and stops when
# it is that close).

# %%
blended = explain(predictor, REVIEW, method="integrated-gradients")
gap = blended.details["logit"] - blended.details["baseline_logit"]
print(f"sum of the numbers {sum(blended.scores):+.3f}, difference to be shared out {gap:+.3f}")

# %% [markdown]
# (The difference is one of *logits*: the scores that the probabilities are computed from.)
#
# A tokenizer splits rare words into subwords, *unfunny* into *un*, *##fu*, *##nn*, *##y* (*##* marks a subword that
# continues a word); and it adds special tokens at the ends, `[CLS]` and `[SEP]`. A customer reads words. The scores of
# the subwords add up to the score of the word.
#
# **Exercise 3.** `scores` says how much each token counts. `words` says for each token which word it belongs to (0 for
# the first word), and `None` for a special token. Return the sum for each word, in the order of the words. Special
# tokens belong to no word.


# %%
# exercise: 09-explain.3
def by_word(scores, words):
    """What each word counts: the sum over its tokens."""
    # solution
    sums = [0.0] * (1 + max(word for word in words if word is not None))
    for score, word in zip(scores, words, strict=True):
        if word is not None:
            sums[word] += score
    return sums
    # end solution


check("09-explain.3", by_word)

# %%
other = "unfunny and overlong saved by a radiant cast"
pieces = explain(predictor, other, method="integrated-gradients")
print(f"what speaks for {pieces.target!r}, by token:", pieces.shown)
numbers = by_word(pieces.scores, predictor.tokenizer(other).word_ids())
for word, number in zip(other.split(), numbers, strict=True):
    print(f"{word:>10} {number:+.3f}")

# %% [markdown]
# ## Which words go into the letter?
#
# **Exercise 4.** `scores` says how much each word counts. Return the **positions** (from 0) of the words that count
# most. How many? `share` (0 to 1) times the number of all words, rounded down, but at least one. Return them in the
# order of the text.


# %%
# exercise: 09-explain.4
def most_important(scores, share):
    """Positions (from 0) of the highest share of the scores, in the order of the text."""
    # solution
    count = max(1, int(share * len(scores)))
    ranked = sorted(range(len(scores)), key=lambda i: -scores[i])
    return sorted(ranked[:count])
    # end solution


check("09-explain.4", most_important)

# %%
by_occlusion = most_important(scores, 0.2)
by_gradients = most_important(by_word(blended.scores, predictor.tokenizer(REVIEW).word_ids()), 0.2)
print("occlusion:           ", [WORDS[i] for i in by_occlusion])
print("integrated gradients:", [WORDS[i] for i in by_gradients])
assert by_occlusion == [i - 1 for i in library.faithfulness["top_k"]]  # the library counts [CLS] as token 0

# %% [markdown]
# ## Can it be believed?
#
# Hide **all** the words that an explanation names, and ask again. If the decision does not move, the explanation was
# wrong, however sensible it looked. But hiding *anything* moves a model a little. So hide as many words **chosen at
# random** too, several times, and compare. This is the *faithfulness test* (DeYoung et al. 2020, arXiv 1911.03429).
#
# **Exercise 5.** `whole` is the probability for the whole text, `without_named` without the named words,
# `without_random` a list: without random words, once for each draw. Return how much **further** the probability falls
# for the named words than it does on average for random ones.


# %%
# exercise: 09-explain.5
def further_than_chance(whole, without_named, without_random):
    """The fall for the named words minus the mean fall for random words."""
    # solution
    mean_random = sum(without_random) / len(without_random)
    return (whole - without_named) - (whole - mean_random)
    # end solution


check("09-explain.5", further_than_chance)

# %%
generator = np.random.default_rng(0)


def without(positions):
    """The review with these words hidden."""
    return " ".join("[MASK]" if i in positions else word for i, word in enumerate(WORDS))


draws = [set(generator.choice(len(WORDS), len(by_occlusion), replace=False).tolist()) for _ in range(20)]
whole, *random = probability([REVIEW, *map(without, draws)])
for method, named in (("occlusion", by_occlusion), ("integrated gradients", by_gradients)):
    gone = probability([without(named)])[0]
    print(f"{method}: {whole:.3f} -> {gone:.3f}, further than chance {further_than_chance(whole, gone, random):+.3f}")
print("the library says:", library.faithfulness["sentence"])

# %% [markdown]
# Do the words surprise you? A model that has seen a thousand reviews knows how critics write: *the acting* may sound
# to it like the beginning of a complaint, and *but* like its end. An explanation has to show what the **model** goes
# by, and not what a sensible person would.
#
# The dashboard's page **Explain** does the same: **View** → **Faithfulness** → **Evaluate this explanation**.
#
# One review is one case. Is the **method** any good for this model? Measure the same over many reviews, with an
# interval; in the dashboard, *Over many texts* at the bottom of the same view does that. (*Raw attention* in its
# answer: the words that the model's last layer looks at most.)

# %%
from workbench.explain import evaluate_dataset_faithfulness

texts = [
    {"text": text} for text in read_predictions(finished, ["input:text"])["input:text"][: size(test=4, cpu=40, gpu=200)]
]
evaluation = evaluate_dataset_faithfulness(predictor, texts, "occlusion")
print(evaluation.sentence)

# %% [markdown]
# ## The letter
#
# The rule of the house: the letter names words **only if** naming them is better than chance. Otherwise it says
# honestly that we do not know. Of the two explanations, the one that did better in the test goes into the letter.
#
# **Exercise 6.** Write the sentence for the letter. With the words `["dull", "too", "long"]`:
#
# * `The words that counted most were "dull", "too" and "long".`
# * for one word: `The word that counted most was "dull".`
# * if it is not better than chance (`further` is 0 or below): `We cannot say which words counted most.`


# %%
# exercise: 09-explain.6
def sentence(words, further):
    """The sentence of the letter. words: one or more. further: what exercise 5 gives."""
    # solution
    quoted = [f'"{word}"' for word in words]
    if further <= 0:
        return "We cannot say which words counted most."
    if len(quoted) == 1:
        return f"The word that counted most was {quoted[0]}."
    return f"The words that counted most were {', '.join(quoted[:-1])} and {quoted[-1]}."
    # end solution


check("09-explain.6", sentence)

# %%
tried = {}
for named in (by_occlusion, by_gradients):
    named_gone = probability([without(named)])[0]
    tried[further_than_chance(whole, named_gone, random)] = named, named_gone
further = max(tried)  # of the two explanations the one that stood the test better
named, named_gone = tried[further]
errs = 1 - finished.report().metrics["accuracy"].value
tested = (
    f"We tested this: without these words it would give {LABEL!r} only {named_gone:.0%}."
    if further > 0
    else "We tested the words that our method marked: random words counted as much."
)
print(
    f"""Dear Ms. Lindqvist,

a computer program sorts the reviews that readers send us. It judged yours as {LABEL!r}, and was {whole:.0%} sure.
{sentence([WORDS[i] for i in named], further)}
{tested}
The program has read your words only; it knows nothing about you. It errs in about {errs:.0%} of all reviews.
If you think that it is wrong here, write to us: a person will then decide.
"""
)

# %% [markdown]
# Look at what the letter does: it says **that** a program decided, **what** counted and how we know, how often it is
# wrong, and what she can do. It does not say that the program "understood" or "felt" anything.
#
# ## Summary
#
# * Occlusion: hide a word, ask again. Integrated gradients: distribute the whole difference over the tokens, up to the
#   error of adding up in steps.
# * Add up subwords, leave out special tokens: readers read words.
# * Test an explanation before you send it: hide what it names, compare with as many random words, over many texts.
# * If it is not better than chance, say so.
#
# ## Questions to think about
#
# 1. *not bad at all*: what does occlusion say about *not*, and about *bad*? Try it on the page **Explain**.
# 2. "Without *dull* it would have been fresh." Is that the same as "*dull* was the reason"?
# 3. Would you show the customer the explanation of a decision that was wrong?
#
# ## Where to go next
#
# * [Notebook 11](../notebooks/11_looking_inside.ipynb): integrated gradients by hand.
# * `workbench explain RUN --text "..." --method occlusion --html why.html` makes a page that you can send.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("09-explain")
