"""Build the wheel with the course inside: ``notebooks/`` and ``tutorials/`` become ``workbench/course/``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("notebooks", "tutorials")
SUFFIXES = {".ipynb", ".md", ".py"}


class BuildWithCourse(build_py):
    """Copies the course beside the package's modules; an editable installation reads it from the checkout."""

    def run(self) -> None:
        """Build the modules, then copy the course."""
        super().run()
        if self.editable_mode:
            return
        root = Path(__file__).parent
        for folder in FOLDERS:
            for file in sorted((root / folder).rglob("*")):
                path = file.relative_to(root)
                if file.suffix in SUFFIXES and not any(part.startswith(".") for part in path.parts):
                    target = Path(self.build_lib) / "workbench" / "course" / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithCourse})
