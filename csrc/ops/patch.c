/* patch: base (N, H, W, c), at (n, 3) -> (n, h, w, c), with some of it replaced by changed (n, a, b, c), where (n, 2).
 * Patch i is the window of image at[i, 0] whose first row and column are at[i, 1] and at[i, 2]; `fill` stands for what
 * lies outside the image. changed[i] lies at row where[i, 0] and column where[i, 1] of the same image, and what it
 * covers of the window is taken from it. */
#include "images.h"
#include "move.h"

typedef struct {
    int64_t size[2];
    double fill;
} patch_attr;
typedef struct {
    const patch_attr *attr;
    const cx_spec *base, *changed; /* changed: NULL, none */
    const int64_t *at, *where;
    const char *from, *over;
    char *to;
    size_t pixel; /* bytes */
} job;

static cx_code places_of(const char *name, const cx_spec *s, int64_t n, int64_t columns, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (s->dtype != CX_I64)
        return cx_fail(err, CX_ETYPE, "patch: `%s` must be int64. Received: dtype=%s", name, cx_dtype_name(s->dtype));
    if (s->ndim == 2 && cx_fits(s->dim[0], n) && cx_fits(s->dim[1], columns)) return CX_OK;
    return cx_fail(err, CX_EVALUE, "patch: `%s` must have shape (patches, %lld). Received: shape %s", name,
                   (long long)columns, cx_shape_text(s, text));
}

INFER(patch)
{
    const patch_attr *a = attr;
    const cx_spec *base = &in[0], *at = &in[1], *changed = &in[2];
    char p[CX_SHAPE_TEXT], q[CX_SHAPE_TEXT];
    if (cx_need_images("patch", base, err)) return err->code;
    if (places_of("at", at, CX_ANY, 3, err)) return err->code;
    if ((changed->ndim == CX_ABSENT) != (in[3].ndim == CX_ABSENT))
        return cx_fail(err, CX_EVALUE, "patch: `changed` and `where` must be given together");
    if (changed->ndim != CX_ABSENT) {
        if (cx_need_images("patch", changed, err)) return err->code;
        if (!cx_fits(changed->dim[0], at->dim[0]) || !cx_fits(changed->dim[3], base->dim[3]))
            return cx_fail(
                err, CX_EVALUE,
                "patch: `changed` must have shape (patches, height, width, channels) for images of shape %s. "
                "Received: shape %s",
                cx_shape_text(base, p), cx_shape_text(changed, q));
        if (places_of("where", &in[3], at->dim[0], 2, err)) return err->code;
    }
    plan->out[0] = (cx_spec){base->dtype, 4, {at->dim[0], a->size[0], a->size[1], base->dim[3]}};
    return CX_OK;
}

static const int64_t far = (int64_t)1 << 40; /* sums of places stay far below 2^63 */

static cx_code patch_check(const void *attr, const cx_value *in, cx_err *err)
{
    const int64_t images = in[0].spec.dim[0], n = in[1].spec.dim[0], *at = in[1].data, *where = in[3].data;
    (void)attr;
    for (int64_t i = 0; i < n; i++) {
        if (at[3 * i] < 0 || at[3 * i] >= images)
            return cx_fail(err, CX_EVALUE, "patch: images must be in [0, %lld). Received: %lld for patch %lld",
                           (long long)images, (long long)at[3 * i], (long long)i);
        for (int k = 0; k < 4; k++) {
            const int64_t place = k < 2 ? at[3 * i + 1 + k] : where ? where[2 * i + k - 2] : 0;
            if (place < -far || place > far)
                return cx_fail(err, CX_EVALUE, "patch: places must be at most 2^40 away. Received: %lld for patch %lld",
                               (long long)place, (long long)i);
        }
    }
    return CX_OK;
}

static inline int64_t within(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}
static inline void fill_pixels(const job *j, char *to, int64_t pixels)
{
    const int64_t n = pixels * j->base->dim[3];
    if (j->base->dtype == CX_F32) {
        const float value = (float)j->attr->fill;
        for (int64_t k = 0; k < n; k++) ((float *)to)[k] = value;
    } else {
        for (int64_t k = 0; k < n; k++) ((double *)to)[k] = j->attr->fill;
    }
}
/* Columns begin..end of a row of the window, from the image's row `from`; NULL: that row is outside. */
static void base_pixels(const job *j, char *to, const char *from, int64_t left, int64_t begin, int64_t end)
{
    const int64_t width = j->base->dim[2];
    const int64_t first = from ? within(-left, begin, end) : end, last = from ? within(width - left, first, end) : end;
    fill_pixels(j, to + (size_t)begin * j->pixel, first - begin);
    if (last > first)
        memcpy(to + (size_t)first * j->pixel, from + (size_t)(left + first) * j->pixel,
               (size_t)(last - first) * j->pixel);
    fill_pixels(j, to + (size_t)last * j->pixel, end - last);
}

TASK(patch_rows)
{
    const job *j = context;
    const int64_t height = j->base->dim[1], width = j->base->dim[2], columns = j->attr->size[1];
    TASK_UNUSED;
    for (int64_t r = begin; r < end; r++) {
        const int64_t i = r / j->attr->size[0], *at = j->at + 3 * i, row = at[1] + r % j->attr->size[0];
        const bool inside = row >= 0 && row < height;
        const char *from = inside ? j->from + (size_t)((at[0] * height + row) * width) * j->pixel : NULL;
        char *to = j->to + (size_t)(r * columns) * j->pixel;
        int64_t first = columns, last = columns;
        if (j->changed && row >= j->where[2 * i] && row < j->where[2 * i] + j->changed->dim[1]) {
            const int64_t shift = j->where[2 * i + 1] - at[2]; /* where the changed part begins in the window */
            first = within(shift, 0, columns), last = within(shift + j->changed->dim[2], first, columns);
            const int64_t source =
                (i * j->changed->dim[1] + row - j->where[2 * i]) * j->changed->dim[2] + first - shift;
            if (last > first)
                memcpy(to + (size_t)first * j->pixel, j->over + (size_t)source * j->pixel,
                       (size_t)(last - first) * j->pixel);
        }
        base_pixels(j, to, from, at[2], 0, first);
        base_pixels(j, to, from, at[2], last, columns);
    }
}

FORWARD(patch_forward)
{
    const patch_attr *a = attr;
    const bool over = in[2].spec.ndim != CX_ABSENT;
    job j = {a,          &in[0].spec, over ? &in[2].spec : NULL,
             in[1].data, in[3].data,  in[0].data,
             in[2].data, out->data,   (size_t)in[0].spec.dim[3] * cx_width(in[0].spec.dtype)};
    FORWARD_UNUSED;
    const int64_t line = a->size[1] * in[0].spec.dim[3];
    if (line) cx_parallel(out->spec.dim[0] * a->size[0], 1 + CX_GRAIN / line, patch_rows, &j);
}

static const cx_field patch_fields[] = {
    {"size", CX_PAIR, offsetof(patch_attr, size), true, 0, 1, INT32_MAX, NULL},
    {"fill", CX_REAL, offsetof(patch_attr, fill), false, 0, -INFINITY, INFINITY, NULL},
    {0}};
const cx_op cx_op_patch = {.name = "patch",
                           .kind = CX_ROUTE,
                           .least_in = 2,
                           .most_in = 4,
                           .n_out = 1,
                           .n_public = 1,
                           .alike = CX_IN(0) | CX_IN(2),
                           .fields = patch_fields,
                           .infer = patch_infer,
                           .check = patch_check,
                           .forward = {[CX_F32] = patch_forward, [CX_F64] = patch_forward}};
