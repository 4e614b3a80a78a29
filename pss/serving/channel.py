"""Messages between a server's processes, without pickle.

Some processes speak HTTP and decode images, another one runs the networks. It
has a channel to each of them. A request is a JSON object, a line end, and
pixels; an answer is a JSON object.
"""

import fcntl
import json
import termios
import time
from array import array
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

CLOSED = (EOFError, OSError)  # what an end raises when the other one is gone
PIPE_BYTES = 1 << 20  # what Linux allows everyone; by default it is 64 kB


def clock() -> float:
    """Milliseconds of the monotonic clock, which all processes share."""
    return 1e3 * time.monotonic()


class Asked(NamedTuple):
    """What a request says beside its images.

    Attributes:
        number: which its answer will name.
        arrived: when it did, in milliseconds of the monotonic clock.
        reserve: milliseconds that its answer takes after the networks.
        top: so many classes are answered; ``None`` for all scores.
        missed: images that were refused since the last request, without asking.
        bank: the number of the bank that its images were loaded for.
    """
    number: int
    arrived: float
    reserve: float = 0.
    top: Optional[int] = None
    missed: int = 0
    bank: int = 0


class Order(NamedTuple):
    """What a process that speaks HTTP says besides its requests.

    Attributes:
        what: ``open``: the folder's bank is to be opened; ``done``: so is what
            the last message said about a bank; ``close``: nothing waits for a
            former bank here; ``leave``: there will be no more requests.
        bank: the bank's number.
        problem: why ``done`` could not be done.
    """
    what: str
    bank: int = 0
    problem: str = ''


class Channel:
    """Two pipes: requests one way, answers the other.

    Whoever sends from several threads holds a lock. Each process closes the
    ends that it does not use, so that either notices when the other one is
    gone.
    """

    requests: Tuple[Connection, Connection]
    answers: Tuple[Connection, Connection]
    _room = 0  # bytes that surely fit into an empty pipe

    def open(self) -> None:
        """Opens the pipes: before both processes start, and after all others,
        which would keep them open."""
        self.requests = Pipe(duplex=False)
        self.answers = Pipe(duplex=False)
        for _, sending in (self.requests, self.answers):
            # else nobody could send a whole image without somebody reading it
            with suppress(AttributeError, OSError):  # only Linux can
                size = fcntl.fcntl(sending.fileno(), fcntl.F_SETPIPE_SZ,
                                   PIPE_BYTES)
                self._room = size // 3  # its pages may be half full

    def close_of_worker(self) -> None:
        """Closes the ends of the process that runs the networks."""
        self.requests[0].close()
        self.answers[1].close()

    def close_of_front(self) -> None:
        """Closes the ends of the process that speaks HTTP."""
        self.requests[1].close()
        self.answers[0].close()

    def has_room(self, images: Sequence[np.ndarray]) -> bool:
        """Whether these can be sent without waiting for the other process."""
        if not self._room:
            return False
        waiting = _waiting(self.requests[1])
        return waiting + sum(i.nbytes for i in images) < self._room

    def ask(self, asked: Asked, images: Sequence[np.ndarray]) -> None:
        """Sends a request, with loaded images, all of one shape and type."""
        first = images[0]
        head = dict(
            asked._asdict(),
            shape=[len(images), *first.shape],
            type=first.dtype.str)
        self.requests[1].send_bytes(b''.join(
            (json.dumps(head).encode(), b'\n', *map(_packed, images))))

    def order(self, order: Order) -> None:
        """Sends an order."""
        self.requests[1].send_bytes(json.dumps(order._asdict()).encode())

    def asked(self) -> Union[Tuple[Asked, np.ndarray], Order]:
        """Waits for a request, the arguments of :meth:`ask`, or an order."""
        content = self.requests[0].recv_bytes()
        end = content.find(b'\n')
        value = json.loads(content if end < 0 else content[:end])
        if 'what' in value:
            return Order(**value)
        shape, kind = value.pop('shape'), np.dtype(value.pop('type'))
        images = np.frombuffer(content, kind, offset=end + 1)
        return Asked(**value), images.reshape(shape)

    def answer(self, value: Dict[str, Any]) -> None:
        """Sends a message back."""
        self.answers[1].send_bytes(json.dumps(value).encode())

    def answered(self) -> Dict[str, Any]:
        """Waits for a message."""
        return json.loads(self.answers[0].recv_bytes())

    def has_answer(self) -> bool:
        """Whether there is a message."""
        return _waiting(self.answers[0]) > 0


def _waiting(pipe: Connection) -> int:
    """How many bytes are in a pipe."""
    found = array('i', [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, found)
    return found[0]


def _packed(image: np.ndarray) -> Any:
    """Its bytes in order."""
    if image.strides[-1] < 0 and image.shape[-1] <= 4:
        # channels that are turned round: one after the other takes a third of
        # the time
        image = np.stack([image[..., i] for i in range(image.shape[-1])],
                         axis=-1)
    return np.ascontiguousarray(image).data


def plain(prediction: Dict[str, Any],
          top: Optional[int] = None,
          classes: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """A prediction as JSON has it.

    Args:
        prediction: see :meth:`.Adaptive.predict`.
        top: so many classes, best first, instead of all scores.
        classes: their names.
    """
    scores = prediction['pred_scores']
    found = dict(
        label=prediction['pred_label'], score=_short(prediction['pred_score']))
    if 'pred_class' in prediction:
        found['class'] = prediction['pred_class']
    if top is None:
        found['scores'] = [_short(score) for score in scores.tolist()]
        return found
    found['top'] = [{
        'label': int(label),
        'score': _short(scores[label]),
        **({} if classes is None else {
               'class': classes[label]
           })
    } for label in np.argsort(-scores, kind='stable')[:top]]
    return found


def _short(score: float) -> float:
    return float(f'{score:.6g}')
