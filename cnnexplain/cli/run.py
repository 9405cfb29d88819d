"""`cnnexplain run`: a notebook or a script written for TensorFlow, as it is."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HELP = "run a notebook or a script that imports TensorFlow or Keras, without editing it"
DESCRIPTION = """
Runs a notebook or a Python script in which `import tensorflow` and `import keras` mean this package. What the
program uses and is not here is listed before anything runs; then nothing is run, and the exit status is 1.

Where TensorFlow is installed it is what runs, and the command says so; --replace runs on this package there
too.

A notebook (extra [notebook]) runs in a Jupyter kernel, in its own folder. It is written with everything that
its cells showed to --output; the file itself is left as it is. A script runs as `python FILE ARGUMENTS` does.
"""
EXAMPLES = """
cnnexplain run homework.ipynb
cnnexplain run --check homework.ipynb
cnnexplain run homework.ipynb --output done.ipynb --figures pictures
cnnexplain run train.py --epochs 3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", metavar="FILE", help="the notebook (.ipynb) or script")
    parser.add_argument(
        "arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="a script's own, after its name"
    )
    parser.add_argument("--check", action="store_true", help="list what is not here and run nothing")
    parser.add_argument("--json", action="store_true", help="with --check: print JSON")
    parser.add_argument("--force", action="store_true", help="run although something is not here")
    parser.add_argument("--replace", action="store_true", help="also where TensorFlow is installed")
    parser.add_argument(
        "--output", metavar="FILE", help="for the executed notebook; default: NAME-executed.ipynb, here"
    )
    parser.add_argument("--figures", metavar="DIR", help="write the notebook's pictures as PNG files too")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="a cell may take; default: any time")


def run(options: argparse.Namespace) -> int:
    """Lists what is missing, then runs the program."""
    from cnnexplain import as_tensorflow
    from cnnexplain.as_tensorflow.check import check
    from cnnexplain.as_tensorflow.sources import read

    path = Path(options.file)
    notebook = path.suffix == ".ipynb"
    _understand(options, notebook)
    cells = read(path)
    ours = options.replace or as_tensorflow.tensorflow_version() is None
    problems = check(cells, path.resolve().parent) if ours or options.check else []
    if options.check and options.json:
        import dataclasses
        import json

        print(json.dumps([dataclasses.asdict(problem) for problem in problems], indent=1))
        return bool(problems)
    if problems:
        print(f"{path}: {len(problems)} things are not here".replace("1 things are", "1 thing is"))
        print(*(f"  {problem}" for problem in problems), sep="\n", flush=True)
    elif options.check:
        print(f"{path}: everything that it names is here")
    if options.check:
        return bool(problems)
    if problems and not options.force:
        print("nothing was run; --force runs it all the same", file=sys.stderr)
        return 1
    print(as_tensorflow.used(ours), file=sys.stderr)
    return _notebook(path, options) if notebook else _script(path, options)


def _understand(options: argparse.Namespace, notebook: bool) -> None:
    """Options that follow the file of a notebook are the command's; those of a script are the script's."""
    if notebook and options.arguments:
        parser = argparse.ArgumentParser(prog=f"cnnexplain run {options.file}", allow_abbrev=False)
        add_arguments(parser)
        rest = options.arguments
        path, options.arguments = options.file, []
        parser.parse_args([*rest, path], options)
        if options.file != path:
            raise ValueError(f"a notebook takes no arguments. Received: {options.file}")
    elif not notebook and (options.output or options.figures or options.timeout):
        raise ValueError("--output, --figures and --timeout are for notebooks: a script writes its own files")
    if options.json and not options.check:
        raise ValueError("--json needs --check: what a program prints while it runs is its own")


def _script(path: Path, options: argparse.Namespace) -> int:
    options_before = ["--replace"] * options.replace
    command = [
        sys.executable,
        "-m",
        "cnnexplain.as_tensorflow",
        *options_before,
        str(path),
        *options.arguments,
    ]
    return subprocess.run(command, check=False).returncode


def _notebook(path: Path, options: argparse.Namespace) -> int:
    from cnnexplain.as_tensorflow.executing import execute, figures

    output = Path(options.output or f"{path.stem}-executed.ipynb")
    if output.resolve() == path.resolve():
        raise ValueError("`--output` must be another file than the notebook, which is left as it is")
    failure = execute(path, output, replace=options.replace, timeout=options.timeout)
    if options.figures:
        for picture in figures(output, Path(options.figures)):
            print(picture)
    print(f"written: {output}")
    if failure is not None:
        print(f"{path}: {failure}", file=sys.stderr)
        return 1
    return 0
