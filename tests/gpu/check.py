"""Check the workbench on a GPU in less than eight minutes: tests, pretraining figures, times of the course.

    make gpu-check                          # or: python -m tests.gpu.check [--minutes 7.5] [--out build/gpu-check]

Writes OUT.md, for people, and OUT.json. The exit code is 0 if every step passed, 1 if one failed or there was no time
left for it, and 2 without a GPU.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.files import write_json, write_text

ROOT = Path(__file__).resolve().parents[2]
NO_GPU = "There is no CUDA device: make gpu-check needs a machine with a GPU."
MIN_SECONDS = 20  # a step with less time is skipped


@dataclass(frozen=True)
class Step:
    """A part of the check.

    Attributes:
        name: what it checks.
        command: arguments of Python.
        seconds: its limit.
    """

    name: str
    command: Sequence[str]
    seconds: float


@dataclass(frozen=True)
class Result:
    """The result of a step.

    Attributes:
        name: of the step.
        state: ``passed``, ``failed``, ``timed out`` or ``skipped``.
        seconds: how long it took.
        output: the end of what it printed.
    """

    name: str
    state: str
    seconds: float
    output: str


STEPS = (
    Step("Tests that need a GPU", ["-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider"], 150),
    Step("Pretraining: speed and MFU", ["tests/gpu/pretraining_speed.py", "--minutes", "2.5"], 240),
    Step("Prediction beside transformers' pipeline", ["tests/benchmarks/predicting.py", "--device", "cuda"], 60),
    Step("Times of the course", ["tests/benchmarks/course.py", "03", "04", "07", "--scale", "gpu"], 180),
)


def main(arguments: Sequence[str] | None = None, steps: Sequence[Step] = STEPS) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-check")
    options = parser.parse_args(arguments)

    import torch

    if not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    device = torch.cuda.get_device_name()
    deadline = time.monotonic() + 60 * options.minutes
    results: list[Result] = []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for step in steps:
        print(f"{step.name} ...", flush=True)
        results.append(run_step(step, deadline - time.monotonic()))
        print(f"  {results[-1].state}, {results[-1].seconds:.0f} s", flush=True)
        document = {"device": device, "torch": torch.__version__, "results": [asdict(each) for each in results]}
        write_json(options.out.with_suffix(".json"), document)
        write_text(options.out.with_suffix(".md"), as_markdown(device, torch.__version__, results))
    print(f"Wrote {options.out.with_suffix('.md')}")
    return 0 if all(result.state == "passed" for result in results) else 1


def run_step(step: Step, seconds_left: float) -> Result:
    """Run a step in a process of its own, and end that process and its children when the time is over."""
    limit = min(step.seconds, seconds_left)
    if limit < min(MIN_SECONDS, step.seconds):
        return Result(step.name, "skipped", 0.0, "")
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *step.command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
        state = "passed" if process.returncode == 0 else "failed"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        state = "timed out"
    return Result(step.name, state, round(time.monotonic() - start, 1), output[-20_000:])


def as_markdown(device: str, torch_version: str, results: Sequence[Result]) -> str:
    """Return a page with a table of the steps, and what each printed."""
    lines = [f"# GPU check on {device}, torch {torch_version}", "", "| step | result | seconds |", "|---|---|---|"]
    lines += [f"| {result.name} | {result.state} | {result.seconds:.0f} |" for result in results]
    for result in results:
        if result.output.strip():
            lines += ["", f"## {result.name}", "", result.output.strip()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
