"""A client for OpenRouter that reports every call to veritail: successes, failures, timeouts, cancels.

    from openai import OpenAI
    client = OpenAI(base_url="https://openrouter.ai/api/v1", api_key=os.environ["OPENROUTER_API_KEY"])
    reporter = Reporter("/run/veritail/ingest.sock", "/var/log/app/requests.ndjson")
    answer = audited_completion(client, reporter, user_id="u1", model="openai/gpt-4o-mini",
                                messages=[{"role": "user", "content": "hi"}])

Reporting needs the standard library only and is off the request's path: a record is put into a queue,
a thread sends it. What cannot be sent is appended to a file that veritail reads as well, so a sidecar
that is down loses nothing. A record whose answer was lost may then be sealed twice, once through each
source, under one `id`.

Prompts and responses go to veritail as they are and it removes what must not be kept; they leave this
process through a socket and a file of this machine only.
"""

import atexit
import json
import os
import queue
import socket
import threading
import time
import uuid
from datetime import datetime, timezone

# Records that wait for the socket; past it they go to the file.
QUEUE = 10_000
# Records unanswered on the socket.
WINDOW = 64


class Reporter:
    """Reports records, never raises, never waits longer than a write to a file takes."""

    def __init__(self, socket_path, fallback_file, timeout=5.0):
        self.socket_path, self.fallback_file, self.timeout = socket_path, fallback_file, timeout
        self.records = queue.Queue(QUEUE)
        self.lost = 0
        self._closing = False
        self._file = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="veritail", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def report(self, record):
        """Takes a record; it is sealed within milliseconds when veritail is up."""
        # One line, whatever the record holds: `default=str` for what JSON does not know.
        line = json.dumps(record, ensure_ascii=False, default=str)
        try:
            if not self._thread.is_alive():
                raise queue.Full
            self.records.put_nowait(line)
        except queue.Full:
            self._keep([line])

    def close(self):
        """Waits until everything reported is sealed, or is in the file."""
        if self._thread.is_alive():
            self._closing = True
            self.records.put(None)
            self._thread.join()

    def _keep(self, lines):
        text = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
        try:
            with self._file:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                file = os.open(self.fallback_file, flags, 0o640)
                try:
                    while text:
                        text = text[os.write(file, text) :]
                finally:
                    os.close(file)
        except OSError:
            # Neither socket nor disk: the application's own alarm is all that is left.
            self.lost += len(lines)

    def _run(self):
        while True:
            first = self.records.get()
            if first is None:
                return
            waiting, ended = {}, False
            pending = [first]
            try:
                ended = self._converse(pending, waiting)
            except (OSError, ValueError, KeyError):
                # Down, gone, or not veritail. What was not answered is kept; the next record tries
                # the socket again.
                self._keep([*waiting.values(), *pending])
                # The word to end may have been taken from the queue just before.
                ended = self._closing and self.records.empty()
            if ended:
                return

    def _converse(self, pending, waiting):
        """Sends from the queue until it is told to end (True) or the connection breaks."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self.timeout)
            connection.connect(self.socket_path)
            connection.sendall(b'{"type":"hello","ack":true}\n')
            answers, n, ended = connection.makefile("rb"), 1, False
            while True:
                while pending:
                    n += 1
                    waiting[n] = pending.pop()
                    connection.sendall(waiting[n].encode("utf-8", "replace") + b"\n")
                try:
                    room = len(waiting) < WINDOW and not ended
                    record = self.records.get(block=not waiting and not ended) if room else None
                except queue.Empty:
                    record, room = None, False
                if record is not None:
                    pending.append(record)
                    continue
                ended = ended or room
                if not waiting:
                    return ended
                # A refused record is answered too, and its refusal is sealed: it is done with.
                del waiting[json.loads(answers.readline())["n"]]


def _value(of, name):
    return of.get(name) if isinstance(of, dict) else getattr(of, name, None)


def _plain(value):
    """A client library's object as plain data."""
    dump = getattr(value, "model_dump", None)
    return dump(exclude_none=True) if dump else value


def _outcome(error):
    """What became of a call that raised. A cancel is not an error of the provider's."""
    name = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in name:
        status = "timeout"
    elif isinstance(error, Exception) and "Cancel" not in name:
        status = "error"
    else:
        # KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, SystemExit
        status = "cancelled"
    code = _value(error, "status_code") or _value(error, "code")
    return {
        "status": status,
        "error_type": name,
        "error_code": None if code is None else str(code),
        "metadata": {"error_message": str(error)},
    }


class _Call:
    """One call's record, from its start to its one end."""

    def __init__(self, reporter, model, messages, about):
        self.reporter, self.began = reporter, time.monotonic()
        self.record = {
            "id": str(uuid.uuid4()),
            "timestamp": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
            "event_type": "chat_completion",
            "model_requested": model,
            "messages": messages,
            **{name: value for name, value in about.items() if value is not None},
        }

    def seen(self, response):
        """Takes what a response, or a part of a streamed one, tells of the call."""
        usage = _plain(_value(response, "usage"))
        told = {
            "generation_id": _value(response, "id"),
            "model_used": _value(response, "model"),
            "provider": _value(response, "provider"),
            "usage": usage,
        }
        self.record.update({name: value for name, value in told.items() if value is not None})

    def end(self, **outcome):
        own = self.record.pop("metadata", None) or {}
        more = outcome.pop("metadata", {})
        self.record.update({name: value for name, value in outcome.items() if value is not None})
        if own or more:
            self.record["metadata"] = {**own, **more}
        self.record["latency_ms"] = round((time.monotonic() - self.began) * 1000, 3)
        self.reporter.report(self.record)


def audited_completion(client, reporter, model, messages, about=None, user_id=None, **options):
    """As `client.chat.completions.create`, and reported whatever happens.

    `about` may hold session_id, app, metadata. Raises what the client raises.
    """
    call = _Call(reporter, model, messages, {"user_id": user_id, **(about or {})})
    try:
        response = client.chat.completions.create(model=model, messages=messages, **options)
        call.seen(response)
        choices = _value(response, "choices") or []
        text = _value(_value(choices[0], "message"), "content") if choices else None
    except BaseException as error:
        call.end(**_outcome(error))
        raise
    # OpenRouter may answer 200 and tell of a provider's failure in the body.
    failed = _value(response, "error")
    if failed:
        code = _value(failed, "code")
        call.end(status="error", error_type="provider", error_code=code and str(code))
    else:
        call.end(status="success", response=text or "")
    return response


def audited_stream(client, reporter, model, messages, about=None, user_id=None, **options):
    """As `audited_completion`, part by part. Leaving the loop early is reported as cancelled."""
    call = _Call(reporter, model, messages, {"user_id": user_id, **(about or {})})
    parts = []
    try:
        stream = client.chat.completions.create(
            model=model, messages=messages, stream=True, **options
        )
        for part in stream:
            call.seen(part)
            for choice in _value(part, "choices") or []:
                parts.append(_value(_value(choice, "delta"), "content") or "")
            yield part
    except BaseException as error:
        call.end(response="".join(parts), **_outcome(error))
        raise
    call.end(status="success", response="".join(parts))
