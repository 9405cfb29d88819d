"""GFLOP/s of single convolutions: builds conv_bench.c with the engine and runs it.

python -m tests.bench.conv [threads [isa [lecture|vgg|pointwise|first|depthwise|dense [strict]]]]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from . import engine


def main() -> None:
    """Passes the arguments on."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = Path(__file__).with_name("conv_bench.c")
        program = engine.program(
            source, engine.objects(folder, engine.FAST), folder / "conv_bench", engine.FAST
        )
        sys.exit(subprocess.run([program, *sys.argv[1:]]).returncode)


if __name__ == "__main__":
    main()
