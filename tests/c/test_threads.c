/* The pool: every part runs once, on several threads, also nested, also after a fork, whoever else uses it. */
#include "../../csrc/cnnexplain.h"
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child of the fork below starts workers of its own, which ThreadSanitizer refuses unless asked. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

enum { N = 100000 };
static int hits[N];

static void count(void *context, int64_t begin, int64_t end, int worker)
{
    int *to = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) to[i]++;
}
static void nested(void *context, int64_t begin, int64_t end, int worker)
{
    int *to = context;
    (void)worker;
    cx_parallel(end - begin, 1, count, to + begin);
}
static bool all(const int *to, int times)
{
    for (int i = 0; i < N; i++)
        if (to[i] != times) return false;
    return true;
}
static void *many(void *to)
{
    for (int i = 0; i < 200; i++) cx_parallel(N, 1000, count, to);
    return NULL;
}

int main(void)
{
    static int second[N];
    cx_set_threads(3);
    int64_t before = cx_worker_runs();
    for (int i = 0; i < 50; i++) cx_parallel(N, 10, count, hits);
    CHECK(all(hits, 50));
    CHECK(cx_worker_runs() - before == 100); /* two of the three parts ran on other threads, each time */
    cx_parallel(N, 1, nested, hits);
    CHECK(all(hits, 51));
    cx_set_team(1);
    before = cx_worker_runs();
    cx_parallel(N, 1, count, hits);
    cx_set_team(0);
    CHECK(all(hits, 52) && cx_worker_runs() == before);
    cx_parallel(0, 1, count, hits);

    pthread_t t;
    pthread_create(&t, NULL, many, second);
    many(hits);
    pthread_join(t, NULL);
    CHECK(all(hits, 252) && all(second, 200));

    pid_t child = fork();
    if (!child) {
        before = cx_worker_runs();
        cx_parallel(N, 10, count, hits);
        _exit(all(hits, 253) && cx_worker_runs() > before ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
    return failures;
}
