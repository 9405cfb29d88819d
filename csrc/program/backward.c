/* Backward: what lies between seeds and wanted slots, once, in reverse order of recording. */
#include "internal.h"
#include <string.h>

/* Indexed by slot unless said. need: depends on a wanted slot; reach: a seed's gradient arrives. */
typedef struct {
    bool *need, *reach, *read, *absent, *written, *fetched;
    bool *active; /* by node */
    int *order;
    cx_span *span;
    cx_value *grad;
    size_t arena, scratch;
} backward_plan;

static bool plan_new(backward_plan *b, const cx_program *p)
{
    size_t slots = (size_t)p->n_slot + 1, nodes = (size_t)p->n_node + 1;
    char *all = cx_alloc(slots * (sizeof *b->grad + sizeof *b->span + sizeof *b->order + 6) + nodes);
    if (!all) return false;
    b->grad = (cx_value *)all;
    b->span = (cx_span *)(b->grad + slots);
    b->order = (int *)(b->span + slots);
    b->need = (bool *)(b->order + slots), b->reach = b->need + slots, b->read = b->reach + slots;
    b->absent = b->read + slots, b->written = b->absent + slots, b->fetched = b->written + slots;
    b->active = b->fetched + slots;
    return true;
}

static bool needs(const backward_plan *b, const cx_program *p, const cx_node *n, int i)
{
    return cx_carries(p, n, i) && b->need[n->in[i]];
}

static void mark_read(backward_plan *b, const cx_node *n, int i)
{
    for (int v = 0; v < n->op->most_in; v++)
        if (n->op->reads[i] & CX_IN(v) && n->in[v] >= 0) b->read[n->in[v]] = true;
    for (int v = 0; v < n->op->n_out; v++)
        if (n->op->reads[i] & CX_OUT(v)) b->read[n->out[v]] = true;
}

/* Time runs backwards: node k happens at time n-1-k, the seeds at -1. A gradient lives from its first write to its
 * maker's step, which reads it last; one that nothing in the program made lives to the end. */
static cx_code mark(backward_plan *b, const cx_program *p, const int *seed, int n_seed, const int *wanted, int n_wanted,
                    cx_err *err)
{
    int end = p->n_node, n_order = 0;
    for (int i = 0; i < n_wanted; i++)
        if (cx_slot_real(p, wanted[i])) b->need[wanted[i]] = true;
    cx_mark_dependents(p, b->need);
    for (int i = 0; i < n_seed; i++) {
        if (!cx_slot_real(p, seed[i]) || b->reach[seed[i]]) continue;
        b->reach[seed[i]] = true;
        b->span[seed[i]] = (cx_span){.first = -1, .last = end, .used = true};
        b->order[n_order++] = seed[i];
    }
    for (int k = p->n_node; k-- > 0;) {
        const cx_node *n = &p->node[k];
        int now = p->n_node - 1 - k;
        bool out = false, in = false;
        for (int j = 0; j < n->op->n_out; j++) out = out || b->reach[n->out[j]];
        if (!out) continue;
        for (int j = 0; j < n->op->n_out; j++) b->span[n->out[j]].last = now;
        for (int i = 0; i < n->op->most_in; i++) in = in || needs(b, p, n, i);
        if (!in) continue;
        b->active[k] = true;
        if (cx_derived(n))
            return cx_fail(err, CX_EVALUE, "%s has no second derivative: no gradient passes through its gradient",
                           cx_derived(n));
        if (!n->op->host && n->op->kind != CX_VIEW && !n->op->backward[0])
            return cx_fail(err, CX_EVALUE,
                           "%s is not differentiable: no gradient passes through it. Wrap its input in "
                           "stop_gradient if none should",
                           n->op->name);
        for (int i = 0; i < n->op->most_in; i++) {
            if (!needs(b, p, n, i)) continue;
            mark_read(b, n, i);
            if (b->reach[n->in[i]]) continue;
            b->reach[n->in[i]] = true;
            b->span[n->in[i]] = (cx_span){.first = now, .last = end, .used = true};
            b->order[n_order++] = n->in[i];
        }
        if (n->scratch_back > b->scratch) b->scratch = n->scratch_back;
    }
    for (int i = 0; i < n_wanted; i++) b->fetched[wanted[i]] = true;
    int kept = 0;
    size_t results = 0;
    for (int i = 0; i < n_order; i++) {
        int s = b->order[i];
        if (cx_bytes(&p->slot[s].value.spec, &b->span[s].size, err)) return err->code;
        if (b->fetched[s])
            results += b->span[s].size;
        else
            b->order[kept++] = s;
    }
    b->arena = cx_place(b->span, b->order, kept);
    return cx_afford(b->arena + b->scratch + results, err);
}

static cx_code make_gradients(backward_plan *b, const cx_program *p, char *arena, cx_err *err)
{
    for (int s = 0; s < p->n_slot; s++) {
        if (!b->reach[s]) continue;
        if (!b->fetched[s])
            b->grad[s] = (cx_value){.spec = p->slot[s].value.spec, .data = arena + b->span[s].offset};
        else if (cx_value_new(&p->slot[s].value.spec, &b->grad[s], err))
            return err->code;
    }
    return CX_OK;
}

static size_t size_of(const cx_value *v)
{
    return (size_t)cx_count(&v->spec) * cx_width(v->spec.dtype);
}

static void add_into(const cx_value *to, const cx_value *from)
{
    int64_t n = cx_count(&to->spec);
    if (to->spec.dtype == CX_F32) {
        float *a = to->data;
        const float *c = from->data;
        for (int64_t i = 0; i < n; i++) a[i] += c[i];
    } else {
        double *a = to->data;
        const double *c = from->data;
        for (int64_t i = 0; i < n; i++) a[i] += c[i];
    }
}

static void deliver(const cx_value *to, const cx_value *from, cx_mode mode)
{
    if (mode == CX_ADD)
        add_into(to, from);
    else if (size_of(to))
        memcpy(to->data, from->data, size_of(to));
}

static void run_kernel(const cx_program *p, const cx_node *n, cx_value *in, const cx_value *out, const cx_value *dout,
                       const cx_value *din, const cx_mode *mode, void *scratch, const cx_rule *rule)
{
    cx_enter(n);
    cx_block *form = mode[0] == CX_SKIP ? NULL : cx_prepare(n, in, out, true);
    cx_kernel(true);
    n->op->backward[cx_kernel_dtype(p, n) == CX_F64](n->attr, in, out, dout, din, mode, scratch, rule);
    cx_kernel(false);
    cx_drop(form);
    cx_leave();
}

/* A gradient that overwrites cannot also add: under that rule it goes to a buffer of its own first. */
static bool overwrites(const cx_node *n, const cx_rule *rule)
{
    return rule->overlap == CX_OVERLAP_OVERWRITE && n->op->kind == CX_ROUTE && n->op->adds;
}

static cx_code overwrite(const cx_program *p, const cx_node *n, cx_value *in, const cx_value *out, const cx_value *dout,
                         const cx_value *din, const cx_mode *mode, void *scratch, const cx_rule *rule, cx_err *err)
{
    cx_value own[CX_INS] = {0};
    for (int i = 0; i < n->op->most_in && !err->code; i++) {
        if (mode[i] == CX_SKIP) continue;
        if (!cx_value_new(&din[i].spec, &own[i], err)) memset(own[i].data, 0, size_of(&own[i]));
    }
    if (!err->code) run_kernel(p, n, in, out, dout, own, mode, scratch, rule);
    for (int i = 0; i < n->op->most_in; i++) {
        if (own[i].data && !err->code) add_into(&din[i], &own[i]);
        cx_clear(&own[i]);
    }
    return err->code;
}

static cx_code run_step(backward_plan *b, cx_program *p, cx_node *n, void *scratch, const cx_rule *rule,
                        const cx_host *host, cx_err *err)
{
    cx_value in[CX_INS], out[CX_OUTS], dout[CX_OUTS], din[CX_INS];
    cx_mode mode[CX_INS];
    bool fresh = true;
    if (cx_poll(host, err)) return err->code;
    cx_gather(p, n->in, CX_INS, in), cx_gather(p, n->out, CX_OUTS, out);
    for (int j = 0; j < CX_OUTS; j++) {
        dout[j].data = NULL;
        if (j < n->op->n_out && b->reach[n->out[j]]) dout[j] = b->grad[n->out[j]];
    }
    for (int i = 0; i < CX_INS; i++) {
        mode[i] = CX_SKIP, din[i].data = NULL;
        if (i >= n->op->most_in || !needs(b, p, n, i)) continue;
        int s = n->in[i];
        din[i] = b->grad[s];
        fresh = fresh && !b->written[s];
        if (!b->written[s] && n->op->adds & CX_IN(i)) {
            memset(din[i].data, 0, size_of(&din[i]));
            b->written[s] = true;
        }
        mode[i] = b->written[s] ? CX_ADD : CX_WRITE; /* a slot given twice: WRITE, then ADD, in input order */
        b->written[s] = true;
    }
    p->backwards++;
    if (n->op->kind == CX_VIEW) {
        deliver(&din[0], &dout[0], mode[0]);
        return CX_OK;
    }
    if (n->op->host) {
        if (!host || !host->backward) return cx_fail(err, CX_EVALUE, "%s needs a host", n->op->name);
        return host->backward(host->self, n, in, dout, din, mode, rule, err);
    }
    if (!fresh && overwrites(n, rule)) return overwrite(p, n, in, out, dout, din, mode, scratch, rule, err);
    run_kernel(p, n, in, out, dout, din, mode, scratch, rule);
    return CX_OK;
}

cx_code cx_backward(cx_program *p, const int *seed, const cx_value *dvalue, int n_seed, const int *wanted, int n_wanted,
                    const cx_rule *rule, const cx_host *host, cx_value *grad, cx_err *err)
{
    backward_plan b = {0};
    cx_block *arena = NULL;
    err->code = CX_OK;
    if (!plan_new(&b, p)) return cx_fail(err, CX_ENOMEM, "out of memory: the program has %d nodes", p->n_node);
    if (mark(&b, p, seed, n_seed, wanted, n_wanted, err)) goto done;
    for (int s = 0; s < p->n_slot; s++) b.absent[s] = !p->slot[s].value.data;
    if (cx_compute(p, b.read, host, err)) goto done; /* what backward reads and nobody kept */
    if (!(arena = cx_block_new(b.arena + b.scratch))) {
        cx_fail(err, CX_ENOMEM, "out of memory: the gradients need %.1f MiB",
                (double)(b.arena + b.scratch) / (1 << 20));
        goto done;
    }
    char *base = cx_block_data(arena);
    if (make_gradients(&b, p, base, err)) goto done;
    for (int i = 0; i < n_seed; i++) {
        int s = seed[i];
        if (!b.reach[s]) continue;
        deliver(&b.grad[s], &dvalue[i], b.written[s] ? CX_ADD : CX_WRITE);
        b.written[s] = true;
    }
    for (int k = p->n_node; k-- > 0;)
        if (b.active[k] && run_step(&b, p, &p->node[k], base + b.arena, rule, host, err)) goto done;
    for (int i = 0; i < n_wanted; i++)
        if (b.reach[wanted[i]]) grad[i] = cx_share(&b.grad[wanted[i]]);
done:
    for (int s = 0; s < p->n_slot; s++) {
        cx_drop(b.grad[s].block);
        if (b.absent[s]) cx_clear(&p->slot[s].value); /* recomputed for this backward only */
    }
    cx_drop(arena);
    cx_free(b.grad);
    return err->code;
}
