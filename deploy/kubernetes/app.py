"""An application that reports its LLM calls: one in two over the socket, the others through a file.

A real one would do with one way. The socket answers when a record is sealed; the file needs nothing
but a disk. Only the standard library is used.
"""

import json
import logging.handlers
import os
import signal
import socket
import sys
import time
import uuid

SHARED = os.environ.get("VERITAIL_SHARED", "/run/veritail")
EVERY = float(os.environ.get("CALL_EVERY_SECONDS", "5"))
CALLS = int(os.environ.get("CALLS", "0"))  # 0: until told to stop


def call(n):
    """Stands in for a request to a model; what it returns is what veritail is told."""
    return {
        "id": str(uuid.uuid4()),
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "user_id": f"user-{n % 7}",
        "app": "orders-api",
        "model": "openai/gpt-4o-mini",
        "prompt": f"Where is order {n}? Answer to buyer{n}@example.com",
        "response": "It is on its way.",
        "prompt_tokens": 21,
        "completion_tokens": 6,
        "latency_ms": 420,
        "status": "success",
    }


def through_socket(record):
    """Sends one record and waits for its seal. A client that sends more keeps its connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(os.path.join(SHARED, "ingest.sock"))
        hello = {"type": "hello", "ack": True}
        lines = json.dumps(hello) + "\n" + json.dumps(record) + "\n"
        connection.sendall(lines.encode())
        answer = json.loads(connection.makefile().readline())
        if "ack" not in answer:
            raise OSError(f"not sealed: {answer}")
        return answer["seq"]


def file_writer():
    """A file that rotates by itself, 4 of 8 MB at most. veritail follows it through rotation."""
    path = os.path.join(SHARED, "requests.ndjson")
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=8_000_000, backupCount=3)
    os.chmod(path, 0o640)
    logger = logging.getLogger("requests")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    return logger


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.umask(0o027)
    requests = file_writer()
    n = 0
    while CALLS == 0 or n < CALLS:
        record = call(n)
        if n % 2 == 0:
            try:
                print("sealed as", through_socket(record))
            except OSError as error:
                # The application goes on; the file is read as soon as the sidecar is back. The id
                # tells a reader should the record turn up twice.
                print("socket:", error)
                requests.info(json.dumps(record))
        else:
            requests.info(json.dumps(record))
        n += 1
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
