"""Faults to plant in the core, one at a time: (file in csrc, right text, wrong text, op whose tests fail).

The right text must occur in its file; every occurrence is replaced. test_mutants.py builds and runs them.
"""

MUTANTS = [
    # arithmetic
    ("ops/arithmetic.c", "-g *o[i] / v", "g *o[i] / v", "divide"),
    (
        "ops/arithmetic.c",
        "CX_PAIR_SLOPE(multiply_second, g *u)",
        "CX_PAIR_SLOPE(multiply_second, g *v)",
        "multiply",
    ),
    ("ops/arithmetic.c", "mode[k], k ? -1 : 1, scratch", "mode[k], 1, scratch", "subtract"),
    ("ops/unary.c", "g *(REAL)-0.5 * u * u * u", "g *(REAL)-0.5 * u * u", "rsqrt"),
    ("ops/cast.c", "SATURATE(x[i], uint8_t, 0, 256, 0, UINT8_MAX)", "(uint8_t)(int64_t)x[i]", "cast"),
    ("ops/select.c", "if (whole) continue;", "continue;", "where"),
    # reductions and what broadcasting needs of them
    ("ops/fold.c", "x + half * stride, rows - half", "x + half * stride, rows - half - 1", "reduce_sum"),
    ("ops/reduce.c", "share[i] = dy[i] / share[i];", "share[i] = dy[i];", "reduce_max"),
    ("ops/pair.c", "din[k].data, 1, mode,", "din[k].data, 1, CX_WRITE,", "multiply"),
    ("ops/scan.c", "j.reverse = !a->reverse", "j.reverse = a->reverse", "cumsum"),
    ("ops/scan.c", "r ? (WIDE)y[k - step] : 1", "(WIDE)y[k]", "cumprod"),
    (
        "ops/sort.c",
        "descending ? T(below)(x[left].value, x[right].value)",
        "descending ? !T(below)(x[right].value, x[left].value)",
        "sort",
    ),
    # moves
    ("ops/move.c", "cx_swap_arrays(&g);\n    if (*mode)", "if (*mode)", "transpose"),
    (
        "ops/cut.c",
        "return (segment){0, before - 1 + skip, before, -1};",
        "return (segment){0, before - 1, before, -1};",
        "pad",
    ),
    ("ops/cut.c", "if (*mode == CX_WRITE) memset(din->data, 0,", "if (0) memset(din->data, 0,", "slice"),
    ("ops/gather.c", "row / p->outer * p->picks + r % p->picks", "r % p->picks", "gather"),
    # images
    ("ops/window.h", "total > 0 ? total / 2 : 0", "total > 0 ? (total + 1) / 2 : 0", "average_pool2d"),
    ("ops/pool.c", "bool more = !(v[k] <= best[k])", "bool more = !(v[k] < best[k])", "max_pool_with_argmax"),
    ("ops/resize.c", "y[k] = a + (b - a) * down;", "y[k] = a + (b - a) * along;", "resize"),
    ("ops/resize.c", "1.5 * t - 2.5", "1.5 * t - 2.4", "resize"),
    ("ops/transform.c", "j->shared ? 0 : 8 * image", "0", "projective_transform"),
    (
        "ops/transform.c",
        "p.down * p.near, p.down * p.far}",
        "p.down * p.far, p.down * p.near}",
        "projective_transform",
    ),
    ("ops/lrn.c", "(REAL)(2 * j->a->alpha", "(REAL)(j->a->alpha", "local_response_normalization"),
    ("ops/conv.c", "(c.size[d] - 1) * c.dilation[d] + 1", "c.size[d] + 1", "conv2d"),
    ("ops/depthwise.c", "cx_convolve_pad(&a->pads, 2 * d));\n    }", "0);\n    }", "depthwise_conv2d"),
    ("ops/dense.c", "mode[1] == CX_ADD", "false", "dense"),
    # recurrent
    ("ops/cells.c", "d[u + j] = carry * before[j] * forget", "d[u + j] = carry * forget", "lstm"),
    ("ops/cells.c", "dh[j] *= z[j];", "dh[j] = 0;", "gru"),
    ("ops/cells.c", "dh[j] += p[j] * r[j];", "", "gru"),
    ("ops/cells.c", "dp[j] += dy[j];", "dp[j] = 0;", "simple_rnn"),
    ("ops/recurrent.c", "if (s.mask) s.mask += begin * s.t;", "", "lstm"),
    # the rest
    ("ops/activation.c", "return x < 0 ? x + (REAL)SELU_FLOOR", "return x < 0 ? x", "selu"),
    ("ops/softmax.c", "REAL sum = T(row_sum)(dy, k, step);", "REAL sum = 1;", "log_softmax"),
    ("ops/norm.c", "- s * r * r * moment[k]", "", "batch_norm_training"),
    (
        "ops/loss.c",
        "(T(sigmoid)(x[i]) - z[i]) * dloss[i]",
        "T(sigmoid)(x[i]) * dloss[i]",
        "sigmoid_cross_entropy",
    ),
    ("ops/random.c", "1 / (1 - j->rate)", "1", "dropout"),
]
