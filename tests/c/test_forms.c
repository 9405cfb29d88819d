/* Threads that run one model share the kept form of its kernel, while another asks for the memory back. */
#include "../../csrc/ops/convolve.h"
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { SIDE = 12, CHANNELS = 20, FILTERS = 24, CALLS = 40, THREADS = 3 };
static cx_program *model;
static int x_slot, k_slot, y_slot;
static cx_value x, k, want;
static atomic_int wrong;

static cx_value filled(cx_spec spec)
{
    cx_err err;
    cx_value v;
    CHECK(!cx_value_new(&spec, &v, &err));
    for (int64_t i = 0; i < cx_count(&spec); i++) ((float *)v.data)[i] = (float)(i * 37 % 101) / 50 - 1;
    return v;
}

static cx_value call(void)
{
    cx_err err = {0};
    cx_program *p = NULL;
    cx_value y = {0};
    if (!cx_instance(model, (int[]){x_slot, k_slot}, (cx_value[]){x, k}, NULL, 2, &p, &err) &&
        !cx_run(p, &y_slot, 1, NULL, &err))
        y = cx_share(&p->slot[y_slot].value);
    cx_program_free(p);
    return y;
}

static void *run(void *unused)
{
    (void)unused;
    for (int i = 0; i < CALLS; i++) {
        cx_value y = call();
        if (!y.data || memcmp(y.data, want.data, (size_t)cx_count(&y.spec) * sizeof(float))) wrong++;
        cx_clear(&y);
    }
    return NULL;
}
static void *clear(void *unused)
{
    (void)unused;
    for (int i = 0; i < CALLS; i++) cx_clear_caches(), cx_form_budget((size_t)(i % 2) << 20);
    return NULL;
}

int main(void)
{
    cx_err err = {0};
    const cx_conv_attr attr = {{1, 1}, 1, {.n = CX_ABSENT}, {1, 1}, 1};
    int64_t words[CX_ATTR_WORDS] = {0};
    int in[CX_INS] = {0, 1, -1, -1, -1, -1, -1, -1};
    CHECK(!cx_start(NULL, &err));
    memcpy(words, &attr, sizeof attr);
    x = filled((cx_spec){CX_F32, 4, {2, SIDE, SIDE, CHANNELS}});
    k = filled((cx_spec){CX_F32, 4, {3, 3, CHANNELS, FILTERS}});
    cx_lasts(k.block);
    model = cx_program_new();
    x_slot = cx_add_slot(model, &(cx_value){.spec = x.spec}, false);
    k_slot = cx_add_slot(model, &(cx_value){.spec = k.spec}, false);
    in[0] = x_slot, in[1] = k_slot;
    y_slot = cx_add_node(model, &cx_op_conv2d, words, in, NULL, &err)->out[0];
    want = call();
    CHECK(want.data && cx_forms_made() == 0);
    pthread_t t[THREADS], other;
    for (int i = 0; i < THREADS; i++) pthread_create(&t[i], NULL, run, NULL);
    pthread_create(&other, NULL, clear, NULL);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    pthread_join(other, NULL);
    CHECK(!wrong);
    cx_clear_caches(), cx_form_budget((size_t)512 << 20);
    const int64_t made = cx_forms_made();
    run(NULL);
    CHECK(!wrong && cx_forms_made() == made + 1 && cx_form_bytes() > 0);
    cx_clear(&k);
    CHECK(cx_form_bytes() == 0);
    cx_clear(&x), cx_clear(&want), cx_program_free(model);
    CHECK(cx_faults() == 0);
    return failures;
}
