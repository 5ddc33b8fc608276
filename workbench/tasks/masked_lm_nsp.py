"""BERT's two tasks at once: masked words, and whether the second text follows the first (Devlin et al. 2018, 3.1).

    task: masked-lm-nsp

The loss is the sum of both. How pairs are made is told in :mod:`workbench.tasks.shared.sentence_pairs`. Which of them
are
replaced, and which words are masked, is drawn anew each time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data.examples import Examples
from workbench.data.text.packing import (
    Documents,
    SpecialTokens,
    TokenSpan,
    join_chunks,
    offsets_within,
    tokenize_documents,
)
from workbench.data.text.tokens import TokenTable, fast_backend
from workbench.errors import DataError, SpecError
from workbench.tasks.base import Array, Encoded, tasks
from workbench.tasks.masked_lm import MaskedLM
from workbench.tasks.shared.language import IGNORED, Ints, TextTargets
from workbench.tasks.shared.sentence_pairs import FOLLOWS, RANDOM, Elsewhere, make_pairs, sentences

if TYPE_CHECKING:
    import torch

PAIR_SEED = 0  # pairs are part of the data: the same in every run
NEXT_SENTENCE = 2**24  # added to the word numbers of every second sentence


@dataclass(frozen=True)
class PairPlan:
    """What has to be known to replace second texts.

    Attributes:
        documents: the tokens of all documents.
        elsewhere: where in them second texts may be taken from.
        document: int64 [P], the document of each pair.
        second: int64 [P], where the second text begins in its pair, special tokens counted; and, once ``placed``, in
            the tokens of all rows.
        length: int64 [P], its tokens.
        first: int64 [P], where each pair begins in the tokens of all rows.
        row: int64 [N + 1], row i has the pairs ``row[i]:row[i + 1]``.
    """

    documents: Documents
    elsewhere: Elsewhere
    document: Ints
    second: Ints
    length: Ints
    first: Ints
    row: Ints

    def placed(self, lengths: Ints, order: Ints, row: Ints) -> PairPlan:
        """The plan of the rows that the pairs, of ``lengths`` [P], were put into, as :func:`best_fit` tells."""
        first = np.cumsum(lengths[order]) - lengths[order]
        return PairPlan(
            self.documents,
            self.elsewhere,
            self.document[order],
            self.second[order] + first,
            self.length[order],
            first,
            row,
        )


@tasks.register("masked-lm-nsp")
class MaskedLMWithPairs(MaskedLM):
    """BERT's two losses: guess masked words, and whether the second text follows the first."""

    head = "AutoModelForPreTraining"
    figures = ("loss", "perplexity", "bits_per_byte", "masked_accuracy", "nsp_accuracy")
    baseline_name = "the frequencies of the tokens in training; of pairs one half"

    def configure(self, model: Any) -> None:
        super().configure(model)
        from inspect import signature

        if "next_sentence_label" not in signature(model.forward).parameters:
            raise SpecError(
                f"{self.model_name} has no head that tells whether a text follows another.",
                "Use a model of BERT's kind (transformer-encoder), or the task masked-lm.",
            )

    # -- data ------------------------------------------------------------------------------------------------------

    def read(self, tokenizer: Any, examples: Examples) -> tuple[Documents, list[Ints]]:
        """The documents' tokens, sentence by sentence, and where in them each document's sentences begin and end."""
        by_document = [sentences(text) for text in examples.columns["text"]]
        flat = tokenize_documents(tokenizer, [s for each in by_document for s in each], self.needs_words)
        first = np.concatenate([[0], np.cumsum([len(each) for each in by_document])])
        borders = [flat.offsets[a : b + 1] for a, b in pairwise(first)]
        # Words are numbered in each sentence: where two meet, they shall not look like one word.
        words = flat.words + np.repeat(np.arange(len(flat)) % 2, flat.lengths).astype(np.int32) * NEXT_SENTENCE
        return Documents(flat.ids, words, flat.offsets[first]), borders

    def cut_pieces(
        self, documents: Documents, borders: list[Ints], tokenizer: Any, max_length: int
    ) -> tuple[TokenTable, Ints, Any]:
        if sum(len(each) > 1 for each in borders) < 2:
            raise DataError(
                f"A part has {len(documents)} document, and a text that does not follow must come from another one.",
                "Give more documents to each part, or use the task masked-lm.",
            )
        before, between, behind = pair_layout(tokenizer)
        special = len(before) + len(between) + len(behind)
        if max_length < special + 2:
            raise SpecError(
                f"data.max_length is {max_length} tokens: a pair of texts takes {special} special ones and two others.",
                f"Set data.max_length to {special + 2} or more.",
            )
        pairs = make_pairs(borders, max_length - special, PAIR_SEED)
        if not len(pairs.document):
            raise DataError("No document of a part has two tokens to make a pair of.", "Give longer documents.")
        a, b = (TokenSpan(pairs.starts[:, i], pairs.lengths[:, i], type=i) for i in (0, 1))
        layout: list[TokenSpan | SpecialTokens] = [
            SpecialTokens(before),
            a,
            SpecialTokens(between),
            b,
            SpecialTokens(behind, type=1),
        ]
        table = join_chunks(documents, len(pairs.document), layout, types=self.takes_types)
        second = len(before) + len(between) + pairs.lengths[:, 0]
        nowhere = np.zeros(0, dtype=np.int64)
        elsewhere = Elsewhere(borders)
        plan = PairPlan(documents, elsewhere, pairs.document, second, pairs.lengths[:, 1], nowhere, nowhere)
        return table, pairs.document, plan

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        assert encoded.tokens.words is not None
        words = encoded.tokens.pad_values(encoded.tokens.words, indices, -1, multiple)
        kinds = self.replace_texts(batch["input_ids"].numpy(), words, encoded, indices)
        batch = self.mask(batch, torch.from_numpy(words), torch.from_numpy(encoded.targets.predicted[indices]))
        packed = encoded.tokens.documents is not None
        return {**batch, "next_sentence_label": torch.from_numpy(kinds if packed else kinds[:, 0])}

    def replace_texts(self, ids: Ints, words: Ints, encoded: Encoded, indices: Array) -> Ints:
        """Replace the second text of about half of the pairs by one of another document, in place.

        Args:
            ids, words: of the rows ``indices``, [B, T].

        Returns:
            int64 [B, T]: at a pair's first token 0 where its second text follows and 1 where it does not; else -100.
        """
        import torch

        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        plan: PairPlan = encoded.targets.more
        count = np.diff(plan.row)[indices]
        pair = np.repeat(plan.row[indices], count) + offsets_within(count)
        line = np.repeat(np.arange(len(indices)), count)
        begin = encoded.tokens.offsets[indices][line]
        kinds = np.full(ids.shape, IGNORED, dtype=np.int64)
        start = plan.elsewhere.draw(plan.document[pair], plan.length[pair], generator)
        gone = (generator.random(len(pair)) < 0.5) & (start >= 0)
        kinds[line, plan.first[pair] - begin] = np.where(gone, RANDOM, FOLLOWS)
        pair, line, begin, start = pair[gone], line[gone], begin[gone], start[gone]
        length = plan.length[pair]
        to = (np.repeat(line, length), np.repeat(plan.second[pair] - begin, length) + offsets_within(length))
        source = np.repeat(start, length) + offsets_within(length)
        ids[to], words[to] = plan.documents.ids[source], plan.documents.words[source]
        return kinds

    # -- results ---------------------------------------------------------------------------------------------------

    output_columns = ("nats", "predicted", "right", "pair_nats", "pairs", "pairs_right")

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        import torch
        from torch.nn import functional

        words = super().outputs(model_output, batch)
        logits, kind = model_output.seq_relationship_logits, batch["next_sentence_label"]
        assert kind.dim() == 1, "pairs are not packed where they are evaluated"
        nats = functional.cross_entropy(logits.float(), kind, reduction="none")
        right = logits.argmax(dim=-1) == kind
        return torch.cat([words, torch.stack([nats, torch.ones_like(nats), right], dim=1).double().cpu()], dim=1)

    def baseline(self, table: Mapping[str, Any], targets: TextTargets, train_targets: TextTargets) -> dict[str, float]:
        pairs = float(np.sum(table["pairs"]))
        return {
            **super().baseline(table, targets, train_targets),
            "pair_nats": pairs * math.log(2),
            "pairs": pairs,
            "pairs_right": pairs / 2,
        }


def pair_layout(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """The special tokens before, between and behind the two texts of a pair."""
    encoding = fast_backend(tokenizer).encode("a", "a")
    special = np.array(encoding.special_tokens_mask, dtype=bool)
    ids = np.array(encoding.ids)
    text = np.flatnonzero(~special)
    if not len(text):
        raise SpecError("The tokenizer knows no letter a, so the place of its special tokens is not known.")
    first, last = text[0], text[-1]
    return ids[:first].tolist(), ids[first:last][special[first:last]].tolist(), ids[last + 1 :].tolist()
