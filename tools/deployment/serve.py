"""Serves a bank over HTTP, within a latency objective.

Takes a bank or a device bank. At the start it measures how long each subnet
takes for each number of images. From then on it answers with the most accurate
subnet that keeps every waiting request within the objective, so accuracy falls
when traffic rises; what even the fastest subnet could not answer in time is
refused at once with status 503 and Retry-After.

  curl -F image=@boot.png http://127.0.0.1:8000/predict

POST /predict takes files as form uploads, one image as the body, or JSON with
base64: {"images": ["...", "..."]}. With ?top=5 it answers the five best classes
instead of all scores. GET /subnets, /metrics (Prometheus), /ready
and /health. SIGTERM stops it after it has answered what it holds. SIGHUP, or
POST /reload with the token in PSS_RELOAD_TOKEN, opens the folder's bank anew
while the former one is served.
"""

import argparse
import os
import resource

LOG_LEVELS = ('critical', 'error', 'warning', 'info', 'debug')


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help='the folder of a bank or a device bank')
    parser.add_argument(
        '--slo-ms',
        type=float,
        default=50.,
        metavar='MS',
        help='answer within so many milliseconds after the last byte of a '
        'request arrived (default: %(default)g)')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='127.0.0.1 (default: only this machine), 0.0.0.0 or ::')
    parser.add_argument(
        '--port', type=int, default=8000, help='(default: %(default)s)')
    parser.add_argument(
        '--device',
        default='cpu',
        help="where a bank's networks go (default: %(default)s)")
    parser.add_argument(
        '--threads',
        type=int,
        default=1,
        help='threads that a network computes with (default: %(default)s)')
    parser.add_argument(
        '--http-processes',
        type=int,
        default=1,
        metavar='N',
        help='processes that read requests and decode images; one runs the '
        'networks (default: %(default)s)')
    parser.add_argument(
        '--max-batch',
        type=int,
        default=16,
        help='most images in a batch (default: %(default)s)')
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='SUBNET',
        default=[],
        help='serve only these subnets, by their names (default: all)')
    parser.add_argument(
        '--policy',
        default='slack',
        help='what chooses the subnet of a batch: slack, the time that waiting '
        'requests have left (default); or follower, the latencies so far, to '
        'compare with')
    limits = parser.add_argument_group('limits', 'Of each HTTP process.')
    limits.add_argument(
        '--max-body-mb',
        type=float,
        default=16.,
        help="of a request's body; all together have 16 times as much "
        '(default: %(default)g)')
    limits.add_argument(
        '--max-images',
        type=int,
        default=16,
        help='in a request (default: %(default)s)')
    limits.add_argument(
        '--max-megapixels',
        type=float,
        default=32.,
        help='of an image, checked before it is decoded (default: %(default)g)')
    limits.add_argument(
        '--max-requests',
        type=int,
        default=512,
        help='at the same time (default: %(default)s)')
    limits.add_argument(
        '--body-timeout',
        type=float,
        default=10.,
        metavar='S',
        help='seconds for the head of a request to arrive, and for its body '
        '(default: %(default)g)')
    limits.add_argument(
        '--keep-alive',
        type=int,
        default=5,
        metavar='S',
        help='seconds until an idle connection is closed after an answer '
        '(default: %(default)s)')
    limits.add_argument(
        '--drain',
        type=int,
        default=30,
        metavar='S',
        help='seconds for answers after SIGTERM (default: %(default)s)')
    parser.add_argument(
        '--trust',
        nargs='+',
        metavar='PACKAGE',
        default=[],
        help='packages whose registered classes the bank may name; they are '
        'imported')
    parser.add_argument(
        '--log-level',
        default='warning',
        help=f'one of {", ".join(LOG_LEVELS)} (default: %(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.checks import check_choice, check_integer, check_number
from pss.errors import InputError


def main(args):
    check_number('--slo-ms', args.slo_ms, above=0, most=6e4)
    check_integer('--port', args.port, 1024, 65535)
    check_integer('--threads', args.threads, 1, 1024)
    check_integer('--http-processes', args.http_processes, 1, 64)
    check_integer('--max-batch', args.max_batch, 1, 1024)
    check_number('--max-body-mb', args.max_body_mb, above=0, most=1024)
    check_integer('--max-images', args.max_images, 1, 1024)
    check_number('--max-megapixels', args.max_megapixels, above=0, most=128)
    check_integer('--max-requests', args.max_requests, 1, 1 << 16)
    check_number('--body-timeout', args.body_timeout, above=0, most=3600)
    check_integer('--keep-alive', args.keep_alive, 0, 3600)
    check_integer('--drain', args.drain, 0, 3600)
    check_choice('--log-level', args.log_level, LOG_LEVELS)
    check_choice('--policy', args.policy, ('slack', 'follower'))
    try:
        from pss.serving.bodies import Limits
        from pss.serving.served_bank import Source
        from pss.serving.server import HOSTS, serve
    except ImportError as error:
        raise InputError(f'serving needs {error.name}: expected '
                         "`pip install 'pss-net[serve]'`") from None
    check_choice('--host', args.host, HOSTS)
    # each connection is an open file
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    serve(
        Source(args.bank, args.device, args.threads, tuple(args.trust),
               tuple(args.only), args.policy),
        Limits(
            slo_ms=args.slo_ms,
            body_bytes=int(args.max_body_mb * 1e6),
            images=args.max_images,
            pixels=int(args.max_megapixels * 1e6),
            body_s=args.body_timeout,
            requests=args.max_requests,
            answer_s=max(30., args.slo_ms / 100)),
        token=os.environ.get('PSS_RELOAD_TOKEN', ''),
        host=args.host,
        port=args.port,
        largest_batch=args.max_batch,
        drain_s=args.drain,
        keep_alive_s=args.keep_alive,
        http_processes=args.http_processes,
        log_level=args.log_level)


if __name__ == '__main__':
    # not above: the process that runs the networks imports this file too
    from pss.cli import run
    run(main, args)
