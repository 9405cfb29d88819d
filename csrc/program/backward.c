/* Backward: what lies between seeds and wanted slots, once, in reverse order of recording. */
#include "internal.h"
#include <string.h>

/* Indexed by slot unless said. need: depends on a wanted slot; reach: a seed's gradient arrives. */
typedef struct {
    cx_value *grad;
    cx_span *span; /* by root */
    cx_uses *uses; /* nodes that add to the gradient */
    cx_fusion *fusion;
    int *order, *maker, *root; /* root: whose memory the gradient is in */
    bool *need, *reach, *read, *absent, *written, *fetched, *seeded;
    bool *active, *taken; /* by node: does something; another's kernel does it */
    size_t arena, scratch, rows;
} backward_plan;

static bool plan_new(backward_plan *b, const cx_program *p)
{
    size_t slots = (size_t)p->n_slot + 1, nodes = (size_t)p->n_node + 1;
    size_t by_slot = sizeof *b->grad + sizeof *b->span + sizeof *b->uses + 3 * sizeof(int) + 7;
    char *all = cx_alloc(slots * by_slot + nodes * (sizeof *b->fusion + 2));
    if (!all) return false;
    b->grad = (cx_value *)all;
    b->span = (cx_span *)(b->grad + slots);
    b->fusion = (cx_fusion *)(b->span + slots); /* what holds pointers comes first */
    b->uses = (cx_uses *)(b->fusion + nodes);
    b->order = (int *)(b->uses + slots), b->maker = b->order + slots, b->root = b->maker + slots;
    b->need = (bool *)(b->root + slots), b->reach = b->need + slots, b->read = b->reach + slots;
    b->absent = b->read + slots, b->written = b->absent + slots, b->fetched = b->written + slots;
    b->seeded = b->fetched + slots, b->active = b->seeded + slots, b->taken = b->active + nodes;
    return true;
}

static bool needs(const backward_plan *b, const cx_program *p, const cx_node *n, int i)
{
    return cx_carries(p, n, i) && b->need[n->in[i]];
}

/* Bits are all that the gradient reads of the output. */
static bool noted(const cx_program *p, const cx_node *n)
{
    return cx_gates(n) && p->slot[n->out[0]].bits;
}

static void mark_read(backward_plan *b, const cx_program *p, const cx_node *n, int i)
{
    for (int v = 0; v < n->op->most_in; v++)
        if (n->op->reads[i] & CX_IN(v) && n->in[v] >= 0) b->read[n->in[v]] = true;
    for (int v = 0; v < n->op->n_out; v++)
        if (n->op->reads[i] & CX_OUT(v) && !noted(p, n)) b->read[n->out[v]] = true;
}

/* Which nodes take part, and what they read. */
static cx_code mark(backward_plan *b, const cx_program *p, const int *seed, int n_seed, const int *wanted, int n_wanted,
                    cx_err *err)
{
    for (int s = 0; s < p->n_slot; s++) b->root[s] = s, b->maker[s] = -1;
    for (int i = 0; i < n_wanted; i++)
        if (cx_slot_real(p, wanted[i])) b->need[wanted[i]] = true;
    for (int i = 0; i < n_wanted; i++) b->fetched[wanted[i]] = true;
    cx_mark_dependents(p, b->need);
    for (int i = 0; i < n_seed; i++)
        if (cx_slot_real(p, seed[i])) b->seeded[seed[i]] = b->reach[seed[i]] = true;
    for (int k = p->n_node; k-- > 0;) {
        const cx_node *n = &p->node[k];
        bool out = false, in = false;
        for (int j = 0; j < n->op->n_out; j++) out = out || b->reach[n->out[j]];
        for (int i = 0; i < n->op->most_in; i++) in = in || needs(b, p, n, i);
        if (!out || !in) continue;
        b->active[k] = true;
        for (int j = 0; j < n->op->n_out; j++) b->maker[n->out[j]] = k;
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
            cx_uses *u = &b->uses[n->in[i]];
            mark_read(b, p, n, i);
            b->reach[n->in[i]] = true;
            if (!u->count++) u->last = k;
            u->first = k;
        }
    }
    return CX_OK;
}

static bool fused(const cx_fusion *c)
{
    return c->pad >= 0 || c->clamp >= 0 || c->affine >= 0;
}
static void fuse(backward_plan *b, const cx_program *p, const cx_rule *rule)
{
    const cx_back back = {b->need, b->fetched, b->seeded, b->maker, b->uses};
    for (int k = 0; k < p->n_node; k++) {
        cx_fusion *c = &b->fusion[k];
        cx_alone(c, k);
        if (!b->active[k] || !needs(b, p, &p->node[k], 0)) continue;
        cx_fuse_back(p, k, &back, rule, c);
        if (c->pad >= 0) b->taken[c->pad] = true;
        if (c->clamp >= 0) b->taken[c->clamp] = true;
        if (c->affine >= 0) b->taken[c->affine] = true;
    }
}

/* Where node k hands its gradient on as it is, the input's can be the output's memory, if nothing is ever added to it
 * there: k is the only one to give it, or the next one writes elsewhere. */
static bool hands_on(const backward_plan *b, const cx_program *p, int k, int i)
{
    const cx_node *n = &p->node[k];
    const int s = n->in[i];
    const cx_uses *u = &b->uses[s];
    if (n->op->kind != CX_VIEW && n->op->kind != CX_SUM) return false;
    if (b->fetched[s] || b->seeded[s] || u->last != k) return false;
    for (int j = 0; j < n->op->most_in; j++)
        if (j != i && n->in[j] == s) return false;
    if (cx_count(&p->slot[s].value.spec) != cx_count(&p->slot[n->out[0]].value.spec)) return false;
    return u->count == 1 || (u->count == 2 && p->node[u->first].in[0] == s && fused(&b->fusion[u->first]));
}

/* Time runs backwards: node k happens at time n-1-k, the seeds at -1. A gradient lives from its first write to its
 * maker's step, which reads it last; one that nothing in the program made lives to the end. */
static cx_code mark_lifetimes(backward_plan *b, const cx_program *p, cx_err *err)
{
    int end = p->n_node, n_order = 0, kept = 0;
    size_t results = 0;
#define BORN(s, time)                                                       \
    do {                                                                    \
        b->span[s] = (cx_span){.first = (time), .last = end, .used = true}; \
        b->order[n_order++] = (s);                                          \
    } while (0)
    for (int s = 0; s < p->n_slot; s++)
        if (b->seeded[s]) BORN(s, -1);
    for (int k = p->n_node; k-- > 0;) {
        const cx_node *n = &p->node[k];
        const cx_fusion *c = &b->fusion[k];
        int now = p->n_node - 1 - k;
        if (b->taken[k]) continue;
        for (int j = 0; j < n->op->n_out; j++)
            if (b->reach[n->out[j]]) b->span[b->root[n->out[j]]].last = now;
        if (!b->active[k]) continue;
        for (int i = 0; i < n->op->most_in; i++) {
            const int s = n->in[i];
            if (!needs(b, p, n, i)) continue;
            if (i == 0 && fused(c)) {
                b->span[b->root[s]].last = now;
                BORN(c->to, now);
            } else if (hands_on(b, p, k, i)) {
                b->root[s] = b->root[n->out[0]];
                b->span[b->root[s]].last = end;
            } else if (!b->span[s].used) {
                BORN(s, now);
            }
        }
        cx_node merged;
        const cx_node *head = cx_fusion_node(p, c, &merged, err);
        if (!head) return err->code;
        const size_t rows = cx_fusion_rows(p, c);
        const size_t scratch = cx_whole(head->scratch_back > n->scratch_back ? head->scratch_back : n->scratch_back);
        if (scratch > b->scratch) b->scratch = scratch;
        if (rows > b->rows) b->rows = rows;
    }
#undef BORN
    for (int i = 0; i < n_order; i++) {
        int s = b->order[i];
        if (cx_bytes(&p->slot[s].value.spec, &b->span[s].size, err)) return err->code;
        if (b->fetched[s])
            results += b->span[s].size;
        else
            b->order[kept++] = s;
    }
    b->arena = cx_place(b->span, b->order, kept);
    return cx_afford(b->arena + b->scratch + b->rows + results, err);
}

static cx_code make_gradients(backward_plan *b, const cx_program *p, char *arena, cx_err *err)
{
    for (int s = 0; s < p->n_slot; s++) {
        if (!b->span[s].used) continue;
        if (!b->fetched[s])
            b->grad[s] = (cx_value){.spec = p->slot[s].value.spec, .data = arena + b->span[s].offset};
        else if (cx_value_new(&p->slot[s].value.spec, &b->grad[s], err))
            return err->code;
    }
    for (int s = 0; s < p->n_slot; s++)
        if (b->root[s] != s) b->grad[s] = (cx_value){.spec = p->slot[s].value.spec, .data = b->grad[b->root[s]].data};
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

static cx_code run_fused(backward_plan *b, const cx_program *p, const cx_fusion *c, const cx_value *out,
                         const cx_value *dout, void *scratch, void *rows, const cx_rule *rule, cx_err *err)
{
    cx_node merged, *n = cx_fusion_node(p, c, &merged, err);
    cx_value in[CX_INS];
    if (!n) return err->code;
    const int s = n->in[0];
    cx_gather(p, n->in, CX_INS, in);
    cx_enter(n);
    cx_block *form = cx_prepare(n, in, out, true);
    cx_kernel(true);
    const cx_finish f = cx_finish_back(p, c, b->written[s] ? b->grad[s].data : NULL, rule, rows);
    n->op->finished_back(n->attr, in, out, dout, b->grad[c->to].data, scratch, &f);
    cx_kernel(false);
    cx_drop(form);
    cx_leave();
    b->written[c->to] = true;
    return CX_OK;
}

static cx_code run_step(backward_plan *b, cx_program *p, int k, char *scratch, const cx_rule *rule, const cx_host *host,
                        cx_err *err)
{
    cx_node *n = &p->node[k];
    const cx_fusion *c = &b->fusion[k];
    cx_value in[CX_INS], out[CX_OUTS], dout[CX_OUTS], din[CX_INS];
    cx_mode mode[CX_INS];
    bool fresh = true, any = false;
    if (cx_poll(host, err)) return err->code;
    cx_gather(p, n->in, CX_INS, in), cx_gather(p, n->out, CX_OUTS, out);
    for (int j = 0; j < CX_OUTS; j++) {
        dout[j].data = NULL;
        if (j < n->op->n_out && b->reach[n->out[j]]) dout[j] = b->grad[n->out[j]];
    }
    for (int i = 0; i < CX_INS; i++) {
        mode[i] = CX_SKIP, din[i].data = NULL;
        if (i >= n->op->most_in || !needs(b, p, n, i) || (i == 0 && fused(c))) continue;
        int s = n->in[i];
        if (b->root[s] != s && b->root[s] == b->root[n->out[0]]) { /* handed on */
            b->written[s] = true;
            continue;
        }
        din[i] = b->grad[s];
        fresh = fresh && !b->written[s];
        if (!b->written[s] && n->op->adds & CX_IN(i)) {
            memset(din[i].data, 0, size_of(&din[i]));
            b->written[s] = true;
        }
        mode[i] = b->written[s] ? CX_ADD : CX_WRITE; /* a slot given twice: WRITE, then ADD, in input order */
        b->written[s] = any = true;
    }
    p->backwards++;
    if (fused(c) && run_fused(b, p, c, out, dout, scratch, scratch + b->scratch, rule, err)) return err->code;
    if (!any) return CX_OK;
    if (n->op->kind == CX_VIEW) {
        deliver(&din[0], &dout[0], mode[0]);
        return CX_OK;
    }
    if (n->op->host) {
        if (!host || !host->backward) return cx_fail(err, CX_EVALUE, "%s needs a host", n->op->name);
        return host->backward(host->self, n, in, dout, din, mode, rule, err);
    }
    if (noted(p, n)) {
        const cx_finish f = cx_finish_back(p, &(cx_fusion){.clamp = k, .affine = -1}, NULL, rule, NULL);
        cx_enter(n);
        cx_kernel(true);
        cx_pass_bits(&f, cx_count(&dout[0].spec), dout[0].data, mode[0] == CX_ADD, din[0].data);
        cx_kernel(false);
        cx_leave();
        return CX_OK;
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
    fuse(&b, p, rule);
    if (mark_lifetimes(&b, p, err)) goto done;
    for (int s = 0; s < p->n_slot; s++) b.absent[s] = !p->slot[s].value.data;
    if (cx_compute(p, b.read, false, host, err)) goto done; /* what backward reads and nobody kept */
    const size_t spare = b.arena + b.scratch + b.rows;
    if (!(arena = cx_block_new(spare))) {
        cx_fail(err, CX_ENOMEM, "out of memory: the gradients need %.1f MiB", (double)spare / (1 << 20));
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
        if (b.active[k] && !b.taken[k] && run_step(&b, p, k, base + b.arena, rule, host, err)) goto done;
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
