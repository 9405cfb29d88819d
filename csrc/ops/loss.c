/* Cross-entropies of logits: what Keras reaches through the logits of a softmax or a sigmoid. */
#include "generic.h"
#include "emit.h"
#include "exp.h"

#ifndef REAL
typedef struct {
    const cx_value *in; /* logits; targets or labels */
    const void *dloss;
    void *to; /* the loss, or the gradient of one input */
    bool add;
    int64_t k; /* classes */
} task;

static int64_t label_at(const cx_value *labels, int64_t i)
{
    switch (labels->spec.dtype) {
    case CX_I64:
        return ((const int64_t *)labels->data)[i];
    case CX_I32:
        return ((const int32_t *)labels->data)[i];
    case CX_U8:
        return ((const uint8_t *)labels->data)[i];
    default:
        return ((const int8_t *)labels->data)[i];
    }
}
static void run_rows(task *t, cx_task *run)
{
    const cx_spec *s = &t->in->spec;
    int64_t rows = 1;
    for (int d = 0; d + 1 < s->ndim; d++) rows *= s->dim[d];
    t->k = s->dim[s->ndim - 1];
    cx_parallel(rows, 1 + CX_GRAIN / 4 / (t->k + 1), run, t);
}

#define REAL float
#include "loss.c"
#undef REAL
#define REAL double
#include "loss.c"
#undef REAL

/* The shape of two inputs that must agree. */
static cx_code agree(const char *op, const char *second, const cx_spec *a, const cx_spec *b, cx_spec *both, cx_err *err)
{
    bool same = a->ndim == b->ndim;
    char text[2][CX_SHAPE_TEXT];
    for (int d = 0; same && d < a->ndim; d++) same = cx_fits(a->dim[d], b->dim[d]);
    if (!same)
        return cx_fail(err, CX_EVALUE, "%s: `%s` must have the shape %s. Received: shape %s", op, second,
                       cx_shape_text(a, text[0]), cx_shape_text(b, text[1]));
    *both = *a;
    for (int d = 0; d < a->ndim; d++)
        if (a->dim[d] == CX_ANY) both->dim[d] = b->dim[d];
    return CX_OK;
}
static cx_code need_classes(const char *op, const cx_spec *logits, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (logits->ndim >= 1 && logits->dim[logits->ndim - 1] != 0) return CX_OK;
    return cx_fail(err, CX_EVALUE, "%s: `logits` must have at least one class in its last axis. Received: shape %s", op,
                   cx_shape_text(logits, text));
}

static cx_code softmax_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr;
    if (need_classes("softmax_cross_entropy", in, err)) return err->code;
    if (agree("softmax_cross_entropy", "targets", &in[0], &in[1], &plan->out[0], err)) return err->code;
    plan->out[0].ndim--;
    return CX_OK;
}
static cx_code sparse_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    cx_spec rows = in[0];
    (void)attr;
    if (need_classes("sparse_softmax_cross_entropy", in, err)) return err->code;
    if (cx_is_real(in[1].dtype) || in[1].dtype == CX_BOOL)
        return cx_fail(err, CX_ETYPE, "sparse_softmax_cross_entropy: `labels` must be integers. Received: dtype=%s",
                       cx_dtype_name(in[1].dtype));
    rows.ndim--;
    if (agree("sparse_softmax_cross_entropy", "labels", &rows, &in[1], &plan->out[0], err)) return err->code;
    plan->out[0].dtype = in[0].dtype;
    return CX_OK;
}
static cx_code sparse_check(const void *attr, const cx_value *in, cx_err *err)
{
    int64_t k = in[0].spec.dim[in[0].spec.ndim - 1];
    (void)attr;
    for (int64_t i = 0, n = cx_count(&in[1].spec); i < n; i++) {
        int64_t label = label_at(&in[1], i);
        if (label < 0 || label >= k)
            return cx_fail(err, CX_EVALUE,
                           "sparse_softmax_cross_entropy: `labels` must be in [0, %lld), the number of classes. "
                           "Received: label %lld at position %lld",
                           (long long)k, (long long)label, (long long)i);
    }
    return CX_OK;
}
static cx_code sigmoid_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr;
    return agree("sigmoid_cross_entropy", "targets", &in[0], &in[1], &plan->out[0], err);
}

EMIT(softmax)
{
    const cx_axis_attr last = {-1};
    cx_reduce_attr row = {{1, {-1}}, 1};
    cx_spec column = *cx_emitted_spec(e, n->in[0]);
    column.dim[column.ndim - 1] = 1;
    int dloss = cx_emit_reshape(e, dy, &column);
    if (k) {
        int log_p = CX_EMIT_WITH(e, &cx_op_log_softmax, last, n->in[0]);
        return cx_emit1(e, &cx_op_negative, cx_emit2(e, &cx_op_multiply, log_p, dloss));
    }
    int p = CX_EMIT_WITH(e, &cx_op_softmax, last, n->in[0]), total = CX_EMIT_WITH(e, &cx_op_reduce_sum, row, n->in[1]);
    int slope = cx_emit2(e, &cx_op_subtract, cx_emit2(e, &cx_op_multiply, p, total), n->in[1]);
    return cx_emit2(e, &cx_op_multiply, slope, dloss);
}
EMIT(sparse) /* (softmax - one_hot(labels)) dloss */
{
    const cx_axis_attr last = {-1};
    const cx_spec logits = *cx_emitted_spec(e, n->in[0]);
    const cx_one_hot_attr hot = {logits.dim[logits.ndim - 1], 1, 0, -1, logits.dtype};
    cx_spec column = logits;
    EMIT_UNUSED;
    column.dim[column.ndim - 1] = 1;
    int p = CX_EMIT_WITH(e, &cx_op_softmax, last, n->in[0]), own = CX_EMIT_WITH(e, &cx_op_one_hot, hot, n->in[1]);
    return cx_emit2(e, &cx_op_multiply, cx_emit2(e, &cx_op_subtract, p, own), cx_emit_reshape(e, dy, &column));
}
EMIT(sigmoid)
{
    if (k) return cx_emit1(e, &cx_op_negative, cx_emit2(e, &cx_op_multiply, n->in[0], dy));
    int slope = cx_emit2(e, &cx_op_subtract, cx_emit1(e, &cx_op_sigmoid, n->in[0]), n->in[1]);
    return cx_emit2(e, &cx_op_multiply, slope, dy);
}

const cx_op cx_op_softmax_cross_entropy = {.name = "softmax_cross_entropy",
                                           .kind = CX_OTHER,
                                           .least_in = 2,
                                           .most_in = 2,
                                           .n_out = 1,
                                           .n_public = 1,
                                           .alike = CX_IN(0) | CX_IN(1),
                                           .infer = softmax_infer,
                                           .forward = CX_BOTH(softmax_forward),
                                           .backward = CX_BOTH(softmax_backward),
                                           .reads = {CX_IN(0) | CX_IN(1), CX_IN(0)},
                                           .emit_grad = softmax_emit};
const cx_op cx_op_sparse_softmax_cross_entropy = {.name = "sparse_softmax_cross_entropy",
                                                  .kind = CX_OTHER,
                                                  .least_in = 2,
                                                  .most_in = 2,
                                                  .n_out = 1,
                                                  .n_public = 1,
                                                  .infer = sparse_infer,
                                                  .check = sparse_check,
                                                  .forward = CX_BOTH(sparse_forward),
                                                  .backward = CX_BOTH(sparse_backward),
                                                  .emit_grad = sparse_emit,
                                                  .reads = {CX_IN(0) | CX_IN(1)}};
const cx_op cx_op_sigmoid_cross_entropy = {.name = "sigmoid_cross_entropy",
                                           .kind = CX_OTHER,
                                           .least_in = 2,
                                           .most_in = 2,
                                           .n_out = 1,
                                           .n_public = 1,
                                           .alike = CX_IN(0) | CX_IN(1),
                                           .infer = sigmoid_infer,
                                           .forward = CX_BOTH(sigmoid_forward),
                                           .backward = CX_BOTH(sigmoid_backward),
                                           .reads = {CX_IN(0) | CX_IN(1), CX_IN(0)},
                                           .emit_grad = sigmoid_emit};

#else
#include "row.h"

/* log(sum(exp(x))) - x = log_sum - (x - top) */
static inline REAL T(log_sum)(const REAL *x, int64_t k, REAL *top)
{
    *top = T(row_max)(x, k, 1);
    return (REAL)log((double)T(row_sum_exp)(x, k, 1, *top));
}

/* loss = sum targets (log_sum - (x - top)); a target of 0 hides even a logit of -inf. */
TASK(T(softmax_rows))
{
    const task *t = context;
    TASK_UNUSED;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)t->in[0].data + r * t->k, *z = (const REAL *)t->in[1].data + r * t->k;
        REAL top, log_sum = T(log_sum)(x, t->k, &top), lane[ROW_LANES] = {0}, e[ROW_CHUNK];
        for (int64_t i = 0; i < t->k; i += ROW_CHUNK) {
            int64_t n = t->k - i < ROW_CHUNK ? t->k - i : ROW_CHUNK;
            for (int64_t c = 0; c < n; c++) {
                REAL term = z[i + c] * (log_sum - (x[i + c] - top));
                e[c] = z[i + c] == 0 ? 0 : term;
            }
            T(row_add)(lane, e, n, 1);
        }
        ((REAL *)t->to)[r] = T(row_fold)(lane);
    }
}
FORWARD(T(softmax_forward))
{
    FORWARD_UNUSED;
    task t = {.in = in, .to = out->data};
    run_rows(&t, T(softmax_rows));
}
/* dlogits = (softmax(x) sum(targets) - targets) dloss */
TASK(T(softmax_logits_rows))
{
    const task *t = context;
    TASK_UNUSED;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)t->in[0].data + r * t->k, *z = (const REAL *)t->in[1].data + r * t->k;
        REAL *dx = (REAL *)t->to + r * t->k, dloss = ((const REAL *)t->dloss)[r], top = T(row_max)(x, t->k, 1);
        REAL scale = T(row_sum)(z, t->k, 1) / T(row_sum_exp)(x, t->k, 1, top);
        if (t->add)
            for (int64_t i = 0; i < t->k; i++) dx[i] += (T(exp)(x[i] - top) * scale - z[i]) * dloss;
        else
            for (int64_t i = 0; i < t->k; i++) dx[i] = (T(exp)(x[i] - top) * scale - z[i]) * dloss;
    }
}
/* dtargets = (log_sum - (x - top)) dloss */
TASK(T(softmax_targets_rows))
{
    const task *t = context;
    TASK_UNUSED;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)t->in[0].data + r * t->k;
        REAL *dz = (REAL *)t->to + r * t->k, dloss = ((const REAL *)t->dloss)[r], top;
        REAL log_sum = T(log_sum)(x, t->k, &top);
        if (t->add)
            for (int64_t i = 0; i < t->k; i++) dz[i] += (log_sum - (x[i] - top)) * dloss;
        else
            for (int64_t i = 0; i < t->k; i++) dz[i] = (log_sum - (x[i] - top)) * dloss;
    }
}
BACKWARD(T(softmax_backward))
{
    BACKWARD_UNUSED;
    for (int i = 0; i < 2; i++) {
        task t = {.in = in, .dloss = dout->data, .to = din[i].data, .add = mode[i] == CX_ADD};
        if (mode[i] != CX_SKIP) run_rows(&t, i ? T(softmax_targets_rows) : T(softmax_logits_rows));
    }
}

TASK(T(sparse_rows))
{
    const task *t = context;
    TASK_UNUSED;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)t->in[0].data + r * t->k;
        REAL top, log_sum = T(log_sum)(x, t->k, &top);
        ((REAL *)t->to)[r] = log_sum - (x[label_at(&t->in[1], r)] - top);
    }
}
FORWARD(T(sparse_forward))
{
    FORWARD_UNUSED;
    task t = {.in = in, .to = out->data};
    run_rows(&t, T(sparse_rows));
}
TASK(T(sparse_logits_rows))
{
    const task *t = context;
    TASK_UNUSED;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)t->in[0].data + r * t->k;
        REAL *dx = (REAL *)t->to + r * t->k, dloss = ((const REAL *)t->dloss)[r], top = T(row_max)(x, t->k, 1);
        REAL scale = 1 / T(row_sum_exp)(x, t->k, 1, top);
        int64_t label = label_at(&t->in[1], r);
        REAL kept = t->add ? dx[label] : 0, own = (T(exp)(x[label] - top) * scale - 1) * dloss;
        if (t->add)
            for (int64_t i = 0; i < t->k; i++) dx[i] += T(exp)(x[i] - top) * scale * dloss;
        else
            for (int64_t i = 0; i < t->k; i++) dx[i] = T(exp)(x[i] - top) * scale * dloss;
        dx[label] = kept + own;
    }
}
BACKWARD(T(sparse_backward))
{
    BACKWARD_UNUSED;
    task t = {.in = in, .dloss = dout->data, .to = din->data, .add = *mode == CX_ADD};
    if (*mode != CX_SKIP) run_rows(&t, T(sparse_logits_rows));
}

/* loss = max(x, 0) - x z + log(1 + exp(-|x|)) */
TASK(T(sigmoid_values))
{
    const task *t = context;
    const REAL *x = t->in[0].data, *z = t->in[1].data;
    REAL *y = t->to;
    TASK_UNUSED;
    for (int64_t i = begin; i < end; i++)
        y[i] = (x[i] < 0 ? 0 : x[i]) - x[i] * z[i] + T(log1p_unit)(T(exp)(-(REAL)fabs(x[i])));
}
FORWARD(T(sigmoid_forward))
{
    FORWARD_UNUSED;
    task t = {.in = in, .to = out->data};
    cx_parallel(cx_count(&in->spec), CX_GRAIN / 4, T(sigmoid_values), &t);
}
/* dlogits = (sigmoid(x) - z) dloss */
TASK(T(sigmoid_logits))
{
    const task *t = context;
    const REAL *x = t->in[0].data, *z = t->in[1].data, *dloss = t->dloss;
    REAL *dx = t->to;
    TASK_UNUSED;
    if (t->add)
        for (int64_t i = begin; i < end; i++) dx[i] += (T(sigmoid)(x[i]) - z[i]) * dloss[i];
    else
        for (int64_t i = begin; i < end; i++) dx[i] = (T(sigmoid)(x[i]) - z[i]) * dloss[i];
}
/* dtargets = -x dloss */
TASK(T(sigmoid_targets))
{
    const task *t = context;
    const REAL *x = t->in[0].data, *dloss = t->dloss;
    REAL *dz = t->to;
    TASK_UNUSED;
    if (t->add)
        for (int64_t i = begin; i < end; i++) dz[i] -= x[i] * dloss[i];
    else
        for (int64_t i = begin; i < end; i++) dz[i] = -x[i] * dloss[i];
}
BACKWARD(T(sigmoid_backward))
{
    BACKWARD_UNUSED;
    for (int i = 0; i < 2; i++) {
        task t = {.in = in, .dloss = dout->data, .to = din[i].data, .add = mode[i] == CX_ADD};
        if (mode[i] != CX_SKIP)
            cx_parallel(cx_count(&dout->spec), CX_GRAIN / 4, i ? T(sigmoid_targets) : T(sigmoid_logits), &t);
    }
}
#endif
