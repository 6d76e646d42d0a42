"""The scripts of deploy/, which are in no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

DEPLOY = Path(__file__).parents[1] / "deploy"


def load(name: str) -> ModuleType:
    """``deploy/NAME.py``, anew each time. It finds the scripts beside it by their bare names, as when it is run."""
    path = DEPLOY / f"{name}.py"
    known = f"deploy.{name.replace('/', '.')}"  # no other module's name
    spec = importlib.util.spec_from_file_location(known, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
