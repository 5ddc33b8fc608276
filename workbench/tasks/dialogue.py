"""Answer in a conversation: the model reads the turns so far and writes the next one.

    workbench run small-talk

Turns alternate between user and assistant. Each turn of the assistant's is an example, with what was said before it as
its prompt, in the chat template of the model's tokenizer. Learned and measured is the reply alone.

Beside the perplexity of the true replies: how near written replies come to them (chrF), how varied they are
(distinct-1 and -2: different words and pairs of words among all; Li et al. 2016, "A Diversity-Promoting Objective
Function", section 4.3), and whether the model tells the true reply from others: it is ranked among replies of other
conversations by likelihood per token (recall@k, Lowe et al. 2015, "The Ubuntu Dialogue Corpus", section 4.1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError
from workbench.metrics import measures
from workbench.metrics.measures import Measure
from workbench.metrics.overlap import CHRF, chrf_counts, rouge_tokens
from workbench.tasks.base import Array, Encoded, read_list, tasks
from workbench.tasks.shared.chat import Chat, history
from workbench.tasks.shared.generation import evenly
from workbench.tasks.shared.prompted import (
    Columns,
    Ints,
    Prompt,
    PromptedOptions,
    PromptedTask,
    Row,
    Written,
    placed,
    token_lists,
)

CANDIDATES_AT_ONCE = 32  # rows in a batch
MOST_TURNS = 255  # of a conversation that are looked at; odd, so that the first is the user's


@tasks.register("dialogue")
class Dialogue(PromptedTask):
    """Dialogue: read the turns of a conversation and write the next one."""

    trivial_name = "the reply most frequent in training; among candidates, chance"

    class Config(PromptedOptions):
        temperature: float = Field(
            0.0,
            ge=0,
            le=10,
            description="Spread of what is drawn: 0 takes the most probable token, 1 draws as learned.",
        )
        candidates: int = Field(10, ge=2, le=1_000, description="Replies among which the true one is to be found.")
        ranked: int = Field(40, ge=0, le=100_000, description="For so many test examples the true reply is ranked.")

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.usual_reply = ""

    # -- data --------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        guesses = ("turns", "dialogue", "dialog", "conversation", "messages", "utterances")
        return [Column("turns", "What was said, the user and the assistant by turns.", guesses, kind="texts")]

    def fit(self, train: Examples) -> None:
        _check_turns(train)
        replies = Counter(reply for turns in train.columns["turns"] for reply in turns[1::2])
        self.usual_reply = min(replies, key=lambda reply: (-replies[reply], reply))
        self.sample_inputs = [{"turns": turns[:1]} for turns in train.columns["turns"][:3]]

    def texts(self, examples: Examples) -> Iterator[str]:
        for turns in examples.columns["turns"]:
            yield from turns

    def rows(self, tokenizer: Any, examples: Examples, training: bool) -> list[Row]:
        _check_turns(examples)
        chat = Chat(tokenizer)
        said = [[turn.strip() for turn in turns] for turns in examples.columns["turns"]]
        tokens = iter(token_lists(tokenizer, [turn for turns in said for turn in turns]))
        found = []
        for number, turns in enumerate(said):
            own = [next(tokens) for _ in turns]
            for place in range(1, len(turns), 2):
                target = np.concatenate([own[place], chat.closing])
                found.append(Row(_prompt(chat, own[:place]), target, number, len(turns[place].encode())))
        return found

    # -- results -----------------------------------------------------------------------------------------------------

    def shown(self, examples: Examples, number: int) -> tuple[str, str]:
        turns = examples.columns["turns"][number]
        last = len(turns) // 2 * 2 - 1  # the assistant's last turn
        return "\n".join(turns[:last]), turns[last]

    def trivial_texts(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        chosen: Sequence[int],
        progress: Callable[[int, int], None],
    ) -> list[str]:
        return [self.usual_reply] * len(chosen)

    def measured(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> Columns:
        return chrf_counts(texts, [self.shown(examples, number)[1] for number in chosen])

    def written_measures(self) -> dict[str, Measure]:
        return {"chrf": CHRF}

    def corpus_metrics(self) -> dict[str, Callable[[Sequence[str]], float]]:
        return {"distinct_1": lambda texts: distinct(texts, 1), "distinct_2": lambda texts: distinct(texts, 2)}

    def finish(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        encoded: Encoded,
        outputs: Array,
        progress: Callable[[int, int], None],
    ) -> Written:
        written = super().finish(model, tokenizer, examples, encoded, outputs, progress)
        columns, chance = self._rank(model, tokenizer, examples, encoded, progress)
        written.columns.update(columns)
        written.baseline.update(chance)
        if columns:
            lot = round(1 / chance["recall_1"].max())
            written.notes.append(
                f"The true reply was ranked among {lot} candidates for {int(columns['ranked'].sum()):,} of "
                f"{len(examples):,} conversations (task.ranked, task.candidates)."
            )
        return written

    def _rank(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        encoded: Encoded,
        progress: Callable[[int, int], None],
    ) -> tuple[Columns, Columns]:
        """Columns [D] of whether the true last reply is the likeliest of its candidates, and among the first five."""
        rows = last_rows(encoded, len(examples))
        replies = _targets(encoded, rows)
        chosen = evenly(len(examples), self.config.ranked).tolist()
        lots = draw_candidates(replies, chosen, self.config.candidates)
        if not lots:
            return {}, {}
        table, prompts = _candidate_rows(encoded, rows, replies, lots)
        nats = self._likelihoods(model, table, prompts, tokenizer.pad_token_id or 0, progress)
        hits: dict[str, list[float]] = {"recall_1": [], "recall_5": [], "ranked": []}
        luck: dict[str, list[float]] = {"recall_1": [], "recall_5": [], "ranked": []}
        start = 0
        for _, candidates in lots:
            own = nats[start : start + len(candidates)]
            better = int((own[1:] <= own[0]).sum())  # the true one is first; a tie counts against it
            for k in (1, 5):
                hits[f"recall_{k}"].append(float(better < k))
                luck[f"recall_{k}"].append(min(1.0, k / len(candidates)))
            hits["ranked"].append(1.0)
            luck["ranked"].append(1.0)
            start += len(candidates)
        numbers = [number for number, _ in lots]
        first, second = (
            placed({name: np.array(values) for name, values in each.items()}, numbers, len(examples))
            for each in (hits, luck)
        )
        return first, second

    def _likelihoods(
        self, model: Any, table: TokenTable, prompts: Any, pad_id: int, progress: Callable[[int, int], None]
    ) -> Array:
        """Nats per token of the target in each row of ``table``, [N]."""
        import torch

        order = np.argsort(-table.lengths, kind="stable")
        encoded = Encoded(table, _PromptLengths(prompts))
        device = next(model.parameters()).device
        found = np.zeros(len(table))
        for start in range(0, len(order), CANDIDATES_AT_ONCE):
            indices = order[start : start + CANDIDATES_AT_ONCE]
            batch = {name: tensor.to(device) for name, tensor in self.collate(encoded, indices, pad_id).items()}
            with torch.inference_mode():
                sums = self.outputs(self.forward(model, batch), batch)
            found[indices] = torch.div(sums[:, 0], sums[:, 1]).cpu().numpy()
            progress(min(start + CANDIDATES_AT_ONCE, len(order)), len(order))
        return found

    def report(self, outputs: Written, targets: Any, train_targets: Any) -> dict[str, Any]:
        result = super().report(outputs, targets, train_targets)
        if "ranked" in outputs.columns:
            known: dict[str, Measure] = {
                "recall_at_1": ("ratio", "recall_1", "ranked"),
                "recall_at_5": ("ratio", "recall_5", "ranked"),
            }
            result["metrics"] |= measures.intervals(outputs.columns, known)
            result["baseline"] |= measures.metric_values(outputs.baseline, known)
            result["measures"] |= known
            result["gain"] = result.get("gain", {}) | measures.improvements(outputs.baseline, outputs.columns, known)
        return result

    # -- asked -------------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "What the user says; after the turns, where there are some.", required=False),
            Column("turns", "The conversation so far, the user and the assistant by turns.", (), False, "texts"),
        ]

    def prompts_of(self, tokenizer: Any, inputs: Sequence[dict[str, Any]]) -> list[Prompt]:
        chat = Chat(tokenizer)
        found = []
        for place, given in enumerate(inputs, start=1):
            turns = [turn.strip() for turn in _asked_turns(given, place)]
            found.append(_prompt(chat, token_lists(tokenizer, turns)))
        return found

    def told(self, given: Mapping[str, Any]) -> str:
        return "\n".join(given["turns"])


# -- parts -----------------------------------------------------------------------------------------------------------


class _PromptLengths:
    """Just enough of targets for ``collate``."""

    def __init__(self, more: Any) -> None:
        self.more = more


def _prompt(chat: Chat, turns: Sequence[Ints]) -> Prompt:
    turns = turns[-MOST_TURNS:]
    length = sum(map(len, turns)) + sum(map(len, chat.frames(len(turns))))
    return Prompt(length, lambda room: history(chat, turns, room))


def _check_turns(examples: Examples) -> None:
    """Raise DataError for a conversation that teaches no reply, or has a turn without a word."""
    places = examples.locations()
    for place, turns in zip(places, examples.columns["turns"], strict=True):
        if len(turns) < 2:
            raise DataError(
                f"{place}: the conversation has {len(turns)} turn; it needs two or more, a question and a reply.",
                "Write turns as a list of texts, the user first, then the assistant.",
            )
        empty = next((number for number, turn in enumerate(turns, start=1) if not turn.strip()), None)
        if empty is not None:
            raise DataError(f"{place}: turn {empty} is empty.", "Leave the conversation out, or write the turn.")


def _asked_turns(given: Mapping[str, Any], place: int) -> list[str]:
    """The conversation that a user gives: its turns, and the text that the user says after them. Raises DataError."""
    turns, text = read_list(given, "turns", place), given.get("text")
    if turns is None and text is not None:
        turns = []
    if not isinstance(turns, (list, tuple)) or not all(isinstance(turn, str) for turn in (*turns, text or "")):
        raise DataError(f"Input {place} has no turns.", 'Give {"turns": ["Hello", "Hi!", "How are you?"]}, or a text.')
    turns = [*turns, text] if text and text.strip() else turns
    if not turns or not all(turn.strip() for turn in turns):
        raise DataError(f"Input {place} has an empty turn, or none.", "Write something in each turn.")
    if len(turns) % 2 == 0:
        raise DataError(
            f"Input {place} has {len(turns)} turns: the last one is the assistant's, and there is nothing to answer.",
            "Give an odd number of turns, a text after them counted: the user says the first and the last.",
        )
    return list(turns)


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams of words among all n-grams of all texts, 0 to 1."""
    found: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = rouge_tokens(text, "unicode")
        found.update(zip(*(words[i:] for i in range(n)), strict=False))
    return len(found) / found.total() if found else 0.0


def last_rows(encoded: Encoded, count: int) -> Any:
    """The last row of each example, int64 [D]."""
    last = np.zeros(count, dtype=np.int64)
    last[encoded.targets.document] = np.arange(len(encoded))
    return last


def _targets(encoded: Encoded, rows: Any) -> list[Ints]:
    table, prompts = encoded.tokens, encoded.targets.more
    return [table.ids[table.offsets[row] + prompts[row] : table.offsets[row + 1]] for row in rows]


def draw_candidates(replies: Sequence[Ints], chosen: Sequence[int], count: int) -> list[tuple[int, list[int]]]:
    """For each chosen example its own number and others' whose replies differ from its own and from each other.

    Always the same ones for the same replies; all there are, where fewer than ``count`` are different.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    first = {reply.tobytes(): number for number, reply in reversed(list(enumerate(replies)))}
    different = list(first.values())
    count = min(count, len(different))
    if count < 2:
        return []
    found = []
    for number in chosen:
        own = first[replies[number].tobytes()]
        others = [other for other in generator.permutation(different).tolist() if other != own]
        found.append((number, [number, *others[: count - 1]]))
    return found


def _candidate_rows(
    encoded: Encoded, rows: Any, replies: Sequence[Ints], lots: Sequence[tuple[int, list[int]]]
) -> tuple[TokenTable, Any]:
    """Each prompt with each of its candidates behind it, as a table, and the length of each prompt."""
    table, prompts = encoded.tokens, encoded.targets.more
    pieces, lengths = [], []
    for number, candidates in lots:
        begin = table.offsets[rows[number]]
        prompt = table.ids[begin : begin + prompts[rows[number]]]
        for candidate in candidates:
            pieces.append(np.concatenate([prompt, replies[candidate]]))
            lengths.append(len(prompt))
    offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    full = np.diff(offsets).astype(np.int32)
    return TokenTable(np.concatenate(pieces), None, offsets, full), np.array(lengths, dtype=np.int64)
