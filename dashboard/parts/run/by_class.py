"""Where one run is right and wrong: the evidence that Compare shows of two runs, of one."""

from __future__ import annotations

from dashboard import state
from dashboard.parts.compare import calibration, confusion, evidence, label_errors, slices, thresholds
from dashboard.parts.compare.evidence import Kind
from workbench.i18n import N_
from workbench.runs.run import Run

KINDS = {
    "confusion": Kind(N_("Confusion matrix"), confusion.draw),
    "slices": Kind(N_("Slices"), slices.draw),
    "calibration": Kind(N_("Calibration"), calibration.draw),
    "thresholds": Kind(N_("Thresholds"), thresholds.draw),
    "labels": Kind(N_("Doubtful labels"), label_errors.draw_labels),
}


def draw(run: Run) -> None:
    """Draw the kind of evidence that is chosen.

    Args:
        run: a finished run.
    """
    evidence.draw([run], KINDS, state.RunPage.EVIDENCE)
