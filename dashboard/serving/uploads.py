"""How many bytes of uploaded files the server holds in memory: Streamlit holds them as long as a page is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.i18n import _

UPLOAD_PATH = "/_stcore/upload_file/"
PAGE_MEGABYTES = 400  # of one page
TOTAL_MEGABYTES = 1000
PAGE_FILES = 50

Held = Mapping[str, Mapping[str, int]]  # page -> file -> bytes


def held_by_streamlit() -> Held:
    """Return the size of each file that Streamlit holds."""
    from streamlit.runtime import exists, get_instance

    if not exists():
        return {}
    storage = getattr(get_instance().uploaded_file_mgr, "file_storage", {})
    return {page: {name: len(file.data) for name, file in list(files.items())} for page, files in list(storage.items())}


class Uploads:
    """Refuses uploads for which there is no room.

    Args:
        held: returns the files in memory.
        page_bytes: what one page may hold.
        total_bytes: what all pages may hold.
    """

    def __init__(
        self,
        held: Callable[[], Held] = held_by_streamlit,
        page_bytes: int = PAGE_MEGABYTES * 2**20,
        total_bytes: int = TOTAL_MEGABYTES * 2**20,
    ) -> None:
        self._held, self._page_bytes, self._total_bytes = held, page_bytes, total_bytes
        self._arriving: Counter[str] = Counter()  # bytes by page

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, if it is no upload that is too large.

        Args:
            app: the application.
            scope: the request's.
            receive: the request's.
            send: the request's.
        """
        if scope["method"] != "PUT" or not scope["path"].startswith(UPLOAD_PATH):
            await app(scope, receive, send)
            return
        page, _slash, name = scope["path"].removeprefix(UPLOAD_PATH).partition("/")
        size = _content_length(scope)
        if size is None:
            await PlainTextResponse(_("The size of the file is missing."), 411)(scope, receive, send)
        elif not self._has_room(page, name, size):
            message = _("This page holds too many files. Remove some, or reload the page.")
            await PlainTextResponse(message, 413)(scope, receive, send)
        else:
            self._arriving[page] += size
            try:
                await app(scope, receive, send)
            finally:
                self._arriving[page] -= size
                if not self._arriving[page]:
                    del self._arriving[page]

    def _has_room(self, page: str, name: str, size: int) -> bool:
        held = self._held()
        files = {file: count for file, count in held.get(page, {}).items() if file != name}
        of_page = sum(files.values()) + self._arriving[page] + size
        total = sum(sum(each.values()) for each in held.values()) + self._arriving.total() + size
        return of_page <= self._page_bytes and total <= self._total_bytes and len(files) < PAGE_FILES


def _content_length(scope: Scope) -> int | None:
    values = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    return int(values[0]) if len(values) == 1 and values[0].isdigit() else None
