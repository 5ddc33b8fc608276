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
# **After this lesson you can** find an answer as a piece of a document, choose its begin and end from scores, cut a
# long document into windows that overlap, and measure answers that are nearly right.
#
# **You need** Python and school mathematics. Notebook [08](../notebooks/08_many_tasks.ipynb) shows the model behind it.
#
# **Time:** about 25 minutes to read and do. The cells on a laptop CPU: about 8 minutes; on a GPU: not measured yet.
#
# **How to work:** fill in the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("05-answers.1")` helps, and `solution("05-answers.1")` ends the search. Cells below
# an exercise need your function: they fail until it is filled in.
#
# ## The story
#
# A clerk looks up the same rules every day: *how long is the notice? who signs?* The answer stands in the document,
# word for word. A model shall **point** at it, so that the clerk can check it in its place. It makes nothing up.
#
# The data is `xquad-en` in the catalogue: questions on paragraphs of Wikipedia. On the dashboard: page **Data**,
# choose `xquad-en` and look where the answers stand.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

# %%
import workbench as wb
from workbench.runs.predictions import read_predictions
from workbench.inference.predictor import Predictor

# %% [markdown]
# ## Begin and end
#
# The model gives each word two scores: how well an answer **begins** here, and how well it **ends** here. An answer's
# score is the sum of both. It must not end before it begins, nor be too long.
#
# **Exercise 1.** `begins` and `ends` hold the two scores of each word. Give the pair (begin, end) of places with the
# highest sum, counted from 0; the end **belongs to** the answer, which has at most `longest` words. Of equals take the
# earliest begin, then the earliest end.


# %%
# exercise: 05-answers.1
def best_span(begins, ends, longest):
    """The first and the last word of the best answer."""
    # solution
    allowed = [(i, j) for i in range(len(begins)) for j in range(i, min(i + longest, len(ends)))]
    return max(allowed, key=lambda span: begins[span[0]] + ends[span[1]])
    # end solution


check("05-answers.1", best_span)

# %% [markdown]
# ## Long documents
#
# The model reads a limited number of words at once. A longer document is cut into **windows** that overlap: an answer
# that one cut goes through then stands whole in the next window.
#
# **Exercise 2.** The document has `words` words (a number), a window at most `size`. Give the windows as a list of
# pairs (begin, end), counted from 0, the end **not** included. The first begins at 0, each next one `step` words later.
# Stop with the first window that reaches the end of the document. `step` is at most `size`.


# %%
# exercise: 05-answers.2
def windows(words, size, step):
    """Where the windows over so many words begin and end."""
    # solution
    begin, found = 0, [(0, min(size, words))]
    while found[-1][1] < words:
        begin += step
        found.append((begin, min(begin + size, words)))
    return found
    # end solution


check("05-answers.2", windows)

# %% [markdown]
# ## Nearly right
#
# Right is *four weeks*; the model says *about four weeks*. **Exact match** says 0. **F1** looks at the words: of those
# given the share that is right ($P$), of the right ones the share that is given ($R$), and $F_1 = 2PR/(P+R)$.
#
# **Exercise 3.** Make texts comparable: small letters, no full stop, comma or question mark, no *a*, *an*, *the*. Give
# the list of words that are left.


# %%
# exercise: 05-answers.3
def plain(text):
    """The words of a text without capital letters, . , ? and articles."""
    # solution
    for mark in ".,?":
        text = text.replace(mark, "")
    return [word for word in text.lower().split() if word not in ("a", "an", "the")]
    # end solution


check("05-answers.3", plain)

# %% [markdown]
# **Exercise 4.** Give F1 of two lists of words, the right ones (`gold`) and the model's (`given`). A word that stands
# twice in both is right twice; if it stands only once in one of them, it is right once. Without a common word F1 is 0.


# %%
# exercise: 05-answers.4
def word_f1(gold, given):
    """F1 over words, 0 to 1."""
    # solution
    right = sum(min(gold.count(word), given.count(word)) for word in set(gold))
    return 2 * right / (len(gold) + len(given)) if right else 0.0
    # end solution


check("05-answers.4", word_f1)

# %% [markdown]
# ## Train it
#
# On the dashboard: page **Launch**, *Begin with* the preset `question-answering`. Below runs a smaller version; it
# appears on the page **Runs**. Among its figures are exact match and F1. Then the model answers from three sentences.

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
print(f"{answer.text!r}, from character {answer.span.start} on, score {answer.score:.2f}")

# %% [markdown]
# And now yours beside the library's, over the test questions. The library also takes away other marks, such as
# brackets; where both agree to a hundredth or so, yours is right.

# %%
kept = read_predictions(finished)
pairs = zip(kept["gold"], kept["prediction"], strict=True)
yours = [word_f1(plain(gold), plain(given)) for gold, given in pairs]
print(f"F1 by hand {sum(yours) / len(yours):.3f}, by the library {finished.results()['f1']:.3f}")

# %% [markdown]
# A few hundred questions are little for this task: do not be surprised by low figures. Ask your own document on the
# page **Playground**, and ask something that it does not answer: the model points somewhere all the same.
#
# ## Summary
#
# * An answer is a begin and an end, chosen **together**; not each for itself.
# * Windows overlap so that no answer is cut everywhere.
# * Exact match is strict, F1 forgives; both need texts made comparable first.
#
# ## Questions to think about
#
# 1. How much must windows overlap so that an answer of `longest` words stands whole in one of them?
# 2. What should the model say when the document holds no answer, and how would you train that?
#
# ## Where to go on
#
# * Lesson [10](10_support.ipynb): answer only when sure. Notebook [08](../notebooks/08_many_tasks.ipynb): how a model
#   gets such scores, by hand.
# * Rajpurkar et al. 2016, SQuAD (arXiv 1606.05250); Artetxe et al. 2020, XQuAD (arXiv 1910.11856).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("05-answers")
