"""Pictures of the course carry a description."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from workbench.teach.pictures import show


def test_a_picture_has_a_description_and_closes_its_figure() -> None:
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1])
    shown = show(figure, 'It rises: "0 < 1".')
    assert not plt.fignum_exists(figure.number)
    page = shown._repr_html_()
    assert 'alt="It rises: &quot;0 &lt; 1&quot;."' in page and 'width="192"' in page
    assert shown.png.startswith(b"\x89PNG") and repr(shown) == 'Picture: It rises: "0 < 1".'


def test_a_picture_without_a_description_is_refused() -> None:
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="pass alt"):
        show(figure, "  ")
    plt.close(figure)
