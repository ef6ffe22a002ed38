"""A worker process: takes tasks from its standard input, gives back rows; ends at once when its parent does.

Messages are pickles behind their length, between a process and the child that it started itself.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import threading
import traceback
from typing import IO, Any

import cloudpickle

from mcinj.errors import InputError

_HEAD = struct.Struct("<Q")


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    # By value: functions of a user's own script, which a worker cannot import.
    data = cloudpickle.dumps(message)
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message; `EOFError` when the other side is gone, also in the middle of a message."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    (size,) = _HEAD.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Loop of a worker."""
    # What a library prints must not get between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(os.fdopen(os.dup(0), "rb"), tasks), daemon=True).start()
    from mcinj.experiment.tasks import run_task, warm

    warm(tasks.get())
    send(answers, ("ready", os.getpid()))
    while True:
        task = tasks.get()
        try:
            answer: tuple[Any, ...] = ("done", *run_task(task))
        except MemoryError:
            answer = ("died", "out of memory")
        except Exception as error:
            # Only our own error is sure to survive the way.
            plain = error if isinstance(error, InputError) else RuntimeError(f"{type(error).__name__}: {error}")
            answer = ("failed", plain, traceback.format_exc())
        send(answers, answer)


def _listen(stream: IO[bytes], tasks: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            tasks.put(receive(stream))
    except BaseException:
        # The parent has ended, perhaps killed: nobody wants the result, however long it has taken so far.
        os._exit(1)


if __name__ == "__main__":
    main()
