"""Notebooks executed in a kernel of this Python, without Jupyter's pages."""

from __future__ import annotations

import base64
import sys
import warnings
from pathlib import Path
from typing import Any


def execute(path: Path, output: Path, *, replace: bool = False, timeout: float | None = None) -> str | None:
    """Runs a notebook from top to bottom and writes it, with everything that its cells showed, to `output`.

    The cells run in the notebook's folder. The written notebook ends with the cell that failed, its error
    included; `path` itself is left as it is.

    Args:
        path: the notebook.
        output: where the executed one goes.
        replace: this package even where TensorFlow is installed.
        timeout: seconds that a cell may take.

    Returns:
        None, or one line that says which cell failed and how.

    Raises:
        ImportError: the extra [notebook] is missing.
        OSError: `output` cannot be written.
    """
    try:
        import nbformat
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as error:
        raise ImportError(
            f"running a notebook needs the extra [notebook] ({error}): pip install 'cnnexplain[notebook]'"
        ) from None
    from tqdm import tqdm

    options = ["--replace"] * replace
    start = [sys.executable, "-m", __package__, *options, "--kernel", "-f", "{connection_file}"]
    start += [f"--IPKernelApp.extensions={__package__}", "--Application.log_level=40"]

    class Kernels(KernelSpecManager):
        """Knows one kernel, whatever the notebook asks for."""

        def get_kernel_spec(self, kernel_name: str) -> Any:
            return KernelSpec(argv=start, display_name="cnnexplain", language="python")

    class Kernel(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> Any:
            return Kernels()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cells without identifiers, which get some
        notebook = nbformat.read(str(path), as_version=4)
    with output.open("ab"):  # whoever may not write there learns it now, not after an hour
        pass
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    with tqdm(total=len(code), unit="cell", disable=None, leave=False) as bar:

        def executed(cell: Any, cell_index: int, **rest: Any) -> None:
            bar.update(cell.cell_type == "code")

        client = NotebookClient(
            notebook,
            kernel_manager_class=Kernel,
            resources={"metadata": {"path": str(path.resolve().parent)}},
            timeout=timeout,
            on_cell_executed=executed,
        )
        failure = None
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failure = _failure(notebook, code, error, timeout)
        finally:  # also when it is interrupted
            nbformat.write(notebook, str(output))
    return failure


def _failure(notebook: Any, code: list[int], error: Exception, timeout: float | None) -> str:
    """Which cell, and the last line of what it said."""
    for number, index in enumerate(code, 1):
        for shown in notebook.cells[index].get("outputs", ()):
            if shown.output_type == "error":
                return f"cell {number}: {shown.ename}: {shown.evalue}"
    reason = f"a cell took longer than {timeout:g} s" if "Timeout" in type(error).__name__ else str(error)
    return " ".join(reason.split())


def figures(notebook: Path, folder: Path) -> list[Path]:
    """Writes the pictures of an executed notebook as files, named by cell: cell-03-1.png.

    Args:
        notebook: the executed notebook.
        folder: where they go; made if missing.
    """
    import nbformat

    folder.mkdir(parents=True, exist_ok=True)
    cells = [cell for cell in nbformat.read(str(notebook), as_version=4).cells if cell.cell_type == "code"]
    written = []
    for number, cell in enumerate(cells, 1):
        pictures = [out.data for out in cell.outputs if "image/png" in out.get("data", {})]
        for place, data in enumerate(pictures, 1):
            written.append(folder / f"cell-{number:02d}-{place}.png")
            written[-1].write_bytes(base64.b64decode(data["image/png"]))
    return written
