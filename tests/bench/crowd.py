"""Very many files dropped at once, while their server is of little use to postriderd."""

import json
import os
import re
import socket
import subprocess
import time

from ground import Trouble, tail
from senders import write_postrider_config


ASK_EVERY = 1000  # files dropped, so that a loop that stands still is seen


class Daemon:
    """postriderd, running; its errors are in a file of the directory."""

    def __init__(self, build, directory):
        self.socket = f"{directory}/control"
        self.worst_answer = 0.0  # seconds from a question to its answer
        self.errors = f"{directory}/output.txt"
        with open(self.errors, "wb") as output:
            self.process = subprocess.Popen(
                [build.daemon, "-c", f"{directory}/postrider.conf"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def status(self):
        """None before it answers."""
        if self.process.poll() is not None:
            raise Trouble(f"postriderd ended with {self.process.returncode}{tail(self.errors)}")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            try:
                connection.connect(self.socket)
            except OSError:
                return None
            begun = time.monotonic()
            connection.sendall(b"status\n")
            line = connection.makefile("rb").readline()
            self.worst_answer = max(self.worst_answer, time.monotonic() - begun)
            return json.loads(line)

    def wait(self, condition, what, timeout):
        """The first status that the condition holds for."""
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            status = self.status()
            if status is not None and condition(status):
                return status
            time.sleep(0.05)
        raise Trouble(f"postriderd: not {what} within {timeout} s: {self.status()}")

    def peak_rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(70)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def taken(status):
    """Messages that are in the queue, or have left it."""
    return status["queue"]["messages"] + status["accounts"][0]["smtp"]["sent"]


def measure_crowd(build, directory, sink, count, timeout):
    """drafts are written beside the spool, then renamed into it while the daemon runs."""
    write_postrider_config(f"{directory}/postrider.conf", directory, sink, f"{directory}/log", 1)
    drafts, spool = f"{directory}/drafts", f"{directory}/spool"
    os.mkdir(drafts)
    shape = ["--messages", str(count), "--size", str(sink.size)]
    subprocess.run([build.tool("smtp_sink"), "--write", drafts, *shape], check=True)
    os.sync()
    daemon = Daemon(build, directory)
    try:
        daemon.wait(lambda status: True, "answering", 60)
        before = daemon.peak_rss()
        begun = time.monotonic()
        for number, name in enumerate(os.listdir(drafts)):
            os.rename(f"{drafts}/{name}", f"{spool}/{name}")
            if number % ASK_EVERY == 0:
                daemon.status()
        dropped = time.monotonic() - begun
        status = daemon.wait(lambda s: taken(s) >= count, f"all {count} taken", timeout)
        return {
            "dropped": dropped,
            "wall": time.monotonic() - begun,
            "cpu": daemon.cpu(),
            "rss": daemon.peak_rss(),
            "rss_before": before,
            "lag": status["loop"]["lag_max_ms"],
            "answer": daemon.worst_answer,
            "sent": status["accounts"][0]["smtp"]["sent"],
        }
    finally:
        daemon.stop()
