"""Device banks, the page's server, and a browser."""

import dataclasses
import importlib
import shutil
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from pss.deploy.device_bank import DeviceExporter
from pss.runtime import read_device_bank

from ..building import SMALL_RESNET, random_bank
from ..paths import ROOT

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
RUNTIME = ROOT / 'web' / 'node_modules' / 'onnxruntime-web'


@pytest.fixture(scope='session')
def web_demo():
    """``demo/web_demo.py`` as a module."""
    sys.path.insert(0, str(ROOT / 'demo'))
    try:
        return importlib.import_module('web_demo')
    finally:
        sys.path.remove(str(ROOT / 'demo'))


@pytest.fixture(scope='session')
def device_bank(tmp_path_factory):
    """The folder of a device bank of three subnets, which tests must not
    change; the largest takes many times as long as the smallest, and is the
    most accurate."""
    bank = random_bank(1, tuple('abcdefghij'),
                       **dict(SMALL_RESNET, search_space=SPACE))[1]
    kept = sorted(bank.kept, key=lambda kept: kept.costs['flops'])
    assert len({entry.subnet for entry in kept}) == 3
    bank = dataclasses.replace(
        bank,
        kept=tuple(
            dataclasses.replace(
                entry, held_out_accuracy=60. + i, standard_error=0.5)
            for i, entry in enumerate(kept)))
    folder = tmp_path_factory.mktemp('device_banks') / 'device_bank'
    DeviceExporter(bank).export(folder)
    return folder


SPACE = dict(resolutions=[16, 32, 64])


@pytest.fixture(scope='session')
def images(web_demo):
    """Test images: most are as large as the preprocessing makes them, others
    are resized; one is grey."""
    rng = np.random.default_rng(0)
    shapes = 37 * [(68, 68, 3)] + [(100, 80, 3), (70, 130, 3), (90, 90)]
    arrays = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    return web_demo.drawn(arrays, np.arange(40) % 10, 40)


@pytest.fixture(scope='session')
def arrays(images):
    """The same images as arrays."""
    found, start = [], 0
    for shape in images.shapes:
        end = start + int(np.prod(shape))
        found.append(
            np.frombuffer(images.pixels[start:end], np.uint8).reshape(shape))
        start = end
    return found


@pytest.fixture
def own_bank(device_bank, tmp_path):
    """A copy of the device bank, for tests that change it."""
    return shutil.copytree(device_bank, tmp_path / 'device_bank')


@pytest.fixture(scope='session')
def serve(web_demo, images):
    """Serves a device bank while a block runs; gives the page's address."""

    @contextmanager
    def serving(folder):
        server = web_demo.Server(read_device_bank(folder), images)
        thread = threading.Thread(target=server.serve_forever, args=(0.05, ))
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}/'
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    return serving


@pytest.fixture(scope='session')
def browser():
    """Headless Chromium."""
    playwright = pytest.importorskip('playwright.sync_api')
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f'none of {", ".join(BROWSERS)} is on the PATH')
    if not RUNTIME.is_dir():
        pytest.skip('onnxruntime-web is missing: npm ci --prefix web')
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path,
            args=['--no-sandbox', '--enable-unsafe-swiftshader'])
        yield browser
        browser.close()


@contextmanager
def opening(browser):
    """Opens pages while a block runs, of 360 pixels' width if asked for. None
    may ask another host for anything, nor end with an error of its own."""
    hosts, problems, contexts = set(), [], []

    def open_page(address, width=1200):
        contexts.append(
            browser.new_context(viewport=dict(width=width, height=900)))
        page = contexts[-1].new_page()
        page.on('request', lambda asked: hosts.add(asked.url.split('/')[2]))
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
    assert {host.partition(':')[0] for host in hosts} <= {'127.0.0.1'}


@pytest.fixture
def new_page(browser):
    """Opens pages of a test's own."""
    with opening(browser) as open_page:
        yield open_page


@pytest.fixture(scope='module')
def address(serve, device_bank):
    """The address of a page that shows the device bank."""
    with serve(device_bank) as address:
        yield address


@pytest.fixture(scope='module')
def page(browser, address):
    """The page, once it is ready; tests share it, and neither follow nor stream
    at their end."""
    with opening(browser) as open_page:
        page = open_page(address)
        page.wait_for_selector('#main:not([inert])')
        yield page
