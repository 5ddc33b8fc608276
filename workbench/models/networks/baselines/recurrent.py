"""Recurrent networks: a state that is carried from word to word.

Hochreiter and Schmidhuber 1997 (LSTM, with the forget gate of Gers et al. 2000), Cho et al. 2014 (GRU), Schuster and
Paliwal 1997 (both directions), Bahdanau, Cho and Bengio 2015 (additive attention). They read in order, one word after
the other, and what the first word said has to survive every step after it: attention was invented for them, and the
Transformer is what is left when the recurrence is taken away.
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
State = Tensor | tuple[Tensor, Tensor]  # of a GRU; of an LSTM, with its cell


class RecurrentConfig(BaselineConfig):
    """Shape of a recurrent network.

    Attributes:
        cell: ``lstm`` or ``gru``.
        num_hidden_layers: layers, each reading what the one below puts out.
        bidirectional: a second network reads from the end; each of the two then has ``hidden_size`` / 2 numbers.
        attention: the text is a weighted sum of all states instead of the last one.
        tie_word_embeddings: a language model's output uses the table of word vectors again.
    """

    model_type = "workbench-recurrent"

    cell: str = "lstm"
    num_hidden_layers: int = 1
    bidirectional: bool = False
    attention: bool = False
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: object) -> None:
        if self.cell not in CELLS:
            raise SpecError(f"The cell is {self.cell!r}; it must be one of {', '.join(CELLS)}.", "Correct `cell`.")
        if self.num_hidden_layers < 1:
            raise SpecError(f"The network has {self.num_hidden_layers} layers; it needs at least 1.", "Set it to 1.")
        if self.bidirectional and self.hidden_size % 2:
            raise SpecError(
                f"hidden_size is {self.hidden_size}, and two directions cannot have half of it each.",
                f"Set it to {self.hidden_size + 1}, or read in one direction.",
            )
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class RecurrentState:
    """What a network that reads forwards remembers: generating goes on from here, one step a token.

    It stands where a Transformer has its key-value cache, but does not grow with the text.

    Attributes:
        layers: the state after the last token, one for each layer, [1, B, H] (an LSTM: two of them).
        length: tokens read, padding included.
    """

    def __init__(self) -> None:
        self.layers: dict[int, State] = {}
        self.length = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens read; the name is what transformers asks a cache by."""
        return self.length

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the states of these rows: the beams that go on."""
        for number, state in self.layers.items():
            chosen = [part.index_select(1, beam_idx.to(part.device)) for part in _parts(state)]
            self.layers[number] = chosen[0] if len(chosen) == 1 else (chosen[0], chosen[1])


def _parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


class RecurrentLayer(nn.Module):
    """One recurrent layer, in one direction or two.

    At token t, from its input ``x_t`` [B, I] and the state before, an LSTM computes (σ is the logistic function, ∘
    multiplies number by number)

        i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)        input gate: what is let in
        f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)        forget gate: what is kept
        g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)     what there is to let in
        o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)        output gate: what is shown
        c_t = f_t ∘ c_{t-1} + i_t ∘ g_t                       the cell: changed by adding, so gradients survive
        h_t = o_t ∘ tanh(c_t)                                 the state [B, H], what the layer puts out

    and a GRU, which has no cell of its own,

        r_t = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)        reset gate
        z_t = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)        update gate
        n_t = tanh(W_in x_t + b_in + r_t ∘ (W_hn h_{t-1} + b_hn))
        h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}

    torch stacks the matrices of the gates in this order: ``weight_ih_l0`` is W_i*, ``weight_hh_l0`` is W_h*.

    Args:
        config: shape.
        number: place in the stack, from 0.
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

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, memory: RecurrentState | None = None) -> Tensor:
        """The states after each token, [B, T, H]; of two directions, forwards in the first half, backwards after it.

        Args:
            inputs: [B, T, I], the text's own tokens first.
            lengths: int64 [B] on the CPU, how many tokens are the text's own; None where all are.
            memory: goes on from its state, and leaves the new one there.
        """
        inputs = self.dropout(inputs)
        before = memory.layers.get(self.number) if memory is not None else None
        if lengths is None:
            outputs, after = self.cell(inputs, before)
        else:  # packed: each text ends with its own last token, where the way back begins
            packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            packed, after = self.cell(packed, before)
            outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        if memory is not None:
            memory.layers[self.number] = after
        states: Tensor = outputs
        return states


class AttentionPooling(nn.Module):
    """A text as the weighted sum of its states: additive attention (Bahdanau et al. 2015, section 3.1 and A.1.2).

        e_t = v · tanh(W h_t + b)               energy of token t, one number
        α_t = exp(e_t) / Σ_s exp(e_s)           its weight, over the text's own tokens; they sum to 1
        s   = Σ_t α_t h_t                       the text [B, H]

    In translation, W h_t is joined by a term of the decoder's state, which asks. Here there is one question only, and
    the learned b stands for it. W [H, H] and b are ``hidden``, v [H] is ``energy``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.energy = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """The texts [B, H] and the weights [B, T], from states [B, T, H] and which tokens are the text's own [B, T]."""
        energy = self.energy(torch.tanh(self.hidden(states))).squeeze(-1)
        weights = energy.masked_fill(~real, torch.finfo(energy.dtype).min).softmax(dim=1)
        return torch.einsum("bt,bth->bh", weights, states), weights


@dataclass
class RecurrentOutput(ModelOutput):
    """What the body puts out.

    Attributes:
        last_hidden_state: states of the last layer, [B, T, H]; zero where there is padding.
        pooler_output: each text as one vector, [B, H]; None where the body has no pooling.
        past_key_values: the state to go on from, when it was asked for.
        pooling_weights: how much each token counts in ``pooler_output``, [B, T]; with ``attention`` only.
    """

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    past_key_values: Any = None
    pooling_weights: Tensor | None = None


class RecurrentModel(BaselineModel):
    """Word vectors, recurrent layers on them, and the text as one vector: the last states, or attention's sum.

    Args:
        config: shape.
        add_pooling: whether a text is summed up to one vector; heads on each token do without.
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
        """States of every token, and the text as one vector.

        Args:
            past_key_values: go on from this state; one direction only.
            use_cache: give back the state after the last token.

        Raises:
            SpecError: a network of two directions cannot go on from a state.
        """
        vectors, real = embed(self.embeddings, input_ids, attention_mask, inputs_embeds)
        memory = self._memory(past_key_values, use_cache)
        lengths, order = None, None
        if not bool(real.all()):
            # The text's own tokens first, wherever padding stands, in their order (a stable sort keeps it).
            order = real.int().argsort(dim=1, descending=True, stable=True)
            lengths = real.sum(dim=1).clamp(min=1).cpu()
            vectors = _rows(vectors, order)
        states = vectors
        for layer in self.layers:
            states = layer(states, lengths, memory)
        if order is not None:
            states = _rows(states, order.argsort(dim=1))  # back to their places
        if memory is not None:
            memory.length += states.shape[1]
        pooled, weights = self._pool(states, real)
        return RecurrentOutput(states, pooled, memory if use_cache else None, weights)

    def _memory(self, given: RecurrentState | None, wanted: bool | None) -> RecurrentState | None:
        if given is None and not wanted:
            return None
        if self.config.bidirectional:
            raise SpecError(
                "A network that reads in two directions cannot go on from a state: what comes next changes what was.",
                "Set bidirectional to false.",
            )
        return given if given is not None else RecurrentState()

    def _pool(self, states: Tensor, real: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The text as one vector [B, H], and attention's weights [B, T] where it has attention."""
        if not self.add_pooling:
            return None, None
        if self.pooling is not None:
            return self.pooling(states, real)  # type: ignore[no-any-return]
        first = real.int().argmax(dim=1)  # [B]
        last = real.shape[1] - 1 - real.flip(1).int().argmax(dim=1)
        texts = torch.arange(len(states), device=states.device)
        if not self.config.bidirectional:
            return states[texts, last], None
        half = self.config.hidden_size // 2  # the way back has read everything when it is at the first token
        return torch.cat([states[texts, last, :half], states[texts, first, half:]], dim=1), None


def _rows(vectors: Tensor, order: Tensor) -> Tensor:
    """The vectors [B, T, E] of each text in another order [B, T]."""
    return vectors.gather(1, order.unsqueeze(-1).expand(-1, -1, vectors.shape[-1]))
