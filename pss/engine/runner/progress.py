"""Logging progress and the time left."""

import time
from datetime import timedelta
from typing import Iterable, Iterator, TypeVar

from mmengine.logging import print_log

T = TypeVar('T')


def logged(items: Iterable[T],
           total: int,
           what: str,
           seconds: float = 5.) -> Iterator[T]:
    """Yields items, and logs the time left every few seconds.

    Args:
        items: what to iterate over.
        total: how many there are.
        what: what is done with them, for the message.
        seconds: least time between messages; the last item gets one too.
    """
    start = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= seconds or done == total:
            said = now
            left = timedelta(
                seconds=round((now - start) / done * (total - done)))
            print_log(f'{what} [{done}/{total}]  eta: {left}', 'current')
        if done == total:
            return
