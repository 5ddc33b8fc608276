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
# # 01 · Sort the mail of a bank
#
# **After this lesson you can** train a model that sorts texts into classes, compare it with a baseline that needs no
# model, measure each class separately, and find the classes that it confuses.
#
# **You need** Python and school mathematics. Notebook 07 explains what happens during training.
#
# **Time:** about 30 minutes to read and do. The cells on a laptop CPU: about 3 minutes; on a GPU: not measured yet.
#
# **How to work:** replace the dots of an exercise and run its cell. `check` tries your function on hidden cases and
# says what is wrong, `hint("01-mail.1")` helps, and `solution("01-mail.1")` shows the solution. Cells below an
# exercise need your function: they fail until you have written it.
#
# ## The story
#
# A bank gets thousands of questions a day, and each has to reach the right desk: lost cards, exchange rates, refused
# payments. Today a person reads every one. You are asked whether a model can sort them, **and which questions it must
# not be trusted with**.
#
# The data is `banking77` in the catalogue, the list of data sets that the workbench knows: questions of customers,
# each with its *intent*, what the customer wants. There are 77 intents.

# %% tags=["setup"]
from workbench.teach import check, done, hint, size, solution

# %%
from collections import Counter

import matplotlib.pyplot as plt

import workbench as wb
from workbench.data.load import load_data
from workbench.runs.predictions import read_predictions
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.teach.pictures import show
from workbench.inference.predictor import Predictor
from workbench.workspace import Workspace

# %% [markdown]
# ## Look before you train
#
# Start the dashboard: `workbench dashboard` in a terminal, or `make dashboard` in the folder of the workbench. It
# shows the same data and the same runs as this notebook. On the page **Data**, choose `banking77`. Look at its rows
# and at how often each label occurs. In code:

# %%
task = tasks.get("text-classification")
data = load_data(DataSpec(train="banking77"), task(task.Config()).columns(), Workspace.current())
for text, intent in list(zip(data.train.columns["text"], data.train.columns["label"], strict=True))[:4]:
    print(f"{intent:>28}: {text}")
print(len(data.train), "questions to learn from,", len(set(data.train.columns["label"])), "intents")

# %% [markdown]
# ## The answer that needs no model
#
# If you always answer with the most frequent intent, you are sometimes right, too. A model has to beat this
# **baseline**. The share of right answers is called **accuracy**. It is measured on questions that are set aside: the
# data has a split `train` to learn from, and a split `test` that the model never sees while it learns.
#
# **Exercise 1.** Find the most frequent intent in `train`, and return the share of `test` that has it. Both are lists
# of intents. If two are equally frequent, take the one that comes first in `train`.


# %%
# exercise: 01-mail.1
def baseline_accuracy(train, test):
    """Return the accuracy on test of always answering with the most frequent intent of train, 0 to 1."""
    # solution
    most = max(train, key=train.count)
    return test.count(most) / len(test)
    # end solution


check("01-mail.1", baseline_accuracy)

# %%
share = baseline_accuracy(list(data.train.columns["label"]), list(data.test.columns["label"]))
print(f"always the same answer: {share:.1%} right")

# %% [markdown]
# ## Train it
#
# In the dashboard: on the page **Launch**, choose the preset `bank-intents` under *Start from*, then start it and
# watch it on the page **Runs**. The cell below runs a smaller version, which appears there too. (It is tested on fewer
# questions than the preset, so the page **Compare** does not compare the two: a difference could come from the
# questions.)
#
# `minilm` is a small Transformer that has learned from a lot of English text; here it learns our intents
# (*fine-tuning*). `limit` says how many questions each split may have; `valid` is evaluated during training. `epochs`
# says how many times it reads the questions, `learning_rate` how far each step moves its weights, and `max_length`
# after how many subwords a text is cut off. `size` chooses the number that suits your machine. The run saves its
# answers to the test questions, and `read_predictions` reads them: `gold` is the true intent, `prediction` what the
# model says.

# %%
finished = wb.run(
    {
        "name": "lesson-01-mail",
        "task": "text-classification",
        "data": {
            "train": "banking77",
            "limit": size(
                test={"train": 160, "valid": 77, "test": 80},
                cpu={"train": 3_000, "valid": 300, "test": 1_000},
                gpu={"train": 10_000, "valid": 500, "test": 3_080},
            ),
            "max_length": size(test=24, cpu=48, gpu=64),
        },
        "model": "minilm",
        "training": {"epochs": size(test=1, cpu=4, gpu=5), "learning_rate": 3e-4},
    },
    quiet=True,
    reuse=True,
)
predictions = read_predictions(finished, ["input:text", "gold", "prediction", "score"])
gold, predicted, scores = list(predictions["gold"]), list(predictions["prediction"]), list(predictions["score"])
n_right = sum(g == p for g, p in zip(gold, predicted, strict=True))
print(f"{n_right / len(gold):.1%} of {len(gold)} new questions are right")

# %% [markdown]
# ## One desk at a time
#
# The desk for lost cards asks two things. *Of the mail that you send us, how much is for us?* That is **precision**.
# *Of the mail that is for us, how much do we get?* That is **recall**. Both are shares, 0 to 1.
#
# **Exercise 2.** Return both for one intent, as a pair (precision, recall). `gold` contains the true intents and
# `predicted` the model's, in the same order. If nothing was sent, precision is 0; if nothing was for this desk, recall
# is 0.


# %%
# exercise: 01-mail.2
def precision_and_recall(gold, predicted, intent):
    """Return the share of right answers among those sent to the desk, and the share of the desk's mail that it gets."""
    # solution
    right = sum(g == p == intent for g, p in zip(gold, predicted, strict=True))
    sent, wanted = predicted.count(intent), gold.count(intent)
    return right / sent if sent else 0.0, right / wanted if wanted else 0.0
    # end solution


check("01-mail.2", precision_and_recall)

# %% [markdown]
# Two numbers for each of 77 desks are many. The usual summary is **F1**: $2PR/(P+R)$ with precision $P$ and recall
# $R$, and 0 if both are 0. It is high only if both are. **Macro F1** is the mean over the intents: a rare intent
# counts as much as a frequent one.
#
# **Exercise 3.** Return macro F1. `pairs` is a list with one pair (precision, recall) for each intent.


# %%
# exercise: 01-mail.3
def macro_f1(pairs):
    """Return the mean over the intents of 2PR / (P + R)."""
    # solution
    each = [2 * p * r / (p + r) if p + r else 0.0 for p, r in pairs]
    return sum(each) / len(each)
    # end solution


check("01-mail.3", macro_f1)

# %%
pairs = {intent: precision_and_recall(gold, predicted, intent) for intent in sorted(set(gold) | set(predicted))}
print(f"macro F1 {macro_f1(list(pairs.values())):.3f}; the hardest desks:")
for intent, (precision, recall) in sorted(pairs.items(), key=lambda item: sum(item[1]))[:5]:
    print(f"{intent:>45}: precision {precision:.2f}, recall {recall:.2f}")

# %% [markdown]
# ## Which intents are confused?
#
# A wrong answer is most informative together with the right one: which intent is mistaken for which? A table of this,
# with a row for each true intent and a column for each predicted one, is called a *confusion matrix*. In the
# dashboard, the page **Runs** shows it for the run's validation questions. For two runs that were tested on the same
# questions, the page **Compare** has it too (*Evidence*, *Confusion*), and a click on a cell opens its texts. Here is
# the list of its largest entries, over the test questions.
#
# **Exercise 4.** Count each pair (true intent, predicted intent), **wrong answers only**, and return a dictionary from
# the pair to its count.


# %%
# exercise: 01-mail.4
def confusions(gold, predicted):
    """Return how often each true intent was mistaken for each other one: {(true, predicted): count}."""
    # solution
    counts = {}
    for pair in zip(gold, predicted, strict=True):
        if pair[0] != pair[1]:
            counts[pair] = counts.get(pair, 0) + 1
    return counts
    # end solution


check("01-mail.4", confusions)

# %%
largest = Counter(confusions(gold, predicted)).most_common(8)
figure, axis = plt.subplots(figsize=(6, 3.2))
axis.barh([f"{true} → {other}" for (true, other), _ in largest][::-1], [count for _, count in largest][::-1])
axis.set(xlabel="questions", title="true intent → what the model said")
summary = "; ".join(f"{true} mistaken for {other}, {count} times" for (true, other), count in largest)
show(figure, f"Bars of the pairs of intents that are confused most often: {summary}.")

# %% [markdown]
# Read the names: would two people have agreed? If not, you need a better list of intents, not a better model.
#
# ## Sort, or give it to a person
#
# With each answer the model returns a **score**, 0 to 1: the probability that it assigns to the chosen intent. The
# desk that opens the mail can read only so many questions itself. It should get the doubtful ones.
#
# **Exercise 5.** Return the positions of the `count` questions with the **lowest** scores, the lowest first. Of equal
# scores the earlier comes first.


# %%
# exercise: 01-mail.5
def for_a_person(scores, count):
    """Return the positions of the `count` lowest scores, the lowest first."""
    # solution
    return sorted(range(len(scores)), key=lambda i: scores[i])[:count]
    # end solution


check("01-mail.5", for_a_person)

# %%
tenth = set(for_a_person(scores, len(scores) // 10))
for name, rows in (("given to a person", tenth), ("sorted by the model", set(range(len(scores))) - tenth)):
    print(f"{name}: {len(rows)}, the model is right on {sum(gold[i] == predicted[i] for i in rows) / len(rows):.1%}")
answer = Predictor.load(finished).predict([{"text": "I lost my card on the train"}])[0]
print(f"a new question: {answer.label}, score {answer.score:.2f}")

# %% [markdown]
# Try your own sentences on the dashboard's page **Playground**, with this run.
#
# ## Summary
#
# * Look at the data first, and know what a baseline without a model reaches.
# * Accuracy hides single classes; precision and recall show them; macro F1 counts each class alike.
# * The confused pairs tell you what to fix, often the list of classes itself.
# * The lowest scores go to a person.
#
# ## Questions to think about
#
# 1. A desk has no time for mail that is not for it. Which of the two, precision or recall, would you raise, and how?
# 2. A question has two intents. What would you change: the data, the task, or the desk?
# 3. Why does macro F1 move so much when one rare intent is right or wrong?
#
# ## Where to go next
#
# * Lesson 10 answers the same questions instead of sorting them, and sets the threshold by costs.
# * Casanueva et al. 2020, the paper of the data (arXiv 2003.04807).
#
# How far you have come (the dashboard's page **Learn** shows the same), and what comes next:

# %%
done("01-mail")
