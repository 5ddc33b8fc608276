"""BERT's two tasks at once: masked words, and whether the second text follows the first (Devlin et al. 2018, 3.1).

    task: masked-lm-nsp

The loss is the sum of both. How pairs are made is told in :mod:`workbench.tasks.sentence_pairs`. The pairs of a run are
made once; which words are masked is drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.examples import Examples
from workbench.data.packing import Documents, Span, Special, join, read_documents
from workbench.data.tokens import TokenTable, backend_of
from workbench.errors import DataError, SpecError
from workbench.tasks.base import Array, Encoded, tasks
from workbench.tasks.language import IGNORED, Ints, TextTargets
from workbench.tasks.masked_lm import MaskedLM
from workbench.tasks.sentence_pairs import make_pairs, sentences

if TYPE_CHECKING:
    import torch

PAIR_SEED = 0  # pairs are part of the data: the same in every run


@tasks.register("masked-lm-nsp")
class MaskedLMWithPairs(MaskedLM):
    """BERT's two losses: guess masked words, and whether the second text follows the first."""

    head = "AutoModelForPreTraining"
    figures = ("loss", "perplexity", "bits_per_byte", "masked_accuracy", "nsp_accuracy")
    baseline_name = "the frequencies of the tokens in training, and of the two kinds of pairs"

    def adapt(self, model: Any) -> None:
        super().adapt(model)
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
        flat = read_documents(tokenizer, [s for each in by_document for s in each], self.needs_words)
        first = np.concatenate([[0], np.cumsum([len(each) for each in by_document])])
        borders = [flat.offsets[a : b + 1] for a, b in pairwise(first)]
        return Documents(flat.ids, flat.words, flat.offsets[first]), borders

    def cut_pieces(
        self, documents: Documents, borders: list[Ints], tokenizer: Any, max_length: int
    ) -> tuple[TokenTable, Ints, NDArray[np.int8] | None]:
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
        a, b = (Span(pairs.starts[:, i], pairs.lengths[:, i], type=i) for i in (0, 1))
        layout: list[Span | Special] = [Special(before), a, Special(between), b, Special(behind, type=1)]
        return join(documents, len(pairs.kind), layout, types=self.takes_types), pairs.document, pairs.kind

    def spoil(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        batch = super().spoil(batch, encoded, indices, multiple)
        follows = torch.from_numpy(encoded.tokens.rectangle(encoded.targets.follows, indices, IGNORED, multiple))
        packed = encoded.tokens.documents is not None
        if not packed:
            return {**batch, "next_sentence_label": follows[:, 0]}
        spoiled = {**batch, "next_sentence_label": follows}
        if self.takes_places:
            spoiled["pair_places"] = (follows.flatten() != IGNORED).nonzero().squeeze(1)
        return spoiled

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
        known, asked = _kinds(train_targets), _kinds(targets)
        nats = -np.log((known + 1.0) / (known.sum() + 2))
        return {
            **super().baseline(table, targets, train_targets),
            "pair_nats": float((asked * nats).sum()),
            "pairs": float(asked.sum()),
            "pairs_right": float(asked[known.argmax()]),
        }


def _kinds(targets: TextTargets) -> Ints:
    """How many pairs follow, and how many do not."""
    assert targets.follows is not None
    return np.bincount(targets.follows[targets.follows != IGNORED], minlength=2)


def pair_layout(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """The special tokens before, between and behind the two texts of a pair."""
    encoding = backend_of(tokenizer).encode("a", "a")
    special = np.array(encoding.special_tokens_mask, dtype=bool)
    ids = np.array(encoding.ids)
    text = np.flatnonzero(~special)
    if not len(text):
        raise SpecError("The tokenizer knows no letter a, so the place of its special tokens is not known.")
    first, last = text[0], text[-1]
    return ids[:first].tolist(), ids[first:last][special[first:last]].tolist(), ids[last + 1 :].tolist()
