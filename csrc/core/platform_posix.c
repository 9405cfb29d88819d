/* Operating-system calls: clocks, CPUs, memory limits, pages, fork. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity, MADV_HUGEPAGE */
#endif
#include "../cnnexplain.h"
#include "platform.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

double cx_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The first number of a file such as /sys/fs/cgroup/memory.max; -1 where there is none ("max" included). */
static long long number_in(const char *path, long long *second)
{
    long long first = -1;
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    int n = fscanf(f, "%lld %lld", &first, second ? second : &(long long){0});
    fclose(f);
    return n >= 1 ? first : -1;
}

int cx_cpu_count(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) cpus = CPU_COUNT(&set);
    long long period = 0, quota = number_in("/sys/fs/cgroup/cpu.max", &period);
    if (quota < 0) {
        quota = number_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", NULL);
        period = number_in("/sys/fs/cgroup/cpu/cpu.cfs_period_us", NULL);
    }
    if (quota > 0 && period > 0 && (quota + period - 1) / period < cpus) cpus = (long)((quota + period - 1) / period);
#endif
    return cpus < 1 ? 1 : cpus > CX_MOST_THREADS ? CX_MOST_THREADS : (int)cpus;
}

static size_t physical_available(void)
{
#ifdef __linux__
    char line[128];
    long long kib = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && kib < 0 && fgets(line, sizeof line, f)) sscanf(line, "MemAvailable: %lld", &kib);
    if (f) fclose(f);
    if (kib >= 0) return (size_t)kib * 1024;
#endif
    return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}

size_t cx_memory_available(void)
{
    size_t available = physical_available();
    long long most = number_in("/sys/fs/cgroup/memory.max", NULL);
    long long used = number_in("/sys/fs/cgroup/memory.current", NULL);
    if (most < 0) {
        most = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", NULL);
        used = number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes", NULL);
    }
    if (most >= 0 && used >= 0 && used < most && (size_t)(most - used) < available) available = (size_t)(most - used);
    return available;
}

void *cx_pages_new(size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, (size_t)2 << 20, size)) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(p, size, MADV_HUGEPAGE); /* a fault on each 4 KiB page costs more than computing what goes there */
#endif
    return p;
}

void cx_pages_free(void *pages, size_t size)
{
    (void)size;
    free(pages);
}

void cx_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    pthread_atfork(before, parent, child);
}

void cx_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void cx_yield(void)
{
    sched_yield();
}
