"""The course's interactive pictures: their mathematics by hand, and static pictures where widgets cannot run."""

from __future__ import annotations

import itertools
import math
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from workbench.models.networks.attention import Rotary, eager_attention, rotate
from workbench.models.networks.transformer import Sinusoidal
from workbench.teach import drawings, formulas, widgets
from workbench.teach.pictures import Picture
from workbench.teach.widgets import VIEW, Choice, InteractivePicture, Slider

MAKERS: dict[str, Callable[[], InteractivePicture]] = {
    "attention": lambda: widgets.attention(torch.tensor([[0.0, 1.0, 2.0]] * 3, requires_grad=True), ["a", "b", "<c>"]),
    "positions": lambda: widgets.positions(count=8, width=8),
    "learning_rate": widgets.learning_rate,
    "beam": widgets.beam,
    "rank": widgets.rank,
    "rank of a given change": lambda: widgets.rank([[3.0, 0.0], [0.0, 4.0]]),
}


@pytest.fixture
def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the slow drawing of pictures and keep only their descriptions."""
    monkeypatch.setattr(drawings, "show", lambda figure, alt: Picture(b"", alt, 1))


def alts(page: str) -> list[str]:
    return re.findall(r'<img alt="([^"]*)"', page)


# -- formulas -------------------------------------------------------------------------------------------------------


def test_attention_weights_by_hand() -> None:
    scores = np.array([[0.0, math.log(3)]])
    np.testing.assert_allclose(formulas.attention_weights(scores), [[0.25, 0.75]])
    # At temperature 1/2 the score is ln 9: shares 1 to 9.
    np.testing.assert_allclose(formulas.attention_weights(scores, 0.5), [[0.1, 0.9]])
    masked = formulas.attention_weights(scores, mask=np.array([[True, False]]))
    assert masked.tolist() == [[1.0, 0.0]]
    assert formulas.attention_weights(np.array([[0.0, 1e5]])).tolist() == [[0.0, 1.0]]  # without overflow


def test_attention_weights_equal_the_librarys() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(1, 1, 5, 8), torch.randn(1, 1, 5, 8)
    mask = torch.ones(5, 5).tril().bool()
    _, weights = eager_attention(query, key, key, mask, 0.0)
    scores = (query @ key.transpose(-2, -1) / math.sqrt(8))[0, 0].numpy()
    np.testing.assert_allclose(formulas.attention_weights(scores, mask=mask.numpy()), weights[0, 0], atol=1e-6)


def test_sinusoids_by_hand_and_against_the_library() -> None:
    table = formulas.sinusoidal_table(3, 4, base=100.0)  # angles between positions: 1 and 1/10
    np.testing.assert_allclose(table[0], [0, 1, 0, 1])
    np.testing.assert_allclose(table[2], [math.sin(2), math.cos(2), math.sin(0.2), math.cos(0.2)])
    np.testing.assert_allclose(formulas.sinusoidal_table(16, 8), Sinusoidal(16, 8).make_table(), atol=1e-6)


def test_rotation_by_hand_and_against_the_library() -> None:
    np.testing.assert_allclose(formulas.rotate(np.array([1.0, 0.0]), math.pi / 2), [0, 1], atol=1e-12)
    vector = np.random.default_rng(0).standard_normal(8)
    cosine, sine = Rotary(8)(torch.tensor([[5]]))
    expected = rotate(torch.tensor(vector, dtype=torch.float32)[None, None, None], cosine, sine)
    np.testing.assert_allclose(formulas.rotate(vector, 5), expected[0, 0, 0], atol=1e-6)


def test_rotated_queries_and_keys_depend_on_distance_only() -> None:
    query, key = np.random.default_rng(1).standard_normal((2, 8))
    near, far = (formulas.rotate(query, p) @ formulas.rotate(key, p + 3) for p in (0, 40))
    assert near == pytest.approx(far)
    assert near != pytest.approx(formulas.rotate(query, 0) @ formulas.rotate(key, 4))


def test_descent_by_hand() -> None:
    # x: 2 - 0.1 * 8 = 1.2, y: 1 - 0.1 * 0.5 = 0.95
    losses = formulas.descent_losses(np.array([0.1]), start=(2.0, 1.0), slope=0.5)
    np.testing.assert_allclose(losses, [16 / 4 + 0.25, 1.2**4 / 4 + 0.25 * 0.95**2])


def test_divergence_is_final_and_does_not_affect_other_runs() -> None:
    losses = formulas.descent_losses(np.array([[1.0] * 20, [0.1] * 20]))
    assert np.isinf(losses[0, 2:]).all() and np.isfinite(losses[0, 0])
    np.testing.assert_array_equal(losses[1], formulas.descent_losses(np.array([0.1] * 20)))


def test_training_diverges_at_the_theoretical_rate_and_warm_up_raises_it() -> None:
    # A step overshoots to the same distance where rate * x² = 2: at x = 3, at a rate of 2/9.
    for rate, survives in ((0.21, True), (0.23, False)):
        assert np.isfinite(formulas.descent_losses(drawings.schedule_rates(rate, 0.0, 60)))[-1] == survives
    assert np.isfinite(formulas.descent_losses(drawings.schedule_rates(0.5, 0.3, 60)))[-1]
    np.testing.assert_allclose(drawings.schedule_rates(0.4, 0.5, 4), [0.0, 0.2, 0.4, 0.4])


BRANCHES = {"": {"a": 0.6, "b": 0.4}, "a": {"c": 0.5, "d": 0.5}, "b": {"c": 0.9, "d": 0.1}}


def test_beam_search_by_hand() -> None:
    greedy = formulas.beam_search(BRANCHES, width=1, length=2)
    assert [(path.words, path.selected) for path in greedy[0]] == [(("a",), True), (("b",), False)]
    assert greedy[1][0].words == ("a", "c") and greedy[1][0].probability == pytest.approx(0.3)
    assert len(greedy[1]) == 2  # only extensions of the selected one
    wider = formulas.beam_search(BRANCHES, width=2, length=2)
    assert wider[1][0].words == ("b", "c") and wider[1][0].probability == pytest.approx(0.36)
    assert formulas.beam_search(BRANCHES, width=2, length=9)[-1] == wider[-1]  # nothing follows


def test_the_widest_beam_equals_exhaustive_search() -> None:
    words = {word for following in widgets.SENTENCES.values() for word in following}
    probabilities = {
        path: math.prod(widgets.SENTENCES.get(a, {}).get(b, 0.0) for a, b in itertools.pairwise(("", *path)))
        for path in itertools.product(words, repeat=3)
    }
    best = max(probabilities, key=lambda path: probabilities[path])
    results = [formulas.beam_search(widgets.SENTENCES, width, 3)[-1][0] for width in (1, 2, 50)]
    assert results[2].words == best and results[2].probability == pytest.approx(probabilities[best])
    assert results[0].words != best and results[1].words == best  # which is what the widget teaches


@pytest.mark.parametrize("word", widgets.SENTENCES)
def test_next_word_probabilities_sum_to_1(word: str) -> None:
    assert sum(widgets.SENTENCES[word].values()) == pytest.approx(1)


def test_rank_by_hand() -> None:
    change = np.diag([3.0, 4.0])
    np.testing.assert_allclose(formulas.low_rank_approximation(change, 1), np.diag([0.0, 4.0]), atol=1e-12)
    np.testing.assert_allclose(formulas.rank_errors(change), [1.0, 0.6, 0.0])
    for rank, error in enumerate(formulas.rank_errors(matrix := formulas.low_rank_plus_noise(8, 2, 0.5))):
        expected = np.linalg.norm(matrix - formulas.low_rank_approximation(matrix, rank)) / np.linalg.norm(matrix)
        assert expected == pytest.approx(error, abs=1e-9)


def test_a_change_of_few_directions_without_noise_has_that_rank() -> None:
    assert formulas.rank_errors(formulas.low_rank_plus_noise(16, 4, 0.0))[4] == pytest.approx(0, abs=1e-6)


# -- widgets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_jupyter_receives_a_widget_and_described_pictures(name: str, without_drawing: None) -> None:
    bundle: Any = MAKERS[name]()._repr_mimebundle_()
    assert bundle[VIEW]["model_id"]
    assert len(set(alts(bundle["text/html"]))) == len(alts(bundle["text/html"])) >= 2
    assert all(len(alt) > 60 for alt in alts(bundle["text/html"]))
    assert bundle["text/plain"].startswith("Controls: ")


@pytest.mark.parametrize("name", MAKERS)
def test_moving_a_control_draws_another_picture(name: str, without_drawing: None) -> None:
    picture = MAKERS[name]()
    *control_widgets, output = picture.widget.children
    start = alts(output.value)
    for control, widget in zip(picture.controls.values(), control_widgets, strict=True):
        widget.value = control.options[-1] if isinstance(control, Choice) else control.high
        assert alts(output.value) != start, control.label
        widget.value = control.start
        assert alts(output.value) == start, control.label


@pytest.mark.parametrize("name", MAKERS)
def test_every_end_of_every_slider_can_be_drawn(name: str) -> None:
    picture = MAKERS[name]()
    ends = {
        key: (control.low, control.high) if isinstance(control, Slider) else (control.options[0], control.options[-1])
        for key, control in picture.controls.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for end in (0, 1):
            values = {key: type(picture.controls[key].start)(bounds[end]) for key, bounds in ends.items()}
            assert picture.draw(**values).png.startswith(b"\x89PNG")


def test_without_ipywidgets_there_are_only_static_pictures(
    monkeypatch: pytest.MonkeyPatch, without_drawing: None
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    bundle = widgets.beam()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and len(alts(bundle["text/html"])) == 3


def test_no_figure_is_left_open() -> None:
    import matplotlib.pyplot as plt

    widgets.beam().draw(width=1)
    assert plt.get_fignums() == []
