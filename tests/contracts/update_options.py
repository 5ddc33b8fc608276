"""Write options.json, the public options with their defaults: ``python tests/contracts/update_options.py``."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.contracts.test_entries import OPTIONS, surface

if __name__ == "__main__":
    OPTIONS.write_text(json.dumps(surface(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
