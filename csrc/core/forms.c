/* Forms of lasting values: a kernel's panels packed, its transform. They hang on the block and go with it, or when it
 * is written in place. A form is made at the second request for one version, so that weights which change after every
 * use, as in training, are never copied for nothing, or at the first by a thread whose weights stay; what no model has
 * asked for lately gives way to new ones. */
#include "forms.h"
#include "platform.h"
#include <pthread.h>
#include <string.h>

enum { STALE = 4096 }; /* requests after which an unused form may go: many calls of a large model */

struct cx_kept {
    cx_kept *next, *before, *after; /* in its block's list; in the list of all */
    cx_form_list *home;
    cx_block *data; /* NULL: asked for once */
    cx_form form;
    int64_t used;
};
static struct {
    pthread_mutex_t lock;
    cx_kept *first;
    int64_t now, made;
    size_t bytes, budget;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .budget = (size_t)512 << 20};

static void lock_forms(void)
{
    pthread_mutex_lock(&all.lock);
}
static void unlock_forms(void)
{
    pthread_mutex_unlock(&all.lock);
}
static _Thread_local bool at_once;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void watch_forks(void)
{
    cx_at_fork(lock_forms, unlock_forms, unlock_forms);
}

void cx_lasts(cx_block *b)
{
    atomic_store_explicit(&cx_block_forms(b)->lasts, true, memory_order_relaxed);
}
bool cx_lasting(const cx_value *v)
{
    return v->block && atomic_load_explicit(&cx_block_forms(v->block)->lasts, memory_order_relaxed) &&
           cx_block_data(v->block) == v->data;
}

/* From here on with the lock held. */
static void drop_data(cx_kept *k)
{
    if (!k->data) return;
    all.bytes -= k->form.size;
    cx_drop(k->data);
    k->data = NULL;
}
static void forget(cx_form_list *list)
{
    for (cx_kept *k = list->first, *next; k; k = next) {
        next = k->next;
        if (k->before)
            k->before->after = k->after;
        else
            all.first = k->after;
        if (k->after) k->after->before = k->before;
        drop_data(k);
        cx_free(k);
    }
    list->first = NULL;
}
static cx_kept *find(const cx_form_list *list, const cx_form *f)
{
    for (cx_kept *k = list->first; k; k = k->next)
        if (k->form.size == f->size && !memcmp(k->form.key, f->key, sizeof f->key)) return k;
    return NULL;
}
static cx_kept *remember(cx_form_list *list, const cx_form *f)
{
    cx_kept *k = cx_alloc(sizeof *k);
    if (!k) return NULL; /* never made, then */
    *k = (cx_kept){.next = list->first, .after = all.first, .home = list, .form = *f};
    if (all.first) all.first->before = k;
    all.first = k;
    list->first = k;
    return k;
}
static bool make_room(size_t size)
{
    if (size > all.budget) return false;
    while (all.bytes + size > all.budget) {
        cx_kept *oldest = NULL;
        for (cx_kept *k = all.first; k; k = k->after)
            if (k->data && (!oldest || k->used < oldest->used)) oldest = k;
        if (!oldest || all.now - oldest->used < STALE) return false;
        drop_data(oldest);
    }
    return true;
}

cx_block *cx_form_find(cx_block *b, const cx_form *f, bool *make)
{
    cx_form_list *list = cx_block_forms(b);
    cx_block *data = NULL;
    pthread_once(&once, watch_forks);
    lock_forms();
    cx_kept *k = find(list, f);
    bool again = k;
    if (!k) k = remember(list, f);
    if (k) k->used = ++all.now;
    *make = k && !k->data && (again || at_once) && make_room(f->size);
    if (k && k->data) data = cx_keep(k->data);
    unlock_forms();
    return data;
}
void cx_form_at_once(bool yes)
{
    at_once = yes;
}

void cx_form_keep(cx_block *b, const cx_form *f, cx_block *data)
{
    lock_forms();
    cx_kept *k = find(cx_block_forms(b), f);
    all.made++;
    if (k && !k->data && make_room(f->size)) { /* or another thread was faster, or memory was asked back */
        k->data = cx_keep(data);
        all.bytes += f->size;
    }
    unlock_forms();
}

void cx_written(cx_block *b)
{
    cx_forms_forget(cx_block_forms(b));
}
void cx_forms_forget(cx_form_list *list)
{
    if (!list->first) return;
    lock_forms();
    forget(list);
    unlock_forms();
}
void cx_forms_clear(void)
{
    lock_forms();
    while (all.first) forget(all.first->home);
    unlock_forms();
}

void cx_form_budget(size_t bytes)
{
    lock_forms();
    all.budget = bytes;
    unlock_forms();
}
size_t cx_form_bytes(void)
{
    lock_forms();
    size_t bytes = all.bytes;
    unlock_forms();
    return bytes;
}
int64_t cx_forms_made(void)
{
    lock_forms();
    int64_t made = all.made;
    unlock_forms();
    return made;
}
