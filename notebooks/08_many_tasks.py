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
# # 08 · One model, many tasks
#
# **After this notebook you can** explain how one body serves named entities, question answering and relations: what
# the head computes for each, how its numbers become spans of text, and how they are scored.
#
# **You need** notebook 07 (a head on a body, and the training loop).
#
# **Time:** about 20 minutes to read; the cells run in about 6 minutes on a laptop CPU (GPU: not measured yet).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from seqeval.metrics import f1_score

import workbench as wb
from workbench.data.text.batching import Batches
from workbench.models.loading import make_source
from workbench.spec import TrainingSpec
from workbench.tasks.base import tasks
from workbench.tasks.contexts import InferenceContext
from workbench.tasks.shared.spans.marked_pairs import MarkedSentence, choose_signs
from workbench.teach import done, size
from workbench.teach.pictures import show
from workbench.training.core.optim import learning_rate_factor, make_optimizer
from workbench.workspace import Workspace

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# ## One body, three heads
#
# The body turns each token into a vector. The tasks differ only in what they do with these vectors, and that is one
# linear map each time:
#
# | task | the head reads | and returns |
# |---|---|---|
# | **names**: which words are a person, a place ...? | each token's vector | a score for each label |
# | **answers**: where in this text is the answer? | each token's vector | two scores: begins here, ends here |
# | **relations**: how are these two things related? | the vectors of two tokens, joined | a score for each relation |
#
# | symbol | in the code | shape | |
# |---|---|---|---|
# | $B, T, D$ | | numbers | texts in a batch, tokens of a text, numbers in a token's vector |
# | $H$ | `hidden` | `[B, T, D]` | the body's output |
# | $P, R, F_1$ | `precision`, `recall`, `f1` | numbers | how well names are recognized |
# | $s_i$ | `begin` | `[T]` | score: the answer begins at token $i$ |
# | $e_j$ | `end` | `[T]` | score: the answer ends at token $j$ |
# | $h_1, h_2$ | `hidden[rows, first]`, `hidden[rows, second]` | `[B, D]` | the vectors of the two markers |
# | $W, b$ | `weight`, `bias` | `[relations, 2 D]`, `[relations]` | the head for relations |
#
# ## Names: a label for each word
#
# The head is one map from **each** token's vector to the labels: `[B, T, D]` to `[B, T, labels]`. A name may have
# several words, so the labels say where one begins (`B-`), which words continue it (`I-`), and which words belong to
# no name (`O`). The kind follows the dash: `PER` is a person, `LOC` a location.

# %%
words = ["Ada", "Lovelace", "met", "Babbage", "in", "London"]
gold = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC"]
predicted = ["B-PER", "O", "O", "B-PER", "O", "B-LOC"]


def spans(labels):
    """Return each name as (first word, word after the last, kind)."""
    names, start = set(), None
    for index, label in enumerate([*labels, "O"]):
        continues = start is not None and label == f"I-{labels[start][2:]}"
        if start is not None and not continues:
            names.add((start, index, labels[start][2:]))
            start = None
        if label.startswith("B-"):
            start = index
    return names


for start, end, kind in sorted(spans(gold)):
    print(kind, " ".join(words[start:end]))

# %% [markdown]
# A name counts only when both ends and the kind are right. **Precision** $P$ is the share of the predicted names that
# are right, **recall** $R$ the share of the true names that were predicted, and $F_1 = 2PR/(P+R)$ is their harmonic
# mean: it is high only when both are. In the prediction above, one of three names is wrong: *Ada* without *Lovelace*
# has the wrong end. We compare the result with seqeval, a library that many papers use for this:

# %%
right = len(spans(gold) & spans(predicted))
precision, recall = right / len(spans(predicted)), right / len(spans(gold))
f1 = 2 * precision * recall / (precision + recall)
by_word = sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold)
print(f"precision {precision:.2f}, recall {recall:.2f}, F1 {f1:.2f}")
print(f"share of words with the right label: {by_word:.2f}, which looks better than the prediction is")
assert abs(f1 - f1_score([gold], [predicted])) < 1e-5

# %% [markdown]
# ## Answers: a first and a last token
#
# *When did Ada Lovelace meet Babbage?* To locate the answer in a text, the head computes two scores for each token:
# the answer begins here, $s_i$, and it ends here, $e_j$. The answer is the pair with the largest $s_i + e_j$ among
# those that are possible: the end is not before the beginning, $i \le j$, and the answer is not too long.
#
# The scores here are made up, so that you can follow them; a trained model comes below.

# %%
tokens = ["ada", "met", "babbage", "in", "london", "on", "5", "june", "1833", "."]
begin = torch.tensor([1.0, 0.0, 0.5, 0.2, 1.5, 0.3, 2.9, 1.8, 1.2, -1.0])  # s
end = torch.tensor([0.5, 0.0, 0.8, 0.0, 3.0, 0.1, 0.4, 0.9, 2.6, -1.0])  # e


def possible(count, longest):
    """Return a mask [T, T]: whether a span may begin at the row's token and end at the column's."""
    position = torch.arange(count)
    length = position[None, :] - position[:, None] + 1
    return (length >= 1) & (length <= longest)


def best_span(begin, end, allowed):
    """Return the first and the last token of the allowed pair with the largest sum."""
    sums = begin[:, None] + end[None, :]  # [T, T]
    return divmod(int(sums.masked_fill(~allowed, -torch.inf).argmax()), len(begin))


LONGEST = 4
allowed = possible(len(tokens), LONGEST)
best = best_span(begin, end, allowed)
separate = (int(begin.argmax()), int(end.argmax()))
print("best pair:", tokens[best[0] : best[1] + 1], "with", round(float(begin[best[0]] + end[best[1]]), 2))
print("best beginning and best end, each alone:", [tokens[i] for i in separate], "which is not a span at all")

pairs = [(i, j) for i in range(len(tokens)) for j in range(i, min(len(tokens), i + LONGEST))]
assert best == max(pairs, key=lambda pair: float(begin[pair[0]] + end[pair[1]]))  # trying each pair: the same

# %%


def draw_spans(axis, begin, end, allowed, names, best):
    """Draw the table of s_i + e_j; impossible pairs are white, and the best pair is framed."""
    table = (begin[:, None] + end[None, :]).masked_fill(~allowed, torch.nan)
    axis.imshow(table.numpy(), cmap="viridis")
    axis.add_patch(plt.Rectangle((best[1] - 0.5, best[0] - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2))
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="ends at, j", ylabel="begins at, i")


figure, axis = plt.subplots(figsize=(4.6, 4.2))
draw_spans(axis, begin, end, allowed, tokens, best)
show(
    figure,
    f"The largest sum s_i + e_j is framed: row {tokens[best[0]]}, column {tokens[best[1]]}. In the table of the "
    f"sums, only {LONGEST} cells on and to the right of the diagonal are filled in; other pairs are impossible.",
)

# %% [markdown]
# ## Relations: mark two things
#
# *"The **storm** flooded the **city**."* Is one the cause of the other, and which one? The label says both:
# `Cause-Effect(e1,e2)` means "e1 is the cause, e2 the effect", `Cause-Effect(e2,e1)` the reverse.
#
# The model has to know which two things are meant. The library writes **markers** around them into the text: `@`
# around the first and `#` around the second. The tokenizer already knows these characters, so no new token is needed.

# %%
relations = tasks.get("relation-extraction")
relations = relations(relations.Config())
source = make_source("minilm", Workspace.current())
tokenizer = source.load("AutoModel", {}).tokenizer

sentence = MarkedSentence.read("The <e1>storm</e1> flooded the <e2>city</e2> .", "the example")
signs, _ = choose_signs(tokenizer)
written = " ".join(sentence.written(signs))
print(written)
print(tokenizer.tokenize(written))

# %% [markdown]
# The head does not read one vector of the whole text, as a text classifier does. It takes the vectors of the two
# opening markers, $h_1$ of
# the first `@` and $h_2$ of the first `#`, concatenates them, and maps them to the relations (Baldini Soares et al.
# 2019, arXiv 1906.03158):
#
# $$\text{scores} = W\,[h_1; h_2] + b$$
#
# You will compute this by hand below, once there is a model. First, a loop that trains all three.
#
# ## One loop for all three
#
# It is the loop of notebook 07. Everything that differs comes from the library's **task**: the columns it reads, the
# head it needs, how its examples become a batch, its loss, and its report. Each loss is a cross-entropy (notebook 05):
# over the labels of each word, over the relations, and for answers the mean of two, one over the positions where the
# answer may begin and one over those where it may end. (A text that is too long for the model is read in windows that
# overlap by `stride` tokens.) The data and settings are those of the presets `wikigold-entities`, `question-answering`
# and `semeval-relations`, with fewer examples.

# %%
jobs = {
    "token-classification": {
        "data": "wikigold",
        "options": {},
        "max_length": size(test=32, cpu=64, gpu=128),
        "limit": size(
            test={"train": 16, "valid": 4, "test": 8},
            cpu={"train": 600, "valid": 50, "test": 200},
            gpu={"train": 1_200, "valid": 150, "test": 300},
        ),
    },
    "question-answering": {
        "data": "xquad-en",
        "options": {"stride": size(test=16, cpu=64, gpu=64)},
        "max_length": size(test=96, cpu=192, gpu=384),
        "limit": size(
            test={"train": 8, "valid": 4, "test": 6},
            cpu={"train": 300, "valid": 20, "test": 100},
            gpu={"train": 824, "valid": 100, "test": 240},
        ),
    },
    "relation-extraction": {
        "data": "semeval2010-task8",
        "options": {},
        "max_length": size(test=48, cpu=64, gpu=96),
        "limit": size(
            test={"train": 40, "valid": 20, "test": 20},
            cpu={"train": 1_000, "valid": 50, "test": 300},
            gpu={"train": 7_000, "valid": 500, "test": 2_700},
        ),
    },
}
EPOCHS = size(test=1, cpu=3, gpu=5)


def batch_of(task, encoded, rows):
    """Return the rows as tensors on the device; ``encoded`` contains the examples as token ids."""
    return {name: values.to(device) for name, values in task.collate(encoded, rows, tokenizer.pad_token_id).items()}


def train(task, model, encoded, peak=2e-4):
    """Train with notebook 07's loop and the task's loss."""
    plan = Batches(encoded.lengths, size(test=8, cpu=16, gpu=16))  # texts of similar length share a batch
    steps = EPOCHS * plan.count(0)
    optimizer = make_optimizer(model, TrainingSpec(), peak)
    model.train()
    step = 0
    for epoch in range(EPOCHS):
        for rows in plan.epoch(epoch):
            for group in optimizer.param_groups:
                group["lr"] = peak * learning_rate_factor(step, steps, 0.1, "linear")
            task.forward(model, batch_of(task, encoded, rows)).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1


@torch.no_grad()
def outputs_of(task, model, encoded):
    """Return what the task needs of the model's output for each row, such as the best spans."""
    whole, results = batch_of(task, encoded, np.arange(len(encoded))), []
    for rows in torch.arange(len(encoded)).split(16):
        batch = {name: values[rows] for name, values in whole.items()}
        results.append(task.outputs(task.forward(model, batch), batch).cpu())
    return torch.cat(results).numpy()


trained = {}
for name, job in jobs.items():
    began = time.monotonic()
    entry = tasks.get(name)
    task = entry(entry.Config(**job["options"]))
    data = wb.load_data(job["data"], name, limit=job["limit"])
    task.fit(data.train)  # learns which labels there are
    torch.manual_seed(0)
    model = source.load(task.head, task.model_options()).model.to(device)  # the same body, another head
    train_split, test_split = (task.encode(tokenizer, split, job["max_length"]) for split in (data.train, data.test))
    train(task, model, train_split)
    model.eval()
    report = task.report(outputs_of(task, model, test_split), test_split.targets, train_split.targets)
    trained[name] = (task, model, test_split, report)
    metric = task.primary_metric
    reached = report["metrics"][metric]
    print(
        f"{name:>20}: {len(data.train):>5} examples, {time.monotonic() - began:4.0f} s, {metric} "
        f"{reached['value']:.3f} ({reached['low']:.3f} to {reached['high']:.3f}); "
        f"{report['baseline_name']}: {report['baseline'][metric]:.3f}"
    )

# %%
figure, axis = plt.subplots(figsize=(6.4, 2.4))
descriptions = []
for index, (name, (task, *_, report)) in enumerate(trained.items()):
    reached, baseline = report["metrics"][task.primary_metric], report["baseline"][task.primary_metric]
    ends = [[reached["value"] - reached["low"]], [reached["high"] - reached["value"]]]
    axis.barh(index, reached["value"], 0.5, color="tab:blue", label=None if index else "trained, 95% interval")
    axis.errorbar(reached["value"], index, xerr=ends, color="black", capsize=4)
    axis.plot([baseline], [index], "D", color="tab:orange", label=None if index else "without a model")
    descriptions.append(f"{name} {reached['value']:.2f}, without a model {baseline:.2f}")
axis.set_yticks(range(len(trained)), [f"{name}\n({task.primary_metric})" for name, (task, *_) in trained.items()])
axis.set(xlim=(0, 1))
axis.invert_yaxis()
axis.legend(fontsize=8)
show(figure, "A bar for each task's score on held-out examples: " + "; ".join(descriptions) + ".")

# %% [markdown]
# You cannot compare the three scores with each other, because each is a different metric. Compare each with its
# diamond, which is the score of a baseline without a model (the most frequent label, for example). For answers, `f1`
# is computed from the words shared with the right answer, as precision and recall, and averaged over the questions.
# `macro_f1` is the mean of the F1 of each relation; *Other* (none of the nine) is not counted, so a model that always
# predicts it scores 0. Question answering is learned slowest: a few hundred questions are few, and the model has to
# find the best of very many spans. The presets use all of the data.
#
# ## Ask the models

# %%
queries = {
    "token-classification": {"text": "Ada Lovelace met Charles Babbage in London."},
    "question-answering": {
        "question": "When did Ada Lovelace meet Babbage?",
        "context": "Ada Lovelace, the daughter of Lord Byron, met Charles Babbage in London on 5 June 1833.",
    },
    "relation-extraction": {"text": "The <e1>storm</e1> has flooded the <e2>city</e2> ."},
}
answers = {}
for name, query in queries.items():
    task, model, *_ = trained[name]
    answers[name] = task.predict(InferenceContext(model, tokenizer, jobs[name]["max_length"]), [query])[0]

print("names:    ", [(span.text, span.label) for span in answers["token-classification"].spans])
print("answer:   ", answers["question-answering"].text)
print("relation: ", answers["relation-extraction"].label)

# %% [markdown]
# With so few examples, each of them may be wrong: *Other* means none of the nine relations, and the answer may be only
# a fragment of the date.
#
# ## The search for the answer, compared with the library
#
# Our `best_span`, applied to the trained model's scores, must find the same span as the library. The library adds two
# conditions: an answer may contain only tokens of the context, not of the question (`eligible`), and it has at most 30
# tokens.

# %%
task, model, encoded, _ = trained["question-answering"]
count = min(8, len(encoded))
batch = batch_of(task, encoded, np.arange(count))
with torch.no_grad():
    output = task.forward(model, batch)
    library = task.outputs(output, batch).cpu()  # [B, 3 C + 2]: the C best spans (first, last, score), and 2 more
candidates = task.config.candidates

for row in range(count):
    inside = batch["eligible"][row].cpu()
    allowed = possible(len(inside), task.config.max_answer_tokens) & inside[:, None] & inside[None, :]
    begin, end = output.start_logits[row].cpu(), output.end_logits[row].cpu()
    best = best_span(begin, end, allowed)
    assert best == (int(library[row, 0]), int(library[row, candidates]))
    torch.testing.assert_close(begin[best[0]] + end[best[1]], library[row, 2 * candidates], atol=1e-5, rtol=1e-5)
print(f"the same span and score as the library's in {count} of {count} texts")

# %%
left = max(0, best[0] - 6)
window = slice(left, min(len(inside), max(left + 20, best[1] + 3)))
names = tokenizer.convert_ids_to_tokens(batch["input_ids"][row].cpu())[window]
figure, axis = plt.subplots(figsize=(5.6, 5.2))
framed = (best[0] - left, best[1] - left)
draw_spans(axis, begin[window], end[window], allowed[window, window], names, framed)
show(
    figure,
    f"The best span begins at {names[framed[0]]} and ends at {names[framed[1]]}; it is framed. A table of the trained "
    f"model's sums for {len(names)} tokens of one text; impossible pairs are white.",
)

# %% [markdown]
# ## The head for relations, compared with the library
#
# The library's head is made for names: it maps *each* token's vector to twice as many scores as there are relations.
# It uses the first half at the marker of e1 and the second half at the marker of e2. Their sum is our $W\,[h_1; h_2] +
# b$, where $W$ consists of the two halves side by side:

# %%
task, model, encoded, _ = trained["relation-extraction"]
batch = batch_of(task, encoded, np.arange(min(8, len(encoded))))
count = len(task.labels)
with torch.no_grad():
    theirs = task.forward(model, batch)
    inputs = {name: values for name, values in batch.items() if name != "labels"}
    hidden = model.bert(**inputs).last_hidden_state  # [B, T, D]
    # The batch's labels mark the positions: -100 is no marker, below `count` is the marker of e1, above that of e2.
    first = ((batch["labels"] >= 0) & (batch["labels"] < count)).int().argmax(-1)
    second = (batch["labels"] >= count).int().argmax(-1)
    rows = torch.arange(len(hidden), device=device)
    joined = torch.cat([hidden[rows, first], hidden[rows, second]], dim=-1)  # [B, 2 D]
    weight = torch.cat([model.classifier.weight[:count], model.classifier.weight[count:]], dim=-1)  # [relations, 2 D]
    bias = model.classifier.bias[:count] + model.classifier.bias[count:]
    scores = joined @ weight.T + bias
    classes = batch["labels"][rows, first]
    loss = torch.nn.functional.cross_entropy(scores, classes)
torch.testing.assert_close(scores, theirs.logits, atol=1e-5, rtol=1e-5)
torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=1e-5)
markers = [int(batch["input_ids"][0, positions[0]]) for positions in (first, second)]
print("the tokens at the markers:", tokenizer.convert_ids_to_tokens(markers))
print(f"the same {list(scores.shape)} scores and loss as the library's")

# %% [markdown]
# ## Summary
#
# * One body; one linear map for each task: at each token, or at two marked tokens.
# * Names are scored as a whole: both ends and the kind.
# * The best pair of ends is not the two best ends.
# * A relation is read at the two markers, and its direction is part of the label.
# * The loop stays the same. The *task* is what differs: columns, head, batch, loss, report.
#
# ## Questions to think about
#
# 1. A word is split into three subwords. Which of them should have the label, and what about the others in the loss?
# 2. What would the head have to compute so that "there is no answer in this text" is possible?
# 3. A sentence has five names. How many times must the model read it to find all relations among them?
#
# ## Where to go next
#
# * [Notebook 09](09_sequence_to_sequence.ipynb): from reading to writing.
# * Lessons [02, names](../tutorials/02_names.ipynb), [04, relations](../tutorials/04_relations.ipynb) and [05,
#   answers](../tutorials/05_answers.ipynb).
# * As runs, with a report and all of the data: `workbench run wikigold-entities`, `workbench run semeval-relations`,
#   `workbench run question-answering`. `workbench tasks` lists all tasks; each is a file in
#   [workbench/tasks](../workbench/tasks).
# * Devlin et al. 2018, section 4 (arXiv 1810.04805); Zhou and Chen 2021 on markers (arXiv 2102.01373).

# %%
done("08-many-tasks")
