/* Errors are a code and a sentence; only the binding raises. */
#include "../cnnexplain.h"
#include <stdarg.h>
#include <stdio.h>

cx_code cx_fail(cx_err *err, cx_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->msg, sizeof err->msg, format, arguments);
    va_end(arguments);
    return err->code = code;
}
