/* One pool, static splits. A worker spins for a moment after its last part, then sleeps; one call at a time has the
 * pool, any other runs its parts on its own thread: the parts are the same, so the bits are. */
#include "../cnnexplain.h"
#include "platform.h"
#include <pthread.h>
#include <stdatomic.h>

enum { SPINS = 6000 }; /* about 150 us: the next node's call, or that of a loop in Python, usually comes before */

/* Spinning while another thread waits for this CPU only costs; then the spinner lets go at once. */
static int patience(int threads)
{
    static atomic_int cpus;
    if (!atomic_load_explicit(&cpus, memory_order_relaxed)) atomic_store(&cpus, cx_cpu_count());
    return threads <= atomic_load_explicit(&cpus, memory_order_relaxed) ? SPINS : 0;
}

typedef struct {
    cx_task *task;
    void *context;
    int64_t n;
    int parts;
} job;

static struct {
    pthread_mutex_t busy; /* held by the call that has the pool */
    pthread_mutex_t lock; /* guards sleeping */
    pthread_cond_t wake;
    atomic_int started; /* workers 1..started exist */
    atomic_int setting; /* 0: not decided yet */
    atomic_uint turn;   /* counts jobs; a worker runs each turn once */
    atomic_int left;    /* parts of this turn not finished */
    atomic_llong runs;
    job job;
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local int team;    /* 0: the setting */
static _Thread_local bool inside; /* in a part: nested calls run here */

int64_t cx_worker_runs(void)
{
    return atomic_load(&pool.runs);
}
int cx_get_team(void)
{
    return team;
}
void cx_set_team(int n)
{
    team = n;
}

int cx_threads(void)
{
    int n = atomic_load_explicit(&pool.setting, memory_order_relaxed);
    if (!n) atomic_store(&pool.setting, n = cx_cpu_count());
    return n;
}

void cx_set_threads(int n)
{
    atomic_store(&pool.setting, n <= 0 ? 0 : n > CX_MOST_THREADS ? CX_MOST_THREADS : n);
}

static void run_part(const job *j, int part)
{
    int64_t begin = j->n * part / j->parts, end = j->n * (part + 1) / j->parts;
    if (begin < end) j->task(j->context, begin, end, part);
}

static void *worker(void *argument)
{
    int me = (int)(intptr_t)argument;
    unsigned seen = atomic_load(&pool.turn);
    inside = true;
    pthread_mutex_lock(&pool.lock);
    pool.started = me; /* from here on this worker sees every turn */
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    for (;;) {
        int spins = patience(pool.started + 1);
        for (int spin = 0; atomic_load_explicit(&pool.turn, memory_order_acquire) == seen && spin < spins; spin++)
            cx_pause();
        if (atomic_load_explicit(&pool.turn, memory_order_acquire) == seen) {
            pthread_mutex_lock(&pool.lock);
            while (atomic_load(&pool.turn) == seen) pthread_cond_wait(&pool.wake, &pool.lock);
            pthread_mutex_unlock(&pool.lock);
        }
        seen++;
        if (me < pool.job.parts) {
            run_part(&pool.job, me);
            atomic_fetch_add_explicit(&pool.runs, 1, memory_order_relaxed);
        }
        atomic_fetch_sub_explicit(&pool.left, 1, memory_order_release);
    }
    return NULL;
}

/* With `busy` held: as many workers as wanted, or as many as the system gives. */
static void start_workers(int wanted)
{
    while (pool.started < wanted) {
        pthread_t thread;
        pthread_attr_t detached;
        int next = pool.started + 1;
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        int failed = pthread_create(&thread, &detached, worker, (void *)(intptr_t)next);
        pthread_attr_destroy(&detached);
        if (failed) return;
        pthread_mutex_lock(&pool.lock);
        while (pool.started < next) pthread_cond_wait(&pool.wake, &pool.lock);
        pthread_mutex_unlock(&pool.lock);
    }
}

/* The child of a fork has no workers; it starts its own when it needs them. */
static void before_fork(void)
{
    pthread_mutex_lock(&pool.busy);
    pthread_mutex_lock(&pool.lock);
}
static void in_parent(void)
{
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.busy);
}
static void in_child(void)
{
    pool.started = 0;
    pthread_cond_init(&pool.wake, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_mutex_init(&pool.busy, NULL);
}
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void watch_forks(void)
{
    cx_at_fork(before_fork, in_parent, in_child);
}

static void wait_for_workers(void)
{
    int spins = patience(pool.started + 1);
    while (atomic_load_explicit(&pool.left, memory_order_acquire)) {
        if (spins-- > 0)
            cx_pause();
        else
            cx_yield();
    }
}

void cx_parallel(int64_t n, int64_t grain, cx_task *task, void *context)
{
    int most = team ? team : cx_threads();
    int64_t pieces = grain > 0 ? (n + grain - 1) / grain : n;
    job j = {task, context, n, pieces < most ? (int)pieces : most};
    if (n <= 0) return;
    if (j.parts > 1 && !inside) {
        pthread_once(&once, watch_forks);
        if (!pthread_mutex_trylock(&pool.busy)) {
            start_workers(j.parts - 1);
            if (pool.started >= j.parts - 1) {
                pool.job = j;
                atomic_store_explicit(&pool.left, pool.started, memory_order_relaxed);
                pthread_mutex_lock(&pool.lock); /* or a worker about to sleep would miss the turn */
                atomic_fetch_add_explicit(&pool.turn, 1, memory_order_release);
                pthread_cond_broadcast(&pool.wake);
                pthread_mutex_unlock(&pool.lock);
                inside = true;
                run_part(&j, 0);
                inside = false;
                wait_for_workers();
                pthread_mutex_unlock(&pool.busy);
                return;
            }
            pthread_mutex_unlock(&pool.busy);
        }
    }
    for (int part = 0; part < j.parts; part++) run_part(&j, part);
}
