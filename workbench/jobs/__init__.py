"""The queue and the worker of this machine.

The queue is the run folders in state ``queued``, in the order of ``order`` in their ``status.json``; there is no second
copy of it. One worker process per workspace takes them from it and starts a process for each::

    submit -> queued -> worker takes run.lock -> running -> python -m workbench run-folder DIR inherits run.lock

The lock passes from the worker to the process, so a process without the lock does not exist at any moment: a run that
says ``running`` while its lock is free has no process. That makes it safe to kill anything here at any time: no run is
forgotten, and none is started twice.

Modules, each importing only those above it:

    start_worker   start and end the worker from another process
    waiting        what is queued, in which order, and whether the queue is paused
    reconciling    store what became of runs whose process vanished
    process        the process of one run
    queue          what users do: submit, stop, cancel, resume, move, pause
    status         what is running, what waits, and why
    watching       a run or a sweep, observed until it has ended
    running        a run from its spec to its result, for callers that wait
    estimate       what a spec will cost, from a profiling run
    sweep_state    what a sweep has done so far, as its file holds it
    reviving       everything that looks at the queue restarts a worker that has died
    sweep_space, sweep_study, sweep_plan, sweeps, sweep_driver   searches over settings
    variables      environment variables that a run takes from the command that asked for it to its process
    worker         the worker itself
"""

from workbench.jobs.queue import cancel, move, pause, resume, stop, submit, unpause
from workbench.jobs.reconciling import reconcile
from workbench.jobs.start_worker import ensure_worker, stop_worker
from workbench.jobs.status import QueueStatus, WorkerStatus, queue_status, worker_status
from workbench.jobs.waiting import is_paused, queue
from workbench.jobs.watching import RunSnapshot, watch
from workbench.jobs.worker import Worker, run_worker

__all__ = [
    "QueueStatus",
    "RunSnapshot",
    "Worker",
    "WorkerStatus",
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
