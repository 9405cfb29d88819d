/* Shared libraries by dlopen. Their symbols stay private, so nothing else in the process sees or replaces them. */
#include "library.h"
#include <dlfcn.h>

void *cx_library_open(const char *path, cx_err *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *reason = dlerror();
        cx_fail(err, CX_EVALUE, "cannot open %s: %s", path, reason ? reason : "unknown reason");
    }
    return library;
}

void *cx_library_symbol(void *library, const char *name)
{
    return dlsym(library, name);
}
