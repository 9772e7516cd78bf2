"""Speed as a ratio: ours against a peer, alternating in one run, so that a busy machine slows both."""

import time

import pytest

ROUNDS = 15


@pytest.fixture
def ratio(benchmark, request):
    """`ratio(ours, peer, limit=...)`: times both in turn and fails where ours takes more than `limit` of the peer.

    The fastest round of each counts: whatever else the machine does can only add to a time.
    """

    def compare(ours, peer, *, limit: float, rounds: int = ROUNDS) -> None:
        peer_seconds = []

        def run_peer():
            start = time.perf_counter()
            peer()
            peer_seconds.append(time.perf_counter() - start)

        benchmark.pedantic(ours, setup=run_peer, rounds=rounds, warmup_rounds=1)
        ours_best, peer_best = benchmark.stats.stats.min, min(peer_seconds)
        found = ours_best / peer_best
        benchmark.extra_info.update(peer_seconds=peer_best, ratio=found, limit=limit)
        request.config.stash.setdefault(ROWS, []).append((request.node.name, ours_best, peer_best, found, limit))
        assert found <= limit, f"{found:.3f} of the peer's time, the limit is {limit}"

    return compare


ROWS = pytest.StashKey[list]()


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("ours / peer")
        for name, ours, peer, found, limit in rows:
            line = f"{name:60s} {1e3 * ours:8.1f} ms / {1e3 * peer:8.1f} ms = {found:.3f}  (limit {limit})"
            terminalreporter.write_line(line)
