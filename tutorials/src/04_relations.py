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
# # 04 · Who is related to whom?
#
# **After this lesson you can** mark two things in a sentence, train a model that names their relation and its
# direction, and count right answers with and without the direction.
#
# **You need** Python and school mathematics. Here the names are already marked; lesson 02 finds them.
#
# **Time:** about 25 minutes to read and do. The cells on a laptop CPU: about 4 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("04-relations.1")` helps, and `solution("04-relations.1")` shows the solution. Cells below
# an exercise need your function: they fail until you have written it.
#
# ## The story
#
# An insurer reads thousands of accident reports and wants to know **what caused what**. *The burst was caused by
# pressure*: pressure is the cause, although it comes second. A list of words that occur together would not tell you
# that.
#
# The data is `semeval2010-task8` in the catalogue: sentences with two marked nouns, e1 and e2. A label such as
# `Cause-Effect(e2,e1)` says that e2 is the cause and e1 the effect. `Other` means none of the nine relations.

# %% tags=["setup"]
import re

from workbench.teach import check, done, hint, size, solution

# %%
import workbench as wb
from workbench.data.load import load_data
from workbench.runs.predictions import read_predictions
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

# %% [markdown]
# ## Mark things, and read the marks
#
# In the dashboard, choose `semeval2010-task8` on the page **Data** and look at its rows. The marks are written into
# the text. In code:

# %%
task = tasks.get("relation-extraction")
data = load_data(DataSpec(train="semeval2010-task8"), task(task.Config()).columns(), Workspace.current())
for text, label in list(zip(data.train.columns["text"], data.train.columns["label"], strict=True))[:3]:
    print(f"{label:>28}: {text}")

# %% [markdown]
# **Exercise 1.** Return the text between `<e1>` and `</e1>`, and the text between `<e2>` and `</e2>`, as a pair. e1
# always comes first in the sentence.


# %%
# exercise: 04-relations.1
def marked(text):
    """Return what is marked as e1 and what is marked as e2."""
    # solution
    return re.search("<e1>(.*?)</e1>", text)[1], re.search("<e2>(.*?)</e2>", text)[1]
    # end solution


check("04-relations.1", marked)

# %% [markdown]
# **Exercise 2.** Turn a sentence's label and its two marked things, `e1` and `e2` (the results of exercise 1), into a
# fact: (relation, first, second), where *first* is the one that comes first in the brackets. `Cause-Effect(e2,e1)`
# with burst as e1 and pressure as e2 becomes `("Cause-Effect", "pressure", "burst")`. For `Other`, return the empty
# tuple `()`.


# %%
# exercise: 04-relations.2
def fact(label, e1, e2):
    """Return (relation, first, second) in the direction of the label; () for Other."""
    # solution
    if label == "Other":
        return ()
    relation = label.split("(")[0]
    return (relation, e1, e2) if label.endswith("(e1,e2)") else (relation, e2, e1)
    # end solution


check("04-relations.2", fact)

# %% [markdown]
# ## Train it
#
# In the dashboard: on the page **Launch**, choose the preset `semeval-relations` under *Start from*. The cell below
# runs a smaller version; it appears on the page **Runs**. The run saves its answers to the test sentences: `gold` is
# the list of their true labels, `predicted` is the list of the labels that the model predicts, in the same order.

# %%
finished = wb.run(
    {
        "name": "lesson-04-relations",
        "task": "relation-extraction",
        "data": {
            "train": "semeval2010-task8",
            "limit": size(
                test={"train": 80, "valid": 20, "test": 40},
                cpu={"train": 2_500, "valid": 300, "test": 800},
                gpu={"train": 7_000, "valid": 800, "test": 2_700},
            ),
            "max_length": size(test=48, cpu=64, gpu=96),
        },
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=4, gpu=5), "learning_rate": 2e-4},
    },
    quiet=True,
    reuse=True,
)
predictions = read_predictions(finished, ["input:text", "gold", "prediction"])
gold, predicted = list(predictions["gold"]), list(predictions["prediction"])

# %% [markdown]
# ## Is the direction right?
#
# **Exercise 3.** Return a pair of shares: how often the whole label is right, and how often at least the relation (the
# text before the bracket) is right, whatever its direction.


# %%
# exercise: 04-relations.3
def with_and_without_direction(gold, predicted):
    """Return the share of right labels, and the share of right relations."""
    # solution
    pairs = list(zip(gold, predicted, strict=True))
    whole = sum(g == p for g, p in pairs)
    relation = sum(g.split("(")[0] == p.split("(")[0] for g, p in pairs)
    return whole / len(pairs), relation / len(pairs)
    # end solution


check("04-relations.3", with_and_without_direction)

# %%
whole, relation = with_and_without_direction(gold, predicted)
print(f"label right {whole:.1%}, relation right in either direction {relation:.1%}")

# %% [markdown]
# ## Relations only
#
# The insurer is not interested in `Other`. So count, among the facts that the model predicts, the share that is right
# (**precision**), and among the true facts the share that it predicts (**recall**). `Other` is not a fact, neither as
# a prediction nor as a true label.
#
# **Exercise 4.** Return both as a pair (precision, recall). An answer is right if its whole label is right, including
# the direction. Return 0 where you would divide by 0.


# %%
# exercise: 04-relations.4
def fact_scores(gold, predicted):
    """Return precision and recall of the labels that are not Other."""
    # solution
    right = sum(g == p != "Other" for g, p in zip(gold, predicted, strict=True))
    n_predicted, n_true = (sum(label != "Other" for label in labels) for labels in (predicted, gold))
    return right / n_predicted if n_predicted else 0.0, right / n_true if n_true else 0.0
    # end solution


check("04-relations.4", fact_scores)

# %%
precision, recall = fact_scores(gold, predicted)
print(f"facts: precision {precision:.2f}, recall {recall:.2f}")
for text, true, label in list(zip(predictions["input:text"], gold, predicted, strict=True))[:200]:
    if label.startswith("Cause-Effect") and "<e1>" in str(text) and "<e2>" in str(text):
        print(fact(label, *marked(str(text))), "" if label == true else f"(true label: {true})")

# %% [markdown]
# Try sentences of your own on the dashboard's page **Playground**: mark the two things with `<e1>` and `<e2>`, then
# change the sentence from active to passive. Does the direction follow?
#
# ## Summary
#
# * Marks in the text tell the model which two things you mean.
# * A relation has a direction: count with it and without it.
# * `Other` is not a relation: exclude it from precision and recall.
#
# ## Questions to think about
#
# 1. Why does the same sentence need several answers if it names three things?
# 2. If a model that makes errors finds the names (lesson 02), how do these metrics change?
#
# ## Where to go next
#
# * Notebook 08, one model and many tasks.
# * Hendrickx et al. 2010, *SemEval-2010 Task 8*; Baldini Soares et al. 2019 on marks (arXiv 1906.03158).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("04-relations")
