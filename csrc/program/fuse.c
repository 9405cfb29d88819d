/* Which nodes run as one kernel. A kernel whose op has `finished` takes what follows it - batch norm, a sum, a ReLU -
 * into its stores, and one with `finished_back` takes the ReLU and the batch norm before it into the stores of its
 * gradient, wherever nobody needs the values between. Every call decides for itself, by what it fetches, keeps and
 * seeds: the program is not rewritten, and a value that was left out is made by its own node when it is asked for. */
#include "internal.h"
#include <math.h>

void cx_alone(cx_fusion *c, int head)
{
    *c = (cx_fusion){.head = head, .last = head, .pad = -1, .affine = -1, .sum = -1, .clamp = -1};
}

/* y = x with every element of it in place: no broadcasting */
static bool same_size(const cx_program *p, int x, int y)
{
    return cx_same_spec(&p->slot[x].value.spec, &p->slot[y].value.spec);
}

/* Can node k, which reads slot s, follow what the fusion has so far? */
static bool joins(const cx_program *p, cx_fusion *c, int k, int s)
{
    const cx_node *n = &p->node[k];
    double low, high;
    if (c->clamp >= 0 || n->op->n_out != 1 || !same_size(p, s, n->out[0])) return false;
    if (n->op->affine && n->in[0] == s && c->affine < 0 && c->sum < 0) return c->affine = k, true;
    if (n->op->kind == CX_SUM && c->sum < 0) {
        const int other = n->in[0] == s ? n->in[1] : n->in[0];
        if (same_size(p, other, s)) return c->sum = k, c->plus = other, true;
    }
    if (n->op->clamp && n->op->clamp(n->attr, &low, &high)) return c->clamp = k, true;
    return false;
}

/* Node k puts zeros around the head's input, which the head can do itself. */
static bool pads(const cx_program *p, int head, int k)
{
    const cx_node *n = &p->node[head];
    int64_t zeros[4], merged[CX_ATTR_WORDS];
    return k >= 0 && n->op->padded && p->node[k].op->zeros && p->node[k].op->zeros(p->node[k].attr, zeros) &&
           n->op->padded(n->attr, zeros, merged);
}

void cx_fuse(const cx_program *p, int head, const int *maker, const cx_uses *uses, const bool *stays, cx_fusion *c)
{
    cx_alone(c, head);
    const cx_node *n = &p->node[head];
    if (!n->op->finished || !cx_is_real(cx_kernel_dtype(p, n))) return;
    if (uses[n->in[0]].count == 1 && !stays[n->in[0]] && pads(p, head, maker[n->in[0]])) c->pad = maker[n->in[0]];
    for (int s = n->out[0]; uses[s].count == 1 && !stays[s] && joins(p, c, uses[s].last, s);) {
        c->last = uses[s].last;
        s = p->node[c->last].out[0];
    }
}

cx_node *cx_fusion_node(const cx_program *p, const cx_fusion *c, cx_node *merged, cx_err *err)
{
    cx_node *head = &p->node[c->head];
    int64_t zeros[4];
    cx_plan plan;
    if (c->pad < 0) return head;
    *merged = *head;
    p->node[c->pad].op->zeros(p->node[c->pad].attr, zeros);
    head->op->padded(head->attr, zeros, merged->attr);
    merged->in[0] = p->node[c->pad].in[0];
    cx_hold_precision((int)head->precision);
    return cx_infer(p, merged, &plan, err) ? NULL : merged;
}

int cx_fusion_inputs(const cx_program *p, const cx_fusion *c, int *slot)
{
    const cx_node *head = &p->node[c->head];
    int n = 0;
    for (int i = 0; i < head->op->most_in; i++)
        if (head->in[i] >= 0) slot[n++] = i == 0 && c->pad >= 0 ? p->node[c->pad].in[0] : head->in[i];
    if (c->affine >= 0)
        for (int i = 1; i < p->node[c->affine].op->most_in; i++)
            if (p->node[c->affine].in[i] >= 0) slot[n++] = p->node[c->affine].in[i];
    if (c->sum >= 0) slot[n++] = c->plus;
    return n;
}

static size_t row_size(const cx_program *p, int slot) /* of a number for each element of the last dimension */
{
    const cx_spec *s = &p->slot[slot].value.spec;
    return cx_whole((size_t)s->dim[s->ndim - 1] * cx_width(s->dtype));
}
size_t cx_fusion_rows(const cx_program *p, const cx_fusion *c)
{
    return c->affine < 0 ? 0 : 2 * row_size(p, p->node[c->affine].out[0]);
}

static void set_affine(const cx_program *p, int node, const void *bias, void *rows, const void **scale,
                       const void **shift)
{
    const cx_node *n = &p->node[node];
    cx_value in[CX_INS];
    char *second = (char *)rows + row_size(p, n->out[0]);
    cx_gather(p, n->in, CX_INS, in);
    n->op->affine(n->attr, in, bias, rows, second);
    *scale = rows, *shift = second;
}

cx_finish cx_finish_of(const cx_program *p, const cx_fusion *c, const cx_value *in, void *rows)
{
    cx_finish f = {.shift = p->node[c->head].op->affine ? NULL : in[CX_BIAS].data};
    if (c->affine >= 0) set_affine(p, c->affine, f.shift, rows, &f.scale, &f.shift);
    if (c->sum >= 0) f.plus = p->slot[c->plus].value.data;
    if (c->clamp >= 0) {
        const cx_node *n = &p->node[c->clamp];
        f.clamp = n->op->clamp(n->attr, &f.low, &f.high), f.opened = c->bits;
    }
    return f;
}

bool cx_gates(const cx_node *n)
{
    double low, high;
    return n->op->clamp && n->op->reads[0] == CX_OUT(0) && n->op->clamp(n->attr, &low, &high) && low == 0;
}

size_t cx_fusion_bits(const cx_program *p, const cx_fusion *c)
{
    enum { READ_PAST = 8 };
    if (c->clamp < 0 || !cx_has_bits() || !cx_gates(&p->node[c->clamp])) return 0;
    const cx_node *head = &p->node[c->head];
    const cx_spec *y = &p->slot[p->node[c->clamp].out[0]].value.spec;
    cx_value in[CX_INS];
    cx_gather(p, head->in, CX_INS, in);
    if (y->dtype != CX_F32 || y->dim[y->ndim - 1] % CX_WHOLE || !head->op->even || !head->op->even(head->attr, in))
        return 0;
    return cx_whole((size_t)cx_count(y) / 8 + READ_PAST);
}

/* A gradient's way up from slot s: through the ReLU that made it, then through the batch norm before that. */
static bool passes(const cx_program *p, const cx_back *b, int k, int s)
{
    if (k < 0) return false;
    const cx_node *n = &p->node[k];
    const int x = n->in[0];
    for (int i = 1; i < n->op->most_in; i++)
        if (cx_carries(p, n, i) && b->need[n->in[i]]) return false;
    return n->op->n_out == 1 && same_size(p, x, s) && b->uses[x].count == 1 && !b->seeded[x];
}

void cx_fuse_back(const cx_program *p, int head, const cx_back *b, const cx_rule *rule, cx_fusion *c)
{
    const cx_node *n = &p->node[head];
    int s = n->in[0], k = s < 0 ? -1 : b->maker[s];
    double low, high;
    cx_alone(c, head);
    c->to = s;
    if (!n->op->finished_back || k < 0 || b->uses[s].first != head || b->fetched[s]) return;
    if (n->op->kind == CX_ROUTE && rule->overlap == CX_OVERLAP_OVERWRITE) return;
    for (int i = 1; i < n->op->most_in; i++)
        if (n->in[i] == s) return;
    if (b->uses[s].count == 1 && !b->seeded[s] && pads(p, head, k) && b->uses[p->node[k].in[0]].count == 1 &&
        !b->seeded[p->node[k].in[0]]) {
        c->pad = k;
        c->to = s = p->node[k].in[0], k = b->maker[s];
        if (b->fetched[s] || k < 0) return;
    }
    const cx_op *op = p->node[k].op;
    if (op->clamp && passes(p, b, k, s) && op->clamp(p->node[k].attr, &low, &high) && low == 0) {
        c->clamp = k;
        c->to = s = p->node[k].in[0], k = b->maker[s];
        if (b->fetched[s]) return;
    }
    if (k >= 0 && p->node[k].op->affine && passes(p, b, k, s)) {
        c->affine = k;
        c->to = p->node[k].in[0];
    }
}

cx_finish cx_finish_back(const cx_program *p, const cx_fusion *c, const void *plus, const cx_rule *rule, void *rows)
{
    const void *shift;
    cx_finish f = {.plus = plus};
    if (c->clamp >= 0) {
        const cx_node *n = &p->node[c->clamp];
        double low;
        n->op->clamp(n->attr, &low, &f.limit);
        const cx_slot *s = &p->slot[n->out[0]];
        if (rule->gate != CX_RECTIFIED) f.bits = s->bits, f.gate = s->bits ? NULL : s->value.data;
        if (rule->gate != CX_TRUE_GATE) f.clamp = true, f.low = 0, f.high = INFINITY;
    }
    if (c->affine >= 0) set_affine(p, c->affine, NULL, rows, &f.rate, &shift);
    return f;
}
