"""Metrics that explain again: noisy images, or a network with other weights."""

from __future__ import annotations

import random as python_random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core, random
from cnnexplain.image.measures import similarity
from cnnexplain.keras.models import Sequential, clone_model
from cnnexplain.keras.models.cloning import _again

from ..arguments import Shared, method, open_session
from ..explanation import Explanation
from ..layers import said_by
from ..progress import bar
from ..sampling import first_look, number, values_of, whole
from ..session import Session
from .result import Metric

if TYPE_CHECKING:
    from typing_extensions import Unpack

_WINDOW = 11  # pixels, of the structural similarity
Explain = Callable[[Any, Any], Explanation]


@method
def max_sensitivity(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    method: str = "saliency",
    options: Mapping[str, Any] | None = None,
    radius: float = 0.02,
    samples: int = 10,
    relative: bool = True,
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Metric:
    """Max-sensitivity: the largest |a(x + d) - a(x)| over random d, divided by |a(x)|; a is `raw`.

    Each value of d is uniform within +-radius; norms are Euclidean. The class stays that of the whole image.
    Yeh et al., arXiv 1901.09392, whose explanations have norm 1. An image whose explanation is zero
    everywhere has no relative change: it is left out and counted.

    Args:
        method: the name of the method, see `explain.methods()`.
        options: the method's own arguments, a dict.
        radius: as a part of each image's range (maximum minus minimum) in the values that the model takes.
        samples: how many d; all images have the same, times their range.
        relative: False leaves out the division.
        seed: of d: the same seed gives the same bits, whatever `batch_size` is.
        progress: True for a bar, or a callable of (done, total) samples.

    Returns:
        A Metric; lower is better. `details["changes"]` is (n, samples).

    Raises:
        ValueError: no such method, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> m = cx.explain.metrics.max_sensitivity(network, image, samples=2)
    >>> m.details["changes"].shape, m.higher_is_better
    ((1, 2), False)
    """
    reach, count, start = number("radius", radius), whole("samples", samples, 1), whole("seed", seed, None)
    if not reach > 0:
        raise ValueError(f"`radius` must be a positive number. Received: radius={radius!r}")
    session = open_session("max_sensitivity", model, images, class_index, shared)
    explain = _explainer(session, class_index, method, options, shared)
    x = values_of(session)
    spread = (reach * (x.max((1, 2, 3)).astype(np.float64) - x.min((1, 2, 3)))).reshape(-1, 1, 1, 1)
    before = explain(model, x)
    changes = np.zeros((len(x), count))
    with closing(bar(session.progress, count)) as shown:
        for sample in range(count):
            drawn = random.stateless_uniform(x.shape[1:], (start, sample), -1.0, 1.0, "float64")
            after = explain(model, (x + spread * np.asarray(drawn)).astype(x.dtype))
            changes[:, sample] = _norm(after.raw.astype(np.float64) - before.raw)
            shown.update(1)
    values = changes.max(1)
    if relative:
        norm = _norm(before.raw.astype(np.float64))
        values = np.divide(values, norm, out=np.full(len(x), np.nan), where=norm > 0)
    return Metric(
        "max_sensitivity",
        values,
        higher_is_better=False,
        reason="the explanation is zero everywhere, or not finite",
        details={"class_index": before.class_index, "changes": changes},
        parameters={
            "method": method,
            "options": dict(options or {}),
            "radius": reach,
            "samples": count,
            "relative": bool(relative),
            "seed": start,
            **session.parameters,
        },
        notes=session.notes,
    )


@method
def model_randomization(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    method: str = "saliency",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Metric:
    """The model-parameter randomisation test: how alike maps stay while layers lose what they have learned.

    On a copy of the model, from the last layer to the first, each layer's weights are drawn again from its
    own initializers, and the images are explained after each: the class stays that of the whole model. The
    curve is Spearman's rank correlation of the finished maps with those of the model, ranks of equal values
    averaged; `details["ssim"]` is their structural similarity (windows of 11 x 11, smaller in smaller
    images). The value is the mean of the curve without its first point, at which nothing has been drawn. Of
    two maps of which one has one value everywhere the rank correlation is 0, of two such maps 1. Adebayo et
    al., arXiv 1810.03292.

    Args:
        method: the name of the method, see `explain.methods()`.
        options: the method's own arguments, a dict.
        seed: of the weights.
        progress: True for a bar, or a callable of (done, total) layers.

    Returns:
        A Metric; lower is better: an explanation of the weights changes with them. `parameters["layers"]` are
        the layers in their order.

    Raises:
        ValueError: no such method, class, input or output, a model without weights, or one that cannot be
            built again from its configuration.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> m = cx.explain.metrics.model_randomization(network, image)
    >>> float(m.curve[0]), m.parameters["layers"][0] == network.layers[-1].name
    (1.0, True)
    """
    start = whole("seed", seed, None)
    session = open_session("model_randomization", model, images, class_index, shared)
    groups = _groups(model)
    if not groups:
        raise ValueError("`model` must have layers with weights. Received: one without")
    explain = _explainer(session, class_index, method, options, shared)
    x = values_of(session)
    copy, drawn = _drawn_again(
        model, start, [_first(s, f) for s, f in zip(session.trace.inputs, session.inputs.feeds, strict=True)]
    )
    before = explain(copy, x)
    first = before.map.astype(np.float64)
    ranks, alike = [_correlation(first, first)], [np.ones(len(x))]
    with closing(bar(session.progress, len(groups))) as shown:
        for _, places in reversed(groups):
            for place in places:
                copy.weights[place].assign(drawn[place])
            after = explain(copy, x).map.astype(np.float64)
            ranks.append(_correlation(first, after))
            alike.append(_ssim(first, after))
            shown.update(1)
    curves = np.stack(ranks, 1)
    names = [name for name, _ in reversed(groups)]
    return Metric(
        "model_randomization",
        curves[:, 1:].mean(1),
        higher_is_better=False,
        curves=curves,
        places=np.arange(len(names) + 1),
        axes=("drawn again down to", "rank correlation"),
        ticks=["none", *names],
        details={"class_index": before.class_index, "ssim": np.stack(alike, 1)},
        parameters={
            "method": method,
            "options": dict(options or {}),
            "layers": names,
            "seed": start,
            **session.parameters,
        },
        notes=session.notes,
    )


def _explainer(
    session: Session, class_index: Any, method: str, options: Any, shared: Mapping[str, Any]
) -> Explain:
    """Explains images in the values that the model takes, with the classes of the session's images."""
    from cnnexplain.explain import methods as known

    if method not in known():
        raise ValueError(f"`method` must be one of {', '.join(known())}. Received: method={method!r}")
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"`options` must be a dict of the method's arguments. Received: options={options!r}")
    if class_index is None and session.target.classes is not None:
        class_index = first_look(session).scored.class_index
    quiet = {**shared, **(options or {}), "class_names": session.class_names, "progress": False}
    feeds, place = session.inputs.feeds, session.inputs.explained

    def explain(model: Any, x: np.ndarray) -> Explanation:
        from cnnexplain.explain import by_name

        given = [*feeds[:place], x, *feeds[place + 1 :]] if len(feeds) > 1 else x
        return by_name(model, given, class_index, method=method, **quiet)

    return explain


def _norm(x: np.ndarray) -> np.ndarray:
    """(n,) Euclidean norms, also of values whose squares are beyond the type."""
    flat = np.abs(x.reshape(len(x), -1))
    top = flat.max(1)
    parts = np.divide(flat, top[:, None], out=np.zeros_like(flat), where=top[:, None] > 0)
    return top * np.sqrt((parts**2).sum(1))


def _leaves(layer: Any) -> Iterator[Any]:
    inner = getattr(layer, "layers", None)
    if isinstance(inner, (list, tuple)) and inner:
        for one in inner:
            yield from _leaves(one)
    else:
        yield layer


def _groups(model: Any) -> list[tuple[str, list[int]]]:
    """The layers with weights from the first to the last: names, and places in `model.weights`.

    Weights that no layer holds count as the last layer's.
    """
    places = {id(weight): place for place, weight in enumerate(model.weights)}
    groups = []
    for layer in _leaves(model):
        own = [places.pop(id(w)) for w in layer.weights if id(w) in places]
        if own:
            groups.append((layer.name, own))
    return [*groups, (model.name, list(places.values()))] if places else groups


def _drawn_again(model: Any, seed: int, feeds: list[Any]) -> tuple[Any, list[np.ndarray]]:
    """A copy of the model with its weights, and new ones as a model of the same layers would begin with."""
    counter = iter(range(1 << 30))

    def reseed(config: Any, initializer: bool = False) -> Any:
        if isinstance(config, dict):
            made = {k: reseed(v, initializer or str(k).endswith("initializer")) for k, v in config.items()}
            if initializer and "seed" in made:
                made["seed"] = _mixed(seed, next(counter))
            return made
        if isinstance(config, (list, tuple)):
            return type(config)(reseed(v, initializer) for v in config)
        return config

    def again(layer: Any) -> Any:
        return type(layer).from_config(reseed(layer.get_config())) if layer.weights else _again(layer)

    with _restored(seed):
        try:
            if isinstance(model, Sequential) or model._graph is not None:
                copy = clone_model(model, clone_function=again, recursive=True)
            else:
                copy = again(model)
            copy(feeds if len(feeds) > 1 else feeds[0])
        except Exception as error:
            raise ValueError(
                "`model` must be one that can be built again from its configuration. Received: a model of "
                f"type {type(model).__name__}, of which this failed: {error}"
            ) from error
    drawn = [np.array(weight) for weight in copy.weights]
    if [w.shape for w in drawn] != [tuple(w.shape) for w in model.weights]:
        raise ValueError(
            "`model` must be one that can be built again from its configuration. Received: a model whose "
            "copy has other weights"
        )
    for new, old in zip(copy.weights, model.weights, strict=True):
        new.assign(np.asarray(old))
    for name in ("preprocess", "class_names"):
        said = said_by(model, name)
        if said is not None and said_by(copy, name) is None:
            setattr(copy, name, said)
    return copy, drawn


def _first(symbol: Any, values: np.ndarray) -> Any:
    """One image of an input, to build a model with."""
    return _core.tensor(np.asarray(values[:1], symbol.dtype.as_numpy_dtype))


@contextmanager
def _restored(seed: int) -> Iterator[None]:
    """Within it Python's `random`, from which layers take seeds, starts from `seed`; after it as before."""
    before = python_random.getstate()
    python_random.seed(seed)
    try:
        yield
    finally:
        python_random.setstate(before)


def _mixed(seed: int, which: int) -> int:
    """One seed of two numbers."""
    return python_random.Random(f"{seed} {which}").randint(1, 10**9)


def _ranks(values: np.ndarray) -> np.ndarray:
    """The ranks of (m,), of equal values their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[which.reshape(-1)]


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) Spearman's rank correlation of maps (n,H,W)."""
    made = np.zeros(len(a))
    for i, (one, other) in enumerate(zip(a, b, strict=True)):
        x, y = (r - r.mean() for r in (_ranks(one.reshape(-1)), _ranks(other.reshape(-1))))
        even = (x == 0).all(), (y == 0).all()
        made[i] = float(all(even)) if any(even) else (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    return made


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) structural similarity of maps (n,H,W) in 0..1."""
    side = min(_WINDOW, *(s - 1 + s % 2 for s in a.shape[1:]))
    x, y = (_core.tensor(np.ascontiguousarray(z[..., None])) for z in (a, b))
    index = similarity(x, y, 1.0, side, 1.5, 0.01, 0.03)
    return np.asarray(_core.reduce_mean(index, axis=[1, 2, 3]))
