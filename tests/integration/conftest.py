"""Fixtures of the tests that make real processes meet faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.faulty_runs import Scene, Server
from workbench.workspace import Workspace


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Forks processes of runs."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def scene(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run that went well, and more of its kind."""
    return Scene(server, Workspace(tmp_path_factory.mktemp("scene") / "home").create())
