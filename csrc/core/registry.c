/* The tables that ops.def and updates.def expand to. */
#include "../cnnexplain.h"
#include <string.h>

static const cx_op *const ops[] = {
#define X(name) &cx_op_##name,
#include "../ops.def"
#undef X
};
static const cx_update *const updates[] = {
#define X(name) &cx_update_##name,
#include "../updates.def"
#undef X
};
enum { N_OPS = sizeof ops / sizeof *ops, N_UPDATES = sizeof updates / sizeof *updates };

const cx_op *cx_op_at(int i)
{
    return i >= 0 && i < N_OPS ? ops[i] : NULL;
}

const cx_op *cx_op_find(const char *name)
{
    for (int i = 0; i < N_OPS; i++)
        if (!strcmp(ops[i]->name, name)) return ops[i];
    return NULL;
}

const cx_update *cx_update_find(const char *name)
{
    for (int i = 0; i < N_UPDATES; i++)
        if (!strcmp(updates[i]->name, name)) return updates[i];
    return NULL;
}
