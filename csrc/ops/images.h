/* What every op on NHWC images asks of its input. */
#ifndef CX_IMAGES_H
#define CX_IMAGES_H
#include "../cnnexplain.h"

static inline cx_code cx_need_images(const char *op, const cx_spec *in, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (in->ndim == 4) return CX_OK;
    return cx_fail(err, CX_EVALUE,
                   "%s: the input must have rank 4, (batch, height, width, channels). Received: shape %s", op,
                   cx_shape_text(in, text));
}
#endif
