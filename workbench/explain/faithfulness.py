"""How far an explanation can be believed: hide what it marks, and see whether the model changes its mind.

DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models": comprehensiveness is how far the
target's probability falls when the marked tokens are hidden (higher is better), sufficiency how far it falls when only
they are seen (lower is better). Both say little alone, since hiding anything may move a model: so the same number of
tokens chosen at random is measured beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.explain.instance import Instance
from workbench.tasks.base import Target


def faithfulness(
    instance: Instance,
    scores: NDArray[np.float64],
    target: Target,
    label: str,
    share: float = 0.2,
    choices: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Comprehensiveness and sufficiency of ``scores``, beside those of random choices.

    Args:
        instance: the text and its model.
        scores: [tokens], higher for what counts more; special tokens are never marked.
        target: what is explained.
        label: the same, for the sentence.
        share: the part of the text's tokens that is marked (at least one token).
        choices: how many random choices stand for "random".
        seed: of the random choices.

    Returns:
        ``marked`` (positions), ``hidden_as`` (the token put in their place), the probabilities ``whole``,
        ``without_marked``, ``only_marked``, ``without_random``, ``only_random``; from these ``comprehensiveness``,
        ``sufficiency``, ``random_comprehensiveness``, ``random_sufficiency``; ``random_at_least_as_good`` (the share
        of random choices that drop the probability as far); ``choices``, ``seed``; and ``sentence``.
    """
    positions = instance.positions
    count = max(1, int(share * len(positions)))
    order = np.argsort(-scores[positions], kind="stable")
    marked = np.sort(positions[order[:count]])
    draw = np.random.default_rng(seed)
    random = [draw.choice(positions, count, replace=False) for _ in range(choices)]

    length = len(instance.encoded.tokens)
    seen = [np.ones(length, dtype=bool)]
    for chosen in [marked, *random]:
        only = np.zeros(length, dtype=bool)
        only[chosen] = True
        seen += [~only, only]
    probabilities = instance.masked_probabilities(np.stack(seen), target)
    whole, without, only_marked = (float(value) for value in probabilities[:3])
    random_without, random_only = probabilities[3::2], probabilities[4::2]
    found: dict[str, Any] = {
        "marked": [int(position) for position in marked],
        "hidden_as": instance.mask_token,
        "whole": whole,
        "without_marked": without,
        "only_marked": only_marked,
        "without_random": float(random_without.mean()),
        "only_random": float(random_only.mean()),
        "comprehensiveness": whole - without,
        "sufficiency": whole - only_marked,
        "random_comprehensiveness": whole - float(random_without.mean()),
        "random_sufficiency": whole - float(random_only.mean()),
        "random_at_least_as_good": float((random_without <= without).mean()),
        "choices": choices,
        "seed": seed,
    }
    unit = _unit(instance, count)
    return found | {"sentence": _sentence(found, label, count, unit, count == len(positions))}


def _unit(instance: Instance, count: int) -> str:
    """What the tokens of this text are: words, where none is cut into pieces."""
    keys = [
        (instance.encoded.segments[position], instance.encoded.words[position])
        for position in instance.positions.tolist()
    ]
    return ("word" if len(set(keys)) == len(keys) else "word piece") + ("s" if count > 1 else "")


def _sentence(found: dict[str, Any], label: str, count: int, unit: str, everything: bool) -> str:
    whole, without, random = found["whole"], found["without_marked"], found["without_random"]
    number = f"{count} " if count > 1 else ""
    if everything:
        return f"The text is too short to tell: hiding all of it takes {label!r} from {whole:.2f} to {without:.2f}."
    moves = "drops" if without < whole - 0.005 else "raises" if without > whole + 0.005 else "leaves"
    change = f"at {whole:.2f}" if moves == "leaves" else f"from {whole:.2f} to {without:.2f}"
    return (
        f"Hiding the {number}marked {unit} {moves} {label!r} {change}; "
        f"hiding {number or 'one '}random {unit}: to {random:.2f}."
    )
