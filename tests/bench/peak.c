/* What the machine does at most. Argument: threads. Output: GFLOP/s of multiplying and adding in registers for each
 * instruction set that it has, and GB/s of reading arrays that no cache holds. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHAINS = 14, STEPS = 200000, ROUNDS = 20, MOST = 64 };

/* The chains are variables, not an array: they have to stay in registers. The values stay near 1. */
#define PEAK(name, bytes, attribute)                                                              \
    typedef float name##_vector __attribute__((vector_size(bytes)));                              \
    attribute static float name(void)                                                             \
    {                                                                                             \
        name##_vector c[CHAINS], times = {0}, plus = {0};                                         \
        times += 0.999999f, plus += 1e-6f;                                                        \
        for (int j = 0; j < CHAINS; j++) c[j] = times + (float)j;                                 \
        for (int64_t i = 0; i < STEPS; i++) {                                                     \
            _Pragma("GCC unroll 14") for (int j = 0; j < CHAINS; j++) c[j] = c[j] * times + plus; \
        }                                                                                         \
        name##_vector sum = c[0];                                                                 \
        for (int j = 1; j < CHAINS; j++) sum += c[j];                                             \
        return sum[0];                                                                            \
    }
PEAK(portable, 16, )
#if defined(__x86_64__)
PEAK(avx2, 32, __attribute__((target("avx2,fma"))))
PEAK(avx512, 64, __attribute__((target("avx512f"))))
#endif

/* Every thread reads an array of its own. */
enum { NUMBERS = 32 << 20 };
static _Thread_local float *numbers;
typedef float line __attribute__((vector_size(64)));
static float reading(void)
{
    line sum[4] = {{0}};
    const line *l = (const line *)(const void *)numbers;
    for (int64_t i = 0; i < NUMBERS / 16; i += 4) {
        _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) sum[j] += l[i + j];
    }
    sum[0] += sum[1] + sum[2] + sum[3];
    return sum[0][0];
}

static float (*function)(void);
static volatile float sink;
static pthread_barrier_t start;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static void *run(void *least)
{
    if (function == reading) {
        if (!(numbers = aligned_alloc(64, NUMBERS * sizeof *numbers))) exit(1);
        for (int64_t i = 0; i < NUMBERS; i++) numbers[i] = 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&start);
        double t = seconds();
        sink = function();
        t = seconds() - t;
        if (t < *(double *)least) *(double *)least = t;
    }
    if (function == reading) free(numbers);
    return NULL;
}
/* amount: of one call of f, in units of 1e9. */
static void measure(const char *name, float (*f)(void), double amount, int threads)
{
    pthread_t thread[MOST];
    double least[MOST], all = 0;
    function = f;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int t = 0; t < threads; t++) {
        least[t] = 1e9;
        if (pthread_create(&thread[t], NULL, run, &least[t])) exit(1);
    }
    for (int t = 0; t < threads; t++) {
        pthread_join(thread[t], NULL);
        all += amount / least[t];
    }
    pthread_barrier_destroy(&start);
    printf("%s %.1f\n", name, all);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > MOST) return 1;
    const double flop = 2e-9 * CHAINS * STEPS / 4;
    measure("portable", portable, 16 * flop, threads);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) measure("avx2", avx2, 32 * flop, threads);
    if (__builtin_cpu_supports("avx512f")) measure("avx512", avx512, 64 * flop, threads);
#endif
    measure("memory", reading, 1e-9 * NUMBERS * sizeof *numbers, threads);
    return 0;
}
