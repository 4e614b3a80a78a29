"""The process that speaks HTTP, without one."""

import pytest

pytest.importorskip('prometheus_client', reason='needs requirements/serve.txt')
pytest.importorskip('litserve')


def test_it_refuses_what_it_cannot_read_in_time():
    """Oracle: by hand: half of an objective of 100 ms, for the usual lag of the
    process and for the images that are being decoded; single lags are nothing.
    """
    from pss.serving.bodies import Limits, Refusal
    from pss.serving.front import Front
    from pss.serving.served_bank import Source
    front = Front(None, None, Limits(slo_ms=100.), Source('bank'))
    front._check_pace()
    for lag in (0., 900., 1., 49.):
        front._overhead.observe_lag(lag)
    front._check_pace()
    front._decoding, front._decode_ms = 4, 12.
    front._check_pace()
    front._decoding = 5
    with pytest.raises(Refusal, match='within 100 ms') as found:
        front._check_pace()
    assert found.value.status == 503 and found.value.wait_ms == 60
    front._decoding = 0
    for _ in range(5):
        front._overhead.observe_lag(51.)
    with pytest.raises(Refusal):
        front._check_pace()
    assert front._missed == 2
