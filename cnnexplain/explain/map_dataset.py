"""One method over many files: on this machine, or spread over a Dask cluster."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from .explanation import Explanation
from .inputs import read_picture
from .progress import Progress, bar


@dataclass(frozen=True)
class Mapped:
    """What became of one file.

    Attributes:
        index: its place in the files, from 0.
        file: its path as it was given.
        explanation: of this one image; None where the file could not be read, or where it was written.
        path: the .npz file that was written, with `output`.
        error: why the file could not be explained; None where it was.
    """

    index: int
    file: str
    explanation: Explanation | None = None
    path: Path | None = None
    error: str | None = None


@overload
def map_dataset(
    model: Any, files: Iterable[str | os.PathLike[str]], method: str = ..., *, class_index: Any = ...,
    output: None = ..., client: Any = ..., batch_size: int = ..., steps: bool = ..., progress: Progress = ...,
    **options: Any,
) -> Iterator[Mapped]: ...  # fmt: skip
@overload
def map_dataset(
    model: Any, files: Iterable[str | os.PathLike[str]], method: str = ..., *, class_index: Any = ...,
    output: str | os.PathLike[str], client: Any = ..., batch_size: int = ..., steps: bool = ...,
    progress: Progress = ..., **options: Any,
) -> list[Mapped]: ...  # fmt: skip
def map_dataset(
    model: Any,
    files: Iterable[str | os.PathLike[str]],
    method: str = "grad_cam",
    *,
    class_index: Any = None,
    output: str | os.PathLike[str] | None = None,
    client: Any = None,
    batch_size: int = 8,
    steps: bool = False,
    progress: Progress = None,
    **options: Any,
) -> Iterator[Mapped] | list[Mapped]:
    """Explains many image files by one method, and hands each result over once, in the order of the files.

    A file that cannot be read is reported in its place and the rest is done. Files are read where they are
    explained: on a cluster every worker must see them under the same path. A worker that dies costs nothing
    but the repetition of what it had not delivered.

    Args:
        model: a keras Model or Sequential of one input.
        files: paths of images.
        method: one of `methods()`.
        class_index: None (each image's own arg max), an integer, or one for each file.
        output: a folder, made if missing: each explanation is written there as soon as it is there,
            `000041-name.npz` for file 41, and is not kept in memory. An .npz that is there is a whole one.
        client: a `distributed.Client` of a Dask cluster (extra [dask]). None: this process.
        batch_size: images that are explained together.
        steps: keep `Explanation.steps`, which hold all activations and are large.
        progress: True for a bar, False for none, or a callable of (done, total); None: a bar in notebooks
            and terminals where it takes more than a second.
        options: of the method: layer, score, preprocess and so on. On a cluster functions among them are
            pickled.

    Returns:
        Without `output`, an iterator that computes as it is asked, a few batches ahead on a cluster; with
        it, when all is done, the list. Of both, `Mapped` objects.

    Raises:
        ValueError, TypeError: settings that do not fit the model, on the first batch.
        OSError: the output cannot be written; what was written stays.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import cnnexplain as cx
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, image in zip("ab", cx.demo.load_test_images()[0]):
    ...     cx.explain.picture(image).save(folder / f"{name}.png")
    >>> (folder / "broken.png").write_text("no picture")
    10
    >>> network = cx.demo.load_network()
    >>> for one in cx.explain.map_dataset(network, sorted(folder.iterdir()), preprocess=lambda x: x / 255):
    ...     print(Path(one.file).name, one.error is None and one.explanation.class_name)
    a.png Ankle boot
    b.png Pullover
    broken.png False
    """
    if isinstance(files, (str, os.PathLike)):
        raise ValueError(
            "`files` must be a sequence of paths, such as sorted(Path(folder).glob('*.jpg')). "
            f"Received: files={str(files)!r}"
        )
    names = [os.fspath(file) for file in files]
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}")
    classes = _classes(class_index, len(names))
    batches = [
        (begin, names[begin : begin + batch_size], classes[begin : begin + batch_size])
        for begin in range(0, len(names), int(batch_size))
    ]
    settings = {"method": method, "steps": bool(steps), "options": options}
    made = _here(model, batches, settings) if client is None else _there(client, model, batches, settings)
    counted = _counted(made, len(names), progress)
    if output is None:
        return counted
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    digits = max(6, len(str(len(names))))
    return [_written(one, folder, digits) for one in counted]


def _classes(class_index: Any, count: int) -> list[Any]:
    """What each file is explained for."""
    if class_index is None or np.ndim(class_index) == 0:
        return [class_index] * count
    if len(class_index) != count:
        raise ValueError(
            f"`class_index` must be one integer or one for each of the {count} files. "
            f"Received: {len(class_index)}"
        )
    return list(class_index)


def _counted(made: Iterator[Mapped], total: int, progress: Progress) -> Iterator[Mapped]:
    shown = bar(progress, total)
    try:
        for one in made:
            yield one
            shown.update(1)
    finally:
        shown.close()


def _written(one: Mapped, folder: Path, digits: int) -> Mapped:
    """The result with its explanation in a file, under its name only when it is whole."""
    if one.explanation is None:
        return one
    path = folder / f"{one.index:0{digits}d}-{Path(one.file).stem}.npz"
    half = path.with_name(f".{path.stem}-{os.getpid()}.npz")
    try:
        one.explanation.save(half)
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    return Mapped(one.index, one.file, path=path)


Batch = tuple[int, list[str], list[Any]]


def _here(model: Any, batches: Sequence[Batch], settings: dict) -> Iterator[Mapped]:
    for batch in batches:
        yield from explain_batch(model, batch, **settings)


def _there(client: Any, model: Any, batches: Sequence[Batch], settings: dict) -> Iterator[Mapped]:
    """The same on a cluster. As many batches are under way as keep its workers busy, so that finished ones
    do not fill their memory.

    The model travels as the argument of a task, not as scattered data: the scheduler can compute a task again
    when the workers that hold its result have died.
    """
    _check_client(client)
    import cloudpickle  # which Dask brings: it also takes layers that are defined in a notebook

    payload = cloudpickle.dumps(model)
    digest = hashlib.sha256(payload).hexdigest()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        sent = client.submit(_same, payload, key=f"cnnexplain-model-{digest}")
    submit = partial(client.submit, _on_worker, sent, digest, pure=False)
    waiting = iter(batches)
    under_way: deque[Any] = deque()
    try:
        while True:
            most = 2 * max(len(client.nthreads()), 4)
            for batch in waiting:
                under_way.append(submit(batch, settings))
                if len(under_way) >= most:
                    break
            if not under_way:
                return
            yield from under_way[0].result()
            under_way.popleft().release()
    finally:
        for future in under_way:
            future.cancel()
            future.release()
        sent.release()


def _check_client(client: Any) -> None:
    if not all(callable(getattr(client, name, None)) for name in ("submit", "nthreads")):
        raise TypeError(
            f"`client` must be a distributed.Client of a cluster. Received: {type(client).__name__}"
        )
    if getattr(client, "asynchronous", False):
        raise ValueError("`client` must not be asynchronous: make it with Client(..., asynchronous=False)")


def _same(payload: bytes) -> bytes:
    return payload


_models: dict[str, Any] = {}  # of a worker's process: the last one
_one_at_a_time = threading.Lock()  # the engine has threads of its own


def _on_worker(payload: bytes, digest: str, batch: Batch, settings: dict) -> list[Mapped]:
    """A batch on a worker, with as many threads as the worker has."""
    from distributed import get_worker

    from cnnexplain.config import get_threads, set_threads

    with _one_at_a_time:
        if digest not in _models:
            _models.clear()
            _models[digest] = pickle.loads(payload)
        before = get_threads()
        set_threads(get_worker().state.nthreads)
        try:
            return explain_batch(_models[digest], batch, **settings)
        finally:
            set_threads(before)


def explain_batch(model: Any, batch: Batch, *, method: str, steps: bool, options: dict) -> list[Mapped]:
    """The results of some files, in their order.

    Args:
        model: the network.
        batch: the index of the first file, the files, their classes.
        method: by name.
        steps: whether the explanations keep their steps.
        options: of the method.
    """
    from . import by_name

    begin, files, classes = batch
    pictures, reasons = {}, {}
    for place, file in enumerate(files):
        try:
            pictures[place] = read_picture(file)
        except FileNotFoundError:
            reasons[place] = f"there is no file {file}"
        except Exception as error:  # broken files make Pillow raise everything
            reasons[place] = " ".join(str(error).split())
    found: dict[int, Explanation] = {}
    for places in _groups(model, list(pictures)):
        chosen = [classes[place] for place in places]
        e = by_name(
            model,
            [pictures[place] for place in places],
            None if chosen[0] is None else chosen,
            method=method,
            **{"progress": False, **options},
        )
        if not steps:
            e._steps.clear()
        found |= {place: e[i] for i, place in enumerate(places)}
    return [
        Mapped(begin + place, file, found.get(place), error=reasons.get(place))
        for place, file in enumerate(files)
    ]


def _groups(model: Any, places: list[int]) -> list[list[int]]:
    """Which images run together: all, or each alone where the model takes any size."""
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:3]:
        return [places] if places else []
    return [[place] for place in places]
