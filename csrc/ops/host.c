/* python: a callable of the host. Its output has the declared shape and dtype, or those of its first input; a declared
 * dimension of -1 is the first input's dimension at that place. */
#include "generic.h"

typedef struct {
    cx_list shape;
    int64_t dtype;
} python_attr;

static cx_code python_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const python_attr *a = attr;
    plan->out[0] = in[0];
    if (a->dtype >= 0) plan->out[0].dtype = (cx_dtype)a->dtype;
    if (a->shape.n == CX_ABSENT) return CX_OK;
    plan->out[0].ndim = (int)a->shape.n;
    for (int i = 0; i < a->shape.n; i++) {
        if (a->shape.v[i] < 0 && i >= in[0].ndim)
            return cx_fail(err, CX_EVALUE, "python: `shape` leaves dimension %d open, the first input has rank %d", i,
                           in[0].ndim);
        plan->out[0].dim[i] = a->shape.v[i] < 0 ? in[0].dim[i] : a->shape.v[i];
    }
    return CX_OK;
}

static const cx_field python_fields[] = {
    {.name = "shape", .type = CX_LIST, .offset = offsetof(python_attr, shape), .low = -1, .high = CX_MOST},
    {.name = "dtype",
     .type = CX_TYPE,
     .offset = offsetof(python_attr, dtype),
     .preset = -1,
     .low = -1,
     .high = CX_DTYPES},
    {0},
};
#define EVERY_IN                                                                                       \
    {                                                                                                  \
        [0] = CX_EVERY_IN, [1] = CX_EVERY_IN, [2] = CX_EVERY_IN, [3] = CX_EVERY_IN, [4] = CX_EVERY_IN, \
        [5] = CX_EVERY_IN, [6] = CX_EVERY_IN, [7] = CX_EVERY_IN                                        \
    }
const cx_op cx_op_python = {
    .name = "python",
    .kind = CX_OTHER,
    .least_in = 1,
    .most_in = CX_INS,
    .n_out = 1,
    .n_public = 1,
    .fields = python_fields,
    .infer = python_infer,
    .host = true,
    .reads = EVERY_IN,
};
