#!/usr/bin/env python3
"""Sends records to veritail's socket and returns only when each is sealed.

    send.py SOCKET [FILE...]        one JSON object a line; standard input without a FILE

Shows all there is to the protocol: the hello, answers in any order, and sending again after a broken
connection. Every record gets an `id` before it is first sent, so one that was sealed although its
answer was lost is recognised and not sealed twice.

Exit status: 0 all sealed, 1 some refused (quarantined), 2 not all answered in time.
"""

import argparse
import fileinput
import json
import socket
import sys
import time
import uuid

# Lines unanswered at a time. veritail reads 4096 ahead; fewer keep what has to be sent again small.
WINDOW = 256
# Longest pause between two attempts to connect, in seconds.
LONGEST_PAUSE = 2.0


def with_id(line):
    """The line as it is sent: a JSON object with an id. What is no object is sent as it is."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    record.setdefault("id", str(uuid.uuid4()))
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


class Connection:
    """One connection: numbers the lines it sends and matches the answers to them."""

    def __init__(self, path, timeout):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.answers = self.socket.makefile("r", encoding="utf-8", newline="\n")
        self.waiting = {}
        self.lines = 0
        self._send('{"type":"hello","ack":true}')

    def _send(self, line):
        self.socket.sendall(line.encode() + b"\n")
        self.lines += 1

    def send(self, key, line):
        # Noted first: a line that went out halfway may have arrived.
        self.waiting[self.lines + 1] = key
        self._send(line)

    def answer(self):
        """Waits for one answer: the key it belongs to, and what it says."""
        text = self.answers.readline()
        if not text.endswith("\n"):
            raise ConnectionError("the connection was closed")
        said = json.loads(text)
        return self.waiting.pop(said["n"]), said

    def close(self):
        self.answers.close()
        self.socket.close()


def deliver(path, lines, timeout=60.0):
    """Sends all lines; yields (line, answer) for each as its answer comes, in any order.

    Raises TimeoutError when nothing was answered for `timeout` seconds, however often the
    connection was made anew meanwhile.
    """
    left = dict(enumerate(lines))
    last_answer, pause = time.monotonic(), 0.05
    while left:
        connection = None
        try:
            connection = Connection(path, timeout)
            unsent = iter(list(left.items()))
            more = True
            while left:
                while more and len(connection.waiting) < WINDOW:
                    more = next(unsent, None)
                    if more:
                        connection.send(*more)
                key, answer = connection.answer()
                last_answer, pause = time.monotonic(), 0.05
                yield left.pop(key), answer
        except OSError as error:
            if time.monotonic() - last_answer >= timeout:
                raise TimeoutError(f"{len(left)} records are not sealed: {error}") from error
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            if connection:
                connection.close()


def main():
    parser = argparse.ArgumentParser(description="send records to veritail, wait for their seals")
    parser.add_argument("socket")
    parser.add_argument("file", nargs="*")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds without any answer")
    parser.add_argument("--quiet", action="store_true", help="print the sum only")
    options = parser.parse_args()
    with fileinput.input(options.file, encoding="utf-8") as source:
        # An empty line is no record: it would never be answered.
        lines = [with_id(line.strip()) for line in source if line.strip()]
    sealed = refused = 0
    try:
        for _, answer in deliver(options.socket, lines, options.timeout):
            sealed += "ack" in answer
            refused += "quarantined" in answer
            if not options.quiet:
                print(json.dumps(answer))
    except TimeoutError as error:
        print(f"send.py: {error}", file=sys.stderr)
        return 2
    print(f"{sealed} sealed, {refused} refused", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
