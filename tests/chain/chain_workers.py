"""Publishes or follows in a process of its own that kills itself at a certain step; the kill tests start it.

Run as a program it imports everything once and forks for each line of JSON on stdin: `what`, its arguments, and `at`,
the step at which the process ends as if the power went. A step is whatever Python reports to its audit hooks about
files and folders, and each statement that SQLite runs. It answers each line with how the process ended and how many
steps it took, or what it says to a person. `limit` is the size in bytes beyond which no file can grow.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from catalogue import database
from retail_seg.chain import following, publishing
from retail_seg.chain.keys import read_key
from retail_seg.chain.switching import Switch
from retail_seg.segmentation.segmenter import SHIPPED, Segmenter
from retail_seg.system.user_errors import USER_ERRORS

Segmenter.load(SHIPPED)  # imported before the fork, so that no process spends its life on it
LOADED = (Switch, publishing, following)
EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect", "os.truncate")


class Steps:
    """Counts what is done, and ends the process at one of the steps."""

    def __init__(self, last: int) -> None:
        self.count, self.last = 0, last
        sys.addaudithook(lambda event, args: self.one() if event in EVENTS else None)
        connect = database.connect

        def counted(path: Path) -> Any:
            found = connect(path)
            found.conn.set_trace_callback(lambda statement: self.one())
            return found

        database.connect = counted

    def one(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def work(order: dict[str, Any]) -> int:
    """Do what is asked; returns how many steps it took."""
    if "limit" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
    steps = Steps(order["at"])
    if order["what"] == "publish":
        publishing.publish(Path(order["store"]), order["place"], read_key(Path(order["key"])), **order.get("how", {}))
    elif order["what"] == "back":
        following.go_back(Path(order["store"]))
    else:
        following.follow(Path(order["store"]), order["place"])
    return steps.count


def main() -> None:
    """Fork for each line on stdin."""
    for line in sys.stdin:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write, str(work(json.loads(line))).encode())
            except USER_ERRORS as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        _, status = os.waitpid(pid, 0)
        with os.fdopen(read) as pipe:
            print(json.dumps({"signal": os.WTERMSIG(status), "code": status >> 8, "steps": pipe.read()}), flush=True)


if __name__ == "__main__":
    main()
