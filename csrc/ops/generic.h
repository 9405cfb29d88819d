/* One body, two types: a family's file holds kernels under #ifdef REAL and everything else beside them, and includes
 * itself with REAL float, then REAL double. T(f) is f_float, then f_double; CX_BOTH(f) fills the op struct's pair. */
#ifndef CX_GENERIC_H
#define CX_GENERIC_H
#include "../cnnexplain.h"
#include <math.h>
#include <string.h>

#define CX_PASTE(a, b) a##_##b
#define CX_JOIN(a, b) CX_PASTE(a, b)
#define T(f) CX_JOIN(f, REAL)
#define CX_BOTH(f)                                  \
    {                                               \
        [CX_F32] = f##_float, [CX_F64] = f##_double \
    }
#define FORWARD(f) static void f(const void *attr, const cx_value *in, const cx_value *out, void *scratch)
#define BACKWARD(f)                                                                                \
    static void f(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout, \
                  const cx_value *din, const cx_mode *mode, void *scratch, const cx_rule *rule)
#define TASK(f) static void f(void *context, int64_t begin, int64_t end, int worker)
#define FORWARD_UNUSED (void)attr, (void)in, (void)out, (void)scratch
#define BACKWARD_UNUSED \
    FORWARD_UNUSED      \
    , (void)dout, (void)din, (void)mode, (void)rule
#define TASK_UNUSED (void)worker

/* How many elements a part should have before a second worker pays: about 50 us of work. */
enum { CX_GRAIN = 16384 };

/* Does a ReLU let dy pass? open: its input was above the threshold. The one place that knows the rules. */
static inline bool cx_gate(const cx_rule *rule, bool open, bool positive)
{
    return (rule->gate == CX_RECTIFIED || open) && (rule->gate == CX_TRUE_GATE || positive);
}
#endif
