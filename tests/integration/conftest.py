"""Fixtures for the integration tests: workspaces with real workers, faults, and a catalogue of downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.faulty_runs import FaultScenario, Server
from workbench import jobs
from workbench.data.catalogue import download, sources
from workbench.data.catalogue.entries import Catalogue
from workbench.jobs import stop, stop_worker
from workbench.runs.run import Run
from workbench.workspace import Workspace


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that forks one process per run."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def scenario(server: Server, tmp_path_factory: pytest.TempPathFactory) -> FaultScenario:
    """A reference run that succeeded, and a factory of runs with the same spec."""
    workspace = Workspace(tmp_path_factory.mktemp("scenario") / "home").create()
    jobs.pause(workspace)  # a run's process would start a worker for the other runs of the scenario
    return FaultScenario(server, workspace)


@pytest.fixture
def live_workspace(workspace: Workspace) -> Iterator[Workspace]:
    """A fresh workspace; its runs and worker are stopped afterwards."""
    yield workspace
    for run in Run.all(workspace):
        stop(run, kill_after=10)
    stop_worker(workspace)


@pytest.fixture
def use_catalogue(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that sets the catalogue and the address of the public server."""
    monkeypatch.delenv("WORKBENCH_MIRROR", raising=False)
    monkeypatch.setattr(download, "_PAUSE", 0.01)

    def use(document: dict, address: str = "http://127.0.0.1:9") -> None:
        monkeypatch.setattr(sources, "catalogue", lambda: Catalogue.model_validate(document))
        monkeypatch.setattr(download, "RAW_FILE", address + "/{repository}/{commit}/{path}")

    return use
