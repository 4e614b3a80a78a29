"""Messages between a server's two processes, without pickle.

One process speaks HTTP and decodes images, the other one runs the networks. A
request is a JSON object, a line end, and pixels; an answer is a JSON object.
"""

import json
import time
from multiprocessing.connection import Connection, Pipe
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

CLOSED = (EOFError, OSError)  # what an end raises when the other one is gone


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
    """What is done about a bank.

    Attributes:
        what: ``open``, from the same folder as the others, or ``close``.
        bank: its number.
    """
    what: str
    bank: int


class Channel:
    """Two pipes: requests one way, answers the other.

    Each process closes the ends that it does not use, so that either notices
    when the other one is gone.
    """

    requests: Tuple[Connection, Connection]
    answers: Tuple[Connection, Connection]

    def open(self) -> None:
        """Opens the pipes: before both processes start, and after all others,
        which would keep them open."""
        self.requests = Pipe(duplex=False)
        self.answers = Pipe(duplex=False)

    def close_of_worker(self) -> None:
        """Closes the ends of the process that runs the networks."""
        self.requests[0].close()
        self.answers[1].close()

    def close_of_front(self) -> None:
        """Closes the ends of the process that speaks HTTP."""
        self.requests[1].close()
        self.answers[0].close()

    def ask(self, asked: Asked, images: Sequence[np.ndarray]) -> None:
        """Sends a request, with loaded images, all of one shape and type."""
        first = images[0]
        head = dict(
            asked._asdict(),
            shape=[len(images), *first.shape],
            type=first.dtype.str)
        self.requests[1].send_bytes(
            json.dumps(head).encode() + b'\n' + b''.join(image.tobytes()
                                                         for image in images))

    def order(self, order: Order) -> None:
        """Sends an order."""
        self.requests[1].send_bytes(json.dumps(order._asdict()).encode())

    def asked(self) -> Union[Tuple[Asked, np.ndarray], Order]:
        """Waits for a request, the arguments of :meth:`ask`, or an order."""
        head, _, content = self.requests[0].recv_bytes().partition(b'\n')
        value = json.loads(head)
        if 'what' in value:
            return Order(**value)
        shape, kind = value.pop('shape'), np.dtype(value.pop('type'))
        return Asked(**value), np.frombuffer(content, kind).reshape(shape)

    def answer(self, value: Dict[str, Any]) -> None:
        """Sends a message back."""
        self.answers[1].send_bytes(json.dumps(value).encode())

    def answered(self) -> Dict[str, Any]:
        """Waits for a message."""
        return json.loads(self.answers[0].recv_bytes())


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
