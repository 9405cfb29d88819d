/* What core/platform_*.c gives the ground floor beyond the public header. */
#ifndef CX_PLATFORM_H
#define CX_PLATFORM_H
#include <stddef.h>

void *cx_pages_new(size_t size); /* 2 MiB-aligned, huge pages where offered; NULL: out of memory */
void cx_pages_free(void *pages, size_t size);
void cx_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void));
void cx_pause(void); /* a spinning thread tells the CPU so */
void cx_yield(void); /* lets another runnable thread have this CPU */
#endif
