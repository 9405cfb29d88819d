"""TensorFlow's functions on odd shapes, values and gradients, in the dtypes that TensorFlow computes in."""

from __future__ import annotations

from typing import Any

import numpy as np

_rng = np.random.RandomState(11)
X = _rng.normal(size=(3, 4, 5))
SMALL = np.tanh(X[0])
PICTURES = _rng.uniform(size=(2, 7, 5, 3))
BYTES = (PICTURES * 255).astype(np.uint8)
SQUARE = _rng.normal(size=(2, 4, 4))
POSITIVE = SQUARE @ SQUARE.transpose(0, 2, 1) + np.eye(4)
WHOLE = _rng.randint(-9, 9, (3, 5)).astype(np.int32)
KERNEL = _rng.normal(size=(3, 5, 2))
RECTANGLES = np.sort(_rng.uniform(size=(14, 2, 2)), axis=1).reshape(14, 4).astype(np.float32)
SCORES = _rng.uniform(size=14).astype(np.float32)
BOXES = np.array([[0.1, 0.2, 0.9, 0.7], [-0.2, 0.0, 1.1, 1.0], [0.9, 0.1, 0.2, 0.8]], np.float32)


def _sloped(compute: Any, *arrays: np.ndarray, dtype: str = "float64") -> Any:
    """What compute(tf, *tensors) gives, and the gradients of a weighted sum of it."""

    def run(tf: Any, keras: Any) -> list:
        tensors = [tf.constant(a.astype(dtype)) for a in arrays]
        with tf.GradientTape() as tape:
            for x in tensors:
                tape.watch(x)
            y = compute(tf, *tensors)
            leaves = list(y) if isinstance(y, (list, tuple)) else [y]
            total = 0.0
            for leaf in leaves:
                leaf = tf.cast(leaf, dtype)
                weights = np.cos(np.arange(int(np.prod(leaf.shape)))).reshape(leaf.shape)
                total = total + tf.reduce_sum(leaf * weights)
        slopes = tape.gradient(total, tensors, unconnected_gradients="zero")
        return [*leaves, *slopes]

    return run


def _plain(compute: Any) -> Any:
    return lambda tf, keras: compute(tf)


def _names(text: str) -> list[str]:
    return text.split()


FUNCTIONS: dict[str, Any] = {
    **{
        f"fn_{name}": _sloped(lambda tf, x, name=name: getattr(tf.math, name)(x), X)
        for name in _names(
            "tan atan sinh cosh asinh erf expm1 sign softsign softplus log_sigmoid cumsum cumprod reduce_std "
            "reduce_variance reduce_logsumexp cumulative_logsumexp l2_normalize reduce_euclidean_norm round "
            "floor"
        )
    },
    **{
        f"fn_{name}": _sloped(lambda tf, x, name=name: getattr(tf.math, name)(x), SMALL)
        for name in _names("asin acos atanh log1p")
    },
    "fn_acosh": _sloped(lambda tf, x: tf.math.acosh(x), 1.5 + np.abs(X)),
    "fn_atan2": _sloped(lambda tf, x, y: tf.math.atan2(x, y), X, X[0] + 3),
    "fn_xlogy": _sloped(lambda tf, x, y: tf.math.xlogy(x, y), np.round(X), np.abs(X) + 1),
    "fn_divide_no_nan": _sloped(lambda tf, x, y: tf.math.divide_no_nan(x, y), X, np.round(X)),
    "fn_multiply_no_nan": _sloped(lambda tf, x, y: tf.math.multiply_no_nan(x, y), X, np.round(X)),
    "fn_polyval": _sloped(lambda tf, x: tf.math.polyval([np.float64(c) for c in (2.0, 0.5, -1.0)], x), X),
    "fn_truncate": _plain(
        lambda tf: [tf.truncatediv(WHOLE, 4), tf.truncatemod(WHOLE, 4), tf.math.floormod(WHOLE, 4)]
    ),
    "fn_asked": _plain(
        lambda tf: [
            getattr(tf.math, f"is_{what}")(np.array([1.0, np.nan, np.inf, -np.inf]))
            for what in _names("nan inf finite")
        ]
    ),
    "fn_bits": _plain(
        lambda tf: (
            [
                getattr(tf.bitwise, name)(WHOLE, np.int32(3))
                for name in _names("bitwise_and bitwise_or bitwise_xor left_shift right_shift")
            ]
            + [tf.bitwise.invert(WHOLE), tf.bitwise.invert(BYTES[0, 0])]
        )
    ),
    "fn_relu_whole": _plain(lambda tf: [tf.nn.relu(WHOLE), tf.nn.relu6(WHOLE), tf.nn.leaky_relu(WHOLE)]),
    # order
    **{
        f"fn_sort_{axis}_{way.lower()}": _sloped(
            lambda tf, x, a=axis, w=way: tf.sort(x, axis=a, direction=w), X
        )
        for axis in (-1, 0, 1)
        for way in ("ASCENDING", "DESCENDING")
    },
    "fn_argsort": _plain(
        lambda tf: [
            tf.argsort(WHOLE, axis=1, stable=True),
            tf.argsort(WHOLE, axis=0, direction="DESCENDING", stable=True),
        ]
    ),
    "fn_top_k": _sloped(lambda tf, x: tf.math.top_k(x, 3).values, X),
    "fn_top_k_places": _plain(lambda tf: tf.math.top_k(X, 2, index_type=tf.int64).indices),
    "fn_unique": _plain(lambda tf: [*tf.unique(WHOLE[0]), *tf.unique_with_counts(WHOLE[0])]),
    "fn_searchsorted": _plain(
        lambda tf: tf.searchsorted([1.0, 2.0, 2.0, 4.0], [2.0, 5.0, 0.0], side="right")
    ),
    "fn_cumprod": _sloped(lambda tf, x: tf.math.cumprod(x, 1, exclusive=True, reverse=True), X),
    "fn_bincount": _plain(
        lambda tf: [
            tf.math.bincount([1, 3, 1]),
            tf.math.bincount([1, 3, 1], weights=[0.5, 2.0, 1.0], minlength=6),
            tf.math.bincount([[1, 3], [0, 0]], axis=-1, maxlength=3),
        ]
    ),
    # einsum and tensordot
    **{
        f"fn_einsum_{i}": _sloped(lambda tf, *a, e=equation: tf.einsum(e, *a), *arrays)
        for i, (equation, *arrays) in enumerate(
            [
                ("ijk,lk->ijl", X, X[0]),
                ("ij,jk", SMALL, X[0].T),
                ("...ij,...jk->...ik", SQUARE, SQUARE[::-1]),
                ("...i,i->...", X, X[0, 0]),
                ("bij->bji", SQUARE),
                ("ij->", SMALL),
                ("bii->bi", SQUARE),
                ("bii->b", SQUARE),
                ("i,j->ij", X[0, 0], X[0, 1]),
                ("ijk,ilk,jl->i", X, X, SQUARE[0]),
            ]
        )
    },
    "fn_tensordot": _sloped(
        lambda tf, x, y: tf.tensordot(x, y, [[1, 2], [0, 1]]), X, X[0][..., None] * SMALL[:1, :3]
    ),
    # arrays
    "fn_roll": _sloped(lambda tf, x: tf.roll(x, [1, -2], [0, 2]), X),
    "fn_boolean_mask": _sloped(lambda tf, x: tf.boolean_mask(x, X[:, :, 0] > 0), X),
    "fn_boolean_mask_axis": _sloped(lambda tf, x: tf.boolean_mask(x, [True, False, True, True], axis=1), X),
    "fn_gather_batch": _sloped(lambda tf, x: tf.gather(x, [[0, 3], [1, 1], [2, 0]], axis=1, batch_dims=1), X),
    "fn_scatter_nd": _sloped(lambda tf, x: tf.scatter_nd([[1], [4], [1]], x, [5, 4, 5]), X),
    "fn_scatter_update": _sloped(
        lambda tf, x, y: tf.tensor_scatter_nd_update(x, [[0, 1], [2, 3]], y), X, SMALL[:2]
    ),
    "fn_scatter_add": _sloped(
        lambda tf, x, y: tf.tensor_scatter_nd_add(x, [[0, 1], [0, 1]], y), X, SMALL[:2]
    ),
    "fn_scatter_sub": _sloped(lambda tf, x, y: tf.tensor_scatter_nd_sub(x, [[0], [2]], y), X, X[:2] + 1),
    "fn_scatter_max": _plain(lambda tf: tf.tensor_scatter_nd_max(X[0], [[1], [1]], X[1, :2])),
    "fn_segment": _sloped(lambda tf, x: tf.math.segment_sum(x, [0, 0, 2]), X),
    "fn_segment_mean": _sloped(lambda tf, x: tf.math.unsorted_segment_mean(x, [1, 0, 1], 4), X),
    "fn_unravel": _plain(lambda tf: tf.unravel_index([5, 0, 11], [3, 4])),
    "fn_loops": _plain(
        lambda tf: [
            tf.foldl(lambda a, x: a * 10 + x, tf.constant([1, 2, 3])),
            tf.foldr(lambda a, x: a * 10 + x, tf.constant([1, 2, 3]), initializer=7),
            tf.scan(lambda a, x: a + x, tf.constant(X)),
            tf.scan(lambda a, x: a * x, tf.constant(X), initializer=tf.ones((4, 5), "float64"), reverse=True),
            tf.switch_case(tf.constant(1), [lambda: tf.constant(5), lambda: tf.constant(6)]),
        ]
    ),
    # linear algebra
    **{
        f"fn_norm_{ord}_{axis}_{keep}".replace("(", "").replace(")", "").replace(", ", ""): _sloped(
            lambda tf, x, o=ord, a=axis, k=keep: tf.norm(x, ord=o, axis=a, keepdims=k), X
        )
        for ord in ("euclidean", 1, 2, np.inf)
        for axis in (None, 1, (1, 2), (2, 0))
        for keep in (False, True)
    },
    "fn_norm_3": _sloped(lambda tf, x: tf.norm(x, ord=3, axis=1), X),
    "fn_norm_fro": _sloped(lambda tf, x: tf.norm(x, ord="fro", axis=[0, 1]), X),
    "fn_normalize": _sloped(lambda tf, x: tf.linalg.normalize(x, axis=1), X),
    "fn_solve": _sloped(lambda tf, a, b: tf.linalg.solve(a, b), POSITIVE, X[:2, :, :3]),
    "fn_solve_adjoint": _sloped(lambda tf, a, b: tf.linalg.solve(a, b, adjoint=True), SQUARE, X[:2, :, :3]),
    **{
        f"fn_{name}": _sloped(lambda tf, a, name=name: getattr(tf.linalg, name)(a), POSITIVE)
        for name in _names("inv det logdet cholesky eigvalsh trace diag_part adjoint")
    },
    "fn_slogdet": _sloped(lambda tf, a: tf.linalg.slogdet(a).log_abs_determinant, SQUARE),
    "fn_slogdet_sign": _plain(lambda tf: tf.linalg.slogdet(SQUARE).sign),
    "fn_singular": _sloped(lambda tf, a: tf.linalg.svd(a, compute_uv=False), X),
    "fn_svd": _plain(
        lambda tf: [
            tf.matmul(u * s[..., None, :], v, adjoint_b=True) for s, u, v in [tf.linalg.svd(tf.constant(X))]
        ]
    ),
    "fn_qr": _plain(lambda tf: [tf.matmul(*tf.linalg.qr(X)), tf.abs(tf.linalg.qr(X).r)]),
    "fn_eigh": _sloped(lambda tf, a: tf.square(tf.linalg.eigh(a)[1]), POSITIVE),
    "fn_pinv": _plain(lambda tf: [tf.linalg.pinv(X), tf.linalg.matrix_rank(X)]),
    "fn_triangular_solve": _sloped(lambda tf, a, b: tf.linalg.triangular_solve(a, b), POSITIVE, X[:2, :, :3]),
    "fn_triangular_upper": _sloped(
        lambda tf, a, b: tf.linalg.triangular_solve(a, b, lower=False, adjoint=True), POSITIVE, X[:2, :, :3]
    ),
    "fn_lstsq": _sloped(lambda tf, a, b: tf.linalg.lstsq(a, b, 0.1), X[0].T, X[1, :1].T),
    "fn_lstsq_wide": _sloped(lambda tf, a, b: tf.linalg.lstsq(a, b), X[0], X[1, :, :2]),
    "fn_band_part": _sloped(lambda tf, a: tf.linalg.band_part(a, 1, 0), X),
    "fn_diag": _sloped(
        lambda tf, a: [tf.linalg.diag(a), tf.linalg.diag(a, k=-1), tf.linalg.diag(a, k=2)], X[0]
    ),
    "fn_diag_part": _sloped(lambda tf, a: [tf.linalg.diag_part(a), tf.linalg.diag_part(a, k=1)], X),
    "fn_set_diag": _sloped(lambda tf, a, d: tf.linalg.set_diag(a, d), X, X[:, :, 0] + 1),
    "fn_tensor_diag": _sloped(lambda tf, a: tf.linalg.tensor_diag(a), SMALL[:2, :3]),
    "fn_tensor_diag_part": _sloped(
        lambda tf, a: tf.linalg.tensor_diag_part(a), _rng.normal(size=(2, 3, 2, 3))
    ),
    "fn_cross": _sloped(lambda tf, a, b: tf.linalg.cross(a, b), X[:, :, :3], X[::-1, :, 1:4] * 2),
    "fn_matvec": _sloped(lambda tf, a, b: tf.linalg.matvec(a, b, adjoint_a=True), X, X[:, :, 0]),
    "fn_matmul_whole": _plain(lambda tf: tf.matmul(WHOLE, WHOLE, transpose_b=True)),
    # nn
    **{
        f"fn_lrn_{radius}_{beta}": _sloped(
            lambda tf, x, r=radius, b=beta: tf.nn.local_response_normalization(x, r, 1.5, 0.3, b),
            np.tile(PICTURES[:1, :2], (1, 1, 1, 3)),
            dtype="float32",
        )
        for radius in (1, 2, 5)
        for beta in (0.5, 0.75, 1.2)
    },
    "fn_conv1d": _sloped(lambda tf, x, k: tf.nn.conv1d(x, k, 2, "SAME"), X, KERNEL),
    "fn_conv1d_dilated": _plain(
        lambda tf: tf.nn.conv1d(np.tile(X, (1, 2, 1)), KERNEL, 1, "VALID", dilations=2)
    ),
    "fn_conv1d_transpose": _sloped(
        lambda tf, x, k: tf.nn.conv1d_transpose(x, k, (3, 8, 2), 2), X, _rng.normal(size=(3, 2, 5))
    ),
    "fn_pool1d": _sloped(
        lambda tf, x: [
            tf.nn.max_pool1d(x, 3, 2, "SAME"),
            tf.nn.avg_pool1d(x, 2, 1, "VALID"),
            tf.nn.max_pool(x, 2, 2, "VALID"),
        ],
        X,
    ),
    "fn_pool": _sloped(
        lambda tf, x: [
            tf.nn.pool(x, [2, 3], "MAX", strides=[2, 1]),
            tf.nn.pool(x, [2, 2], "AVG", padding="SAME"),
        ],
        PICTURES,
    ),
    "fn_atrous": _sloped(
        lambda tf, x, k: tf.nn.atrous_conv2d(x, k, 2, "SAME"), PICTURES, _rng.normal(size=(3, 2, 3, 2))
    ),
    "fn_convolution": _sloped(
        lambda tf, x, k: tf.nn.convolution(x, k, 2, "SAME"), PICTURES, _rng.normal(size=(3, 2, 3, 2))
    ),
    "fn_separable": _sloped(
        lambda tf, x, k, p: tf.nn.separable_conv2d(x, k, p, (1, 2, 2, 1), "SAME"),
        PICTURES,
        _rng.normal(size=(3, 3, 3, 2)),
        _rng.normal(size=(1, 1, 6, 4)),
    ),
    "fn_moments": _sloped(lambda tf, x: tf.nn.moments(x, [0, 2], keepdims=True), X),
    # pictures
    **{
        f"fn_resize_{method}_{height}_{antialias}": _sloped(
            lambda tf, x, m=method, h=height, a=antialias: tf.image.resize(x, (h, 4), m, antialias=a),
            PICTURES[1:, :, :, :2],
            dtype="float32",
        )
        for method in (
            "bilinear",
            "nearest",
            "bicubic",
            "area",
            "lanczos3",
            "lanczos5",
            "gaussian",
            "mitchellcubic",
        )
        for height in (3, 15)
        for antialias in (False, True)
        if method != "area"
    },
    "fn_resize_area": _plain(lambda tf: tf.image.resize(PICTURES, (3, 4), "area")),
    "fn_resize_aspect": _plain(
        lambda tf: tf.image.resize(PICTURES, (9, 20), "bicubic", preserve_aspect_ratio=True)
    ),
    "fn_resize_pad": _plain(lambda tf: tf.image.resize_with_pad(PICTURES, 9, 11)),
    "fn_resize_crop": _plain(lambda tf: tf.image.resize_with_crop_or_pad(PICTURES, 4, 8)),
    "fn_central_crop": _plain(lambda tf: tf.image.central_crop(PICTURES, 0.6)),
    "fn_hue": _sloped(lambda tf, x: tf.image.rgb_to_hsv(x), PICTURES, dtype="float32"),
    "fn_hsv": _plain(lambda tf: tf.image.hsv_to_rgb(PICTURES.astype("float32"))),
    "fn_adjust": _plain(
        lambda tf: [
            tf.image.adjust_hue(PICTURES.astype("float32"), 0.3),
            tf.image.adjust_hue(PICTURES.astype("float32"), -0.6),
            tf.image.adjust_saturation(PICTURES.astype("float32"), 1.7),
            tf.image.adjust_contrast(PICTURES.astype("float32"), 1.7),
            tf.image.adjust_brightness(PICTURES.astype("float32"), 0.2),
            tf.image.adjust_gamma(PICTURES.astype("float32"), 0.7, 1.1),
            tf.image.per_image_standardization(PICTURES.astype("float32")),
            tf.image.rgb_to_grayscale(PICTURES.astype("float32")),
        ]
    ),
    "fn_adjust_bytes": _plain(
        lambda tf: [
            tf.image.adjust_brightness(BYTES, 0.2),
            tf.image.adjust_contrast(BYTES, 1.7),
            tf.image.per_image_standardization(BYTES),
            tf.image.rgb_to_grayscale(BYTES),
        ]
    ),
    "fn_television": _plain(
        lambda tf: [
            getattr(tf.image, name)(PICTURES.astype("float32"))
            for name in _names("rgb_to_yiq yiq_to_rgb rgb_to_yuv yuv_to_rgb")
        ]
    ),
    "fn_variation": _sloped(lambda tf, x: tf.image.total_variation(x), PICTURES),
    "fn_image_gradients": _sloped(lambda tf, x: tf.image.image_gradients(x), PICTURES),
    "fn_sobel": _sloped(lambda tf, x: tf.image.sobel_edges(x), PICTURES),
    "fn_ssim": _sloped(
        lambda tf, x, y: tf.image.ssim(x, y, 1.0, filter_size=4), PICTURES, PICTURES[::-1], dtype="float32"
    ),
    "fn_ssim_bytes": _plain(
        lambda tf: [
            tf.image.ssim(BYTES, BYTES[::-1].copy(), 255, filter_size=5),
            tf.image.psnr(BYTES, BYTES[::-1].copy(), 255),
            tf.image.ssim(BYTES, BYTES[::-1].copy(), 255, filter_size=3, return_index_map=True),
        ]
    ),
    "fn_patches": _sloped(
        lambda tf, x: tf.image.extract_patches(x, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1], "VALID"), PICTURES
    ),
    "fn_patches_same": _plain(
        lambda tf: tf.image.extract_patches(BYTES, [1, 3, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1], "SAME")
    ),
    "fn_crops": _sloped(
        lambda tf, x: tf.image.crop_and_resize(x, BOXES, [0, 1, 0], (4, 3), extrapolation_value=0.5),
        PICTURES,
        dtype="float32",
    ),
    "fn_suppression": _plain(
        lambda tf: [
            tf.image.non_max_suppression(RECTANGLES, SCORES, 9),
            tf.image.non_max_suppression(RECTANGLES, SCORES, 3, 0.2, 0.3),
        ]
    ),
    "fn_weighted_moments": _sloped(
        lambda tf, x: tf.nn.weighted_moments(x, [0, 2], np.arange(1.0, 6.0), keepdims=False), X
    ),
    "fn_strided_slice": _plain(
        lambda tf: [
            tf.strided_slice(X, [0, 1, 0], [3, 4, 5], [2, 1, 3]),
            tf.strided_slice(X, [1, 2], [2, 9], begin_mask=1, shrink_axis_mask=2),
            tf.strided_slice(X, [0, 0, 1], [0, 0, 4], ellipsis_mask=1, new_axis_mask=2, end_mask=4),
        ]
    ),
    "fn_crops_nearest": _plain(
        lambda tf: tf.image.crop_and_resize(PICTURES.astype("float32"), BOXES, [0, 1, 0], (3, 1), "nearest")
    ),
}

_FLOAT32 = "lrn resize hue adjust television ssim crops relu_whole hsv bincount"
LOOSE: dict[str, float] = {
    name: 1e-4 for name in FUNCTIONS if any(name.startswith(f"fn_{part}") for part in _FLOAT32.split())
}
