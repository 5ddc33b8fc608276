"""Summarize a text.

    workbench run summarize        # one-sentence summaries of scientific abstracts

ROUGE is computed as in Lin (2004), without stemming; if there are several reference summaries, the most similar one
counts. The baseline is the first sentence of the text, which is hard to beat: writers begin with what matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.i18n import N_
from workbench.metrics import overlap
from workbench.metrics.overlap import Counts
from workbench.tasks.base import tasks
from workbench.tasks.shared.sentence_pairs import sentences
from workbench.tasks.shared.seq2seq import SOURCE, Seq2Seq, Seq2SeqOptions
from workbench.tasks.shared.seq2seq_targets import PairTargets
from workbench.types import JsonObject

TEXTS = ("text", "document", "article", "body", "content", "source", "abstract", "dialogue")
SUMMARIES = ("summary", "summaries", "highlights", "tldr", "target", "headline")


@tasks.register("summarization")
class Summarization(Seq2Seq):
    """Summarization: write a short summary of a text."""

    example = N_("What does this long report say in two sentences?")
    primary_metric = "rougeL"
    source_role = "text"
    text_measures = {name: ("ratio", name, "examples") for name in ("rougeL", "rouge1", "rouge2")}  # noqa: RUF012

    class Config(Seq2SeqOptions):
        prompt: str = Field(
            SOURCE + "\nTL;DR:\n", description="The prompt that a decoder continues; {source} is the text."
        )
        rouge_words: Literal["auto", "ascii", "unicode"] = Field(
            "auto",
            description="What ROUGE counts as a word: ascii, like rouge-score (a-z and 0-9; everything else is "
            "dropped), or "
            "unicode (any letters; each Chinese or Japanese character is a word). auto decides from the summaries.",
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        chosen = self.config.rouge_words
        self.words: overlap.RougeTokenization = "ascii" if chosen == "auto" else chosen

    def columns(self) -> Sequence[Column]:
        return [
            Column("text", "The text to summarize.", TEXTS),
            Column("summary", "Its summary, or several summaries.", SUMMARIES, kind="texts", target=True),
        ]

    def fit(self, train: Examples) -> None:
        super().fit(train)
        if self.config.rouge_words == "auto":
            self.words = overlap.rouge_tokenization(texts[0] for texts in train.columns["summary"])

    def references(self, examples: Examples) -> list[list[str]]:
        return [list(texts) for texts in examples.columns["summary"]]

    def counts(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        return {**overlap.rouge_scores(texts, references, self.words), "examples": np.ones(len(texts))}

    def baseline_texts(self, sources: Sequence[str], train: PairTargets) -> dict[str, list[str]]:
        return {"the first sentence": [lead(text) for text in sources]}

    def details(self) -> JsonObject:
        return {"rouge_signature": f"F1|stemming:no|words:{self.words}|references:best"}


def lead(text: str) -> str:
    """Return the first sentence of a text.

    Args:
        text: any text.
    """
    return next(iter(sentences(text)), text).strip()
