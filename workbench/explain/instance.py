"""What is explained: one text, as the model sees it, and the model's answer when some of its tokens are masked.

Explainers and measures of faithfulness query the model only through :class:`Instance`, so that all of them mean
the same by "token", "masked" and "probability".
"""

from __future__ import annotations

from inspect import signature

import numpy as np
import torch
from transformers.utils.generic import ModelOutput

from workbench.errors import RequestError
from workbench.explain.encoding import Inputs, encode_for
from workbench.explain.hooks import evaluating, unwrapped
from workbench.explain.predictor import Predictor
from workbench.tasks.base import Target, TargetScore
from workbench.types import Bools, Floats, Ints, Tokenizer

BATCH = 32


def mask_token(tokenizer: Tokenizer) -> str | None:
    """Return the token that replaces a masked one: the mask, or else the padding, unknown or end token.

    Args:
        tokenizer: any tokenizer.

    Returns:
        The token; None where the tokenizer has none of them.
    """
    token = tokenizer.mask_token or tokenizer.pad_token or tokenizer.unk_token or tokenizer.eos_token
    return None if token is None else str(token)


class Instance:
    """One text and the model whose answer to it is explained.

    Attributes:
        task, model, tokenizer, labels: the predictor's.
        device: where the model is.
        texts: the text and the second text, empty where there is none.
        encoded: the tokens.
        maskable: positions of the tokens that may be masked, int64 [M]: all but special tokens.
    """

    def __init__(self, predictor: Predictor, text: str, text_pair: str | None = None) -> None:
        self.task = predictor.task
        self.model = predictor.model
        self.tokenizer = predictor.tokenizer
        self.labels = list(predictor.labels)
        self.device = next(self.model.parameters()).device
        self.texts = (text, text_pair or "")
        self.encoded = encode_for(predictor, text, text_pair)
        self.maskable: Ints = np.flatnonzero(~np.array(self.encoded.special))
        # A causal model computes logits for every position, which would fill the memory; only the last are needed.
        forward = signature(unwrapped(self.model).forward).parameters
        only_last = self.task.target_kind == "next token" and "logits_to_keep" in forward
        self._forward_options = {"logits_to_keep": 1} if only_last else {}

    def output(self) -> ModelOutput:
        """Return the model's output for the whole text, without gradients."""
        with evaluating(self.model), torch.no_grad():
            output: ModelOutput = self.model(**self.encoded.inputs, **self._forward_options)
        return output

    def repeated(self, count: int) -> Inputs:
        """Return the inputs as a batch of equal rows, [count, tokens] each.

        Args:
            count: rows of the batch.
        """
        return {name: value.expand(count, -1) for name, value in self.encoded.inputs.items()}

    def target_score(self, inputs: Inputs, target: Target) -> TargetScore:
        """Return the target's logit and probability in each row, in the model's current mode.

        Args:
            inputs: variants of the text, [B, tokens] each.
            target: what is explained.
        """
        return self.task.target_score(self.model(**inputs, **self._forward_options), inputs, target)

    def probability(self, target: Target) -> float:
        """Return the target's probability for the whole text.

        Args:
            target: what is explained.
        """
        everything = np.ones((1, len(self.encoded.tokens)), dtype=bool)
        return float(self.masked_probabilities(everything, target)[0])

    @property
    def mask_token(self) -> str:
        """The token that replaces a masked one. Raises RequestError where the tokenizer has none."""
        token = mask_token(self.tokenizer)
        if token is None:
            raise RequestError(
                "The tokenizer has no mask, padding, unknown or end token to replace a masked token.",
                "Use a model whose tokenizer has one of them.",
            )
        return token

    @property
    def mask_token_id(self) -> int:
        """The index of ``mask_token`` in the vocabulary."""
        index = self.tokenizer.convert_tokens_to_ids(self.mask_token)
        assert isinstance(index, int)
        return index

    def expand_mask(self, visible: Bools) -> Bools:
        """Return masks over all tokens, as :meth:`masked_probabilities` takes them.

        Args:
            visible: [N, M], over the maskable tokens only.

        Returns:
            [N, tokens]; special tokens are visible.
        """
        expanded = np.ones((len(visible), len(self.encoded.tokens)), dtype=bool)
        expanded[:, self.maskable] = visible
        return expanded

    def masked_probabilities(self, visible: Bools, target: Target) -> Floats:
        """Return the target's probability when the model sees only some of the tokens.

        Args:
            visible: [N, tokens]; a token that is False is replaced by ``mask_token`` (and hidden from attention where
                that is the padding token). Special tokens are always visible.
            target: what is explained.

        Returns:
            [N].
        """
        # Random masks of a short text repeat: the model computes each one once.
        distinct, inverse = np.unique(visible | np.array(self.encoded.special), axis=0, return_inverse=True)
        masks = torch.from_numpy(distinct).to(self.device)
        batches = []
        with evaluating(self.model), torch.no_grad():
            for batch in torch.split(masks, BATCH):
                batches.append(self.target_score(self._masked_inputs(batch), target).probability.double().cpu().numpy())
        probabilities: Floats = np.concatenate(batches)[inverse.reshape(-1)]
        return probabilities

    def _masked_inputs(self, visible: torch.Tensor) -> Inputs:
        inputs = self.repeated(len(visible))
        if bool(visible.all()):
            return inputs
        ids = torch.full_like(inputs["input_ids"], self.mask_token_id)
        masked = {**inputs, "input_ids": torch.where(visible, inputs["input_ids"], ids)}
        if self.mask_token == self.tokenizer.pad_token and "attention_mask" in inputs:
            attention = inputs["attention_mask"] * visible
            # A text in which nothing is visible has no answer at all: there the padding is attended to.
            masked["attention_mask"] = torch.where(attention.any(-1, keepdim=True), attention, inputs["attention_mask"])
        return masked
