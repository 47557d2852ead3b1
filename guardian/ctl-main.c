/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"

#include <signal.h>

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return ctl_main(argc, argv);
}
