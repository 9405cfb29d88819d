"""`python -m cnnexplain.as_tensorflow [--replace] SCRIPT [ARGUMENT...]`: runs a script whose TensorFlow is
this package. `python -m cnnexplain.as_tensorflow [--replace] --kernel ...` is a Jupyter kernel like that.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from . import install


def main() -> None:
    """Installs the names and hands over to the script or the kernel."""
    replace = sys.argv[1:2] == ["--replace"]
    del sys.argv[: 1 + replace]  # as the script expects it: its own name first
    install(replace)
    if sys.argv[0] == "--kernel":
        from ipykernel.kernelapp import launch_new_instance

        launch_new_instance()
        return
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
