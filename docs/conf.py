"""How Sphinx builds the documentation: ``make docs``."""

import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'docs')]

from api_pages import write_pages  # noqa: E402

from pss.version import __version__  # noqa: E402

# mmcv-lite says what it lacks
warnings.filterwarnings('ignore', message='Fail to import ``MultiScale')

project = 'PSS-Net'
author = 'The PSS-Net authors'
project_copyright = author
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
# search.md is included in searching.md: search.html is Sphinx's own page
exclude_patterns = ['_build', 'search.md']

# -- pages ------------------------------------------------------------------
myst_enable_extensions = ['attrs_inline', 'colon_fence']
myst_heading_anchors = 3  # links such as page.md#a-heading
nitpicky = True

# -- reference --------------------------------------------------------------
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_typehints_format = 'short'
python_maximum_signature_line_length = 72
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# attributes are listed, not indexed a second time
napoleon_custom_sections = [('Attributes', 'params_style')]
napoleon_use_rtype = False

# Names of other projects. Their inventories are on other hosts, and the
# documentation is built without a network.
nitpick_ignore_regex = [
    (r'py:.*', r'(torch|numpy|np|mmengine|mmcv|mmpretrain|mmdet|onnx|'
     r'onnxruntime|litserve|fvcore|PIL|plotly|matplotlib|fastapi|starlette|'
     r'prometheus_client|argparse|collections|contextlib|pathlib|typing|abc|'
     r'json|concurrent|threading|multiprocessing|enum|logging|asyncio|'
     r'subprocess|pickle|numbers|uvicorn|pydantic)\..*'),
    # type variables
    (r'py:class', r'pss\..*\.(T|Part|_Network)'),
]

# -- HTML -------------------------------------------------------------------
html_theme = 'furo'
html_title = f'PSS-Net {__version__}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = 'friendly'
pygments_dark_style = 'monokai'

# Files that links name, and the pages that include them.
INCLUDED = {
    'search.md': 'searching.md',
    '../web/README.md': 'web.md',
    '../CHANGELOG.md': 'changelog.md',
    '../SECURITY.md': 'security.md',
    '../../SECURITY.md': '../security.md',
    '../README.md': 'index.md',
    '../runtime/README.md': 'runtime.md',
    'pss/deploy/vocabularies': 'api/pss.deploy.vocabularies.rst',
    # in files that are included from the folder above
    '../docs/': '',
    'docs/': '',
}


def link_to_pages(app, relative_path, parent, source):
    """Makes links to files that are no pages lead to those that include
    them."""
    for name, page in INCLUDED.items():
        source[0] = source[0].replace(f']({name}', f']({page}')


def write_reference(app):
    """Writes the pages of the reference."""
    write_pages(ROOT / 'pss', ROOT / 'docs' / 'api')


def skip_aliases(app, what, name, member, skip, options):
    """Leaves out fields of named tuples that only have Python's own text; the
    class's docstring describes them."""
    text = getattr(member, '__doc__', None) or ''
    return True if text.startswith('Alias for field number') else None


def setup(app):
    app.connect('autodoc-skip-member', skip_aliases)
    app.connect('builder-inited', write_reference)
    app.connect(
        'source-read',
        lambda app, name, source: link_to_pages(app, name, None, source))
    app.connect('include-read', link_to_pages)
