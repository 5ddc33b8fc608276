"""The queue and the worker of this machine.

The queue is the run folders in state ``queued``, in the order of ``order`` in their ``status.json``; there is no second
copy of it. One worker process per workspace takes them from it and gives each a process of its own::

    submit -> queued -> worker takes run.lock -> running -> python -m workbench run-folder DIR inherits run.lock

The lock is passed on from worker to process, so a process without the lock does not exist at any moment: whoever finds
a run that says ``running`` with its lock free knows that nobody works on it. That is what makes it safe to kill
anything here at any time: nothing is forgotten, nothing is started twice.
"""

from workbench.jobs.follow import Sight, follow
from workbench.jobs.queue import cancel, is_paused, move, outlook, pause, queue, resume, settle, stop, submit, unpause
from workbench.jobs.worker import Worker, end_worker, ensure_worker, work, worker_status

__all__ = [
    "Sight",
    "Worker",
    "cancel",
    "end_worker",
    "ensure_worker",
    "follow",
    "is_paused",
    "move",
    "outlook",
    "pause",
    "queue",
    "resume",
    "settle",
    "stop",
    "submit",
    "unpause",
    "work",
    "worker_status",
]
