/* Shared libraries opened while the program runs. */
#ifndef CX_LIBRARY_H
#define CX_LIBRARY_H
#include "../cnnexplain.h"

void *cx_library_open(const char *path, cx_err *err);     /* NULL: err says why */
void *cx_library_symbol(void *library, const char *name); /* NULL: it has none of this name */
#endif
