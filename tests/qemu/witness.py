# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a QEMU itself says, once a second, beside the guardian: what completed, and when it fell silent."""

import json
import socket
import threading
import time

PERIOD = 1.0
# A loaded machine lets a healthy QEMU wait for a second or two.
SILENT = 3.0


class Witness(threading.Thread):
    """Asks on a monitor of its own. reports: (time, status, {drive: (completed, failed, spent in s)});
    silences: [begin, end], end None while it lasts."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.reports = []
        self.silences = []
        self.is_over = threading.Event()
        self.buffer = b""
        self.start()

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PERIOD)
                client.connect(self.path)
                self.answer(client)
                self.ask(client, "qmp_capabilities")
                while not self.is_over.wait(PERIOD):
                    status = self.ask(client, "query-status")["status"]
                    disks = self.ask(client, "query-blockstats")
                    self.reports.append((time.monotonic(), status, dict(map(self.count, disks))))
        except (EOFError, OSError):
            pass  # QEMU ended, or the case is over

    @staticmethod
    def count(disk):
        stats = disk["stats"]
        kinds = ("rd", "wr", "flush")
        return disk["device"], (sum(stats[f"{kind}_operations"] for kind in kinds),
                                sum(stats[f"failed_{kind}_operations"] for kind in kinds),
                                sum(stats[f"{kind}_total_time_ns"] for kind in kinds) / 1e9)

    def ask(self, client, command):
        client.sendall(json.dumps({"execute": command}).encode() + b"\n")
        begin = time.monotonic()
        answer = self.answer(client, begin)
        if self.silences and self.silences[-1][1] is None:
            self.silences[-1][1] = time.monotonic()
        return answer["return"]

    def answer(self, client, begin=None):
        while not self.is_over.is_set():
            line, newline, rest = self.buffer.partition(b"\n")
            if newline:
                self.buffer = rest
                message = json.loads(line)
                if "event" not in message:
                    return message
                continue
            try:
                data = client.recv(1 << 16)
                if not data:
                    raise EOFError
                self.buffer += data
            except TimeoutError:
                self.note_silence(begin)
        raise EOFError

    def note_silence(self, begin):
        is_open = self.silences and self.silences[-1][1] is None
        if begin and not is_open and time.monotonic() - begin > SILENT:
            self.silences.append([begin, None])

    def completed(self, drive, until=None):
        """How many requests of the drive had completed by then; None: it was never asked."""
        counts = [disks[drive][0] for when, _, disks in self.reports
                  if drive in disks and (until is None or when <= until)]
        return counts[-1] if counts else None

    def moved(self, drive, begin, end):
        before, after = self.completed(drive, begin), self.completed(drive, end)
        return before is not None and after > before

    def steps(self, drive, begin, end):
        """(time, requests, mean age in s) of each report in which something had completed."""
        found, last = [], None
        for when, _, disks in self.reports:
            if drive not in disks:
                continue
            count, failed, spent = disks[drive]
            if last and begin <= when <= end and count + failed > last[0]:
                found.append((when, count + failed - last[0], (spent - last[1]) / (count + failed - last[0])))
            last = (count + failed, spent)
        return found
