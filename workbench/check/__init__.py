"""Checks and resolves specs: names are looked up, options validated, defaults filled in, all problems reported at once.

problems = check(spec, workspace)      # fast: downloads nothing, loads no model
resolved = resolve(spec, workspace)    # the spec with every default, its task, model source and fine-tuning method
"""

from workbench.check.fitting import fitting_datasets, fitting_models, fitting_tunings
from workbench.check.language import AUTO
from workbench.check.paths import with_absolute_paths
from workbench.check.presets import load_spec, presets
from workbench.check.resolving import Resolved, check, make_task, require_usable, resolve
from workbench.problem import Problem, Severity, problems_of

__all__ = [
    "AUTO",
    "Problem",
    "Resolved",
    "Severity",
    "check",
    "fitting_datasets",
    "fitting_models",
    "fitting_tunings",
    "load_spec",
    "make_task",
    "presets",
    "problems_of",
    "require_usable",
    "resolve",
    "with_absolute_paths",
]
