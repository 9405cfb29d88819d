/* What core/memory.c and core/forms.c share: every lasting block has a list of its forms. */
#ifndef CX_FORMS_H
#define CX_FORMS_H
#include "../cnnexplain.h"
#include <stdatomic.h>

typedef struct cx_kept cx_kept;
typedef struct {
    _Atomic(cx_kept *) first;
    atomic_bool lasts;
} cx_form_list;
cx_form_list *cx_block_forms(cx_block *b);
void cx_forms_forget(cx_form_list *list); /* all of one block */
void cx_forms_clear(void);                /* all */
#endif
