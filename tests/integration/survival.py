"""Count what is survived: ``python -m tests.integration.survival kills|starts|disks|restarts --count N``.

    kills      a run's process is killed at a write (and again while it resumes); it must end bit-identical
    starts     workers are killed at random times while runs are submitted; each run must start exactly once
    disks      a worker, its log and a real run on a disk of N different sizes; nothing may be lost or stuck
    restarts   a worker is killed with a run waiting and the dashboard open; seconds to the next start

The tests do the same with small counts. Each command prints a line of figures, and ends with 1 if something was lost.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.dashboard.serving import served
from tests.integration.faulty_runs import FaultScenario, Server, environment, fill, requeue, small_disk, spread
from tests.integration.test_jobs import WORKER, make_run, starts
from tests.integration.write_faults import Fault
from workbench.jobs import stop_worker
from workbench.jobs.reviving import revive
from workbench.runs.recovery import clear_leftovers
from workbench.runs.run import Run
from workbench.workspace import Workspace

WORKERS, SECONDS_BETWEEN_KILLS = 3, (0.3, 2.0)


def kills(count: int, folder: Path) -> bool:
    """Kill runs at writes; at every fourth, kill them again while they resume."""
    server = Server()
    scenario = FaultScenario(server, Workspace(folder / "home").create())
    random_, survived, done = random.Random(count), 0, 0
    points = spread(count, len(scenario.events))
    points += random_.choices(range(1, len(scenario.events) + 1), k=count - len(points))
    for number, event in enumerate(points):
        run = scenario.new_run()
        try:
            code = scenario.server.execute(run, Fault("kill", event)).code
            done += code == -signal.SIGKILL
            if run.state == "succeeded":
                clear_leftovers(run)
            if number % 4 == 0 and run.state != "succeeded":
                requeue(run)
                again = scenario.server.execute(run, Fault("kill", random_.randint(1, 60)))
                done += again.code == -signal.SIGKILL
            if run.state == "succeeded":
                clear_leftovers(run)
            scenario.assert_finishes_the_same(run)
            survived += 1
        except AssertionError as error:
            print(f"event {event}: {error}", flush=True)
        shutil.rmtree(run.folder, ignore_errors=True)
        if number % 50 == 49:
            print(f"... {number + 1} runs, {done} kills, {survived} bit-identical", flush=True)
    server.close()
    print(f"{done} kills in {len(points)} runs, at {len(scenario.events)} writes: {survived} bit-identical")
    return survived == len(points)


def start_worker(workspace: Workspace) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(WORKER), str(workspace.root), "--slots", "2"]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )


def starts_once(count: int, folder: Path) -> bool:
    """Submit runs while workers compete and are killed."""
    workspace = Workspace(folder / "home").create()
    runs: list[Run] = []
    workers: list[subprocess.Popen[bytes]] = []
    killed, random_ = 0, random.Random(count)
    next_kill = 0.0
    deadline = time.monotonic() + 30 + 6 * count
    while time.monotonic() < deadline:
        if len(runs) < count:
            runs.append(make_run(workspace))
        workers = [worker for worker in workers if worker.poll() is None]
        while len(workers) < WORKERS:
            workers.append(start_worker(workspace))
        if time.monotonic() >= next_kill:
            victim = random_.choice(workers)
            victim.kill()
            victim.wait()
            killed += 1
            next_kill = time.monotonic() + random_.uniform(*SECONDS_BETWEEN_KILLS)
        if len(runs) == count:
            if all(run.state == "succeeded" for run in runs):
                break
            time.sleep(0.1)
    for worker in workers:
        worker.kill()
        worker.wait()
    once = sum(len(starts(run)) == 1 and run.state == "succeeded" for run in runs)
    twice = sum(len(starts(run)) > 1 for run in runs)
    print(f"{once} of {count} runs started exactly once and succeeded, {twice} more than once; {killed} workers killed")
    return once == count


def disks(count: int, folder: Path) -> bool:
    """Put a worker, its log and a real run on a disk that is too small, and give it room later."""
    server = Server()
    scenario = FaultScenario(server, Workspace(folder / "home").create())
    lost = full = waited = 0
    sizes = [round(200 + number * 1400 / max(1, count - 1)) for number in range(count)]
    for number, kilobytes in enumerate(sizes):
        with small_disk(folder / f"disk-{number}", f"{kilobytes}k") as disk:
            workspace = Workspace(disk / "home").create()
            run = scenario.new_run(workspace.runs)
            filler = fill(disk) if number % 4 == 0 else None  # not a byte left, also for the log
            with open(disk / "worker.log", "ab") as log:
                command = [sys.executable, "-m", "workbench.jobs", str(workspace.root), "--idle", "60"]
                worker = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), start_new_session=True)
            end = time.monotonic() + (12 if filler else 90)
            while run.state in ("queued", "running") and time.monotonic() < end:
                time.sleep(0.2)
            state = run.state
            full += state != "succeeded"
            waited += state == "queued"
            alive = worker.poll() is None
            if filler is not None:
                filler.unlink()
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            if run.state in ("failed", "interrupted", "stopped"):
                requeue(run)
            end = time.monotonic() + 120
            while run.state in ("queued", "running") and time.monotonic() < end:
                time.sleep(0.2)
            stop_worker(workspace)
            try:
                assert alive, "the worker has ended"
                scenario.assert_same(run)
            except AssertionError as error:
                lost += 1
                print(f"{kilobytes} kB: {error}", flush=True)
    server.close()
    print(f"{count} disks, {full} of them full, {waited} before the run began: {lost} lost or stuck")
    return lost == 0


def restarts(count: int, folder: Path) -> bool:
    """Kill workers while the dashboard is open; nobody touches it."""
    workspace = Workspace(folder / "home").create()
    seconds: list[float] = []
    with served(workspace):
        for _ in range(count):
            blocker = make_run(workspace)
            revive(workspace)
            _wait(blocker)
            note = Path(workspace.root / "worker.lock").read_text()
            waiting = None
            pid = int(note.split('"pid": ')[1].split(",")[0])
            os.kill(pid, signal.SIGKILL)
            waiting, died = make_run(workspace), time.monotonic()
            _wait(waiting)
            seconds.append(time.monotonic() - died)
    stop_worker(workspace)
    mean = sum(seconds) / count
    print(f"{count} workers killed; to the next start: {max(seconds):.1f} s at most, {mean:.1f} s on average")
    return max(seconds) <= 15


def _wait(run: Run) -> None:
    while run.state == "queued":
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", choices=["kills", "starts", "disks", "restarts"])
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    measure = {"kills": kills, "starts": starts_once, "disks": disks, "restarts": restarts}[options.figure]
    with tempfile.TemporaryDirectory(prefix="survival-") as folder:
        return 0 if measure(options.count, Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
