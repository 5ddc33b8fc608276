"""Words that a newcomer may not know, explained once; shown as tooltips."""

from __future__ import annotations

WORDS = {
    "task": "What the model learns to do, such as putting each text into one of several classes.",
    "model": "The network to start from. A pretrained one has already read much text, and needs few examples.",
    "tuning": "Which of the model's weights the training changes. LoRA changes a small part, and is often as good.",
    "range test": "A short test in which the learning rate rises until the loss explodes. A good rate for training "
    "lies where the loss falls, well before it is lowest.",
    "samples": "After each evaluation the model goes on with a few beginnings, so that one can read how it learns.",
    "loss": "How wrong the model is, as one number; lower is better.",
    "learning rate": "How far a step moves the weights. Too high and the loss jumps; too low and nothing is learned.",
    "epoch": "One pass over all training examples.",
    "step": "One change of the weights, made from one batch of examples.",
    "seeds": "Runs that differ in nothing but chance: new weights, the order of the examples, dropout. How far "
    "their results lie apart tells which differences between settings mean something; one run of each cannot.",
    "interval": "95% interval: if the test were made again with other examples of the same kind, the figure would "
    "usually fall in here.",
    "baseline": "What you would get without a model, by always giving the most frequent answer.",
    "trained parameters": "How many of the model's numbers the training may change.",
    "attention": "For each token, how much the model looks at every other token while it computes. "
    "It shows where information could flow, not why a decision was made.",
    "faithfulness": "Whether the tokens that the picture marks really drive the decision: they are removed, and the "
    "change is compared with removing random ones.",
    "faithfulness evaluation": "If an explanation is right, masking the tokens that it ranks highest lowers the "
    "prediction more than masking random ones. It also stays the same when nothing that matters changes, and changes "
    "when the weights are shuffled. The model was not trained on texts with masked tokens: ignore small differences.",
    "logit lens": "Each row is what the model would say if it stopped after that layer. A label that appears late "
    "needed the late layers.",
    "head": "A layer looks at the text through several heads at once, each with its own idea of what belongs together.",
    "token": "The piece of text that the model reads as one unit: a word or a part of one.",
    "padding": "The texts of a batch must be equally long, so the shorter ones are filled up with tokens that mean "
    "nothing. They cost time and teach nothing.",
    "perplexity": "Between how many tokens, equally likely, the model wavers on average; lower is better. It is e to "
    "the power of the loss.",
    "smoothing": "A moving average: the weight of what was before, from 0 (none) to 0.99. The raw "
    "values stay faint behind. Of more than 8,000 points it is an average of the means of some thousand stretches.",
    "confusion": "Each time the model is evaluated, the validation examples are counted by what they are and what the "
    "model says. On the diagonal it is right.",
    "band": "Runs that differ in their seed only are drawn as their mean. The band is the 95% interval of that mean "
    "(Student's t over the n runs): with other seeds the mean would most likely lie in it.",
    "filter": "What stands behind WHERE in SQL, over the table's fields: accuracy > 0.8 AND tuning = 'lora'. Texts "
    "stand in single quotes. Settings have dots: training.learning_rate <= 1e-4. Tags: list_contains(tags, 'paper').",
    "precision and recall": "Precision: of the examples that were said to be of a class, the share that is. Recall: of "
    "the examples of the class, the share that was found. F1 is high only where both are (their harmonic mean).",
    "macro F1": "F1 of each class by itself, then their mean: a rare class counts as much as a frequent one.",
    "ECE": "Expected calibration error: a run that says 0.9 should be right in 9 of 10 cases. The examples are put "
    "into ten bins by how sure the run is; this is the mean distance between how sure it is and how often it is right.",
    "Pareto": "A run is on the Pareto front when no other one is at least as good and costs no more. Any run that is "
    "not on it is beaten: another one gives as much for the price.",
    "bootstrap": "The test examples are drawn again 10,000 times, with repetition, the same ones for both runs. Of the "
    "differences found, the middle 95% are the interval. Where it holds 0, the two may be equally good.",
    "McNemar": "Looks at the examples that only one of two runs gets right. If the runs were equally good, each would "
    "have half of these; the p-value is the chance of a split at least as uneven.",
    "Holm": "Of twenty comparisons one looks like a difference by chance alone. Holm's correction raises the p-values "
    "so that the chance of even one false claim stays at 5%.",
    "claims": "An interval of the difference that leaves out 0 is a difference that chance does not explain. With "
    "several seeds of each setting the runs are what is drawn (Welch's t test over seeds), otherwise the test examples "
    "(paired bootstrap; McNemar's exact test for accuracy). Several comparisons are corrected by Holm's method.",
}


def help_for(*words: str) -> str:
    """Several words, each with what it means, as one tooltip."""
    return "\n\n".join(f"**{word.capitalize()}**: {WORDS[word]}" for word in words)
