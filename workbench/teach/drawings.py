"""The drawings behind the course's interactive pictures, with their text alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.teach import formulas
from workbench.teach.formulas import Array, NextWords
from workbench.teach.pictures import Picture, show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

BLUE, ORANGE, GREY = "#1f5fa8", "#c2570c", "#6b7075"
LOSS_RANGE = (1e-6, 1e3)  # of a loss's axis


def draw_attention(weights: Array, names: Sequence[str], settings: str) -> Picture:
    """Draw attention weights as a heat map, and the largest weight of each row.

    Args:
        weights: ``[T, T]``.
        names: names of the tokens.
        settings: in words, for the description.
    """
    figure, (table, bars) = _figure(2, (8.6, 3.6))
    _draw_heatmap(table, weights, names)
    largest = weights.max(axis=1)
    bars.barh(range(len(names)), largest, color=BLUE)
    bars.set_yticks(range(len(names)), names)
    bars.invert_yaxis()
    bars.axvline(1 / len(names), color=GREY, linestyle="--")
    bars.set(xlim=(0, 1.02), xlabel="largest weight of the row (dashed: all equal)")
    row, column = divmod(int(weights.argmax()), weights.shape[1])
    return show(
        figure,
        f"Attention weights at {settings}. The largest, {weights.max():.2f}, goes from {names[row]} to "
        f"{names[column]}; the largest of a row is {largest.mean():.2f} on average; {int((weights == 0).sum())} of "
        f"{weights.size} are exactly 0.",
    )


def _draw_heatmap(axes: Axes, weights: Array, names: Sequence[str]) -> None:
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="key", ylabel="query")
    for (row, column), weight in np.ndenumerate(weights) if len(names) <= 8 else ():
        colour = "white" if weight > 0.6 else "black"
        label = f"{weight:.2f}" if weight else "0"
        axes.text(column, row, label, ha="center", va="center", color=colour, fontsize=8)


def draw_positions(kind: str, waves: Array, scores: Array, position: int, base: float) -> Picture:
    """Draw how positions are encoded, and the dot product of one position with the others.

    Args:
        kind: ``"waves"`` or ``"rotary"``.
        waves: ``[positions, width]``.
        scores: dot products divided by the width, ``[positions]``.
        position: the one that is compared with the others.
        base: base of the frequencies.
    """
    figure, (left, right) = _figure(2, (9, 3.4))
    if kind == "waves":
        left.imshow(waves.T, aspect="auto", cmap="RdBu")
        left.axvline(position, color="black")
        left.set(xlabel="position p", ylabel="component of the vector", title="what is added to a token")
    else:
        _draw_arrows(left, position * base ** (-np.arange(0, waves.shape[1], 2) / waves.shape[1]), position)
    right.plot(scores, color=BLUE)
    right.axvline(position, color="black", linewidth=0.8)
    right.set(xlabel="other position", ylabel="dot product / width", title=f"position {position} and the others")
    near = scores[position + 1] if position + 1 < len(scores) else scores[position - 1]
    return show(
        figure,
        f"Positions by {kind}, base {base:,.0f}. The dot product of position {position} with the others has its peak, "
        f"{scores[position]:.2f}, at the position itself; it is {near:.2f} one position away, and its minimum is "
        f"{scores.min():.2f}. At another position the curve has the same shape and is only shifted: it depends on the "
        "distance.",
    )


def _draw_arrows(axes: Axes, angles: Array, position: int) -> None:
    """Draw three pairs of components as arrows in the unit circle."""
    circle = np.linspace(0, 2 * np.pi)
    axes.plot(np.cos(circle), np.sin(circle), color=GREY, linewidth=0.8)
    for pair, colour in zip((0, len(angles) // 4, len(angles) // 2), (BLUE, ORANGE, "black"), strict=True):
        axes.plot([0, np.cos(angles[pair])], [0, np.sin(angles[pair])], color=colour, label=f"pair {pair}")
    axes.set(aspect="equal", xticks=[], yticks=[], title=f"rotation of three pairs at position {position}")
    axes.legend(loc="lower left", fontsize=8)


def schedule_rates(peaks: ArrayLike, warmup: float, steps: int) -> Array:
    """Compute the learning rate of each step with the library's own schedule: warm-up, then constant.

    Args:
        peaks: peak learning rates, ``[...]``.
        warmup: share of the steps.
        steps: steps of a training run.

    Returns:
        ``[..., steps]``.
    """
    from workbench.training.core.optim import learning_rate_factor

    factors = np.array([learning_rate_factor(step, steps, warmup, "constant") for step in range(steps)])
    return np.asarray(np.multiply.outer(np.asarray(peaks, dtype=np.float64), factors))


def draw_learning_rate(peak: float, warmup: float, steps: int) -> Picture:
    """Draw the schedule, the loss of one training run, and the final loss at every peak learning rate.

    Args:
        peak: learning rate.
        warmup: share of the steps.
        steps: steps of each training run.
    """
    figure, (schedule, run, final) = _figure(3, (11, 3.1))
    rates = schedule_rates(peak, warmup, steps)
    losses = formulas.descent_losses(rates)
    schedule.plot(rates, color=BLUE)
    schedule.set(xlabel="step", title="learning rate", ylim=(0, None))
    run.plot(_clip_diverged(losses), color=BLUE)
    run.set(xlabel="step", yscale="log", ylim=LOSS_RANGE, title="loss of this run")
    peaks = np.logspace(-2, 1, 61)
    for share, colour, style in ((0.0, GREY, "--"), (warmup, BLUE, "-")):
        ends = formulas.descent_losses(schedule_rates(peaks, share, steps))[:, -1]
        final.plot(peaks, _clip_diverged(ends), color=colour, linestyle=style, label=f"warm-up {share:.0%}")
    final.axvline(peak, color="black", linewidth=0.8)
    final.set(xscale="log", yscale="log", ylim=LOSS_RANGE, xlabel="peak learning rate", title="final loss at any rate")
    final.legend(fontsize=8)
    for axes in (run, final):
        axes.minorticks_off()
    outcome = f"falls to {losses[-1]:.2g}" if np.isfinite(losses[-1]) else "diverges"
    return show(
        figure,
        f"With a peak learning rate of {peak:.2g} and warm-up over {warmup:.0%} of {steps} steps the loss starts at "
        f"{losses[0]:.3g} and {outcome}. Right: the final loss falls as the rate grows, up to a wall where training "
        "diverges; warm-up moves the wall to the right.",
    )


def _clip_diverged(losses: Array) -> Array:
    """Losses, with infinity replaced by a number that leaves the picture at the top."""
    return np.minimum(losses, 1e9)


def draw_beam(follows: NextWords, width: int, length: int) -> Picture:
    """Draw the tree of a beam search.

    Args:
        follows: for each word, what may follow and how probable it is.
        width: width of the beam.
        length: words of a sentence.
    """
    steps = formulas.beam_search(follows, width, length)
    figure, (axes,) = _figure(1, (8.6, 4.2))
    coordinates: dict[tuple[str, ...], tuple[float, float]] = {(): (0.5, 0.0)}
    tallest = max(map(len, steps))
    for column, hypotheses in enumerate(steps, 1):
        for index, hypothesis in enumerate(hypotheses):
            x, y = float(column), -(index - (len(hypotheses) - 1) / 2) * tallest / max(len(hypotheses), 1)
            coordinates[hypothesis.words] = x, y
            colour = BLUE if hypothesis.selected else GREY
            parent_x, parent_y = coordinates[hypothesis.words[:-1]]
            left = parent_x + (0.62 if hypothesis.words[:-1] else 0)  # after the parent's word
            line_width = 2 if hypothesis.selected else 0.8
            axes.plot([left, x - 0.02], [parent_y, y], color=colour, linewidth=line_width)
            weight = "bold" if hypothesis.selected else "normal"
            label = f" {hypothesis.words[-1]} {hypothesis.probability:.3f}"
            axes.text(x, y, label, va="center", color=colour, weight=weight)
    axes.set(xlim=(0.3, length + 0.9))
    axes.axis("off")
    result = steps[-1][0]
    best = formulas.beam_search(follows, max(1, len(follows)) ** length, length)[-1][0]
    axes.set_title(f"result: {' '.join(result.words)} ({result.probability:.3f}); best of all: {best.probability:.3f}")
    return show(
        figure,
        f"Tree of a beam search of width {width} with {sum(map(len, steps))} hypotheses. It finds "
        f"“{' '.join(result.words)}” with probability {result.probability:.3f}; the best of all is "
        f"“{' '.join(best.words)}” with {best.probability:.3f}.",
    )


def draw_rank(matrix: Array, rank: int) -> Picture:
    """Draw a matrix, its nearest matrix of a rank, their difference, and the error at every rank.

    Args:
        matrix: ``[m, n]``.
        rank: rank of the approximation.
    """
    figure, (original, near, difference, curve) = _figure(4, (12, 3.1))
    nearest, errors = formulas.low_rank_approximation(matrix, rank), formulas.rank_errors(matrix)
    largest = float(np.abs(matrix).max())
    panels = (
        (original, matrix, "the change"),
        (near, nearest, f"nearest of rank {rank}"),
        (difference, matrix - nearest, "what is missing"),
    )
    for axes, values, title in panels:
        axes.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest)
        axes.set(xticks=[], yticks=[], title=title)
    curve.plot(errors, color=BLUE)
    curve.plot([rank], [errors[rank]], "o", color=ORANGE)
    curve.set(xlabel="rank r", ylim=(0, 1.05), title="share missing")
    numbers = rank * sum(matrix.shape)
    near.set_xlabel(f"{numbers:,} of {matrix.size:,} numbers")
    return show(
        figure,
        f"A {matrix.shape[0]} by {matrix.shape[1]} change and its nearest matrix of rank {rank}, which needs "
        f"{numbers:,} numbers instead of {matrix.size:,} and misses {errors[rank]:.0%} of it.",
    )


def _figure(columns: int, inches: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure that pyplot does not track: none is left open when a slider moves quickly."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        from workbench.errors import MissingPackageError

        raise MissingPackageError("matplotlib", "to draw the course's pictures") from error
    figure = Figure(figsize=inches)
    figure.subplots_adjust(wspace=0.3)  # a layout engine would take half of the drawing time
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))
