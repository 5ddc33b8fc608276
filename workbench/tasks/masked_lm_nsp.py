"""BERT's two pretraining tasks: masked tokens and next sentence prediction (Devlin et al. 2018, section 3.1).

    task: masked-lm-nsp

The loss is the sum of both. :mod:`workbench.tasks.shared.sentence_pairs` describes how pairs are made. The pairs to
replace and the words to mask are sampled again each time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from typing import TYPE_CHECKING

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
from workbench.i18n import N_
from workbench.tasks.base import ModelOutput, tasks
from workbench.tasks.contexts import Array, Batch, Encoded
from workbench.tasks.masked_lm import MaskedLM
from workbench.tasks.shared.language import TextTargets
from workbench.tasks.shared.sentence_pairs import FOLLOWS, RANDOM, OtherDocuments, make_pairs, sentences
from workbench.types import IGNORE_INDEX, Floats, Ints, Model, Tokenizer

if TYPE_CHECKING:
    import torch

PAIR_SEED = 0  # pairs belong to the data: they are the same in every run
NEXT_SENTENCE = 2**24  # added to the word numbers of every second sentence


@dataclass(frozen=True)
class PairPlan:
    """The data needed to replace second texts.

    Attributes:
        documents: the tokens of all documents.
        others: the spans in them that can replace a second text.
        document: int64 [P], the document of each pair.
        second: int64 [P], where the second text begins in its pair, special tokens included; and, once ``placed``, in
            the tokens of all rows.
        length: int64 [P], number of tokens of the second text.
        first: int64 [P], where each pair begins in the tokens of all rows.
        row: int64 [N + 1], row i has the pairs ``row[i]:row[i + 1]``.
    """

    documents: Documents
    others: OtherDocuments
    document: Ints
    second: Ints
    length: Ints
    first: Ints
    row: Ints

    def placed(self, lengths: Ints, order: Ints, row: Ints) -> PairPlan:
        """Return the plan for the rows that the pairs were packed into.

        Args:
            lengths: number of tokens in each pair, [P].
            order: the pairs in the order of the rows, [P].
            row: offsets of each row's pairs in ``order``, [N + 1].
        """
        first = np.cumsum(lengths[order]) - lengths[order]
        return PairPlan(
            self.documents,
            self.others,
            self.document[order],
            self.second[order] + first,
            self.length[order],
            first,
            row,
        )


@tasks.register("masked-lm-nsp")
class MaskedLMWithPairs(MaskedLM):
    """BERT pretraining: predict masked tokens, and whether the second text follows the first."""

    example = N_("Build a BERT from your own texts, from the beginning.")
    head = "AutoModelForPreTraining"
    metric_names = ("loss", "perplexity", "bits_per_byte", "masked_accuracy", "nsp_accuracy")
    baseline_name = "the token frequencies in training; for pairs, chance"

    def configure(self, model: Model) -> None:
        super().configure(model)
        if "next_sentence_label" not in signature(model.forward).parameters:
            raise SpecError(
                f"{type(model).__name__} has no head for next sentence prediction.",
                "Use a BERT-like model (transformer-encoder), or the task masked-lm.",
            )

    # -- data ----------------------------------------------------------------------------------------------------------

    def read(self, tokenizer: Tokenizer, examples: Examples) -> tuple[Documents, list[Ints]]:
        # The documents' tokens, and the sentence offsets of each document.
        by_document = [sentences(text) for text in examples.columns["text"]]
        flat = tokenize_documents(tokenizer, [s for each in by_document for s in each], self.needs_words)
        first = np.concatenate([[0], np.cumsum([len(each) for each in by_document])])
        sentence_ends = [flat.offsets[a : b + 1] for a, b in pairwise(first)]
        # Words are numbered within each sentence: the last word of one and the first of the next must stay distinct.
        words = flat.words + np.repeat(np.arange(len(flat)) % 2, flat.lengths).astype(np.int32) * NEXT_SENTENCE
        return Documents(flat.ids, words, flat.offsets[first]), sentence_ends

    def cut_chunks(
        self, documents: Documents, sentence_ends: list[Ints], tokenizer: Tokenizer, max_length: int
    ) -> tuple[TokenTable, Ints, PairPlan]:
        if sum(len(each) > 1 for each in sentence_ends) < 2:
            raise DataError(
                f"A split has {len(documents)} document, but random second texts must come from another document.",
                "Add documents to each split, or use the task masked-lm.",
            )
        prefix, separator, suffix = pair_layout(tokenizer)
        special = len(prefix) + len(separator) + len(suffix)
        if max_length < special + 2:
            raise SpecError(
                f"data.max_length is {max_length} tokens, but a pair needs {special} special tokens and two others.",
                f"Set data.max_length to {special + 2} or more.",
            )
        pairs = make_pairs(sentence_ends, max_length - special, PAIR_SEED)
        if not len(pairs.document):
            raise DataError("No document of a split has the two tokens that a pair needs.", "Use longer documents.")
        a, b = (TokenSpan(pairs.starts[:, i], pairs.lengths[:, i], type=i) for i in (0, 1))
        layout: list[TokenSpan | SpecialTokens] = [
            SpecialTokens(prefix),
            a,
            SpecialTokens(separator),
            b,
            SpecialTokens(suffix, type=1),
        ]
        table = join_chunks(documents, len(pairs.document), layout, types=self.model_inputs.token_types)
        second = len(prefix) + len(separator) + pairs.lengths[:, 0]
        empty = np.zeros(0, dtype=np.int64)
        others = OtherDocuments(sentence_ends)
        plan = PairPlan(documents, others, pairs.document, second, pairs.lengths[:, 1], empty, empty)
        return table, pairs.document, plan

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Ints, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        assert encoded.tokens.words is not None
        words = encoded.tokens.pad_values(encoded.tokens.words, indices, -1, multiple)
        kinds = self.replace_texts(batch["input_ids"].numpy(), words, encoded, indices)
        batch = self.mask(batch, torch.from_numpy(words), torch.from_numpy(encoded.targets.predicted[indices]))
        packed = encoded.tokens.documents is not None
        return {**batch, "next_sentence_label": torch.from_numpy(kinds if packed else kinds[:, 0])}

    def replace_texts(self, ids: Ints, words: Ints, encoded: Encoded, indices: Ints) -> Ints:
        """Replace the second text of about half of the pairs by one from another document, in place.

        Args:
            ids: tokens of the rows ``indices``, [B, T].
            words: index of each token's word, [B, T].
            encoded: the encoded split.
            indices: indices of the batch's rows, [B].

        Returns:
            int64 [B, T]: at a pair's first token, 0 if its second text follows and 1 if it does not; elsewhere
            IGNORE_INDEX.
        """
        import torch

        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        plan: PairPlan = encoded.targets.more
        count = np.diff(plan.row)[indices]
        pair = np.repeat(plan.row[indices], count) + offsets_within(count)
        line = np.repeat(np.arange(len(indices)), count)
        begin = encoded.tokens.offsets[indices][line]
        kinds = np.full(ids.shape, IGNORE_INDEX, dtype=np.int64)
        start = plan.others.sample(plan.document[pair], plan.length[pair], generator)
        replaced = (generator.random(len(pair)) < 0.5) & (start >= 0)
        kinds[line, plan.first[pair] - begin] = np.where(replaced, RANDOM, FOLLOWS)
        pair, line, begin, start = pair[replaced], line[replaced], begin[replaced], start[replaced]
        length = plan.length[pair]
        to = (np.repeat(line, length), np.repeat(plan.second[pair] - begin, length) + offsets_within(length))
        source = np.repeat(start, length) + offsets_within(length)
        ids[to], words[to] = plan.documents.ids[source], plan.documents.words[source]
        return kinds

    # -- results -------------------------------------------------------------------------------------------------------

    output_columns = ("nats", "predicted", "right", "pair_nats", "pairs", "pairs_right")

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        # The sums over the words of each row, and over its pair, [B, 6].
        import torch
        from torch.nn import functional

        words = super().outputs(model_output, batch)
        logits, kind = model_output.seq_relationship_logits, batch["next_sentence_label"]
        assert kind.dim() == 1, "pairs are not packed for evaluation"
        nll = functional.cross_entropy(logits.float(), kind, reduction="none")
        correct = logits.argmax(dim=-1) == kind
        return torch.cat([words, torch.stack([nll, torch.ones_like(nll), correct], dim=1).double().cpu()], dim=1)

    def baseline(
        self, table: Mapping[str, Floats], targets: TextTargets, train_targets: TextTargets
    ) -> dict[str, float]:
        pairs = float(np.sum(table["pairs"]))
        return {
            **super().baseline(table, targets, train_targets),
            "pair_nats": pairs * math.log(2),
            "pairs": pairs,
            "pairs_right": pairs / 2,
        }


def pair_layout(tokenizer: Tokenizer) -> tuple[list[int], list[int], list[int]]:
    """Return the special tokens before, between and after the two texts of a pair.

    Args:
        tokenizer: the model's tokenizer.

    Raises:
        SpecError: the tokenizer cannot encode the letter that locates its special tokens.
    """
    encoding = fast_backend(tokenizer).encode("a", "a")
    special: Array = np.array(encoding.special_tokens_mask, dtype=bool)
    ids = np.array(encoding.ids)
    text = np.flatnonzero(~special)
    if not len(text):
        raise SpecError("The tokenizer does not know the letter 'a', so its special tokens cannot be located.")
    first, last = text[0], text[-1]
    return ids[:first].tolist(), ids[first:last][special[first:last]].tolist(), ids[last + 1 :].tolist()
