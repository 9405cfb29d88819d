/* Driving elementwise kernels of two broadcast inputs. */
#include "pair.h"

void cx_pair_forward(const cx_value *in, const cx_value *out, cx_tile_fn *tile)
{
    cx_pair p = {.x = in[0].data, .y = in[1].data, .to = out->data};
    cx_grid g = cx_grid_over(&out->spec);
    cx_grid_array(&g, &out->spec), cx_grid_array(&g, &in[0].spec), cx_grid_array(&g, &in[1].spec);
    cx_grid_run(&g, tile, &p);
}

void cx_pair_backward(const cx_pair *given, const cx_value *in, const cx_value *dout, const cx_value *din, int k,
                      cx_mode mode, void *scratch, cx_tile_fn *tile)
{
    cx_pair p = *given;
    cx_grid g = cx_grid_over(&dout->spec);
    bool whole = cx_count(&din[k].spec) == cx_count(&dout->spec);
    p.to = whole ? din[k].data : scratch;
    p.add = whole && mode == CX_ADD;
    cx_grid_array(&g, &dout->spec), cx_grid_array(&g, &in[0].spec), cx_grid_array(&g, &in[1].spec);
    cx_grid_run(&g, tile, &p);
    if (whole) return;
    cx_fold f = cx_fold_back(&dout->spec, &din[k].spec);
    cx_fold_run(&f, CX_FOLD_SUM, dout->spec.dtype, scratch, din[k].data, 1, mode,
                (char *)scratch + cx_whole_bytes(&dout->spec));
}

cx_code cx_pair_infer(const char *op, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    plan->out[0].dtype = in[0].dtype;
    return cx_broadcast(op, in, 2, &plan->out[0], err);
}

cx_code cx_back_scratch(const cx_spec *in, int n, bool whole, cx_plan *plan, cx_err *err)
{
    size_t bytes;
    if (!cx_known(&plan->out[0]) || !cx_is_real(plan->out[0].dtype)) return CX_OK;
    if (cx_bytes(&plan->out[0], &bytes, err)) return err->code;
    for (int k = 0; k < n; k++) {
        if (!cx_known(&in[k])) continue;
        if (cx_bytes(&in[k], &bytes, err)) return err->code;
        if (cx_count(&in[k]) == cx_count(&plan->out[0])) continue;
        cx_fold f = cx_fold_back(&plan->out[0], &in[k]);
        size_t size = f.scratch + (whole ? cx_whole_bytes(&plan->out[0]) : 0);
        if (size > plan->scratch_back) plan->scratch_back = size;
    }
    return CX_OK;
}
