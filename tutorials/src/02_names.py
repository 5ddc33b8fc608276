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
# # 02 · Find names in noisy text
#
# **After this lesson you can** mark names word by word, transfer the tags to a model's subwords, count whole names
# correctly, and say why a dictionary of names is not enough.
#
# **You need** Python and school mathematics. Notebook 08 explains the model behind it.
#
# **Time:** about 30 minutes to read and do. The cells on a laptop CPU: about 3 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("02-names.1")` helps, and `solution("02-names.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# A news desk wants to hear of a thing as soon as people post about it: a band, a product, a town. "Just keep a list of
# names", says somebody. But posts are full of typing errors, and **the names that matter are those that nobody has
# heard of yet**. You find out how far a list gets, and what a model adds.
#
# The data is `wnut17` in the catalogue: posts and comments in which people have marked new and rare names.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

# %%
import workbench as wb
from workbench.data.load import load_data
from workbench.runs.predictions import read_predictions
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.inference.predictor import Predictor
from workbench.workspace import Workspace

# %% [markdown]
# ## Names as tags on words
#
# Each word has a **tag**: `B-person` where a person's name begins, `I-person` where it continues (*inside*), `O` for
# *outside*, no name. After the three letters they are called **BIO tags**. Two adjacent names stay apart: the second
# begins with `B` again.
#
# In the dashboard, choose `wnut17` on the page **Data** and look at its rows. In code:

# %%
task = tasks.get("token-classification")
data = load_data(DataSpec(train="wnut17"), task(task.Config()).columns(), Workspace.current())
for words, tags in list(zip(data.train.columns["words"], data.train.columns["tags"], strict=True))[:3]:
    print(" ".join(word if tag == "O" else f"{word}[{tag}]" for word, tag in zip(words, tags, strict=True)))

# %% [markdown]
# **Exercise 1.** Turn the tags of a text into its names: a list of (position of the first word, position of the **word
# after the last**, kind), in order; positions are counted from 0. `["B-person", "I-person", "O"]` becomes
# `[(0, 2, "person")]`. Here an `I-` always continues the name before it.


# %%
# exercise: 02-names.1
def spans(tags):
    """Return the names that BIO tags mark: (first word, word after the last, kind)."""
    # solution
    names = []
    for position, tag in enumerate(tags):
        if tag.startswith("B-"):
            names.append((position, position + 1, tag[2:]))
        elif tag.startswith("I-"):
            names[-1] = (names[-1][0], position + 1, names[-1][2])
    return names
    # end solution


check("02-names.1", spans)

# %% [markdown]
# ## How far does a list get?
#
# **Exercise 2.** `train` and `test` are lists of names. Return the share of the names in `test` that do **not** occur
# in `train`, ignoring upper and lower case. A name that occurs twice in `test` counts twice.


# %%
# exercise: 02-names.2
def share_of_new(train, test):
    """Return the share of the test's names that are not in train, 0 to 1; capital letters do not matter."""
    # solution
    known = {name.lower() for name in train}
    return sum(name.lower() not in known for name in test) / len(test)
    # end solution


check("02-names.2", share_of_new)


# %%
def names_of(split):
    rows = zip(split.columns["words"], split.columns["tags"], strict=True)
    return [" ".join(words[start:end]) for words, tags in rows for start, end, _ in spans(list(tags))]


print(f"{share_of_new(names_of(data.train), names_of(data.test)):.1%} of the names in the test are on no list")

# %% [markdown]
# ## Subwords
#
# A model does not read words, it reads **subwords**: *Blackpink* may become *black*, *##pin*, *##k* (*##* marks a
# subword that continues a word). The tags are for words, and for a model each tag is a number. So each word's first
# subword gets its tag, and all the others get **-100**, which means *do not count this one* (a *mask*). A list says
# which word each subword belongs to: `[None, 0, 1, 1, 1, None]`. `None` belongs to no word (it marks the beginning or
# the end).
#
# **Exercise 3.** `word_of_subword` is such a list, `tags` contains the number of each word's tag. Return a list with a
# label for each subword: on a word's first subword the number of the word's tag, elsewhere -100.


# %%
# exercise: 02-names.3
def labels_on_subwords(word_of_subword, tags):
    """Return a label for each subword: the word's tag on its first subword, -100 on the others."""
    # solution
    labels, before = [], None
    for word in word_of_subword:
        labels.append(-100 if word is None or word == before else tags[word])
        before = word
    return labels
    # end solution


check("02-names.3", labels_on_subwords)

# %% [markdown]
# **Exercise 4.** Now count. `labels` are such labels, `predicted` is the number that the model predicts for each
# subword. Return the share of right predictions among the subwords whose label is **not** -100. (At least one subword
# counts.)


# %%
# exercise: 02-names.4
def masked_accuracy(labels, predicted):
    """Return the share of right predictions among the subwords that count."""
    # solution
    counted = [(label, prediction) for label, prediction in zip(labels, predicted, strict=True) if label != -100]
    return sum(label == prediction for label, prediction in counted) / len(counted)
    # end solution


check("02-names.4", masked_accuracy)

# %% [markdown]
# ## Train it
#
# In the dashboard: on the page **Launch**, choose the preset `wnut17-entities` under *Start from*. The cell below runs
# a smaller version; it appears on the page **Runs**.

# %%
finished = wb.run(
    {
        "name": "lesson-02-names",
        "task": "token-classification",
        "data": {
            "train": "wnut17",
            "limit": size(
                test={"train": 48, "valid": 16, "test": 24},
                cpu={"train": 2_000, "valid": 300, "test": 500},
                gpu={"train": 3_394, "valid": 1_000, "test": 1_200},
            ),
            "max_length": size(test=32, cpu=64, gpu=96),
        },
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=4, gpu=6), "learning_rate": 2e-4},
    },
    quiet=True,
    reuse=True,
)
print({name: round(value, 3) for name, value in finished.results().items()})
baseline = finished.report().baseline["entity_f1"]
print(f"entity_f1 of {finished.report().baseline_name}: {baseline:.3f}")

# %% [markdown]
# ## A whole name or nothing
#
# Most words are not part of a name: if you always say `O`, you are right on nearly every word and find nothing. So it
# is usual to count whole names. A name is right if its first word, its last word and its kind are all right. With $r$
# right names, $g$ predicted and $t$ true ones: precision $P = r/g$, recall $R = r/t$, and
# $F_1 = 2PR/(P+R) = 2r/(g+t)$.
#
# **Exercise 5.** Return F1 of two lists of names as exercise 1 makes them. If both are empty, nothing was missed: 1.


# %%
# exercise: 02-names.5
def name_f1(true, predicted):
    """Return F1 over whole names, 0 to 1."""
    # solution
    if not true and not predicted:
        return 1.0
    return 2 * len(set(true) & set(predicted)) / (len(true) + len(predicted))
    # end solution


check("02-names.5", name_f1)

# %% [markdown]
# Yours and the library's, over the test posts. The run saves names as texts, not as positions; a name that occurs
# twice in a post counts once here, so the two may differ by a hundredth.

# %%
predictions = read_predictions(finished)
true, predicted = (
    [(post, name) for post, line in enumerate(predictions[column]) for name in line.split("; ") if name]
    for column in ("gold", "prediction")
)
print(f"F1 by hand {name_f1(true, predicted):.3f}, by the library {finished.results()['entity_f1']:.3f}")

# %%
predictor = Predictor.load(finished)
texts = [" ".join(words) for words in data.test.columns["words"][:6]]
for text, answer in zip(texts, predictor.predict([{"text": text} for text in texts]), strict=True):
    print(text, "->", [(span.text, span.label) for span in answer.spans])

# %% [markdown]
# Try posts of your own on the dashboard's page **Playground**, with this run: write a name that you have made up.
# Write it without capital letters, too: nothing changes, because MiniLM's tokenizer lowercases all letters. What is
# lost by that?
#
# ## Summary
#
# * BIO tags mark names word by word; a name ends before the next `B-` or `O`.
# * A list of names fails on new names, and those are the ones you want.
# * Only the first subword of a word has its tag; the mask (-100) must be excluded from every count.
# * Count whole names, not words.
#
# ## Questions to think about
#
# 1. The model finds *Royal Albert* where *Royal Albert Hall* is right. What does that cost in precision, what in
#    recall?
# 2. What would happen in training if the label -100 were `O` instead?
# 3. For this news desk: is a missed name worse than a wrong one?
#
# ## Where to go next
#
# * Notebook 08, one model and many tasks. Lesson 04: how two marked words are related.
# * Derczynski et al. 2017, *Results of the WNUT2017 Shared Task on Novel and Emerging Entity Recognition*.
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("02-names")
