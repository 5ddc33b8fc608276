"""How far the reader has come, as a table in JupyterLab: ``from workbench.teach.overview import overview``."""

from __future__ import annotations

import html
from dataclasses import dataclass

from workbench.teach.standing import Standing, next_of, standings


@dataclass(frozen=True)
class Overview:
    """The parts of the course and what is done of each; Jupyter shows it as a table."""

    parts: list[Standing]

    def __repr__(self) -> str:
        rows = [f"{one.done:>3} of {one.of:<3} {one.part.key:<28} {one.part.title}" for one in self.parts]
        return "\n".join([*rows, self._next()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(one.part.key)}</td><td style='text-align: left'>{html.escape(one.part.title)}</td>"
            f"<td><progress value='{one.done}' max='{one.of}'></progress></td><td>{one.done} of {one.of}</td></tr>"
            for one in self.parts
        )
        head = "<tr><th>part</th><th>what it is about</th><th></th><th>done</th></tr>"
        return f"<table>{head}{rows}</table><p>{html.escape(self._next())}</p>"

    def _next(self) -> str:
        following = next_of(self.parts)
        if following is None:
            return "All is done." if self.parts else "The course is not installed here."
        left = round(following.minutes_left)
        return f"Next: {following.part.key}, {following.part.title}" + (f" (about {left} minutes)." if left else ".")


def overview() -> Overview:
    """Where the reader stands in the course, and what comes next."""
    return Overview(standings())
