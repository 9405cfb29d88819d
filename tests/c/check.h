/* CHECK counts what fails and says where; a test's main returns how many. */
#ifndef CHECK_H
#define CHECK_H
#include <stdio.h>

static int failures;
#define CHECK(condition)                                                                              \
    do {                                                                                              \
        if (!(condition)) failures++, printf("%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
    } while (0)
#endif
