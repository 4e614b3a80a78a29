from pss.engine.runner.progress import logged


def test_messages(monkeypatch):
    """Oracle: worked out by hand for a clock that moves by 3 seconds per item:
    a message at 6 and 12 s, and one for the last item."""
    clock = iter(range(0, 300, 3))
    said = []
    monkeypatch.setattr('time.monotonic', lambda: next(clock))
    monkeypatch.setattr('pss.engine.runner.progress.print_log',
                        lambda message, logger: said.append(message))
    assert list(logged('abcde', 5, 'Counting')) == list('abcde')
    assert said == [
        'Counting [2/5]  eta: 0:00:09', 'Counting [4/5]  eta: 0:00:03',
        'Counting [5/5]  eta: 0:00:00'
    ]


def test_a_longer_iterable_ends_at_the_total():
    """Oracle: the total, for an iterable without an end."""
    assert list(logged(iter(int, 1), 3, 'Counting')) == [0, 0, 0]
