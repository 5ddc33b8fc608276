"""Tags, note and archived flag of a run: ``notes.json`` in its folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from workbench.errors import RequestError, UnknownNameError
from workbench.files import read_json, read_json_cached, write_json
from workbench.locks import waiting_lock
from workbench.runs.run import Run

MAX_TAG_LENGTH = 40  # characters
MAX_TAGS = 20
MAX_NOTE_LENGTH = 10_000  # characters


@dataclass(frozen=True)
class Tags:
    """Tags, note and archived flag of a run.

    Attributes:
        tags: short words to find it by.
        notes: free text.
        archived: whether lists leave it out.
    """

    tags: tuple[str, ...] = ()
    notes: str = ""
    archived: bool = False


def read_tags(run: Run, cached: bool = False) -> Tags:
    """Return the tags and the note of a run; nothing when the file is missing or damaged.

    Args:
        run: whose.
        cached: do not read the file again while it has not changed.
    """
    content = read_json_cached(run.notes_file) if cached else read_json(run.notes_file)
    if not isinstance(content, dict):
        return Tags()
    tags = content.get("tags")
    valid = tuple(printable(tag) for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    notes = content.get("notes")
    text = printable(notes)[:MAX_NOTE_LENGTH] if isinstance(notes, str) else ""
    return Tags(valid[:MAX_TAGS], text, content.get("archived") is True)


def printable(text: str) -> str:
    """Return a text that can be encoded: a lone surrogate, which JSON can hold, becomes a question mark.

    Args:
        text: of a file.
    """
    return text.encode("utf-8", errors="replace").decode()


def update_tags(
    run: Run, tags: Iterable[str] | None = None, notes: str | None = None, archived: bool | None = None
) -> Tags:
    """Change tags, note or archived flag. Changes that two processes make at once are both kept.

    Args:
        run: whose.
        tags: all tags; None to keep them.
        notes: the note; None to keep it.
        archived: whether lists leave the run out; None to keep it.

    Returns:
        All of them after the change.

    Raises:
        RequestError: too long, too many, or a tag with a comma.
        UnknownNameError: the run was deleted.
    """
    if notes is not None and len(notes) > MAX_NOTE_LENGTH:
        raise RequestError(f"The note has {len(notes):,} characters.", f"At most {MAX_NOTE_LENGTH:,} are allowed.")
    cleaned = None if tags is None else clean_tags(tags)
    if not run.folder.is_dir():
        raise UnknownNameError("run", run.id, (), "It was deleted.")
    with waiting_lock(run.folder / "notes.lock", make_folder=False):
        old = read_tags(run)
        new = replace(
            old,
            tags=old.tags if cleaned is None else cleaned,
            notes=old.notes if notes is None else notes,
            archived=old.archived if archived is None else archived,
        )
        write_json(run.notes_file, asdict(new))
    return new


def tag(run: Run, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Tags:
    """Add and remove tags.

    Args:
        run: whose.
        add: new tags.
        remove: tags to remove.

    Returns:
        All of them after the change.
    """
    removed = set(remove)
    return update_tags(run, tags=[tag for tag in [*read_tags(run).tags, *add] if tag not in removed])


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags without surrounding spaces and duplicates.

    Args:
        tags: as a user wrote them.

    Raises:
        RequestError: a tag is too long or has a comma, or there are too many.
    """
    cleaned = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))
    for each in cleaned:
        if len(each) > MAX_TAG_LENGTH or "," in each or not each.isprintable():
            raise RequestError(
                f"{each[:60]!r} is not a tag.", f"A tag has at most {MAX_TAG_LENGTH} printable characters and no comma."
            )
    if len(cleaned) > MAX_TAGS:
        raise RequestError(f"There are {len(cleaned)} tags.", f"A run has at most {MAX_TAGS}.")
    return cleaned
