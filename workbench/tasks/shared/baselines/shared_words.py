"""The sentence that shares the most words with a question: the baseline of extractive question answering.

Words that are rare in the training contexts count more (inverse document frequency). In scripts without spaces, each
character is a word.

Source: the sentence baselines of Rajpurkar et al. 2016, "SQuAD", section 5, and Yang, Yih & Meek 2015, "WikiQA".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from workbench.tasks.shared.sentence_pairs import sentences

NAME = "the sentence of the context that shares the most words with the question"

# A character of a script without spaces, or a run of other letters and digits.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|"
    r"[^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)


def nearest_sentences(questions: Sequence[str], contexts: Sequence[str], train_contexts: Sequence[str]) -> list[str]:
    """Return the sentence of each context that shares the most words with its question; the first one of equals.

    Args:
        questions: N questions.
        contexts: their contexts, [N].
        train_contexts: the contexts from which the words' frequencies are counted.
    """
    distinct = set(train_contexts)
    frequency = Counter(word for text in distinct for word in _words(text))
    divided: dict[str, list[tuple[str, set[str]]]] = {}
    answers = []
    for question, context in zip(questions, contexts, strict=True):
        if context not in divided:
            divided[context] = [(sentence.strip(), _words(sentence)) for sentence in sentences(context)]
        weights = {word: math.log(1 + len(distinct) / (frequency[word] + 1)) for word in _words(question)}
        scores = [sum(weights[word] for word in weights.keys() & words) for _, words in divided[context]]
        answers.append(divided[context][scores.index(max(scores))][0] if scores else context)
    return answers


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
