"""Eigen-CAM: the direction in which the activations of a layer are strongest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Shared, method, open_session
from .cams import Gathered, find_places, finish_layers
from .explanation import Explanation
from .sampling import first_look

if TYPE_CHECKING:
    from typing_extensions import Unpack


@method
def eigen_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    center: bool = False,
    fuse: str = "mean",
    **shared: Unpack[Shared],
) -> Explanation:
    """Eigen-CAM: relu(A v), v the first right singular vector of the activations A, a row for each pixel.

    No class takes part: the map is the same for all. v has unit length and the sign that makes A v go with
    the sum over channels of A, which for activations of 0 or more makes the map 0 or more. The finished map
    is enlarged bilinearly (half-pixel centres) to the size of the image and divided by its maximum if that
    is positive. Muhammad and Yeasin, arXiv 2008.00299.

    Args:
        class_index: only for the score and the name that the explanation shows.
        center: subtract each channel's mean first, which makes v the first principal component, as in
            pytorch-grad-cam.

    Returns:
        An Explanation; `raw` is A v (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.eigen_cam(network, np.ones((28, 28, 1)), layer="conv2d_2").raw.shape
    (1, 7, 7)
    """
    session = open_session("eigen_cam", model, images, class_index, shared)
    places = find_places(session, layer, fuse)
    look = first_look(session, [(str(i), place.symbol) for i, place in enumerate(places)])
    gathered = Gathered(len(places))
    for i in range(len(places)):
        activations = look[str(i)]
        for one in activations:
            vector, projection = component(one.astype(np.float64), bool(center))
            arrays = {"activations": one, "channel weights": vector, "raw": projection}
            gathered.add(i, {name: array[None].astype(activations.dtype) for name, array in arrays.items()})
    return finish_layers(
        session,
        look.scored,
        places,
        gathered.layers(),
        fuse,
        method="eigen_cam",
        formula="relu(A v), v the first right singular vector of A" + (" minus its means" if center else ""),
        center=bool(center),
    )


def component(features: np.ndarray, center: bool) -> tuple[np.ndarray, np.ndarray]:
    """v (K,) and A v (h,w) of one image, from the smaller of the two products of A with itself."""
    h, w, channels = features.shape
    matrix = features.reshape(-1, channels)
    if center:
        matrix = matrix - matrix.mean(0)
    largest = np.abs(matrix).max()
    if not np.isfinite(largest):
        return np.full(channels, np.nan), np.full((h, w), np.nan)
    if largest == 0:
        return np.zeros(channels), np.zeros((h, w))
    scaled = matrix / largest
    if channels <= len(matrix):
        vector = np.linalg.eigh(scaled.T @ scaled)[1][:, -1]
    else:
        vector = scaled.T @ np.linalg.eigh(scaled @ scaled.T)[1][:, -1]
        vector /= np.linalg.norm(vector)
    projection = matrix @ vector
    if projection @ matrix.sum(1) < 0:
        vector, projection = -vector, -projection
    return vector, projection.reshape(h, w)
