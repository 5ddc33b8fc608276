"""Interactive pictures: sliders in JupyterLab, static pictures at some settings where widgets cannot run.

widgets.attention(scores, tokens)    temperature and mask change the weights
widgets.positions()                  sinusoidal and rotary positions show the distance
widgets.learning_rate()              peak learning rate and warm-up change the loss
widgets.beam()                       the beam width changes which sentence is found
widgets.rank()                       the rank of a change decides how much of it is missing

The mathematics is in ``formulas.py``, the drawing in ``drawings.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from workbench.teach import drawings, formulas
from workbench.teach.formulas import Array, NextWords
from workbench.teach.pictures import Picture
from workbench.types import Bools

if TYPE_CHECKING:
    from ipywidgets import Widget
    from numpy.typing import ArrayLike

VIEW = "application/vnd.jupyter.widget-view+json"
Setting: TypeAlias = float | str


@dataclass(frozen=True)
class Slider:
    """A number to change.

    Attributes:
        label: shown next to it.
        low: smallest value.
        high: largest value.
        step: between two values; in powers of ten for a logarithmic slider.
        start: initial value.
        logarithmic: whether each step multiplies instead of adding.
    """

    label: str
    low: float
    high: float
    step: float
    start: float
    logarithmic: bool = False

    def create(self) -> Widget:
        """Create the slider of ipywidgets."""
        import ipywidgets

        common = {"description": self.label, "style": {"description_width": "11em"}, "layout": {"width": "32em"}}
        if self.logarithmic:
            low, high = np.log10(self.low), np.log10(self.high)
            return ipywidgets.FloatLogSlider(self.start, min=low, max=high, step=self.step, **common)
        kind = ipywidgets.IntSlider if isinstance(self.start, int) else ipywidgets.FloatSlider
        return kind(self.start, min=self.low, max=self.high, step=self.step, **common)


@dataclass(frozen=True)
class Choice:
    """A choice of one name.

    Attributes:
        label: shown next to it.
        options: the names.
        start: initial choice.
    """

    label: str
    options: tuple[str, ...]
    start: str

    def create(self) -> Widget:
        """Create the buttons of ipywidgets."""
        import ipywidgets

        style = {"description_width": "11em", "button_width": "auto"}
        return ipywidgets.ToggleButtons(options=self.options, value=self.start, description=self.label, style=style)


class _Tensor(Protocol):
    def detach(self) -> _Tensor: ...
    def cpu(self) -> _Tensor: ...


class InteractivePicture:
    """Controls and the picture that they change.

    Jupyter receives both a widget and static pictures, and shows the first that it can.

    Args:
        draw: draws a picture for the values of the controls, passed by name.
        controls: by name.
        stills: settings of the static pictures; controls that are missing have their initial value.
    """

    def __init__(
        self,
        draw: Callable[..., Picture],
        controls: Mapping[str, Slider | Choice],
        stills: Sequence[Mapping[str, Setting]] = ({},),
    ) -> None:
        self.draw, self.controls, self.stills = draw, controls, stills

    @cached_property
    def widget(self) -> Widget:
        """The box of ipywidgets; its last child contains the picture."""
        import ipywidgets

        inputs = {name: control.create() for name, control in self.controls.items()}
        output = ipywidgets.HTML()

        def redraw(_: object = None) -> None:
            output.value = self.draw(**{name: control.value for name, control in inputs.items()})._repr_html_()

        for control in inputs.values():
            control.observe(redraw, "value")
        redraw()
        return ipywidgets.VBox([*inputs.values(), output])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        bundle: dict[str, object] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        with contextlib.suppress(ImportError):  # without ipywidgets there are only the static pictures
            bundle[VIEW] = self.widget._repr_mimebundle_()[VIEW]
        return bundle

    def _repr_html_(self) -> str:
        start: dict[str, Setting] = {name: control.start for name, control in self.controls.items()}
        return "".join(self._still({**start, **settings}) for settings in self.stills)

    def _still(self, settings: Mapping[str, Setting]) -> str:
        values = ", ".join(f"{self.controls[name].label.lower()} {_format(value)}" for name, value in settings.items())
        return f"<p><em>With {values}:</em></p>{self.draw(**settings)._repr_html_()}"

    def __repr__(self) -> str:
        return f"Controls: {', '.join(control.label.lower() for control in self.controls.values())}."


def attention(scores: ArrayLike | _Tensor, tokens: Sequence[str] | None = None) -> InteractivePicture:
    """Show attention weights under a temperature and a mask.

    Args:
        scores: scores of queries and keys, ``[T, T]``: a tensor, an array or lists.
        tokens: T names; by default, their numbers.
    """
    table = _as_array(scores)
    names = list(tokens) if tokens is not None else [str(position) for position in range(len(table))]

    def draw(temperature: float, mask: str, hidden: int) -> Picture:
        weights = formulas.attention_weights(table, temperature, _mask(len(table), mask, hidden))
        settings = f"temperature {temperature:.2g}, {mask}, {hidden} hidden at the end"
        return drawings.draw_attention(weights, names, settings)

    return InteractivePicture(
        draw,
        {
            "temperature": Slider("Temperature", 0.05, 20.0, 0.1, 1.0, logarithmic=True),
            "mask": Choice("Mask", ("everything visible", "causal"), "everything visible"),
            "hidden": Slider("Hidden at the end", 0, len(table) - 1, 1, 0),
        },
        ({}, {"temperature": 0.1}, {"mask": "causal"}),
    )


def positions(count: int = 64, width: int = 64) -> InteractivePicture:
    """Show how two positions recognize their distance: by added waves, and by rotated queries and keys.

    Args:
        count: number of positions.
        width: width of the vectors, even.
    """
    content = np.ones(width)  # the same query and key everywhere, so that only positions make a difference

    def draw(kind: str, position: int, base: float) -> Picture:
        waves = formulas.sinusoidal_table(count, width, base)
        if kind == "waves":
            scores = waves @ waves[position]
        else:
            query = formulas.rotate(content, position, base)
            scores = np.array([formulas.rotate(content, other, base) @ query for other in range(count)])
        return drawings.draw_positions(kind, waves, scores / width, position, base)

    return InteractivePicture(
        draw,
        {
            "kind": Choice("Kind", ("waves", "rotary"), "waves"),
            "position": Slider("Position", 0, count - 1, 1, count // 4),
            "base": Slider("Base", 10.0, 100_000.0, 1.0, 10_000.0, logarithmic=True),
        },
        ({}, {"position": 3 * count // 4}, {"kind": "rotary", "base": 10.0}),
    )


def learning_rate(steps: int = 60) -> InteractivePicture:
    """Show how the peak learning rate and warm-up change the loss, in a valley with a steep start.

    Args:
        steps: steps of each training run.
    """

    def draw(rate: float, warmup: float) -> Picture:
        return drawings.draw_learning_rate(rate, warmup, steps)

    return InteractivePicture(
        draw,
        {
            "rate": Slider("Peak learning rate", 0.01, 10.0, 0.1, 0.1, logarithmic=True),
            "warmup": Slider("Warm-up (share of steps)", 0.0, 0.5, 0.05, 0.0),
        },
        ({}, {"rate": 0.5}, {"rate": 0.5, "warmup": 0.3}),
    )


# After each word, what may follow. The likeliest first word leads to no likely sentence: greedy search is misled.
SENTENCES: NextWords = {
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


def beam(follows: NextWords = SENTENCES, length: int = 3) -> InteractivePicture:
    """Show how the width of a beam search changes which sentence is found.

    Args:
        follows: for each word, what may follow and how probable it is; ``""`` is the beginning.
        length: words of a sentence.
    """
    widest = len(follows[""]) + 2

    def draw(width: int) -> Picture:
        return drawings.draw_beam(follows, width, length)

    return InteractivePicture(
        draw, {"width": Slider("Beam width", 1, widest, 1, 1)}, tuple({"width": width} for width in (1, 2, widest))
    )


def rank(change: ArrayLike | _Tensor | None = None) -> InteractivePicture:
    """Show how much of a change to a matrix is missing in the best change of a lower rank.

    Args:
        change: ``[D_out, D_in]``; by default, four strong directions and noise that a slider sets.
    """
    own_change = None if change is None else _as_array(change)
    max_rank = 64 if own_change is None else min(own_change.shape)

    def draw(rank: int, noise: float = 0.0) -> Picture:
        if own_change is not None:
            return drawings.draw_rank(own_change, rank)
        return drawings.draw_rank(formulas.low_rank_plus_noise(64, directions=4, noise=noise), rank)

    controls: dict[str, Slider | Choice] = {"rank": Slider("Rank r", 0, max_rank, 1, 1)}
    if own_change is None:
        controls["noise"] = Slider("Noise", 0.0, 4.0, 0.25, 0.5)
    return InteractivePicture(
        draw, controls, [{"rank": rank} for rank in sorted({1, min(4, max_rank), min(16, max_rank)})]
    )


def _mask(length: int, mask: str, hidden: int) -> Bools:
    """[T, T], True where a query may attend; it may always attend to the first position."""
    allowed = np.tri(length, dtype=bool) if mask == "causal" else np.ones((length, length), dtype=bool)
    allowed[:, length - hidden :] = False
    return allowed


def _as_array(numbers: ArrayLike | _Tensor) -> Array:
    """Return a tensor, array or lists as an array."""
    detach = getattr(numbers, "detach", None)
    return np.asarray(detach().cpu() if detach else numbers, dtype=np.float64)


def _format(value: Setting) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
