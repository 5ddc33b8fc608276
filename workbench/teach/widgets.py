"""Pictures that move: sliders in JupyterLab, a static picture at some settings wherever widgets cannot run.

widgets.attention(scores, tokens)    temperature and mask against the weights
widgets.positions()                  waves and rotary positions against the distance
widgets.learning_rate()              rate and warm-up against the loss
widgets.beam()                       beam width against what is found
widgets.rank()                       the rank of a change against what it misses

The mathematics stands in ``formulas.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from workbench.teach import formulas
from workbench.teach.formulas import Array, Follows
from workbench.teach.pictures import Picture, show

BLUE, ORANGE, GREY = "#1f5fa8", "#c2570c", "#6b7075"
LOSSES = (1e-6, 1e3)  # what the axis of a loss shows
VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Slider:
    """A number to move, from ``low`` to ``high``; ``start`` is where it stands at first.

    Attributes:
        label: what is seen beside it.
        logarithmic: each step multiplies instead of adding; then ``step`` is in powers of ten.
    """

    label: str
    low: float
    high: float
    step: float
    start: float
    logarithmic: bool = False

    def made(self) -> Any:
        """The slider of ipywidgets."""
        import ipywidgets

        common = {"description": self.label, "style": {"description_width": "11em"}, "layout": {"width": "32em"}}
        if self.logarithmic:
            low, high = np.log10(self.low), np.log10(self.high)
            return ipywidgets.FloatLogSlider(self.start, min=low, max=high, step=self.step, **common)
        kind = ipywidgets.IntSlider if isinstance(self.start, int) else ipywidgets.FloatSlider
        return kind(self.start, min=self.low, max=self.high, step=self.step, **common)


@dataclass(frozen=True)
class Choice:
    """One of some names."""

    label: str
    options: tuple[str, ...]
    start: str

    def made(self) -> Any:
        """The buttons of ipywidgets."""
        import ipywidgets

        style = {"description_width": "11em", "button_width": "auto"}
        return ipywidgets.ToggleButtons(options=self.options, value=self.start, description=self.label, style=style)


class Moving:
    """Controls and the picture that they move.

    Jupyter is given both a widget and a static picture at some settings, and shows the first that it can.

    Args:
        draw: a picture for the controls' values, given by name.
        controls: by name.
        stills: settings of which the static picture is made; what is left out is at its start.
    """

    def __init__(
        self,
        draw: Callable[..., Picture],
        controls: dict[str, Slider | Choice],
        stills: Sequence[dict[str, Any]] = ({},),
    ) -> None:
        self.draw, self.controls, self.stills = draw, controls, stills

    @cached_property
    def widget(self) -> Any:
        """The box of ipywidgets; its last child holds the picture."""
        import ipywidgets

        moved = {name: control.made() for name, control in self.controls.items()}
        shown = ipywidgets.HTML()

        def redraw(_: Any = None) -> None:
            shown.value = self.draw(**{name: control.value for name, control in moved.items()})._repr_html_()

        for control in moved.values():
            control.observe(redraw, "value")
        redraw()
        return ipywidgets.VBox([*moved.values(), shown])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        with contextlib.suppress(ImportError):  # without ipywidgets the static picture is all
            bundle[VIEW] = self.widget._repr_mimebundle_()[VIEW]
        return bundle

    def _repr_html_(self) -> str:
        start = {name: control.start for name, control in self.controls.items()}
        return "".join(self._still({**start, **settings}) for settings in self.stills)

    def _still(self, settings: dict[str, Any]) -> str:
        told = ", ".join(f"{self.controls[name].label.lower()} {_short(value)}" for name, value in settings.items())
        return f"<p><em>With {told}:</em></p>{self.draw(**settings)._repr_html_()}"

    def __repr__(self) -> str:
        return f"To move: {', '.join(control.label.lower() for control in self.controls.values())}."


def attention(scores: Any, tokens: Sequence[str] | None = None) -> Moving:
    """Attention weights under a temperature and a mask.

    Args:
        scores: of each query and key, ``[T, T]``: a tensor, an array or lists.
        tokens: T names; their numbers where left out.
    """
    table = _array(scores)
    names = list(tokens) if tokens is not None else [str(place) for place in range(len(table))]

    def draw(temperature: float, mask: str, hidden: int) -> Picture:
        allowed = _mask(len(table), mask, hidden)
        weights = formulas.attention_weights(table, temperature, allowed)
        return _attention_picture(weights, names, f"temperature {temperature:.2g}, {mask}, {hidden} hidden at the end")

    return Moving(
        draw,
        {
            "temperature": Slider("Temperature", 0.05, 20.0, 0.1, 1.0, logarithmic=True),
            "mask": Choice("Mask", ("everything seen", "causal"), "everything seen"),
            "hidden": Slider("Hidden at the end", 0, len(table) - 1, 1, 0),
        },
        ({}, {"temperature": 0.1}, {"mask": "causal"}),
    )


def positions(places: int = 64, width: int = 64) -> Moving:
    """How two places find each other: by added waves, and by turned queries and keys.

    Args:
        places: how many are drawn.
        width: numbers in a vector, even.
    """
    content = np.ones(width)  # the same query and key everywhere, so that only the place is left to see

    def draw(kind: str, place: int, base: float) -> Picture:
        waves = formulas.wave_table(places, width, base)
        if kind == "waves":
            score = waves @ waves[place]
        else:
            query = formulas.turned(content, place, base)
            score = np.array([formulas.turned(content, other, base) @ query for other in range(places)])
        return _positions_picture(kind, waves, score / width, place, base)

    return Moving(
        draw,
        {
            "kind": Choice("Kind", ("waves", "rotary"), "waves"),
            "place": Slider("Place", 0, places - 1, 1, places // 4),
            "base": Slider("Base", 10.0, 100_000.0, 1.0, 10_000.0, logarithmic=True),
        },
        ({}, {"place": 3 * places // 4}, {"kind": "rotary", "base": 10.0}),
    )


def learning_rate(steps: int = 60) -> Moving:
    """The largest learning rate and the warm-up against the loss, on a valley with a steep start.

    Args:
        steps: of each training.
    """

    def draw(rate: float, warmup: float) -> Picture:
        return _rate_picture(rate, warmup, steps)

    return Moving(
        draw,
        {
            "rate": Slider("Largest learning rate", 0.01, 10.0, 0.1, 0.1, logarithmic=True),
            "warmup": Slider("Warm-up (share of steps)", 0.0, 0.5, 0.05, 0.0),
        },
        ({}, {"rate": 0.5}, {"rate": 0.5, "warmup": 0.3}),
    )


# After each word, what may follow. The likeliest first word leads to no likely sentence: greedy walks into it.
SENTENCES: Follows = {
    "": {"the": 0.5, "a": 0.3, "one": 0.2},
    "the": {"film": 0.4, "plot": 0.35, "end": 0.25},
    "a": {"film": 0.1, "joy": 0.9},
    "one": {"film": 0.5, "joke": 0.5},
    "film": {"works": 0.55, "drags": 0.45},
    "plot": {"works": 0.3, "drags": 0.7},
    "end": {"works": 0.6, "drags": 0.4},
    "joy": {"throughout": 0.95, "works": 0.05},
    "joke": {"works": 0.2, "drags": 0.8},
}


def beam(follows: Follows = SENTENCES, length: int = 3) -> Moving:
    """The width of a beam search against the sentence that it finds.

    Args:
        follows: for each word, what may follow and how probable it is; ``""`` is the beginning.
        length: words of a sentence.
    """
    widest = len(follows[""]) + 2

    def draw(width: int) -> Picture:
        return _beam_picture(follows, width, length)

    return Moving(
        draw, {"width": Slider("Beam width", 1, widest, 1, 1)}, tuple({"width": width} for width in (1, 2, widest))
    )


def rank(change: Any = None) -> Moving:
    """The rank of a change to a matrix against what the best change of that rank misses.

    Args:
        change: ``[D_out, D_in]``; by default one of four strong directions and as much noise as a slider says.
    """
    given = None if change is None else _array(change)
    most = 64 if given is None else min(given.shape)

    def draw(rank: int, noise: float = 0.0) -> Picture:
        matrix = formulas.weak_and_strong(64, directions=4, noise=noise) if given is None else given
        return _rank_picture(matrix, rank)

    controls: dict[str, Slider | Choice] = {"rank": Slider("Rank r", 0, most, 1, 1)}
    if given is None:
        controls["noise"] = Slider("Noise", 0.0, 4.0, 0.25, 0.5)
    return Moving(draw, controls, [{"rank": rank} for rank in sorted({1, min(4, most), min(16, most)})])


# -- drawings -------------------------------------------------------------------------------------------------------


def _attention_picture(weights: Array, names: list[str], told: str) -> Picture:
    figure, (table, bars) = _figure(2, (8.6, 3.6))
    _heatmap(table, weights, names)
    largest = weights.max(axis=1)
    bars.barh(range(len(names)), largest, color=BLUE)
    bars.set_yticks(range(len(names)), names)
    bars.invert_yaxis()
    bars.axvline(1 / len(names), color=GREY, linestyle="--")
    bars.set(xlim=(0, 1.02), xlabel="largest weight of the row (dashed: all the same)")
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    return show(
        figure,
        f"Attention weights at {told}. The largest, {weights.max():.2f}, goes from {names[row]} to {names[column]}; "
        f"the largest of a row is {largest.mean():.2f} in the mean; {int((weights == 0).sum())} of {weights.size} are "
        "exactly 0.",
    )


def _heatmap(axis: Any, weights: Array, names: list[str]) -> None:
    axis.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="is looked at", ylabel="looks")
    for (row, column), weight in np.ndenumerate(weights) if len(names) <= 8 else ():
        colour = "white" if weight > 0.6 else "black"
        told = f"{weight:.2f}" if weight else "0"
        axis.text(column, row, told, ha="center", va="center", color=colour, fontsize=8)


def _positions_picture(kind: str, waves: Array, score: Array, place: int, base: float) -> Picture:
    figure, (left, right) = _figure(2, (9, 3.4))
    if kind == "waves":
        left.imshow(waves.T, aspect="auto", cmap="RdBu")
        left.axvline(place, color="black")
        left.set(xlabel="place p", ylabel="number in the vector", title="what is added to a token")
    else:
        angles = place * base ** (-np.arange(0, waves.shape[1], 2) / waves.shape[1])
        left.plot(np.cos(np.linspace(0, 2 * np.pi)), np.sin(np.linspace(0, 2 * np.pi)), color=GREY, linewidth=0.8)
        for pair, colour in zip((0, len(angles) // 4, len(angles) // 2), (BLUE, ORANGE, "black"), strict=True):
            left.plot([0, np.cos(angles[pair])], [0, np.sin(angles[pair])], color=colour, label=f"pair {pair}")
        left.set(aspect="equal", xticks=[], yticks=[], title=f"how far three pairs are turned at place {place}")
        left.legend(loc="lower left", fontsize=8)
    right.plot(score, color=BLUE)
    right.axvline(place, color="black", linewidth=0.8)
    right.set(xlabel="other place", ylabel="dot product / width", title=f"place {place} and the others")
    near = score[place + 1] if place + 1 < len(score) else score[place - 1]
    return show(
        figure,
        f"Positions by {kind}, base {base:,.0f}. The dot product of place {place} with the others has its peak, "
        f"{score[place]:.2f}, at the place itself; it is {near:.2f} one place away and at the least {score.min():.2f}. "
        "At another place the curve has the same shape, only moved: it depends on the distance.",
    )


def _rates(rates: Any, warmup: float, steps: int) -> Array:
    """The rate of each step ``[..., steps]`` as the library's schedule says: up over the warm-up, then constant."""
    from workbench.training.optim import learning_rate_factor

    factors = np.array([learning_rate_factor(step, steps, warmup, "constant") for step in range(steps)])
    return np.asarray(np.multiply.outer(np.asarray(rates, dtype=np.float64), factors))


def _rate_picture(rate: float, warmup: float, steps: int) -> Picture:
    figure, (way, course, last) = _figure(3, (11, 3.1))
    losses = formulas.descent(_rates(rate, warmup, steps))
    way.plot(_rates(rate, warmup, steps), color=BLUE)
    way.set(xlabel="step", title="learning rate", ylim=(0, None))
    course.plot(_drawn(losses), color=BLUE)
    course.set(xlabel="step", yscale="log", ylim=LOSSES, title="loss, this training")
    every = np.logspace(-2, 1, 61)
    for share, colour, style in ((0.0, GREY, "--"), (warmup, BLUE, "-")):
        ends = formulas.descent(_rates(every, share, steps))[:, -1]
        last.plot(every, _drawn(ends), color=colour, linestyle=style, label=f"warm-up {share:.0%}")
    last.axvline(rate, color="black", linewidth=0.8)
    last.set(xscale="log", yscale="log", ylim=LOSSES, xlabel="largest rate", title="loss at the end, any rate")
    last.legend(fontsize=8)
    for axis in (course, last):
        axis.minorticks_off()
    came = f"falls to {losses[-1]:.2g}" if np.isfinite(losses[-1]) else "explodes"
    return show(
        figure,
        f"With largest rate {rate:.2g} and warm-up over {warmup:.0%} of {steps} steps the loss begins at "
        f"{losses[0]:.3g} and {came}. Right: the loss at the end falls as the rate grows, up to a wall where the "
        "training explodes; warm-up moves the wall to the right.",
    )


def _drawn(losses: Array) -> Array:
    """Losses that have exploded as a line that leaves the picture upwards."""
    return np.minimum(losses, 1e9)


def _beam_picture(follows: Follows, width: int, length: int) -> Picture:
    steps = formulas.beam_search(follows, width, length)
    figure, (axis,) = _figure(1, (8.6, 4.2))
    at: dict[tuple[str, ...], tuple[float, float]] = {(): (0.5, 0.0)}
    most = max(map(len, steps))
    for column, paths in enumerate(steps, 1):
        for place, path in enumerate(paths):
            x, y = at[path.words] = (float(column), -(place - (len(paths) - 1) / 2) * most / max(len(paths), 1))
            colour = BLUE if path.kept else GREY
            before = at[path.words[:-1]]
            left = before[0] + (0.62 if path.words[:-1] else 0)  # behind the words that stand there
            axis.plot([left, x - 0.02], [before[1], y], color=colour, linewidth=2 if path.kept else 0.8)
            weight = "bold" if path.kept else "normal"
            axis.text(x, y, f" {path.words[-1]} {path.probability:.3f}", va="center", color=colour, weight=weight)
    axis.set(xlim=(0.3, length + 0.9))
    axis.axis("off")
    found = steps[-1][0]
    best = formulas.beam_search(follows, max(1, len(follows)) ** length, length)[-1][0]
    axis.set_title(f"found: {' '.join(found.words)} ({found.probability:.3f}); best of all: {best.probability:.3f}")
    return show(
        figure,
        f"Tree of a beam search of width {width}: {sum(map(len, steps))} paths looked at. It finds "
        f"“{' '.join(found.words)}” with probability {found.probability:.3f}; the best of all is "
        f"“{' '.join(best.words)}” with {best.probability:.3f}.",
    )


def _rank_picture(matrix: Array, rank: int) -> Picture:
    figure, (whole, near, lacks, curve) = _figure(4, (12, 3.1))
    nearest, errors = formulas.best_of_rank(matrix, rank), formulas.rank_errors(matrix)
    largest = float(np.abs(matrix).max())
    titles = ("the change", f"nearest of rank {rank}", "what it misses")
    for axis, shown, title in zip((whole, near, lacks), (matrix, nearest, matrix - nearest), titles, strict=True):
        axis.imshow(shown, cmap="RdBu", vmin=-largest, vmax=largest)
        axis.set(xticks=[], yticks=[], title=title)
    curve.plot(errors, color=BLUE)
    curve.plot([rank], [errors[rank]], "o", color=ORANGE)
    curve.set(xlabel="rank r", ylim=(0, 1.05), title="share missed")
    numbers = rank * sum(matrix.shape)
    near.set_xlabel(f"{numbers:,} of {matrix.size:,} numbers")
    return show(
        figure,
        f"A {matrix.shape[0]} by {matrix.shape[1]} change and its nearest matrix of rank {rank}, which takes "
        f"{numbers:,} numbers instead of {matrix.size:,} and misses {errors[rank]:.0%} of it.",
    )


# -- small things ---------------------------------------------------------------------------------------------------


def _figure(columns: int, inches: tuple[float, float]) -> tuple[Any, Sequence[Any]]:
    """A figure that pyplot does not know of: nothing is left open when a slider is moved quickly."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        from workbench.errors import MissingPackageError

        raise MissingPackageError("matplotlib", "to draw the course's pictures") from error
    figure = Figure(figsize=inches)
    figure.subplots_adjust(wspace=0.3)  # a layout engine would take half of the time that drawing takes
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def _mask(length: int, mask: str, hidden: int) -> Any:
    """[T, T], True where a query may look; the first place always may be looked at."""
    allowed = np.tri(length, dtype=bool) if mask == "causal" else np.ones((length, length), dtype=bool)
    allowed[:, length - hidden :] = False
    return allowed


def _array(numbers: Any) -> Array:
    """A tensor, array or lists as an array."""
    return np.asarray(numbers.detach().cpu() if hasattr(numbers, "detach") else numbers, dtype=np.float64)


def _short(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
