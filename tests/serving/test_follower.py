"""The queue with a latency follower."""

from pss.serving import FollowerScheduler, LatencyGrid


def test_it_reacts_to_latencies():
    """Oracle: by hand: two subnets of 4 and 1 ms and an objective of 10. Alone,
    images are answered by the slow one; while each waits long, by the fast one,
    and what waits longer than the objective is refused."""
    grid = LatencyGrid([1, 2], [[4., 8.], [1., 2.]], [80., 70.])
    follower = FollowerScheduler(grid, 10.)
    assert follower.next(0.) is None
    now = 0.
    for i in range(20):
        assert follower.arrive(now, [i]) is None and len(follower) == 1
        batch = follower.next(now)
        assert batch == (0, [i], [], 4.)
        now += 4
        follower.ended(now, batch, 4.)
    for i in range(20):
        follower.arrive(now, [i], arrived=now - 9)
        batch = follower.next(now)
        now += batch.expected_ms
        follower.ended(now, batch, batch.expected_ms)
    assert batch.subnet == 1
    follower.arrive(now - 11, ['late'])
    follower.arrive(now - 1, ['a'])
    assert follower.next(now)[1:3] == (['a'], ['late'])
    follower.arrive(now - 11, ['late'])
    assert follower.next(now)[1:] == ([], ['late'], 0.)
