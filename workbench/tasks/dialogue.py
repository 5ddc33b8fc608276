"""Reply in a conversation: the model reads the turns so far and generates the next one.

    workbench run small-talk

Turns alternate between user and assistant. Each turn of the assistant is an example; the turns before it are its
prompt, in the chat template of the model's tokenizer. The loss and the metrics cover only the reply.

Besides the perplexity of the true replies, there are three metrics. chrF measures how similar generated replies are to
them. distinct-1 and distinct-2, the shares of distinct words and word pairs, measure how varied generated replies are
(Li et al. 2016, "A Diversity-Promoting Objective Function", section 4.3). recall@k measures whether the model prefers
the true reply, which is ranked among replies from other conversations by likelihood per token (Lowe et al. 2015, "The
Ubuntu Dialogue Corpus", section 4.1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.metrics import measures
from workbench.metrics.measures import Measure
from workbench.metrics.overlap import CHRF, chrf_counts, rouge_tokens
from workbench.tasks.base import TaskReport, tasks
from workbench.tasks.contexts import Encoded, FinishContext, TaskInput
from workbench.tasks.shared.chat import Chat, history
from workbench.tasks.shared.generation import evenly_spaced
from workbench.tasks.shared.inputs import read_list
from workbench.tasks.shared.language import TextTargets
from workbench.tasks.shared.prompted import GeneratedTexts, PromptedOptions, PromptedTask
from workbench.tasks.shared.prompts import Prompt, Row, TextColumns, last_rows, spread_columns, token_lists
from workbench.types import Floats, Ints, Json, TokenIds, Tokenizer

CANDIDATE_BATCH_SIZE = 32  # rows in a batch
MAX_TURNS = 255  # maximum number of turns that the model reads; odd, so that the first is the user's
RANK_MEASURES: dict[str, Measure] = {
    "recall_at_1": ("ratio", "recall_1", "ranked"),
    "recall_at_5": ("ratio", "recall_5", "ranked"),
}


@dataclass(frozen=True)
class Candidates:
    """The candidate replies among which an example's true reply is ranked.

    Attributes:
        example: index of the example.
        replies: indices of the examples that the replies come from, the example itself first.
    """

    example: int
    replies: list[int]


@dataclass(frozen=True)
class _PromptLengths:
    """The targets of candidate rows, as far as ``collate`` needs them."""

    more: Ints


@tasks.register("dialogue")
class Dialogue(PromptedTask):
    """Dialogue: read a conversation and write the next reply."""

    example = N_("Answer customers in a chat as your team did before.")
    baseline_texts_name = "the most frequent reply in training; for the ranking of candidates, chance"

    class Config(PromptedOptions):
        temperature: float = Field(
            0.0,
            ge=0,
            le=10,
            description="Sampling temperature: 0 is greedy decoding, 1 samples from the model's distribution "
            "unchanged.",
        )
        candidates: int = Field(
            10, ge=2, le=1_000, description="Number of candidate replies among which the true reply is ranked."
        )
        ranked: int = Field(40, ge=0, le=100_000, description="Number of test examples whose true reply is ranked.")

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.majority_reply = ""

    # -- data ----------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        guesses = ("turns", "dialogue", "dialog", "conversation", "messages", "utterances")
        return [
            Column(
                "turns", "The turns of a conversation, alternating between user and assistant.", guesses, kind="texts"
            )
        ]

    def fit(self, train: Examples) -> None:
        _check_turns(train)
        replies = Counter(reply for turns in train.columns["turns"] for reply in turns[1::2])
        self.majority_reply = min(replies, key=lambda reply: (-replies[reply], reply))
        self.sample_inputs = [{"turns": turns[:1]} for turns in train.columns["turns"][:3]]

    def check_examples(self, examples: Examples) -> None:
        _check_turns(examples)

    def texts(self, examples: Examples) -> Iterator[str]:
        for turns in examples.columns["turns"]:
            yield from turns

    def rows(self, tokenizer: Tokenizer, examples: Examples, training: bool) -> list[Row]:
        _check_turns(examples)
        chat = Chat(tokenizer)
        conversations = [[turn.strip() for turn in turns] for turns in examples.columns["turns"]]
        tokens = iter(token_lists(tokenizer, [turn for turns in conversations for turn in turns]))
        rows = []
        for number, turns in enumerate(conversations):
            own = [next(tokens) for _ in turns]
            for i in range(1, len(turns), 2):
                target = np.concatenate([own[i], chat.closing])
                rows.append(Row(_prompt(chat, own[:i]), target, number, len(turns[i].encode())))
        return rows

    # -- results -------------------------------------------------------------------------------------------------------

    def example_inputs(self, examples: Examples, index: int) -> dict[str, Json]:
        turns = examples.columns["turns"][index]
        return {"turns": list(turns[: _last_reply(turns)])}

    def example_target(self, examples: Examples, index: int) -> str:
        turns = examples.columns["turns"][index]
        return str(turns[_last_reply(turns)])

    def baseline_texts(self, context: FinishContext, chosen: Sequence[int]) -> list[str]:
        return [self.majority_reply] * len(chosen)

    def measure_texts(self, examples: Examples, chosen: Sequence[int], texts: Sequence[str]) -> TextColumns:
        return chrf_counts(texts, [self.example_target(examples, index) for index in chosen])

    def text_measures(self) -> dict[str, Measure]:
        return {"chrf": CHRF}

    def corpus_metrics(self) -> dict[str, Callable[[Sequence[str]], float]]:
        return {"distinct_1": lambda texts: distinct(texts, 1), "distinct_2": lambda texts: distinct(texts, 2)}

    def finish(self, context: FinishContext) -> GeneratedTexts:
        generated = super().finish(context)
        columns, chance = self._rank(context)
        generated.columns.update(columns)
        generated.baseline.update(chance)
        if columns:
            count = round(1 / chance["recall_1"].max())
            generated.notes.append(
                f"The true reply was ranked among {count} candidates for {int(columns['ranked'].sum()):,} of "
                f"{len(context.examples):,} conversations (task.ranked, task.candidates)."
            )
        return generated

    def _rank(self, context: FinishContext) -> tuple[TextColumns, TextColumns]:
        """Rank the true last reply among the candidates.

        Returns:
            Columns [D]: whether it ranks first, and whether it ranks among the first five; and the same for chance.
        """
        count = len(context.examples)
        rows = last_rows(context.encoded, count)
        replies = _targets(context.encoded, rows)
        chosen = evenly_spaced(count, self.config.ranked).tolist()
        samples = sample_candidates(replies, chosen, self.config.candidates)
        if not samples:
            return {}, {}
        table, prompts = _candidate_rows(context.encoded, rows, replies, samples)
        losses = iter(np.split(self._losses(context, table, prompts), np.cumsum([len(s.replies) for s in samples])))
        hits: dict[str, list[float]] = {"recall_1": [], "recall_5": [], "ranked": []}
        chance: dict[str, list[float]] = {"recall_1": [], "recall_5": [], "ranked": []}
        for sample in samples:
            own = next(losses)
            better = int((own[1:] <= own[0]).sum())  # the true reply comes first; a tie counts against it
            for k in (1, 5):
                hits[f"recall_{k}"].append(float(better < k))
                chance[f"recall_{k}"].append(min(1.0, k / len(sample.replies)))
            hits["ranked"].append(1.0)
            chance["ranked"].append(1.0)
        examples = [sample.example for sample in samples]
        first, second = (
            spread_columns({name: np.array(values) for name, values in each.items()}, examples, count)
            for each in (hits, chance)
        )
        return first, second

    def _losses(self, context: FinishContext, table: TokenTable, prompts: Ints) -> Floats:
        """Return the loss per target token of each row of ``table``, [N]."""
        import torch

        order = np.argsort(-table.lengths, kind="stable")
        encoded = Encoded(table, _PromptLengths(prompts))
        losses = np.zeros(len(table))
        for start in range(0, len(order), CANDIDATE_BATCH_SIZE):
            indices = order[start : start + CANDIDATE_BATCH_SIZE]
            batch = context.to_device(self.collate(encoded, indices, context.pad_id))
            with torch.inference_mode():
                sums = self.outputs(self.forward(context.model, batch), batch)
            losses[indices] = torch.div(sums[:, 0], sums[:, 1]).cpu().numpy()
            context.progress(min(start + CANDIDATE_BATCH_SIZE, len(order)), len(order))
        return losses

    def report(self, outcome: GeneratedTexts, targets: TextTargets, train_targets: TextTargets) -> TaskReport:
        report = super().report(outcome, targets, train_targets)
        if "ranked" in outcome.columns:
            report["metrics"] |= measures.intervals(outcome.columns, RANK_MEASURES)
            report["baseline"] |= measures.metric_values(outcome.baseline, RANK_MEASURES)
            report["measures"] |= RANK_MEASURES
            improvement = measures.improvements(outcome.baseline, outcome.columns, RANK_MEASURES)
            report["gain"] = report.get("gain", {}) | improvement
        return report

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        return [
            Column("text", "The user's message; appended to the turns, if there are any.", required=False),
            Column("turns", "The conversation so far, alternating between user and assistant.", (), False, "texts"),
        ]

    def encode_prompts(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput]) -> list[Prompt]:
        chat = Chat(tokenizer)
        prompts = []
        for number, each in enumerate(inputs, start=1):
            turns = [turn.strip() for turn in input_turns(each, number)]
            prompts.append(_prompt(chat, token_lists(tokenizer, turns)))
        return prompts

    def input_text(self, inputs: TaskInput) -> str:
        turns = inputs["turns"]
        return "\n".join(map(str, turns if isinstance(turns, list) else [turns]))


# -- helpers -----------------------------------------------------------------------------------------------------------


def _last_reply(turns: Sequence[str]) -> int:
    """Return the index of the assistant's last turn."""
    return len(turns) // 2 * 2 - 1


def _prompt(chat: Chat, turns: Sequence[TokenIds]) -> Prompt:
    turns = turns[-MAX_TURNS:]
    length = sum(map(len, turns)) + sum(map(len, chat.frames(len(turns))))
    return Prompt(length, lambda room: history(chat, turns, room))


def _check_turns(examples: Examples) -> None:
    """Raise DataError for a conversation without a reply or with an empty turn."""
    for where, turns in zip(examples.locations(), examples.columns["turns"], strict=True):
        if len(turns) < 2:
            raise DataError(
                f"{where}: the conversation has {len(turns)} turn, but it needs at least two: a message and a reply.",
                "Write turns as a list of texts, the user first, then the assistant.",
            )
        empty = next((number for number, turn in enumerate(turns, start=1) if not turn.strip()), None)
        if empty is not None:
            raise DataError(f"{where}: turn {empty} is empty.", "Fill in the turn, or remove the conversation.")


def input_turns(inputs: TaskInput, number: int) -> list[str]:
    """Return the conversation of an input: its turns, followed by the user's message.

    Args:
        inputs: one input.
        number: the input's number, from 1, for messages.

    Raises:
        DataError: there is nothing to reply to.
    """
    turns, text = read_list(inputs, "turns", number), inputs.get("text")
    if turns is None and text is not None:
        turns = []
    if not isinstance(turns, (list, tuple)) or not all(isinstance(turn, str) for turn in (*turns, text or "")):
        raise DataError(
            f"Input {number} has no turns.", 'Write {"turns": ["Hello", "Hi!", "How are you?"]}, or a text.'
        )
    texts = [str(turn) for turn in turns]
    if isinstance(text, str) and text.strip():
        texts.append(text)
    if not texts or not all(turn.strip() for turn in texts):
        raise DataError(f"Input {number} has an empty turn, or no turns.", "Write some text in each turn.")
    if len(texts) % 2 == 0:
        raise DataError(
            f"Input {number} has {len(texts)} turns: the last one is the assistant's, so there is nothing to reply to.",
            "Pass an odd number of turns, counting the text: the user writes the first and the last.",
        )
    return texts


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of distinct n-grams among all word n-grams of all texts, 0 to 1.

    Args:
        texts: generated texts.
        n: number of words in an n-gram.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = rouge_tokens(text, "unicode")
        counts.update(zip(*(words[i:] for i in range(n)), strict=False))
    return len(counts) / counts.total() if counts else 0.0


def _targets(encoded: Encoded, rows: Ints) -> list[TokenIds]:
    table, prompts = encoded.tokens, encoded.targets.more
    return [table.ids[table.offsets[row] + prompts[row] : table.offsets[row + 1]] for row in rows]


def sample_candidates(replies: Sequence[TokenIds], chosen: Sequence[int], count: int) -> list[Candidates]:
    """Sample candidates for each chosen example: its own reply, and other replies, all distinct.

    The sample is deterministic. If fewer than ``count`` replies are distinct, all of them are candidates.

    Args:
        replies: tokens of the reply of each example, [D].
        chosen: examples whose replies are ranked.
        count: number of candidates for each of them.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    first = {reply.tobytes(): number for number, reply in reversed(list(enumerate(replies)))}
    different = list(first.values())
    count = min(count, len(different))
    if count < 2:
        return []
    samples = []
    for number in chosen:
        own = first[replies[number].tobytes()]
        others = [other for other in generator.permutation(different).tolist() if other != own]
        samples.append(Candidates(number, [number, *others[: count - 1]]))
    return samples


def _candidate_rows(
    encoded: Encoded, rows: Ints, replies: Sequence[TokenIds], samples: Sequence[Candidates]
) -> tuple[TokenTable, Ints]:
    """Return a table of each prompt followed by each of its candidates, and the length of each prompt."""
    table, prompts = encoded.tokens, encoded.targets.more
    parts, lengths = [], []
    for sample in samples:
        row = rows[sample.example]
        begin = table.offsets[row]
        prompt = table.ids[begin : begin + prompts[row]]
        for candidate in sample.replies:
            parts.append(np.concatenate([prompt, replies[candidate]]))
            lengths.append(len(prompt))
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    full = np.diff(offsets).astype(np.int32)
    return TokenTable(np.concatenate(parts), None, offsets, full), np.array(lengths, dtype=np.int64)
