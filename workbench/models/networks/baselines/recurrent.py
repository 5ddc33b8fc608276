"""Recurrent networks: a state that is passed from word to word.

Hochreiter and Schmidhuber 1997 (LSTM, with the forget gate of Gers et al. 2000), Cho et al. 2014 (GRU), Schuster and
Paliwal 1997 (both directions), Bahdanau, Cho and Bengio 2015 (additive attention). They read in order, one word
after another, and what the first word said has to survive every later step. Attention was invented for them; the
Transformer is what remains without the recurrence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers.utils.generic import ModelOutput

from workbench.errors import SpecError
from workbench.models.networks.baselines.common import BaselineConfig, BaselineModel, Embeddings, embed

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}
State = Tensor | tuple[Tensor, Tensor]  # of a GRU; of an LSTM, together with its cell


class RecurrentConfig(BaselineConfig):
    """Configuration of a recurrent network.

    Attributes:
        cell: ``lstm`` or ``gru``.
        num_hidden_layers: layers, each reading the output of the one below.
        bidirectional: a second network reads from the end; each direction then has ``hidden_size`` / 2 numbers.
        attention: the text is a weighted sum of all states instead of the last one.
        tie_word_embeddings: a language model's output layer shares the table of word vectors.
    """

    model_type = "workbench-recurrent"

    cell: str = "lstm"
    num_hidden_layers: int = 1
    bidirectional: bool = False
    attention: bool = False
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: object) -> None:
        if self.cell not in CELLS:
            raise SpecError(f"The cell is {self.cell!r}; it must be one of {', '.join(CELLS)}.", "Change `cell`.")
        if self.num_hidden_layers < 1:
            raise SpecError(f"The network has {self.num_hidden_layers} layers; it needs at least 1.", "Set it to 1.")
        if self.bidirectional and self.hidden_size % 2:
            raise SpecError(
                f"hidden_size is {self.hidden_size}, and two directions cannot have half of it each.",
                f"Set it to {self.hidden_size + 1}, or read in one direction.",
            )
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class RecurrentState:
    """The memory of a forward network, from which generation continues, one step per token.

    It is used like a Transformer's key-value cache, but does not grow with the text.

    Attributes:
        layers: the state after the last token of each layer, [1, B, H] (for an LSTM, two of them).
        length: number of tokens read, including padding.
    """

    def __init__(self) -> None:
        self.layers: dict[int, State] = {}
        self.length = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens read; transformers calls a cache by this name.

        Args:
            layer_idx: ignored; all layers have read the same tokens.
        """
        return self.length

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Select the states of the beams that continue.

        Args:
            beam_idx: [B], the row of each beam.
        """
        for number, state in self.layers.items():
            selected = [tensor.index_select(1, beam_idx.to(tensor.device)) for tensor in _tensors(state)]
            self.layers[number] = selected[0] if len(selected) == 1 else (selected[0], selected[1])


def _tensors(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


class RecurrentLayer(nn.Module):
    """One recurrent layer, in one direction or two.

    At token t, from its input ``x_t`` [B, I] and the state before, an LSTM computes (σ is the logistic function, ∘ the
    elementwise product)

        i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)        input gate: how much is let in
        f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)        forget gate: how much stays
        g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)     candidate: what could be let in
        o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)        output gate: how much is shown
        c_t = f_t ∘ c_{t-1} + i_t ∘ g_t                       the cell: changed by addition, so gradients survive
        h_t = o_t ∘ tanh(c_t)                                 the state [B, H], the layer's output

    and a GRU, which has no cell of its own,

        r_t = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)        reset gate
        z_t = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)        update gate
        n_t = tanh(W_in x_t + b_in + r_t ∘ (W_hn h_{t-1} + b_hn))
        h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}

    torch stacks the gates' matrices in this order: ``weight_ih_l0`` is W_i*, ``weight_hh_l0`` is W_h*.

    Args:
        config: shape of the network.
        number: index of this layer, from 0.
    """

    def __init__(self, config: RecurrentConfig, number: int) -> None:
        super().__init__()
        width = config.embedding_size if number == 0 else config.hidden_size
        directions = 2 if config.bidirectional else 1
        self.number = number
        self.dropout = nn.Dropout(config.dropout)
        self.cell = CELLS[config.cell](
            width, config.hidden_size // directions, batch_first=True, bidirectional=config.bidirectional
        )

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, cache: RecurrentState | None = None) -> Tensor:
        """Read a text.

        Args:
            inputs: [B, T, I], the text's own tokens first.
            lengths: int64 [B] on the CPU, the number of the text's own tokens; None without padding.
            cache: continue from its state, and store the new one there.

        Returns:
            The state after each token, [B, T, H]; with two directions, the forward one comes first.
        """
        inputs = self.dropout(inputs)
        before = cache.layers.get(self.number) if cache is not None else None
        if lengths is None:
            outputs, after = self.cell(inputs, before)
        else:  # packed, so that the backward direction starts at each text's own last token
            packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            packed, after = self.cell(packed, before)
            outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        if cache is not None:
            cache.layers[self.number] = after
        states: Tensor = outputs
        return states


class AttentionPooling(nn.Module):
    """A text as the weighted sum of its states: additive attention (Bahdanau et al. 2015, section 3.1 and A.1.2).

        e_t = v · tanh(W h_t + b)               energy of token t, one number
        α_t = exp(e_t) / Σ_s exp(e_s)           its weight, over the text's own tokens; they sum to 1
        s   = Σ_t α_t h_t                       the text [B, H]

    In translation, a term of the decoder's state, the query, is added to W h_t. Here there is only one query,
    which the learned b represents. W [H, H] and b are ``hidden``, v [H] is ``energy``.

    Args:
        width: H.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.energy = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, is_text: Tensor) -> tuple[Tensor, Tensor]:
        """Average the states of each text.

        Args:
            states: [B, T, H].
            is_text: [B, T], True for the text's own tokens.

        Returns:
            Texts [B, H], and weights [B, T].
        """
        energy = self.energy(torch.tanh(self.hidden(states))).squeeze(-1)
        weights = energy.masked_fill(~is_text, torch.finfo(energy.dtype).min).softmax(dim=1)
        return torch.einsum("bt,bth->bh", weights, states), weights


@dataclass
class RecurrentOutput(ModelOutput):
    """Output of the body.

    Attributes:
        last_hidden_state: states of the last layer, [B, T, H]; zero at padding.
        pooler_output: each text as one vector, [B, H]; None where the body has no pooling.
        past_key_values: the state to continue from, if requested.
        pooling_weights: the weight of each token in ``pooler_output``, [B, T]; only with ``attention``.
    """

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    past_key_values: Any = None
    pooling_weights: Tensor | None = None


class RecurrentModel(BaselineModel):
    """Word vectors, recurrent layers on them, and the text as one vector: the last states, or a weighted sum.

    Args:
        config: shape of the network.
        add_pooling: whether to compute the text's vector; heads that read each token need none.
    """

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig, add_pooling: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(RecurrentLayer(config, number) for number in range(config.num_hidden_layers))
        self.pooling = AttentionPooling(config.hidden_size) if config.attention and add_pooling else None
        self.add_pooling = add_pooling
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: RecurrentState | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> RecurrentOutput:
        """Encode texts.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], ignored.
            inputs_embeds: [B, T, E], in place of ``input_ids``.
            past_key_values: continue from this state; one direction only.
            use_cache: return the state after the last token.
            output_attentions: ignored.
            output_hidden_states: ignored.
            return_dict: ignored.

        Returns:
            The state of every token, and the text as one vector.

        Raises:
            SpecError: a bidirectional network cannot continue from a state.
        """
        vectors, is_text = embed(self.embeddings, input_ids, attention_mask, inputs_embeds)
        cache = self._cache(past_key_values, use_cache)
        lengths, order = None, None
        if not bool(is_text.all()):
            # Move padding to the end; a stable sort leaves the text's own tokens in order.
            order = is_text.int().argsort(dim=1, descending=True, stable=True)
            lengths = is_text.sum(dim=1).clamp(min=1).cpu()
            vectors = _reorder(vectors, order)
        states = vectors
        for layer in self.layers:
            states = layer(states, lengths, cache)
        if order is not None:
            states = _reorder(states, order.argsort(dim=1))  # back to the original order
        if cache is not None:
            cache.length += states.shape[1]
        pooled, weights = self._pool(states, is_text)
        return RecurrentOutput(states, pooled, cache if use_cache else None, weights)

    def _cache(self, cache: RecurrentState | None, use_cache: bool | None) -> RecurrentState | None:
        if cache is None and not use_cache:
            return None
        if self.config.bidirectional:
            raise SpecError(
                "A bidirectional network cannot continue from a state: later words change the states of earlier ones.",
                "Set bidirectional to false.",
            )
        return cache if cache is not None else RecurrentState()

    def _pool(self, states: Tensor, is_text: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the text as one vector [B, H], and the weights [B, T] if the network has attention."""
        if not self.add_pooling:
            return None, None
        if self.pooling is not None:
            return self.pooling(states, is_text)  # type: ignore[no-any-return]
        first = is_text.int().argmax(dim=1)  # [B]
        last = is_text.shape[1] - 1 - is_text.flip(1).int().argmax(dim=1)
        texts = torch.arange(len(states), device=states.device)
        if not self.config.bidirectional:
            return states[texts, last], None
        half = self.config.hidden_size // 2  # the backward direction has read everything at the first token
        return torch.cat([states[texts, last, :half], states[texts, first, half:]], dim=1), None


def _reorder(vectors: Tensor, order: Tensor) -> Tensor:
    """Return the vectors [B, T, E] of each text in another order [B, T]."""
    return vectors.gather(1, order.unsqueeze(-1).expand(-1, -1, vectors.shape[-1]))
