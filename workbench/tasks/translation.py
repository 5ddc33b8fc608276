"""Translate a text into another language.

    workbench run translate        # English to Chinese from scratch, on sentences from tatoeba.org

BLEU is computed as in sacreBLEU, with a tokenization that suits the target's script; chrF compares characters and suits
every script. The baselines translate word by word with a lexicon of the training split, or copy the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.i18n import N_
from workbench.metrics import overlap
from workbench.metrics.overlap import Counts
from workbench.tasks.base import tasks
from workbench.tasks.shared.baselines.lexicon import Lexicon
from workbench.tasks.shared.seq2seq import SOURCE, Seq2Seq, Seq2SeqOptions
from workbench.tasks.shared.seq2seq_targets import PairTargets
from workbench.types import JsonObject

SOURCES = ("source", "src", "source_text", "original", "sentence", "text")
TARGETS = ("target", "tgt", "target_text", "translation", "translated")


@tasks.register("translation")
class Translation(Seq2Seq):
    """Translation: translate a text into another language."""

    example = N_("Say this German sentence in English.")
    primary_metric = "chrf"
    source_role = "source"
    text_measures = {"chrf": overlap.CHRF, "bleu": overlap.BLEU}  # noqa: RUF012

    class Config(Seq2SeqOptions):
        prompt: str = Field(
            SOURCE + "\nTranslation:\n", description="The prompt that a decoder continues; {source} is the text."
        )
        bleu_words: Literal["auto", "13a", "zh", "char"] = Field(
            "auto",
            description="Tokenization for BLEU, by its name in sacreBLEU: 13a if spaces separate words, zh "
            "for Chinese, "
            "char for other scripts without spaces. auto decides from the targets.",
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.words: overlap.Tokenization = "13a" if self.config.bleu_words == "auto" else self.config.bleu_words

    def columns(self) -> Sequence[Column]:
        return [
            Column("source", "The text to translate.", SOURCES),
            Column("target", "Its translation.", TARGETS, target=True),
        ]

    def fit(self, train: Examples) -> None:
        super().fit(train)
        if self.config.bleu_words == "auto":
            self.words = overlap.bleu_tokenization(train.columns["target"])

    def references(self, examples: Examples) -> list[list[str]]:
        return [[text] for text in examples.columns["target"]]

    def counts(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
        wanted = [texts[0] for texts in references]
        return overlap.chrf_counts(texts, wanted) | overlap.bleu_counts(texts, wanted, self.words)

    def baseline_texts(self, sources: Sequence[str], train: PairTargets) -> dict[str, list[str]]:
        lexicon = Lexicon.learn(train.sources, [texts[0] for texts in train.references])
        return {
            "word-by-word translation with a lexicon of the training split": [
                lexicon.translate(text) for text in sources
            ],
            "copying the source": list(sources),
        }

    def details(self) -> JsonObject:
        return {"bleu_signature": f"nrefs:1|case:mixed|eff:no|tok:{self.words}|smooth:exp"}
