/* Forward: mark what the fetched slots need, place it in arenas, run. */
#include "internal.h"
#include <string.h>

/* Spans come in order of birth, so those that are over are dropped on the way and the search for a gap sees only the
 * few that are alive; alive is kept sorted by offset, in the part of `order` that was already read. */
size_t cx_place(cx_span *span, int *order, int n)
{
    size_t total = 0;
    int alive = 0;
    for (int i = 0; i < n; i++) {
        int me = order[i], kept = 0, at = 0;
        cx_span *s = &span[me];
        size_t offset = 0;
        s->size = cx_whole(s->size);
        for (int a = 0; a < alive; a++)
            if (span[order[a]].last >= s->first) order[kept++] = order[a];
        alive = kept;
        while (at < alive && offset + s->size > span[order[at]].offset) { /* the gap before this one is too small */
            size_t end = span[order[at]].offset + span[order[at]].size;
            if (end > offset) offset = end;
            at++;
        }
        s->offset = offset;
        memmove(&order[at + 1], &order[at], (size_t)(alive - at) * sizeof *order);
        order[at] = me;
        alive++;
        if (offset + s->size > total) total = offset + s->size;
    }
    return total;
}

void cx_gather(const cx_program *p, const int *slot, int n, cx_value *value)
{
    for (int i = 0; i < n; i++) {
        if (slot[i] >= 0)
            value[i] = p->slot[slot[i]].value;
        else
            value[i].spec.ndim = CX_ABSENT, value[i].data = NULL, value[i].block = NULL, value[i].form = NULL;
    }
}

cx_code cx_poll(const cx_host *host, cx_err *err)
{
    return host && host->poll ? host->poll(host->self, err) : CX_OK;
}

cx_code cx_afford(size_t bytes, cx_err *err)
{
    static const size_t ask_from = (size_t)256 << 20; /* asking reads several files */
    if (bytes < ask_from) return CX_OK;
    size_t available = cx_memory_available() + cx_cached_bytes();
    if (bytes > available && cx_form_bytes()) {
        cx_clear_caches();
        available = cx_memory_available();
    }
    return bytes <= available
               ? CX_OK
               : cx_fail(err, CX_ENOMEM, "this call needs %.1f MiB, the machine has %.1f MiB left; use a smaller batch",
                         (double)bytes / (1 << 20), (double)available / (1 << 20));
}

/* Is the value worth no memory between forward and backward? What a fusion leaves out and few gradients read is made
 * again for them: the input of a batch norm in inference mode, an image with zeros around it. */
static bool cheap(const cx_program *p, const cx_node *n, int slot, const int *maker)
{
    return !p->trains && ((n->op->affine && slot == n->in[0]) || (maker[slot] >= 0 && p->node[maker[slot]].op->zeros));
}

/* Marks the values of n that the gradients of its tracked inputs read, and those of which they need bits alone. */
static void mark_kept(const cx_program *p, const cx_node *n, const int *maker, bool *keep, bool *gates)
{
    for (int i = 0; i < n->op->most_in; i++) {
        unsigned reads = n->op->reads[i];
        if (!reads || !cx_carries(p, n, i) || !p->slot[n->in[i]].tracked) continue;
        if (i == 0 && cx_gates(n)) {
            gates[n->out[0]] = true;
            continue;
        }
        for (int k = 0; k < n->op->most_in; k++)
            if (reads & CX_IN(k) && n->in[k] >= 0 && !cheap(p, n, n->in[k], maker)) keep[n->in[k]] = true;
        for (int k = 0; k < n->op->n_out; k++)
            if (reads & CX_OUT(k)) keep[n->out[k]] = true;
    }
}

cx_block *cx_prepare(const cx_node *n, cx_value *in, const cx_value *out, bool back)
{
    cx_form f = {0};
    bool make;
    if (!n->op->form) return NULL;
    cx_value *v = &in[n->op->formed];
    if (!cx_lasting(v)) return NULL;
    n->op->form(n->attr, in, out, back, &f);
    if (!f.size) return NULL;
    cx_block *form = cx_form_find(v->block, &f, &make);
    if (make && (form = cx_block_new(f.size))) {
        n->op->make(n->attr, in, out, back, cx_block_data(form));
        cx_form_keep(v->block, &f, form);
    }
    v->form = form ? cx_block_data(form) : NULL;
    return form;
}

static cx_code run_node(cx_program *p, const cx_fusion *c, cx_node *n, cx_value *in, const cx_value *out, void *scratch,
                        void *rows, const cx_host *host, cx_err *err)
{
    if (cx_poll(host, err)) return err->code;
    if (n->op->check && n->op->check(n->attr, in, err)) return err->code;
    p->forwards++;
    if (n->op->host) {
        if (!host || !host->forward) return cx_fail(err, CX_EVALUE, "%s needs a host", n->op->name);
        return host->forward(host->self, n, in, out, p->slot[n->out[0]].tracked, err);
    }
    cx_enter(n);
    cx_block *form = cx_prepare(n, in, out, false);
    cx_kernel(true);
    if (c->last == c->head && c->pad < 0) {
        n->op->forward[cx_kernel_dtype(p, n)](n->attr, in, out, scratch);
    } else {
        const cx_finish f = cx_finish_of(p, c, in, rows);
        n->op->finished(n->attr, in, out, scratch, &f);
    }
    cx_kernel(false);
    cx_drop(form);
    cx_leave();
    return CX_OK;
}

/* What one run decides before its first kernel. Indexed by slot unless said. */
typedef struct {
    cx_span *span;             /* by root */
    bool *needed, *keep, *own; /* own: its result gets a block of its own */
    bool *made;                /* got its value in this run */
    bool *gates;               /* gradients need bits of it */
    bool *active;              /* by node */
    int *root;                 /* whose memory the slot is in: a VIEW's output lies in its input's */
    int *order;                /* roots in passing or kept memory, by birth */
    int *maker;                /* node or -1 */
    cx_uses *uses;
    cx_fusion *fusion;                                  /* by node: what runs there; active: something does */
    size_t bits, kept, passing, scratch, rows, results; /* the bits lie before what is kept */
} forward_plan;

static bool plan_new(forward_plan *f, const cx_program *p)
{
    size_t slots = (size_t)p->n_slot + 1, nodes = (size_t)p->n_node + 1;
    size_t bytes = slots * (sizeof *f->span + sizeof *f->uses + 3 * sizeof(int) + 5) + nodes * (1 + sizeof *f->fusion);
    char *all = cx_alloc(bytes);
    if (!all) return false;
    f->span = (cx_span *)all;
    f->fusion = (cx_fusion *)(f->span + slots); /* what holds pointers comes first */
    f->uses = (cx_uses *)(f->fusion + nodes);
    f->root = (int *)(f->uses + slots), f->order = f->root + slots, f->maker = f->order + slots;
    f->needed = (bool *)(f->maker + slots), f->keep = f->needed + slots, f->own = f->keep + slots;
    f->made = f->own + slots, f->gates = f->made + slots, f->active = f->gates + slots;
    return true;
}

static void mark_needed(forward_plan *f, const cx_program *p, const bool *want)
{
    memcpy(f->needed, want, (size_t)p->n_slot);
    for (int k = p->n_node; k-- > 0;) {
        const cx_node *n = &p->node[k];
        for (int j = 0; j < n->op->n_out; j++)
            f->active[k] = f->active[k] || (f->needed[n->out[j]] && !p->slot[n->out[j]].value.data);
        for (int i = 0; f->active[k] && i < n->op->most_in; i++)
            if (n->in[i] >= 0) f->needed[n->in[i]] = true;
    }
}

/* Who uses what, and which slots stay after this run. */
static void mark_staying(forward_plan *f, const cx_program *p, const bool *want, bool keeps)
{
    for (int s = 0; s < p->n_slot; s++) f->root[s] = s, f->own[s] = want[s], f->maker[s] = -1;
    for (int k = 0; k < p->n_node; k++) {
        const cx_node *n = &p->node[k];
        if (!f->active[k]) continue;
        for (int j = 0; j < n->op->n_out; j++) f->maker[n->out[j]] = k;
        for (int i = 0; i < n->op->most_in; i++)
            if (n->in[i] >= 0) f->uses[n->in[i]].count++, f->uses[n->in[i]].last = k;
        if (keeps) mark_kept(p, n, f->maker, f->keep, f->gates);
        if (n->op->kind == CX_VIEW) f->root[n->out[0]] = f->root[n->in[0]];
    }
    for (int s = 0; s < p->n_slot; s++) { /* who keeps or fetches a view keeps or fetches what it lies in */
        if (f->keep[s]) f->keep[f->root[s]] = true;
        if (f->own[s]) f->own[f->root[s]] = true;
    }
}

/* A fusion runs in its last node's place; the others' places are empty. */
static void fuse(forward_plan *f, const cx_program *p)
{
    bool *stays = f->made; /* not in use yet */
    for (int s = 0; s < p->n_slot; s++) stays[s] = f->keep[s] || f->gates[s] || f->own[s] || p->slot[s].value.data;
    for (int k = 0; k < p->n_node; k++)
        if (f->active[k]) cx_alone(&f->fusion[k], k);
    for (int k = 0; k < p->n_node; k++) {
        cx_fusion c;
        if (!f->active[k] || f->fusion[k].head != k) continue;
        cx_fuse(p, k, f->maker, f->uses, stays, &c);
        f->active[k] = false;
        if (c.pad >= 0) f->active[c.pad] = false;
        if (c.affine >= 0) f->active[c.affine] = false;
        if (c.sum >= 0) f->active[c.sum] = false;
        if (c.sum >= 0) stays[c.plus] = true; /* the sum is taken */
        f->active[c.last] = true, f->fusion[c.last] = c;
    }
    memset(stays, 0, (size_t)p->n_slot);
}

/* Where the bits of gates go; the value of a gate stays where nothing notes bits of it. */
static void note_gates(forward_plan *f, const cx_program *p)
{
    for (int k = 0; k < p->n_node; k++) {
        const int s = p->node[k].out[0];
        if (!f->active[k] || s < 0 || !f->gates[s]) continue;
        if (p->slot[s].bits || p->slot[s].value.data) {
            f->gates[s] = false;
            continue;
        }
        const size_t size = cx_fusion_bits(p, &f->fusion[k]);
        if (!size) f->gates[s] = false, f->keep[s] = true;
        f->bits += size;
    }
}

static cx_code mark_lifetimes(forward_plan *f, const cx_program *p, cx_err *err)
{
    for (int k = 0; k < p->n_node; k++) {
        const cx_node *n = &p->node[k];
        cx_node merged;
        int in[CX_FUSION_INS];
        if (!f->active[k]) continue;
        const cx_node *head = cx_fusion_node(p, &f->fusion[k], &merged, err);
        if (!head) return err->code;
        const int n_in = cx_fusion_inputs(p, &f->fusion[k], in);
        for (int i = 0; i < n_in; i++) {
            cx_span *s = &f->span[f->root[in[i]]];
            if (s->used)
                s->last = k;
            else if (!p->slot[f->root[in[i]]].value.data)
                return cx_fail(err, CX_EVALUE, "%s: input %d was not fed", head->op->name, i);
        }
        if (n->op->kind == CX_VIEW) continue;
        for (int j = 0; j < n->op->n_out; j++) {
            cx_span *s = &f->span[n->out[j]];
            *s = (cx_span){.first = k, .last = k, .used = true};
            if (cx_bytes(&p->slot[n->out[j]].value.spec, &s->size, err)) return err->code;
        }
        const size_t rows = cx_fusion_rows(p, &f->fusion[k]), scratch = cx_whole(head->scratch);
        if (scratch > f->scratch) f->scratch = scratch;
        if (rows > f->rows) f->rows = rows;
    }
    return CX_OK;
}

static bool passing(const forward_plan *f, const cx_program *p, int slot)
{
    return f->span[slot].used && !f->keep[slot] && !f->own[slot] && !p->slot[slot].value.data;
}
/* A sum whose other summand nobody reads later is written over it, which spares the caches a buffer. */
static void reuse_summands(forward_plan *f, const cx_program *p)
{
    for (int k = 0; k < p->n_node; k++) {
        const cx_fusion *c = &f->fusion[k];
        int in[CX_FUSION_INS], readers = 0;
        if (!f->active[k] || c->sum < 0) continue;
        const int to = p->node[k].out[0], from = f->root[c->plus], n_in = cx_fusion_inputs(p, c, in);
        for (int i = 0; i < n_in; i++) readers += f->root[in[i]] == from;
        if (readers != 1 || f->span[from].last != k || f->span[from].size != f->span[to].size) continue;
        if (f->root[to] != to || !passing(f, p, from) || !passing(f, p, to)) continue;
        f->span[from].last = f->span[to].last, f->span[to].used = false;
        for (int s = 0; s < p->n_slot; s++)
            if (f->root[s] == to) f->root[s] = from;
    }
}

static cx_code place(forward_plan *f, const cx_program *p, cx_err *err)
{
    int n = 0;
    f->kept = f->bits;
    reuse_summands(f, p);
    for (int k = 0; k < p->n_node; k++)
        for (int j = 0; f->active[k] && j < p->node[k].op->n_out; j++) {
            int s = p->node[k].out[j];
            cx_span *span = &f->span[s];
            if (!span->used) continue;
            size_t size = cx_whole(span->size);
            bool present = p->slot[s].value.data; /* made before; this time the kernel writes a spare copy */
            if (f->own[s] && !present) {
                f->results += size;
            } else if (f->keep[s] && !present) {
                span->offset = f->kept, f->kept += size ? size : 64; /* an empty slot is present too */
            } else {
                f->order[n++] = s;
            }
        }
    f->passing = cx_place(f->span, f->order, n);
    return cx_afford(f->kept + f->passing + f->scratch + f->rows + f->results, err);
}

static cx_code run_planned(forward_plan *f, cx_program *p, cx_block *kept, cx_block *passing, const cx_host *host,
                           cx_err *err)
{
    char *base = cx_block_data(passing);
    size_t bits = 0;
    for (int k = 0; k < p->n_node; k++) {
        const cx_node *n = &p->node[k];
        cx_node merged;
        cx_value in[CX_INS], out[CX_OUTS];
        if (!f->active[k]) continue;
        cx_node *head = cx_fusion_node(p, &f->fusion[k], &merged, err);
        if (!head) return err->code;
        cx_gather(p, head->in, CX_INS, in);
        if (n->op->kind == CX_VIEW) {
            cx_value *v = &p->slot[n->out[0]].value;
            v->data = in[0].data, v->block = cx_keep(in[0].block);
            f->made[n->out[0]] = true;
            continue;
        }
        for (int j = 0; j < n->op->n_out; j++) {
            int s = n->out[j];
            cx_value *v = &p->slot[s].value;
            out[j] = *v;
            if (v->data) {
                out[j].data = base + f->span[f->root[s]].offset;
                continue;
            }
            if (f->own[s]) {
                cx_spec spec = v->spec;
                if (cx_value_new(&spec, v, err)) return err->code;
            } else {
                v->block = cx_keep(f->keep[s] ? kept : passing);
                v->data = (f->keep[s] ? (char *)cx_block_data(kept) : base) + f->span[f->root[s]].offset;
            }
            f->made[s] = true;
            out[j] = *v;
        }
        cx_slot *first = &p->slot[n->out[0]];
        if (f->gates[n->out[0]]) {
            first->bits = f->fusion[k].bits = (unsigned char *)cx_block_data(kept) + bits;
            first->bits_block = cx_keep(kept);
            bits += cx_fusion_bits(p, &f->fusion[k]);
        }
        char *scratch = base + f->passing;
        if (run_node(p, &f->fusion[k], head, in, out, scratch, scratch + f->scratch, host, err)) return err->code;
    }
    return CX_OK;
}

cx_code cx_compute(cx_program *p, const bool *want, bool keeps, const cx_host *host, cx_err *err)
{
    forward_plan f = {0};
    cx_block *kept = NULL, *passing = NULL;
    err->code = CX_OK;
    if (!plan_new(&f, p)) return cx_fail(err, CX_ENOMEM, "out of memory: the program has %d nodes", p->n_node);
    mark_needed(&f, p, want);
    mark_staying(&f, p, want, keeps);
    fuse(&f, p);
    note_gates(&f, p);
    if (mark_lifetimes(&f, p, err) || place(&f, p, err)) goto done;
    const size_t spare = f.passing + f.scratch + f.rows;
    if ((f.kept && !(kept = cx_block_new(f.kept))) || !(passing = cx_block_new(spare))) {
        cx_fail(err, CX_ENOMEM, "out of memory: this call needs %.1f MiB", (double)(f.kept + spare) / (1 << 20));
        goto done;
    }
    run_planned(&f, p, kept, passing, host, err);
done:
    /* Passing values go; after an error everything made here goes, so a failed call leaves no trace. */
    for (int s = 0; s < p->n_slot; s++) {
        if (f.made[s] && (err->code || p->slot[s].value.block == passing)) cx_clear(&p->slot[s].value);
        if (f.made[s] && f.gates[s] && err->code)
            cx_drop(p->slot[s].bits_block), p->slot[s].bits = NULL, p->slot[s].bits_block = NULL;
    }
    cx_drop(kept), cx_drop(passing);
    cx_free(f.span);
    return err->code;
}

cx_code cx_run(cx_program *p, const int *fetch, int n, const cx_host *host, cx_err *err)
{
    bool *want = cx_alloc((size_t)p->n_slot + 1);
    if (!want) return cx_fail(err, CX_ENOMEM, "out of memory: the program has %d slots", p->n_slot);
    err->code = CX_OK;
    for (int i = 0; i < n; i++) want[fetch[i]] = true;
    for (int i = 0; i < n; i++)
        if (!p->slot[fetch[i]].value.data) {
            cx_compute(p, want, true, host, err);
            break;
        }
    cx_free(want);
    return err->code;
}
