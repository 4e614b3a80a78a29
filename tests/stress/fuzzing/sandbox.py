"""Runs one input in its own process, and judges how that ended.

The process is forked, so that it has this one's imports. Its time and memory
are limited, and it cannot touch files outside its folder: Python code that
tries gets the error of an ordinary user, even when run by an administrator.
Starting programs and using the network are refused.
"""

import errno
import faulthandler
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import numpy as np
import torch

from pss.errors import DivergedError, InputError

ROOT = Path(__file__).parents[3]
GIB = 1 << 30
MEMORY = 4 * GIB  # in addition to what is mapped already
FILE_SIZE = 2 * GIB
PROCESSES = 8  # that one input may start
IDLE = 10  # seconds without any work after which a process hangs
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SPARED = ('/dev/null', '/dev/full', '/dev/zero', '/dev/tty', '/dev/shm')
CHANGES = {
    'os.mkdir': 1,
    'os.remove': 1,
    'os.rmdir': 1,
    'os.rename': 2,
    'os.link': 2,
    'os.symlink': 2,
    'os.truncate': 1,
    'os.chmod': 1,
    'os.chown': 1,
    'os.utime': 1,
    'shutil.rmtree': 1,
    'shutil.move': 2
}
PROGRAMS = ('os.system', 'os.exec', 'os.posix_spawn', 'os.spawn',
            'subprocess.Popen', 'socket.connect', 'socket.getaddrinfo',
            'urllib.Request')
# MMEngine runs these to describe the machine
HARMLESS = ('git', 'uname', 'gcc', 'nvcc', 'nvidia-smi', 'cl', 'ldconfig')


class Outcome(NamedTuple):
    """How an input ended.

    Attributes:
        kind: ``refused``, ``used`` or ``failed``.
        what: what was changed.
        problem: why it failed, or the message with which it was refused.
        place: where in our code that was.
        tail: the last lines of the output.
        seconds: how long it took.
    """
    kind: str
    what: str
    problem: str = ''
    place: str = ''
    tail: str = ''
    seconds: float = 0.


class Place:
    """The folder of one input.

    Attributes:
        inputs: the folder for what the target generates.
        out: the folder for what the tool writes.
        user: a folder with files that nobody may change.
        marker: a file that exists if code was run.
        index: the input's number.
    """

    def __init__(self, folder: Path, index: int) -> None:
        self.folder, self.index = folder, index
        self.inputs, self.out = folder / 'in', folder / 'out'
        self.user, self.temporary = folder / 'user', folder / 'tmp'
        self.marker = folder / 'ran'
        for path in (self.inputs, self.out, self.user / 'annotations',
                     self.temporary):
            path.mkdir(parents=True)
        (self.user / 'notes.txt').write_text('written by the user\n')
        (self.user / 'results.json').write_text('[1, 2]\n')
        (self.user / 'annotations' / 'train.json').write_text('{}\n')
        (self.user / 'photo.png').write_bytes(bytes(range(256)))
        (self.user / 'link').symlink_to('notes.txt')

    def protected(self) -> Dict[str, List[Any]]:
        """The state of everything that may be neither changed nor removed."""
        return {**state(self.inputs), **state(self.user)}


def state(folder: Path) -> Dict[str, List[Any]]:
    """The kind, size and contents of everything in a folder."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            info = os.lstat(path)
            digest = ''
            if stat.S_ISREG(info.st_mode) and info.st_size < GIB:
                with open(path, 'rb') as file:
                    digest = hashlib.sha1(file.read()).hexdigest()
            elif stat.S_ISLNK(info.st_mode):
                digest = ascii(os.readlink(path))
            size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
            found[ascii(path)] = [stat.S_IFMT(info.st_mode), size, digest]
    return found


def run(target, seed: int, index: int, folder: Path, limit: float) -> Outcome:
    """Runs one input of a target.

    Args:
        target: makes inputs and uses them.
        seed, index: with the target's name they determine the input.
        folder: holds everything; what is in it is removed first.
        limit: seconds that the input may take.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = Place(folder / 'case', index)
    begun = time.monotonic()
    pid = os.fork()
    if not pid:
        _child(target, seed, index, place, folder, limit)
    try:
        status, ended = _wait(pid, limit)
    finally:  # with all that it started
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    seconds = time.monotonic() - begun
    return _judge(place, folder, status, ended, limit)._replace(seconds=seconds)


def _wait(pid, limit):
    """Waits for a process, and ends it if it hangs or takes too long."""
    begun = worked = time.monotonic()
    used, pause, ended = -1, 0.002, ''
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        now = time.monotonic()
        spent, waits = _work_of(pid)
        if spent != used or not waits:
            used, worked = spent, now
        if now - begun > limit:
            ended = f'more than {limit:g} s'
        elif now - worked > IDLE:
            ended = f'hangs: no work for {IDLE} s'
        if ended:
            os.kill(pid, signal.SIGUSR1)  # makes it print its stack
            time.sleep(0.3)
            os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            break
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)
    return status, ended


def _work_of(pid):
    """The processor time that a process has used, and whether it waits."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
    except OSError:
        return 0, False
    fields = fields.split()
    return int(fields[11]) + int(fields[12]), fields[0] in 'SD'


# --- in the process --------------------------------------------------------


def _child(target, seed, index, place, folder, limit):
    """Makes the input, uses it, reports what happened, and exits."""
    report: Dict[str, Any] = dict(kind='broken', what='')

    def save():
        temporary = folder / 'report.tmp'
        temporary.write_text(json.dumps(report))
        temporary.replace(folder / 'report.json')

    try:
        guard = _enter(place, folder)
        key = zlib.crc32(target.name.encode())
        rng = np.random.default_rng([seed, key, index])
        random.seed(f'{seed} {target.name} {index}')
        np.random.seed(key)
        torch.manual_seed(key)
        case = target.case(rng, place)
        report.update(
            kind='running',
            what=case.what,
            good=case.good,
            before=place.protected())
        save()
        guard.active = True
        report.update(_use(case))
        guard.active = False
        report['touched'] = guard.touched
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # in this program, not in what it tests
        report.update(kind='broken', problem=traceback.format_exc())
    finally:
        try:
            save()
        finally:
            os._exit(0)


def _enter(place, folder):
    """Redirects the output and sets the limits."""
    os.setsid()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(folder / 'out.raw', flags), 1)
    os.dup2(os.open(folder / 'err.raw', flags), 2)
    sys.stdout = io.TextIOWrapper(
        io.FileIO(folder / 'out.txt', 'a'), 'utf-8', write_through=True)
    sys.stderr = io.TextIOWrapper(
        io.FileIO(folder / 'err.txt', 'a'),
        'utf-8',
        'backslashreplace',
        write_through=True)
    stacks = io.FileIO(folder / 'stacks.txt', 'w')
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(place.folder)
    tempfile.tempdir = str(place.temporary)
    os.environ.update(
        TMPDIR=str(place.temporary),
        HOME=str(place.temporary),
        NO_COLOR='1',
        MPLCONFIGDIR=str(place.temporary))
    for name in ('LOCAL_RANK', 'RANK', 'WORLD_SIZE'):
        os.environ.pop(name, None)
    warnings.simplefilter('ignore')
    guard = Guard(place.folder)
    sys.addaudithook(guard)
    return guard


class Guard:
    """An audit hook that refuses whatever leaves the folder.

    Attributes:
        active: whether it refuses.
        touched: refused attempts that no input can have asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)
        self.active, self.busy, self.forks = False, False, 0
        self.touched: List[str] = []
        self.begun = time.time()

    def __call__(self, event: str, arguments) -> None:
        if not self.active or self.busy:
            return
        self.busy = True
        try:
            self.check(event, arguments)
        finally:
            self.busy = False

    def check(self, event, arguments):
        """Raises the error that the system would."""
        if event == 'open':
            path, mode, flags = arguments
            if isinstance(path, int) or not (
                (flags or 0) & WRITING or set(mode or 'r') & set('wax+')):
                return
            if str(os.fsdecode(path)).startswith(SPARED):
                return
            self.check_path(path, event)
        elif event in CHANGES:
            paths = arguments[event == 'os.symlink':CHANGES[event]]
            for path in reversed(paths):  # the place that is written to first
                if not isinstance(path, int):
                    self.check_path(path, event)
        elif event in ('os.fork', 'os.forkpty'):
            self.forks += 1
            if self.forks > PROCESSES:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        elif event in PROGRAMS:
            words = ascii(arguments)[:200]
            # processes that load data pass images through local sockets
            local = '127.0.0.1' in words or 'family=1,' in words
            if any(name in words for name in HARMLESS) or \
                    event.startswith('socket') and local:
                return
            self.touched.append(f'{event} {words}')
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def check_path(self, path, event):
        """Refuses a path outside the folder."""
        folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
        real = os.path.join(os.path.realpath(folder), name)
        if event in ('open', 'os.truncate', 'os.mkdir'):
            real = os.path.realpath(real)
        if f'{real}/'.startswith(f'{self.folder}/') or \
                event == 'os.remove' and not os.path.lexists(real):
            return
        with suppress(OSError):
            info = os.lstat(real)
            mine = info.st_ctime >= self.begun
            if event == 'os.mkdir' or mine and event == 'os.remove':
                return  # it exists already, or C code wrote it
            if not (mine or stat.S_ISDIR(info.st_mode) or real.startswith(
                ('/dev', '/proc', '/sys'))):
                self.touched.append(f'{event} {ascii(real)}')
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _use(case) -> Dict[str, Any]:
    """Uses an input, and reports how that ended."""
    try:
        case.use()
        status = 0
    except SystemExit as end:
        status = 0 if end.code is None else end.code
        if status:
            return dict(kind='status', status=status)
    except (InputError, DivergedError) as error:  # from a reader
        return dict(kind='raised', message=str(error))
    except BaseException as error:
        return _failure(error)
    try:
        case.check()
    except BaseException as error:
        found = _failure(error)
        found['problem'] = f'used, but not sound: {found["problem"]}'
        return found
    return dict(kind='used')


def _failure(error) -> Dict[str, Any]:
    """The report of an error that no user should see."""
    traceback.print_exc()
    frames = traceback.extract_tb(error.__traceback__)
    return dict(
        kind='error',
        place=_place([(f.filename, f.lineno, f.name) for f in frames]),
        problem=f'{type(error).__name__}: {error}')


def _place(frames) -> str:
    """The innermost place in our own code, and in all code."""

    def short(frame):
        name = frame[0]
        for folder in (f'{ROOT}/', 'site-packages/', 'lib/python'):
            name = name.partition(folder)[2] or name
        return f'{name}:{frame[1]} {frame[2]}'

    if not frames:
        return ''
    ours = [
        f for f in frames if f[0].startswith((f'{ROOT}/pss', f'{ROOT}/tools'))
    ]
    places = [short(f) for f in (ours[-1:] + frames[-1:])]
    return ', in '.join(dict.fromkeys(places))


# --- judging ---------------------------------------------------------------


def _judge(place, folder, status, ended, limit) -> Outcome:
    """The outcome, from what the process left behind."""

    def text(name):
        path = folder / name
        return path.read_bytes()[-20_000:].decode('utf-8', 'replace') \
            if path.exists() else ''

    try:
        report = json.loads(text_of(folder / 'report.json'))
    except (OSError, ValueError):
        report = dict(kind='broken', what='', problem='no report')
    out, error = text('out.txt'), text('err.txt')
    tail = '\n'.join((out + text('err.raw') + error).splitlines()[-12:])
    found = Outcome('failed', report['what'], '', report.get('place', ''), tail)

    def failed(problem, **more):
        return found._replace(problem=problem, **more)

    if ended or os.waitstatus_to_exitcode(status) != 0:
        stacks = text('stacks.txt')
        number = os.waitstatus_to_exitcode(status)
        problem = ended or f'ended by {signal.Signals(-number).name}' \
            if number < 0 else f'ended with {number}'
        return failed(
            problem,
            place=_place(_stack(stacks)),
            tail=tail + '\n' + stacks[-3000:])
    if report['kind'] == 'broken':
        return failed(
            'the fuzzer itself is broken', tail=report.get('problem', ''))
    if place.marker.exists():
        return failed('it ran code')
    after, before = place.protected(), report['before']
    # new files may be where the input said
    changed = [name for name in before if before[name] != after.get(name)]
    if changed:
        return failed(f'changed {", ".join(sorted(changed)[:3])}')
    if report.get('touched'):
        return failed(f'tried {report["touched"][0]}')
    if report['kind'] == 'error':
        return failed(report['problem'])
    if 'Traceback (most recent call last)' in out + error:
        return failed('Traceback in the output')
    if report['kind'] != 'used' and report['good']:
        return failed('a good input was refused')
    if report['kind'] == 'used':
        return found._replace(kind='used')
    return _refused(report, error, found, failed)


def _refused(report, error, found, failed) -> Outcome:
    """The outcome of an input that was refused, correctly or not."""
    message = report.get('message')
    if report['kind'] == 'status':
        if report['status'] not in (2, 3):
            return failed(f'status {report["status"]!r}')
        lines = error.strip('\n').split('\n')
        if lines[0].startswith('usage: ') and ' error: ' in error:
            return found._replace(kind='refused', problem=lines[-1])
        said = [line for line in lines if line.startswith('error: ')]
        if len(said) != 1 or lines[-1] != said[0]:
            return failed('not one line that begins with "error: "')
        if len(lines) > 1:
            return failed(f'{len(lines)} lines on stderr')
        message = said[0]
    elif '\n' in message:
        return failed('a message of several lines')
    if not message.isprintable():
        return failed('control characters in the message')
    return found._replace(kind='refused', problem=message)


def text_of(path: Path) -> str:
    """A text file's contents."""
    return path.read_text(encoding='utf-8')


def _stack(text) -> List[Any]:
    """Frames of a stack that faulthandler wrote, outermost first."""
    frames = []
    for line in text.partition('(most recent call first)')[2].splitlines():
        line = line.strip()
        if line.startswith('File "'):
            name, _, rest = line[6:].partition('", line ')
            number, _, function = rest.partition(' in ')
            frames.append((name, number, function))
        elif frames:
            break
    return frames[::-1]
