/* A map from tensor ids to slots, small and without Python objects. */
#include "binding.h"
#include <string.h>

static int place(const id_map *m, int64_t id) /* where id is, or where it would go */
{
    uint64_t h = (uint64_t)id * UINT64_C(0x9E3779B97F4A7C15);
    int at = (int)(h >> 33) & m->mask;
    while (m->table[at] >= 0 && m->entry[m->table[at]].id != id) at = (at + 1) & m->mask;
    return at;
}
int id_find(const id_map *m, int64_t id)
{
    return m->n ? m->table[place(m, id)] : -1;
}
int id_slot(const id_map *m, int64_t id)
{
    int e = id_find(m, id);
    return e < 0 ? -1 : m->entry[e].slot;
}

static int grow(id_map *m)
{
    int cap = m->cap ? 2 * m->cap : 16, size = 2 * cap;
    id_entry *entry = PyMem_Realloc(m->entry, (size_t)cap * sizeof *entry);
    if (entry) m->entry = entry;
    int *table = entry ? PyMem_Malloc((size_t)size * sizeof *table) : NULL;
    if (!table) return PyErr_NoMemory(), -1;
    PyMem_Free(m->table);
    memset(table, 0xff, (size_t)size * sizeof *table);
    m->table = table, m->mask = size - 1, m->cap = cap;
    for (int e = 0; e < m->n; e++) table[place(m, m->entry[e].id)] = e; /* the newest of an id comes last */
    return 0;
}
int id_add(id_map *m, int64_t id, int slot)
{
    if (m->n == m->cap && grow(m) < 0) return -1;
    int at = place(m, id);
    m->entry[m->n] = (id_entry){id, slot, m->table[at]};
    m->table[at] = m->n++;
    return 0;
}
void id_clear(id_map *m)
{
    PyMem_Free(m->entry), PyMem_Free(m->table);
    *m = (id_map){0};
}
