/* Building programs: slots, nodes, joining, instances. */
#include "internal.h"
#include <string.h>

static bool reserve(void **array, int n, int *cap, size_t size)
{
    if (n <= *cap) return true;
    int more = *cap ? *cap : 8;
    while (more < n) more *= 2;
    void *p = cx_alloc((size_t)more * size);
    if (!p) return false;
    if (*cap) memcpy(p, *array, (size_t)*cap * size);
    cx_free(*array);
    *array = p, *cap = more;
    return true;
}
static bool reserve_slots(cx_program *p, int more)
{
    return reserve((void **)&p->slot, p->n_slot + more, &p->cap_slot, sizeof *p->slot);
}
static bool reserve_nodes(cx_program *p, int more)
{
    return reserve((void **)&p->node, p->n_node + more, &p->cap_node, sizeof *p->node);
}

cx_program *cx_program_new(void)
{
    return cx_alloc(sizeof(cx_program));
}

void cx_program_free(cx_program *p)
{
    if (!p) return;
    for (int i = 0; i < p->n_slot; i++) cx_clear(&p->slot[i].value), cx_drop(p->slot[i].bits_block);
    for (int i = 0; i < p->n_node; i++) cx_drop(p->node[i].host), cx_drop(p->node[i].state);
    cx_free(p->slot), cx_free(p->node), cx_free(p);
}

int cx_add_slot(cx_program *p, const cx_value *v, bool tracked)
{
    if (!reserve_slots(p, 1)) return -1;
    p->slot[p->n_slot] = (cx_slot){.value = cx_share(v), .tracked = tracked && cx_is_real(v->spec.dtype)};
    return p->n_slot++;
}

static cx_code check_inputs(const cx_op *op, const cx_spec *in, cx_err *err)
{
    int first_alike = -1;
    for (int i = 0; i < op->least_in; i++)
        if (in[i].ndim == CX_ABSENT) return cx_fail(err, CX_ETYPE, "%s: input %d is missing", op->name, i);
    cx_dtype by = in[op->by].dtype;
    if (!op->host && op->kind != CX_VIEW && !op->forward[by])
        return cx_fail(err, CX_ETYPE, "%s does not support dtype %s; cast the input to another dtype first", op->name,
                       cx_dtype_name(by));
    for (int i = 0; i < op->most_in; i++) {
        if (in[i].ndim == CX_ABSENT || !(op->alike & CX_IN(i))) continue;
        if (first_alike < 0) {
            first_alike = i;
        } else if (in[i].dtype != in[first_alike].dtype) {
            return cx_fail(err, CX_ETYPE, "%s expects inputs of one dtype. Received: %s and %s; cast one of them",
                           op->name, cx_dtype_name(in[first_alike].dtype), cx_dtype_name(in[i].dtype));
        }
    }
    return CX_OK;
}

cx_code cx_infer(const cx_program *p, cx_node *n, cx_plan *plan, cx_err *err)
{
    cx_spec in[CX_INS];
    for (int i = 0; i < CX_INS; i++) {
        if (n->in[i] >= 0)
            in[i] = p->slot[n->in[i]].value.spec;
        else
            in[i].ndim = CX_ABSENT;
    }
    if (check_inputs(n->op, in, err)) return err->code;
    plan->threads = cx_threads(), plan->scratch = plan->scratch_back = 0;
    n->precision = cx_get_precision();
    cx_hold_precision((int)n->precision);
    cx_code code = n->op->infer(n->attr, in, plan, err);
    cx_hold_precision(-1);
    if (code) return code;
    n->threads = plan->threads, n->scratch = plan->scratch, n->scratch_back = plan->scratch_back;
    return CX_OK;
}

bool cx_carries(const cx_program *p, const cx_node *n, int i)
{
    return n->in[i] >= 0 && !n->op->stops && !(n->op->constant & CX_IN(i)) && cx_slot_real(p, n->in[i]);
}

static bool tracks(const cx_program *p, const cx_node *n)
{
    for (int i = 0; i < n->op->most_in; i++)
        if (cx_carries(p, n, i) && p->slot[n->in[i]].tracked) return true;
    return false;
}

cx_node *cx_add_node(cx_program *p, const cx_op *op, const void *attr, const int *in, cx_block *host, cx_err *err)
{
    cx_plan plan;
    if (!reserve_slots(p, op->n_out) || !reserve_nodes(p, 1)) {
        cx_fail(err, CX_ENOMEM, "%s: out of memory", op->name);
        return NULL;
    }
    cx_node *n = &p->node[p->n_node];
    *n = (cx_node){.op = op};
    memcpy(n->attr, attr, sizeof n->attr);
    for (int i = 0; i < CX_INS; i++) n->in[i] = i < op->most_in ? in[i] : CX_ABSENT;
    if (cx_infer(p, n, &plan, err)) return NULL;
    bool tracked = tracks(p, n);
    for (int j = 0; j < CX_OUTS; j++)
        n->out[j] = j < op->n_out ? cx_add_slot(p, &(cx_value){.spec = plan.out[j]}, tracked) : CX_ABSENT;
    n->host = cx_keep(host);
    p->n_node++;
    return n;
}

static void move_slots(int *slot, int n, const int *map)
{
    for (int i = 0; i < n; i++)
        if (slot[i] >= 0) slot[i] = map[slot[i]];
}

cx_code cx_append(cx_program *dst, const cx_program *src, int *map, cx_err *err)
{
    if (!reserve_slots(dst, src->n_slot) || !reserve_nodes(dst, src->n_node))
        return cx_fail(err, CX_ENOMEM, "out of memory: the program has %d nodes", dst->n_node + src->n_node);
    for (int s = 0; s < src->n_slot; s++) {
        if (map[s] >= 0) continue;
        map[s] = cx_add_slot(dst, &src->slot[s].value, src->slot[s].tracked);
        dst->slot[map[s]].bits = src->slot[s].bits;
        dst->slot[map[s]].bits_block = cx_keep(src->slot[s].bits_block);
    }
    for (int i = 0; i < src->n_node; i++) {
        cx_node *n = &dst->node[dst->n_node++];
        *n = src->node[i];
        move_slots(n->in, CX_INS, map), move_slots(n->out, CX_OUTS, map);
        cx_keep(n->host), cx_keep(n->state);
    }
    return CX_OK;
}

/* Shapes meet: a known dimension beats an unknown one, whichever side it comes from, because a value may be fed in the
 * middle of a program. */
static cx_code settle(cx_program *p, cx_node *n, cx_err *err)
{
    cx_plan plan;
    bool known = true; /* behind a fed slot lies what nobody needs: its inputs may stay unknown */
    for (int i = 0; i < n->op->most_in; i++) known = known && (n->in[i] < 0 || cx_known(&p->slot[n->in[i]].value.spec));
    if (cx_infer(p, n, &plan, err)) return err->code;
    for (int j = 0; j < n->op->n_out; j++) {
        cx_slot *s = &p->slot[n->out[j]];
        cx_spec *have = &s->value.spec, *now = &plan.out[j];
        bool fits = have->ndim == now->ndim && have->dtype == now->dtype;
        for (int d = 0; fits && d < now->ndim; d++) {
            fits = cx_fits(have->dim[d], now->dim[d]);
            if (have->dim[d] == CX_ANY) have->dim[d] = now->dim[d];
        }
        if (!fits && known) {
            char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
            return cx_fail(err, CX_EVALUE, "%s gives shape %s where %s is expected", n->op->name, cx_shape_text(now, a),
                           cx_shape_text(have, b));
        }
        s->tracked = s->tracked || (cx_is_real(have->dtype) && tracks(p, n));
    }
    return CX_OK;
}

static cx_code feed_slot(cx_slot *s, const cx_value *v, bool tracked, int place, cx_err *err)
{
    bool fits = s->value.spec.ndim == v->spec.ndim;
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    for (int d = 0; fits && d < v->spec.ndim; d++) fits = cx_fits(s->value.spec.dim[d], v->spec.dim[d]);
    if (!fits)
        return cx_fail(err, CX_EVALUE, "input %d must have shape %s. Received: shape=%s", place,
                       cx_shape_text(&s->value.spec, a), cx_shape_text(&v->spec, b));
    if (s->value.spec.dtype != v->spec.dtype)
        return cx_fail(err, CX_ETYPE, "input %d must have dtype %s. Received: dtype=%s", place,
                       cx_dtype_name(s->value.spec.dtype), cx_dtype_name(v->spec.dtype));
    cx_clear(&s->value);
    *s = (cx_slot){.value = cx_share(v), .tracked = tracked && cx_is_real(v->spec.dtype)};
    return CX_OK;
}

/* What was fed was not made: its maker, which another output may still need, writes to a slot of its own instead, and
 * no gradient goes back through it. */
static cx_code detach_fed(cx_program *p, const cx_program *model, cx_err *err)
{
    for (int i = 0; i < p->n_node; i++)
        for (int j = 0; j < p->node[i].op->n_out; j++) {
            int *out = &p->node[i].out[j];
            if (!p->slot[*out].value.data) continue;
            *out = cx_add_slot(p, &(cx_value){.spec = model->slot[*out].value.spec}, false);
            if (*out < 0) return cx_fail(err, CX_ENOMEM, "out of memory: the program has %d slots", p->n_slot);
        }
    return CX_OK;
}

cx_code cx_instance(const cx_program *model, const int *slot, const cx_value *feed, const bool *tracked, int n,
                    cx_program **call, cx_err *err)
{
    cx_program *p = cx_program_new();
    int *map = cx_alloc((size_t)model->n_slot * sizeof *map);
    if (!p || !map) {
        cx_fail(err, CX_ENOMEM, "out of memory: the program has %d slots", model->n_slot);
        goto fail;
    }
    for (int s = 0; s < model->n_slot; s++) map[s] = -1; /* all new, in order: the numbers stay */
    if (cx_append(p, model, map, err)) goto fail;
    for (int i = 0; i < n; i++)
        if (feed_slot(&p->slot[slot[i]], &feed[i], tracked && tracked[i], i, err)) goto fail;
    if (detach_fed(p, model, err)) goto fail;
    for (int i = 0; i < p->n_node; i++)
        if (settle(p, &p->node[i], err)) goto fail;
    cx_free(map);
    *call = p;
    return CX_OK;
fail:
    cx_free(map), cx_program_free(p);
    return err->code;
}

void cx_mark_dependents(const cx_program *p, bool *need)
{
    for (int k = 0; k < p->n_node; k++) {
        const cx_node *n = &p->node[k];
        bool any = false;
        for (int i = 0; i < n->op->most_in; i++) any = any || (cx_carries(p, n, i) && need[n->in[i]]);
        for (int j = 0; any && j < n->op->n_out; j++)
            if (cx_slot_real(p, n->out[j])) need[n->out[j]] = true;
    }
}
