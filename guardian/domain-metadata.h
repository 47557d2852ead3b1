/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The leaves of <metadata> with the namespaces they are in: GMarkup knows none, so prefixes are
 * looked up here. Only domain-xml.c uses it. */

#include "domain-xml.h"

typedef struct MetadataReader MetadataReader;

/* Of DomainNote. */
GPtrArray *domain_notes_new(void);
/* Borrows notes, and adds to it. */
MetadataReader *metadata_reader_new(GPtrArray *notes);
void metadata_reader_free(MetadataReader *reader);
/* Of every element of the document, in its order; text is what came after its last child. */
void metadata_start(MetadataReader *reader, const char *element, const char *const *names,
                    const char *const *values);
void metadata_end(MetadataReader *reader, const char *text);
