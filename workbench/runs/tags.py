"""What people note about a run: tags, a note, and whether it is put away: ``notes.json`` in its folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench.errors import RequestError, UnknownNameError
from workbench.files import read_json, read_json_cached, write_json
from workbench.locks import waiting_lock
from workbench.runs.run import Run

MAX_TAG_LENGTH = 40  # characters
MAX_TAGS = 20
MAX_NOTE_LENGTH = 10_000  # characters


@dataclass(frozen=True)
class Tags:
    """Of one run: short words to find it by, a free text, and whether the list leaves it out."""

    tags: tuple[str, ...] = ()
    notes: str = ""
    archived: bool = False


def read_tags(run: Run, cached: bool = False) -> Tags:
    """Return the tags and the note of a run; nothing when the file is missing or damaged.

    Args:
        run: whose.
        cached: do not read the file again while it has not changed.
    """
    found = read_json_cached(run.notes_file) if cached else read_json(run.notes_file)
    if not isinstance(found, dict):
        return Tags()
    tags = found.get("tags")
    kept = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return Tags(kept[:MAX_TAGS], str(found.get("notes") or ""), found.get("archived") is True)


def update_tags(run: Run, **changes: Any) -> Tags:
    """Change some of ``tags``, ``notes``, ``archived``; of two who do it at once, both are heard.

    Raises:
        RequestError: too long, too many, or a tag with a comma.
        UnknownNameError: the run was deleted.
    """
    if "tags" in changes:
        changes["tags"] = clean_tags(changes["tags"])
    if len(changes.get("notes", "")) > MAX_NOTE_LENGTH:
        raise RequestError(f"The note has {len(changes['notes']):,} characters.", f"At most {MAX_NOTE_LENGTH:,} fit.")
    if not run.folder.is_dir():
        raise UnknownNameError("run", run.id, (), "It was deleted.")
    with waiting_lock(run.folder / "notes.lock", make_folder=False):
        new = replace(read_tags(run), **changes)
        write_json(run.notes_file, asdict(new))
    return new


def tag(run: Run, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Tags:
    """Add and remove tags."""
    gone = set(remove)
    return update_tags(run, tags=[tag for tag in [*read_tags(run).tags, *add] if tag not in gone])


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without blanks around and each once; RequestError for what is no tag."""
    found = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))
    for each in found:
        if len(each) > MAX_TAG_LENGTH or "," in each or not each.isprintable():
            raise RequestError(
                f"{each[:60]!r} is no tag.", f"A tag has at most {MAX_TAG_LENGTH} printable characters and no comma."
            )
    if len(found) > MAX_TAGS:
        raise RequestError(f"There are {len(found)} tags.", f"A run has at most {MAX_TAGS}.")
    return found
