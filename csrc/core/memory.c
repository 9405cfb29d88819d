/* Counted blocks over size classes. A freed block of 64 KiB or more goes to a list of its class and is handed out
 * again, because fresh pages cost more than the work done in them; the lists share one byte budget. */
#include "forms.h"
#include "platform.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 64,
    SMALL = 64 << 10,    /* below: straight to the C library */
    HUGE_FROM = 2 << 20, /* from here on pages of 2 MiB pay */
    STEPS = 4,           /* classes between two powers of two: at most 25 % is wasted */
    CLASSES = 64 * STEPS,
    DEPTH = 64, /* blocks kept per class */
};
static const size_t budget = (size_t)1 << 30;

struct cx_block {
    atomic_int holders;
    int class; /* of its data; -1: plain, -2: wrapped */
    void *data;
    void (*release)(void *);
    cx_form_list forms;
};
static struct {
    pthread_mutex_t lock;
    struct {
        void *data[DEPTH];
        int n;
    } class[CLASSES];
    size_t bytes;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local bool in_kernel;
static atomic_llong faults;

void cx_kernel(bool inside)
{
    in_kernel = inside;
}
int64_t cx_faults(void)
{
    return atomic_load(&faults);
}

void *cx_alloc(size_t size)
{
    if (in_kernel) atomic_fetch_add(&faults, 1);
    return calloc(1, size ? size : 1);
}
void cx_free(void *p)
{
    free(p);
}

static size_t class_size(int class)
{
    return ((size_t)STEPS + (size_t)(class % STEPS)) << (class / STEPS);
}

static int class_of(size_t size)
{
    int class = 0;
    while (class < CLASSES - STEPS && class_size(class) < size) class ++;
    return class;
}

static void give_back(void *data, size_t size)
{
    if (size >= HUGE_FROM)
        cx_pages_free(data, size);
    else
        free(data);
}

static void lock_cache(void)
{
    pthread_mutex_lock(&cache.lock);
}
static void unlock_cache(void)
{
    pthread_mutex_unlock(&cache.lock);
}
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void watch_forks(void)
{
    cx_at_fork(lock_cache, unlock_cache, unlock_cache);
}

static void *take(int class)
{
    void *data = NULL;
    pthread_once(&once, watch_forks);
    lock_cache();
    if (cache.class[class].n) {
        data = cache.class[class].data[--cache.class[class].n];
        cache.bytes -= class_size(class);
    }
    unlock_cache();
    if (data) return data;
    return class_size(class) >= HUGE_FROM ? cx_pages_new(class_size(class)) : aligned_alloc(ALIGN, class_size(class));
}

static void put(int class, void *data)
{
    size_t size = class_size(class);
    lock_cache();
    bool keep = cache.class[class].n < DEPTH && cache.bytes + size <= budget;
    if (keep) {
        cache.class[class].data[cache.class[class].n++] = data;
        cache.bytes += size;
    }
    unlock_cache();
    if (!keep) give_back(data, size);
}

void cx_clear_caches(void)
{
    cx_forms_clear();
    lock_cache();
    for (int c = 0; c < CLASSES; c++)
        while (cache.class[c].n) give_back(cache.class[c].data[--cache.class[c].n], class_size(c));
    cache.bytes = 0;
    unlock_cache();
}

size_t cx_cached_bytes(void)
{
    lock_cache();
    size_t bytes = cache.bytes;
    unlock_cache();
    return bytes;
}

static cx_block *block_of(void *data, void (*release)(void *), int class)
{
    cx_block *b = malloc(sizeof *b);
    if (!b) return NULL;
    atomic_init(&b->holders, 1);
    b->class = class, b->data = data, b->release = release;
    atomic_init(&b->forms.first, NULL), atomic_init(&b->forms.lasts, false);
    return b;
}

cx_block *cx_block_wrap(void *object, void (*release)(void *))
{
    return block_of(object, release, -2);
}

cx_block *cx_block_new(size_t size)
{
    if (in_kernel) atomic_fetch_add(&faults, 1);
    if (size > (size_t)INT64_MAX / 2) return NULL;
    int class = size < SMALL ? -1 : class_of(size);
    /* at least one line: empty arrays have an address */
    void *data = class < 0 ? aligned_alloc(ALIGN, (size + ALIGN) / ALIGN * ALIGN) : take(class);
    if (!data) return NULL;
    cx_block *b = block_of(data, free, class);
    if (!b) {
        if (class < 0)
            free(data);
        else
            put(class, data);
        return NULL;
    }
#ifdef CX_POISON /* NaN everywhere: whoever adds to or reads what nobody wrote shows up in the numbers */
    memset(data, 0xff, size);
#endif
    return b;
}

void *cx_block_data(cx_block *b)
{
    return b->data;
}

cx_form_list *cx_block_forms(cx_block *b)
{
    return &b->forms;
}

cx_block *cx_keep(cx_block *b)
{
    if (b) atomic_fetch_add_explicit(&b->holders, 1, memory_order_relaxed);
    return b;
}

void cx_drop(cx_block *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->holders, 1, memory_order_acq_rel) != 1) return;
    cx_forms_forget(&b->forms);
    if (b->class >= 0)
        put(b->class, b->data);
    else
        b->release(b->data);
    free(b);
}

bool cx_sole(const cx_block *b)
{
    return atomic_load_explicit(&((cx_block *)b)->holders, memory_order_acquire) == 1;
}

cx_value cx_share(const cx_value *v)
{
    cx_keep(v->block);
    return *v;
}

void cx_clear(cx_value *v)
{
    cx_drop(v->block);
    v->block = NULL, v->data = NULL;
}

cx_code cx_value_new(const cx_spec *s, cx_value *v, cx_err *err)
{
    size_t size;
    char text[CX_SHAPE_TEXT];
    *v = (cx_value){.spec = *s};
    if (cx_bytes(s, &size, err)) return err->code;
    /* asked only for what may be too much: the answer costs several file reads */
    bool large = size > (size_t)256 << 20;
    if ((large && size > cx_memory_available() + cx_cached_bytes()) || !(v->block = cx_block_new(size)))
        return cx_fail(err, CX_ENOMEM, "out of memory: an array of shape %s and dtype %s needs %.1f MiB",
                       cx_shape_text(s, text), cx_dtype_name(s->dtype), (double)size / (1 << 20));
    v->data = cx_block_data(v->block);
    return CX_OK;
}
