/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-metadata.h"

#include <string.h>

/* KubeVirt writes about 20; more is nobody's, and is left out. */
#define NOTES_MAX 1024u

/* Depth of <domain> is 1, of <metadata> 2. */
#define METADATA_DEPTH 2u

typedef struct {
    char *prefix; /* "" the default one */
    char *space;
    guint depth; /* of the element that declares it */
} Space;

/* An open element below <metadata>. */
typedef struct {
    char *space, *name;
    char **attributes;
    bool has_child;
} Element;

struct MetadataReader {
    GPtrArray *notes; /* borrowed */
    GArray *spaces;   /* of Space, those of the open elements */
    GArray *elements; /* of Element */
    guint depth;
    bool is_inside; /* of <metadata> */
};

static void
note_free(gpointer data)
{
    DomainNote *note = data;

    g_free(note->space);
    g_free(note->path);
    g_strfreev(note->attributes);
    g_free(note->text);
    g_free(note);
}

GPtrArray *
domain_notes_new(void)
{
    return g_ptr_array_new_with_free_func(note_free);
}

static void
space_clear(gpointer data)
{
    Space *space = data;

    g_free(space->prefix);
    g_free(space->space);
}

static void
element_clear(gpointer data)
{
    Element *element = data;

    g_free(element->space);
    g_free(element->name);
    g_strfreev(element->attributes);
}

MetadataReader *
metadata_reader_new(GPtrArray *notes)
{
    MetadataReader *reader = g_new0(MetadataReader, 1);

    reader->notes = notes;
    reader->spaces = g_array_new(FALSE, FALSE, sizeof(Space));
    reader->elements = g_array_new(FALSE, FALSE, sizeof(Element));
    g_array_set_clear_func(reader->spaces, space_clear);
    g_array_set_clear_func(reader->elements, element_clear);
    return reader;
}

void
metadata_reader_free(MetadataReader *reader)
{
    g_array_unref(reader->spaces);
    g_array_unref(reader->elements);
    g_free(reader);
}

static void
add_space(MetadataReader *reader, const char *name, const char *value)
{
    Space space = {.depth = reader->depth};

    if (!g_str_equal(name, "xmlns") && !g_str_has_prefix(name, "xmlns:"))
        return;
    space.prefix = g_strdup(name[strlen("xmlns")] ? name + strlen("xmlns:") : "");
    space.space = g_strdup(value);
    g_array_append_val(reader->spaces, space);
}

/* "" for a prefix that nobody declared. */
static const char *
find_space(const MetadataReader *reader, const char *prefix, gsize length)
{
    for (guint i = reader->spaces->len; i-- > 0;) {
        const Space *space = &g_array_index(reader->spaces, Space, i);

        if (strlen(space->prefix) == length && strncmp(space->prefix, prefix, length) == 0)
            return space->space;
    }
    return "";
}

static void
open_element(MetadataReader *reader, const char *name, const char *const *names,
             const char *const *values)
{
    const char *colon = strchr(name, ':');
    GPtrArray *attributes = g_ptr_array_new();
    Element element = {.name = g_strdup(colon ? colon + 1 : name)};

    element.space = g_strdup(find_space(reader, name, colon ? (gsize)(colon - name) : 0));
    for (guint i = 0; names[i]; i++) {
        g_ptr_array_add(attributes, g_strdup(names[i]));
        g_ptr_array_add(attributes, g_strdup(values[i]));
    }
    g_ptr_array_add(attributes, NULL);
    element.attributes = (char **)g_ptr_array_free(attributes, FALSE);
    if (reader->elements->len > 0)
        g_array_index(reader->elements, Element, reader->elements->len - 1).has_child = true;
    g_array_append_val(reader->elements, element);
}

void
metadata_start(MetadataReader *reader, const char *element, const char *const *names,
               const char *const *values)
{
    reader->depth++;
    for (guint i = 0; names[i]; i++)
        add_space(reader, names[i], values[i]);
    if (reader->is_inside)
        open_element(reader, element, names, values);
    else if (reader->depth == METADATA_DEPTH)
        reader->is_inside = strcmp(element, "metadata") == 0;
}

static void
add_note(MetadataReader *reader, const char *text)
{
    Element *leaf = &g_array_index(reader->elements, Element, reader->elements->len - 1);
    GString *path = g_string_new(NULL);
    DomainNote *note = g_new0(DomainNote, 1);

    for (guint i = 0; i < reader->elements->len; i++)
        g_string_append_printf(path, "%s%s", i > 0 ? "/" : "",
                               g_array_index(reader->elements, Element, i).name);
    note->space = g_strdup(leaf->space);
    note->path = g_string_free(path, FALSE);
    note->attributes = g_steal_pointer(&leaf->attributes);
    note->text = g_strdup(text);
    g_ptr_array_add(reader->notes, note);
}

void
metadata_end(MetadataReader *reader, const char *text)
{
    guint n = reader->elements->len;

    if (n > 0) {
        if (!g_array_index(reader->elements, Element, n - 1).has_child &&
            reader->notes->len < NOTES_MAX)
            add_note(reader, text);
        g_array_set_size(reader->elements, n - 1);
    } else if (reader->depth == METADATA_DEPTH) {
        reader->is_inside = false;
    }
    for (n = reader->spaces->len;
         n > 0 && g_array_index(reader->spaces, Space, n - 1).depth == reader->depth; n--)
        ;
    g_array_set_size(reader->spaces, n);
    reader->depth--;
}
