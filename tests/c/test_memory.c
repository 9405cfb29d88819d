/* Blocks: alignment, reuse, counting, and the arithmetic that guards sizes. */
#include "../../csrc/cnnexplain.h"
#include "check.h"
#include <string.h>

static int released;
static void release(void *object)
{
    released += *(int *)object;
}

/* Asks twice, as two calls would, and keeps what is worth making. Returns whether a form is there then. */
static bool use(cx_block *b, const cx_form *f)
{
    bool make = false;
    cx_block *form = cx_form_find(b, f, &make);
    if (!form && !make) form = cx_form_find(b, f, &make);
    if (!form && make) {
        form = cx_block_new(f->size);
        cx_form_keep(b, f, form);
    }
    cx_drop(form);
    return form;
}

static void forms(void)
{
    const cx_form packed = {1000, {1}}, turned = {1000, {2}}, large = {2000, {1}};
    cx_block *a = cx_block_new(64), *b = cx_block_new(64);
    bool make;
    const cx_value whole = {.data = cx_block_data(a), .block = a}, part = {.data = (char *)whole.data + 4, .block = a};
    CHECK(!cx_lasting(&whole));
    cx_lasts(a), cx_lasts(b);
    CHECK(cx_lasting(&whole) && !cx_lasting(&part));
    CHECK(!cx_form_find(a, &packed, &make) && !make); /* once is not enough */
    CHECK(!cx_form_find(a, &packed, &make) && make);
    CHECK(use(a, &packed) && use(a, &turned) && use(b, &packed) && cx_form_bytes() == 3000);
    cx_block *held = cx_form_find(a, &packed, &make);
    CHECK(held && !make);
    cx_written(a);
    CHECK(cx_form_bytes() == 1000 && cx_sole(held)); /* who has it keeps it */
    cx_drop(held);
    CHECK(!cx_form_find(a, &packed, &make) && !make);
    cx_form_at_once(true);
    CHECK(!cx_form_find(b, &turned, &make) && make); /* the first time */
    cx_form_at_once(false);
    CHECK(!cx_form_find(b, &large, &make) && !make);
    cx_form_budget(2500);
    CHECK(use(a, &packed) && !use(a, &turned)); /* what is in use stays */
    for (int i = 0; i < 5000; i++) cx_drop(cx_form_find(a, &packed, &make));
    CHECK(use(a, &turned) && cx_form_bytes() == 2000); /* instead of b's, long unused */
    CHECK(!use(a, &large));
    cx_form_budget(1500);
    CHECK(!use(b, &packed));
    cx_form_budget((size_t)512 << 20);
    CHECK(use(b, &packed));
    cx_drop(b);
    CHECK(cx_form_bytes() == 2000);
    cx_clear_caches();
    CHECK(cx_form_bytes() == 0 && !cx_form_find(a, &packed, &make) && !make);
    cx_drop(a);
}

int main(void)
{
    cx_err err = {0};
    size_t size;
    char text[CX_SHAPE_TEXT];
    for (size_t n = 0; n < ((size_t)8 << 20); n = n * 3 + 1) {
        cx_block *b = cx_block_new(n);
        CHECK(b && ((uintptr_t)cx_block_data(b) & 63) == 0 && cx_sole(b));
        if (n) memset(cx_block_data(b), 1, n);
        cx_keep(b);
        CHECK(!cx_sole(b));
        cx_drop(b), cx_drop(b);
    }
    cx_block *b = cx_block_new(1 << 20);
    void *place = cx_block_data(b);
    cx_drop(b);
    CHECK(cx_cached_bytes() >= 1 << 20);
    b = cx_block_new(1 << 20);
    CHECK(cx_block_data(b) == place); /* no fresh pages for the same size */
    cx_drop(b);
    cx_clear_caches();
    CHECK(cx_cached_bytes() == 0);

    int seven = 7;
    cx_drop(cx_block_wrap(&seven, release));
    CHECK(released == 7);
    CHECK(!cx_block_new(SIZE_MAX / 2));

    CHECK(cx_bytes(&(cx_spec){CX_F32, 3, {1 << 21, 1 << 21, 1 << 21}}, &size, &err) == CX_EVALUE);
    CHECK(cx_bytes(&(cx_spec){CX_F32, 3, {INT64_MAX, 0, INT64_MAX}}, &size, &err) == CX_EVALUE);
    CHECK(!cx_bytes(&(cx_spec){CX_F32, 3, {1 << 30, 0, 1 << 20}}, &size, &err) && size == 0);
    CHECK(!cx_bytes(&(cx_spec){CX_F64, 0, {0}}, &size, &err) && size == 8);
    CHECK(cx_bytes(&(cx_spec){CX_F32, 2, {2, CX_ANY}}, &size, &err) == CX_EVALUE);
    CHECK(cx_multiply(SIZE_MAX / 2, 3, &size, &err) == CX_EVALUE);
    CHECK(!strcmp(cx_shape_text(&(cx_spec){CX_F32, 2, {CX_ANY, 28}}, text), "(None, 28)"));
    CHECK(!strcmp(cx_shape_text(&(cx_spec){CX_F32, 1, {3}}, text), "(3,)"));
    cx_spec widest = {CX_F32, CX_RANK, {0}};
    for (int i = 0; i < CX_RANK; i++) widest.dim[i] = INT64_MIN;
    CHECK(strlen(cx_shape_text(&widest, text)) < CX_SHAPE_TEXT);
    cx_value v;
    CHECK(cx_value_new(&(cx_spec){CX_F32, 2, {1 << 20, 1 << 20}}, &v, &err) == CX_ENOMEM && strstr(err.msg, "MiB"));
    forms();
    return failures;
}
