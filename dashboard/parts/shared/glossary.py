"""Terms that may be new to a reader, each explained once and shown as a tooltip."""

from __future__ import annotations

from typing import NamedTuple

from workbench.i18n import N_, _


class Entry(NamedTuple):
    """A term and what it means; both are translated where they are shown."""

    title: str
    text: str


GLOSSARY = {
    "task": Entry(
        N_("Task"), N_("What the model learns to do, such as assigning each text to one of several classes.")
    ),
    "model": Entry(
        N_("Model"),
        N_("The network to start from. A pretrained model has already read a lot of text and needs few examples."),
    ),
    "tuning": Entry(
        N_("Fine-tuning method"),
        N_("Which of the model's weights training updates. LoRA updates a small part and is often as good."),
    ),
    "range test": Entry(
        N_("LR range test"),
        N_(
            "A short test that raises the learning rate until the loss diverges. A good rate lies where the loss "
            "falls, well before its minimum."
        ),
    ),
    "samples": Entry(
        N_("Samples"), N_("After each evaluation the model continues a few prompts, so that you can see it learn.")
    ),
    "loss": Entry(N_("Loss"), N_("How wrong the model is, as one number; lower is better.")),
    "learning rate": Entry(
        N_("Learning rate"),
        N_("How far a step moves the weights. If it is too high, the loss jumps; if it is too low, training stalls."),
    ),
    "epoch": Entry(N_("Epoch"), N_("One pass over all training examples.")),
    "step": Entry(N_("Step"), N_("One update of the weights, computed from one batch of examples.")),
    "seeds": Entry(
        N_("Seeds"),
        N_(
            "Runs that differ only by chance: new weights, the order of the examples, dropout. How much their results "
            "vary shows which differences between settings matter. A single run of each cannot show it."
        ),
    ),
    "interval": Entry(
        N_("95% interval"),
        N_("If you tested again on other examples of the same kind, the metric would usually fall in this range."),
    ),
    "baseline": Entry(
        N_("Baseline"), N_("What you would get without a model, by always giving the most frequent answer.")
    ),
    "trained parameters": Entry(N_("Trained parameters"), N_("How many of the model's parameters training updates.")),
    "attention": Entry(
        N_("Attention"),
        N_(
            "For each token, how much the model attends to every other token. It shows where information could flow, "
            "not why a decision was made."
        ),
    ),
    "faithfulness": Entry(
        N_("Faithfulness"),
        N_(
            "Whether the highlighted tokens really drive the decision: they are removed, and the change is compared "
            "with removing random ones."
        ),
    ),
    "faithfulness evaluation": Entry(
        N_("Faithfulness evaluation"),
        N_(
            "If an explanation is right, masking the tokens that it ranks highest lowers the prediction more than "
            "masking random ones. It also stays the same when nothing that matters changes, and changes when the "
            "weights are shuffled. The model was not trained on texts with masked tokens: ignore small differences."
        ),
    ),
    "logit lens": Entry(
        N_("Logit lens"),
        N_(
            "Each row is the model's prediction if it stopped after that layer. A label that appears late needs the "
            "late layers."
        ),
    ),
    "head": Entry(
        N_("Head"),
        N_("A layer reads the text through several attention heads at once; each learns its own patterns."),
    ),
    "token": Entry(N_("Token"), N_("A unit of text that the model reads: a word or part of a word.")),
    "padding": Entry(
        N_("Padding"),
        N_(
            "All texts of a batch need the same length, so shorter ones are filled with padding tokens. Padding "
            "costs time and teaches nothing."
        ),
    ),
    "perplexity": Entry(
        N_("Perplexity"),
        N_("As uncertain as choosing among this many equally likely tokens; lower is better. It is exp(loss)."),
    ),
    "smoothing": Entry(
        N_("Smoothing"),
        N_(
            "An exponential moving average: the weight of earlier values, from 0 (none) to 0.99. The raw values stay "
            "faint in the background. Curves of more than 8,000 points are smoothed over segment means."
        ),
    ),
    "confusion": Entry(
        N_("Confusion matrix"),
        N_(
            "At each evaluation, the validation examples are counted by their label and the model's prediction. "
            "Correct predictions are on the diagonal."
        ),
    ),
    "band": Entry(
        N_("Band"),
        N_(
            "Runs that differ only in their seed are drawn as their mean. The band is the 95% interval of that mean "
            "(Student's t over the n runs): with other seeds the mean would most likely fall inside it."
        ),
    ),
    "filter": Entry(
        N_("Filter"),
        N_(
            "A SQL WHERE condition over the table's fields: accuracy > 0.8 AND tuning = 'lora'. Put text in single "
            "quotes. Settings contain dots: training.learning_rate <= 1e-4. Tags: list_contains(tags, 'paper')."
        ),
    ),
    "precision and recall": Entry(
        N_("Precision and recall"),
        N_(
            "Precision: the share of the examples predicted as this class that belong to it. Recall: the share of the "
            "examples of this class that are predicted as it. F1, their harmonic mean, is high only if both are."
        ),
    ),
    "macro F1": Entry(
        N_("Macro F1"), N_("The mean of the F1 of each class: a rare class counts as much as a frequent one.")
    ),
    "ECE": Entry(
        N_("Expected calibration error"),
        N_(
            "Of all predictions made with confidence 0.9, 9 in 10 should be correct. The examples are put into ten "
            "bins by confidence; this is the mean gap between confidence and accuracy."
        ),
    ),
    "Pareto": Entry(
        N_("Pareto front"),
        N_(
            "A run is on the Pareto front if no other run is at least as good and costs no more. Every run off the "
            "front is beaten by another one."
        ),
    ),
    "bootstrap": Entry(
        N_("Bootstrap"),
        N_(
            "The test examples are resampled 10,000 times with replacement, the same ones for both runs. The interval "
            "is the middle 95% of the resulting differences. If it includes 0, the runs may be equally good."
        ),
    ),
    "McNemar": Entry(
        N_("McNemar's test"),
        N_(
            "Counts the examples that only one of two runs gets right. If the runs were equally good, each would get "
            "half of them; the p-value is the chance of a split at least as uneven."
        ),
    ),
    "Holm": Entry(
        N_("Holm correction"),
        N_(
            "Out of twenty comparisons, one looks like a difference by chance alone. Holm's correction raises the "
            "p-values so that the chance of even one false claim stays at 5%."
        ),
    ),
    "claims": Entry(
        N_("Claims"),
        N_(
            "If the interval of a difference excludes 0, chance does not explain the difference. With several seeds "
            "of each setting, runs are the samples (Welch's t test over seeds); otherwise test examples are (paired "
            "bootstrap; McNemar's exact test for accuracy). Several comparisons are corrected by Holm's method."
        ),
    ),
}


def help_for(*terms: str) -> str:
    """Return what one term means, or several terms each with its meaning, for a tooltip.

    Args:
        terms: keys of ``GLOSSARY``.
    """
    if len(terms) == 1:
        return _(GLOSSARY[terms[0]].text)
    return "\n\n".join(f"**{_(entry.title)}**: {_(entry.text)}" for entry in (GLOSSARY[term] for term in terms))
