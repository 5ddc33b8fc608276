"""The queue and the worker of this machine.

The queue is the run folders in state ``queued``, in the order of ``order`` in their ``status.json``; there is no second
copy of it. One worker process per workspace takes them from it and gives each a process of its own::

    submit -> queued -> worker takes run.lock -> running -> python -m workbench run-folder DIR inherits run.lock

The lock is passed on from worker to process, so a process without the lock does not exist at any moment: whoever finds
a run that says ``running`` with its lock free knows that nobody works on it. That is what makes it safe to kill
anything here at any time: nothing is forgotten, nothing is started twice.
"""

from workbench.jobs.queue import (
    cancel,
    is_paused,
    move,
    pause,
    queue,
    queue_status,
    reconcile,
    resume,
    stop,
    submit,
    unpause,
)
from workbench.jobs.watching import RunSnapshot, watch
from workbench.jobs.worker import Worker, ensure_worker, run_worker, stop_worker, worker_status

__all__ = [
    "RunSnapshot",
    "Worker",
    "cancel",
    "ensure_worker",
    "is_paused",
    "move",
    "pause",
    "queue",
    "queue_status",
    "reconcile",
    "resume",
    "run_worker",
    "stop",
    "stop_worker",
    "submit",
    "unpause",
    "watch",
    "worker_status",
]
