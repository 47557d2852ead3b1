/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"

#include "units.h"

#include <stdio.h>

void
ctl_print_json(JsonNode *root)
{
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autofree char *text = NULL;

    json_generator_set_pretty(generator, TRUE);
    json_generator_set_root(generator, root);
    text = json_generator_to_data(generator, NULL);
    printf("%s\n", text);
    json_node_unref(root);
}

JsonBuilder *
ctl_begin_json(void)
{
    JsonBuilder *builder = json_builder_new();

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "schema");
    json_builder_add_int_value(builder, 1);
    return builder;
}

void
ctl_end_json(JsonBuilder *builder)
{
    json_builder_end_object(builder);
    ctl_print_json(json_builder_get_root(builder));
}

int
ctl_fail(const char *format, ...)
{
    va_list arguments;
    g_autofree char *message = NULL;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    fprintf(stderr, "guardianctl: %s\n", message);
    return 2;
}

int
ctl_fail_argument(char **argv)
{
    g_autofree char *word = units_printable(argv[1], -1);

    if (*argv[1] == '-')
        return ctl_fail("%s does not know the option %s; see guardianctl %s --help", argv[0], word,
                        argv[0]);
    return ctl_fail("%s takes no argument; did you mean explain %s?", argv[0], word);
}
