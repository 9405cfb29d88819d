/* projective_transform: x (n, h, w, c), transforms (n or 1, 8) -> (n, H, W, c). Pixel (i, j) of an output image, i its
 * column, is read at ((a0 i + a1 j + a2) / k, (b0 i + b1 j + b2) / k) with k = c0 i + c1 j + 1. Places are computed in
 * float32, as TensorFlow does, so that both read the same pixels. */
#include "generic.h"
#include "images.h"

#ifndef REAL
enum { NEAREST, BILINEAR };
enum { CONSTANT, EDGE, REFLECT, WRAP };
typedef struct {
    int64_t interpolation, mode, size[2];
    double value;
} transform_attr;
typedef struct {
    const transform_attr *attr;
    int64_t in[2], out[2], channels;
    bool shared; /* one transform for every image */
    const void *transforms, *from;
    void *to;
} job;

enum { AHEAD = 64 }; /* places computed together */
static const float OUTSIDE = -2, FAR = 0x1p40f;

/* The place in a line of `length` pixels that stands for a place beyond it. What is no number is outside. */
static inline float place_in(float at, int64_t length, int64_t mode)
{
    const float last = (float)(length - 1);
    if (!(fabsf(at) < FAR)) return OUTSIDE;
    if (mode == CONSTANT || (at >= 0 && at <= last)) return at;
    if (mode != EDGE && length <= 1) return 0;
    if (mode == REFLECT) {
        const int64_t period = 2 * length;
        if (at < 0) {
            at = (float)(period * (int64_t)(-at / (float)period)) + at;
            at = at < (float)-length ? at + (float)period : -at - 1;
        } else {
            at -= (float)(period * (int64_t)(at / (float)period));
            if (at >= (float)length) at = (float)period - at - 1;
        }
    } else if (mode == WRAP) {
        if (at < 0)
            at += (float)(length * ((int64_t)(-at / last) + 1));
        else
            at -= (float)(length * (int64_t)(at / last));
    }
    return at < 0 ? 0 : at > last ? last : at;
}
static job job_of(const void *attr, const cx_spec *x, const cx_value *transforms, const cx_spec *y)
{
    return (job){.attr = attr,
                 .in = {x->dim[1], x->dim[2]},
                 .out = {y->dim[1], y->dim[2]},
                 .channels = x->dim[3],
                 .shared = transforms->spec.dim[0] == 1,
                 .transforms = transforms->data};
}

#define REAL float
#include "transform.c"
#undef REAL
#define REAL double
#include "transform.c"
#undef REAL

static cx_code transform_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const transform_attr *a = attr;
    char text[CX_SHAPE_TEXT];
    if (cx_need_images("projective_transform", in, err)) return err->code;
    if (in[1].ndim != 2 || !cx_fits(in[1].dim[1], 8) || !(in[1].dim[0] == 1 || cx_fits(in[1].dim[0], in->dim[0])))
        return cx_fail(err, CX_EVALUE,
                       "projective_transform: `transforms` must have shape (1, 8) or (batch, 8), batch %lld. "
                       "Received: shape %s",
                       (long long)in->dim[0], cx_shape_text(&in[1], text));
    plan->out[0] = in[0];
    if ((a->size[0] == 0) != (a->size[1] == 0))
        return cx_fail(err, CX_EVALUE, "projective_transform: `size` must be positive. Received: size=(%lld, %lld)",
                       (long long)a->size[0], (long long)a->size[1]);
    if (a->size[0]) plan->out[0].dim[1] = a->size[0], plan->out[0].dim[2] = a->size[1];
    return CX_OK;
}

static const cx_field transform_fields[] = {
    {"interpolation", CX_CHOICE, offsetof(transform_attr, interpolation), false, BILINEAR, 0, 1, "nearest bilinear"},
    {"fill_mode", CX_CHOICE, offsetof(transform_attr, mode), false, CONSTANT, 0, 3, "constant nearest reflect wrap"},
    {"fill_value", CX_REAL, offsetof(transform_attr, value), false, 0, -INFINITY, INFINITY, NULL},
    {"size", CX_PAIR, offsetof(transform_attr, size), false, 0, 0, INT32_MAX, NULL}, /* 0: as the input */
    {0}};

const cx_op cx_op_projective_transform = {.name = "projective_transform",
                                          .kind = CX_LINEAR,
                                          .least_in = 2,
                                          .most_in = 2,
                                          .n_out = 1,
                                          .n_public = 1,
                                          .alike = CX_IN(0) | CX_IN(1),
                                          .fields = transform_fields,
                                          .infer = transform_infer,
                                          .forward = CX_BOTH(transform_forward),
                                          .backward = CX_BOTH(transform_backward),
                                          .reads = {CX_IN(1)},
                                          .adds = CX_IN(0),
                                          .constant = CX_IN(1)};

#else
/* Where the `n` pixels from `first` on of row `row` of an output image are read. */
static void T(find_places)(const job *j, int64_t image, int64_t row, int64_t first, int64_t n, float *x, float *y)
{
    const REAL *t = (const REAL *)j->transforms + (j->shared ? 0 : 8 * image);
    float m[8];
    for (int k = 0; k < 8; k++) m[k] = (float)t[k];
    const float down = (float)row;
    for (int64_t i = 0; i < n; i++) {
        const float along = (float)(first + i), over = m[6] * along + m[7] * down + 1;
        x[i] = (m[0] * along + m[1] * down + m[2]) / over;
        y[i] = (m[3] * along + m[4] * down + m[5]) / over;
    }
    for (int64_t i = 0; i < n; i++) {
        x[i] = place_in(x[i], j->in[1], j->attr->mode);
        y[i] = place_in(y[i], j->in[0], j->attr->mode);
    }
}
/* The offset of a pixel in its image, -1 outside. */
static inline int64_t T(offset_of)(const job *j, float y, float x)
{
    const bool inside = y >= 0 && y < (float)j->in[0] && x >= 0 && x < (float)j->in[1];
    return inside ? ((int64_t)y * j->in[1] + (int64_t)x) * j->channels : -1;
}
/* The pixels that a place is made of: the nearest one, or four of which `up` and `down` share the rows, `near` and
 * `far` the columns. */
typedef struct {
    int count;
    int64_t offset[4];
    REAL up, down, near, far;
} T(corners);
static inline T(corners) T(corners_of)(const job *j, float y, float x)
{
    if (j->attr->interpolation == NEAREST) return (T(corners)){1, {T(offset_of)(j, roundf(y), roundf(x))}, 1, 0, 1, 0};
    const float top = floorf(y), left = floorf(x), bottom = top + 1, right = left + 1;
    return (T(corners)){4,
                        {T(offset_of)(j, top, left), T(offset_of)(j, top, right), T(offset_of)(j, bottom, left),
                         T(offset_of)(j, bottom, right)},
                        (REAL)bottom - (REAL)y,
                        (REAL)y - (REAL)top,
                        (REAL)right - (REAL)x,
                        (REAL)x - (REAL)left};
}
static inline REAL T(read_pixel)(const REAL *from, int64_t offset, int64_t k, REAL fill)
{
    return offset < 0 ? fill : from[offset + k];
}

TASK(T(transform_rows))
{
    const job *j = context;
    const int64_t c = j->channels, pixels = j->in[0] * j->in[1] * c;
    const REAL fill = (REAL)j->attr->value;
    float x[AHEAD], y[AHEAD];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->out[0];
        const REAL *from = (const REAL *)j->from + image * pixels;
        REAL *to = (REAL *)j->to + i * j->out[1] * c;
        for (int64_t first = 0; first < j->out[1]; first += AHEAD) {
            const int64_t n = j->out[1] - first < AHEAD ? j->out[1] - first : AHEAD;
            T(find_places)(j, image, i % j->out[0], first, n, x, y);
            for (int64_t s = 0; s < n; s++, to += c) {
                const T(corners) p = T(corners_of)(j, y[s], x[s]);
                for (int64_t k = 0; k < c; k++) {
                    const REAL first_pixel = T(read_pixel)(from, p.offset[0], k, fill);
                    to[k] = p.count == 1
                                ? first_pixel
                                : p.up * (p.near * first_pixel + p.far * T(read_pixel)(from, p.offset[1], k, fill)) +
                                      p.down * (p.near * T(read_pixel)(from, p.offset[2], k, fill) +
                                                p.far * T(read_pixel)(from, p.offset[3], k, fill));
                }
            }
        }
    }
}
FORWARD(T(transform_forward))
{
    FORWARD_UNUSED;
    job j = job_of(attr, &in->spec, &in[1], &out->spec);
    j.from = in->data, j.to = out->data;
    if (!cx_count(&out->spec)) return; /* its other sizes may be anything */
    cx_parallel(in->spec.dim[0] * j.out[0], 1 + CX_GRAIN / 8 / (j.out[1] * j.channels + 1), T(transform_rows), &j);
}

TASK(T(slope_images))
{
    const job *j = context;
    const int64_t c = j->channels, pixels = j->in[0] * j->in[1] * c;
    float x[AHEAD], y[AHEAD];
    (void)worker;
    for (int64_t image = begin; image < end; image++) {
        REAL *dx = (REAL *)j->to + image * pixels;
        const REAL *dy = (const REAL *)j->from + image * j->out[0] * j->out[1] * c;
        for (int64_t row = 0; row < j->out[0]; row++)
            for (int64_t first = 0; first < j->out[1]; first += AHEAD) {
                const int64_t n = j->out[1] - first < AHEAD ? j->out[1] - first : AHEAD;
                T(find_places)(j, image, row, first, n, x, y);
                for (int64_t s = 0; s < n; s++, dy += c) {
                    const T(corners) p = T(corners_of)(j, y[s], x[s]);
                    const REAL share[4] = {p.up * p.near, p.up * p.far, p.down * p.near, p.down * p.far};
                    for (int q = 0; q < p.count; q++)
                        for (int64_t k = 0; k < c && p.offset[q] >= 0; k++) dx[p.offset[q] + k] += dy[k] * share[q];
                }
            }
    }
}
BACKWARD(T(transform_backward))
{
    BACKWARD_UNUSED;
    job j = job_of(attr, &din->spec, &in[1], &dout->spec);
    j.from = dout->data, j.to = din->data;
    if (*mode != CX_SKIP && cx_count(&dout->spec))
        cx_parallel(din->spec.dim[0], 1 + CX_GRAIN / 8 / (j.out[0] * j.out[1] * j.channels + 1), T(slope_images), &j);
}
#endif
