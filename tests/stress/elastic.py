"""Kills processes of a distributed training at random moments; torchrun starts
all of them again, and training continues from its newest checkpoint.

``python tests/stress/elastic.py --kills 20`` trains the demo's config on small
data with two processes without interruption. Then it trains the same by
``tools/dist_train.sh`` with ``MAX_RESTARTS``, and kills (SIGKILL) one of the
processes again and again. The end result must equal the uninterrupted run's,
bit by bit, as in ``interrupt.py``. ``--nodes 2`` makes two launches of one
process each.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from tests.images import write_images
from tests.paths import ROOT
from tests.stress import training
from tests.training import begin_runs_sooner


def free_port():
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def train(config, work_dir, words, processes):
    """Trains without interruption, in forked processes.

    Returns:
        The seconds from the first iteration to the end.
    """
    environment = dict(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(free_port()),
        WORLD_SIZE=str(processes),
        GLOO_SOCKET_IFNAME='lo')
    pids = [
        training.start(
            config,
            work_dir,
            words,
            '--launcher',
            'pytorch',
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            **environment) for rank in range(processes)
    ]
    return training.finish(pids, work_dir)


def launch(config, work_dir, words, nodes, processes, restarts):
    """Starts a training of all nodes; output goes to ``WORK_DIR.NODE.log``."""
    environment = dict(
        os.environ,
        OMP_NUM_THREADS='1',
        PORT=str(free_port()),
        NNODES=str(nodes),
        GLOO_SOCKET_IFNAME='lo',
        PYTHON=sys.executable,
        MAX_RESTARTS=str(restarts))
    launches = []
    for node in range(nodes):
        with open(f'{work_dir}.{node}.log', 'w') as log:
            launches.append(
                subprocess.Popen([
                    'bash', 'tools/dist_train.sh', config,
                    str(processes // nodes), '--work-dir', work_dir,
                    '--cfg-options', *words
                ],
                                 cwd=ROOT,
                                 stdout=log,
                                 stderr=subprocess.STDOUT,
                                 start_new_session=True,
                                 env=dict(environment, NODE_RANK=str(node))))
    return launches


def finish(launches, work_dir, seconds=300):
    """Waits for a training; raises if it fails or takes too long."""
    try:
        codes = [launch.wait(timeout=seconds) for launch in launches]
    finally:
        stop(launches)
    assert not any(codes), Path(f'{work_dir}.0.log').read_text()[-5000:]


def stop(launches):
    """Ends the processes that are left of a training."""
    for one in launches:
        for pid in workers(one):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if one.poll() is None:
            one.kill()
            one.wait()


def workers(launch):
    """The numbers of a launch's training processes."""
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        with suppress(OSError, IndexError):
            # "pid (name) state parent ..."
            fields = stat.read_text().rpartition(')')[2].split()
            if int(fields[1]) == launch.pid and fields[0] != 'Z' and \
                    b'train.py' in (stat.parent / 'cmdline').read_bytes():
                found.append(int(stat.parent.name))
    return sorted(found)


def begun(work_dir):
    """How often the first process has begun to train, over all nodes' logs."""
    return sum(log.read_text().count(training.BEGINS)
               for log in work_dir.parent.glob(f'{work_dir.name}.*.log'))


def kill_again_and_again(launches, work_dir, kills, lasted, rng):
    """Kills one process after another.

    Two times out of three it first lets training begin again.

    Returns:
        How many were killed; fewer than ``kills`` if training ended before.
    """
    done = starts = 0

    def running():
        return all(one.poll() is None for one in launches)

    while done < kills:
        while done % 3 != 2 and begun(work_dir) <= starts and running():
            time.sleep(0.02)
        starts = begun(work_dir)
        time.sleep(rng.uniform(0, lasted / 2))
        alive = [pid for one in launches for pid in workers(one)]
        if not running():
            break
        if not alive:
            continue  # torchrun is just starting them
        with suppress(ProcessLookupError):
            os.kill(rng.choice(alive), signal.SIGKILL)
            done += 1
            pointer = work_dir / 'last_checkpoint'
            newest = Path(pointer.read_text()).name if pointer.is_file() \
                else 'none'
            print(
                f'{done}/{kills} killed; newest checkpoint: {newest}',
                flush=True)
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--kills', type=int, default=20, help='in all (default: %(default)s)')
    parser.add_argument(
        '--kills-a-run',
        type=int,
        default=4,
        help='at most (default: %(default)s)')
    parser.add_argument('--nodes', type=int, choices=[1, 2], default=1)
    parser.add_argument(
        '--processes',
        type=int,
        default=2,
        help='on all nodes (default: %(default)s)')
    parser.add_argument(
        '--images',
        type=int,
        default=600,
        help='for training (default: %(default)s)')
    parser.add_argument(
        '--small',
        action='store_true',
        help='train a network of five convolutions')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--folder',
        type=Path,
        help='where to train (default: a temporary folder)')
    args = parser.parse_args()
    torch.set_num_threads(1)
    begin_runs_sooner()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = args.folder or Path(folder)
        write_images(folder / 'data', args.images, 60)
        words = [
            *training.options(folder / 'data', 12),
            'default_hooks.checkpoint.by_epoch=False',
            'default_hooks.checkpoint.interval=4'
        ]
        config = training.config_in(folder, args.small)
        bad = run(config, folder, words, rng, args)
    sys.exit(bool(bad))


def run(config, folder, words, rng, args):
    """Trains without interruption and with; returns how many runs differ."""
    whole = folder / 'whole'
    lasted = train(config, whole, words, args.processes)
    name = max(whole.glob('*.pth'), key=lambda p: p.stat().st_mtime_ns).name
    killed = bad = runs = 0
    while killed < args.kills:
        work_dir = folder / f'killed_{runs}'
        runs += 1
        kills = min(args.kills_a_run, args.kills - killed)
        launches = launch(
            config,
            work_dir,
            words,
            args.nodes,
            args.processes,
            restarts=2 * kills)
        try:
            done = kill_again_and_again(launches, work_dir, kills, lasted, rng)
        except BaseException:
            stop(launches)
            raise
        finish(launches, work_dir)
        killed += done
        found = training.compare_trainings(whole, work_dir, name)
        bad += bool(found)
        print(
            f'{name} after {done} kills ' +
            (f'DIFFERS: {"; ".join(found[:5])}'
             if found else 'is the same, bit by bit'),
            flush=True)
    return bad


if __name__ == '__main__':
    main()
