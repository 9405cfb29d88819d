/* GFLOP/s of convolutions by layer and direction, with the kernel's form kept as in later calls of a model:
 * conv_bench [threads [isa [lecture|vgg|pointwise|first|depthwise|dense [strict]]]], built and run by
 * python -m tests.bench.conv with the same arguments. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "layer.h"
#include <time.h>

typedef struct {
    const char *set, *name;
    int64_t n, side, c, f, k, stride;
} layer;
static const layer layers[] = {
    {"lecture", "28x28 1-16 b32", 32, 28, 1, 16, 3, 1},
    {"lecture", "14x14 16-32 b32", 32, 14, 16, 32, 3, 1},
    {"lecture", "7x7 32-64 b32", 32, 7, 32, 64, 3, 1},
    {"lecture", "3x3 64-128 b32", 32, 3, 64, 128, 3, 1},
    {"lecture", "28x28 1-16 b1", 1, 28, 1, 16, 3, 1},
    {"lecture", "14x14 16-32 b1", 1, 14, 16, 32, 3, 1},
    {"lecture", "7x7 32-64 b1", 1, 7, 32, 64, 3, 1},
    {"lecture", "3x3 64-128 b1", 1, 3, 64, 128, 3, 1},
    {"vgg", "224 3-64", 1, 224, 3, 64, 3, 1},
    {"vgg", "224 64-64", 1, 224, 64, 64, 3, 1},
    {"vgg", "112 64-128", 1, 112, 64, 128, 3, 1},
    {"vgg", "112 128-128", 1, 112, 128, 128, 3, 1},
    {"vgg", "56 128-256", 1, 56, 128, 256, 3, 1},
    {"vgg", "56 256-256", 1, 56, 256, 256, 3, 1},
    {"vgg", "56 256-256", 1, 56, 256, 256, 3, 1},
    {"vgg", "28 256-512", 1, 28, 256, 512, 3, 1},
    {"vgg", "28 512-512", 1, 28, 512, 512, 3, 1},
    {"vgg", "28 512-512", 1, 28, 512, 512, 3, 1},
    {"vgg", "14 512-512", 1, 14, 512, 512, 3, 1},
    {"vgg", "14 512-512", 1, 14, 512, 512, 3, 1},
    {"vgg", "14 512-512", 1, 14, 512, 512, 3, 1},
    {"pointwise", "56 64-256", 1, 56, 64, 256, 1, 1},
    {"pointwise", "56 256-64", 1, 56, 256, 64, 1, 1},
    {"pointwise", "28 128-512", 1, 28, 128, 512, 1, 1},
    {"pointwise", "28 512-128", 1, 28, 512, 128, 1, 1},
    {"pointwise", "14 256-1024", 1, 14, 256, 1024, 1, 1},
    {"pointwise", "14 1024-256", 1, 14, 1024, 256, 1, 1},
    {"pointwise", "7 512-2048", 1, 7, 512, 2048, 1, 1},
    {"pointwise", "7 2048-512", 1, 7, 2048, 512, 1, 1},
    {"pointwise", "56 256-512 s2", 1, 56, 256, 512, 1, 2},
    {"first", "224 3-64 k7 s2", 1, 224, 3, 64, 7, 2},
    {"first", "224 3-32 k3 s2", 1, 224, 3, 32, 3, 2},
    {"first", "56 128-128 k3 s2", 1, 56, 128, 128, 3, 2},
    {"first", "7 512-512 k3", 1, 7, 512, 512, 3, 1},
    {"first", "35 96-96 k3", 1, 35, 96, 96, 3, 1},
    {"depthwise", "112 32", 1, 112, 32, 1, 3, 1},
    {"depthwise", "112 96 s2", 1, 112, 96, 1, 3, 2},
    {"depthwise", "56 144", 1, 56, 144, 1, 3, 1},
    {"depthwise", "28 192", 1, 28, 192, 1, 3, 1},
    {"depthwise", "14 576", 1, 14, 576, 1, 3, 1},
    {"depthwise", "7 960", 1, 7, 960, 1, 3, 1},
    {"dense", "25088-4096 b1", 1, 1, 25088, 4096, 1, 1},
    {"dense", "4096-4096 b1", 1, 1, 4096, 4096, 1, 1},
    {"dense", "4096-1000 b1", 1, 1, 4096, 1000, 1, 1},
    {"dense", "784-1024 b32", 32, 1, 784, 1024, 1, 1},
    {"dense", "128-10 b32", 32, 1, 128, 10, 1, 1},
    {"dense", "1024-1024 b1024", 1024, 1, 1024, 1024, 1, 1},
};

/* On one thread its CPU time, so that whoever else uses the machine disturbs little. */
static double now(void)
{
    struct timespec t;
    if (cx_threads() > 1) return cx_seconds();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double best(layer_call *l, int direction, int rounds)
{
    double least = 1e9;
    for (int r = 0; r < rounds; r++) {
        double t = now();
        layer_run(l, direction);
        t = now() - t;
        if (t < least) least = t;
    }
    return least;
}

int main(int argc, char **argv)
{
    cx_err err = {0};
    double total[4] = {0};
    if (cx_start(argc > 2 ? argv[2] : NULL, &err)) return puts(err.msg), 1;
    cx_set_threads(argc > 1 ? atoi(argv[1]) : 0);
    if (argc > 4) cx_set_precision(CX_STRICT);
    printf("%d threads, %s: milliseconds (GFLOP/s) of output, input gradient, kernel gradient, bias gradient\n",
           cx_threads(), cx_isa_name(cx_get_isa()));
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const layer *l = &layers[i];
        if (argc > 3 && strcmp(argv[3], l->set)) continue;
        const bool depthwise = !strcmp(l->set, "depthwise"), dense = !strcmp(l->set, "dense");
        layer_call call = {.call.op = depthwise ? &cx_op_depthwise_conv2d : dense ? &cx_op_dense : &cx_op_conv2d};
        int64_t attr[] = {l->stride, l->stride, 1, CX_ABSENT, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
        cx_value *in = call.call.in;
        memcpy(call.call.attr, attr, sizeof attr);
        in[0].spec = (cx_spec){CX_F32, 4, {l->n, l->side, l->side, l->c}};
        in[1].spec = (cx_spec){CX_F32, 4, {l->k, l->k, l->c, l->f}};
        in[2].spec = (cx_spec){CX_F32, 1, {depthwise ? l->c : l->f}};
        if (dense) in[0].spec = (cx_spec){CX_F32, 2, {l->n, l->c}}, in[1].spec = (cx_spec){CX_F32, 2, {l->c, l->f}};
        if (layer_make(&call, &err)) return puts(err.msg), 1;
        const double out = (double)cx_count(&call.call.out[0].spec),
                     flop = 2 * out * (double)(l->k * l->k * (depthwise ? 1 : l->c));
        const int rounds = flop > 1e9 ? 6 : flop > 1e8 ? 20 : 200;
        printf("%-9s %-16s", l->set, l->name);
        for (int d = 0; d < 4; d++) {
            double t = best(&call, d, rounds);
            total[d] += t;
            printf("  %8.3f", t * 1e3);
            if (d < 3) printf(" (%5.1f)", flop / t * 1e-9);
        }
        printf("\n");
        layer_free(&call);
    }
    printf("sum %22s", "");
    for (int d = 0; d < 4; d++) printf("  %8.3f%8s", total[d] * 1e3, "");
    printf("\n");
    return 0;
}
