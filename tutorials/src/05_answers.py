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
# # 05 · Answer from a document
#
# **After this lesson you can** find an answer as a span of a document, choose its begin and end from scores, cut a
# long document into windows that overlap, and measure answers that are nearly right.
#
# **You need** Python and school mathematics. Notebook [08](../notebooks/08_many_tasks.ipynb) explains the model behind
# it.
#
# **Time:** about 25 minutes to read and do. The cells on a laptop CPU: about 8 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("05-answers.1")` helps, and `solution("05-answers.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# A clerk looks up the same rules every day: *how long is the notice? who signs?* The answer is in the document, word
# for word. The model has to **point** at it, so that the clerk can check it in its context. It makes nothing up.
#
# The data is `xquad-en` in the catalogue: questions about paragraphs of Wikipedia. In the dashboard, choose `xquad-en`
# on the page **Data** and look where the answers are.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

# %%
import workbench as wb
from workbench.runs.predictions import read_predictions
from workbench.inference.predictor import Predictor

# %% [markdown]
# ## Begin and end
#
# The model assigns two scores to each word: how well an answer **begins** here, and how well it **ends** here. The
# score of an answer is the sum of both. It must not end before it begins, and it must not be too long.
#
# **Exercise 1.** `begins` and `ends` contain the two scores of each word. Return the pair (begin, end) of positions
# with the highest sum, counted from 0; the end **belongs to** the answer, which has at most `longest` words. For equal
# sums, take the earliest begin, then the earliest end.


# %%
# exercise: 05-answers.1
def best_span(begins, ends, longest):
    """Return the positions of the first and the last word of the best answer."""
    # solution
    allowed = [(i, j) for i in range(len(begins)) for j in range(i, min(i + longest, len(ends)))]
    return max(allowed, key=lambda span: begins[span[0]] + ends[span[1]])
    # end solution


check("05-answers.1", best_span)

# %% [markdown]
# ## Long documents
#
# The model reads a limited number of words at once. A longer document is cut into **windows** that overlap: an answer
# that is cut in two at the end of one window is whole in the next.
#
# **Exercise 2.** The document has `words` words (a number), a window at most `size`. Return the windows as a list of
# pairs (begin, end), counted from 0, the end **not** included. The first one begins at 0, each of the others `step`
# words after the one before. Stop with the first window that reaches the end of the document. `step` is at most
# `size`.


# %%
# exercise: 05-answers.2
def windows(words, size, step):
    """Return where each window over a document of `words` words begins and ends."""
    # solution
    begin, pairs = 0, [(0, min(size, words))]
    while pairs[-1][1] < words:
        begin += step
        pairs.append((begin, min(begin + size, words)))
    return pairs
    # end solution


check("05-answers.2", windows)

# %% [markdown]
# ## Nearly right
#
# The right answer is *four weeks*; the model answers *about four weeks*. Its **exact match** is 0. **F1** compares the
# words: precision $P$ is the share of the predicted words that are right, recall $R$ is the share of the right words
# that are predicted, and $F_1 = 2PR/(P+R)$.
#
# **Exercise 3.** Make texts comparable: lowercase, without full stops, commas and question marks, without *a*, *an*,
# *the*. Return the list of words that are left.


# %%
# exercise: 05-answers.3
def plain(text):
    """Return the words of a text in lowercase, without . , ? and articles."""
    # solution
    for mark in ".,?":
        text = text.replace(mark, "")
    return [word for word in text.lower().split() if word not in ("a", "an", "the")]
    # end solution


check("05-answers.3", plain)

# %% [markdown]
# **Exercise 4.** Return F1 of two lists of words, the right ones (`gold`) and the model's (`predicted`). A word that
# occurs twice in both lists is right twice; if it occurs only once in one of them, it is right once. Without a common
# word, F1 is 0.


# %%
# exercise: 05-answers.4
def word_f1(gold, predicted):
    """Return F1 over words, 0 to 1."""
    # solution
    right = sum(min(gold.count(word), predicted.count(word)) for word in set(gold))
    return 2 * right / (len(gold) + len(predicted)) if right else 0.0
    # end solution


check("05-answers.4", word_f1)

# %% [markdown]
# ## Train it
#
# In the dashboard: on the page **Launch**, choose the preset `question-answering` under *Start from*. The cell below
# runs a smaller version; it appears on the page **Runs**. Its metrics include exact match and F1. Then the model
# answers a question from three sentences.

# %%
finished = wb.run(
    {
        "name": "lesson-05-answers",
        "task": "question-answering",
        "data": {
            "train": "xquad-en",
            "limit": size(
                test={"train": 16, "valid": 4, "test": 8},
                cpu={"train": 600, "valid": 80, "test": 150},
                gpu={"train": 900, "valid": 100, "test": 180},
            ),
            "max_length": size(test=96, cpu=192, gpu=256),
        },
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=3, gpu=5), "learning_rate": 2e-4},
    },
    quiet=True,
    reuse=True,
)
print({name: round(value, 3) for name, value in finished.results().items()})
print(f"f1 of {finished.report().baseline_name}: {finished.report().baseline['f1']:.3f}")
rules = "A contract may be ended by either side. The notice is four weeks. The director signs it."
answer = Predictor.load(finished).predict([{"question": "How long is the notice?", "context": rules}])[0]
print(f"{answer.text!r}, from character {answer.span.start}, score {answer.score:.2f}")

# %% [markdown]
# Now compare your F1 with the library's, over the test questions. The library also removes other punctuation, such as
# brackets; if the two agree to about a hundredth, yours is right.

# %%
predictions = read_predictions(finished)
pairs = zip(predictions["gold"], predictions["prediction"], strict=True)
yours = [word_f1(plain(gold), plain(predicted)) for gold, predicted in pairs]
print(f"F1 by hand {sum(yours) / len(yours):.3f}, by the library {finished.results()['f1']:.3f}")

# %% [markdown]
# A few hundred questions are not much for this task: do not be surprised by low metrics. Ask questions about a
# document of your own on the dashboard's page **Playground**, and ask something that the document does not answer: the
# model points somewhere anyway.
#
# ## Summary
#
# * An answer is a begin and an end, chosen **together**, not separately.
# * Windows overlap, so that no answer is cut in all of them.
# * Exact match is strict, F1 is lenient; for both, make the texts comparable first.
#
# ## Questions to think about
#
# 1. By how much must windows overlap so that an answer of `longest` words is whole in at least one of them?
# 2. What should the model say when the document contains no answer, and how would you train that?
#
# ## Where to go next
#
# * Lesson [10](10_support.ipynb): answer only when sure. Notebook [08](../notebooks/08_many_tasks.ipynb): how a model
#   computes such scores, by hand.
# * Rajpurkar et al. 2016, SQuAD (arXiv 1606.05250); Artetxe et al. 2020, XQuAD (arXiv 1910.11856).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("05-answers")
