# SPDX-License-Identifier: LGPL-2.1-or-later
"""The small guest of the other tests with a program added to its initrd, which is all it runs."""

import os
import re
import subprocess

# Ten seconds of a CPU that others may use.
SLOW = 400
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /run /etc /var/lib
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
%s
poweroff -f
"""


class Archive:
    """An initrd to be put behind another one: cpio in the kernel's format, "newc"."""

    def __init__(self):
        self.bytes = b""
        self.directories = set()

    def entry(self, name, mode, data=b""):
        name = name.encode() + b"\0"
        numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name
        for part in (head, data):
            self.bytes += part + b"\0" * (-len(part) % 4)

    def add(self, path, data):
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            if directory not in self.directories:
                self.directories.add(directory)
                self.entry(directory, 0o40755)
        self.entry("/".join(parts), 0o100755, data)

    def end(self):
        self.entry("TRAILER!!!", 0)
        return self.bytes


def read(path):
    with open(path, "rb") as file:
        return file.read()


def boot_arguments(guest, scratch, program, commands, tsc):
    """QEMU's arguments for a guest that runs these commands; the program is there as /NAME."""
    archive = Archive()
    archive.add(os.path.basename(program), read(program))
    libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for path in sorted(set(re.findall(r"(/\S+) \(0x", libraries))):
        archive.add(path, read(path))
    archive.add("start", (INIT % commands).encode())
    path = scratch.path("initrd")
    with open(path, "wb") as file:
        file.write(read(os.path.join(guest, "initrd")) + archive.end())
    append = read(os.path.join(guest, "append")).decode().strip().replace("tsc=unstable", f"tsc={tsc}")
    return ("-cpu", "qemu64,+rdrand", "-nodefaults", "-display", "none", "-no-reboot", "-kernel",
            os.path.join(guest, "kernel"), "-initrd", path, "-append", f"{append} rdinit=/start",
            "-serial", "file:" + scratch.path("console"))
