"""Makes the figures of docs/gallery.md: python tests/explain/gallery.py [names of figures].

The sheets of photographs need cnnexplain[test]: the network's weights, and coffee and cat from scikit-image.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import cnnexplain as cx
from cnnexplain import explain, photographs, plot
from cnnexplain.explain.relevance_rules import COMPOSITES, ZBox

DOCS = Path(__file__).parents[2] / "docs"
PANEL = 1.75  # inches
WIDE = 7  # panels in a line

Picture = tuple[np.ndarray, str | None]  # an image, or values in 0..1 with their colours
Column = tuple[str, list[Picture]]  # a title, and a picture of each image


class Subject:
    """A network, images for it, and what is particular to them."""

    def __init__(self, network: Any, images: Any, early: str, features: list[str]):
        self.network, self.images, self.early, self.features = network, images, early, features
        self.costly: dict[str, dict] = {}  # settings of the methods that would take minutes
        self.bounds: dict[str, float] = {}  # of the images' values, where the network does not know them

    def explained(self, method: str, **options: Any) -> Any:
        settings = self.costly.get(method, {}) | options
        return explain(self.network, self.images, method=method, **settings)

    @functools.cached_property
    def first(self) -> Any:
        """Classes, scores and pictures of the images."""
        return self.explained("grad_cam")

    @property
    def pictures(self) -> Column:
        return "picture", [(image, None) for image in plot.to_rgb(self.first.images)]


@functools.cache
def lecture() -> Subject:
    images, _ = cx.demo.load_test_images()
    layers = ["conv2d", "conv2d_1", "conv2d_2"]
    subject = Subject(cx.demo.load_network(), images[[0, 14]], "conv2d_2", layers)
    subject.bounds = {"low": 0, "high": 1}
    return subject


@functools.cache
def photos() -> Subject:
    found = photographs.sample_photographs()
    if not (photographs.available() and "chelsea" in found):
        raise SystemExit("the sheets of photographs need pip install 'cnnexplain[test]'")
    paths = [str(found[name]) for name in ("coffee", "chelsea")]
    layers = ["block2a_project_bn", "block2b_add", "block3b_add"]
    subject = Subject(cx.keras.applications.EfficientNetLite0(), paths, "block5c_add", layers)
    subject.costly = {"score_cam": {"max_channels": 64}, "rise": {"masks": 600, "grid": 7}}
    return subject


# pictures of one kind of result


def over(e: Any) -> list[Picture]:
    return [(image, None) for image in e.overlay()]


def grey(e: Any) -> list[Picture]:
    return [(np.clip(values, 0, 1), "gray") for values in map(stretched, e.map)]


def signed(e: Any) -> list[Picture]:
    """Values around grey, in the colours of the channels they belong to."""
    return [(image, None) for image in plot.to_rgb(np.stack([0.5 + stretched(raw) / 2 for raw in e.raw]))]


def red_and_blue(e: Any) -> list[Picture]:
    """Sums over channels, from blue for negative by white to red."""
    return [(0.5 + stretched(raw.sum(2)) / 2, "seismic") for raw in e.raw]


def stretched(values: np.ndarray, share: float = 0.995) -> np.ndarray:
    """Divided by the magnitude that this share of the values stays below, and cut at -1 and 1."""
    size = np.quantile(np.abs(values), share)
    return np.clip(values / (size if size > 0 else 1), -1, 1)


def scaled(e: Any, step: str) -> list[Picture]:
    """A step of the computation, (n,h,w), each from its minimum to its maximum."""
    return [((one - one.min()) / (np.ptp(one) or 1), "viridis") for one in e.steps[step]]


# a sheet for each family


CAMS = (
    "cam", "grad_cam", "grad_cam_plus_plus", "smooth_grad_cam_plus_plus", "hires_cam", "layer_cam",
    "xgrad_cam", "score_cam", "ablation_cam", "eigen_cam", "full_grad",
)  # fmt: skip


def cams(subject: Subject) -> Any:
    columns = [(name, over(subject.explained(name))) for name in CAMS]
    return sheet(subject, columns, wide=6)


def early_cams(subject: Subject) -> Any:
    names = [name for name in CAMS if name not in ("cam", "full_grad")]  # which know no other layer
    columns = [(name, over(subject.explained(name, layer=subject.early))) for name in names]
    both = [subject.early, subject.first.layer]
    columns.append(("layer_cam,\nboth layers", over(subject.explained("layer_cam", layer=both))))
    e = subject.explained("grad_cam", layer=subject.early, counterfactual=True)
    return sheet(subject, [*columns, ("grad_cam,\ncounterfactual", over(e))], f"layer {subject.early}")


def classes(subject: Subject) -> Any:
    """The three likeliest classes side by side."""
    count = 3
    columns: list[Column] = []
    for method in ("grad_cam", "guided_backprop"):
        e = explain.compare_classes(subject.network, subject.images, method=method, top=count)
        pictures = over(e) if method == "grad_cam" else grey(e)
        columns += [(f"compare_classes,\n{method}", pictures[place::count]) for place in range(count)]
    labels = [
        [f"{short(e.class_name[i])}, p = {e.probability[i]:.2g}" for i in range(place, len(e), count)]
        for place in range(count)
    ]
    return sheet(subject, columns, below=[None, *labels, *labels])


def gradients(subject: Subject) -> Any:
    magnitudes = (
        "saliency", "input_x_gradient", "integrated_gradients", "smooth_grad", "square_grad", "var_grad",
    )  # fmt: skip
    columns = [(name, grey(subject.explained(name))) for name in magnitudes]
    for name in ("guided_backprop", "rectified_gradient", "guided_grad_cam"):
        columns.append((name, signed(subject.explained(name))))
    return sheet(subject, columns, wide=5)


def perturbation(subject: Subject) -> Any:
    e = subject.explained("occlusion")
    columns = [("occlusion", over(e))]
    columns += [(f"occlusion:\n{step}", scaled(e, step)) for step in ("probability", "map activity")]
    return sheet(subject, [*columns, ("rise", over(subject.explained("rise")))])


def relevance(subject: Subject) -> Any:
    columns: list[Column] = [("lrp,\nepsilon", red_and_blue(subject.explained("lrp", rule="epsilon")))]
    for name, rule in COMPOSITES.items():
        if subject.bounds and rule.first == ZBox():
            rule = replace(rule, first=ZBox(**subject.bounds))
        columns.append((f"lrp,\n{name}", red_and_blue(subject.explained("lrp", rule=rule))))
    e = subject.explained("deep_taylor", **subject.bounds)
    return sheet(subject, [*columns, ("deep_taylor", red_and_blue(e))], wide=4)


def features(subject: Subject) -> Any:
    columns: list[Column] = []
    below: list[list[str] | None] = [None]
    for layer in subject.features:
        e = explain.deconvnet(subject.network, subject.images, layer)
        columns.append((f"patch,\n{layer}", [(image, None) for image in map(rgb, e.patches)]))
        columns.append((f"deconvnet,\n{layer}", [(rgb(cut), None) for cut in cropped(e)]))
        below += [None, [f"map {k}: {v:.3g}" for k, v in zip(e.feature_map, e.value, strict=True)]]
    return sheet(subject, columns, below=below)


def cropped(e: Any) -> list[np.ndarray]:
    return [0.5 + 0.5 * stretched(one, 1) for one in e.reconstructions]


def rgb(image: np.ndarray) -> np.ndarray:
    return plot.to_rgb(image[None])[0]


def top(subject: Subject) -> Any:
    if isinstance(subject.images, list):
        data: Any = pieces(subject.images)
    else:
        data, _ = cx.demo.load_test_images()
    return explain.top_activations(subject.network, data, subject.features[1], range(6)).plot()


def pieces(paths: Iterable[str], count: int = 40) -> list[Any]:
    """Squares cut out of photographs at random places."""
    from PIL import Image

    rng = np.random.default_rng(0)
    cut = []
    for path in paths:
        photograph = Image.open(path).convert("RGB")
        for _ in range(count):
            side = int(rng.integers(90, 240))
            left, upper = (int(rng.integers(0, size - side + 1)) for size in photograph.size)
            cut.append(photograph.crop((left, upper, left + side, upper + side)))
    return cut


def maximization(subject: Subject) -> Any:
    if subject is lecture():
        m = explain.activation_maximization(subject.network, list(range(10)))
    else:
        target = subject.first.class_index.tolist()
        m = explain.activation_maximization(subject.network, target, steps=160)
    titles = [f"{short(name)}: {value:.1f}" for name, value in zip(m.targets, m.activation, strict=True)]
    panels = [(title, image, None) for title, image in zip(titles, plot.to_rgb(m.images), strict=True)]
    wide = min(5, len(panels))
    return plot.picture_rows([("", panels[i : i + wide]) for i in range(0, len(panels), wide)])


# drawing


def sheet(
    subject: Subject,
    columns: list[Column],
    title: str | None = None,
    *,
    wide: int = WIDE,
    below: list[list[str] | None] | None = None,
) -> Any:
    """For every image one line of panels or several, the picture first."""
    first = subject.first
    columns = [subject.pictures, *columns]
    wide = min(wide, len(columns))
    lines = -(-len(columns) // wide)
    figure = plot.new_figure(wide * PANEL + 0.3, len(first) * lines * (PANEL + 0.4) + 0.3)
    grid = figure.subplots(len(first) * lines, wide, squeeze=False)
    for image in range(len(first)):
        for place in range(lines * wide):
            axes = grid[image * lines + place // wide, place % wide]
            if place >= len(columns):
                axes.set_visible(False)
                continue
            name, pictures = columns[place]
            values, colours = pictures[image]
            plot.bare_image(axes, values, cmap=colours, vmin=0, vmax=1)
            if place == 0:
                e = first[image]
                name = f"{short(e.class_name)}\np = {e.probability:.2f}, score {e.score:.1f}"
            name = name.replace("smooth_grad_cam_plus_plus", "smooth_grad_cam\n_plus_plus")
            axes.set_title(name, fontsize="small")
            if below is not None and below[place] is not None:
                axes.set_xlabel(below[place][image], fontsize="small")
    if title:
        figure.suptitle(title, fontsize="medium")
    return figure


def short(name: str) -> str:
    return name.replace("_", " ")


FAMILIES: dict[str, Callable[[Subject], Any]] = {
    "cams": cams,
    "early-cams": early_cams,
    "classes": classes,
    "gradients": gradients,
    "perturbation": perturbation,
    "relevance": relevance,
    "features": features,
    "top": top,
    "maximization": maximization,
}
SUBJECTS = {"photographs": photos, "lecture": lecture}
FIGURES = [
    f"gallery-{subject}-{family}.{kind}"
    for subject, kind in (("photographs", "jpg"), ("lecture", "png"))
    for family in FAMILIES
]


def make(name: str, folder: Path) -> Path:
    """Writes one of FIGURES."""
    stem, kind = name.split(".")
    _, subject, family = stem.split("-", 2)
    figure = FAMILIES[family](SUBJECTS[subject]())
    path = folder / name
    if kind == "png":
        path.write_bytes(plot.png(figure, 72))
    else:
        settings = {"quality": 80, "optimize": True}
        figure.savefig(path, dpi=80, bbox_inches="tight", facecolor="white", pil_kwargs=settings)
    return path


def main(names: Iterable[str] = (), folder: Path = DOCS) -> list[Path]:
    return [make(name, folder) for name in names or FIGURES]


if __name__ == "__main__":
    main(sys.argv[1:])
