"""Runs the tests with the versions that setup.cfg allows: ``make test-matrix``.

``nox --list`` prints the sessions, ``nox -p 3.12`` runs those of one Python.
Each installs several hundred MB to several GB, and takes as long as the tests.
"""

import nox

TORCHVISION = {'2.1.2': '0.16.2', '2.6.0': '0.21.0', '2.13.0': '0.28.0'}
MM = {
    'openmmlab': ('mmengine==0.10.7', 'mmcv-lite==2.1.0', 'mmpretrain==1.2.0'),
    'onedl': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain'),
}
# Python, torch, numpy and the mm packages. Of the values in two columns, all
# pairs that can be together are in a row: torch 2.1 has no Python 3.12, works
# with numpy 1 only, and the forks need torch.amp.GradScaler of 2.3; numpy 1 has
# no Python 3.13;
# tests/packaging/test_versions.py checks that.
ROWS = [
    ('3.10', '2.1.2', '1', 'openmmlab'),
    ('3.11', '2.1.2', '1', 'openmmlab'),
    ('3.10', '2.6.0', '2', 'onedl'),
    ('3.11', '2.6.0', '1', 'onedl'),
    ('3.12', '2.6.0', '2', 'openmmlab'),
    ('3.10', '2.13.0', '2', 'openmmlab'),
    ('3.11', '2.13.0', '2', 'openmmlab'),
    ('3.12', '2.13.0', '1', 'onedl'),
    ('3.13', '2.6.0', '2', 'onedl'),
    ('3.13', '2.13.0', '2', 'openmmlab'),
]

nox.options.error_on_missing_interpreters = True


@nox.session
@nox.parametrize(
    'python, torch, numpy, mm',
    ROWS,
    ids=[
        f'py{python}-torch{torch}-numpy{numpy}-{mm}'
        for python, torch, numpy, mm in ROWS
    ])
def tests(session: nox.Session, torch: str, numpy: str, mm: str) -> None:
    """Runs the tests; arguments after ``--`` are pytest's."""
    versions = f'numpy{"<2" if numpy == "1" else ">=2"}', f'torch=={torch}'
    session.install('setuptools<81', 'wheel')  # MMEngine needs pkg_resources
    session.install(*versions)
    # its wheels may ask for another build of torch
    session.install('--no-deps', f'torchvision=={TORCHVISION[torch]}')
    # the fork's mmcv is built apart from torch, so without the operators that
    # MMDetection needs
    session.install(*versions, *MM[mm], 'opencv-python', 'pytest',
                    'pytest-xdist', '-e',
                    '.[backbones,deploy,serve,tensorboard]')
    session.run(
        'python',
        '-m',
        'pytest',
        *(session.posargs or ['-n', '2', '--dist', 'worksteal']),
        env=dict(OMP_NUM_THREADS='1'))
