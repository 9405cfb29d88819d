/* What each of many threads would have to do: the engine deals its work to n workers, all on this one thread, and each
 * part is timed. The linker puts the clock between the kernels and cx_parallel (--wrap=cx_parallel), so the splits are
 * the engine's own. Lines of standard input: name height width channels filters kernel_height kernel_width
 * stride_height stride_width same(1)|valid(0). Arguments: isa repeats threads... Output, one line per layer, direction
 * and number of threads: name direction threads longest(us), the sum of the longest part of each parallel region; what
 * lies between the regions is work of one thread. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "layer.h"
#include <time.h>

enum { MOST_REGIONS = 16 };
static double part[MOST_REGIONS][CX_MOST_THREADS]; /* least seconds of each */
static int regions, depth;
static double outside, mark;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void __real_cx_parallel(int64_t n, int64_t grain, cx_task *task, void *context);
void __wrap_cx_parallel(int64_t n, int64_t grain, cx_task *task, void *context);

typedef struct {
    cx_task *task;
    void *context;
} inner;
static void timed(void *context, int64_t begin, int64_t end, int worker)
{
    const inner *i = context;
    double *least = &part[regions][worker], t = now();
    i->task(i->context, begin, end, worker);
    t = now() - t;
    if (t < *least) *least = t;
}
void __wrap_cx_parallel(int64_t n, int64_t grain, cx_task *task, void *context)
{
    inner i = {task, context};
    if (depth || regions >= MOST_REGIONS) {
        __real_cx_parallel(n, grain, task, context);
        return;
    }
    outside += now() - mark;
    depth++;
    __real_cx_parallel(n, grain, timed, &i);
    depth--, regions++;
    mark = now();
}

typedef struct {
    layer_call *l;
    int direction, repeats;
    double serial;
} job;
/* Inside a task every call of cx_parallel runs all its parts on the thread of that task. */
static void repeat(void *context, int64_t begin, int64_t end, int worker)
{
    job *j = context;
    (void)end, (void)worker;
    for (int r = 0; begin == 0 && r < j->repeats; r++) {
        regions = 0, outside = 0, mark = now();
        layer_run(j->l, j->direction);
        outside += now() - mark;
        if (outside < j->serial) j->serial = outside;
    }
}

/* Seconds of the longest parts. */
static double deal(layer_call *l, int direction, int repeats)
{
    job j = {l, direction, repeats, 1e9};
    for (int r = 0; r < MOST_REGIONS; r++)
        for (int p = 0; p < CX_MOST_THREADS; p++) part[r][p] = 1e9;
    __real_cx_parallel(2, 1, repeat, &j);
    double longest = j.serial;
    for (int r = 0; r < regions; r++) {
        double most = 0;
        for (int p = 0; p < CX_MOST_THREADS && part[r][p] < 1e9; p++)
            if (part[r][p] > most) most = part[r][p];
        longest += most;
    }
    return longest;
}

int main(int argc, char **argv)
{
    cx_err err = {0};
    char name[64];
    long long h, w, c, f, kh, kw, sh, sw, same;
    if (argc < 4) return puts("split isa repeats threads... <layers"), 1;
    if (cx_start(*argv[1] ? argv[1] : NULL, &err)) return puts(err.msg), 1;
    while (scanf("%63s %lld %lld %lld %lld %lld %lld %lld %lld %lld", name, &h, &w, &c, &f, &kh, &kw, &sh, &sw,
                 &same) == 10) {
        layer_call l = {.call = {.op = &cx_op_conv2d}};
        int64_t attr[] = {sh, sw, same, CX_ABSENT, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
        memcpy(l.call.attr, attr, sizeof attr);
        l.call.in[0].spec = (cx_spec){CX_F32, 4, {1, h, w, c}};
        l.call.in[1].spec = (cx_spec){CX_F32, 4, {kh, kw, c, f}};
        l.call.in[2].spec = (cx_spec){CX_F32, 1, {f}};
        if (layer_make(&l, &err)) return puts(err.msg), 1;
        for (int a = 3; a < argc; a++) {
            cx_set_threads(atoi(argv[a]));
            if (layer_plan(&l, &err)) return puts(err.msg), 1;
            cx_set_threads(2);
            for (int direction = 0; direction < 2; direction++) {
                const double longest = deal(&l, direction, atoi(argv[2]));
                printf("%s %s %s %.2f\n", name, direction ? "input_gradient" : "forward", argv[a], 1e6 * longest);
            }
        }
        layer_free(&l);
    }
    return 0;
}
