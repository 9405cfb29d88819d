"""What every method returns: maps, the numbers they came from, and pictures of them."""

from __future__ import annotations

import io
import json
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plot import HEAT, class_label, explanation_figure, overlay, png, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Note = tuple[str, np.ndarray | None]
"""A warning and the images (indices) it is about; None: all of them."""


class Explanation:
    """A batch of explained images; behaves as a sequence of explanations of one image each.

    `e[i]` is an explanation without the batch axis: where a batch has map (n,H,W) and class_index (n,), it
    has (H,W) and one number. Slices and index arrays give batches. `numpy.asarray(e)` is `e.map`.

    Attributes:
        map: (n,H,W) float32 in [0,1] at the resolution of the input, never NaN.
        raw: what the formula gives, unclipped and unscaled: (n,h,w) for CAM methods, (n,H,W,C) for gradient
            methods.
        class_index, class_name, score, probability: (n,) each; names are None where nobody knows them.
        method, layer: names; layer is None for methods that need none.
        parameters: the settings of the call and the formula.
        warnings: what the user should know, sentences.
        steps: the intermediates of the computation in order, name -> array.
        images: (n,H,W,C), the input as it is shown, preprocessing undone. Of a function, its result when
            it is first asked for.
    """

    def __init__(
        self,
        *,
        map: np.ndarray,
        raw: np.ndarray,
        class_index: np.ndarray,
        score: np.ndarray,
        probability: np.ndarray,
        images: np.ndarray | Callable[[], np.ndarray],
        method: str,
        layer: str | None = None,
        class_names: Sequence[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        steps: Mapping[str, np.ndarray] | None = None,
        notes: Sequence[Note] = (),
        single: bool = False,
    ):
        self._map = map
        self._raw = raw
        self._class_index = np.asarray(class_index)
        self._score = np.asarray(score)
        self._probability = np.asarray(probability)
        self._shown = images
        self._steps = dict(steps or {})
        self._notes = tuple(notes)
        self._single = single
        self._class_names = None if class_names is None else tuple(class_names)
        self.method = method
        self.layer = layer
        self.parameters = dict(parameters or {})

    # attributes with a batch axis

    def _item(self, array: np.ndarray) -> Any:
        return array[0] if self._single else array

    @property
    def map(self) -> np.ndarray:
        """The finished maps (n,H,W) in [0,1], float32."""
        return self._item(self._map)

    @property
    def raw(self) -> np.ndarray:
        """What the formula gives, before scaling; the method's docstring tells its shape."""
        return self._item(self._raw)

    @property
    def class_index(self) -> Any:
        """(n,) explained classes; -1 where the score is not that of a class."""
        return self._item(self._class_index)

    @property
    def class_name(self) -> Any:
        """(n,) of str, or of None where the names are not known."""
        return self._item(np.array([self._name(c) for c in self._class_index], dtype=object))

    @property
    def _images(self) -> np.ndarray:
        if callable(self._shown):
            self._shown = self._shown()
        return self._shown

    def _name(self, index: int) -> str | None:
        return self._class_names[index] if self._class_names is not None and index >= 0 else None

    @property
    def score(self) -> Any:
        """(n,) explained scores."""
        return self._item(self._score)

    @property
    def probability(self) -> Any:
        """(n,) probabilities of the explained classes."""
        return self._item(self._probability)

    @property
    def images(self) -> np.ndarray:
        """(n,H,W,C) images as they are shown, preprocessing undone."""
        return self._item(self._images)

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """Intermediate arrays by name, in the order in which they were computed."""
        return {name: self._item(array) for name, array in self._steps.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before reading the maps."""
        count = len(self._map)
        return tuple(
            text
            if where is None or count == 1 or len(where) == count
            else f"{text} (image{'s' if len(where) > 1 else ''} {_listed(where)})"
            for text, where in self._notes
        )

    # a sequence

    def __len__(self) -> int:
        if self._single:
            raise TypeError("an explanation of one image has no length; the batch it was taken from has")
        return len(self._map)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Explanation]:
        for i in range(len(self)):
            yield self[i]

    def __getitem__(self, index: Any) -> Explanation:
        count = len(self)
        single = False
        if not isinstance(index, (slice, list, np.ndarray)):
            try:
                i = operator.index(index)
            except TypeError:
                raise TypeError(
                    f"an explanation is indexed by an integer, a slice or an index array. Received: {index!r}"
                ) from None
            if not -count <= i < count:
                raise IndexError(f"index {i} is out of range for an explanation of {count} images")
            index, single = slice(i % count, i % count + 1), True
        chosen = np.arange(count)[index]
        notes = []
        for text, where in self._notes:
            kept = None if where is None else np.flatnonzero(np.isin(chosen, where))
            if kept is None or len(kept):
                notes.append((text, kept))
        return Explanation(
            map=self._map[index],
            raw=self._raw[index],
            class_index=self._class_index[index],
            score=self._score[index],
            probability=self._probability[index],
            images=self._images[index],
            method=self.method,
            layer=self.layer,
            class_names=self._class_names,
            parameters=self.parameters,
            steps={name: array[index] for name, array in self._steps.items()},
            notes=notes,
            single=single,
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        result = np.asarray(self.map, dtype)
        return result.copy() if copy and np.shares_memory(result, self._map) else result

    # pictures

    def overlay(
        self, alpha: float = 0.5, cmap: str | Callable[[np.ndarray], np.ndarray] = HEAT
    ) -> np.ndarray:
        """The map in colours over the image: (1 - alpha) * image + alpha * colour(map).

        Args:
            alpha: how much of the colour shows, 0 to 1.
            cmap: a name known to matplotlib, or a callable of values in [0,1] that gives RGB(A) in [0,1].

        Returns:
            uint8 (n,H,W,3).
        """
        return self._item(overlay(self._images, self._map, alpha, cmap))

    def plot(
        self,
        columns: Sequence[str] | None = None,
        *,
        alpha: float = 0.5,
        cmap: str | None = None,
        max_images: int = 8,
        shared_scale: bool = False,
        axes: Any = None,
    ) -> Figure:
        """A matplotlib figure, one row for each image.

        Args:
            columns: panels of a row, from "image", "map", "overlay", "raw" and the names in `steps`. Default:
                image, map and overlay for CAM methods; image, map and raw for gradient methods. Values of
                both signs have their own colours, white at zero.
            alpha: of the overlay.
            cmap: colours of the map; default "plasma" for CAM methods, "gray" for gradient methods.
            max_images: most rows.
            shared_scale: whether "raw" and the steps have one scale for all images, not each image its own.
            axes: matplotlib axes to draw into instead of a new figure: one for each panel, row by row.

        Returns:
            The figure; show it, or save it with `figure.savefig`.

        Raises:
            ValueError: no such column or colours, or `axes` are not as many as the panels.
        """
        return explanation_figure(
            self._batch(), columns, alpha=alpha, cmap=cmap, max_images=max_images,
            shared_scale=shared_scale, axes=axes,
        )  # fmt: skip

    def _batch(self) -> Explanation:
        """Itself, or one image as a batch of one, which shares the arrays."""
        if not self._single:
            return self
        whole = object.__new__(Explanation)
        whole.__dict__.update(self.__dict__, _single=False)
        return whole

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the picture (.png, .svg, .pdf) or all arrays and settings (.npz); returns the path.

        In an .npz file every array of `to_dict()` has its own name, `steps` as "steps/activations" and so on,
        and the rest is JSON text under "about".
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix in (".png", ".svg", ".pdf"):
            save(self.plot(), path, 110, bbox_inches="tight", facecolor="white")
        elif suffix == ".npz":
            arrays: dict[str, Any] = {}
            about: dict[str, Any] = {}
            for name, value in self.to_dict().items():
                if name == "steps":
                    arrays |= {f"steps/{step}": array for step, array in value.items()}
                elif isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
                    arrays[name] = np.asarray(value)
                else:
                    about[name] = value.tolist() if isinstance(value, np.ndarray) else value
            np.savez_compressed(path, **arrays, about=np.array(json.dumps(about, default=str)))
        else:
            raise ValueError(f"`path` must end in .png, .svg, .pdf or .npz. Received: path={str(path)!r}")
        return path

    def to_dict(self) -> dict[str, Any]:
        """All attributes by name, arrays as NumPy arrays."""
        names = (
            "method layer class_index class_name score probability map raw images parameters warnings steps"
        )
        return {name: getattr(self, name) for name in names.split()}

    def _repr_png_(self) -> bytes:
        return png(self.plot())

    def _repr_html_(self) -> str:
        import base64
        from html import escape

        layer = "" if self.layer is None else f", layer {escape(self.layer)}"
        count = "1 image" if len(self._map) == 1 else f"{len(self._map)} images"
        rows = "".join(f"<li>{escape(text)}</li>" for text in self.warnings)
        below = f'<ul style="color:firebrick">{rows}</ul>' if rows else ""
        picture = png(explanation_figure(self._batch(), warnings=False))
        data = base64.b64encode(picture).decode()
        image = f'<img style="max-width:100%" src="data:image/png;base64,{data}" alt="{escape(repr(self))}">'
        return f"<p><b>{escape(self.method)}</b>{layer}: {count}, {escape(_classes(self))}</p>{image}{below}"

    def __repr__(self) -> str:
        text = io.StringIO()
        height, width = self._map.shape[1:]
        images = "1 image" if len(self._map) == 1 else f"{len(self._map)} images"
        text.write(f"<Explanation {self.method} of {images} {height}x{width}")
        if self.layer is not None:
            text.write(f", layer {self.layer}")
        text.write(f", {_classes(self)}")
        if self._notes:
            text.write(f", {len(self._notes)} warning{'s' if len(self._notes) > 1 else ''}")
        return text.getvalue() + ">"


def _classes(e: Explanation, most: int = 4) -> str:
    labels = list(dict.fromkeys(class_label(e._name(c), int(c)) for c in e._class_index))
    return ", ".join(labels[:most]) + (", ..." if len(labels) > most else "")


def _listed(where: np.ndarray, most: int = 10) -> str:
    return ", ".join(str(i) for i in where[:most]) + (", ..." if len(where) > most else "")
